/*
 * headers: lists of header fields as libcurl reads them, made once and shared. Constant once an
 * exchange has one, so that no lock is needed; the count of references is atomic.
 */
#include "http/internal.h"

#include "core/memory.h"

#include <string.h>
#include <strings.h>

#define HEADERS_MAX 256
#define HEADER_MAX ((size_t)16 << 10)

/* The nodes are ours: libcurl only reads them. The fixed ones say what it must not send itself. */
struct http_headers {
    _Atomic int32_t refs;
    size_t n;
    struct curl_slist *first;
    struct curl_slist no_expect, no_type;
};

static char expect[] = "Expect:";
static char content_type[] = "Content-Type:";

int32_t http_headers_create(struct http_headers **out, inf_error *err)
{
    struct http_headers *h = mem_calloc(1, sizeof *h);

    *out = h;
    if (!h)
        return error_no_memory(err);
    atomic_init(&h->refs, 1);
    h->no_expect = (struct curl_slist){.data = expect, .next = &h->no_type};
    h->no_type = (struct curl_slist){.data = content_type};
    h->first = &h->no_expect;
    return INF_OK;
}

struct http_headers *http_headers_ref(struct http_headers *h)
{
    atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    return h;
}

void http_headers_unref(struct http_headers *h)
{
    if (!h || atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (h->first != &h->no_expect) {
        struct curl_slist *node = h->first;

        h->first = node->next;
        mem_free(node->data);
        mem_free(node);
    }
    mem_free(h);
}

struct curl_slist *headers_list(struct http_headers *h)
{
    return h->first;
}

bool http_is_token(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && n < 128 &&
           strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == n;
}

static bool is_ours(const char *name)
{
    static const char *const ours[] = {"Host",       "Content-Length", "Transfer-Encoding",
                                       "Connection", "Expect",         "Accept-Encoding"};

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcasecmp(name, ours[i]) == 0)
            return true;
    return false;
}

static bool has_control(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
            return true;
    return false;
}

static bool is_named(const char *line, const char *name, size_t n)
{
    return strncasecmp(line, name, n) == 0 && (line[n] == ':' || line[n] == ';');
}

/* "Name: value"; "Name;" is how libcurl is told of an empty value. */
static char *make_line(const char *name, const char *value)
{
    struct buffer line;

    buffer_init(&line, BUFFER_NO_LIMIT);
    if (!buffer_printf(&line, *value ? "%s: %s" : "%s;%s", name, value))
        buffer_free(&line);
    return line.data;
}

int32_t http_headers_add(struct http_headers *h, const char *name, const char *value,
                         inf_error *err)
{
    struct curl_slist *node = NULL;
    char *line = NULL;

    if (!http_is_token(name) || is_ours(name))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "header '%.100s': not a header name that can be set", name);
    value += strspn(value, " \t");
    if (strnlen(value, HEADER_MAX + 1) > HEADER_MAX || has_control(value))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "header %s: its value is too long or has control characters", name);
    line = make_line(name, value);
    if (!line)
        return error_no_memory(err);
    for (node = h->first; node != &h->no_expect; node = node->next) {
        if (is_named(node->data, name, strlen(name))) {
            mem_free(node->data);
            node->data = line;
            return INF_OK;
        }
    }
    node = h->n < HEADERS_MAX ? mem_alloc(sizeof *node) : NULL;
    if (!node) {
        mem_free(line);
        return h->n < HEADERS_MAX ? error_no_memory(err)
                                  : error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, HEADERS_MAX,
                                                     "more than %d headers", HEADERS_MAX);
    }
    *node = (struct curl_slist){.data = line, .next = h->first};
    h->first = node;
    h->n++;
    if (strcasecmp(name, "Content-Type") == 0)
        h->no_expect.next = NULL;
    return INF_OK;
}

int32_t http_headers_add_all(struct http_headers *h, const struct http_headers *from,
                             inf_error *err)
{
    char name[128];
    int32_t code = INF_OK;

    for (const struct curl_slist *node = from->first; code == INF_OK && node != &from->no_expect;
         node = node->next) {
        size_t n = strcspn(node->data, ":;");
        const char *value = node->data[n] == ';' ? "" : node->data + n + 1;

        memcpy(name, node->data, n);
        name[n] = '\0';
        code = http_headers_add(h, name, value, err);
    }
    return code;
}
