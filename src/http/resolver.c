/*
 * resolver: hosts' addresses, from libuv's thread pool, kept for a minute. One lookup a host at a
 * time, however many exchanges wait for it. I/O thread only; the pool's threads see nothing of ours
 * but the host's name, which libuv copies.
 */
#include "http/internal.h"

#include "core/memory.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KEPT_MS 60000
#define LOOKUPS_MAX 256
#define ADDRESSES_MAX 16

struct lookup {
    struct http_client *client;
    struct lookup *next;
    uv_getaddrinfo_t request;
    bool running;
    uint64_t expires;
    char addresses[ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3)]; /* "": none known */
    struct http_exchange *waiters;
    char host[];
};

static void add_address(struct lookup *l, const struct addrinfo *info)
{
    char text[INET6_ADDRSTRLEN];
    size_t used = strlen(l->addresses);
    bool v6 = info->ai_family == AF_INET6;
    const struct sockaddr *address = info->ai_addr;
    const void *raw = NULL;

    if (info->ai_family != AF_INET && !v6)
        return;
    raw = v6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
             : (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    if (!inet_ntop(info->ai_family, raw, text, sizeof text))
        return;
    snprintf(l->addresses + used, sizeof l->addresses - used, "%s%s%s%s", used ? "," : "",
             v6 ? "[" : "", text, v6 ? "]" : "");
}

static void wake_waiters(struct lookup *l, const inf_error *err)
{
    struct http_exchange *x = l->waiters;

    l->waiters = NULL;
    for (struct http_exchange *w = x; w; w = w->next_waiter)
        w->lookup = NULL;
    while (x) {
        struct http_exchange *next = x->next_waiter;

        x->next_waiter = x->previous_waiter = NULL;
        x->client->events->resolved(x, err);
        x = next;
    }
}

static void on_addresses(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct lookup *l = request->data;
    struct http_client *c = l->client;
    inf_error err = {0};
    int n = 0;

    l->running = false;
    l->addresses[0] = '\0';
    for (const struct addrinfo *at = list; at && n < ADDRESSES_MAX; at = at->ai_next, n++)
        add_address(l, at);
    uv_freeaddrinfo(list);
    l->expires = uv_now(&c->loop) + KEPT_MS;
    if (!l->addresses[0]) {
        l->expires = 0; /* a failure is not kept: the next one asks again */
        error_set_detail(&err, INF_ERROR_CONNECTION, status,
                         "the host '%s' is not known (%s); check the URL", l->host,
                         status ? uv_strerror(status) : "it has no address");
    }
    wake_waiters(l, &err);
    c->events->settle(c);
}

/* ------------------------------------------------------------------ the cache */

static struct lookup *find(struct http_client *c, const char *host, size_t n)
{
    for (struct lookup *l = c->lookups; l; l = l->next)
        if (strncasecmp(l->host, host, n) == 0 && l->host[n] == '\0')
            return l;
    return NULL;
}

static void drop_oldest(struct http_client *c)
{
    struct lookup **oldest = NULL;

    for (struct lookup **at = &c->lookups; *at; at = &(*at)->next)
        if (!(*at)->running && (!oldest || (*at)->expires < (*oldest)->expires))
            oldest = at;
    if (oldest) {
        struct lookup *l = *oldest;

        *oldest = l->next;
        c->n_lookups--;
        mem_free(l);
    }
}

static struct lookup *add(struct http_client *c, const char *host, size_t n)
{
    struct lookup *l = NULL;

    if (c->n_lookups >= LOOKUPS_MAX)
        drop_oldest(c);
    l = mem_calloc(1, sizeof *l + n + 1);
    if (!l)
        return NULL;
    l->client = c;
    memcpy(l->host, host, n);
    l->next = c->lookups;
    c->lookups = l;
    c->n_lookups++;
    return l;
}

static int32_t start(struct lookup *l, inf_error *err)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int status = 0;

    if (l->running)
        return INF_OK;
    l->request.data = l;
    status = uv_getaddrinfo(&l->client->loop, &l->request, on_addresses, l->host, NULL, &hints);
    if (status == UV_ENOMEM)
        return error_no_memory(err);
    if (status != 0)
        return error_set_detail(err, INF_ERROR_CONNECTION, status,
                                "the host '%s' cannot be looked up (%s); check the URL", l->host,
                                uv_strerror(status));
    l->running = true;
    return INF_OK;
}

int32_t resolver_find(const char **addresses, struct http_exchange *x, const char *host, size_t n,
                      inf_error *err)
{
    struct http_client *c = x->client;
    struct lookup *l = find(c, host, n);
    int32_t code = INF_OK;

    *addresses = NULL;
    if (l && !l->running && l->expires > uv_now(&c->loop)) {
        *addresses = l->addresses;
        return INF_OK;
    }
    if (!l)
        l = add(c, host, n);
    if (!l)
        return error_no_memory(err);
    code = start(l, err);
    if (code != INF_OK)
        return code;
    x->lookup = l;
    x->previous_waiter = NULL;
    x->next_waiter = l->waiters;
    if (l->waiters)
        l->waiters->previous_waiter = x;
    l->waiters = x;
    return INF_OK;
}

void resolver_leave(struct http_exchange *x)
{
    if (!x->lookup)
        return;
    if (x->previous_waiter)
        x->previous_waiter->next_waiter = x->next_waiter;
    else
        x->lookup->waiters = x->next_waiter;
    if (x->next_waiter)
        x->next_waiter->previous_waiter = x->previous_waiter;
    x->next_waiter = x->previous_waiter = NULL;
    x->lookup = NULL;
}

void resolver_close(struct http_client *c)
{
    for (struct lookup *l = c->lookups; l; l = l->next)
        if (l->running)
            uv_cancel((uv_req_t *)&l->request);
}

void resolver_free(struct http_client *c)
{
    while (c->lookups) {
        struct lookup *l = c->lookups;

        c->lookups = l->next;
        mem_free(l);
    }
}
