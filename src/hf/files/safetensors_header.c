/* safetensors_header: see the header. */
#include "hf/files/safetensors_header.h"

#include "core/ascii.h"
#include "core/growing.h"
#include "core/json.h"
#include "core/utf8.h"
#include "hf/files/safetensors_plain.h"

#include <stdlib.h>
#include <string.h>

struct reading {
    struct safetensors_table *table;
    const char *text;
    uint64_t data_start, data_size;
    inf_error *err;
};

static int32_t damaged(const struct reading *r, const char *at, const char *what)
{
    int64_t offset = SAFETENSORS_LENGTH_BYTES + (at - r->text);

    return error_set_detail(r->err, INF_ERROR_BAD_FORMAT, offset,
                            "damaged safetensors header at byte %lld: %s; save the file again",
                            (long long)offset, what);
}

/* ---------------------------------------------------------------- values */

/* Puts a string behind the names. There is room: it is never longer than its escaped form. */
static int32_t read_text(struct reading *r, struct json_span v, const char **out)
{
    struct buffer *names = &r->table->names;
    size_t at = names->len;

    if (!scan_is_string(v))
        return damaged(r, v.data, "a string is missing");
    if (!scan_unescape(names, v) || !buffer_append(names, "", 1))
        return error_no_memory(r->err);
    *out = names->data + at;
    if (strlen(*out) != names->len - at - 1 || !utf8_valid(*out, strlen(*out)))
        return damaged(r, v.data, "a string is malformed");
    return INF_OK;
}

/* [i, i, ...] with at most `cap` numbers. */
static int32_t read_ints(const struct reading *r, struct json_span v, int64_t *out, int32_t cap,
                         int32_t *n_out, const char *too_many)
{
    struct json_walk w;
    struct json_span item;
    int32_t n = 0;

    if (!scan_array(&w, v))
        return damaged(r, v.data, "a list is missing");
    for (; scan_next_item(&w, &item); n++) {
        if (n == cap)
            return damaged(r, item.data, too_many);
        if (!scan_integer(item, &out[n]) || out[n] < 0)
            return damaged(r, item.data, "a whole number is missing, or is too large");
    }
    *n_out = n;
    return INF_OK;
}

/* ---------------------------------------------------------------- tensors */

struct dtype {
    const char *name;
    int32_t bits;
    int32_t dtype;
};

static const struct dtype dtypes[] = {
    {"F32", 32, SAFETENSORS_F32},          {"F16", 16, SAFETENSORS_F16},
    {"BF16", 16, SAFETENSORS_BF16},        {"F64", 64, SAFETENSORS_F64},
    {"I64", 64, SAFETENSORS_OTHER},        {"U64", 64, SAFETENSORS_OTHER},
    {"C64", 64, SAFETENSORS_OTHER},        {"I32", 32, SAFETENSORS_OTHER},
    {"U32", 32, SAFETENSORS_OTHER},        {"I16", 16, SAFETENSORS_OTHER},
    {"U16", 16, SAFETENSORS_OTHER},        {"I8", 8, SAFETENSORS_OTHER},
    {"U8", 8, SAFETENSORS_OTHER},          {"BOOL", 8, SAFETENSORS_OTHER},
    {"F8_E5M2", 8, SAFETENSORS_OTHER},     {"F8_E4M3", 8, SAFETENSORS_OTHER},
    {"F8_E8M0", 8, SAFETENSORS_OTHER},     {"F8_E4M3FNUZ", 8, SAFETENSORS_OTHER},
    {"F8_E5M2FNUZ", 8, SAFETENSORS_OTHER}, {"F6_E2M3", 6, SAFETENSORS_OTHER},
    {"F6_E3M2", 6, SAFETENSORS_OTHER},     {"F4", 4, SAFETENSORS_OTHER},
};

/* What one entry says, before it is checked. */
struct entry {
    const struct dtype *dtype;
    int32_t n_dims;    /* -1: not given */
    int32_t n_offsets; /* 0: not given */
    int64_t shape[SAFETENSORS_MAX_DIMS];
    int64_t offsets[2];
};

/* name: without quotes; NULL: there is none. */
static const struct dtype *find_dtype(struct json_span name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (text_equals(name.data, name.len, dtypes[i].name))
            return &dtypes[i];
    return NULL;
}

static int32_t read_dtype(const struct reading *r, struct json_span v, struct entry *e)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0] && !e->dtype; i++)
        if (scan_equals(v, dtypes[i].name))
            e->dtype = &dtypes[i];
    return e->dtype ? INF_OK : damaged(r, v.data, "a tensor's dtype is unknown");
}

/* {"dtype": ..., "shape": ..., "data_offsets": ...} in any order. */
static int32_t read_entry(const struct reading *r, struct json_span v, struct entry *e)
{
    struct json_walk w;
    struct json_span key, value;
    int32_t code = INF_OK;

    *e = (struct entry){.n_dims = -1};
    if (!scan_object(&w, v))
        return damaged(r, v.data, "a tensor's description is not an object");
    while (code == INF_OK && scan_next_member(&w, &key, &value))
        if (scan_equals(key, "dtype") && !e->dtype)
            code = read_dtype(r, value, e);
        else if (scan_equals(key, "shape") && e->n_dims < 0)
            code = read_ints(r, value, e->shape, SAFETENSORS_MAX_DIMS, &e->n_dims,
                             "a tensor has more than 8 dimensions");
        else if (scan_equals(key, "data_offsets") && e->n_offsets == 0)
            code = read_ints(r, value, e->offsets, 2, &e->n_offsets,
                             "data_offsets has more than two numbers");
        else
            code = damaged(r, key.data, "a tensor has an unknown or repeated key");
    if (code == INF_OK && (!e->dtype || e->n_dims < 0 || e->n_offsets != 2))
        code = damaged(r, v.data, "a tensor lacks its dtype, shape or data_offsets");
    return code;
}

/* The bytes that shape and dtype ask for; false when they overflow or are no whole number. */
static bool entry_bytes(const struct entry *e, size_t *out)
{
    size_t n = 1;

    for (int32_t i = 0; i < e->n_dims; i++)
        if ((uint64_t)e->shape[i] > SIZE_MAX || !size_mul(n, (size_t)e->shape[i], &n))
            return false;
    if (!size_mul(n, (size_t)e->dtype->bits, &n) || n % 8 != 0)
        return false;
    *out = n / 8;
    return true;
}

static int32_t add_tensor(struct reading *r, struct json_span v, const char *name,
                          const struct entry *e)
{
    struct safetensors_table *table = r->table;
    struct safetensors_tensor *t = NULL;
    size_t bytes = 0;

    if (e->offsets[0] > e->offsets[1] || (uint64_t)e->offsets[1] > r->data_size)
        return damaged(r, v.data,
                       "a tensor's data_offsets lie outside the file (is it cut short?)");
    if (!entry_bytes(e, &bytes) || bytes != (uint64_t)(e->offsets[1] - e->offsets[0]))
        return damaged(r, v.data, "a tensor's shape and dtype do not match its data_offsets");
    if (!GROW(table->tensors, table->cap, table->n + 1))
        return error_no_memory(r->err);
    t = &table->tensors[table->n++];
    *t = (struct safetensors_tensor){.name = name,
                                     .dtype_name = e->dtype->name,
                                     .dtype = e->dtype->dtype,
                                     .n_dims = e->n_dims,
                                     .offset = r->data_start + (uint64_t)e->offsets[0],
                                     .size = bytes};
    for (int32_t i = 0; i < SAFETENSORS_MAX_DIMS; i++)
        t->shape[i] = i < e->n_dims ? e->shape[i] : 1;
    return INF_OK;
}

/* {"key": "text", ...}: checked and dropped. */
static int32_t check_metadata(struct reading *r, struct json_span v)
{
    size_t before = r->table->names.len;
    struct json_walk w;
    struct json_span key, value;
    const char *text = NULL;
    int32_t code = INF_OK;

    if (!scan_object(&w, v))
        return damaged(r, v.data, "__metadata__ is not an object");
    while (code == INF_OK && scan_next_member(&w, &key, &value)) {
        code = read_text(r, key, &text);
        if (code == INF_OK)
            code = read_text(r, value, &text);
        r->table->names.len = before;
    }
    return code;
}

static int32_t read_member(struct reading *r, struct json_span key, struct json_span value)
{
    const char *name = NULL;
    struct entry e;
    int32_t code = scan_equals(key, "__metadata__") ? check_metadata(r, value)
                                                    : read_text(r, key, &name);

    if (code != INF_OK || !name)
        return code;
    code = read_entry(r, value, &e);
    if (code == INF_OK)
        code = add_tensor(r, value, name, &e);
    if (code == INF_ERROR_BAD_FORMAT)
        error_prefix(r->err, "tensor \"%.160s\"", name);
    return code;
}

/* ---------------------------------------------------------------- the whole */

int safetensors_compare(const void *a, const void *b)
{
    const struct safetensors_tensor *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static int by_offset(const void *a, const void *b)
{
    const struct safetensors_tensor *x = *(const struct safetensors_tensor *const *)a;
    const struct safetensors_tensor *y = *(const struct safetensors_tensor *const *)b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

static bool are_sorted(const struct safetensors_table *t)
{
    for (size_t i = 1; i < t->n; i++)
        if (strcmp(t->tensors[i - 1].name, t->tensors[i].name) >= 0)
            return false;
    return true;
}

static int32_t check_names(struct safetensors_table *t, inf_error *err)
{
    if (are_sorted(t))
        return INF_OK;
    if (t->n > 1)
        qsort(t->tensors, t->n, sizeof *t->tensors, safetensors_compare);
    for (size_t i = 1; i < t->n; i++)
        if (strcmp(t->tensors[i - 1].name, t->tensors[i].name) == 0)
            return error_set(err, INF_ERROR_BAD_FORMAT,
                             "damaged safetensors file: tensor \"%.160s\" stands in it twice",
                             t->tensors[i].name);
    return INF_OK;
}

/* The tensors must tile the data: each begins where the one before it ended. */
static int32_t check_tiling(const struct safetensors_table *t, uint64_t at, uint64_t end,
                            inf_error *err)
{
    int32_t code = INF_OK;
    const struct safetensors_tensor **order = mem_calloc(t->n, sizeof *order);

    if (!order)
        return error_no_memory(err);
    for (size_t i = 0; i < t->n; i++)
        order[i] = &t->tensors[i];
    if (t->n > 1)
        qsort(order, t->n, sizeof *order, by_offset);
    for (size_t i = 0; i < t->n && code == INF_OK; i++) {
        if (order[i]->offset != at)
            code = error_set_detail(
                err, INF_ERROR_BAD_FORMAT, (int64_t)at,
                "damaged safetensors file: the data of tensor \"%.160s\" %s; save the file again",
                order[i]->name,
                order[i]->offset > at ? "leaves a hole before it" : "overlaps another's");
        at += order[i]->size;
    }
    if (code == INF_OK && at != end)
        code = error_set_detail(err, INF_ERROR_BAD_FORMAT, (int64_t)at,
                                "damaged safetensors file: %llu bytes follow the last tensor; save "
                                "the file again",
                                (unsigned long long)(end - at));
    mem_free(order);
    return code;
}

static int32_t read_members(struct reading *r, size_t n)
{
    struct json_walk w;
    struct json_span root, key, value;
    int32_t code = INF_OK;

    if (n == 0 || *r->text != '{')
        return damaged(r, r->text, "it does not begin with {");
    if (!scan_json(&root, r->text, n))
        return damaged(r, r->text, "it is no JSON, or is nested too deep");
    if (!buffer_reserve(&r->table->names, n))
        return error_no_memory(r->err);
    scan_object(&w, root);
    while (code == INF_OK && scan_next_member(&w, &key, &value))
        code = read_member(r, key, value);
    return code;
}

/* Most headers. false: it is something else, or something is wrong. *tiled: each tensor begins where the one
 * before it in the header ended, from the first byte to the last. */
static bool read_plain(struct reading *r, size_t n, bool *tiled)
{
    struct plain_walk w = {r->text, r->text + n, false};
    struct buffer *names = &r->table->names;
    struct reading quiet = *r;
    struct plain_entry p;
    enum plain_step step = PLAIN_OTHER;
    int64_t next = 0;

    quiet.err = NULL;
    *tiled = true;
    if (n == 0 || *r->text != '{' || !buffer_reserve(names, n))
        return false;
    while ((step = plain_next(&w, &p)) == PLAIN_ENTRY) {
        struct entry e = {.dtype = find_dtype(p.dtype),
                          .n_dims = p.n_dims,
                          .n_offsets = 2,
                          .offsets = {p.offsets[0], p.offsets[1]}};
        size_t at = names->len;

        memcpy(e.shape, p.shape, sizeof e.shape);
        if (!e.dtype || !buffer_append(names, p.name.data, p.name.len) ||
            !buffer_append(names, "", 1) ||
            add_tensor(&quiet, p.name, names->data + at, &e) != INF_OK)
            return false;
        *tiled = *tiled && p.offsets[0] == next;
        next = p.offsets[1];
    }
    *tiled = *tiled && (uint64_t)next == r->data_size;
    return step == PLAIN_END;
}

/* Whatever JSON it is. */
static int32_t read_again(struct reading *r, size_t n)
{
    r->table->n = 0;
    r->table->names.len = 0;
    return read_members(r, n);
}

int32_t safetensors_read_header(struct safetensors_table *out, const char *header, size_t n,
                                uint64_t file_size, inf_error *err)
{
    uint64_t start = SAFETENSORS_LENGTH_BYTES + n;
    struct reading r = {out, header, start, file_size - start, err};
    bool tiled = false;
    int32_t code = INF_OK;

    buffer_init(&out->names, BUFFER_NO_LIMIT);
    if (!read_plain(&r, n, &tiled)) {
        tiled = false;
        code = read_again(&r, n);
    }
    if (code == INF_OK)
        code = check_names(out, err);
    return code == INF_OK && !tiled ? check_tiling(out, start, file_size, err) : code;
}

void safetensors_table_free(struct safetensors_table *table)
{
    mem_free(table->tensors);
    buffer_free(&table->names);
}
