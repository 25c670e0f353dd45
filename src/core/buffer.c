/* buffer: see the header. */
#include "core/buffer.h"

#include "core/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buffer_init(struct buffer *b, size_t limit)
{
    *b = (struct buffer){.limit = limit};
}

static bool reserve(struct buffer *b, size_t extra)
{
    size_t need = 0;
    size_t cap = b->cap ? b->cap : 64;
    char *data = NULL;

    if (!size_add(b->len, extra, &need) || need > b->limit || !size_add(need, 1, &need))
        return false;
    if (need <= b->cap)
        return true;
    while (cap < need)
        if (!size_mul(cap, 2, &cap))
            return false;
    data = mem_realloc(b->data, cap);
    if (!data)
        return false;
    b->data = data;
    b->cap = cap;
    data[b->len] = '\0';
    return true;
}

bool buffer_reserve(struct buffer *b, size_t extra)
{
    bool ok = reserve(b, extra);

    b->failed = b->failed || !ok;
    return ok;
}

bool buffer_append(struct buffer *b, const void *data, size_t n)
{
    if (!buffer_reserve(b, n))
        return false;
    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = '\0';
    return true;
}

bool buffer_append_str(struct buffer *b, const char *s)
{
    return buffer_append(b, s, strlen(s));
}

bool buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    int n = 0;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !buffer_reserve(b, (size_t)n))
        return false;
    va_start(args, format);
    vsnprintf(b->data + b->len, (size_t)n + 1, format, args);
    va_end(args);
    b->len += (size_t)n;
    return true;
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

void buffer_free(struct buffer *b)
{
    mem_free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
    b->failed = false;
}
