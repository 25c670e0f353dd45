/*
 * probe: whether a proxy is there at all. A request that goes through one as plain HTTP is the proxy's from
 * its connection on: where no answer comes, the server may be slow, as it may be for minutes, or the proxy
 * may take connections and do nothing. So a request that waits longer than a connection may take has the
 * proxy asked for a page of its own, as a web server is: any proxy has something to say to that, if only
 * that it is none. One that has nothing to say, for as long again, is not waited for.
 *
 * I/O thread only. The client has one such proxy, and one probe of it at a time.
 */
#include "http/internal.h"

#define AGAIN_MS 60000

static bool waits(const struct http_exchange *x)
{
    return x->phase == PHASE_TRANSFER && x->proxy == &x->client->environment.http &&
           x->head_bytes == 0;
}

static bool is_silent(const inf_error *err, const struct http_outcome *outcome)
{
    return err->code == INF_ERROR_TIMEOUT || (err->code == INF_ERROR_CONNECTION && !outcome->sent);
}

/* Tells those that had it asked, and those that would have: they began to wait in the meantime. */
static void told(void *owner, const struct http_outcome *outcome)
{
    struct http_client *c = owner;
    bool silent = is_silent(outcome->error, outcome);
    struct http_exchange *next = NULL;

    c->probing = false;
    for (struct http_exchange *x = c->exchanges; x && !c->stopped; x = next) {
        next = x->next;
        if (waits(x) && x->proxy_due == HTTP_NEVER)
            exchange_of_proxy(x, silent, http_after(uv_now(&c->loop), AGAIN_MS));
    }
}

void probe_proxy(struct http_exchange *x)
{
    static const struct http_callbacks callbacks = {.on_done = told};
    struct http_client *c = x->client;
    struct http_request r;

    x->proxy_due = HTTP_NEVER;
    if (c->probing)
        return;
    http_request_default(&r);
    r.method = "GET";
    r.url = x->proxy->self;
    r.direct = true;
    r.connect_ms = r.total_ms = x->asked.connect_ms;
    r.max_retries = 0;
    r.callbacks = &callbacks;
    r.owner = c;
    c->probing = http_start(NULL, c, &r, NULL) == INF_OK;
}
