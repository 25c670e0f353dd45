/*
 * gguf_adapter: GGUF LoRA files, as llama.cpp's convert_lora_to_gguf writes them.
 *
 * general.type "adapter", adapter.type "lora", general.architecture the model's, adapter.lora.alpha
 * (0: scale 1, else alpha/rank); tensors in pairs, F32, F16 or BF16:
 *     <weight>.lora_a  ne = {n_in, rank}      <weight>.lora_b  ne = {rank, n_out}
 * Their rows already have GGUF's order.
 *
 * Stricter than llama.cpp, which skips *_norm.weight tensors and LoRA on weights that are not
 * multiplied: here everything in the file is applied or the file is refused.
 */
#include "arch/adapter.h"
#include "arch/adapter_base.h"
#include "arch/adapter_plan.h"
#include "arch/families.h"
#include "core/ascii.h"
#include "core/memory.h"

#include <math.h>
#include <string.h>

enum { NAME_SIZE = 128 };

/* ---------------------------------------------------------------- metadata */

static bool text_is(const struct gguf_file *f, const char *key, const char *wanted, inf_text *out)
{
    *out = (inf_text){"nothing", 7};
    return gguf_get_text(f, key, out) && text_equals(out->data, out->len, wanted);
}

static int shown(const inf_text *t)
{
    return t->len > 60 ? 60 : (int)t->len;
}

static int32_t check_kind(const struct gguf_file *f, inf_error *err)
{
    inf_text is;
    size_t count = 0;

    if (!text_is(f, "general.type", "adapter", &is))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "this GGUF file is not an adapter: its general.type is %.*s", shown(&is),
                         is.data);
    if (!text_is(f, "adapter.type", "lora", &is))
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "a GGUF adapter of type %.*s is not supported; only lora is", shown(&is),
                         is.data);
    if (gguf_get_array(f, "adapter.alora.invocation_tokens", &count))
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "activated LoRA (adapter.alora.invocation_tokens) is not supported");
    return INF_OK;
}

static int32_t check_architecture(const struct family **family, const struct gguf_file *f,
                                  const struct gguf_model *model, inf_error *err)
{
    inf_text is;
    int32_t code = family_find(family, model->architecture, err);

    if (code == INF_OK && !text_is(f, "general.architecture", model->architecture, &is))
        code = error_set(err, INF_ERROR_MISMATCH,
                         "the adapter is for architecture %.*s, the model's is %s", shown(&is),
                         is.data, model->architecture);
    return code;
}

int32_t gguf_adapter_alpha(double *alpha, const struct gguf_file *f, inf_error *err)
{
    static const char key[] = "adapter.lora.alpha";
    int64_t whole = 0;
    inf_text text;
    bool flag = false;
    size_t count = 0;

    *alpha = 0;
    if (gguf_get_float(f, key, alpha)) {
        if (!isfinite(*alpha))
            return error_set(err, INF_ERROR_NOT_FINITE, "%s is NaN or infinite", key);
    } else if (gguf_get_int(f, key, &whole)) {
        *alpha = (double)whole;
    } else if (gguf_get_text(f, key, &text) || gguf_get_bool(f, key, &flag) ||
               gguf_get_array(f, key, &count)) {
        return error_set(err, INF_ERROR_BAD_FORMAT, "%s is not a number", key);
    }
    return INF_OK;
}

/* ---------------------------------------------------------------- tensors */

static bool stem_of(const char *name, const char *suffix, char stem[NAME_SIZE])
{
    size_t len = strlen(name), n = strlen(suffix);

    if (len <= n || len - n >= NAME_SIZE || !text_ends(name, len, suffix))
        return false;
    memcpy(stem, name, len - n);
    stem[len - n] = '\0';
    return true;
}

static int32_t find_partner(const struct gguf_tensor **out, const struct gguf_file *f,
                            const struct gguf_tensor *t, const char *stem, const char *suffix,
                            inf_error *err)
{
    char name[NAME_SIZE + 8];
    size_t n = strlen(stem);

    memcpy(name, stem, n);
    memcpy(name + n, suffix, strlen(suffix) + 1);
    *out = gguf_file_find(f, name);
    if (*out)
        return INF_OK;
    return error_set(err, INF_ERROR_BAD_FORMAT,
                     "adapter tensor \"%s\" has no %s beside it; convert the adapter again",
                     t->name, suffix + 1);
}

static int32_t matrix_of(struct lora_matrix *out, const struct gguf_tensor *t, inf_error *err)
{
    const struct gguf_weight_type *known = gguf_weight_type(t->type);
    int32_t type = number_type_of(t);

    if (type < 0)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "adapter tensor \"%s\" is %s, which is not supported; convert the adapter "
                         "with --outtype f32, f16 or bf16",
                         t->name, known ? known->name : "of an unknown type");
    if (!is_matrix(t))
        return error_set(err, INF_ERROR_MISMATCH, "adapter tensor \"%s\" is not a matrix", t->name);
    *out = (struct lora_matrix){.name = t->name, .type = type, .size = t->size, .data = t->data};
    return INF_OK;
}

/* The weight that a pair changes. In a model whose output is tied, output.weight is that matmul. */
static int32_t find_base(const struct gguf_tensor **out, const struct family *family,
                         const struct gguf_model *model, const char *stem, const char *name,
                         inf_error *err)
{
    if (strcmp(stem, "token_embd.weight") == 0)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "adapter tensor \"%s\" is LoRA on the token embeddings, which is not "
                         "supported; train without embed_tokens",
                         name);
    *out = strcmp(stem, "output.weight") == 0 ? output_weight(model)
           : family_has_tensor(family, stem)  ? gguf_file_find(model->file, stem)
                                              : NULL;
    if (!*out)
        return error_set(err, INF_ERROR_MISMATCH,
                         "adapter tensor \"%s\": the model (%s, %d layers) has no linear layer %s; "
                         "is the adapter for another base model?",
                         name, model->architecture, model->n_layer, stem);
    return INF_OK;
}

static int32_t check_shapes(const struct gguf_tensor *a, const struct gguf_tensor *b,
                            const struct gguf_tensor *base, inf_error *err)
{
    const struct gguf_tensor *wrong = a->ne[0] != base->ne[0]   ? a
                                      : b->ne[1] != base->ne[1] ? b
                                                                : NULL;

    if (wrong)
        return error_set(
            err, INF_ERROR_MISMATCH,
            "adapter tensor \"%s\" has ne = [%lld, %lld], which does not fit %s of the "
            "model, [%lld, %lld]; is the adapter for another base model?",
            wrong->name, (long long)wrong->ne[0], (long long)wrong->ne[1], base->name,
            (long long)base->ne[0], (long long)base->ne[1]);
    if (a->ne[1] != b->ne[0])
        return error_set(err, INF_ERROR_MISMATCH,
                         "adapter tensors \"%s\" and \"%s\" have ranks %lld and %lld", a->name,
                         b->name, (long long)a->ne[1], (long long)b->ne[0]);
    return INF_OK;
}

/* One lora_a with its lora_b. */
static int32_t plan_pair(struct lora_plan_module *out, const struct gguf_tensor *a,
                         const struct gguf_tensor *b, const char *stem, double alpha,
                         const struct family *family, const struct gguf_model *model,
                         inf_error *err)
{
    const struct gguf_tensor *base = NULL;
    int32_t code = find_base(&base, family, model, stem, a->name, err);

    if (code == INF_OK)
        code = matrix_of(&out->a, a, err);
    if (code == INF_OK)
        code = matrix_of(&out->b, b, err);
    if (code == INF_OK)
        code = check_shapes(a, b, base, err);
    if (code != INF_OK)
        return code;
    out->base = base_of(model, base);
    out->rank = (int32_t)a->ne[1];
    out->scale = alpha == 0 ? 1.0f : (float)(alpha / (double)out->rank);
    return INF_OK;
}

static int32_t refuse_tensor(const struct gguf_tensor *t, inf_error *err)
{
    if (strstr(t->name, "_norm.weight"))
        return error_set(
            err, INF_ERROR_UNSUPPORTED,
            "adapter tensor \"%s\" is a trained norm, which is not supported; llama.cpp "
            "ignores it",
            t->name);
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     "adapter tensor \"%s\" is neither lora_a nor lora_b, and nothing else is "
                     "supported",
                     t->name);
}

static int32_t plan_tensors(struct lora_plan *out, const struct gguf_file *f, double alpha,
                            const struct family *family, const struct gguf_model *model,
                            inf_error *err)
{
    char stem[NAME_SIZE];
    int32_t code = INF_OK;

    for (size_t i = 0; i < gguf_file_tensor_count(f) && code == INF_OK; i++) {
        const struct gguf_tensor *t = gguf_file_tensor(f, i), *partner = NULL;

        if (stem_of(t->name, ".lora_a", stem)) {
            code = find_partner(&partner, f, t, stem, ".lora_b", err);
            if (code == INF_OK)
                code = plan_pair(&out->modules[out->n], t, partner, stem, alpha, family, model,
                                 err);
            if (code == INF_OK)
                out->n++;
        } else if (stem_of(t->name, ".lora_b", stem)) {
            code = find_partner(&partner, f, t, stem, ".lora_a", err);
        } else {
            code = refuse_tensor(t, err);
        }
    }
    return code;
}

int32_t plan_gguf_adapter(struct lora_plan *out, const struct gguf_file *adapter,
                          const struct gguf_model *model, inf_error *err)
{
    const struct family *family = NULL;
    double alpha = 0;
    size_t n = gguf_file_tensor_count(adapter);
    int32_t code = check_kind(adapter, err);

    if (code == INF_OK)
        code = check_architecture(&family, adapter, model, err);
    if (code == INF_OK)
        code = gguf_adapter_alpha(&alpha, adapter, err);
    if (code == INF_OK && (n == 0 || n > INT32_MAX))
        code = error_set(err, INF_ERROR_BAD_FORMAT, "the GGUF adapter holds no tensors");
    if (code != INF_OK)
        return code;
    out->format = INF_ADAPTER_GGUF;
    out->n_tensors = (int32_t)n;
    out->modules = mem_calloc(n, sizeof *out->modules);
    if (!out->modules)
        return error_no_memory(err);
    code = plan_tensors(out, adapter, alpha, family, model, err);
    return code == INF_OK ? lora_plan_sort(out, err) : code;
}
