/*
 * adapter_set: see the header.
 */
#include "local/adapter_set.h"

#include "core/memory.h"

#include <stdio.h>
#include <string.h>

/* One that was named before is the same generation again, whatever was loaded meanwhile. */
static const struct adapter *pin(const struct adapter_set *s, inf_text id)
{
    for (int32_t i = 0; i < s->n; i++) {
        const char *known = s->list[i].adapter->id;

        if (strlen(known) == id.len && memcmp(known, id.data, id.len) == 0)
            return registry_pin_again(s->registry, s->list[i].adapter);
    }
    return registry_pin(s->registry, id.data, id.len);
}

int32_t adapter_set_pin(struct adapter_set **out, struct registry *registry,
                        const inf_request_adapter *adapters, size_t n, inf_error *err)
{
    struct adapter_set *s = n ? mem_calloc(1, sizeof *s + n * sizeof *s->list) : NULL;

    *out = NULL;
    if (n && !s)
        return error_no_memory(err);
    if (!n)
        return INF_OK;
    s->refs = 1;
    s->registry = registry;
    for (size_t i = 0; i < n; i++) {
        inf_text id = adapters[i].id;
        const struct adapter *adapter = pin(s, id);

        if (!adapter) {
            adapter_set_unref(s);
            return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                             "adapter '%.*s' is not loaded; load it before using it",
                             (int)(id.len > 256 ? 256 : id.len), id.data);
        }
        s->list[s->n++] = (struct scaled_adapter){
            adapter, adapter->generation, adapters[i].scale.is_set ? adapters[i].scale.value : 1};
    }
    *out = s;
    return INF_OK;
}

void adapter_set_unpin(struct adapter_set *s)
{
    for (int32_t i = 0; i < adapter_set_size(s); i++) {
        registry_unpin(s->registry, s->list[i].adapter);
        s->list[i].adapter = NULL;
    }
}

struct adapter_set *adapter_set_ref(struct adapter_set *s)
{
    if (s)
        s->refs++;
    return s;
}

void adapter_set_unref(struct adapter_set *s)
{
    if (!s || --s->refs > 0)
        return;
    adapter_set_unpin(s);
    mem_free(s);
}

int32_t adapter_set_common(const struct adapter_set *a, const struct adapter_set *b)
{
    int32_t n = 0;

    while (n < adapter_set_size(a) && n < adapter_set_size(b) &&
           a->list[n].generation == b->list[n].generation && a->list[n].scale == b->list[n].scale)
        n++;
    return n;
}

bool adapter_set_equal(const struct adapter_set *a, const struct adapter_set *b)
{
    return a == b || (adapter_set_size(a) == adapter_set_size(b) &&
                      adapter_set_common(a, b) == adapter_set_size(a));
}

/* "'a', 'b'"; those for which there is no room are an ellipsis. */
static const char *list_ids(const struct adapter_set *s, char *out, size_t size)
{
    size_t n = 0;

    for (int32_t i = 0; i < s->n; i++) {
        const char *id = s->list[i].adapter->id;

        if (n + strlen(id) + sizeof "'', ..." > size) {
            memcpy(out + n, "...", sizeof "...");
            return out;
        }
        n += (size_t)snprintf(out + n, size - n, i + 1 < s->n ? "'%s', " : "'%s'", id);
    }
    return out;
}

int32_t adapter_set_not_finite(const struct adapter_set *s, inf_error *err)
{
    char ids[320];

    if (!s)
        return error_set(err, INF_ERROR_NOT_FINITE,
                         "the model's logits are NaN or infinite; the model file is damaged or its "
                         "weights overflow");
    if (s->n == 1)
        return error_set(
            err, INF_ERROR_NOT_FINITE,
            "adapter '%s' overflows: its logits are NaN or infinite; lower its scale or "
            "train it again",
            s->list[0].adapter->id);
    return error_set(
        err, INF_ERROR_NOT_FINITE,
        "the adapters %s together overflow: the logits are NaN or infinite; lower their "
        "scales, or try each alone",
        list_ids(s, ids, sizeof ids));
}
