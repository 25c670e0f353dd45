/* url: see the header. */
#include "http/url.h"

#include "core/ascii.h"
#include "core/buffer.h"
#include "core/memory.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ------------------------------------------------------------------ parsing */

static bool is_host_char(char c)
{
    return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
}

int url_address(const char *host, size_t n, unsigned char *out)
{
    char text[INET6_ADDRSTRLEN];

    if (n == 0 || n >= sizeof text)
        return 0;
    memcpy(text, host, n);
    text[n] = '\0';
    if (inet_pton(AF_INET, text, out) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, text, out) == 1 ? AF_INET6 : 0;
}

/* A host whose last label is a number is an IPv4 address to everyone who reads URLs. */
static bool ends_in_number(const char *host, size_t n)
{
    size_t at = n;

    while (at > 0 && host[at - 1] != '.')
        at--;
    return at < n && is_digit(host[at]) &&
           (strspn(host + at, "0123456789") >= n - at ||
            (host[at] == '0' && n - at > 1 && (host[at + 1] == 'x' || host[at + 1] == 'X')));
}

static const char *parse_host(struct url *out, const char *p, const char *end)
{
    unsigned char address[16];
    const char *host = p;
    int family = 0;

    if (p < end && *p == '[') {
        const char *close = memchr(p, ']', (size_t)(end - p));

        if (!close || url_address(p + 1, (size_t)(close - p - 1), address) != AF_INET6)
            return NULL;
        out->host = p + 1;
        out->host_len = (size_t)(close - p - 1);
        out->literal = true;
        return close + 1;
    }
    while (p < end && is_host_char(*p))
        p++;
    out->host = host;
    out->host_len = (size_t)(p - host);
    family = url_address(host, out->host_len, address);
    out->literal = family == AF_INET;
    if (out->host_len == 0 || out->host_len > 253 ||
        (!out->literal && ends_in_number(host, out->host_len)))
        return NULL;
    return p;
}

static bool parse_port(struct url *out, const char *p, const char *end)
{
    unsigned port = 0;

    out->port = out->tls ? 443 : 80;
    if (p == end)
        return true;
    if (*p++ != ':')
        return false;
    if (p == end)
        return true;
    for (; p < end; p++)
        if (!is_digit(*p) || (port = port * 10 + (unsigned)(*p - '0')) > 65535)
            return false;
    out->port = (uint16_t)port;
    out->has_port = true;
    return port > 0;
}

static bool parse(struct url *out, const char *text)
{
    size_t n = strnlen(text, URL_MAX + 1);
    const char *p = text;
    const char *end = NULL;
    const char *at = NULL;

    *out = (struct url){0};
    for (size_t i = 0; i < n; i++)
        if (text[i] < 0x21 || text[i] > 0x7e || text[i] == '\\')
            return false;
    if (n > URL_MAX)
        return false;
    if (strncasecmp(p, "https://", 8) == 0)
        out->tls = true;
    else if (strncasecmp(p, "http://", 7) != 0)
        return false;
    p += out->tls ? 8 : 7;
    end = p + strcspn(p, "/?#");
    out->path = end;
    out->path_len = (size_t)(text + n - end);
    at = memrchr(p, '@', (size_t)(end - p));
    if (at) {
        out->user = p;
        out->user_len = (size_t)(at - p);
        p = at + 1;
    }
    p = parse_host(out, p, end);
    return p && parse_port(out, p, end);
}

int32_t url_parse(struct url *out, const char *text, inf_error *err)
{
    char shown[160];

    if (text && parse(out, text))
        return INF_OK;
    if (!text || !*text)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "the URL is empty; it should look like http://host:8100/v1");
    return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                     "'%s' is no http or https URL; it should look like http://host:8100/v1",
                     url_display(shown, sizeof shown, text));
}

/* ------------------------------------------------------------------ spelling */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool write_base(struct buffer *b, const struct url *u)
{
    bool v6 = memchr(u->host, ':', u->host_len) != NULL;
    size_t path_len = u->path_len;
    size_t at = 0;
    bool ok = buffer_append_str(b, u->tls ? "https://" : "http://");

    if (u->user)
        ok = ok && buffer_append(b, u->user, u->user_len) && buffer_append(b, "@", 1);
    ok = ok && buffer_append_str(b, v6 ? "[" : "");
    at = b->len;
    ok = ok && buffer_append(b, u->host, u->host_len) && buffer_append_str(b, v6 ? "]" : "");
    for (; ok && at < b->len; at++)
        b->data[at] = lower(b->data[at]);
    if (u->port != (u->tls ? 443 : 80))
        ok = ok && buffer_printf(b, ":%u", (unsigned)u->port);
    while (path_len > 0 && u->path[path_len - 1] == '/')
        path_len--;
    return ok && buffer_append(b, u->path, path_len);
}

int32_t url_normalize(char **out, const char *base, inf_error *err)
{
    struct url u;
    struct buffer b;
    char shown[160];
    int32_t code = url_parse(&u, base, err);

    *out = NULL;
    if (code != INF_OK)
        return code;
    if (u.path[strcspn(u.path, "?#")] != '\0')
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "the base URL %s has a query or a fragment behind it; leave that out",
                         url_display(shown, sizeof shown, base));
    buffer_init(&b, BUFFER_NO_LIMIT);
    if (!write_base(&b, &u)) {
        buffer_free(&b);
        return error_no_memory(err);
    }
    *out = b.data;
    return INF_OK;
}

char *url_join(const char *base, const char *path)
{
    size_t n = strlen(base);
    size_t m = strlen(path);
    char *url = mem_alloc(n + m + 1);

    if (url) {
        memcpy(url, base, n);
        memcpy(url + n, path, m + 1);
    }
    return url;
}

bool url_ends_in(const char *base, const char *path)
{
    struct url u;
    size_t n = strlen(path);

    return parse(&u, base) && u.path_len >= n && strcmp(u.path + u.path_len - n, path) == 0;
}

char *url_without(const char *base, const char *path)
{
    size_t n = strlen(base);

    return mem_strndup(base, url_ends_in(base, path) ? n - strlen(path) : n);
}

bool url_is_local_name(const char *host, size_t n)
{
    static const char name[] = ".localhost";
    size_t m = sizeof name - 1;

    return (n == m - 1 && strncasecmp(host, name + 1, n) == 0) ||
           (n > m && strncasecmp(host + n - m, name, m) == 0);
}

bool url_is_loopback(const char *url)
{
    static const unsigned char any[16] = {0};
    static const unsigned char one[16] = {[15] = 1};
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    unsigned char a[16];
    struct url u;

    if (!parse(&u, url))
        return false;
    switch (url_address(u.host, u.host_len, a)) {
    case AF_INET:
        return a[0] == 127 || memcmp(a, any, 4) == 0;
    case AF_INET6:
        return memcmp(a, one, 16) == 0 || memcmp(a, any, 16) == 0 ||
               (memcmp(a, mapped, 12) == 0 && (a[12] == 127 || memcmp(a + 12, any, 4) == 0));
    default:
        return url_is_local_name(u.host, u.host_len);
    }
}

char *url_display(char *out, size_t size, const char *url)
{
    const char *host = strstr(url, "://");
    size_t scheme = 0;
    size_t n = 0;
    const char *at = NULL;

    host = host ? host + 3 : url;
    scheme = (size_t)(host - url);
    n = strcspn(host, "?#");
    at = memrchr(host, '@', strcspn(host, "/?#"));
    if (at) {
        n -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    snprintf(out, size, "%.*s%.*s", (int)(scheme < 16 ? scheme : 16), url,
             (int)(n < URL_MAX ? n : URL_MAX), host);
    return out;
}

/* ------------------------------------------------------------------ lists */

void url_list_free(struct url_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        mem_free(list->urls[i]);
    mem_free(list->urls);
    *list = (struct url_list){0};
}

/* Without "/v1" and slashes at its end. */
static size_t path_without_v1(const struct url *u)
{
    size_t n = u->path_len;

    while (n > 0 && u->path[n - 1] == '/')
        n--;
    if (n >= 3 && memcmp(u->path + n - 3, "/v1", 3) == 0)
        n -= 3;
    while (n > 0 && u->path[n - 1] == '/')
        n--;
    return n;
}

static bool same_host(const struct url *a, const struct url *b)
{
    unsigned char x[16], y[16];
    int family = url_address(a->host, a->host_len, x);
    size_t n = a->host_len, m = b->host_len;

    if (family)
        return family == url_address(b->host, b->host_len, y) &&
               memcmp(x, y, family == AF_INET ? 4 : 16) == 0;
    n -= a->host[n - 1] == '.';
    m -= b->host[m - 1] == '.';
    return n == m && strncasecmp(a->host, b->host, n) == 0;
}

/* Two base URLs of one server: the same scheme, port, path (with "/v1" at its end or without) and
 * host, by its address or by its name in any case. Credentials do not count. */
static bool is_same_server(const char *a, const char *b)
{
    struct url x, y;
    size_t n = 0;

    if (!parse(&x, a) || !parse(&y, b))
        return false;
    n = path_without_v1(&x);
    return x.tls == y.tls && x.port == y.port && same_host(&x, &y) && n == path_without_v1(&y) &&
           memcmp(x.path, y.path, n) == 0;
}

static int32_t add_url(struct url_list *list, const char *text, size_t n, inf_error *err)
{
    char *piece = NULL;
    char shown[160];
    int32_t code = INF_OK;

    for (; n > 0 && (*text == ' ' || *text == '\t'); n--)
        text++;
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    if (n == 0 || list->n == URL_LIST_MAX)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         n ? "the base URL lists more than %d servers"
                           : "the base URL lists an empty one among at most %d servers; check its "
                             "commas",
                         URL_LIST_MAX);
    piece = mem_strndup(text, n);
    if (!piece)
        return error_no_memory(err);
    code = url_normalize(&list->urls[list->n], piece, err);
    mem_free(piece);
    if (code != INF_OK)
        return code;
    list->n++;
    for (size_t i = 0; i + 1 < list->n; i++)
        if (is_same_server(list->urls[i], list->urls[list->n - 1]))
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "the base URL lists the server %s twice",
                             url_display(shown, sizeof shown, list->urls[i]));
    return INF_OK;
}

int32_t url_list_parse(struct url_list *out, const char *text, inf_error *err)
{
    int32_t code = INF_OK;

    *out = (struct url_list){.urls = mem_calloc(URL_LIST_MAX, sizeof *out->urls)};
    if (!out->urls)
        return error_no_memory(err);
    for (const char *p = text; code == INF_OK; p++) {
        size_t n = strcspn(p, ",");

        code = add_url(out, p, n, err);
        p += n;
        if (*p == '\0')
            break;
    }
    if (code == INF_ERROR_INVALID_ARGUMENT)
        error_prefix(err, "base_url"); /* which of a provider's fields it was */
    if (code != INF_OK)
        url_list_free(out);
    return code;
}
