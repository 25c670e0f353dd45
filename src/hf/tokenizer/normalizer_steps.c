/* normalizer_steps: see the header. */
#include "hf/tokenizer/normalizer_steps.h"

#include "core/utf8.h"
#include "hf/tokenizer/byte_level.h"
#include "hf/tokenizer/char_kind.h"
#include "hf/tokenizer/unicode_form.h"

#include <string.h>
#include <utf8proc.h>

enum { MOST_CODES = 3 };

/* What a character becomes: how many codes, 0 to MOST_CODES. */
typedef size_t character_map(uint32_t c, uint32_t out[MOST_CODES]);

static size_t lowercase(uint32_t c, uint32_t out[MOST_CODES])
{
    /* what utf8proc 2.8, of Unicode 15, does not know */
    static const struct {
        uint32_t first, last, every;
        int32_t offset;
    } newer[] = {{0x1c89, 0x1c89, 1, 1},    {0xa7cb, 0xa7cb, 1, -42343},
                 {0xa7cc, 0xa7ce, 2, 1},    {0xa7d2, 0xa7d4, 2, 1},
                 {0xa7da, 0xa7da, 1, 1},    {0xa7dc, 0xa7dc, 1, -42561},
                 {0x10d50, 0x10d65, 1, 32}, {0x16ea0, 0x16eb8, 1, 27}};

    if (c < 0x80) {
        out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
        return 1;
    }
    if (c == 0x130) { /* the one letter whose lower case is two characters */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    for (size_t i = 0; out[0] == c && i < sizeof newer / sizeof newer[0]; i++)
        if (c >= newer[i].first && c <= newer[i].last && (c - newer[i].first) % newer[i].every == 0)
            out[0] = (uint32_t)((int32_t)c + newer[i].offset);
    return 1;
}

static size_t without_marks(uint32_t c, uint32_t out[MOST_CODES])
{
    out[0] = c;
    return !(char_forms(c) & FORM_ACCENT);
}

static size_t without_accents(uint32_t c, uint32_t out[MOST_CODES])
{
    out[0] = c;
    return !(char_forms(c) & FORM_NONSPACING);
}

static size_t nmt(uint32_t c, uint32_t out[MOST_CODES])
{
    out[0] = c;
    if ((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f ||
        c == 0x9f)
        return 0;
    if (c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
        c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd)
        out[0] = ' ';
    return 1;
}

static size_t clean(uint32_t c, uint32_t out[MOST_CODES])
{
    out[0] = char_is_space(c) ? ' ' : c;
    return c != 0 && !(char_forms(c) & FORM_OTHER);
}

static size_t space_chinese(uint32_t c, uint32_t out[MOST_CODES])
{
    bool chinese = (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
                   (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
                   (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
                   (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);

    out[0] = out[2] = ' ';
    out[chinese] = c;
    return chinese ? 3 : 1;
}

static bool map_text(inf_text text, character_map *map, struct buffer *out, bool *moved)
{
    for (size_t i = 0; i < text.len;) {
        uint32_t codes[MOST_CODES];
        bool first = i == 0;
        size_t n = map(utf8_step(text.data, &i), codes);

        *moved = *moved || (first && n == 0);
        if (!buffer_reserve(out, 4 * MOST_CODES))
            return false;
        for (size_t k = 0; k < n; k++)
            out->len += utf8_encode(out->data + out->len, codes[k]);
    }
    if (out->data)
        out->data[out->len] = '\0';
    return true;
}

static bool strip(const struct normalizer_step *step, inf_text text, struct buffer *out,
                  bool *moved)
{
    const char *s = text.data;
    size_t begin = 0, end = text.len;

    while (step->first && begin < end) {
        size_t next = begin;

        if (!char_is_space(utf8_step(s, &next)))
            break;
        begin = next;
        *moved = true;
    }
    while (step->second && end > begin) {
        size_t at = utf8_back(s, end);

        if (!char_is_space(utf8_decode(s + at, end - at)))
            break;
        end = at;
    }
    return buffer_append(out, s + begin, end - begin);
}

/* One after the other; the buffer in between is this step's own. */
static bool bert(const struct normalizer_step *step, inf_text text, struct buffer *out, bool *moved)
{
    character_map *const maps[] = {step->first ? clean : NULL, step->second ? space_chinese : NULL};
    character_map *const behind[] = {step->third ? without_accents : NULL,
                                     step->fourth ? lowercase : NULL};
    struct buffer between;
    bool ok = buffer_append(out, text.data, text.len);

    buffer_init(&between, BUFFER_NO_LIMIT);
    for (size_t i = 0; i < 4 && ok; i++) {
        character_map *map = i < 2 ? maps[i] : behind[i - 2];
        struct buffer was = *out;

        if (i == 2 && step->third) {
            buffer_clear(&between);
            ok = unicode_form_append(FORM_NFD, out->data ? out->data : "", out->len, &between);
            *out = between;
            between = was;
            was = *out;
        }
        if (!map || !ok)
            continue;
        buffer_clear(&between);
        ok = map_text((inf_text){was.data ? was.data : "", was.len}, map, &between, moved);
        *out = between;
        between = was;
    }
    buffer_free(&between);
    return ok;
}

static int32_t replace(const struct normalizer_step *step, struct text_pattern_work *patterns,
                       inf_text text, struct buffer *out, bool *changed, bool *moved,
                       inf_error *err)
{
    struct text_matches m = {
        .pattern = step->pattern, .work = patterns, .s = text.data, .n = text.len};
    size_t done = 0;
    int32_t code = INF_OK;

    while (text_matches_next(&m, &code, err)) {
        if (m.begin == 0 && m.end > 0 && (step->content.len == 0 || m.end > utf8_width(*text.data)))
            *moved = true;
        if (!buffer_append(out, text.data + done, m.begin - done) ||
            !buffer_append(out, step->content.data, step->content.len))
            return error_no_memory(err);
        done = m.end;
        *changed = true;
    }
    if (code == INF_OK && *changed && !buffer_append(out, text.data + done, text.len - done))
        return error_no_memory(err);
    return code;
}

static bool normal_form(enum unicode_form form, inf_text text, struct buffer *out, bool *changed)
{
    *changed = unicode_form_first(form, text.data, text.len) < text.len;
    return !*changed || unicode_form_append(form, text.data, text.len, out);
}

static bool prepend(const struct normalizer_step *step, inf_text text, struct buffer *out)
{
    return text.len == 0 || (buffer_append(out, step->content.data, step->content.len) &&
                             buffer_append(out, text.data, text.len));
}

static bool apply(const struct normalizer_step *step, inf_text text, struct buffer *out,
                  bool *changed, bool *moved)
{
    *changed = true;
    switch (step->kind) {
    case NORMALIZE_NFC:
    case NORMALIZE_NFD:
    case NORMALIZE_NFKC:
    case NORMALIZE_NFKD:
        return normal_form((enum unicode_form)(step->kind - NORMALIZE_NFC), text, out, changed);
    case NORMALIZE_LOWERCASE:
        return map_text(text, lowercase, out, moved);
    case NORMALIZE_STRIP:
        return strip(step, text, out, moved);
    case NORMALIZE_STRIP_ACCENTS:
        return map_text(text, without_marks, out, moved);
    case NORMALIZE_PREPEND:
        return prepend(step, text, out);
    case NORMALIZE_NMT:
        return map_text(text, nmt, out, moved);
    case NORMALIZE_BERT:
        return bert(step, text, out, moved);
    case NORMALIZE_BYTE_LEVEL:
        return byte_level_write(out, text.data, text.len);
    case NORMALIZE_PRECOMPILED:
        *changed = step->charsmap != NULL;
        return !*changed || charsmap_apply(step->charsmap, text.data, text.len, out);
    case NORMALIZE_REPLACE:
        break;
    }
    return true;
}

int32_t normalizer_step_apply(const struct normalizer_step *step,
                              struct text_pattern_work *patterns, inf_text text, struct buffer *out,
                              bool *changed, bool *moved, inf_error *err)
{
    *changed = false;
    if (step->kind == NORMALIZE_REPLACE)
        return replace(step, patterns, text, out, changed, moved, err);
    return apply(step, text, out, changed, moved) ? INF_OK : error_no_memory(err);
}
