/*
 * bench-tokenize DIR FILE: reads the tokenizer of a folder, encodes and decodes a text, one thread; a
 * line of JSON with the CPU seconds of each, for bench/tokenizing.py.
 */
#include <stdio.h>
#include <time.h>

#include "core/file.h"
#include "core/memory.h"
#include "hf/tokenizer/tokenizer.h"

static double cpu_seconds(void)
{
    struct timespec now = {0, 0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int measure(const char *dir, inf_text text, inf_error *err)
{
    struct hf_tokenizer *t = NULL;
    int32_t *ids = NULL, n = 0;
    double times[4] = {cpu_seconds(), 0, 0, 0};
    struct buffer out;
    int32_t code = hf_tokenizer_open(&t, dir, err);

    buffer_init(&out, BUFFER_NO_LIMIT);
    times[1] = cpu_seconds();
    if (code == INF_OK)
        code = hf_tokenizer_encode(t, text, false, true, &ids, &n, err);
    times[2] = cpu_seconds();
    if (code == INF_OK)
        code = hf_tokenizer_decode(t, ids, (size_t)n, false, &out, err);
    times[3] = cpu_seconds();
    if (code == INF_OK)
        printf("{\"load\":%.6f,\"encode\":%.6f,\"decode\":%.6f,\"ids\":%d}\n", times[1] - times[0],
               times[2] - times[1], times[3] - times[2], (int)n);
    buffer_free(&out);
    mem_free(ids);
    hf_tokenizer_free(t);
    return code;
}

int main(int argc, char **argv)
{
    char *data = NULL;
    size_t n = 0;
    inf_error err = {0};
    int code = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: bench-tokenize DIR FILE\n");
        return 2;
    }
    code = file_read(&data, &n, argv[2], 1 << 30, &err);
    if (code == INF_OK)
        code = measure(argv[1], (inf_text){data, n}, &err);
    if (code != INF_OK)
        fprintf(stderr, "%s\n", err.message);
    mem_free(data);
    return code != INF_OK;
}
