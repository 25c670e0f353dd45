/* adapter: see the header. */
#include "arch/adapter.h"

#include "arch/adapter_plan.h"
#include "core/context.h"
#include "core/file.h"
#include "core/inspect.h"
#include "core/memory.h"
#include "core/op.h"
#include "lora/halves.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* What a source is read for. */
struct reading {
    const struct gguf_model *model;
    const inf_op *op; /* to poll, or NULL */
};

/* What a copy of a base weight is like changes nothing of what the adapter does here. */
static void say_uncompared(const struct lora_plan *plan, const inf_op *op)
{
    if (op && plan->uncompared)
        context_log(
            op_context(op), INF_LOG_WARNING,
            "adapter tensor \"%.160s\" is a copy of a weight of its base model and is not used; "
            "the model's own is quantised, so that whether they are the same is not checked",
            plan->uncompared);
}

/* Bytes of the matrices that the plan may leave where they lie. */
static uint64_t pairs_in(const struct lora_plan *plan)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < plan->n; i++)
        if (lora_are_halves(&plan->modules[i]))
            bytes += plan->modules[i].a.size + plan->modules[i].b.size;
    return bytes;
}

/* Of a file in memory: where the plan's matrices are. */
static int32_t locate(struct lora_plan *plan, const struct safetensors *file, inf_error *err)
{
    int32_t code = INF_OK;

    for (size_t i = 0; i < plan->n && code == INF_OK; i++) {
        struct lora_plan_module *m = &plan->modules[i];

        if (!lora_are_halves(m))
            continue;
        code = safetensors_data(&m->a.data, file, m->a.tensor, NULL, err);
        if (code == INF_OK)
            code = safetensors_data(&m->b.data, file, m->b.tensor, NULL, err);
    }
    return code;
}

/*
 * Where most of a file is what the kernels read as it is, the file in memory is the adapter: the caller's bytes,
 * of which a copy was made, or the file, read at once.
 */
static int32_t settle_storage(struct lora_plan *plan, struct adapter_source *source,
                              struct safetensors *file, inf_error *err)
{
    int32_t code = INF_OK;

    if (pairs_in(plan) < safetensors_file_size(file) / 4 * 3 ||
        (source->path ? !safetensors_is_file(file) : !source->block))
        return INF_OK;
    if (source->path)
        code = safetensors_load(&source->block, file, err);
    plan->storage = source->block;
    return code == INF_OK ? locate(plan, file, err) : code;
}

/* Magnitudes are of what the model's weights become, and copies of these are compared with them. */
static bool wants_weights(const struct peft_adapter *a)
{
    for (size_t i = 0; i < a->n_modules; i++)
        if (a->modules[i].magnitude || a->modules[i].base)
            return true;
    return false;
}

static int32_t read_peft(struct lora_weights **out, struct adapter_source *source,
                         const struct reading *r, inf_error *err)
{
    struct peft_adapter *adapter = NULL;
    struct lora_plan plan = {0};
    int32_t code = source->path
                       ? peft_open(&adapter, source->path, err)
                       : peft_from_memory(&adapter, source->config.data, source->config.len,
                                          source->weights.data, source->weights.len, err);

    source->put_off = code == INF_OK && source->in_start && wants_weights(adapter);
    if (source->put_off) {
        peft_close(adapter);
        return INF_OK;
    }
    if (code == INF_OK)
        code = plan_peft_adapter(&plan, adapter, r->model, err);
    if (code == INF_OK)
        code = settle_storage(&plan, source, adapter->weights, err);
    if (code == INF_OK)
        code = lora_weights_make(out, &plan, r->op, err);
    if (code == INF_OK && plan.storage)
        source->block = NULL;
    if (code == INF_OK)
        say_uncompared(&plan, r->op);
    lora_plan_free(&plan);
    peft_close(adapter);
    return code;
}

/* Takes the file over. out NULL: only checks it. */
static int32_t read_gguf(struct lora_weights **out, struct gguf_file *file, const struct reading *r,
                         inf_error *err)
{
    struct lora_plan plan = {0};
    int32_t code = plan_gguf_adapter(&plan, file, r->model, err);

    if (code == INF_OK && out)
        code = lora_weights_make(out, &plan, r->op, err);
    lora_plan_free(&plan);
    gguf_file_close(file);
    return code;
}

static int32_t read_gguf_bytes(struct lora_weights **out, const void *bytes, size_t size,
                               const struct reading *r, inf_error *err)
{
    struct gguf_file *file = NULL;
    int32_t code = gguf_file_from_memory(&file, bytes, size, err);

    return code == INF_OK ? read_gguf(out, file, r, err) : code;
}

/* The header alone first: a whole model is not to be read. Then the bytes are read, not mapped:
 * whoever rewrites the file in place must not end the process. */
static int32_t read_gguf_path(struct lora_weights **out, const char *path, const struct reading *r,
                              inf_error *err)
{
    struct gguf_file *file = NULL;
    char *bytes = NULL;
    size_t size = 0;
    int32_t code = gguf_file_open(&file, path, err);

    if (code == INF_OK)
        code = read_gguf(NULL, file, r, err);
    if (code == INF_OK)
        code = file_read(&bytes, &size, path, SIZE_MAX, err);
    if (code == INF_OK)
        code = read_gguf_bytes(out, bytes, size, r, err);
    mem_free(bytes);
    return code;
}

/* The weights alone are no adapter: their config lies beside them. */
static bool is_safetensors(const char *path)
{
    const char *suffix = strrchr(path, '.');

    return suffix && strcmp(suffix, ".safetensors") == 0;
}

static int32_t read_path(struct lora_weights **out, struct adapter_source *source,
                         const struct reading *r, inf_error *err)
{
    struct stat info;

    if (stat(source->path, &info) != 0)
        return error_set_errno(err, errno, "open", source->path);
    if (S_ISDIR(info.st_mode))
        return read_peft(out, source, r, err);
    if (!S_ISREG(info.st_mode))
        return error_set(err, INF_ERROR_IO,
                         "cannot read %s: it is neither a PEFT directory nor a GGUF file",
                         source->path);
    if (is_safetensors(source->path))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         "%s is the weights of a PEFT adapter; give the directory that it lies in",
                         source->path);
    return read_gguf_path(out, source->path, r, err);
}

static void fill_report(inf_adapter_report *report, const struct lora_weights *w)
{
    const struct lora_module *scaled = lora_weights_scaled(w);

    report->format = w->format;
    report->rank = w->max_rank;
    report->scale = scaled ? scaled->scale : 1;
    report->n_modules = (int32_t)w->n_modules;
    report->n_tensors = w->n_tensors;
    report->bytes = (int64_t)w->bytes;
}

int32_t adapter_read(struct lora_weights **out, struct adapter_source *source,
                     const struct gguf_model *model, const inf_op *op_to_poll,
                     inf_adapter_report *report, inf_error *err)
{
    struct reading r = {model, op_to_poll};
    struct lora_weights *w = NULL;
    int32_t code = INF_OK;

    code = source->path ? read_path(&w, source, &r, err)
           : source->config.data
               ? read_peft(&w, source, &r, err)
               : read_gguf_bytes(&w, source->weights.data, source->weights.len, &r, err);
    if (code != INF_OK || source->put_off)
        return code;
    fill_report(report, w);
    *out = w;
    return INF_OK;
}

int32_t adapter_check_fit(const struct gguf_model *model, const char *path, inf_error *misfit,
                          inf_error *err)
{
    struct adapter_source source = {.path = path};
    struct lora_weights *weights = NULL;
    inf_adapter_report report = {0};
    int32_t code = adapter_read(&weights, &source, model, NULL, &report, misfit);

    lora_weights_free(weights);
    block_give(source.block);
    if (inspect_is_misfit(code))
        return INF_OK;
    if (code != INF_OK && err)
        *err = *misfit;
    return code;
}
