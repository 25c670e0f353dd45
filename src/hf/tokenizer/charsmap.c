/* charsmap: see the header. The trie's units are those of Darts: label, offset, has-leaf, value. */
#include "hf/tokenizer/charsmap.h"

#include "core/memory.h"
#include "core/utf8.h"

#include <string.h>
#include <utf8proc.h>

enum { SHORT_GRAPHEME = 6, LENGTH_BYTES = 4 };

struct charsmap {
    char *bytes;
    size_t n;
    size_t n_units;    /* of the trie, from byte 4 on */
    const char *texts; /* NUL-terminated ones */
    size_t n_texts;
};

static int base64_value(char c)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(letters, c) : NULL;

    return at ? (int)(at - letters) : -1;
}

/* Into out, 3 bytes for each 4; how many, or SIZE_MAX. */
static size_t read_base64(char *out, const char *s, size_t len)
{
    uint32_t bits = 0;
    int n_bits = 0;
    size_t n = 0;

    while (len > 0 && s[len - 1] == '=')
        len--;
    for (size_t i = 0; i < len; i++) {
        int value = base64_value(s[i]);

        if (value < 0)
            return SIZE_MAX;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (char)(bits >> n_bits);
        }
    }
    return n;
}

static uint32_t unit_at(const struct charsmap *c, size_t at)
{
    const unsigned char *p = (const unsigned char *)c->bytes + LENGTH_BYTES + 4 * at;

    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool find_parts(struct charsmap *c)
{
    const unsigned char *p = (const unsigned char *)c->bytes;
    size_t trie = 0;

    if (c->n < LENGTH_BYTES)
        return false;
    trie = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (trie % 4 != 0 || trie == 0 || trie > c->n - LENGTH_BYTES)
        return false;
    c->n_units = trie / 4;
    c->texts = c->bytes + LENGTH_BYTES + trie;
    c->n_texts = c->n - LENGTH_BYTES - trie;
    return utf8_valid(c->texts, c->n_texts);
}

int32_t charsmap_read(struct charsmap **out, struct json_span base64, inf_error *err)
{
    struct charsmap *c = NULL;
    struct buffer text;
    bool ok = true;

    *out = NULL;
    if (scan_is_none(base64))
        return INF_OK;
    if (!scan_is_string(base64))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "normalizer: Precompiled has no precompiled_charsmap");
    buffer_init(&text, BUFFER_NO_LIMIT);
    c = mem_calloc(1, sizeof *c);
    ok = c && scan_unescape(&text, base64) && (c->bytes = mem_alloc(text.len + 4)) != NULL;
    if (!ok) {
        charsmap_free(c);
        buffer_free(&text);
        return error_no_memory(err);
    }
    c->n = read_base64(c->bytes, text.data ? text.data : "", text.len);
    buffer_free(&text);
    if (c->n == 0) {
        charsmap_free(c); /* an empty one replaces nothing */
        return INF_OK;
    }
    if (c->n == SIZE_MAX || !find_parts(c)) {
        charsmap_free(c);
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "normalizer: Precompiled: precompiled_charsmap is damaged");
    }
    *out = c;
    return INF_OK;
}

void charsmap_free(struct charsmap *c)
{
    if (!c)
        return;
    mem_free(c->bytes);
    mem_free(c);
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* What stands for a text, or NULL: the value of its shortest beginning that has one. */
static const char *find(const struct charsmap *c, const char *s, size_t n, size_t *len)
{
    size_t at = offset_of(unit_at(c, 0));

    for (size_t i = 0; i < n; i++) {
        uint32_t unit = 0;

        at ^= (unsigned char)s[i];
        if (s[i] == '\0' || at >= c->n_units)
            return NULL;
        unit = unit_at(c, at);
        if ((unit & (1u << 31 | 0xff)) != (unsigned char)s[i])
            return NULL;
        at ^= offset_of(unit);
        if (!(unit >> 8 & 1))
            continue;
        if (at >= c->n_units || (unit_at(c, at) & 0x7fffffff) >= c->n_texts)
            return NULL;
        s = c->texts + (unit_at(c, at) & 0x7fffffff);
        *len = strnlen(s, c->n_texts - (size_t)(s - c->texts));
        return utf8_valid(s, *len) ? s : NULL;
    }
    return NULL;
}

/* A grapheme as a whole when it is short, else its characters. */
static bool append_grapheme(const struct charsmap *c, const char *s, size_t n, struct buffer *out)
{
    size_t len = 0;
    const char *text = n < SHORT_GRAPHEME ? find(c, s, n, &len) : NULL;

    if (text)
        return buffer_append(out, text, len);
    for (size_t i = 0, width = 0; i < n; i += width) {
        width = utf8_width(s[i]);
        text = find(c, s + i, width, &len);
        if (!buffer_append(out, text ? text : s + i, text ? len : width))
            return false;
    }
    return true;
}

bool charsmap_apply(const struct charsmap *c, const char *s, size_t n, struct buffer *out)
{
    utf8proc_int32_t before = 0, state = 0;
    size_t begin = 0;

    for (size_t i = 0; i < n;) {
        size_t at = i;
        utf8proc_int32_t code = (utf8proc_int32_t)utf8_step(s, &i);

        if (at > 0 && utf8proc_grapheme_break_stateful(before, code, &state)) {
            if (!append_grapheme(c, s + begin, at - begin, out))
                return false;
            begin = at;
        }
        before = code;
    }
    return append_grapheme(c, s + begin, n - begin, out);
}
