/* id_list: the ids of a text as they come. Not thread-safe: its owner guards it. */
#ifndef INF_HF_TOKENIZER_ID_LIST_H
#define INF_HF_TOKENIZER_ID_LIST_H

#include "core/growing.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct id_list {
    int32_t *ids;
    size_t n, cap;
};

/* How it went to find the ids of a piece, or to make ready for that. */
enum model_done { MODEL_DONE, MODEL_NO_MEMORY, MODEL_NO_UNK, MODEL_TOO_LONG };

static inline bool id_push(struct id_list *list, int32_t id)
{
    if (list->n == list->cap && !GROW(list->ids, list->cap, list->n + 1))
        return false;
    list->ids[list->n++] = id;
    return true;
}

static inline bool id_push_all(struct id_list *list, const int32_t *ids, size_t n)
{
    if (list->n + n > list->cap && !GROW(list->ids, list->cap, list->n + n))
        return false;
    for (size_t i = 0; i < n; i++) /* a few */
        list->ids[list->n + i] = ids[i];
    list->n += n;
    return true;
}

#endif
