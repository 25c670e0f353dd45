/*
 * server: one server's address, what every request to it carries, and calls whose whole answer is
 * waited for. It knows no route's meaning.
 *
 * Threads: a server is immutable once opened. calls_* block and are for a thread that may wait: the
 * provider's control thread, never the I/O thread; calls_cancel may be called on any.
 */
#ifndef INF_REMOTE_SERVER_H
#define INF_REMOTE_SERVER_H

#include "core/error.h"
#include "http/http.h"

#include <pthread.h>

struct server {
    char *base; /* normalised, "http://localhost:8100/v1" */
    char *root; /* the same without /v1 */
    struct http_headers *headers;
    char shown[256]; /* for messages: no secrets in it */
    bool loopback;   /* it is this machine, as far as is told by server_is_here */
};

/* Whether a URL is of this machine, told without asking any name server: what url_is_loopback knows,
 * an address of one of its interfaces, its host name, whole or up to the first dot. Another name that
 * leads here (a DNS alias, one of /etc/hosts) is not seen, nor is a proxy in between. */
bool server_is_here(const char *url);

/* What is sent as a bearer token. */
struct server_key {
    const char *value; /* NULL or "": none */
    const char *name;  /* where it comes from, for messages: "api_key", "VLLM_API_KEY" */
    bool optional; /* nobody set it: gives way to credentials that the URL or the headers hold */
};

/* url: normalised; "/v1" is added to one without any path; user and password in it are sent as
 * basic authorization. headers: "Name: value" lines, may be NULL. Errors: INVALID_ARGUMENT (among
 * them two that want to be the Authorization header: nothing is dropped in silence), NO_MEMORY. */
int32_t server_open(struct server *s, const char *url, const struct server_key *key,
                    const char *headers, inf_error *err);
void server_close(struct server *s);

/* The server's headers and further "Name: value" lines, each on a line of its own; without lines,
 * the server's own list. A reference either way. */
int32_t server_headers(struct http_headers **out, const struct server *s, inf_text lines,
                       inf_error *err);

/* What every request to these servers has from the configuration. */
struct server_times {
    int64_t connect_ms, silence_ms;
    int32_t max_retries;
};

/* One call and its answer. */
struct call {
    struct calls *calls;
    struct http_exchange *exchange;
    bool started, done;
    inf_error error; /* INF_OK: a 2xx answer came whole */
    int32_t status;
    char *body; /* NUL behind it; NULL when there was none */
    size_t body_len;
    bool sent; /* some of the request may have reached the server */
};

/* Calls that run at once, and whoever waits for all of them. */
struct calls {
    pthread_mutex_t lock; /* guards the rest and the calls */
    pthread_cond_t changed;
    struct call *items; /* (n) */
    size_t n, n_running;
    bool cancelled;
};

int32_t calls_init(struct calls *c, size_t n, inf_error *err);
void calls_free(struct calls *c);

/* Starts call i: GET without a body, else POST. body: copied. total_ms: of the whole call. A failed
 * start is the call's error. */
void calls_start(struct calls *c, size_t i, struct http_client *client, const struct server *s,
                 const struct server_times *times, const char *path, const char *body,
                 int64_t total_ms);
/* Until every started call is done. */
void calls_wait(struct calls *c);
/* Ends what runs, with CANCELLED; what is started later ends so at once. */
void calls_cancel(struct calls *c);
/* Frees the answers, so that the calls can be started again; the cancelling stays. */
void calls_reset(struct calls *c);

#endif
