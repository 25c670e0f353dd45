/* server: see the header. */
#include "remote/server.h"

#include "core/ascii.h"
#include "core/buffer.h"
#include "core/memory.h"
#include "http/url.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 16 * 1024 };

/* ------------------------------------------------------------------ headers */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One "Name: value" of len bytes. */
static int32_t add_line(struct http_headers *h, const char *line, size_t len, inf_error *err)
{
    const char *colon = NULL;
    char *copy = NULL;
    char *value = NULL;
    int32_t code = INF_OK;

    while (len && is_blank(line[len - 1]))
        len--;
    if (len == 0)
        return INF_OK;
    colon = memchr(line, ':', len);
    if (!colon || len > LINE_MAX_LEN || memchr(line, '\0', len))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "extra_headers: a line is not \"Name: value\"");
    copy = mem_strndup(line, len);
    if (!copy)
        return error_no_memory(err);
    value = copy + (colon - line);
    *value++ = '\0';
    while (is_blank(*value))
        value++;
    code = http_headers_add(h, copy, value, err);
    mem_free(copy);
    return code;
}

static int32_t add_lines(struct http_headers *h, inf_text lines, inf_error *err)
{
    const char *at = lines.data;
    const char *end = at ? at + lines.len : at;
    int32_t code = INF_OK;

    while (at < end && code == INF_OK) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;

        code = add_line(h, at, (size_t)(stop - at), err);
        at = newline ? newline + 1 : end;
    }
    return code;
}

/* What is sent as a bearer token. */
struct server_key {
    const char *value; /* NULL or "": none */
    const char *name;  /* where it comes from, for messages: "api_key", "VLLM_API_KEY" */
    bool optional; /* nobody set it: gives way to credentials that the URL or the headers hold */
};

static struct server_key key_of(const struct server_words *words, const inf_provider_config *config)
{
    if (config->api_key || !words->key_variable)
        return (struct server_key){config->api_key ? config->api_key : words->any_key, "api_key",
                                   !config->api_key};
    return (struct server_key){getenv(words->key_variable), words->key_variable, false};
}

static int32_t add_key(struct http_headers *h, const struct server_key *key, inf_error *err)
{
    struct buffer value;
    int32_t code = INF_OK;

    if (text_has_control(key->value))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "%s: holds a control character (a line end at its end?); give the key "
                         "alone",
                         key->name);
    buffer_init(&value, LINE_MAX_LEN);
    if (!buffer_append_str(&value, "Bearer ") || !buffer_append_str(&value, key->value))
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "%s: is too long", key->name);
    if (code == INF_OK)
        code = http_headers_add(h, "Authorization", value.data, err);
    buffer_free(&value);
    return code;
}

/* Whether one of the lines is an Authorization header. */
static bool authorizes(inf_text lines)
{
    static const char name[] = "authorization:";
    const char *end = lines.data ? lines.data + lines.len : NULL;

    for (const char *at = lines.data; at && at < end; at++) {
        if ((size_t)(end - at) >= sizeof name - 1 && strncasecmp(at, name, sizeof name - 1) == 0)
            return true;
        at = memchr(at, '\n', (size_t)(end - at));
        if (!at)
            break;
    }
    return false;
}

/* Of what could be the Authorization header there may be one; a key that nobody set gives way. */
static int32_t add_authorization(struct server *s, bool in_url, const inf_provider_config *config,
                                 inf_error *err)
{
    const struct server_key key = key_of(s->words, config);
    bool in_headers = authorizes(inf_str(config->headers));
    bool keyed = key.value && *key.value && !(key.optional && (in_url || in_headers));

    if (in_url && (keyed || in_headers))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "base_url holds a user and password, and %s is set: both would be the "
                         "Authorization header; take one of them away",
                         keyed ? key.name : "an Authorization line of headers");
    if (keyed && in_headers)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "headers has an Authorization line, and %s is set: take one of them away "
                         "(api_key \"\" sends no key)",
                         key.name);
    return keyed ? add_key(s->headers, &key, err) : INF_OK;
}

int32_t server_headers(struct http_headers **out, const struct server *s, inf_text lines,
                       inf_error *err)
{
    int32_t code = INF_OK;

    *out = NULL;
    if (lines.len == 0) {
        *out = http_headers_ref(s->headers);
        return INF_OK;
    }
    code = http_headers_create(out, err);
    if (code == INF_OK)
        code = http_headers_add_all(*out, s->headers, err);
    if (code == INF_OK)
        code = add_lines(*out, lines, err);
    if (code != INF_OK) {
        http_headers_unref(*out);
        *out = NULL;
    }
    return code;
}

/* ------------------------------------------------------------------ the address */

static bool is_host(const struct url *u, const char *name, size_t n)
{
    return n > 0 && u->host_len == n && strncasecmp(u->host, name, n) == 0;
}

static bool is_own_name(const struct url *u)
{
    char name[256] = "";

    if (u->literal || gethostname(name, sizeof name - 1) != 0)
        return false;
    return is_host(u, name, strlen(name)) || is_host(u, name, strcspn(name, "."));
}

static const void *address_of(const struct sockaddr *sa)
{
    const void *any = sa;

    return sa->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)any)->sin_addr
                                    : (const void *)&((const struct sockaddr_in6 *)any)->sin6_addr;
}

static bool is_own_address(const struct url *u)
{
    unsigned char wanted[16];
    int family = u->literal ? url_address(u->host, u->host_len, wanted) : 0;
    struct ifaddrs *all = NULL;
    bool found = false;

    if (!family || getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next)
        found = i->ifa_addr && i->ifa_addr->sa_family == family &&
                memcmp(address_of(i->ifa_addr), wanted, family == AF_INET ? 4 : 16) == 0;
    freeifaddrs(all);
    return found;
}

bool server_is_here(const char *url)
{
    struct url u;

    return url_is_loopback(url) ||
           (url_parse(&u, url, NULL) == INF_OK && (is_own_name(&u) || is_own_address(&u)));
}

/* A URL that is copied from elsewhere often has the route of a request at its end. */
static int32_t check_route(const char *url, inf_error *err)
{
    /* under: what of it is the base's own; without it the word is too common to be a route. */
    static const struct {
        const char *under, *route;
    } routes[] = {{"", "/chat/completions"},    {"", "/completions"}, {"", "/api/chat"},
                  {"", "/api/generate"},        {"", "/api/tags"},    {"", "/api/show"},
                  {"", "/api/version"},         {"", "/api/ps"},      {"", "/load_lora_adapter"},
                  {"", "/unload_lora_adapter"}, {"/v1", "/models"},   {"/v1", "/chat"},
                  {"/v1", "/responses"},        {"/v1", "/messages"}, {"/v1", "/embeddings"}};

    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        char *base = url_ends_in(url, routes[i].route) ? url_without(url, routes[i].route) : NULL;
        char shown[256];

        if (base && *routes[i].under && !url_ends_in(base, routes[i].under)) {
            mem_free(base);
            base = NULL;
        }
        if (!base)
            continue;
        url_display(shown, sizeof shown, base);
        mem_free(base);
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "base_url ends in the route %s, which is no part of it; give the base: %s",
                         routes[i].route, shown);
    }
    return INF_OK;
}

static int32_t set_urls(struct server *s, const char *url, bool *authorized, inf_error *err)
{
    struct url parts;
    int32_t code = url_parse(&parts, url, err);

    if (code == INF_OK)
        code = check_route(url, err);
    if (code != INF_OK)
        return code;
    s->base = parts.path_len == 0 ? url_join(url, "/v1") : mem_strdup(url);
    s->root = s->base ? url_without(s->base, "/v1") : NULL;
    if (!s->base || !s->root)
        return error_no_memory(err);
    *authorized = parts.user_len > 0;
    url_display(s->shown, sizeof s->shown, s->base);
    s->loopback = server_is_here(s->base);
    return INF_OK;
}

int32_t server_open(struct server *s, const struct server_words *words, const char *url,
                    const inf_provider_config *config, inf_error *err)
{
    bool authorized = false; /* by the URL */
    int32_t code = INF_OK;

    *s = (struct server){.words = words,
                         .connect_ms = config->connect_timeout_ms,
                         .silence_ms = config->silence_timeout_ms,
                         .max_retries = config->max_retries};
    code = set_urls(s, url, &authorized, err);
    if (code == INF_OK)
        code = http_headers_create(&s->headers, err);
    if (code == INF_OK)
        code = http_headers_add(s->headers, "Content-Type", "application/json", err);
    if (code == INF_OK)
        code = add_authorization(s, authorized, config, err);
    if (code == INF_OK)
        code = add_lines(s->headers, inf_str(config->headers), err);
    if (code == INF_OK)
        code = http_gate_create(&s->gate, config->max_connections, err);
    if (code != INF_OK)
        server_close(s);
    return code;
}

void server_request(struct http_request *out, const struct server *s)
{
    http_request_default(out);
    out->headers = s->headers;
    out->connect_ms = s->connect_ms;
    out->silence_ms = s->silence_ms;
}

void server_close(struct server *s)
{
    http_headers_unref(s->headers);
    http_gate_release(s->gate);
    mem_free(s->base);
    mem_free(s->root);
    *s = (struct server){0};
}
