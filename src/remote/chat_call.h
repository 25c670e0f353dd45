/*
 * chat_call: one chat request from its start to the end of its operation, over one attempt or more, its
 * answer going into the operation as it comes. It decides nothing about what follows an attempt: its
 * owner is told how it ended, and may start another as long as nothing was given to the operation.
 *
 * Threads: chat_call_start on any thread that holds the owner's lock, so that `exchange` is set before
 * `done` can look; what comes of it on the I/O thread.
 */
#ifndef INF_REMOTE_CHAT_CALL_H
#define INF_REMOTE_CHAT_CALL_H

#include "core/context.h"
#include "http/http.h"
#include "remote/chat_reader.h"
#include "remote/server.h"
#include "remote/server_error.h"

/* The owner's own struct begins with it. */
struct chat_call {
    inf_op *op;
    struct http_headers *headers; /* of every attempt: the server's, and the request's own */
    /* Once an attempt. err: INF_OK when the answer is complete. outcome NULL: there was no attempt; the
     * operation is to end with err. No lock is held. */
    void (*done)(struct chat_call *call, const struct http_outcome *outcome, const inf_error *err);
    struct http_exchange *exchange; /* of the last attempt */
    const struct server *server;    /* of the last attempt */
    bool sending;                   /* an attempt is in flight; the owner's lock guards it */
    _Atomic bool answered;          /* its answer has begun; any thread may look */

    _Atomic int64_t begun_us; /* when the attempt got its connection; 0: it waits for it */
    struct chat_reader reader;
    int64_t first_us, last_us; /* when text came; 0: none yet */
    struct job end_job;
};

/* size: of the owner's struct, what is beyond struct chat_call is zero. server: whose headers it
 * carries. Errors: INVALID_ARGUMENT (extra_headers), NO_MEMORY. */
int32_t chat_call_make(void **out, size_t size, inf_op *op, const struct server *server,
                       void (*done)(struct chat_call *, const struct http_outcome *,
                                    const inf_error *),
                       inf_error *err);
/* The start has failed. */
void chat_call_free(struct chat_call *call);

/* An attempt, in that dialect (enum chat_dialect) at its route. again: it may be repeated, as often as the
 * configuration says. body is taken over when it returns INF_OK; on an error nothing has happened. The
 * owner's lock is held. */
int32_t chat_call_start(struct chat_call *call, struct http_client *client,
                        const struct server *server, bool again, int32_t dialect,
                        struct buffer *body, inf_error *err);

/* For a canceller. waited: it was taken out of where it waited. The owner's lock is held. */
void chat_call_cancel(struct chat_call *call, bool waited);
/* Has `done` called on a preparation thread, with the operation's stop error. Never calls back. */
void chat_call_stop(struct chat_call *call);

/* Ends the operation and frees the call: what came, the timings, a failed body and the model go into
 * its output. err: how; INF_OK may become NO_MEMORY, or UNSUPPORTED (no log-probabilities came).
 * Nothing of it is in flight, and no lock is held. The provider may be gone afterwards. */
void chat_call_end(struct chat_call *call, const struct http_outcome *outcome,
                   const inf_error *err);

#endif
