/*
 * environment: the proxy and CA variables that curl users set, read once, and which URL goes through
 * which proxy. Owned by the client, constant after it was read: any thread.
 */
#ifndef INF_HTTP_ENVIRONMENT_H
#define INF_HTTP_ENVIRONMENT_H

#include "http/url.h"

struct proxy {
    char *url;      /* as curl takes it; NULL: none */
    char host[256]; /* to look up; "" when it is an address or a local name */
    uint16_t port;
    bool local_lookup; /* socks4, socks5: the target's name is looked up here */
};

struct environment {
    struct proxy http, https;
    char *no_proxy; /* may be NULL */
    char *ca_file, *ca_folder;
};

/* INVALID_ARGUMENT when a proxy variable is no proxy; its message names it without secrets. */
int32_t environment_read(struct environment *e, inf_error *err);
void environment_free(struct environment *e);

/* The proxy for this URL; one whose url is NULL: none. */
const struct proxy *environment_proxy(const struct environment *e, const struct url *u);
/* Whether a no_proxy list (NULL: empty) names the host. */
bool environment_excluded(const char *no_proxy, const char *host, size_t n);

#endif
