/*
 * native_adapters: see the header.
 */
#include "engine/native_adapters.h"

#include "core/memory.h"
#include "engine/guard.h"
#include "engine/lora_operator.h"
#include "engine/lora_export.h"

#include <errno.h>
#include <stdio.h>

#define MAX_ALIVE 4

struct alive {
    uint64_t generation; /* 0: empty */
    struct llama_adapter_lora *lora;
    uint64_t used;
};

struct native_adapters {
    struct llama_model *model;
    const struct gguf_model *base;
    struct alive alive[MAX_ALIVE];
    uint64_t clock;
    struct llama_context *context; /* where the two below are set */
    uint64_t generation;
    float scale;
};

struct native_adapters *native_adapters_create(struct llama_model *model,
                                               const struct gguf_model *base)
{
    struct native_adapters *n = mem_calloc(1, sizeof *n);

    if (n) {
        n->model = model;
        n->base = base;
    }
    return n;
}

void native_adapters_free(struct native_adapters *n)
{
    if (!n)
        return;
    for (int i = 0; i < MAX_ALIVE; i++)
        if (n->alive[i].lora)
            llama_adapter_lora_free(n->alive[i].lora);
    mem_free(n);
}

void native_adapters_forget_context(struct native_adapters *n)
{
    n->context = NULL;
}

static int32_t load(struct native_adapters *n, const struct adapter *adapter,
                    struct llama_adapter_lora **out, inf_error *err)
{
    const struct llamacpp_adapter *payload = adapter->payload;
    struct buffer gguf;
    FILE *file = NULL;
    int32_t code = INF_OK;

    *out = NULL;
    buffer_init(&gguf, BUFFER_NO_LIMIT);
    code = lora_export(&gguf, payload->weights, n->base->architecture, err);
    if (code != INF_OK)
        goto done;
    file = fmemopen(gguf.data, gguf.len, "rb");
    if (!file) {
        code = error_set_errno(err, errno, "open", "an adapter in memory");
        goto done;
    }
    *out = guard_load_adapter(n->model, file, err);
    if (!*out)
        code = INF_ERROR_BACKEND;
done:
    if (file)
        fclose(file);
    buffer_free(&gguf);
    return code;
}

/* An empty place, made by freeing the least recently used adapter if need be. */
static struct alive *make_place(struct native_adapters *n)
{
    struct alive *place = &n->alive[0];

    for (int i = 1; i < MAX_ALIVE; i++)
        if (n->alive[i].used < place->used)
            place = &n->alive[i];
    if (place->lora) {
        if (n->context) { /* it may be the one that is set */
            llama_set_adapters_lora(n->context, NULL, 0, NULL);
            n->generation = 0;
        }
        llama_adapter_lora_free(place->lora);
        *place = (struct alive){0};
    }
    return place;
}

static int32_t find(struct native_adapters *n, const struct adapter *adapter,
                    struct llama_adapter_lora **out, inf_error *err)
{
    struct alive *place = NULL;
    int32_t code = INF_OK;

    for (int i = 0; i < MAX_ALIVE; i++)
        if (n->alive[i].lora && n->alive[i].generation == adapter->generation)
            place = &n->alive[i];
    if (!place) {
        place = make_place(n);
        code = load(n, adapter, &place->lora, err);
        if (code != INF_OK)
            return code;
        place->generation = adapter->generation;
    }
    place->used = ++n->clock;
    *out = place->lora;
    return INF_OK;
}

int32_t native_adapters_use(struct native_adapters *n, struct llama_context *ctx,
                            const struct adapter *adapter, float scale, inf_error *err)
{
    uint64_t generation = adapter ? adapter->generation : 0;
    struct llama_adapter_lora *lora = NULL;
    int32_t code = INF_OK;

    if (n->context == ctx && n->generation == generation && (!adapter || n->scale == scale))
        return INF_OK;
    if (adapter) {
        code = find(n, adapter, &lora, err);
        if (code != INF_OK)
            return code;
    }
    if (llama_set_adapters_lora(ctx, adapter ? &lora : NULL, adapter ? 1 : 0,
                                adapter ? &scale : NULL) != 0)
        return error_set(err, INF_ERROR_BACKEND, "llama.cpp refuses to set an adapter");
    n->context = ctx;
    n->generation = generation;
    n->scale = scale;
    return INF_OK;
}
