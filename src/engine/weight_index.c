/*
 * weight_index: see the header. A hash table of addresses, open addressing, which all threads fill.
 */
#include "engine/weight_index.h"

#include "core/memory.h"

#include <ggml.h>
#include <stdatomic.h>

/* Free, while tensor is NULL; then its index is UNKNOWN for a moment. */
struct weight_entry {
    const struct ggml_tensor *_Atomic tensor;
    _Atomic int32_t index; /* in the GGUF */
};
#define UNKNOWN INT32_MIN

struct weight_index {
    const struct gguf_file *file;
    struct weight_entry *table; /* (size) */
    size_t size;                /* a power of two, twice the tensors */
};

static size_t hash_pointer(const void *p, size_t size)
{
    return (size_t)(((uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (size - 1);
}

static int32_t index_by_name(const struct weight_index *index, const char *name)
{
    const struct gguf_tensor *found = gguf_file_find(index->file, name);

    return found ? (int32_t)(found - gguf_file_tensor(index->file, 0)) : -1;
}

int32_t weight_index_of(struct weight_index *index, const struct ggml_tensor *w)
{
    size_t i = hash_pointer(w, index->size);

    if (w->op != GGML_OP_NONE || w->view_src)
        return -1;
    for (size_t tries = 0; tries < index->size; tries++, i = (i + 1) & (index->size - 1)) {
        const struct ggml_tensor *there = atomic_load(&index->table[i].tensor);
        int32_t found = UNKNOWN;

        if (there == w)
            found = atomic_load(&index->table[i].index);
        if (found != UNKNOWN)
            return found;
        if (there && there != w)
            continue;
        found = index_by_name(index, w->name);
        if (found >= 0 && !there &&
            atomic_compare_exchange_strong(&index->table[i].tensor, &there, w))
            atomic_store(&index->table[i].index, found);
        return found;
    }
    return index_by_name(index, w->name);
}

struct weight_index *weight_index_create(const struct gguf_file *file)
{
    struct weight_index *index = mem_calloc(1, sizeof *index);

    if (!index)
        return NULL;
    index->file = file;
    index->size = 64;
    while (index->size < gguf_file_tensor_count(file) * 2)
        index->size *= 2;
    index->table = mem_calloc(index->size, sizeof *index->table);
    if (!index->table) {
        mem_free(index);
        return NULL;
    }
    for (size_t i = 0; i < index->size; i++)
        atomic_init(&index->table[i].index, UNKNOWN);
    return index;
}

void weight_index_free(struct weight_index *index)
{
    if (!index)
        return;
    mem_free(index->table);
    mem_free(index);
}
