/*
 * http: the HTTP client of a context. Exchanges (a request and its answer) run on one I/O thread
 * with one libuv loop and libcurl's multi socket interface: thousands at once, no thread each.
 * It knows nothing of JSON, of models or of what the bytes mean.
 *
 * Threads. The I/O thread ("inf-http", all signals blocked) starts with the first http_client_get
 * of a context and ends when the context closes. Every callback runs on it, with no lock held; a
 * callback must not block, and it may start, cancel and release exchanges. http_start, http_cancel
 * and the reference functions may be called on any thread, return at once and never call back.
 *
 * Connections are kept and reused; https offers HTTP/2 and then shares one connection. Idle ones are
 * closed after a while. TLS is verified. Redirects are not followed: they are an error that
 * says where to. Answers are not decompressed, and none is asked for.
 *
 * From the environment, read once when the client is made, as curl reads them: http_proxy,
 * https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, no_proxy, NO_PROXY (names, suffixes, addresses,
 * CIDR, "*"); CURL_CA_BUNDLE, else SSL_CERT_FILE and SSL_CERT_DIR; else the system's store, where this
 * or another distribution keeps it.
 *
 * A proxy for plain http that takes a request and says nothing within connect_ms is asked for a page of its
 * own; when it has nothing to say to that either, for as long again, its requests end with TIMEOUT.
 *
 * Names. Literal addresses and localhost need no lookup. Other hosts are looked up on libuv's
 * thread pool (a fixed number of threads for the whole process), each host once however many
 * exchanges wait for it; answers are kept for 60 s. libcurl's own resolver, a thread a lookup, is
 * never used. With a proxy it is the proxy's host that is looked up; the target's name goes to the
 * proxy (but for socks4:// and socks5://, which want an address). Closing waits for a lookup that
 * the system is in the middle of: its resolver cannot be interrupted.
 */
#ifndef INF_HTTP_HTTP_H
#define INF_HTTP_HTTP_H

#include "core/context.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct http_client;
struct http_exchange;
struct http_headers;

/* The context's client, with a reference. Errors: STATE (closing, threads refused), NO_MEMORY. */
int32_t http_client_get(struct http_client **out, inf_context *ctx, inf_error *err);
/* NULL is ignored. The last reference ends every exchange with CANCELLED, waits for their on_done
 * and ends the I/O thread; it must not be given back on that thread. The context holds one until
 * it closes, so giving back a provider's is usually free of any waiting. */
void http_client_release(struct http_client *c);

/*
 * A list of header fields, made once and shared by many exchanges: not to be changed once an
 * exchange has seen it. Refused (INVALID_ARGUMENT): a name that is no token, control characters in
 * a value, and what the client itself sends (Host, Content-Length, Transfer-Encoding, Connection,
 * Expect, Accept-Encoding). A name given again replaces the earlier value. No message ever contains
 * a value.
 */
int32_t http_headers_create(struct http_headers **out, inf_error *err);
int32_t http_headers_add(struct http_headers *h, const char *name, const char *value,
                         inf_error *err);
/* Adds all of `from`. */
int32_t http_headers_add_all(struct http_headers *h, const struct http_headers *from,
                             inf_error *err);
struct http_headers *http_headers_ref(struct http_headers *h);
void http_headers_unref(struct http_headers *h); /* NULL is ignored */

/*
 * How many exchanges run with a server at once, of those that are given it: at most `max`, less where
 * the process may have few descriptors. The rest wait in order; cancelling ends them there. It says so in
 * the log once. One client's. NO_MEMORY.
 */
struct http_gate;
int32_t http_gate_create(struct http_gate **out, int32_t max, inf_error *err);
void http_gate_release(struct http_gate *g); /* NULL is ignored */

enum http_retry {
    /* Sent again only when not one byte of it was sent (on a new connection each time, so that a
     * kept one that the server has just closed leaves no doubt): for what must not happen twice. */
    HTTP_RETRY_UNSENT = 0,
    /* Sent again, up to `max_retries` times, after a failed or lost connection, a connect timeout
     * and 408, 409, 429 and 5xx, as long as on_data was not called. Waits 0.5 s, 1 s, ... 8 s less
     * up to a quarter at random; a Retry-After (or retry-after-ms) up to 60 s is waited for
     * exactly. When the wait would outlast the whole operation's timeout the error comes now. */
    HTTP_RETRY_GENERATION = 1
};

/* The head of an answer. */
struct http_head {
    int32_t status;
    const char *content_type; /* lower case, no parameters: "text/event-stream"; "" when absent */
};

struct http_outcome {
    const inf_error *error; /* code INF_OK: a 2xx answer came whole */
    struct http_head head;  /* of the last answer; status 0 when there was none */
    /* Whole-body mode: the answer. Streaming: the body of an answer that was not 2xx. NUL behind
     * it, which is not counted. An error's body is cut at HTTP_ERROR_BODY_MAX. */
    const char *body;
    size_t body_len;
    bool sent;         /* some of the request may have reached the server, in whichever attempt */
    bool delivered;    /* on_data was called */
    int32_t attempts;  /* 0 when it ended before anything was tried */
    const char *proxy; /* the one it goes through, without secrets; NULL: none */
};
#define HTTP_ERROR_BODY_MAX ((size_t)64 << 10)

/*
 * error of an exchange that failed:
 *   CONNECTION   no lookup, no connection, no TLS, or it broke (detail: errno where known)
 *   TIMEOUT      connecting, silence or the whole operation; the message says which
 *   HTTP_STATUS  any answer that is not 2xx (http_status, "POST http://host/path: 404 Not Found");
 *                3xx names the Location
 *   PROTOCOL     no HTTP, an answer shorter than it said, compressed although nobody asked, a head
 *                beyond 64 KiB
 *   LIMIT        a body larger than body_max; no descriptor left (detail EMFILE)
 *   CANCELLED    http_cancel, or the client closed
 *   NO_MEMORY
 *   and whatever on_head or on_data returned
 */
struct http_callbacks {
    /* It waits no longer for its turn at the gate; comes once, before everything else. May be NULL. */
    void (*on_begin)(void *owner);
    /* A 2xx head came. May be NULL. Comes again, with a new head, after a retry. Returns INF_OK, or
     * ends the exchange with the code it returns and what it wrote to err. */
    int32_t (*on_head)(void *owner, const struct http_head *head, inf_error *err);
    /* Bytes of a 2xx body as they come (at least one; the buffer is lent). NULL: whole-body mode.
     * Returns INF_OK; HTTP_ENOUGH when the owner has all it needs: the exchange then ends well at
     * once, with nothing more delivered (what the server has yet to say is read away for up to a
     * second, so that its connection can be used again); or ends it with an error as on_head does. */
    int32_t (*on_data)(void *owner, const char *data, size_t len, inf_error *err);
    /* Exactly once, last, whatever happened. What `outcome` points to is gone afterwards. */
    void (*on_done)(void *owner, const struct http_outcome *outcome);
};
#define HTTP_ENOUGH (-1)

struct http_request {
    const char *method; /* "GET", "POST", "DELETE", ... */
    const char *url;    /* http or https; copied. Messages show it without user, password, query */
    struct http_headers *headers; /* may be NULL; the exchange takes a reference of its own */
    char *body;                   /* from core/memory.h; taken over when http_start succeeds */
    size_t body_len;              /* sent with Content-Length */
    struct http_gate *gate;       /* where it waits for its turn; the exchange takes a reference of
                                     its own; NULL: it does not wait */
    bool direct;                  /* through no proxy, whatever the environment says */
    int64_t connect_ms;  /* lookup, TCP, TLS; each attempt; 5,000; -1, here and below: no limit */
    int64_t silence_ms;  /* between bytes of the body, counted from its first byte; 60,000 */
    int64_t total_ms;    /* everything from on_begin on, retries and their waits too; 600,000 */
    int32_t retry;       /* enum http_retry; HTTP_RETRY_UNSENT */
    int32_t max_retries; /* 2; HTTP_RETRY_UNSENT too, 0: never */
    size_t body_max;     /* whole-body mode: a larger answer is LIMIT; 16 MiB */
    const struct http_callbacks *callbacks; /* static storage; on_done is needed */
    void *owner;
};

/* Every field that has a default; the others zero. */
void http_request_default(struct http_request *r);

/*
 * Starts an exchange; does no I/O itself. *out (`out` may be NULL) is a reference to give back with
 * http_exchange_release, at any time. On an error nothing is called back and the body is still the
 * caller's. INVALID_ARGUMENT: a URL that is no http or https one, a timeout that is not positive,
 * a method that is no token, a proxy variable that this URL needs and that is no proxy. STATE: the
 * client is closing. NO_MEMORY.
 */
int32_t http_start(struct http_exchange **out, struct http_client *c, const struct http_request *r,
                   inf_error *err);

/* Ends the exchange at once with CANCELLED unless it ended before: HTTP/1 closes its connection,
 * HTTP/2 resets its stream and the neighbours go on. Returns at once; on_done comes later, on the
 * I/O thread. NULL and an exchange that is done are ignored. */
void http_cancel(struct http_exchange *x);
/* Does not cancel. NULL is ignored. */
void http_exchange_release(struct http_exchange *x);

#ifdef __cplusplus
}
#endif

#endif
