/*
 * adapters: loading, unloading and listing adapters of the llama.cpp provider. Reading and
 * converting run on a preparation thread; the worker that decodes never waits for them.
 */
#include "arch/adapter.h"
#include "core/memory.h"
#include "engine/lora_eval.h"
#include "engine/lora_export.h"
#include "llamacpp/provider_state.h"

#include <string.h>

struct adapter_load {
    struct preparation base;
    struct adapter_source source;
    char id[];
};

static int32_t load_payload(const struct adapter_load *l, struct llamacpp_adapter **out,
                            inf_adapter_report *report, inf_error *err)
{
    const struct gguf_model *base = NULL;
    struct lora_weights *weights = NULL;
    int32_t code = provider_header(l->base.provider, &base, err);

    if (code == INF_OK)
        code = adapter_read(&weights, &l->source, base, l->base.op, report, err);
    if (code == INF_OK && l->base.provider->native_adapters) {
        code = lora_export_check(weights, err);
        if (code != INF_OK)
            lora_weights_free(weights);
    }
    if (code == INF_OK)
        code = llamacpp_adapter_create(out, weights, base->file, err);
    return code;
}

static void run_adapter_load(struct preparation *base)
{
    struct adapter_load *l = (struct adapter_load *)(void *)base;
    struct op_output *o = op_output(base->op);
    struct llamacpp_adapter *payload = NULL;
    inf_error err = {0};
    inf_adapter_report report = {.struct_size = sizeof report};
    int32_t code = INF_OK;

    o->report_id = mem_strdup(l->id);
    code = o->report_id ? load_payload(l, &payload, &report, &err) : error_no_memory(&err);
    if (code == INF_OK)
        code = registry_put(base->provider->registry, l->id, payload, payload->bytes, &report,
                            &o->report_evicted, &err);
    if (code == INF_OK)
        o->report = report;
    else
        llamacpp_adapter_free(payload);
    preparation_end(base, &err);
}

static void dispose(struct preparation *base)
{
    adapter_source_free(&((struct adapter_load *)(void *)base)->source);
}

int32_t llamacpp_adapter_load(void *impl, inf_op *op, const char *id, struct adapter_source *source,
                              inf_error *err)
{
    struct llamacpp_provider *p = impl;
    struct adapter_load *l = NULL;
    size_t size = strlen(id) + 1;

    if (p->path[0] == '\0')
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "no model is set to check the adapter against; set LLAMACPP_MODEL_PATH or "
                         "give the path of a GGUF file");
    l = preparation_create(sizeof *l + size, p, op, run_adapter_load, err);
    if (!l)
        return INF_ERROR_NO_MEMORY;
    memcpy(l->id, id, size);
    l->source = *source;
    l->base.dispose = dispose;
    preparation_submit(&l->base);
    return INF_OK;
}

/* ------------------------------------------------------------------ unload */

static void run_unloaded(struct preparation *prep)
{
    preparation_end(prep, NULL);
}

/* The memory is back. Ends the operation on a preparation thread: this may run inside the start
 * itself, or on the worker. */
static void unloaded(void *arg)
{
    struct preparation *prep = arg;

    op_set_canceller(prep->op, NULL, NULL);
    context_submit(prep->provider->context, &prep->job);
}

int32_t llamacpp_adapter_unload(void *impl, inf_op *op, const char *id, inf_error *err)
{
    struct llamacpp_provider *p = impl;
    struct preparation *prep = preparation_create(sizeof *prep, p, op, run_unloaded, err);
    int32_t code = INF_OK;

    if (!prep)
        return INF_ERROR_NO_MEMORY;
    code = registry_remove(p->registry, id, unloaded, prep, err);
    if (code != INF_OK)
        preparation_free(prep);
    return code;
}

int32_t llamacpp_adapters(void *impl, inf_adapter_list *list, inf_error *err)
{
    return registry_list(((struct llamacpp_provider *)impl)->registry, list, err);
}
