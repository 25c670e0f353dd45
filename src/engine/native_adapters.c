/*
 * native_adapters: see the header.
 */
#include "engine/native_adapters.h"

#include "core/memory.h"
#include "engine/guard.h"
#include "engine/engine_adapter.h"
#include "engine/lora_export.h"

#include <errno.h>
#include <stdio.h>

struct alive {
    uint64_t generation; /* 0: empty */
    struct llama_adapter_lora *lora;
    uint64_t used;
};

struct native_adapters {
    struct llama_model *model;
    const struct gguf_model *base;
    struct alive alive[NATIVE_ADAPTERS];
    uint64_t clock;
    struct llama_context *context; /* where the adapters are set */
    struct adapter_set *set;
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
    for (int i = 0; i < NATIVE_ADAPTERS; i++)
        if (n->alive[i].lora)
            llama_adapter_lora_free(n->alive[i].lora);
    adapter_set_unref(n->set);
    mem_free(n);
}

void native_adapters_forget_context(struct native_adapters *n)
{
    n->context = NULL;
}

static int32_t load(struct native_adapters *n, const struct adapter *adapter,
                    struct llama_adapter_lora **out, inf_error *err)
{
    const struct engine_adapter *payload = adapter->payload;
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

    for (int i = 1; i < NATIVE_ADAPTERS; i++)
        if (n->alive[i].used < place->used)
            place = &n->alive[i];
    if (place->lora) {
        if (n->context) { /* it may be the one that is set */
            llama_set_adapters_lora(n->context, NULL, 0, NULL);
            n->context = NULL;
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

    for (int i = 0; i < NATIVE_ADAPTERS; i++)
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

/* One that is named twice has both scales. Returns how many there are. */
static size_t add(struct llama_adapter_lora **loras, float *scales, size_t n,
                  struct llama_adapter_lora *lora, float scale)
{
    for (size_t i = 0; i < n; i++) {
        if (loras[i] == lora) {
            scales[i] += scale;
            return n;
        }
    }
    loras[n] = lora;
    scales[n] = scale;
    return n + 1;
}

static int32_t count_different(const struct adapter_set *s)
{
    int32_t n = 0;

    for (int32_t i = 0; i < adapter_set_size(s); i++) {
        int32_t k = 0;

        while (s->list[k].generation != s->list[i].generation)
            k++;
        n += k == i;
    }
    return n;
}

int32_t native_adapters_use(struct native_adapters *n, struct llama_context *ctx,
                            struct adapter_set *adapters, inf_error *err)
{
    struct llama_adapter_lora *loras[NATIVE_ADAPTERS];
    float scales[NATIVE_ADAPTERS];
    size_t count = 0;

    if (n->context == ctx && adapter_set_equal(n->set, adapters))
        return INF_OK;
    if (count_different(adapters) > NATIVE_ADAPTERS)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "adapters: native execution takes %d different ones a request, and %d are "
                         "given",
                         NATIVE_ADAPTERS, count_different(adapters));
    /* None of them makes room for another: they are as many as there are places at most. */
    for (int32_t i = 0; i < adapter_set_size(adapters); i++) {
        struct llama_adapter_lora *lora = NULL;
        int32_t code = find(n, adapters->list[i].adapter, &lora, err);

        if (code != INF_OK)
            return code;
        count = add(loras, scales, count, lora, adapters->list[i].scale);
    }
    if (llama_set_adapters_lora(ctx, loras, count, scales) != 0)
        return error_set(err, INF_ERROR_BACKEND, "llama.cpp refuses to set an adapter");
    adapter_set_ref(adapters);
    adapter_set_unref(n->set);
    n->set = adapters;
    n->context = ctx;
    return INF_OK;
}
