/*
 * adapters: loading, unloading and listing adapters of the in-process provider. Reading and
 * converting run on a preparation thread, or, of up to AT_ONCE_BYTES from memory, in the start; the worker that decodes
 * never waits for them.
 */
#include "core/memory.h"
#include "local/provider.h"

#include <string.h>

enum { AT_ONCE_BYTES = 32 << 20 };

struct adapter_load {
    struct preparation base;
    struct adapter_source source; /* a copy, or, in the start, borrowed */
    char id[];
};

static int32_t load(struct adapter_load *l, inf_adapter_report *report, char **evicted,
                    inf_error *err)
{
    struct local_provider *p = l->base.provider;
    void *adapter = NULL;
    size_t bytes = 0;
    int32_t code = provider_open(p, err);

    if (code == INF_OK)
        code = p->ops->adapter_load(p->model, &l->source, l->base.op, &adapter, &bytes, report,
                                    err);
    if (code == INF_OK && !l->source.put_off)
        code = registry_put(p->registry, l->id, adapter, bytes, report, evicted, err);
    if (code != INF_OK)
        p->ops->adapter_free(adapter);
    return code;
}

/* Ends it, unless it is put off: false. */
static bool make_adapter(struct adapter_load *l)
{
    struct op_output *o = op_output(l->base.op);
    inf_adapter_report report = {.struct_size = sizeof report};
    inf_error err = {0};
    int32_t code = INF_OK;

    if (!o->report_id)
        o->report_id = mem_strdup(l->id);
    code = o->report_id ? load(l, &report, &o->report_evicted, &err) : error_no_memory(&err);
    if (l->source.put_off)
        return false;
    if (code == INF_OK)
        o->report = report;
    preparation_end(&l->base, &err);
    return true;
}

static void run_adapter_load(struct preparation *base)
{
    make_adapter((struct adapter_load *)(void *)base);
}

static void dispose(struct preparation *base)
{
    adapter_source_free(&((struct adapter_load *)(void *)base)->source);
    atomic_fetch_sub(&base->provider->queued_adapters, 1);
}

static int32_t load_later(struct adapter_load *l, const struct adapter_source *source,
                          inf_error *err)
{
    int32_t code = adapter_source_copy(&l->source, source, err);

    l->base.dispose = dispose;
    atomic_fetch_add(&l->base.provider->queued_adapters, 1);
    if (code == INF_OK)
        preparation_submit(&l->base);
    else
        preparation_free(&l->base);
    return code;
}

/* Bytes that the start itself makes an adapter of, which takes it little longer than to copy them: they are in the
 * cache of the core that gives them, and nobody has to be woken. The model's files were read before, and no load is
 * overtaken that was started before. */
static bool loads_at_once(struct local_provider *p, const struct adapter_source *source)
{
    return !source->path && source->weights.len <= AT_ONCE_BYTES && atomic_load(&p->is_open) &&
           atomic_load(&p->queued_adapters) == 0;
}

int32_t local_adapter_load(void *impl, inf_op *op, const char *id,
                           const struct adapter_source *source, inf_error *err)
{
    struct adapter_load *l = NULL;
    size_t size = strlen(id) + 1;
    int32_t code = provider_check_model(impl, err);

    if (code != INF_OK)
        return code;
    l = preparation_create(sizeof *l + size, impl, op, run_adapter_load, err);
    if (!l)
        return INF_ERROR_NO_MEMORY;
    memcpy(l->id, id, size);
    l->source = *source;
    l->source.in_start = loads_at_once(impl, source);
    return l->source.in_start && make_adapter(l) ? INF_OK : load_later(l, source, err);
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
    context_submit(op_context(prep->op), &prep->job);
}

int32_t local_adapter_unload(void *impl, inf_op *op, const char *id, inf_error *err)
{
    struct local_provider *p = impl;
    struct preparation *prep = preparation_create(sizeof *prep, p, op, run_unloaded, err);
    int32_t code = INF_OK;

    if (!prep)
        return INF_ERROR_NO_MEMORY;
    code = registry_remove(p->registry, id, unloaded, prep, err);
    if (code != INF_OK)
        preparation_free(prep);
    return code;
}

int32_t local_adapters(void *impl, inf_adapter_list *list, inf_error *err)
{
    return registry_list(((struct local_provider *)impl)->registry, list, err);
}
