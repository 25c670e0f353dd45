/* text_join: see the header. */
#include "remote/text_join.h"

#include "core/utf8.h"

#include <string.h>

static bool in_range(char c, unsigned char low, unsigned char high)
{
    return (unsigned char)c >= low && (unsigned char)c <= high;
}

/* Three bytes that stand for half of a surrogate pair. */
static bool is_half(const char *s, size_t n, unsigned char low, unsigned char high)
{
    return n >= 3 && in_range(s[0], 0xed, 0xed) && in_range(s[1], low, high) &&
           in_range(s[2], 0x80, 0xbf);
}

static bool is_high(const char *s, size_t n)
{
    return is_half(s, n, 0xa0, 0xaf);
}

static bool is_low(const char *s, size_t n)
{
    return is_half(s, n, 0xb0, 0xbf);
}

static unsigned half_value(const char *s)
{
    return ((unsigned char)s[1] & 0xfu) << 6 | ((unsigned char)s[2] & 0x3fu);
}

static size_t join_halves(char out[4], const char *high, const char *low)
{
    return utf8_encode(out, utf8_joined(half_value(high), half_value(low)));
}

/* Nothing more is known about the bytes at s, and more could make them a code point. */
static bool must_wait(const char *s, size_t n)
{
    size_t len = 0;

    if (is_high(s, n))
        return n == 3 ||
               (n < 6 && in_range(s[3], 0xed, 0xed) && (n == 4 || in_range(s[4], 0xb0, 0xbf)));
    return utf8_next(s, n, &len) == UTF8_CUT ||
           (n == 2 && in_range(s[0], 0xed, 0xed) && in_range(s[1], 0xa0, 0xbf));
}

/* Appends the code point at s, or U+FFFD for what is none; *used: the bytes it took. */
static bool append_one(struct buffer *out, const char *s, size_t n, size_t *used)
{
    char joined[4];

    if (utf8_next(s, n, used) == UTF8_WHOLE)
        return buffer_append(out, s, *used);
    if (is_high(s, n) && is_low(s + 3, n - 3)) {
        *used = 6;
        return buffer_append(out, joined, join_halves(joined, s, s + 3));
    }
    if (is_high(s, n) || is_low(s, n))
        *used = 3;
    return buffer_append_str(out, UTF8_REPLACEMENT);
}

/* Appends code points until `n` bytes are used, or the rest must wait; *done: bytes used. */
static bool append_all(struct buffer *out, const char *s, size_t n, bool last, size_t *done)
{
    size_t used = 0;

    for (*done = 0; *done < n; *done += used) {
        if (!last && must_wait(s + *done, n - *done))
            return true;
        if (!append_one(out, s + *done, n - *done, &used))
            return false;
    }
    return true;
}

/* True when the piece is whole by itself and nothing is held: it can be used as it is. */
static bool is_whole(const struct text_join *j, const char *piece, size_t len)
{
    return j->n_held == 0 && utf8_valid(piece, len);
}

static bool join(struct text_join *j, const char *piece, size_t len, bool last, struct buffer *out)
{
    size_t before = out->len;
    size_t used = 0;
    struct buffer all;
    bool ok = true;

    buffer_init(&all, BUFFER_NO_LIMIT);
    ok = buffer_append(&all, j->held, j->n_held) && buffer_append(&all, piece, len) &&
         append_all(out, all.data, all.len, last, &used);
    if (ok) {
        j->n_held = all.len - used;
        memcpy(j->held, all.data + used, j->n_held);
    } else {
        out->len = before;
    }
    buffer_free(&all);
    return ok;
}

bool text_join_push(struct text_join *j, const char *piece, size_t len, struct buffer *out)
{
    if (is_whole(j, piece, len))
        return buffer_append(out, piece, len);
    return join(j, piece, len, false, out);
}

bool text_join_end(struct text_join *j, struct buffer *out)
{
    return j->n_held == 0 || join(j, "", 0, true, out);
}

bool text_join_all(struct buffer *out, const char *text, size_t len)
{
    struct text_join join = {{0}, 0};

    return text_join_push(&join, text, len, out) && text_join_end(&join, out);
}

bool text_join_json(struct buffer *out, struct json_span string)
{
    struct buffer raw;
    bool ok = true;

    buffer_init(&raw, BUFFER_NO_LIMIT);
    ok = scan_unescape(&raw, string) && text_join_all(out, raw.data ? raw.data : "", raw.len);
    buffer_free(&raw);
    return ok;
}
