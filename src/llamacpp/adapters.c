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

static int32_t load_payload(struct preparation *prep, struct llamacpp_adapter **out,
                            inf_adapter_report *report, inf_error *err)
{
    const struct gguf_model *base = NULL;
    struct lora_weights *weights = NULL;
    int32_t code = provider_header(prep->provider, &base, err);

    if (code == INF_OK)
        code = adapter_read(&weights, &prep->source, base, prep->op, report, err);
    if (code == INF_OK && prep->provider->native_adapters) {
        code = lora_export_check(weights, err);
        if (code != INF_OK)
            lora_weights_free(weights);
    }
    if (code == INF_OK)
        code = llamacpp_adapter_create(out, weights, base->file, err);
    return code;
}

static void run_adapter_load(struct preparation *prep)
{
    struct op_output *o = op_output(prep->op);
    struct llamacpp_adapter *payload = NULL;
    inf_op *op = prep->op;
    inf_error err = {0};
    inf_adapter_report report = {.struct_size = sizeof report};
    char *evicted = NULL;
    char *id = mem_strdup(prep->id);
    int32_t code = id ? load_payload(prep, &payload, &report, &err) : error_no_memory(&err);

    if (code == INF_OK)
        code = registry_put(prep->provider->registry, id, payload, payload->bytes, &report,
                            &evicted, &err);
    if (code == INF_OK) {
        o->report = report;
        o->report_id = id;
        o->report_evicted = evicted;
    } else {
        llamacpp_adapter_free(payload);
        mem_free(id);
    }
    preparation_free(prep);
    op_finish(op, &err);
}

int32_t llamacpp_adapter_load(void *impl, inf_op *op, const char *id, struct adapter_source *source,
                              inf_error *err)
{
    struct llamacpp_provider *p = impl;
    struct preparation *prep = NULL;

    if (p->path[0] == '\0')
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "no model is set to check the adapter against; set LLAMACPP_MODEL_PATH or "
                         "give the path of a GGUF file");
    prep = preparation_create(p, op, run_adapter_load, err);
    if (prep)
        prep->id = mem_strdup(id);
    if (!prep || !prep->id) {
        preparation_free(prep);
        return error_no_memory(err);
    }
    prep->source = *source;
    preparation_submit(prep);
    return INF_OK;
}

/* ------------------------------------------------------------------ unload */

static void run_unloaded(struct preparation *prep)
{
    inf_op *op = prep->op;

    preparation_free(prep);
    op_finish(op, NULL);
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
    struct preparation *prep = preparation_create(p, op, run_unloaded, err);
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
