/*
 * unicode_form: see the header. A text is copied up to the first character that may change, and from
 * the next one that cannot; what lies between goes through utf8proc with the character before it.
 */
#include "hf/tokenizer/unicode_form.h"

#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/char_kind.h"

#include <utf8proc.h>

enum {
    FEW = 64,
    HANGUL_FIRST = 0xac00,
    HANGUL_LAST = 0xd7a3,
    JAMO_VOWELS = 0x1160,
    JAMO_LAST = 0x11ff,
    NO_FINAL = 0x11a7
};

static bool composes(enum unicode_form form)
{
    return form == FORM_NFC || form == FORM_NFKC;
}

/* It stays as it is, whatever stands before it. */
static bool is_inert(enum unicode_form form, uint32_t c)
{
    unsigned changes = FORM_NONSTARTER | FORM_CANONICAL;

    if (c < 0xa0 || (form == FORM_NFC && c < 0x300))
        return true;
    if (c >= HANGUL_FIRST && c <= HANGUL_LAST)
        return composes(form);
    if (c == NO_FINAL)
        return true; /* utf8proc 2.8 takes it for a final that is there, and drops it */
    if (composes(form) && c >= JAMO_VOWELS && c <= JAMO_LAST)
        return false;
    if (form == FORM_NFKC || form == FORM_NFKD)
        changes |= FORM_COMPATIBLE;
    if (composes(form))
        changes |= FORM_SECOND;
    return !(char_forms(c) & changes);
}

size_t unicode_form_first(enum unicode_form form, const char *s, size_t n)
{
    for (size_t i = 0, width = 0; i < n; i += width) {
        width = utf8_width(s[i]);
        if (width > 1 && !is_inert(form, utf8_decode(s + i, width)))
            return i;
    }
    return n;
}

static utf8proc_option_t options(enum unicode_form form)
{
    utf8proc_option_t o = composes(form) ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;

    if (form == FORM_NFKC || form == FORM_NFKD)
        o = (utf8proc_option_t)(o | UTF8PROC_COMPAT);
    return (utf8proc_option_t)(o | UTF8PROC_STABLE);
}

/* Everything in this text, by utf8proc. */
static bool transform(enum unicode_form form, const char *s, size_t n, struct buffer *out)
{
    utf8proc_int32_t few[FEW];
    utf8proc_int32_t *codes = few;
    utf8proc_ssize_t room = FEW;
    utf8proc_ssize_t count = 0;
    bool ok = true;

    count = utf8proc_decompose((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, codes, room,
                               options(form));
    if (count > room) {
        room = count;
        codes = mem_alloc((size_t)room * sizeof *codes);
        if (!codes)
            return false;
        count = utf8proc_decompose((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, codes, room,
                                   options(form));
    }
    if (count > 0)
        count = utf8proc_normalize_utf32(codes, count, options(form));
    ok = count >= 0 && buffer_reserve(out, (size_t)count * 4);
    for (utf8proc_ssize_t i = 0; i < count && ok; i++)
        out->len += utf8_encode(out->data + out->len, (uint32_t)codes[i]);
    if (ok && out->data)
        out->data[out->len] = '\0';
    if (codes != few)
        mem_free(codes);
    return ok;
}

/* utf8proc would change it, the library does not know it. */
static bool is_too_new(uint32_t c)
{
    const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)c);

    return p->combining_class != 0 || (p->decomp_seqindex != UINT16_MAX &&
                                       !(char_forms(c) & (FORM_CANONICAL | FORM_COMPATIBLE)));
}

/* The beginning of the character before `at`, which may be joined with what follows. */
static size_t before(const char *s, size_t from, size_t at)
{
    size_t begin = at > from ? utf8_back(s, at) : at;

    return begin < at && is_too_new(utf8_decode(s + begin, at - begin)) ? at : begin;
}

/* Behind the character at `from` and all that follow and may change. */
static size_t end_of_change(enum unicode_form form, const char *s, size_t n, size_t from)
{
    size_t at = from + utf8_width(s[from]);

    while (at < n) {
        size_t next = at;

        if (is_inert(form, utf8_step(s, &next)))
            break;
        at = next;
    }
    return at;
}

bool unicode_form_append(enum unicode_form form, const char *s, size_t n, struct buffer *out)
{
    size_t done = 0;

    while (done < n) {
        size_t first = done + unicode_form_first(form, s + done, n - done);
        size_t begin = first < n ? before(s, done, first) : n;
        size_t end = first < n ? end_of_change(form, s, n, first) : n;

        if (!buffer_append(out, s + done, begin - done) ||
            (begin < end && !transform(form, s + begin, end - begin, out)))
            return false;
        done = end;
    }
    return true;
}
