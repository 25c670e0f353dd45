/*
 * environment: the proxy and CA variables that curl users set, read once, and which URL goes through
 * which proxy. Owned by the client, constant after it was read: any thread.
 */
#ifndef INF_HTTP_ENVIRONMENT_H
#define INF_HTTP_ENVIRONMENT_H

#include "http/url.h"

struct proxy {
    char *url;          /* as curl takes it; NULL: none */
    char *self;         /* the proxy as a web server, "http://host:port/"; NULL for SOCKS */
    const char *broken; /* the variable whose value is no proxy; NULL: it is one */
    char host[256];     /* to look up; "" when it is an address or a local name */
    uint16_t port;
    bool local_lookup; /* socks4, socks5: the target's name is looked up here */
};

struct environment {
    struct proxy http, https;
    char *no_proxy; /* may be NULL */
    char *ca_file, *ca_folder;
};

/* Errors: NO_MEMORY. A variable that is no proxy matters to who needs it: see environment_proxy. */
int32_t environment_read(struct environment *e, inf_error *err);
void environment_free(struct environment *e);

/* The file with the system's certificate authorities, for a libcurl that was built on another
 * distribution: `own`, its own (may be NULL), when that can be read, else the first of a NULL-ended list
 * that can; NULL when none can. */
const char *environment_ca_file(const char *own, const char *const *known);

/* One whose url is NULL. */
extern const struct proxy no_proxy_at_all;

/* The proxy for this URL; one whose url is NULL: none. INVALID_ARGUMENT when this URL would go
 * through one and the variable's value is none; the message names the variable, without secrets. */
int32_t environment_proxy(const struct proxy **out, const struct environment *e,
                          const struct url *u, inf_error *err);
/* Whether a no_proxy list (NULL: empty) names the host. */
bool environment_excluded(const char *no_proxy, const char *host, size_t n);

#endif
