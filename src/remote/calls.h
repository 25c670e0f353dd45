/*
 * calls: requests whose whole answers are waited for, several at once, each to a server of its own. It
 * knows no route's meaning.
 *
 * Threads: calls_wait blocks, for a thread that may wait, never the I/O thread; calls_cancel and
 * calls_give_up_at may be called on any.
 */
#ifndef INF_REMOTE_CALLS_H
#define INF_REMOTE_CALLS_H

#include "remote/server.h"

#include <pthread.h>

/* One call and its answer. */
struct call {
    struct calls *calls;
    struct http_exchange *exchange;
    bool started, done;
    inf_error error; /* INF_OK: a 2xx answer came whole */
    int32_t status;
    char *body; /* NUL behind it; NULL when there was none */
    size_t body_len;
    bool sent;       /* some of the request may have reached the server */
    char proxy[110]; /* that it went through, as messages name it; "": none */
};

/* How a call went. */
enum call_result {
    CALL_NONE,    /* it was not made */
    CALL_OK,      /* 2xx */
    CALL_REFUSED, /* another answer */
    CALL_GONE,    /* nothing was sent: the server is not there */
    CALL_UNKNOWN  /* sent, and no answer came */
};
enum call_result call_result(const struct call *call);

/* Calls that run at once, and whoever waits for all of them. */
struct calls {
    pthread_mutex_t lock; /* guards the rest and the calls */
    pthread_cond_t changed;
    struct call *items; /* (n) */
    size_t n, n_running;
    int64_t give_up_us; /* INT64_MAX: never */
    bool cancelled;
};

int32_t calls_init(struct calls *c, size_t n, inf_error *err);
void calls_free(struct calls *c);

/* Starts call i: GET without a body, else POST. body: copied. total_ms: of the whole call. A failed
 * start is the call's error. */
void calls_start(struct calls *c, size_t i, struct http_client *client, const struct server *s,
                 const char *path, const char *body, int64_t total_ms);
/* Until every started call is done. */
void calls_wait(struct calls *c);
/* Ends what runs, with CANCELLED; what is started later ends so at once. */
void calls_cancel(struct calls *c);
/* What still runs at that time is cancelled then, by whoever waits. The earliest time given counts. */
void calls_give_up_at(struct calls *c, int64_t us);
/* Frees the answers, so that the calls can be started again; that they are cancelled, or given up,
 * stays. */
void calls_reset(struct calls *c);

#endif
