/*
 * text: texts and the builder. See value.h.
 */
#include "core/hash.h"
#include "text/template/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MIN_JOIN_ROOM 256

struct text *text_wrap_counted(struct vm *vm, const char *data, size_t len, size_t count)
{
    struct text *s = VM_NEW(vm, struct text);

    *s = (struct text){.data = data, .len = len, .count = count, .hash = 0, .safe = false};
    return s;
}

struct text *text_wrap(struct vm *vm, const char *data, size_t len)
{
    vm_step(vm, len / 64);
    return text_wrap_counted(vm, data, len, utf8_count(data, len));
}

struct text *text_new(struct vm *vm, const char *data, size_t len)
{
    char *copy = vm_alloc(vm, len + 1);

    if (len)
        memcpy(copy, data, len);
    copy[len] = 0;
    return text_wrap(vm, copy, len);
}

struct text *text_of(struct vm *vm, const char *s)
{
    return text_new(vm, s, strlen(s));
}

struct text *text_printf(struct vm *vm, const char *format, ...)
{
    char small[512];
    char *text = small;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof small) {
        text = vm_alloc(vm, (size_t)n + 1);
        va_start(args, format);
        vsnprintf(text, (size_t)n + 1, format, args);
        va_end(args);
    }
    return text_new(vm, text, (size_t)n);
}

size_t text_offset(const struct text *s, size_t index)
{
    size_t at = 0;

    if (text_ascii(s))
        return index;
    if (index >= s->count)
        return s->len;
    while (index-- > 0)
        utf8_step(s->data, &at);
    return at;
}

struct text *text_slice(struct vm *vm, const struct text *s, size_t from, size_t to)
{
    size_t start = text_offset(s, from);
    size_t end = to;

    if (text_ascii(s))
        return text_wrap_counted(vm, s->data + start, end - start, to - from);
    vm_step(vm, to / 16);
    end = start;
    for (size_t i = from; i < to; i++)
        utf8_step(s->data, &end);
    return text_wrap_counted(vm, s->data + start, end - start, to - from);
}

static char *join_room(struct vm *vm, size_t need)
{
    size_t room = need < MIN_JOIN_ROOM ? need : need * 2;
    char *data = vm_alloc(vm, room);

    vm->join_cap = data + room;
    return data;
}

struct text *text_join2(struct vm *vm, const struct text *a, const struct text *b)
{
    size_t len = a->len + b->len;
    char *data = (char *)(uintptr_t)a->data;

    if (b->len == 0 || a->len == 0)
        return text_marked(vm, b->len ? b : a, false);
    if (data + a->len != vm->join_end || b->len > (size_t)(vm->join_cap - vm->join_end)) {
        vm_step(vm, len / 64);
        data = join_room(vm, len);
        memcpy(data, a->data, a->len);
    }
    memcpy(data + a->len, b->data, b->len);
    vm_step(vm, b->len / 64);
    vm->join_end = data + len;
    return text_wrap_counted(vm, data, len, a->count + b->count);
}

struct text *text_marked(struct vm *vm, const struct text *s, bool safe)
{
    struct text *copy;

    if (s->safe == safe)
        return (struct text *)(uintptr_t)s;
    copy = text_wrap_counted(vm, s->data, s->len, s->count);
    copy->safe = safe;
    return copy;
}

bool text_equal(const struct text *a, const struct text *b)
{
    return a == b || (a->len == b->len && memcmp(a->data, b->data, a->len) == 0);
}

bool text_is(const struct text *s, const char *other)
{
    return s->len == strlen(other) && memcmp(s->data, other, s->len) == 0;
}

uint32_t text_hash(struct text *s)
{
    if (!s->hash)
        s->hash = (uint32_t)hash_fnv(s->data, s->len);
    if (!s->hash)
        s->hash = 1;
    return s->hash;
}

/* ------------------------------------------------------------------ builder */

void build_init(struct builder *b, struct vm *vm)
{
    *b = (struct builder){.vm = vm, .data = NULL, .len = 0, .cap = 0};
}

static void build_reserve(struct builder *b, size_t extra)
{
    size_t cap = b->cap ? b->cap * 2 : 64;
    char *data;

    if (extra <= b->cap - b->len)
        return;
    vm_check_room(b->vm, extra, 1);
    while (cap < b->len + extra)
        cap *= 2;
    data = vm_alloc(b->vm, cap);
    if (b->len)
        memcpy(data, b->data, b->len);
    b->data = data;
    b->cap = cap;
}

void build_add(struct builder *b, const char *data, size_t len)
{
    if (!len)
        return;
    build_reserve(b, len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
    vm_step(b->vm, len / 64 + 1);
}

void build_text(struct builder *b, const struct text *s)
{
    build_add(b, s->data, s->len);
}

void build_str(struct builder *b, const char *s)
{
    build_add(b, s, strlen(s));
}

void build_char(struct builder *b, uint32_t c)
{
    build_reserve(b, 4);
    vm_step(b->vm, 1);
    b->len += utf8_encode(b->data + b->len, c);
}

void build_fill(struct builder *b, uint32_t c, size_t n)
{
    vm_check_room(b->vm, n, 1);
    while (n-- > 0)
        build_char(b, c);
}

struct text *build_done(struct builder *b)
{
    return text_wrap(b->vm, b->data ? b->data : "", b->len);
}
