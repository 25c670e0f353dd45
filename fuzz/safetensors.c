/*
 * libFuzzer target: the safetensors reader on any bytes, and every byte of the tensors it accepts.
 */
#include <stdint.h>
#include <stdlib.h>

#include "hf/files/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

/* What the header promises of an accepted file: sorted, found by name, the data tiled. */
static uint64_t look_at(const struct safetensors *st, size_t i)
{
    const struct safetensors_tensor *t = safetensors_at(st, i);
    const void *data = NULL;

    if (safetensors_find(st, t->name) != t || t->n_dims > SAFETENSORS_MAX_DIMS ||
        t->offset + t->size > safetensors_file_size(st)) {
        abort();
    }
    if (safetensors_data(&data, st, t, NULL, NULL) != INF_OK)
        abort();
    for (size_t b = 0; b < t->size; b++)
        sink ^= ((const uint8_t *)data)[b];
    return t->size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors *st = NULL;
    inf_error err = {0};
    uint64_t total = 0;

    if (safetensors_from_memory(&st, data, size, &err) != INF_OK) {
        if (err.code == INF_OK || err.message[0] == '\0')
            abort();
        return 0;
    }
    for (size_t i = 0; i < safetensors_count(st); i++)
        total += look_at(st, i);
    if (total > size) /* no byte belongs to two tensors */
        abort();
    safetensors_close(st);
    return 0;
}
