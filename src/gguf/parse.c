/*
 * parse: one part of a GGUF file; see file.h for the format.
 *
 * Every number read is checked before it is used: lengths and counts against the bytes that are
 * left, products against overflow. Memory taken is a small multiple of the file's own size.
 */
#include "gguf/file_parts.h"

#include "core/memory.h"

#include <inttypes.h>
#include <string.h>

#define MAX_KEYS 65536
#define MAX_TENSORS 65536
#define MAX_KEY_LENGTH 65535  /* of the format */
#define MAX_ARRAY (1u << 30)  /* of ggml */
#define MAX_ALIGNMENT 1048576 /* ggml takes any power of two; real files have 32 */

/* Where the parser is. The first error stops it. */
struct cursor {
    const uint8_t *bytes;
    size_t size;
    size_t at;
    bool header_only;
    inf_error *err;
};

/* An error at a byte, and false. */
#define REFUSE(c, code, at, ...)                                                                   \
    (error_set_detail((c)->err, code, (int64_t)(at), __VA_ARGS__), false)

static bool no_memory(const struct cursor *c)
{
    error_no_memory(c->err);
    return false;
}

/* ---------------------------------------------------------------- reading */

/* For messages: at most 80 bytes of a name that may be anything. */
static int shown(inf_text t)
{
    return t.len < 80 ? (int)t.len : 80;
}

static bool cut_off(struct cursor *c, const char *what)
{
    return REFUSE(c, INF_ERROR_BAD_FORMAT, c->at,
                  "the file ends in the middle of %s, at byte %zu: it is cut off, download it "
                  "again",
                  what, c->size);
}

static bool read_u32(struct cursor *c, uint32_t *out, const char *what)
{
    if (c->size - c->at < 4)
        return cut_off(c, what);
    *out = gguf_load_u32(c->bytes + c->at);
    c->at += 4;
    return true;
}

static bool read_u64(struct cursor *c, uint64_t *out, const char *what)
{
    if (c->size - c->at < 8)
        return cut_off(c, what);
    *out = gguf_load_u64(c->bytes + c->at);
    c->at += 8;
    return true;
}

static bool read_text(struct cursor *c, inf_text *out, const char *what)
{
    uint64_t len = 0;

    if (!read_u64(c, &len, what))
        return false;
    if (len > c->size - c->at)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, c->at - 8,
                      "%s at byte %zu claims %" PRIu64 " bytes where %zu are left: the file is "
                      "damaged or cut off, download it again",
                      what, c->at - 8, len, c->size - c->at);
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
static bool read_text_items(struct cursor *c, struct gguf_value *v)
{
    inf_text text = {0};
    size_t n_marks = v->count / GGUF_MARK_EVERY + 1;

    if (v->count > (c->size - c->at) / 8)
        return cut_off(c, "a text array");
    v->marks = mem_alloc(n_marks * sizeof *v->marks);
    if (!v->marks)
        return no_memory(c);
    for (size_t i = 0; i < v->count; i++) {
        if (i % GGUF_MARK_EVERY == 0)
            v->marks[i / GGUF_MARK_EVERY] = c->bytes + c->at;
        if (!read_text(c, &text, "a text of an array"))
            return false;
    }
    return true;
}

static bool read_array(struct cursor *c, struct gguf_value *v)
{
    uint32_t item = 0;
    uint64_t count = 0;

    if (!read_u32(c, &item, "an array") || !read_u64(c, &count, "an array"))
        return false;
    if (item >= GGUF_KIND_COUNT || item == GGUF_ARRAY)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, c->at - 12,
                      "the array %.*s has items of %s: " GGUF_AGAIN, shown(v->key), v->key.data,
                      item == GGUF_ARRAY ? "arrays, which llama.cpp does not read"
                                         : "an unknown type");
    if (count > MAX_ARRAY)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, c->at - 8,
                      "the array %.*s claims %" PRIu64 " items: " GGUF_AGAIN, shown(v->key),
                      v->key.data, count);
    v->item = (int32_t)item;
    v->count = (size_t)count;
    v->data = c->bytes + c->at;
    if (item == GGUF_TEXT)
        return read_text_items(c, v);
    if (v->count > (c->size - c->at) / gguf_kind_size[item])
        return cut_off(c, "an array");
    c->at += v->count * gguf_kind_size[item];
    return true;
}

static bool read_value(struct cursor *c, struct gguf_value *v)
{
    uint32_t kind = 0;
    inf_text text = {0};

    if (!read_u32(c, &kind, "a key"))
        return false;
    if (kind >= GGUF_KIND_COUNT)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, c->at - 4,
                      "the key %.*s has the unknown type %" PRIu32 ": " GGUF_AGAIN, shown(v->key),
                      v->key.data, kind);
    v->kind = (int32_t)kind;
    v->count = 1;
    v->data = c->bytes + c->at;
    if (kind == GGUF_ARRAY)
        return read_array(c, v);
    if (kind == GGUF_TEXT)
        return read_text(c, &text, "a text");
    if (c->size - c->at < gguf_kind_size[kind])
        return cut_off(c, "a value");
    c->at += gguf_kind_size[kind];
    return true;
}

static inf_text key_of(const void *owner, uint32_t index)
{
    return ((const struct gguf_value *)owner)[index].key;
}

static bool read_key(struct cursor *c, struct gguf_values *values, uint32_t index)
{
    struct gguf_value *v = &values->items[index];
    size_t start = c->at;

    if (!read_text(c, &v->key, "a key"))
        return false;
    if (v->key.len > MAX_KEY_LENGTH || !is_name(v->key))
        return REFUSE(c, INF_ERROR_BAD_FORMAT, start,
                      "key %" PRIu32 ", at byte %zu, is no key name: " GGUF_AGAIN, index, start);
    if (text_map_add(&values->map, v->key, index) != TEXT_MAP_NONE)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, start, "the key %.*s comes twice: " GGUF_AGAIN,
                      shown(v->key), v->key.data);
    return read_value(c, v);
}

static bool read_values(struct cursor *c, struct gguf_values *out, size_t n)
{
    bool ok = true;

    out->items = mem_calloc(n > 0 ? n : 1, sizeof *out->items);
    if (!out->items || !text_map_init(&out->map, n, key_of, out->items))
        return no_memory(c);
    out->n = n;
    for (size_t i = 0; i < n && ok; i++)
        ok = read_key(c, out, (uint32_t)i);
    return ok;
}

/* ---------------------------------------------------------------- tensors */

static bool bad_tensor(struct cursor *c, const char *name, const char *what)
{
    return REFUSE(c, INF_ERROR_BAD_FORMAT, c->at, "the tensor %s %s: " GGUF_AGAIN, name, what);
}

static bool read_name(struct cursor *c, char out[GGUF_MAX_NAME + 1])
{
    inf_text name = {0};
    size_t start = c->at;

    if (!read_text(c, &name, "a tensor name"))
        return false;
    if (name.len > GGUF_MAX_NAME || !is_name(name))
        return REFUSE(c, INF_ERROR_BAD_FORMAT, start,
                      "the tensor name at byte %zu is empty, not text or longer than %d "
                      "bytes: " GGUF_AGAIN,
                      start, GGUF_MAX_NAME);
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
    if (!type)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, c->at - 4,
                      "the tensor %s has the type %" PRIu32 ", which is unknown or was removed: "
                      "get a newer conversion of the model, or download it again",
                      t->name, number);
    if (t->ne[0] % type->block != 0)
        return bad_tensor(c, t->name, "has rows that are no whole number of quantisation blocks");
    t->type = (int32_t)number;
    if (!size_mul((size_t)(elements / type->block), type->bytes, &t->size) ||
        (t->size > c->size && !c->header_only) || t->size > SIZE_MAX / 2)
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
        if (!c->header_only && (expected > c->size - start || t->size > c->size - start - expected))
            return REFUSE(c, INF_ERROR_BAD_FORMAT, c->size,
                          "the file ends at byte %zu, before the data of the tensor %s: it is "
                          "cut off, download it again",
                          c->size, t->name);
        if (!c->header_only)
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

    if (n >= 9 && gguf_load_u64(b) < (UINT64_C(1) << 32) && b[8] == '{')
        return "a safetensors file, not a GGUF file: give its directory to the transformers "
               "provider, or convert it to GGUF";
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
        error_set_detail(c->err, INF_ERROR_BAD_FORMAT, 4,
                         "the GGUF version is %" PRIu32 ": " GGUF_AGAIN, version);
    }
    return false;
}

static bool read_header(struct cursor *c, size_t *n_tensors, size_t *n_values)
{
    uint32_t version = 0;
    uint64_t tensors = 0;
    uint64_t values = 0;

    if (c->size == 0)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, 0, "the file is empty: download it again");
    if (c->size < 4 || memcmp(c->bytes, "GGUF", 4) != 0)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, 0, "this is %s", foreign(c->bytes, c->size));
    c->at = 4;
    if (!read_u32(c, &version, "the header") || !check_version(c, version) ||
        !read_u64(c, &tensors, "the header") || !read_u64(c, &values, "the header"))
        return false;
    /* the smallest key takes 14 bytes, the smallest tensor 25 */
    if (tensors > MAX_TENSORS || values > MAX_KEYS || values > (c->size - c->at) / 14 ||
        tensors > (c->size - c->at) / 25)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, 8,
                      "the header claims %" PRIu64 " tensors and %" PRIu64 " keys in %zu "
                      "bytes: the file is damaged or cut off, download it again",
                      tensors, values, c->size);
    *n_tensors = (size_t)tensors;
    *n_values = (size_t)values;
    return true;
}

static bool read_alignment(struct cursor *c, const struct gguf_values *values, size_t *out)
{
    const struct gguf_value *v = gguf_values_find(values, "general.alignment");
    uint32_t a = !v ? 32 : v->kind == GGUF_U32 ? gguf_load_u32(v->data) : 0;

    /* 8: below it, weights would not be aligned to their elements */
    if (a < 8 || a > MAX_ALIGNMENT || (a & (a - 1)) != 0)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, 0,
                      "general.alignment is not a power of two from 8 to %d: " GGUF_AGAIN,
                      MAX_ALIGNMENT);
    *out = a;
    return true;
}

/* Room for n more tensors. Names and the map are made anew: the texts move. */
static bool grow_tensors(struct cursor *c, struct gguf_file *f, size_t n)
{
    size_t total = f->n_tensors + n;
    struct gguf_tensor *tensors = NULL;
    char(*names)[GGUF_MAX_NAME + 1] = NULL;

    if (total > MAX_TENSORS)
        return REFUSE(c, INF_ERROR_BAD_FORMAT, 0, "the parts have more than %d tensors together",
                      MAX_TENSORS);
    tensors = mem_realloc(f->tensors, (total > 0 ? total : 1) * sizeof *tensors);
    f->tensors = tensors ? tensors : f->tensors;
    names = mem_realloc(f->names, (total > 0 ? total : 1) * sizeof *names);
    f->names = names ? names : f->names;
    text_map_free(&f->tensor_map);
    if (!tensors || !names || !text_map_init(&f->tensor_map, total, name_of, f->tensors))
        return no_memory(c);
    memset(f->tensors + f->n_tensors, 0, n * sizeof *f->tensors);
    for (size_t i = 0; i < f->n_tensors; i++) {
        f->tensors[i].name = f->names[i];
        text_map_add(&f->tensor_map, name_of(f->tensors, (uint32_t)i), (uint32_t)i);
    }
    return true;
}

static bool read_tensors(struct cursor *c, struct gguf_file *f, size_t n, size_t alignment)
{
    uint64_t *offsets = mem_alloc(n * sizeof *offsets);
    size_t first = f->n_tensors;
    bool ok = offsets ? grow_tensors(c, f, n) : no_memory(c);

    for (size_t i = 0; i < n && ok; i++)
        ok = read_tensor(c, f, (uint32_t)(first + i), &offsets[i]);
    ok = ok && place_tensors(c, f, first, n, offsets, alignment);
    f->n_tensors += ok ? n : 0;
    mem_free(offsets);
    return ok;
}

bool gguf_parse_part(struct gguf_file *f, const struct gguf_part *p, struct gguf_values *values,
                     inf_error *err)
{
    struct cursor c = {p->bytes, p->size, 0, p->header_only, err};
    size_t n_tensors = 0;
    size_t n_values = 0;
    size_t alignment = 0;

    if (!read_header(&c, &n_tensors, &n_values) || !read_values(&c, values, n_values) ||
        !read_alignment(&c, values, &alignment))
        return false;
    f->alignment = f->alignment == 0 || alignment < f->alignment ? alignment : f->alignment;
    return read_tensors(&c, f, n_tensors, alignment);
}
