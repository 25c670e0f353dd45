/*
 * url: what the client and the providers need to know about an http or https URL. Pure functions.
 *
 * Accepted: http:// and https://, an optional user and password, a host name in ASCII, an IPv4 or a
 * [bracketed IPv6] address, an optional port, a path. Refused with a message that says what a URL
 * looks like: everything else, control characters and spaces among it.
 */
#ifndef INF_HTTP_URL_H
#define INF_HTTP_URL_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define URL_MAX 4096

/* Pieces of a URL, pointing into it. */
struct url {
    bool tls;
    const char *user; /* "user:password", without the @; NULL: none */
    size_t user_len;
    const char *host; /* without brackets */
    size_t host_len;
    bool literal;  /* an IPv4 or IPv6 address */
    uint16_t port; /* the scheme's own when not given */
    bool has_port;
    const char *path; /* with its slash, "?" and all; may be "" */
    size_t path_len;
};

/* INVALID_ARGUMENT, with `text` (less what may be secret in it) in the message. */
int32_t url_parse(struct url *out, const char *text, inf_error *err);

/* A base URL in its one spelling, from mem_*: scheme and host in lower case, the scheme's own port
 * left out, no slash at the end. A query or a fragment is INVALID_ARGUMENT. */
int32_t url_normalize(char **out, const char *base, inf_error *err);

/* base (normalised) + path ("/chat/completions"). NULL: out of memory. */
char *url_join(const char *base, const char *path);
/* Whether a normalised base ends in this path: ("http://h/v1", "/v1"). */
bool url_ends_in(const char *base, const char *path);
/* A normalised base without this path at its end, as it is when it does not end so: the server's
 * root. NULL: out of memory. */
char *url_without(const char *base, const char *path);

/* localhost, *.localhost, 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/104; 0.0.0.0 and [::] too, which reach
 * this machine. */
bool url_is_loopback(const char *url);
/* localhost and *.localhost, in any case: names that need no lookup. */
bool url_is_local_name(const char *host, size_t n);

/* Of a literal address: AF_INET or AF_INET6, and its bytes as inet_pton has them, at most 16; 0: it is none. */
int url_address(const char *host, size_t n, unsigned char *out);

/* For messages: without user, password, query and fragment, cut to fit. Returns out. */
char *url_display(char *out, size_t size, const char *url);

/* A comma-separated list of base URLs, each trimmed and normalised. Empty ones, none at all and the
 * same server twice are INVALID_ARGUMENT. */
struct url_list {
    char **urls;
    size_t n;
};
#define URL_LIST_MAX 64
int32_t url_list_parse(struct url_list *out, const char *text, inf_error *err);
void url_list_free(struct url_list *list);

#ifdef __cplusplus
}
#endif

#endif
