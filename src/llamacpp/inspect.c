/*
 * inspect: what a GGUF model or a GGUF adapter is, as a JSON object, from its header alone, and whether an
 * adapter fits such a model; llama.cpp is not asked. Runs on a preparation thread.
 */
#include "arch/adapter.h"
#include "core/ascii.h"
#include "core/json_dump.h"
#include "core/memory.h"
#include "core/utf8.h"
#include "llamacpp/llamacpp.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ values */

enum { NAME_SIZE = 32 };

/* A type's name as --dtype has it: "float32", "bfloat16", "q4_0". */
static void dtype_name(int32_t type, char out[NAME_SIZE])
{
    const char *name = gguf_weight_type(type)->name;

    name = strcmp(name, "F32") == 0    ? "float32"
           : strcmp(name, "F16") == 0  ? "float16"
           : strcmp(name, "BF16") == 0 ? "bfloat16"
                                       : name;
    for (size_t i = 0; i < NAME_SIZE; i++) {
        out[i] = (char)(i + 1 < NAME_SIZE ? tolower((unsigned char)*name) : 0);
        name += *name != 0;
    }
}

/* The type that most bytes of the file are of. */
static void main_dtype(const struct gguf_file *f, char out[NAME_SIZE])
{
    uint64_t bytes[256] = {0};
    int32_t best = 0;

    for (size_t i = 0; i < gguf_file_tensor_count(f); i++) {
        const struct gguf_tensor *t = gguf_file_tensor(f, i);

        if (t->type < 0 || t->type > 255)
            continue;
        bytes[t->type] += t->size;
        if (bytes[t->type] > bytes[best])
            best = t->type;
    }
    dtype_name(best, out);
}

static int64_t count_parameters(const struct gguf_file *f)
{
    int64_t n = 0;

    for (size_t i = 0; i < gguf_file_tensor_count(f); i++) {
        const struct gguf_tensor *t = gguf_file_tensor(f, i);

        n += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    }
    return n;
}

/* A file's text may hold anything: U+FFFD stands for what is not UTF-8. NULL when out of memory. */
static json_t *text_value(inf_text text)
{
    struct buffer clean;
    json_t *value = NULL;

    buffer_init(&clean, BUFFER_NO_LIMIT);
    if (utf8_append(&clean, text.data, text.len, NULL))
        value = json_stringn(clean.len ? clean.data : "", clean.len);
    buffer_free(&clean);
    return value;
}

/* A text of the file's metadata, or JSON null. */
static json_t *metadata_text(const struct gguf_file *f, const char *key)
{
    inf_text text;

    return gguf_get_text(f, key, &text) && text.len ? text_value(text) : json_null();
}

/* ------------------------------------------------------------------ a model */

static int32_t describe_model(struct buffer *out, const struct gguf_file *f, inf_error *err)
{
    struct gguf_model m;
    inf_text template;
    char dtype[NAME_SIZE];
    int32_t code = gguf_model_check(&m, f, err);

    if (code != INF_OK)
        return code;
    main_dtype(f, dtype);
    return json_dump(
        out,
        json_pack("{s:s, s:s, s:s, s:o, s:s, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, "
                  "s:b, s:o, s:b}",
                  "kind", "model", "format", "gguf", "architecture", m.architecture, "name",
                  metadata_text(f, "general.name"), "dtype", dtype, "size",
                  (json_int_t)gguf_file_size(f), "n_parameters", (json_int_t)count_parameters(f),
                  "n_layer", m.n_layer, "n_embd", m.n_embd, "n_head", m.n_head, "n_head_kv",
                  m.n_head_kv, "head_dim", m.head_dim, "n_ff", m.n_ff, "n_vocab", m.n_vocab,
                  "n_ctx_train", m.n_ctx_train, "tied_embeddings", (int)m.tied, "tokenizer",
                  metadata_text(f, "tokenizer.ggml.model"), "chat_template",
                  (int)gguf_get_text(f, "tokenizer.chat_template", &template)),
        err);
}

/* ------------------------------------------------------------------ a GGUF adapter */

static const char lora_a_ending[] = ".lora_a";

/* "attn_q" of "blk.0.attn_q.weight.lora_a"; false when the tensor is no A. */
static bool target_of(const struct gguf_tensor *t, inf_text *out)
{
    size_t len = strlen(t->name);
    size_t ending = sizeof lora_a_ending - 1;
    const char *begin = NULL;

    if (len < ending || strcmp(t->name + len - ending, lora_a_ending) != 0)
        return false;
    len -= ending;
    if (len > 7 && memcmp(t->name + len - 7, ".weight", 7) == 0)
        len -= 7;
    for (begin = t->name + len; begin > t->name && begin[-1] != '.';)
        begin--;
    *out = (inf_text){begin, (size_t)(t->name + len - begin)};
    return true;
}

static int compare_texts(const void *a, const void *b)
{
    const inf_text *x = a;
    const inf_text *y = b;
    int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);

    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static json_t *unique_texts(inf_text *texts, size_t n)
{
    json_t *list = json_array();
    bool ok = list != NULL;

    qsort(texts, n, sizeof *texts, compare_texts);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || compare_texts(&texts[i - 1], &texts[i]) != 0)
            ok = ok && json_array_append_new(list, text_value(texts[i])) == 0;
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

static int32_t describe_gguf_adapter(struct buffer *out, const struct gguf_file *f, inf_error *err)
{
    size_t n = gguf_file_tensor_count(f);
    inf_text *targets = mem_calloc(n ? n : 1, sizeof *targets);
    size_t n_modules = 0;
    int64_t rank = 0;
    double alpha = 0;
    char dtype[NAME_SIZE];
    int32_t code = INF_OK;

    if (!targets)
        return error_no_memory(err);
    main_dtype(f, dtype);
    for (size_t i = 0; i < n; i++) {
        const struct gguf_tensor *t = gguf_file_tensor(f, i);

        if (!target_of(t, &targets[n_modules]))
            continue;
        n_modules++;
        rank = t->ne[1] > rank ? t->ne[1] : rank;
    }
    code = gguf_adapter_alpha(&alpha, f, err);
    if (code == INF_OK && n_modules == 0)
        code = error_set(err, INF_ERROR_BAD_FORMAT, "the adapter has no *.lora_a tensor");
    else if (code == INF_OK)
        code = json_dump(out,
                         json_pack("{s:s, s:s, s:o, s:s, s:I, s:f, s:f, s:s, s:o, s:I, s:I, s:I}",
                                   "kind", "adapter", "format", "gguf", "architecture",
                                   metadata_text(f, "general.architecture"), "peft_type", "LORA",
                                   "rank", (json_int_t)rank, "alpha", alpha, "scale",
                                   alpha != 0 ? alpha / (double)rank : 1.0, "dtype", dtype,
                                   "targets", unique_texts(targets, n_modules), "n_modules",
                                   (json_int_t)n_modules, "n_tensors", (json_int_t)n, "size",
                                   (json_int_t)gguf_file_size(f)),
                         err);
    mem_free(targets);
    return code;
}

/* ------------------------------------------------------------------ a file */

static bool is_adapter(const struct gguf_file *f)
{
    inf_text type = {0};

    return gguf_get_text(f, "general.type", &type) && text_equals(type.data, type.len, "adapter");
}

int32_t llamacpp_inspect(struct buffer *out, const char **adapter, const char *path, inf_error *err)
{
    struct gguf_file *file = NULL;
    int32_t code = gguf_file_open(&file, path, err);

    if (code != INF_OK)
        return code;
    *adapter = is_adapter(file) ? "gguf" : NULL;
    code = *adapter ? describe_gguf_adapter(out, file, err) : describe_model(out, file, err);
    gguf_file_close(file);
    return code == INF_OK ? INF_OK : error_prefix(err, "%s", path);
}

int32_t llamacpp_check_fit(const char *base, const char *adapter, inf_error *misfit, inf_error *err)
{
    struct gguf_model model;
    struct gguf_file *file = NULL;
    int32_t code = gguf_file_open(&file, base, err);

    if (code != INF_OK)
        return code;
    code = gguf_model_check(&model, file, err);
    code = code == INF_OK ? adapter_check_fit(&model, adapter, misfit, err)
                          : error_prefix(err, "%s", base);
    gguf_file_close(file);
    return code;
}
