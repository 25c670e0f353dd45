/*
 * chat_call: one chat request on its way to one server, its answer going into an operation as it
 * comes. It decides nothing about what follows: its owner is told how it ended, and may start it
 * again as long as nothing was given to the operation.
 *
 * Threads: chat_call_start on any thread that holds the owner's lock, so that `exchange` is set
 * before on_done can look; everything else on the I/O thread.
 */
#ifndef INF_REMOTE_CHAT_CALL_H
#define INF_REMOTE_CHAT_CALL_H

#include "http/http.h"
#include "remote/chat_reader.h"
#include "remote/server.h"

struct chat_call {
    inf_op *op;
    /* On the I/O thread, once an attempt. err: INF_OK when the answer is complete. */
    void (*done)(struct chat_call *call, const struct http_outcome *outcome, const inf_error *err);
    struct http_exchange *exchange; /* of the last attempt */
    _Atomic bool answered;          /* its answer has begun; any thread may look */

    struct chat_reader reader;
    int64_t first_us, last_us; /* when text came; 0: none yet */
};

void chat_call_init(struct chat_call *call, inf_op *op,
                    void (*done)(struct chat_call *, const struct http_outcome *,
                                 const inf_error *));
void chat_call_free(struct chat_call *call);

struct chat_request {
    struct http_client *client;
    const char *url;
    struct http_headers *headers;
    struct server_times times;
    int32_t dialect; /* enum chat_dialect */
};

/* body is taken over when it returns INF_OK; on an error nothing has happened. */
int32_t chat_call_start(struct chat_call *call, const struct chat_request *r, struct buffer *body,
                        inf_error *err);

/* Into the operation's output: what came, the timings, a failed body. Before op_finish. An error
 * here (NO_MEMORY, no log-probabilities) goes into err when that was INF_OK. */
void chat_call_fill(struct chat_call *call, const struct http_outcome *outcome, inf_error *err);

#endif
