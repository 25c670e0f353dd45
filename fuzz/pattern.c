/*
 * libFuzzer target: patterns of adapter configurations, compiled and matched. Input: the pattern, a
 * newline, the text (which may hold anything).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hf/files/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size > 0 ? memchr(text, '\n', size) : NULL;
    size_t len = end ? (size_t)(end - text) : size;
    size_t skip = end ? len + 1 : len;
    struct pattern *p = NULL;
    int64_t budget = 1000000;
    bool first = false;
    bool again = false;

    if (pattern_compile(&p, text, len, NULL) != INF_OK)
        return 0;
    /* the scratch memory must be clean after a match: the second answer is the first */
    if (pattern_fullmatch(&first, p, text + skip, size - skip, &budget, NULL) == INF_OK &&
        pattern_fullmatch(&again, p, text + skip, size - skip, &budget, NULL) == INF_OK &&
        first != again) {
        abort();
    }
    pattern_free(p);
    return 0;
}
