/*
 * file: see file.h for the format. This file owns parsing, bounds and the look-ups; it
 * knows nothing of architectures (model.c does).
 *
 * Every number read is checked before it is used: lengths and counts against the bytes that are
 * left, products against overflow. Memory taken is a small multiple of the file's own size.
 */
#include "gguf/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "gguf/text_map.h"

#define MAX_KEYS 65536
#define MAX_TENSORS 65536
#define MAX_KEY_LENGTH 65535  /* of the format */
#define MAX_NAME_LENGTH 63    /* of ggml, which drops the rest */
#define MAX_ARRAY (1u << 30)  /* of ggml */
#define MAX_ALIGNMENT 1048576 /* ggml takes any power of two; real files have 32 */
#define MAX_PARTS 512
#define MARK_EVERY 16 /* text arrays: one remembered position for so many texts */

#define AGAIN "the file is damaged, download it again"

struct value {
    inf_text key;
    int32_t kind;          /* enum gguf_kind */
    int32_t item;          /* of an array */
    size_t count;          /* of an array, else 1 */
    const uint8_t *data;   /* the value, or the first item */
    const uint8_t **marks; /* text arrays: where texts 0, 16, 32, ... start */
};

struct part {
    void *mapping; /* NULL: borrowed */
    const uint8_t *bytes;
    size_t size;
};

struct gguf_file {
    size_t n_parts;
    struct part *parts;
    size_t n_values;
    struct value *values; /* of the first part */
    struct text_map value_map;
    size_t n_tensors;
    struct gguf_tensor *tensors;
    char (*names)[MAX_NAME_LENGTH + 1]; /* (n_tensors) */
    struct text_map tensor_map;
    size_t size;
    size_t alignment; /* the smallest of the parts' */
};

/* Where the parser is. The first error stops it. */
struct cursor {
    const uint8_t *bytes;
    size_t size;
    size_t at;
    inf_error *err;
};

/* ---------------------------------------------------------------- reading */

static const size_t kind_size[GGUF_KIND_COUNT] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
    [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

const char *gguf_kind_name(int32_t kind)
{
    static const char *const names[GGUF_KIND_COUNT] = {"u8",  "i8",  "u16",  "i16",  "u32",
                                                       "i32", "f32", "bool", "text", "array",
                                                       "u64", "i64", "f64"};

    return kind >= 0 && kind < GGUF_KIND_COUNT ? names[kind] : "unknown";
}

static uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t load_u64(const uint8_t *p)
{
    return (uint64_t)load_u32(p) | (uint64_t)load_u32(p + 4) << 32;
}

/* For messages: at most 80 bytes of a name that may be anything. */
static int shown(inf_text t)
{
    return t.len < 80 ? (int)t.len : 80;
}

static bool cut_off(struct cursor *c, const char *what)
{
    error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)c->at,
                     "the file ends in the middle of %s, at byte %zu: it is cut off, download it "
                     "again",
                     what, c->size);
    return false;
}

static bool read_u32(struct cursor *c, uint32_t *out, const char *what)
{
    if (c->size - c->at < 4)
        return cut_off(c, what);
    *out = load_u32(c->bytes + c->at);
    c->at += 4;
    return true;
}

static bool read_u64(struct cursor *c, uint64_t *out, const char *what)
{
    if (c->size - c->at < 8)
        return cut_off(c, what);
    *out = load_u64(c->bytes + c->at);
    c->at += 8;
    return true;
}

static bool read_text(struct cursor *c, inf_text *out, const char *what)
{
    uint64_t len = 0;

    if (!read_u64(c, &len, what))
        return false;
    if (len > c->size - c->at) {
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)c->at - 8,
                         "%s at byte %zu claims %" PRIu64 " bytes where %zu are left: the file is "
                         "damaged or cut off, download it again",
                         what, c->at - 8, len, c->size - c->at);
        return false;
    }
    out->data = (const char *)c->bytes + c->at;
    out->len = (size_t)len;
    c->at += (size_t)len;
    return true;
}

/* Keys and tensor names are printable text. */
static bool is_name(inf_text t)
{
    for (size_t i = 0; i < t.len; i++) {
        unsigned char b = (unsigned char)t.data[i];

        if (b < 0x20 || b == 0x7f)
            return false;
    }
    return t.len > 0;
}

/* ---------------------------------------------------------------- key-value pairs */

/* Walks the texts of an array and remembers every 16th. */
static bool read_text_items(struct cursor *c, struct value *v)
{
    inf_text text = {0};
    size_t n_marks = v->count / MARK_EVERY + 1;

    if (v->count > (c->size - c->at) / 8)
        return cut_off(c, "a text array");
    v->marks = mem_alloc(n_marks * sizeof *v->marks);
    if (v->marks == NULL) {
        error_no_memory(c->err);
        return false;
    }
    for (size_t i = 0; i < v->count; i++) {
        if (i % MARK_EVERY == 0)
            v->marks[i / MARK_EVERY] = c->bytes + c->at;
        if (!read_text(c, &text, "a text of an array"))
            return false;
    }
    return true;
}

static bool read_array(struct cursor *c, struct value *v)
{
    uint32_t item = 0;
    uint64_t count = 0;

    if (!read_u32(c, &item, "an array") || !read_u64(c, &count, "an array"))
        return false;
    if (item >= GGUF_KIND_COUNT || item == GGUF_ARRAY) {
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)c->at - 12,
                         "the array %.*s has items of %s: " AGAIN, shown(v->key), v->key.data,
                         item == GGUF_ARRAY ? "arrays, which llama.cpp does not read"
                                            : "an unknown type");
        return false;
    }
    if (count > MAX_ARRAY) {
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)c->at - 8,
                         "the array %.*s claims %" PRIu64 " items: " AGAIN, shown(v->key),
                         v->key.data, count);
        return false;
    }
    v->item = (int32_t)item;
    v->count = (size_t)count;
    v->data = c->bytes + c->at;
    if (item == GGUF_TEXT)
        return read_text_items(c, v);
    if (v->count > (c->size - c->at) / kind_size[item])
        return cut_off(c, "an array");
    c->at += v->count * kind_size[item];
    return true;
}

static bool read_value(struct cursor *c, struct value *v)
{
    uint32_t kind = 0;
    inf_text text = {0};

    if (!read_u32(c, &kind, "a key"))
        return false;
    if (kind >= GGUF_KIND_COUNT) {
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)c->at - 4,
                         "the key %.*s has the unknown type %" PRIu32 ": " AGAIN, shown(v->key),
                         v->key.data, kind);
        return false;
    }
    v->kind = (int32_t)kind;
    v->count = 1;
    v->data = c->bytes + c->at;
    if (kind == GGUF_ARRAY)
        return read_array(c, v);
    if (kind == GGUF_TEXT)
        return read_text(c, &text, "a text");
    if (c->size - c->at < kind_size[kind])
        return cut_off(c, "a value");
    c->at += kind_size[kind];
    return true;
}

static inf_text key_of(const void *owner, uint32_t index)
{
    return ((const struct value *)owner)[index].key;
}

static bool read_key(struct cursor *c, struct value *values, struct text_map *map, uint32_t index)
{
    struct value *v = &values[index];
    size_t start = c->at;

    if (!read_text(c, &v->key, "a key"))
        return false;
    if (v->key.len > MAX_KEY_LENGTH || !is_name(v->key)) {
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)start,
                         "key %" PRIu32 ", at byte %zu, is no key name: " AGAIN, index, start);
        return false;
    }
    if (text_map_add(map, v->key, index) != TEXT_MAP_NONE) {
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)start,
                         "the key %.*s comes twice: " AGAIN, shown(v->key), v->key.data);
        return false;
    }
    return read_value(c, v);
}

static void free_values(struct value *values, size_t n)
{
    for (size_t i = 0; values != NULL && i < n; i++)
        mem_free(values[i].marks);
    mem_free(values);
}

/* All pairs of a part. The caller frees *out and the map, after an error too. */
static bool read_values(struct cursor *c, struct value **out, struct text_map *map, size_t n)
{
    *out = mem_calloc(n > 0 ? n : 1, sizeof **out);
    if (*out == NULL || !text_map_init(map, n, key_of, *out)) {
        error_no_memory(c->err);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (!read_key(c, *out, map, (uint32_t)i))
            return false;
    return true;
}

static const struct value *find_in(const struct value *values, const struct text_map *map,
                                   const char *key)
{
    uint32_t i = text_map_find(map, (inf_text){key, strlen(key)});

    return i == TEXT_MAP_NONE ? NULL : &values[i];
}

/* ---------------------------------------------------------------- tensors */

static bool bad_tensor(struct cursor *c, const char *name, const char *what)
{
    error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)c->at, "the tensor %s %s: " AGAIN, name,
                     what);
    return false;
}

static bool read_name(struct cursor *c, char out[MAX_NAME_LENGTH + 1])
{
    inf_text name = {0};
    size_t start = c->at;

    if (!read_text(c, &name, "a tensor name"))
        return false;
    if (name.len > MAX_NAME_LENGTH || !is_name(name)) {
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)start,
                         "the tensor name at byte %zu is empty, not text or longer than %d "
                         "bytes: " AGAIN,
                         start, MAX_NAME_LENGTH);
        return false;
    }
    memcpy(out, name.data, name.len);
    out[name.len] = '\0';
    return true;
}

static bool read_shape(struct cursor *c, struct gguf_tensor *t)
{
    uint32_t n_dims = 0;
    uint64_t ne = 0;
    int64_t elements = 1;

    if (!read_u32(c, &n_dims, "a tensor's shape"))
        return false;
    if (n_dims > 4)
        return bad_tensor(c, t->name, "has more than 4 dimensions");
    t->n_dims = (int32_t)n_dims;
    for (uint32_t d = 0; d < 4; d++) {
        t->ne[d] = 1;
        if (d >= n_dims)
            continue;
        if (!read_u64(c, &ne, "a tensor's shape"))
            return false;
        if (ne == 0 || ne > INT64_MAX || (int64_t)ne > INT64_MAX / elements)
            return bad_tensor(c, t->name, "has an impossible shape");
        t->ne[d] = (int64_t)ne;
        elements *= (int64_t)ne;
    }
    return true;
}

/* Sets type and size. */
static bool read_type(struct cursor *c, struct gguf_tensor *t)
{
    uint32_t number = 0;
    const struct gguf_weight_type *type = NULL;
    uint64_t elements = (uint64_t)t->ne[0] * (uint64_t)t->ne[1] * (uint64_t)t->ne[2] *
                        (uint64_t)t->ne[3]; /* fits: read_shape */

    if (!read_u32(c, &number, "a tensor's type"))
        return false;
    type = number <= INT32_MAX ? gguf_weight_type((int32_t)number) : NULL;
    if (type == NULL) {
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)c->at - 4,
                         "the tensor %s has the type %" PRIu32 ", which is unknown or was removed: "
                         "get a newer conversion of the model, or download it again",
                         t->name, number);
        return false;
    }
    if (t->ne[0] % type->block != 0)
        return bad_tensor(c, t->name, "has rows that are no whole number of quantisation blocks");
    t->type = (int32_t)number;
    if (!size_mul((size_t)(elements / type->block), type->bytes, &t->size) || t->size > c->size)
        return bad_tensor(c, t->name, "is larger than the whole file");
    return true;
}

static inf_text name_of(const void *owner, uint32_t index)
{
    const char *name = ((const struct gguf_tensor *)owner)[index].name;

    return (inf_text){name, strlen(name)};
}

/* The info of one tensor; data becomes its offset's address later. */
static bool read_tensor(struct cursor *c, struct gguf_file *f, uint32_t index, uint64_t *offset)
{
    struct gguf_tensor *t = &f->tensors[index];

    t->name = f->names[index];
    if (!read_name(c, f->names[index]))
        return false;
    if (text_map_add(&f->tensor_map, name_of(f->tensors, index), index) != TEXT_MAP_NONE)
        return bad_tensor(c, t->name, "comes twice");
    return read_shape(c, t) && read_type(c, t) && read_u64(c, offset, "a tensor's offset");
}

/* Puts tensors [first, first + n) at their offsets: in order, padded, without holes, in the file. */
static bool place_tensors(struct cursor *c, struct gguf_file *f, size_t first, size_t n,
                          const uint64_t *offsets, size_t alignment)
{
    size_t start = (c->at + alignment - 1) / alignment * alignment;
    size_t expected = 0;

    if (n > 0 && start > c->size)
        return cut_off(c, "the padding before the tensor data");
    for (size_t i = 0; i < n; i++) {
        struct gguf_tensor *t = &f->tensors[first + i];

        if (offsets[i] != expected)
            return bad_tensor(c, t->name, "does not lie where the one before it ends");
        if (expected > c->size - start || t->size > c->size - start - expected) {
            error_set_detail(c->err, INF_ERROR_BAD_FORMAT, (int64_t)c->size,
                             "the file ends at byte %zu, before the data of the tensor %s: it is "
                             "cut off, download it again",
                             c->size, t->name);
            return false;
        }
        t->data = c->bytes + start + expected;
        expected += (t->size + alignment - 1) / alignment * alignment; /* t->size <= file size */
    }
    return true;
}

/* ---------------------------------------------------------------- the header */

/* What a file that does not start with GGUF is, for the message. */
static const char *foreign(const uint8_t *b, size_t n)
{
    static const struct {
        const char *magic;
        const char *what;
    } known[] = {
        {"PK\x03\x04", "a zip archive (a PyTorch checkpoint?), not a GGUF file: convert the model"},
        {"version https://git-lfs", "a Git LFS pointer, not the file itself: run git lfs pull"},
        {"lmgg", "a GGML file from before GGUF: convert the model again"},
        {"tjgg", "a GGML file from before GGUF: convert the model again"},
        {"fmgg", "a GGML file from before GGUF: convert the model again"},
        {"<", "an HTML or XML page, not a GGUF file: the download failed, download it again"},
        {"{", "a JSON file, not a GGUF file: give the path of the .gguf file"},
        {"\x80\x02", "a PyTorch checkpoint, not a GGUF file: convert the model"},
        {"\x1f\x8b", "a gzip archive, not a GGUF file: unpack it"},
        {"GGU", "damaged in its first bytes: download it again"},
    };

    if (n >= 9 && load_u64(b) < (UINT64_C(1) << 32) && b[8] == '{') {
        return "a safetensors file, not a GGUF file: give its directory to the transformers "
               "provider, or convert it to GGUF";
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t len = strlen(known[i].magic);

        if (n >= len && memcmp(b, known[i].magic, len) == 0)
            return known[i].what;
    }
    return "not a GGUF file: give the path of a .gguf file";
}

static bool check_version(struct cursor *c, uint32_t version)
{
    if (version == 2 || version == 3)
        return true;
    if (version == 1) {
        error_set(c->err, INF_ERROR_UNSUPPORTED,
                  "GGUF version 1 is no longer read: get a newer conversion of the model");
    } else if ((version & 0xffff) == 0 && version != 0) {
        error_set(c->err, INF_ERROR_UNSUPPORTED,
                  "this is a big-endian GGUF file: get the little-endian one");
    } else if (version > 3 && version < 256) {
        error_set(c->err, INF_ERROR_UNSUPPORTED,
                  "GGUF version %" PRIu32 " is newer than what is read here (2 and 3)", version);
    } else {
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, 4, "the GGUF version is %" PRIu32 ": " AGAIN,
                         version);
    }
    return false;
}

static bool read_header(struct cursor *c, size_t *n_tensors, size_t *n_values)
{
    uint32_t version = 0;
    uint64_t tensors = 0;
    uint64_t values = 0;

    if (c->size == 0) {
        error_set(c->err, INF_ERROR_BAD_FORMAT, "the file is empty: download it again");
        return false;
    }
    if (c->size < 4 || memcmp(c->bytes, "GGUF", 4) != 0) {
        error_set(c->err, INF_ERROR_BAD_FORMAT, "this is %s", foreign(c->bytes, c->size));
        return false;
    }
    c->at = 4;
    if (!read_u32(c, &version, "the header") || !check_version(c, version) ||
        !read_u64(c, &tensors, "the header") || !read_u64(c, &values, "the header")) {
        return false;
    }
    /* the smallest key takes 14 bytes, the smallest tensor 25 */
    if (tensors > MAX_TENSORS || values > MAX_KEYS || values > (c->size - c->at) / 14 ||
        tensors > (c->size - c->at) / 25) {
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, 8,
                         "the header claims %" PRIu64 " tensors and %" PRIu64 " keys in %zu "
                         "bytes: the file is damaged or cut off, download it again",
                         tensors, values, c->size);
        return false;
    }
    *n_tensors = (size_t)tensors;
    *n_values = (size_t)values;
    return true;
}

static bool read_alignment(struct cursor *c, const struct value *values, const struct text_map *map,
                           size_t *out)
{
    const struct value *v = find_in(values, map, "general.alignment");
    uint32_t a = 32;

    if (v != NULL)
        a = v->kind == GGUF_U32 ? load_u32(v->data) : 0;
    /* 8: below it, weights would not be aligned to their elements */
    if (a < 8 || a > MAX_ALIGNMENT || (a & (a - 1)) != 0) {
        error_set(c->err, INF_ERROR_BAD_FORMAT,
                  "general.alignment is not a power of two from 8 to %d: " AGAIN, MAX_ALIGNMENT);
        return false;
    }
    *out = a;
    return true;
}

/* ---------------------------------------------------------------- parts */

/* Room for n more tensors. Names and the map are made anew: the texts move. */
static bool grow_tensors(struct cursor *c, struct gguf_file *f, size_t n)
{
    size_t total = f->n_tensors + n;
    struct gguf_tensor *tensors = NULL;
    char(*names)[MAX_NAME_LENGTH + 1] = NULL;

    if (total > MAX_TENSORS) {
        error_set(c->err, INF_ERROR_BAD_FORMAT, "the parts have more than %d tensors together",
                  MAX_TENSORS);
        return false;
    }
    tensors = mem_realloc(f->tensors, (total > 0 ? total : 1) * sizeof *tensors);
    f->tensors = tensors != NULL ? tensors : f->tensors;
    names = mem_realloc(f->names, (total > 0 ? total : 1) * sizeof *names);
    f->names = names != NULL ? names : f->names;
    text_map_free(&f->tensor_map);
    if (tensors == NULL || names == NULL ||
        !text_map_init(&f->tensor_map, total, name_of, f->tensors)) {
        error_no_memory(c->err);
        return false;
    }
    memset(f->tensors + f->n_tensors, 0, n * sizeof *f->tensors);
    for (size_t i = 0; i < f->n_tensors; i++) {
        f->tensors[i].name = f->names[i];
        text_map_add(&f->tensor_map, name_of(f->tensors, (uint32_t)i), (uint32_t)i);
    }
    return true;
}

static bool read_tensors(struct cursor *c, struct gguf_file *f, size_t n, size_t alignment)
{
    bool ok = false;
    size_t first = f->n_tensors;
    uint64_t *offsets = NULL;

    if (!grow_tensors(c, f, n))
        return false;
    offsets = mem_alloc((n > 0 ? n : 1) * sizeof *offsets);
    if (offsets == NULL) {
        error_no_memory(c->err);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (!read_tensor(c, f, (uint32_t)(first + i), &offsets[i]))
            goto done;
    if (!place_tensors(c, f, first, n, offsets, alignment))
        goto done;
    f->n_tensors += n;
    ok = true;
done:
    mem_free(offsets);
    return ok;
}

/* One part: its values into *values and *map, its tensors into f. */
static bool parse_part(struct gguf_file *f, const struct part *p, struct value **values,
                       size_t *n_values, struct text_map *map, inf_error *err)
{
    struct cursor c = {p->bytes, p->size, 0, err};
    size_t n_tensors = 0;
    size_t alignment = 0;

    if (!read_header(&c, &n_tensors, n_values) || !read_values(&c, values, map, *n_values) ||
        !read_alignment(&c, *values, map, &alignment)) {
        return false;
    }
    f->alignment = f->alignment == 0 || alignment < f->alignment ? alignment : f->alignment;
    return read_tensors(&c, f, n_tensors, alignment);
}

static int32_t map_part(struct part *p, const char *path, inf_error *err)
{
    int32_t code = INF_OK;
    int fd = -1;
    struct stat st;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block us */
    if (fd < 0)
        return error_set_errno(err, errno, "open", path);
    if (fstat(fd, &st) != 0) {
        code = error_set_errno(err, errno, "read", path);
    } else if (S_ISDIR(st.st_mode)) {
        code = error_set_detail(err, INF_ERROR_IO, EISDIR,
                                "%s is a directory: give the path of a .gguf file (a directory "
                                "with safetensors is for the transformers provider)",
                                path);
    } else if (!S_ISREG(st.st_mode)) {
        code = error_set(err, INF_ERROR_IO, "%s is not a regular file", path);
    } else {
        p->size = (size_t)st.st_size;
        p->bytes = (const uint8_t *)"";
        if (p->size > 0) {
            p->mapping = mmap(NULL, p->size, PROT_READ, MAP_SHARED, fd, 0);
            if (p->mapping == MAP_FAILED) {
                p->mapping = NULL;
                code = error_set_errno(err, errno, "map", path);
            } else {
                p->bytes = p->mapping;
            }
        }
    }
    close(fd);
    return code;
}

static struct gguf_file *new_file(inf_error *err)
{
    struct gguf_file *f = mem_calloc(1, sizeof *f);

    if (f != NULL)
        f->parts = mem_calloc(1, sizeof *f->parts);
    if (f == NULL || f->parts == NULL) {
        mem_free(f);
        error_no_memory(err);
        return NULL;
    }
    f->n_parts = 1;
    return f;
}

void gguf_file_close(struct gguf_file *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n_parts; i++)
        if (f->parts[i].mapping != NULL)
            munmap(f->parts[i].mapping, f->parts[i].size);
    free_values(f->values, f->n_values);
    text_map_free(&f->value_map);
    text_map_free(&f->tensor_map);
    mem_free(f->tensors);
    mem_free(f->names);
    mem_free(f->parts);
    mem_free(f);
}

/* ---------------------------------------------------------------- split files */

/* A u16 key, which llama.cpp reads without asking for its type. false: missing; -1: another type. */
static bool split_number(const struct value *values, const struct text_map *map, const char *key,
                         int32_t *out)
{
    const struct value *v = find_in(values, map, key);

    if (v == NULL)
        return false;
    *out = v->kind == GGUF_U16 ? (int32_t)(v->data[0] | v->data[1] << 8) : -1;
    return true;
}

/* 1 for a file of its own, the number of parts, or 0 after an error. */
static int32_t split_count(const struct gguf_file *f, inf_error *err)
{
    int32_t count = 0;
    int32_t no = 0;

    if (!split_number(f->values, &f->value_map, "split.count", &count) || count == 0 || count == 1)
        return 1;
    if (count < 0 || count > MAX_PARTS ||
        !split_number(f->values, &f->value_map, "split.no", &no) || no < 0 || no >= count) {
        error_set(err, INF_ERROR_BAD_FORMAT,
                  "the keys split.count and split.no make no sense: " AGAIN);
        return 0;
    }
    if (no != 0) {
        error_set(err, INF_ERROR_UNSUPPORTED,
                  "this is part %" PRId32 " of %" PRId32
                  " of a model: give the path of the first part (...-00001-of-%05" PRId32 ".gguf)",
                  no + 1, count, count);
        return 0;
    }
    return count;
}

/* The path of part i, from that of the first; NULL after an error. */
static char *part_path(const char *first, int32_t i, int32_t count, inf_error *err)
{
    char ending[64];
    char wanted[64];
    size_t len = strlen(first);
    size_t n = 0;
    char *path = NULL;

    snprintf(ending, sizeof ending, "-%05d-of-%05d.gguf", 1, (int)count);
    snprintf(wanted, sizeof wanted, "-%05d-of-%05d.gguf", (int)i + 1, (int)count);
    n = strlen(ending); /* as long as wanted: both numbers are below 100,000 */
    if (len <= n || strcmp(first + len - n, ending) != 0) {
        error_set(err, INF_ERROR_BAD_FORMAT,
                  "this is the first of %" PRId32
                  " parts, but its name does not end in %s: give the parts their names back",
                  count, ending);
        return NULL;
    }
    path = mem_strdup(first);
    if (path == NULL) {
        error_no_memory(err);
        return NULL;
    }
    memcpy(path + len - n, wanted, n);
    return path;
}

/* Opens part i, after the first. Its keys are checked and dropped, as llama.cpp does. */
static int32_t open_part(struct gguf_file *f, const char *first, int32_t i, int32_t count,
                         inf_error *err)
{
    int32_t code = INF_OK;
    int32_t no = -1;
    struct value *values = NULL;
    size_t n_values = 0;
    struct text_map map = {0};
    inf_error local = {0};
    char *path = part_path(first, i, count, err);

    if (path == NULL)
        return err != NULL ? err->code : INF_ERROR_BAD_FORMAT;
    code = map_part(&f->parts[i], path, &local);
    if (code == INF_OK) {
        f->n_parts = (size_t)i + 1;
        f->size += f->parts[i].size;
        if (!parse_part(f, &f->parts[i], &values, &n_values, &map, &local)) {
            code = error_prefix(&local, "%s", path);
        } else if (!split_number(values, &map, "split.no", &no) || no != i) {
            code = error_set(&local, INF_ERROR_BAD_FORMAT, "%s is not part %d of the model: " AGAIN,
                             path, (int)i + 1);
        }
    } else if (local.detail == ENOENT) {
        code = error_set_detail(&local, INF_ERROR_IO, ENOENT,
                                "%s is missing: the model has %d parts, download them all", path,
                                (int)count);
    }
    if (err != NULL)
        *err = local;
    free_values(values, n_values);
    text_map_free(&map);
    mem_free(path);
    return code;
}

static int32_t open_parts(struct gguf_file *f, const char *path, int32_t count, inf_error *err)
{
    int32_t code = INF_OK;
    int64_t claimed = 0;
    struct part *parts = mem_realloc(f->parts, (size_t)count * sizeof *parts);

    if (parts == NULL)
        return error_no_memory(err);
    f->parts = parts;
    memset(parts + 1, 0, ((size_t)count - 1) * sizeof *parts);
    for (int32_t i = 1; i < count && code == INF_OK; i++)
        code = open_part(f, path, i, count, err);
    if (code != INF_OK)
        return code;
    if (!gguf_get_int(f, "split.tensors.count", &claimed) || claimed != (int64_t)f->n_tensors) {
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "%s: split.tensors.count is not the %zu tensors found in %d parts: "
                         "download them again",
                         path, f->n_tensors, (int)count);
    }
    return INF_OK;
}

/* ---------------------------------------------------------------- opening */

int32_t gguf_file_open(struct gguf_file **out, const char *path, inf_error *err)
{
    inf_error local = {0};
    int32_t code = INF_OK;
    int32_t count = 0;
    struct gguf_file *f = new_file(&local);

    *out = NULL;
    if (f == NULL) {
        code = local.code;
        goto done;
    }
    code = map_part(&f->parts[0], path, &local);
    if (code != INF_OK)
        goto done;
    f->size = f->parts[0].size;
    if (!parse_part(f, &f->parts[0], &f->values, &f->n_values, &f->value_map, &local) ||
        (count = split_count(f, &local)) == 0) {
        code = error_prefix(&local, "%s", path);
        goto done;
    }
    if (count > 1)
        code = open_parts(f, path, count, &local);
done:
    if (err != NULL)
        *err = local;
    if (code != INF_OK) {
        gguf_file_close(f);
        return code;
    }
    *out = f;
    return error_none(err);
}

int32_t gguf_file_from_memory(struct gguf_file **out, const void *bytes, size_t size,
                              inf_error *err)
{
    inf_error local = {0};
    int32_t count = 0;
    struct gguf_file *f = new_file(&local);

    *out = NULL;
    if (f != NULL) {
        f->parts[0].bytes = size > 0 ? bytes : (const uint8_t *)"";
        f->parts[0].size = size;
        f->size = size;
        if (parse_part(f, &f->parts[0], &f->values, &f->n_values, &f->value_map, &local))
            count = split_count(f, &local);
        if (count > 1) {
            error_set(&local, INF_ERROR_UNSUPPORTED,
                      "a model in %" PRId32 " parts is read from its files, not from memory",
                      count);
        }
    }
    if (count != 1) {
        gguf_file_close(f);
        if (err != NULL)
            *err = local;
        return local.code;
    }
    *out = f;
    return error_none(err);
}

/* ---------------------------------------------------------------- look-ups */

size_t gguf_file_tensor_count(const struct gguf_file *f)
{
    return f->n_tensors;
}

const struct gguf_tensor *gguf_file_tensor(const struct gguf_file *f, size_t index)
{
    return index < f->n_tensors ? &f->tensors[index] : NULL;
}

const struct gguf_tensor *gguf_file_find(const struct gguf_file *f, const char *name)
{
    uint32_t i = text_map_find(&f->tensor_map, (inf_text){name, strlen(name)});

    return i == TEXT_MAP_NONE ? NULL : &f->tensors[i];
}

size_t gguf_file_size(const struct gguf_file *f)
{
    return f->size;
}

size_t gguf_file_alignment(const struct gguf_file *f)
{
    return f->alignment;
}

int32_t gguf_file_part_count(const struct gguf_file *f)
{
    return (int32_t)f->n_parts;
}

size_t gguf_file_key_count(const struct gguf_file *f)
{
    return f->n_values;
}

inf_text gguf_file_key(const struct gguf_file *f, size_t index)
{
    return index < f->n_values ? f->values[index].key : (inf_text){0};
}

static const struct value *find_value(const struct gguf_file *f, const char *key)
{
    return find_in(f->values, &f->value_map, key);
}

bool gguf_get_kind(const struct gguf_file *f, const char *key, int32_t *kind, int32_t *item)
{
    const struct value *v = find_value(f, key);

    if (v == NULL)
        return false;
    *kind = v->kind;
    *item = v->item;
    return true;
}

/* An integer of any width that fits. */
static bool int_at(int32_t kind, const uint8_t *p, int64_t *out)
{
    uint64_t wide = 0;

    switch (kind) {
    case GGUF_U8:
        *out = p[0];
        return true;
    case GGUF_I8:
        *out = p[0] < 128 ? p[0] : p[0] - 256;
        return true;
    case GGUF_U16:
        *out = (uint16_t)(p[0] | p[1] << 8);
        return true;
    case GGUF_I16:
        *out = (int16_t)(uint16_t)(p[0] | p[1] << 8);
        return true;
    case GGUF_U32:
        *out = load_u32(p);
        return true;
    case GGUF_I32:
        *out = (int32_t)load_u32(p);
        return true;
    case GGUF_I64:
        *out = (int64_t)load_u64(p);
        return true;
    case GGUF_U64:
        wide = load_u64(p);
        *out = (int64_t)wide;
        return wide <= INT64_MAX;
    default:
        return false;
    }
}

static bool float_at(int32_t kind, const uint8_t *p, double *out)
{
    uint32_t narrow_bits = 0;
    uint64_t wide_bits = 0;
    float narrow = 0;

    if (kind == GGUF_F32) {
        narrow_bits = load_u32(p);
        memcpy(&narrow, &narrow_bits, sizeof narrow);
        *out = (double)narrow;
        return true;
    }
    if (kind == GGUF_F64) {
        wide_bits = load_u64(p);
        memcpy(out, &wide_bits, sizeof *out);
        return true;
    }
    return false;
}

/* The text at p, which parsing has checked. */
static inf_text text_at(const uint8_t *p)
{
    return (inf_text){(const char *)p + 8, (size_t)load_u64(p)};
}

bool gguf_get_text(const struct gguf_file *f, const char *key, inf_text *out)
{
    const struct value *v = find_value(f, key);

    if (v == NULL || v->kind != GGUF_TEXT)
        return false;
    *out = text_at(v->data);
    return true;
}

bool gguf_get_int(const struct gguf_file *f, const char *key, int64_t *out)
{
    const struct value *v = find_value(f, key);

    return v != NULL && int_at(v->kind, v->data, out);
}

bool gguf_get_float(const struct gguf_file *f, const char *key, double *out)
{
    const struct value *v = find_value(f, key);

    return v != NULL && float_at(v->kind, v->data, out);
}

bool gguf_get_bool(const struct gguf_file *f, const char *key, bool *out)
{
    const struct value *v = find_value(f, key);

    if (v == NULL || v->kind != GGUF_BOOL)
        return false;
    *out = v->data[0] != 0;
    return true;
}

static const struct value *find_array(const struct gguf_file *f, const char *key)
{
    const struct value *v = find_value(f, key);

    return v != NULL && v->kind == GGUF_ARRAY ? v : NULL;
}

bool gguf_get_array(const struct gguf_file *f, const char *key, size_t *count)
{
    const struct value *v = find_array(f, key);

    if (v == NULL)
        return false;
    *count = v->count;
    return true;
}

bool gguf_array_text(const struct gguf_file *f, const char *key, size_t index, inf_text *out)
{
    const struct value *v = find_array(f, key);
    const uint8_t *p = NULL;

    if (v == NULL || v->item != GGUF_TEXT || index >= v->count)
        return false;
    p = v->marks[index / MARK_EVERY];
    for (size_t i = 0; i < index % MARK_EVERY; i++)
        p += 8 + (size_t)load_u64(p);
    *out = text_at(p);
    return true;
}

bool gguf_array_int(const struct gguf_file *f, const char *key, size_t index, int64_t *out)
{
    const struct value *v = find_array(f, key);

    if (v == NULL || index >= v->count)
        return false;
    if (v->item == GGUF_BOOL) {
        *out = v->data[index] != 0;
        return true;
    }
    return int_at(v->item, v->data + index * kind_size[v->item], out);
}

bool gguf_array_float(const struct gguf_file *f, const char *key, size_t index, double *out)
{
    const struct value *v = find_array(f, key);

    if (v == NULL || index >= v->count)
        return false;
    return float_at(v->item, v->data + index * kind_size[v->item], out);
}

const uint8_t *gguf_array_bytes(const struct gguf_file *f, const char *key, int32_t item,
                                size_t *count)
{
    const struct value *v = find_array(f, key);

    if (v == NULL || v->item != item || item == GGUF_TEXT)
        return NULL;
    *count = v->count;
    return v->data;
}

bool gguf_texts_begin(const struct gguf_file *f, const char *key, struct gguf_texts *out)
{
    const struct value *v = find_array(f, key);

    if (v == NULL || v->item != GGUF_TEXT)
        return false;
    *out = (struct gguf_texts){v->data, v->count};
    return true;
}

bool gguf_texts_next(struct gguf_texts *it, inf_text *out)
{
    if (it->left == 0)
        return false;
    *out = text_at(it->at);
    it->at += 8 + out->len;
    it->left--;
    return true;
}
