/* gguf_edit: see the header. */
#include "gguf_edit.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- bytes */

void bytes_append(struct bytes *b, const void *data, size_t n)
{
    b->data = realloc(b->data, b->len + n + 1);
    if (n > 0)
        memcpy(b->data + b->len, data, n);
    b->len += n;
}

void bytes_append_u32(struct bytes *b, uint32_t v)
{
    bytes_append(b, &v, 4);
}

void bytes_append_u64(struct bytes *b, uint64_t v)
{
    bytes_append(b, &v, 8);
}

struct bytes bytes_copy(const void *data, size_t n)
{
    struct bytes b = {0};

    bytes_append(&b, data, n);
    return b;
}

void bytes_replace(struct bytes *b, const void *data, size_t n)
{
    struct bytes old = *b;

    *b = bytes_copy(data, n);
    free(old.data);
}

/* ---------------------------------------------------------------- reading and writing */

uint32_t get_u32(const uint8_t *p)
{
    uint32_t v = 0;

    memcpy(&v, p, 4);
    return v;
}

uint64_t get_u64(const uint8_t *p)
{
    uint64_t v = 0;

    memcpy(&v, p, 8);
    return v;
}

size_t kind_size(uint32_t kind)
{
    static const size_t sizes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

    return kind < 13 ? sizes[kind] : 0;
}

static size_t value_size(uint32_t kind, const uint8_t *p)
{
    size_t at = 12;

    if (kind == TEXT)
        return 8 + (size_t)get_u64(p);
    if (kind != ARRAY)
        return kind_size(kind);
    if (get_u32(p) != TEXT)
        return 12 + kind_size(get_u32(p)) * (size_t)get_u64(p + 4);
    for (uint64_t i = 0; i < get_u64(p + 4); i++)
        at += 8 + (size_t)get_u64(p + at);
    return at;
}

size_t tensor_bytes(const struct tensor *t)
{
    static const struct {
        uint32_t block, bytes;
    } types[] = {{1, 4},     {1, 2},     {32, 18},   {32, 20},  {1, 0},     {1, 0},     {32, 22},
                 {32, 24},   {32, 34},   {32, 36},   {256, 84}, {256, 110}, {256, 144}, {256, 176},
                 {256, 210}, {256, 292}, {256, 66},  {256, 74}, {256, 98},  {256, 50},  {32, 18},
                 {256, 110}, {256, 82},  {256, 136}, {1, 1},    {1, 2},     {1, 4},     {1, 8},
                 {1, 8},     {256, 56},  {1, 2}};
    uint64_t n = 1;

    for (uint32_t d = 0; d < t->n_dims && d < 4; d++)
        n *= t->ne[d];
    if (t->type >= sizeof types / sizeof types[0])
        return (size_t)(n / 2);
    return (size_t)(n / types[t->type].block * types[t->type].bytes);
}

struct document *document_read(const uint8_t *p, size_t size)
{
    struct document *d = calloc(1, sizeof *d);
    uint64_t offsets[MAX_ITEMS];
    size_t at = 24;

    d->version = get_u32(p + 4);
    d->n_tensors = (size_t)get_u64(p + 8);
    d->n_pairs = (size_t)get_u64(p + 16);
    d->alignment = 32;
    for (size_t i = 0; i < d->n_pairs; i++) {
        size_t len = (size_t)get_u64(p + at);
        size_t n = 0;

        d->pairs[i].key = bytes_copy(p + at + 8, len);
        d->pairs[i].kind = get_u32(p + at + 8 + len);
        at += 12 + len;
        n = value_size(d->pairs[i].kind, p + at);
        d->pairs[i].value = bytes_copy(p + at, n);
        at += n;
    }
    for (size_t i = 0; i < d->n_tensors; i++) {
        struct tensor *t = &d->tensors[i];
        size_t len = (size_t)get_u64(p + at);

        t->name = bytes_copy(p + at + 8, len);
        at += 8 + len;
        t->n_dims = get_u32(p + at);
        memcpy(t->ne, p + at + 4, 8 * t->n_dims);
        at += 4 + 8 * t->n_dims;
        t->type = get_u32(p + at);
        offsets[i] = get_u64(p + at + 4);
        at += 12;
    }
    at = (at + 31) / 32 * 32;
    for (size_t i = 0; i < d->n_tensors; i++) {
        size_t start = at + (size_t)offsets[i];
        size_t end = i + 1 < d->n_tensors ? at + (size_t)offsets[i + 1] : size;

        d->tensors[i].data = bytes_copy(p + start, end - start);
    }
    return d;
}

static void pad(struct bytes *b, uint64_t alignment)
{
    while (alignment > 1 && alignment <= 4096 && b->len % alignment != 0)
        bytes_append(b, "", 1);
}

struct bytes document_write(const struct document *d)
{
    struct bytes b = {0};
    uint64_t offset = 0;
    uint64_t a = d->alignment > 0 && d->alignment <= 4096 ? d->alignment : 1;

    bytes_append(&b, "GGUF", 4);
    bytes_append_u32(&b, d->version);
    bytes_append_u64(&b, d->n_tensors);
    bytes_append_u64(&b, d->n_pairs);
    for (size_t i = 0; i < d->n_pairs; i++) {
        bytes_append_u64(&b, d->pairs[i].key.len);
        bytes_append(&b, d->pairs[i].key.data, d->pairs[i].key.len);
        bytes_append_u32(&b, d->pairs[i].kind);
        bytes_append(&b, d->pairs[i].value.data, d->pairs[i].value.len);
    }
    for (size_t i = 0; i < d->n_tensors; i++) {
        const struct tensor *t = &d->tensors[i];

        bytes_append_u64(&b, t->name.len);
        bytes_append(&b, t->name.data, t->name.len);
        bytes_append_u32(&b, t->n_dims);
        bytes_append(&b, t->ne, 8 * (t->n_dims < 8 ? t->n_dims : 8));
        bytes_append_u32(&b, t->type);
        bytes_append_u64(&b, offset);
        offset += (t->data.len + a - 1) / a * a;
    }
    pad(&b, a);
    for (size_t i = 0; i < d->n_tensors; i++) {
        bytes_append(&b, d->tensors[i].data.data, d->tensors[i].data.len);
        pad(&b, a);
    }
    return b;
}

void document_free(struct document *d)
{
    for (size_t i = 0; i < d->n_pairs; i++) {
        free(d->pairs[i].key.data);
        free(d->pairs[i].value.data);
    }
    for (size_t i = 0; i < d->n_tensors; i++) {
        free(d->tensors[i].name.data);
        free(d->tensors[i].data.data);
    }
    free(d);
}

void document_remove(struct document *d, size_t i)
{
    free(d->pairs[i].key.data);
    free(d->pairs[i].value.data);
    d->n_pairs--;
    memmove(&d->pairs[i], &d->pairs[i + 1], (d->n_pairs - i) * sizeof d->pairs[0]);
}

void document_remove_tensor(struct document *d, size_t i)
{
    free(d->tensors[i].name.data);
    free(d->tensors[i].data.data);
    d->n_tensors--;
    memmove(&d->tensors[i], &d->tensors[i + 1], (d->n_tensors - i) * sizeof d->tensors[0]);
}

/* Where item i of an array starts. */
size_t document_item(const struct bytes *v, uint64_t i)
{
    size_t at = 12;

    if (get_u32(v->data) != TEXT)
        return 12 + (size_t)i * kind_size(get_u32(v->data));
    for (uint64_t k = 0; k < i; k++)
        at += 8 + (size_t)get_u64(v->data + at);
    return at;
}

/* Keeps the first `keep` items, then appends copies of item `from` until there are n. */
void document_resize(struct pair *p, uint64_t keep, uint64_t n, uint64_t from)
{
    struct bytes v = {0};
    uint64_t count = get_u64(p->value.data + 4);

    bytes_append(&v, p->value.data, document_item(&p->value, keep));
    for (uint64_t i = keep; i < n && count > 0; i++) {
        size_t start = document_item(&p->value, from);

        bytes_append(&v, p->value.data + start, document_item(&p->value, from + 1) - start);
    }
    memcpy(v.data + 4, &n, 8);
    free(p->value.data);
    p->value = v;
}

/* ---------------------------------------------------------------- editing */

struct pair *document_find(struct document *d, const char *key)
{
    for (size_t i = 0; i < d->n_pairs; i++) {
        if (d->pairs[i].key.len == strlen(key) &&
            memcmp(d->pairs[i].key.data, key, strlen(key)) == 0) {
            return &d->pairs[i];
        }
    }
    return NULL;
}

struct tensor *document_tensor(struct document *d, const char *name)
{
    for (size_t i = 0; i < d->n_tensors; i++) {
        if (d->tensors[i].name.len == strlen(name) &&
            memcmp(d->tensors[i].name.data, name, strlen(name)) == 0) {
            return &d->tensors[i];
        }
    }
    return NULL;
}

void document_set(struct document *d, const char *key, uint32_t kind, const void *value, size_t n)
{
    struct pair *p = document_find(d, key);

    if (!p) {
        p = &d->pairs[d->n_pairs++];
        memset(p, 0, sizeof *p);
        p->key = bytes_copy(key, strlen(key));
    }
    p->kind = kind;
    bytes_replace(&p->value, value, n);
}

void document_set_u32(struct document *d, const char *key, uint32_t v)
{
    document_set(d, key, U32, &v, sizeof v);
}

void document_set_f32(struct document *d, const char *key, float v)
{
    document_set(d, key, F32, &v, sizeof v);
}

void document_set_text(struct document *d, const char *key, const char *v)
{
    struct bytes b = {0};

    bytes_append_u64(&b, strlen(v));
    bytes_append(&b, v, strlen(v));
    document_set(d, key, TEXT, b.data, b.len);
    free(b.data);
}

void document_set_item(struct document *d, const char *key, uint64_t i, const char *v, size_t n)
{
    struct pair *p = document_find(d, key);
    size_t start = document_item(&p->value, i);
    size_t end = document_item(&p->value, i + 1);
    struct bytes b = {0};

    bytes_append(&b, p->value.data, start);
    bytes_append_u64(&b, n);
    bytes_append(&b, v, n);
    bytes_append(&b, p->value.data + end, p->value.len - end);
    free(p->value.data);
    p->value = b;
}

void document_fit(struct tensor *t)
{
    size_t n = tensor_bytes(t);

    t->data.data = realloc(t->data.data, n + 1);
    if (n > t->data.len)
        memset(t->data.data + t->data.len, 0, n - t->data.len);
    t->data.len = n;
}
