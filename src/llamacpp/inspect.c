/*
 * inspect: what a GGUF model, a GGUF adapter or a PEFT directory is, as a JSON object, from headers
 * and adapter weights alone; llama.cpp is not asked. Runs on a preparation thread.
 */
#include "arch/adapter.h"
#include "arch/base_model.h"
#include "core/memory.h"
#include "core/utf8.h"
#include "hf/files/peft.h"
#include "llamacpp/llamacpp.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static int32_t dump(struct buffer *out, json_t *object, inf_error *err)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    bool ok = text && buffer_append_str(out, text);

    free(text); /* jansson's allocation */
    json_decref(object);
    return ok ? INF_OK : error_no_memory(err);
}

/* ------------------------------------------------------------------ a model */

static int32_t describe_model(struct buffer *out, const struct gguf_file *f, const char *base,
                              inf_error *err)
{
    struct gguf_model m;
    inf_text template;
    char dtype[NAME_SIZE];
    int32_t code = gguf_model_check(&m, f, err);

    if (code != INF_OK)
        return code;
    if (base)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "this is a model, not an adapter; only an adapter is held against a base");
    main_dtype(f, dtype);
    return dump(
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
        code = dump(out,
                    json_pack("{s:s, s:s, s:o, s:s, s:I, s:f, s:f, s:s, s:o, s:I, s:I, s:I}",
                              "kind", "adapter", "format", "gguf", "architecture",
                              metadata_text(f, "general.architecture"), "peft_type", "LORA", "rank",
                              (json_int_t)rank, "alpha", alpha, "scale",
                              alpha != 0 ? alpha / (double)rank : 1.0, "dtype", dtype, "targets",
                              unique_texts(targets, n_modules), "n_modules", (json_int_t)n_modules,
                              "n_tensors", (json_int_t)n, "size", (json_int_t)gguf_file_size(f)),
                    err);
    mem_free(targets);
    return code;
}

/* ------------------------------------------------------------------ an adapter and its base */

/* Puts "fits" and "reason" at the end of the object in out; nothing there yet: an adapter that is
 * refused whatever the base. */
static int32_t add_fit(struct buffer *out, const char *format, bool fits, const char *reason,
                       inf_error *err)
{
    json_t *object = out->len ? json_loadb(out->data, out->len, JSON_ALLOW_NUL, NULL)
                              : json_pack("{s:s, s:s}", "kind", "adapter", "format", format);

    buffer_clear(out);
    if (object) {
        json_object_set_new(object, "fits", json_boolean(fits));
        if (reason)
            json_object_set_new(object, "reason", json_string(reason));
    }
    return dump(out, object, err);
}

/* The error of the load becomes the reason. */
static int32_t add_misfit(struct buffer *out, const char *format, inf_error *err)
{
    inf_error reason = *err;

    error_none(err);
    return add_fit(out, format, false, reason.message, err);
}

/* A sound file that the provider refuses. */
static bool is_misfit(int32_t code)
{
    return code == INF_ERROR_MISMATCH || code == INF_ERROR_UNSUPPORTED ||
           code == INF_ERROR_NOT_FINITE;
}

/* Loads the adapter for the base, as the provider would, and forgets it. */
static int32_t describe_fit(struct buffer *out, const char *format, const char *path,
                            const char *base, inf_error *err)
{
    struct adapter_source source = {.path = (char *)path};
    struct base_model model;
    struct lora_weights *weights = NULL;
    inf_adapter_report report = {0};
    int32_t code = base_model_open(&model, base, err);

    if (code != INF_OK)
        return code;
    code = adapter_read(&weights, &source, &model.model, NULL, &report, err);
    if (code == INF_OK)
        code = add_fit(out, format, true, NULL, err);
    else if (is_misfit(code))
        code = add_misfit(out, format, err);
    lora_weights_free(weights);
    block_give(source.block);
    base_model_close(&model);
    return code;
}

static int32_t describe_peft(struct buffer *out, const char *dir, inf_error *err)
{
    struct peft_adapter *adapter = NULL;
    int32_t code = peft_check(dir, err);

    if (code == INF_OK)
        code = peft_open(&adapter, dir, err);
    if (code == INF_OK)
        code = peft_describe(out, adapter, err);
    peft_close(adapter);
    return code;
}

static int32_t inspect_directory(struct buffer *out, const char *dir, const char *base,
                                 inf_error *err)
{
    int32_t code = describe_peft(out, dir, err);

    if (base && is_misfit(code)) {
        buffer_clear(out);
        return add_misfit(out, "peft", err);
    }
    return code == INF_OK && base ? describe_fit(out, "peft", dir, base, err) : code;
}

static int32_t inspect_file(struct buffer *out, const char *path, const char *base, inf_error *err)
{
    struct gguf_file *file = NULL;
    inf_text type = {0};
    bool is_adapter = false;
    int32_t code = gguf_file_open(&file, path, err);

    if (code != INF_OK)
        return code;
    is_adapter = gguf_get_text(file, "general.type", &type) && type.len == 7 &&
                 memcmp(type.data, "adapter", 7) == 0;
    code = is_adapter ? describe_gguf_adapter(out, file, err)
                      : describe_model(out, file, base, err);
    if (code != INF_OK)
        error_prefix(err, "%s", path);
    gguf_file_close(file);
    if (is_adapter && base && is_misfit(code)) {
        buffer_clear(out);
        return add_misfit(out, "gguf", err);
    }
    return code == INF_OK && is_adapter && base ? describe_fit(out, "gguf", path, base, err) : code;
}

int32_t llamacpp_inspect(struct buffer *out, const char *path, const char *base, inf_error *err)
{
    struct stat info;
    int32_t code = INF_OK;

    if (stat(path, &info) != 0)
        return error_set_errno(err, errno, "open", path);
    code = S_ISDIR(info.st_mode) ? inspect_directory(out, path, base, err)
                                 : inspect_file(out, path, base, err);
    if (code != INF_OK)
        buffer_clear(out);
    return code;
}
