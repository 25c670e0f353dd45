/*
 * buffer: a growing byte buffer with a hard cap. Always NUL-terminated once it has data.
 * Not thread-safe: its owner guards it.
 */
#ifndef INF_CORE_BUFFER_H
#define INF_CORE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BUFFER_NO_LIMIT ((size_t) - 1)

struct buffer {
    char *data; /* NULL while empty */
    size_t len;
    size_t cap;
    size_t limit; /* appends beyond it fail */
    bool failed;  /* one did, since it was empty: for who looks once, behind many */
};

void buffer_init(struct buffer *b, size_t limit);
/* false when out of memory or beyond the limit: the buffer is as it was. */
bool buffer_append(struct buffer *b, const void *data, size_t n);
bool buffer_append_str(struct buffer *b, const char *s);
bool buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buffer_reserve(struct buffer *b, size_t extra);
void buffer_clear(struct buffer *b); /* keeps the memory */
void buffer_free(struct buffer *b);

#ifdef __cplusplus
}
#endif

#endif
