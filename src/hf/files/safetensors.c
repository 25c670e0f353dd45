/*
 * safetensors: see the header for the format.
 *
 * Owns the tensor table and, for a file, its descriptor. Refuses to know what the tensors mean.
 * The header's JSON is read by a scanner for this one schema: it allocates nothing per value and
 * its cost is linear in the header, where a tree of a hostile 100 MB header would cost gigabytes.
 */
#include "hf/files/safetensors.h"

#include "core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8 };

struct safetensors {
    struct safetensors_tensor *tensors; /* sorted by name */
    size_t n, cap;
    char *names; /* every name, NUL-terminated, one after another */
    size_t names_len;
    const unsigned char *memory; /* borrowed; NULL for a file */
    int fd;                      /* -1 for memory */
    uint64_t size;
    uint64_t data_start;
    char *path; /* NULL for memory */
};

/* ---------------------------------------------------------------- scanner */

struct scanner {
    const unsigned char *start, *p, *end;
    inf_error *err;
};

static int32_t scan_fail(const struct scanner *s, const char *what)
{
    int64_t offset = LENGTH_BYTES + (s->p - s->start);
    return error_set_detail(s->err, INF_ERROR_BAD_FORMAT, offset,
                            "damaged safetensors header at byte %lld: %s; save the file again",
                            (long long)offset, what);
}

static void skip_space(struct scanner *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

/* Skips blanks; true, and past it, when the next character is c. */
static bool accept(struct scanner *s, char c)
{
    skip_space(s);
    if (s->p >= s->end || *s->p != (unsigned char)c)
        return false;
    s->p++;
    return true;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at s->p, or -1. */
static int32_t scan_hex4(struct scanner *s)
{
    int32_t v = 0;
    if (s->end - s->p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(s->p[i]);
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    s->p += 4;
    return v;
}

static size_t utf8_put(char *out, int32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | (c >> 6));
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | (c >> 12));
        out[1] = (char)(0x80 | ((c >> 6) & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (c >> 18));
    out[1] = (char)(0x80 | ((c >> 12) & 0x3f));
    out[2] = (char)(0x80 | ((c >> 6) & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The code point after "\u", surrogate pairs joined; -1 when malformed or NUL. */
static int32_t scan_unicode(struct scanner *s)
{
    int32_t c = scan_hex4(s);
    if (c <= 0 || (c >= 0xdc00 && c < 0xe000))
        return -1;
    if (c < 0xd800 || c >= 0xe000)
        return c;
    if (s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u')
        return -1;
    s->p += 2;
    int32_t low = scan_hex4(s);
    if (low < 0xdc00 || low >= 0xe000)
        return -1;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* The bytes of the UTF-8 sequence at p, 0 when it is malformed (overlong, surrogate, cut). */
static size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] > 0xf4 || n == 0 || (size_t)(end - p) < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

/* One escape after the backslash into out; its length, 0 when it is malformed. */
static size_t scan_escape(struct scanner *s, char *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (s->p >= s->end)
        return 0;
    unsigned char c = *s->p++;
    if (c == 'u') {
        int32_t code = scan_unicode(s);
        return code < 0 ? 0 : utf8_put(out, code);
    }
    const char *at = c ? strchr(from, c) : NULL;
    if (!at)
        return 0;
    out[0] = to[at - from];
    return 1;
}

/* A JSON string, unescaped and NUL-terminated, to out, which has room for as many bytes as are left
 * in the header; never longer than its escaped form. */
static int32_t scan_string(struct scanner *s, char *out, size_t *len)
{
    size_t n = 0;
    if (!accept(s, '"'))
        return scan_fail(s, "a string is missing");
    while (s->p < s->end && *s->p != '"') {
        size_t step = 0;
        if (*s->p == '\\') {
            s->p++;
            step = scan_escape(s, out + n);
        } else if (*s->p >= 0x20) {
            step = utf8_length(s->p, s->end);
            memcpy(out + n, s->p, step);
            s->p += step;
        }
        if (step == 0)
            return scan_fail(s, "a string is malformed");
        n += step;
    }
    if (s->p >= s->end)
        return scan_fail(s, "a string does not end");
    s->p++;
    out[n] = '\0';
    *len = n;
    return INF_OK;
}

/* A short string of plain characters (a key or a dtype), compared by the caller. */
static int32_t scan_word(struct scanner *s, const char **word, size_t *len)
{
    if (!accept(s, '"'))
        return scan_fail(s, "a string is missing");
    *word = (const char *)s->p;
    while (s->p < s->end && *s->p != '"' && *s->p != '\\' && *s->p >= 0x20)
        s->p++;
    if (s->p >= s->end || *s->p != '"')
        return scan_fail(s, "a string is malformed");
    *len = (size_t)((const char *)s->p - *word);
    s->p++;
    return INF_OK;
}

/* A non-negative JSON integer that fits int64_t. */
static int32_t scan_int(struct scanner *s, int64_t *out)
{
    int64_t v = 0;
    skip_space(s);
    const unsigned char *first = s->p;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
        if (v > (INT64_MAX - (*s->p - '0')) / 10)
            return scan_fail(s, "a number is too large");
        v = v * 10 + (*s->p - '0');
    }
    if (s->p == first || (*first == '0' && s->p > first + 1))
        return scan_fail(s, "a whole number is missing");
    *out = v;
    return INF_OK;
}

/* "[i, i, ...]" with at most `cap` numbers. */
static int32_t scan_ints(struct scanner *s, int64_t *out, int32_t cap, int32_t *n_out,
                         const char *too_many)
{
    int32_t n = 0;
    if (!accept(s, '['))
        return scan_fail(s, "a list is missing");
    if (accept(s, ']')) {
        *n_out = 0;
        return INF_OK;
    }
    do {
        if (n == cap)
            return scan_fail(s, too_many);
        int32_t code = scan_int(s, &out[n]);
        if (code != INF_OK)
            return code;
        n++;
    } while (accept(s, ','));
    if (!accept(s, ']'))
        return scan_fail(s, "a list does not end");
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

static const struct dtype *dtype_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strlen(dtypes[i].name) == len && memcmp(dtypes[i].name, name, len) == 0)
            return &dtypes[i];
    return NULL;
}

/* What one entry says, before it is checked. */
struct entry {
    const struct dtype *dtype;
    int32_t n_dims;    /* -1: not given */
    int32_t n_offsets; /* 0: not given */
    int64_t shape[SAFETENSORS_MAX_DIMS];
    int64_t offsets[2];
};

static bool word_is(const char *word, size_t len, const char *what)
{
    return strlen(what) == len && memcmp(word, what, len) == 0;
}

/* One "key": value of an entry. */
static int32_t scan_field(struct scanner *s, struct entry *e)
{
    const char *key = NULL, *word = NULL;
    size_t len = 0;
    int32_t code = scan_word(s, &key, &len);
    if (code != INF_OK)
        return code;
    if (!accept(s, ':'))
        return scan_fail(s, "a colon is missing");
    if (word_is(key, len, "dtype") && !e->dtype) {
        code = scan_word(s, &word, &len);
        if (code == INF_OK && !(e->dtype = dtype_find(word, len)))
            code = scan_fail(s, "a tensor's dtype is unknown");
        return code;
    }
    if (word_is(key, len, "shape") && e->n_dims < 0) {
        return scan_ints(s, e->shape, SAFETENSORS_MAX_DIMS, &e->n_dims,
                         "a tensor has more than 8 dimensions");
    }
    if (word_is(key, len, "data_offsets") && e->n_offsets == 0)
        return scan_ints(s, e->offsets, 2, &e->n_offsets, "data_offsets has more than two numbers");
    return scan_fail(s, "a tensor has an unknown or repeated key");
}

/* {"dtype": ..., "shape": ..., "data_offsets": ...} in any order. */
static int32_t scan_entry(struct scanner *s, struct entry *e)
{
    *e = (struct entry){.n_dims = -1};
    if (!accept(s, '{'))
        return scan_fail(s, "a tensor's description is not an object");
    do {
        int32_t code = scan_field(s, e);
        if (code != INF_OK)
            return code;
    } while (accept(s, ','));
    if (!accept(s, '}'))
        return scan_fail(s, "a tensor's description does not end");
    if (!e->dtype || e->n_dims < 0 || e->n_offsets != 2)
        return scan_fail(s, "a tensor lacks its dtype, shape or data_offsets");
    return INF_OK;
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

static bool tensors_grow(struct safetensors *st)
{
    size_t cap = st->cap ? st->cap * 2 : 64, bytes = 0;
    if (!size_mul(cap, sizeof *st->tensors, &bytes))
        return false;
    struct safetensors_tensor *grown = mem_realloc(st->tensors, bytes);
    if (!grown)
        return false;
    st->tensors = grown;
    st->cap = cap;
    return true;
}

static int32_t add_tensor(struct safetensors *st, const struct scanner *s, const char *name,
                          const struct entry *e)
{
    size_t bytes = 0;
    uint64_t data_size = st->size - st->data_start;
    if (e->offsets[0] > e->offsets[1] || (uint64_t)e->offsets[1] > data_size)
        return scan_fail(s, "a tensor's data_offsets lie outside the file (is it cut short?)");
    if (!entry_bytes(e, &bytes) || bytes != (uint64_t)(e->offsets[1] - e->offsets[0]))
        return scan_fail(s, "a tensor's shape and dtype do not match its data_offsets");
    if (st->n == st->cap && !tensors_grow(st))
        return error_no_memory(s->err);
    struct safetensors_tensor *t = &st->tensors[st->n++];
    *t = (struct safetensors_tensor){.name = name,
                                     .dtype_name = e->dtype->name,
                                     .dtype = e->dtype->dtype,
                                     .n_dims = e->n_dims,
                                     .offset = st->data_start + (uint64_t)e->offsets[0],
                                     .size = bytes};
    for (int32_t i = 0; i < SAFETENSORS_MAX_DIMS; i++)
        t->shape[i] = i < e->n_dims ? e->shape[i] : 1;
    return INF_OK;
}

/* {"key": "text", ...}: checked and dropped. `scratch` takes any string of the header. */
static int32_t scan_metadata(struct scanner *s, char *scratch)
{
    size_t len = 0;
    if (!accept(s, '{'))
        return scan_fail(s, "__metadata__ is not an object");
    if (accept(s, '}'))
        return INF_OK;
    do {
        int32_t code = scan_string(s, scratch, &len);
        if (code == INF_OK && !accept(s, ':'))
            code = scan_fail(s, "a colon is missing");
        if (code == INF_OK)
            code = scan_string(s, scratch, &len);
        if (code != INF_OK)
            return code;
    } while (accept(s, ','));
    return accept(s, '}') ? INF_OK : scan_fail(s, "__metadata__ does not end");
}

/* One member of the header. */
static int32_t scan_member(struct safetensors *st, struct scanner *s)
{
    char *name = st->names + st->names_len;
    size_t len = 0;
    struct entry e;
    int32_t code = scan_string(s, name, &len);
    if (code != INF_OK)
        return code;
    if (!accept(s, ':'))
        return scan_fail(s, "a colon is missing");
    if (word_is(name, len, "__metadata__"))
        return scan_metadata(s, name);
    code = scan_entry(s, &e);
    if (code == INF_OK) {
        st->names_len += len + 1;
        code = add_tensor(st, s, name, &e);
    }
    if (code == INF_ERROR_BAD_FORMAT)
        error_prefix(s->err, "tensor \"%.160s\"", name);
    return code;
}

static int32_t scan_header(struct safetensors *st, struct scanner *s)
{
    if (s->p >= s->end || *s->p != '{')
        return scan_fail(s, "it does not begin with {");
    s->p++;
    if (!accept(s, '}')) {
        do {
            int32_t code = scan_member(st, s);
            if (code != INF_OK)
                return code;
        } while (accept(s, ','));
        if (!accept(s, '}'))
            return scan_fail(s, "it does not end");
    }
    skip_space(s);
    return s->p == s->end ? INF_OK : scan_fail(s, "something follows its closing brace");
}

/* ---------------------------------------------------------------- the whole */

static int by_name(const void *a, const void *b)
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

static int32_t check_names(struct safetensors *st, inf_error *err)
{
    if (st->n > 1)
        qsort(st->tensors, st->n, sizeof *st->tensors, by_name);
    for (size_t i = 1; i < st->n; i++) {
        if (strcmp(st->tensors[i - 1].name, st->tensors[i].name) == 0) {
            return error_set(err, INF_ERROR_BAD_FORMAT,
                             "damaged safetensors file: tensor \"%.160s\" stands in it twice",
                             st->tensors[i].name);
        }
    }
    return INF_OK;
}

/* The tensors must tile the data: each begins where the one before it ended. */
static int32_t check_tiling(const struct safetensors *st, inf_error *err)
{
    int32_t code = INF_OK;
    uint64_t at = st->data_start;
    const struct safetensors_tensor **order = mem_calloc(st->n, sizeof *order);
    if (!order)
        return error_no_memory(err);
    for (size_t i = 0; i < st->n; i++)
        order[i] = &st->tensors[i];
    if (st->n > 1)
        qsort(order, st->n, sizeof *order, by_offset);
    for (size_t i = 0; i < st->n && code == INF_OK; i++) {
        if (order[i]->offset != at) {
            code = error_set_detail(
                err, INF_ERROR_BAD_FORMAT, (int64_t)at,
                "damaged safetensors file: the data of tensor \"%.160s\" %s; save the file again",
                order[i]->name,
                order[i]->offset > at ? "leaves a hole before it" : "overlaps another's");
        }
        at += order[i]->size;
    }
    if (code == INF_OK && at != st->size) {
        code = error_set_detail(err, INF_ERROR_BAD_FORMAT, (int64_t)at,
                                "damaged safetensors file: %llu bytes follow the last tensor; save "
                                "the file again",
                                (unsigned long long)(st->size - at));
    }
    mem_free(order);
    return code;
}

/* `header`: its N bytes. */
static int32_t parse_header(struct safetensors *st, const unsigned char *header, size_t n,
                            inf_error *err)
{
    struct scanner s = {.start = header, .p = header, .end = header + n, .err = err};
    st->names = mem_alloc(n + 1);
    if (!st->names)
        return error_no_memory(err);
    int32_t code = scan_header(st, &s);
    if (code == INF_OK)
        code = check_names(st, err);
    if (code == INF_OK)
        code = check_tiling(st, err);
    return code;
}

/* The header's length from the first 8 bytes, checked against the file's size. */
static int32_t header_length(struct safetensors *st, const unsigned char *bytes, size_t *out,
                             inf_error *err)
{
    uint64_t n = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        n = n << 8 | bytes[i];
    if (n > SAFETENSORS_MAX_HEADER || n > st->size - LENGTH_BYTES) {
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "not a safetensors file, or cut short: its header would be %llu bytes",
                         (unsigned long long)n);
    }
    st->data_start = LENGTH_BYTES + n;
    *out = (size_t)n;
    return INF_OK;
}

static int32_t check_size(const struct safetensors *st, inf_error *err)
{
    if (st->size < LENGTH_BYTES + 2) {
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "not a safetensors file, or cut short: it has %llu bytes",
                         (unsigned long long)st->size);
    }
    return INF_OK;
}

int32_t safetensors_from_memory(struct safetensors **out, const void *bytes, size_t size,
                                inf_error *err)
{
    size_t n = 0;
    struct safetensors *st = mem_calloc(1, sizeof *st);
    if (!st)
        return error_no_memory(err);
    st->fd = -1;
    st->memory = bytes;
    st->size = size;
    int32_t code = check_size(st, err);
    if (code == INF_OK)
        code = header_length(st, st->memory, &n, err);
    if (code == INF_OK)
        code = parse_header(st, st->memory + LENGTH_BYTES, n, err);
    if (code != INF_OK) {
        safetensors_close(st);
        return code;
    }
    *out = st;
    return INF_OK;
}

/* Reads exactly n bytes at an offset. */
static int32_t read_at(const struct safetensors *st, void *dst, size_t n, uint64_t offset,
                       inf_error *err)
{
    unsigned char *p = dst;
    while (n > 0) {
        ssize_t got = pread(st->fd, p, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "read", st->path);
        if (got == 0) {
            return error_set(err, INF_ERROR_IO, "cannot read %s: it shrank while being read",
                             st->path);
        }
        p += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return INF_OK;
}

static int32_t open_file(struct safetensors *st, const char *path, inf_error *err)
{
    struct stat info;
    st->path = mem_strdup(path);
    if (!st->path)
        return error_no_memory(err);
    st->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block us */
    if (st->fd < 0 || fstat(st->fd, &info) != 0)
        return error_set_errno(err, errno, "open", path);
    if (!S_ISREG(info.st_mode))
        return error_set(err, INF_ERROR_IO, "cannot read %s: it is not a regular file", path);
    st->size = (uint64_t)info.st_size;
    return INF_OK;
}

static int32_t read_header(struct safetensors *st, inf_error *err)
{
    unsigned char length[LENGTH_BYTES];
    size_t n = 0;
    unsigned char *header = NULL;
    int32_t code = check_size(st, err);
    if (code == INF_OK)
        code = read_at(st, length, sizeof length, 0, err);
    if (code == INF_OK)
        code = header_length(st, length, &n, err);
    if (code != INF_OK)
        return code;
    header = mem_alloc(n);
    if (!header)
        return error_no_memory(err);
    code = read_at(st, header, n, LENGTH_BYTES, err);
    if (code == INF_OK)
        code = parse_header(st, header, n, err);
    mem_free(header);
    return code;
}

int32_t safetensors_open(struct safetensors **out, const char *path, inf_error *err)
{
    struct safetensors *st = mem_calloc(1, sizeof *st);
    if (!st)
        return error_no_memory(err);
    st->fd = -1;
    int32_t code = open_file(st, path, err);
    if (code == INF_OK) {
        code = read_header(st, err);
        if (code == INF_ERROR_BAD_FORMAT)
            error_prefix(err, "%s", path);
    }
    if (code != INF_OK) {
        safetensors_close(st);
        return code;
    }
    *out = st;
    return INF_OK;
}

void safetensors_close(struct safetensors *st)
{
    if (!st)
        return;
    if (st->fd >= 0)
        close(st->fd);
    mem_free(st->tensors);
    mem_free(st->names);
    mem_free(st->path);
    mem_free(st);
}

size_t safetensors_count(const struct safetensors *st)
{
    return st->n;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *st, size_t index)
{
    return &st->tensors[index];
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *st, const char *name)
{
    struct safetensors_tensor key = {.name = name};
    return st->n == 0 ? NULL : bsearch(&key, st->tensors, st->n, sizeof key, by_name);
}

uint64_t safetensors_file_size(const struct safetensors *st)
{
    return st->size;
}

int32_t safetensors_data(const void **out, const struct safetensors *st,
                         const struct safetensors_tensor *t, void *scratch, inf_error *err)
{
    if (st->memory) {
        *out = st->memory + t->offset;
        return INF_OK;
    }
    int32_t code = read_at(st, scratch, t->size, t->offset, err);
    if (code == INF_OK)
        *out = scratch;
    return code;
}
