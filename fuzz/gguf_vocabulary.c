/*
 * libFuzzer target: the vocabulary of a GGUF file of any bytes as a tokenizer, and what it makes of texts:
 * ids are tokens, and what it says of each can be asked.
 */
#include <stdint.h>

#include "core/memory.h"
#include "llamacpp/vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_ids(const struct tokenizer *t, int32_t *ids, int32_t n)
{
    struct buffer out;
    int hidden = 0;

    buffer_init(&out, BUFFER_NO_LIMIT);
    for (int32_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= t->n_vocab)
            __builtin_trap();
        hidden += t->ops->kind(t->impl, ids[i]) != TOKEN_TEXT;
    }
    if (t->ops->decode(t->impl, ids, (size_t)n, hidden % 2 == 0, &out, NULL) != INF_OK)
        __builtin_trap();
    buffer_free(&out);
    mem_free(ids);
}

static void use(const struct tokenizer *t)
{
    static const char *const texts[] = {"", "Hello  world's 123", "<|im_end|></s> \n\t\xff",
                                        "e\xcc\x81 \xe6\x97\xa5\xf0\x9f\xa4\x97"};

    for (int i = 0; i < 8; i++) {
        int32_t *ids = NULL, n = 0;
        inf_error err;

        if (t->ops->encode(t->impl, inf_str(texts[i / 2]), i % 2, i % 3, &ids, &n, &err) == INF_OK)
            take_ids(t, ids, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf_file *file = NULL;
    struct vocabulary *v = NULL;
    struct tokenizer t;

    if (gguf_file_from_header(&file, data, size, NULL) == INF_OK &&
        vocabulary_read(&v, file, NULL) == INF_OK && v) {
        vocabulary_describe(v, &t);
        use(&t);
    }
    vocabulary_free(v);
    gguf_file_close(file);
    return 0;
}
