/*
 * markup: striptags and unescape, as markupsafe and Python's html.unescape do them.
 */
#include "text/template/engine.h"
#include "text/template/entities.h"

#include <string.h>

#define MAX_NAME 33

/* ------------------------------------------------------------------ characters by number */

/* What browsers make of the C1 controls. */
static const uint16_t WINDOWS_1252[32] = {
    0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021, 0x2c6,  0x2030, 0x160,
    0x2039, 0x152,  0x8d,   0x17d,  0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

static bool is_dropped(uint32_t c)
{
    return (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || (c >= 0x7f && c <= 0x9f) ||
           (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
}

static void build_number(struct builder *b, uint32_t c)
{
    if (c == 0 || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
        build_char(b, 0xfffd);
    else if (c == 0x0d)
        build_char(b, '\r');
    else if (c >= 0x80 && c <= 0x9f)
        build_char(b, WINDOWS_1252[c - 0x80]);
    else if (!is_dropped(c))
        build_char(b, c);
}

/* "#65;" or "#x41;" at `at`: where it ends, 0: it is none. */
static size_t number_end(const struct text *s, size_t at, uint32_t *out)
{
    bool hex = at + 1 < s->len && (s->data[at + 1] | 0x20) == 'x';
    size_t start = at + 1 + hex;
    size_t end = start;

    *out = 0;
    for (; end < s->len; end++) {
        char c = s->data[end];
        int digit = c >= '0' && c <= '9'                            ? c - '0'
                    : hex && (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                    : -1;

        if (digit < 0)
            break;
        if (*out < 0x200000)
            *out = *out * (hex ? 16 : 10) + (uint32_t)digit;
    }
    if (end == start)
        return 0;
    return end < s->len && s->data[end] == ';' ? end + 1 : end;
}

/* ------------------------------------------------------------------ characters by name */

static const struct entity *find_entity(const char *name, size_t len)
{
    size_t low = 0;
    size_t high = N_ENTITIES;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = strncmp(ENTITIES[middle].name, name, len);

        if (c == 0 && ENTITIES[middle].name[len])
            c = 1;
        if (c == 0)
            return &ENTITIES[middle];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static size_t name_end(const struct text *s, size_t at)
{
    size_t end = at;
    int n = 0;

    while (end < s->len && n < MAX_NAME - 1 && !memchr("\t\n\f <&#;", s->data[end], 8)) {
        utf8_step(s->data, &end);
        n++;
    }
    return n && end < s->len && s->data[end] == ';' ? end + 1 : end;
}

/* The longest name that s has there; where it ends. */
static size_t build_named(struct builder *b, const struct text *s, size_t at)
{
    size_t end = name_end(s, at);

    for (size_t stop = end; stop > at + 1; stop--) {
        const struct entity *e = find_entity(s->data + at, stop - at);

        if (e) {
            build_str(b, e->text);
            return stop;
        }
    }
    build_char(b, '&');
    return at;
}

struct text *text_unescape(struct vm *vm, const struct text *s)
{
    struct builder b;
    size_t at = 0;

    build_init(&b, vm);
    while (at < s->len) {
        const char *found = memchr(s->data + at, '&', s->len - at);
        size_t amp = found ? (size_t)(found - s->data) : s->len;
        uint32_t c;
        size_t end;

        build_add(&b, s->data + at, amp - at);
        at = amp + 1;
        if (!found)
            break;
        if (at < s->len && s->data[at] == '#') {
            end = number_end(s, at, &c);
            if (end)
                build_number(&b, c);
            else
                build_char(&b, '&');
            at = end ? end : at;
        } else {
            at = build_named(&b, s, at);
        }
    }
    return build_done(&b);
}

/* ------------------------------------------------------------------ tags */

static size_t find(const struct text *s, size_t at, const char *what)
{
    const char *found = at < s->len ? memmem(s->data + at, s->len - at, what, strlen(what)) : NULL;

    return found ? (size_t)(found - s->data) : SIZE_MAX;
}

static struct text *without_tags(struct vm *vm, const struct text *s)
{
    struct builder b;
    size_t at = 0;
    size_t start;

    build_init(&b, vm);
    while ((start = find(s, at, "<")) != SIZE_MAX) {
        bool comment = s->len - start >= 4 && memcmp(s->data + start, "<!--", 4) == 0;
        size_t end = comment ? find(s, start + 4, "-->") : find(s, start, ">");

        if (end == SIZE_MAX)
            break;
        build_add(&b, s->data + at, start - at);
        at = end + (comment ? 3 : 1);
    }
    build_add(&b, s->data + at, s->len - at);
    return build_done(&b);
}

struct text *text_striptags(struct vm *vm, struct value v)
{
    const struct text *s = without_tags(vm, value_plain(vm, v));

    s = text_join(vm, text_of(vm, " "), v_list(text_split(vm, s, NULL, -1)));
    return text_unescape(vm, s);
}
