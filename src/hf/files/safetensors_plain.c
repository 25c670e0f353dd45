/* safetensors_plain: see the header. Every function stands at a place of the text, and says false where something
 * else is there. */
#include "hf/files/safetensors_plain.h"

#include "core/ascii.h"

static void skip_space(struct plain_walk *w)
{
    while (w->at < w->end && scan_is_space(*w->at))
        w->at++;
}

/* White space, and then that character. */
static bool take(struct plain_walk *w, char c)
{
    skip_space(w);
    if (w->at == w->end || *w->at != c)
        return false;
    w->at++;
    return true;
}

static bool take_string(struct plain_walk *w, struct json_span *out)
{
    const char *from = NULL;

    if (!take(w, '"'))
        return false;
    from = w->at;
    while (w->at < w->end && *w->at >= 0x20 && *w->at < 0x7f && *w->at != '"' && *w->at != '\\')
        w->at++;
    *out = (struct json_span){from, (size_t)(w->at - from)};
    return w->at < w->end && *w->at++ == '"';
}

/* "key": */
static bool take_key(struct plain_walk *w, const char *key)
{
    struct json_span s;

    return take_string(w, &s) && text_equals(s.data, s.len, key) && take(w, ':');
}

/* Of up to 18 digits, so that it fits. */
static bool take_integer(struct plain_walk *w, int64_t *out)
{
    const char *from = NULL;
    int64_t n = 0;

    skip_space(w);
    for (from = w->at; w->at < w->end && is_digit(*w->at); w->at++) {
        if (w->at - from == 18)
            return false;
        n = n * 10 + (*w->at - '0');
    }
    *out = n;
    return w->at > from && (*from != '0' || w->at == from + 1);
}

static bool take_integers(struct plain_walk *w, int64_t *out, int32_t cap, int32_t *n)
{
    *n = 0;
    if (!take(w, '['))
        return false;
    if (take(w, ']'))
        return true;
    do {
        if (*n == cap || !take_integer(w, &out[(*n)++]))
            return false;
    } while (take(w, ','));
    return take(w, ']');
}

static bool take_tensor(struct plain_walk *w, struct plain_entry *out)
{
    int32_t n = 0;

    return take(w, '{') && take_key(w, "dtype") && take_string(w, &out->dtype) && take(w, ',') &&
           take_key(w, "shape") &&
           take_integers(w, out->shape, SAFETENSORS_MAX_DIMS, &out->n_dims) && take(w, ',') &&
           take_key(w, "data_offsets") && take_integers(w, out->offsets, 2, &n) && n == 2 &&
           take(w, '}');
}

static bool take_metadata(struct plain_walk *w)
{
    struct json_span ignored;

    if (!take(w, '{'))
        return false;
    if (take(w, '}'))
        return true;
    do {
        if (!take_string(w, &ignored) || !take(w, ':') || !take_string(w, &ignored))
            return false;
    } while (take(w, ','));
    return take(w, '}');
}

/* Behind the last member. */
static enum plain_step take_end(struct plain_walk *w)
{
    if (!take(w, '}'))
        return PLAIN_OTHER;
    skip_space(w);
    return w->at == w->end ? PLAIN_END : PLAIN_OTHER;
}

enum plain_step plain_next(struct plain_walk *w, struct plain_entry *out)
{
    for (;;) {
        if (!take(w, w->begun ? ',' : '{'))
            return w->begun ? take_end(w) : PLAIN_OTHER;
        w->begun = true;
        if (!take_string(w, &out->name) || !take(w, ':'))
            return PLAIN_OTHER;
        if (!text_equals(out->name.data, out->name.len, "__metadata__"))
            return take_tensor(w, out) ? PLAIN_ENTRY : PLAIN_OTHER;
        if (!take_metadata(w))
            return PLAIN_OTHER;
    }
}
