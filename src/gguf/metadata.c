/* metadata: the values of a GGUF file, looked up. */
#include "core/memory.h"
#include "core/numbers.h"
#include "gguf/file_parts.h"

const size_t gguf_kind_size[GGUF_KIND_COUNT] = {
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

const struct gguf_value *gguf_values_find(const struct gguf_values *values, const char *key)
{
    uint32_t i = text_map_find(&values->map, (inf_text){key, strlen(key)});

    return i == TEXT_MAP_NONE ? NULL : &values->items[i];
}

void gguf_values_free(struct gguf_values *values)
{
    for (size_t i = 0; i < values->n; i++)
        mem_free(values->items[i].marks);
    mem_free(values->items);
    text_map_free(&values->map);
}

static const struct gguf_value *find_value(const struct gguf_file *f, const char *key)
{
    return gguf_values_find(&f->values, key);
}

/* A value of that kind, or NULL. */
static const struct gguf_value *find_kind(const struct gguf_file *f, const char *key, int32_t kind)
{
    const struct gguf_value *v = find_value(f, key);

    return v && v->kind == kind ? v : NULL;
}

bool gguf_get_kind(const struct gguf_file *f, const char *key, int32_t *kind, int32_t *item)
{
    const struct gguf_value *v = find_value(f, key);

    if (!v)
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
        *out = gguf_load_u32(p);
        return true;
    case GGUF_I32:
        *out = (int32_t)gguf_load_u32(p);
        return true;
    case GGUF_I64:
        *out = (int64_t)gguf_load_u64(p);
        return true;
    case GGUF_U64:
        wide = gguf_load_u64(p);
        *out = (int64_t)wide;
        return wide <= INT64_MAX;
    default:
        return false;
    }
}

static bool float_at(int32_t kind, const uint8_t *p, double *out)
{
    uint64_t wide = 0;

    if (kind == GGUF_F32)
        *out = (double)f32_of_bits(gguf_load_u32(p));
    if (kind == GGUF_F64) {
        wide = gguf_load_u64(p);
        memcpy(out, &wide, sizeof *out);
    }
    return kind == GGUF_F32 || kind == GGUF_F64;
}

/* The text at p, which parsing has checked. */
static inf_text text_at(const uint8_t *p)
{
    return (inf_text){(const char *)p + 8, (size_t)gguf_load_u64(p)};
}

bool gguf_get_text(const struct gguf_file *f, const char *key, inf_text *out)
{
    const struct gguf_value *v = find_kind(f, key, GGUF_TEXT);

    if (!v)
        return false;
    *out = text_at(v->data);
    return true;
}

bool gguf_get_int(const struct gguf_file *f, const char *key, int64_t *out)
{
    const struct gguf_value *v = find_value(f, key);

    return v && int_at(v->kind, v->data, out);
}

bool gguf_get_float(const struct gguf_file *f, const char *key, double *out)
{
    const struct gguf_value *v = find_value(f, key);

    return v && float_at(v->kind, v->data, out);
}

bool gguf_get_bool(const struct gguf_file *f, const char *key, bool *out)
{
    const struct gguf_value *v = find_kind(f, key, GGUF_BOOL);

    if (!v)
        return false;
    *out = v->data[0] != 0;
    return true;
}

bool gguf_get_array(const struct gguf_file *f, const char *key, size_t *count)
{
    const struct gguf_value *v = find_kind(f, key, GGUF_ARRAY);

    if (!v)
        return false;
    *count = v->count;
    return true;
}

bool gguf_array_text(const struct gguf_file *f, const char *key, size_t index, inf_text *out)
{
    const struct gguf_value *v = find_kind(f, key, GGUF_ARRAY);
    const uint8_t *p = NULL;

    if (!v || v->item != GGUF_TEXT || index >= v->count)
        return false;
    p = v->marks[index / GGUF_MARK_EVERY];
    for (size_t i = 0; i < index % GGUF_MARK_EVERY; i++)
        p += 8 + (size_t)gguf_load_u64(p);
    *out = text_at(p);
    return true;
}

bool gguf_array_int(const struct gguf_file *f, const char *key, size_t index, int64_t *out)
{
    const struct gguf_value *v = find_kind(f, key, GGUF_ARRAY);

    if (!v || index >= v->count)
        return false;
    if (v->item == GGUF_BOOL) {
        *out = v->data[index] != 0;
        return true;
    }
    return int_at(v->item, v->data + index * gguf_kind_size[v->item], out);
}

bool gguf_array_float(const struct gguf_file *f, const char *key, size_t index, double *out)
{
    const struct gguf_value *v = find_kind(f, key, GGUF_ARRAY);

    if (!v || index >= v->count)
        return false;
    return float_at(v->item, v->data + index * gguf_kind_size[v->item], out);
}

const uint8_t *gguf_array_bytes(const struct gguf_file *f, const char *key, int32_t item,
                                size_t *count)
{
    const struct gguf_value *v = find_kind(f, key, GGUF_ARRAY);

    if (!v || v->item != item || item == GGUF_TEXT)
        return NULL;
    *count = v->count;
    return v->data;
}

bool gguf_texts_begin(const struct gguf_file *f, const char *key, struct gguf_texts *out)
{
    const struct gguf_value *v = find_kind(f, key, GGUF_ARRAY);

    if (!v || v->item != GGUF_TEXT)
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
