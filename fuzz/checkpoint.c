/*
 * libFuzzer target: a checkpoint's directory, opened, and each of its tensors made.
 * Input: the length of config.json as two bytes (little-endian), its bytes, and then those of
 * model.safetensors.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/checkpoint.h"
#include "core/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/fuzz-checkpoint-XXXXXX";

static void write_file(const char *name, const uint8_t *data, size_t n)
{
    char path[64];
    FILE *f = NULL;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wb");
    if (!f || (n && fwrite(data, 1, n, f) != n))
        abort();
    fclose(f);
}

static void remove_directory(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command) != 0)
        abort();
}

/* What the header says of a tensor has room for all its rows. */
static void make_all(const struct checkpoint *c)
{
    for (size_t i = 0; i < c->blueprint.n_tensors; i++) {
        const struct blueprint_tensor *t = &c->blueprint.tensors[i];
        int64_t rows = t->ne[1] * t->ne[2] * t->ne[3];
        size_t n = (size_t)t->ne[0];
        float *row = NULL;

        if (t->data || n > 65536)
            continue;
        row = mem_alloc(n * sizeof *row);
        for (int64_t r = 0; row && r < rows && r < 64; r++)
            blueprint_rows(&c->blueprint, t, r, 1, WEIGHT_TYPE_F32, row, NULL);
        mem_free(row);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint *c = NULL;
    size_t n = 0;

    if (size < 2)
        return 0;
    if (strstr(dir, "XXXXXX") && (!mkdtemp(dir) || atexit(remove_directory) != 0))
        abort();
    n = (size_t)(data[0] | data[1] << 8);
    n = n < size - 2 ? n : size - 2;
    write_file("config.json", data + 2, n);
    write_file("model.safetensors", data + 2 + n, size - 2 - n);
    if (checkpoint_open(&c, dir, WEIGHT_TYPE_AUTO, NULL) == INF_OK)
        make_all(c);
    checkpoint_close(c);
    return 0;
}
