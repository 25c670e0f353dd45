/* server: one server's address, and what every request to it carries. Immutable once opened. */
#ifndef INF_REMOTE_SERVER_H
#define INF_REMOTE_SERVER_H

#include "core/error.h"
#include "http/http.h"

/* What is said of one kind of server; each provider has its own. */
struct server_words {
    const char *name;
    /* What to do when it refuses for want of a right key; with it; and without a word; since it has no
     * routes for adapters; or, else NULL, since a model is not found (its name is for each %s of two). */
    const char *no_key, *forbidden, *forbidden_silently, *no_adapters, *no_model;
    const char *base; /* what to do when it does not know a route */
    /* Of a bearer token: the variable it comes from without api_key; or, else NULL, what is sent when nobody set
     * one, unless the URL or the headers hold credentials. */
    const char *key_variable, *any_key;
};

struct server {
    const struct server_words *words; /* static */
    char *base;                       /* normalised, "http://localhost:8100/v1" */
    char *root;                       /* the same without /v1 */
    struct http_headers *headers;
    int64_t connect_ms, silence_ms; /* of every request to it */
    int32_t max_retries;            /* of a generation */
    char shown[256];                /* for messages: no secrets in it */
    bool loopback;                  /* it is this machine, as far as is told by server_is_here */
    struct http_gate *gate;         /* of generations: other calls do not wait behind them */
};

/* Whether a URL is of this machine, told without asking any name server: what url_is_loopback knows,
 * an address of one of its interfaces, its host name, whole or up to the first dot. Another name that
 * leads here (a DNS alias, one of /etc/hosts) is not seen, nor is a proxy in between. */
bool server_is_here(const char *url);

/* One of a configuration's servers. url: normalised; "/v1" is added to one without any path; user and
 * password in it are sent as basic authorization. Errors: INVALID_ARGUMENT (among them two that want to be
 * the Authorization header: nothing is dropped in silence), NO_MEMORY. */
int32_t server_open(struct server *s, const struct server_words *words, const char *url,
                    const inf_provider_config *config, inf_error *err);
void server_close(struct server *s);

/* The server's headers and further "Name: value" lines, each on a line of its own; without lines,
 * the server's own list. A reference either way. */
int32_t server_headers(struct http_headers **out, const struct server *s, inf_text lines,
                       inf_error *err);

/* What every request to it begins with. */
void server_request(struct http_request *out, const struct server *s);

#endif
