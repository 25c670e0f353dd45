/*
 * libFuzzer target: server-sent events and NDJSON lines of any bytes. The first byte says how the
 * rest is cut into feeds; however it is cut, the same events come, and a feed of exact size on the
 * heap shows every byte read behind it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 512 };

struct seen {
    uint64_t hash;
    size_t n;
};

static void mix(struct seen *seen, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        seen->hash = (seen->hash ^ (uint8_t)bytes[i]) * UINT64_C(1099511628211);
    seen->hash = (seen->hash ^ 0x100) * UINT64_C(1099511628211);
}

static int32_t on_event(void *owner, const struct sse_event *event, inf_error *err)
{
    struct seen *seen = owner;

    (void)err;
    if (event->data_len > LIMIT || event->type_len > LIMIT)
        abort();
    mix(seen, event->type, event->type_len);
    mix(seen, event->data, event->data_len);
    seen->n++;
    return INF_OK;
}

static int32_t on_line(void *owner, const char *line, size_t len, inf_error *err)
{
    struct seen *seen = owner;

    (void)err;
    if (len == 0 || len > LIMIT || memchr(line, '\n', len))
        abort();
    mix(seen, line, len);
    seen->n++;
    return INF_OK;
}

/* Pieces of `step` bytes; of 1, 2, 3, ... bytes when it is 0. */
static int32_t feed_all(struct sse *s, struct lines *l, const uint8_t *data, size_t size,
                        size_t step)
{
    int32_t code = INF_OK;
    size_t piece = step ? step : 1;

    for (size_t at = 0; at < size && code == INF_OK;) {
        size_t n = piece < size - at ? piece : size - at;
        char *copy = malloc(n);
        inf_error err = {0};

        memcpy(copy, data + at, n);
        code = s ? sse_feed(s, copy, n, &err) : lines_feed(l, copy, n, &err);
        if (code != err.code)
            abort();
        free(copy);
        at += n;
        piece += step == 0;
    }
    return code;
}

static int32_t events(struct seen *seen, const uint8_t *data, size_t size, size_t step)
{
    struct sse s;
    int32_t code = INF_OK;

    sse_init(&s, LIMIT, on_event, seen);
    s.stray = on_line;
    code = feed_all(&s, NULL, data, size, step);
    if (code == INF_OK)
        code = sse_end(&s, NULL);
    sse_free(&s);
    return code;
}

static int32_t lines(struct seen *seen, const uint8_t *data, size_t size, size_t step)
{
    struct lines l;
    int32_t code = INF_OK;

    lines_init(&l, LIMIT, on_line, seen);
    code = feed_all(NULL, &l, data, size, step);
    if (code == INF_OK)
        code = lines_end(&l, NULL);
    lines_free(&l);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = {0}, cut = {0};
    size_t step = 0;
    int32_t code = INF_OK;

    if (size == 0)
        return 0;
    step = data[0];
    data++;
    size--;
    code = events(&whole, data, size, size ? size : 1);
    /* Where the cuts are may decide which of two limits is met first, not whether one is without
     * any event's size being near it: so only what was understood is compared. */
    if (events(&cut, data, size, step) == INF_OK && code == INF_OK &&
        (whole.hash != cut.hash || whole.n != cut.n))
        abort();
    whole = cut = (struct seen){0};
    code = lines(&whole, data, size, size ? size : 1);
    if (lines(&cut, data, size, step) == INF_OK && code == INF_OK &&
        (whole.hash != cut.hash || whole.n != cut.n))
        abort();
    return 0;
}
