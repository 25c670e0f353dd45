/*
 * adapter_list: the sorted snapshot that inf_adapters gives.
 */
#include "core/provider_state.h"

#include "core/growing.h"
#include "core/structs.h"

#include <string.h>

struct inf_adapter_list {
    inf_adapter_report *items; /* ids are mem_strdup'ed */
    size_t n, capacity;
};

int32_t adapter_list_add(inf_adapter_list *list, const inf_adapter_report *report, inf_error *err)
{
    inf_adapter_report item = *report;
    char *id = mem_strndup(report->id.data, report->id.len);
    size_t at = list->n;

    if (!id)
        return error_no_memory(err);
    if (!GROW(list->items, list->capacity, list->n + 1)) {
        mem_free(id);
        return error_no_memory(err);
    }
    item.id = (inf_text){id, report->id.len};
    item.evicted = (inf_text){NULL, 0};
    while (at > 0 && strcmp(list->items[at - 1].id.data, id) > 0) {
        list->items[at] = list->items[at - 1];
        at--;
    }
    list->items[at] = item;
    list->n++;
    return INF_OK;
}

int32_t inf_adapters(inf_adapter_list **out, inf_provider *provider, inf_error *err)
{
    inf_adapter_list *list = NULL;
    int32_t code = INF_OK;

    if (!out || !provider)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "out or provider is NULL");
    *out = NULL;
    code = context_check(provider->context, false, err);
    if (code != INF_OK)
        return code;
    list = mem_calloc(1, sizeof *list);
    if (!list)
        return error_no_memory(err);
    code = provider_list_adapters(provider, list, err);
    if (code != INF_OK) {
        inf_adapter_list_free(list);
        return code;
    }
    *out = list;
    return error_none(err);
}

size_t inf_adapter_list_count(const inf_adapter_list *list)
{
    return list ? list->n : 0;
}

const char *inf_adapter_list_id(const inf_adapter_list *list, size_t index)
{
    return list && index < list->n ? list->items[index].id.data : NULL;
}

int32_t inf_adapter_list_report(const inf_adapter_list *list, size_t index, inf_adapter_report *out,
                                size_t size)
{
    if (!list || !out || index >= list->n)
        return INF_ERROR_INVALID_ARGUMENT;
    return struct_write(out, size, &list->items[index], sizeof list->items[index])
               ? INF_OK
               : INF_ERROR_INVALID_ARGUMENT;
}

void inf_adapter_list_free(inf_adapter_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++)
        mem_free((void *)(uintptr_t)list->items[i].id.data);
    mem_free(list->items);
    mem_free(list);
}
