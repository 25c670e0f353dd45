/*
 * internal: what the files of the HTTP client share.
 *
 * Everything here belongs to the I/O thread but for what is said to be constant or atomic. Other
 * threads reach an exchange through the client's queue of signalled ones only. The one lock,
 * signal_lock, guards that queue and whether it is still read; nothing is called with it held but
 * uv_async_send.
 *
 * From the bottom: environment, headers and signal; failure; deadline; answer; resolver, sockets and transfer;
 * exchange; probe; client. A file calls those below it, and what is above through client_events.
 */
#ifndef INF_HTTP_INTERNAL_H
#define INF_HTTP_INTERNAL_H

#include "core/buffer.h"
#include "core/heap.h"
#include "http/environment.h"
#include "http/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#define HTTP_NEVER UINT64_MAX

static inline uint64_t http_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* That many milliseconds after; -1 and absurdly many: never. */
static inline uint64_t http_after(uint64_t from, int64_t ms)
{
    return from + http_earlier((uint64_t)ms, UINT64_C(1) << 60);
}

struct lookup;
struct shard;

enum phase {
    PHASE_NEW,
    PHASE_QUEUED,   /* waits at its gate */
    PHASE_LOOKUP,   /* waits for a host's addresses */
    PHASE_TRANSFER, /* libcurl has it: connecting, sending, waiting for the answer */
    PHASE_BODY,     /* the first byte of a 2xx body came */
    PHASE_DRAIN,    /* the owner had enough and was told the end; the rest is read away */
    PHASE_BACKOFF,  /* waits before it is tried again */
    PHASE_DONE
};

enum signal { SIGNAL_START = 1, SIGNAL_CANCEL = 2 };

struct http_exchange {
    _Atomic int32_t refs; /* the handle, the client until done, the queue of signalled ones */
    uint32_t signals;     /* enum signal; not 0 while queued; guarded by signal_lock */
    struct http_exchange *next_signalled;

    /* Constant. */
    struct http_client *client;
    struct http_request asked; /* with texts, a body (until it is done) and references of its own */
    struct url url;            /* into asked.url */
    const struct proxy *proxy;

    enum phase phase;
    int32_t attempts;
    bool sent, delivered;
    bool enough;                           /* the owner wants nothing more of the body */
    bool told;                             /* on_done was called */
    bool inside;                           /* it counts at its gate */
    struct http_exchange *next, *previous; /* the client's list of those not done */
    struct http_exchange *next_enough;     /* the client's list of owners to be told; a reference */
    uint64_t total_due, connect_due, last_byte;
    uint64_t
        proxy_due; /* its proxy is asked whether it is there; HTTP_NEVER: it is none, or was asked */
    struct heap_node deadline; /* when to look at it again */
    struct transfer *transfer;
    struct lookup *lookup;                               /* the one it waits for */
    struct http_exchange *next_waiter, *previous_waiter; /* of the lookup, or the gate */
    struct curl_slist resolved[2]; /* CURLOPT_RESOLVE of this attempt; data from mem_* */
    bool has_literal;              /* some host of it needs no lookup */

    /* The answer of the last attempt. */
    int32_t status;
    bool head_done;
    size_t head_bytes;
    size_t drained;
    int64_t retry_after_ms; /* -1: not said */
    char *location;
    struct buffer answer;
    inf_error error; /* what a callback or a check made of it */
    char content_type[64];
    char text[]; /* the method, and the URL behind it */
};

/* An easy handle and what its callbacks need; kept for the next exchange. */
struct transfer {
    CURL *easy;
    struct transfer *next;
    struct http_exchange *exchange;
    struct shard *shard;
    int open_error;   /* errno of a socket that could not be opened */
    bool may_resolve; /* there is a host that libcurl needs no thread for */
    char error[CURL_ERROR_SIZE];
};

/*
 * A multi handle. libcurl walks through all connections of a multi for some things, so that many
 * small ones are faster than one large one; the first with room is taken, so that connections are
 * found again. One that was idle for a while is closed, and its connections with it.
 */
struct shard {
    struct http_client *client;
    CURLM *multi; /* NULL: closed */
    uv_timer_t timer;
    struct shard *next_kicked;
    bool kicked; /* libcurl wants to run now */
    int active;
    uint64_t idle_since;
};

/* A socket under libuv's eyes. It stays there while the connection is idle: the next request on it
 * then needs no system call for that. */
struct watch {
    uv_poll_t poll;
    struct shard *shard;
    int fd;
    int events; /* what libuv looks for; 0: nothing */
    bool idle;  /* libcurl did not ask for it */
};

/* What the files below do not know: who comes next. Called on the I/O thread. */
struct client_events {
    /* Runs what callbacks and signals have left to do; every libuv callback ends with it. */
    void (*settle)(struct http_client *c);
    void (*due)(struct http_exchange *x);
    /* x waits for its server no longer. */
    void (*let_in)(struct http_exchange *x);
    /* x waits long for what its proxy has to say. */
    void (*ask_proxy)(struct http_exchange *x);
    /* x looks again for the addresses it needs, then goes on; err: the lookup failed. */
    void (*resolved)(struct http_exchange *x, const inf_error *err);
    /* The transfer is over; the exchange still has it. */
    void (*over)(struct http_exchange *x, CURLcode result);
};

struct http_client {
    const struct client_events *events; /* client.c's */
    _Atomic int32_t users;              /* the last one ends it */
    _Atomic int32_t blocks; /* what keeps the memory: the users together, each exchange */
    inf_context *ctx;
    struct environment environment; /* constant */
    struct http_headers *no_headers;
    pthread_t thread;
    _Atomic bool stopping;
    pthread_mutex_t signal_lock;
    bool listening; /* the queue is read */
    struct http_exchange *signalled, **signalled_end;

    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t clock; /* for the earliest exchange in the heap */
    uv_timer_t idle_timer;
    uint64_t idle_ms; /* how long an idle shard keeps its connections; tests shorten it */
    bool stopped;
    struct http_exchange *exchanges;
    struct http_exchange *enough; /* owners to be told, once libcurl has returned */
    bool probing;                 /* the proxy is being asked whether it is there */
    struct http_gate *open_gates; /* with room for who waits there; references */
    size_t n_draining;
    struct heap deadlines;
    uint64_t clock_due;
    struct shard **shards;
    size_t n_shards, shards_cap;
    struct shard *kicked;
    struct transfer *spare;
    size_t n_spare;
    struct watch **watches;
    size_t n_watches;
    struct lookup *lookups;
    size_t n_lookups;
    uint64_t random;
};

/* signal.c */
/* Queues a signal (enum signal) for the I/O thread; false when that reads none any more. */
bool client_signal(struct http_exchange *x, uint32_t signal);
/* Takes all that were signalled, linked by next_signalled. */
struct http_exchange *signals_take(struct http_client *c);
/* What x was told, and the one behind it. x may be queued again afterwards. */
uint32_t signals_read(struct http_exchange *x, struct http_exchange **next);
/* This is the I/O thread: it needs no waking. */
void signals_on_this_thread(const struct http_client *c);
/* None is queued any more. */
void signals_close(struct http_client *c);
uint64_t client_random(struct http_client *c);
/* Frees the client with the last block. */
void client_unref_block(struct http_client *c);

/* deadline.c: starts libuv's timer for the earliest deadline. */
void deadline_arm(struct http_client *c);

/* exchange.c */
void exchange_begin(struct http_exchange *x);
void exchange_cancelled(struct http_exchange *x);
void exchange_unref(struct http_exchange *x);
/* These are client_events. */
void exchange_due(struct http_exchange *x);
void exchange_resolved(struct http_exchange *x, const inf_error *err);
void exchange_over(struct http_exchange *x, CURLcode result);
/* Tells the owners that have enough; whether there was one that was not told yet. */
bool exchanges_tell_enough(struct http_client *c);

/* It waited at its gate, and may go on. */
void exchange_let_in(struct http_exchange *x);
/* The proxy it waits for is silent, which ends it, or there: asked again at `again`. */
void exchange_of_proxy(struct http_exchange *x, bool silent, uint64_t again);

/* probe.c: one of client_events */
void probe_proxy(struct http_exchange *x);

/* gate.c */
struct http_gate *gate_ref(struct http_gate *g); /* NULL is let through */
/* false: the exchange waits there, in PHASE_QUEUED. */
bool gate_enter(struct http_exchange *x);
void gate_leave(struct http_exchange *x);
bool gates_run(struct http_client *c);

/* answer.c */
void exchange_forget_answer(struct http_exchange *x);
bool exchange_is_good(const struct http_exchange *x); /* 2xx */
/* From libcurl: false ends the transfer. */
bool exchange_header(struct http_exchange *x, const char *line, size_t n);
bool exchange_body(struct http_exchange *x, const char *data, size_t n);

/* sockets.c: what a multi handle and its easy handles are given */
int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *shard, void *unused);
curl_socket_t socket_open(void *transfer, curlsocktype purpose, struct curl_sockaddr *address);
int socket_close(void *client, curl_socket_t fd);
/* Tells of the transfers that are over. */
void socket_messages(struct shard *s);
/* After the last connection. */
void sockets_close(struct http_client *c);

/* transfer.c */
int32_t transfer_start(struct http_exchange *x, inf_error *err);
/* Takes the transfer from the exchange, ending it when it is not over; notes x->sent. */
void transfer_end(struct http_exchange *x);
void transfers_free(struct http_client *c);
bool shards_run(struct http_client *c);
void shards_close(struct http_client *c);

/* resolver.c */
/* *addresses: "1.2.3.4,[::1]", valid until the loop goes on; NULL: x waits, and is told by
 * client_events.resolved. */
int32_t resolver_find(const char **addresses, struct http_exchange *x, const char *host, size_t n,
                      inf_error *err);
void resolver_leave(struct http_exchange *x);
void resolver_close(struct http_client *c); /* asks lookups to end */
void resolver_free(struct http_client *c);

/* failure.c */
/* "POST http://host/path", and " through the proxy http://host:port" when it goes there. */
#define FAILURE_WHAT 340
char *failure_what(char *out, size_t size, const struct http_exchange *x);
int32_t failure_of_status(inf_error *err, const struct http_exchange *x);
/* A host that it needs was not found: makes of what the lookup told what the exchange tells. */
void failure_of_lookup(inf_error *err, const struct http_exchange *x);
/* The proxy takes connections and says nothing. */
void failure_of_silent_proxy(inf_error *err, const struct http_exchange *x);
/* What libcurl says, while the exchange still has its transfer. */
int32_t failure_of_transfer(inf_error *err, const struct http_exchange *x, CURLcode result);

/* headers.c */
struct curl_slist *headers_list(struct http_headers *h);
bool http_is_token(const char *s);

#endif
