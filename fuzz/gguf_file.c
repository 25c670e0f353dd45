/*
 * libFuzzer target: the GGUF reader and the model check on any bytes, and every look-up on what they
 * accept.
 */
#include <stdint.h>

#include "gguf/file_parts.h"
#include "gguf/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

/* Every key by every accessor; every array to its end and beyond. */
static void look_up(const struct gguf_file *f)
{
    char key[256];
    inf_text text = {0};
    int64_t whole = 0;
    double number = 0;
    bool flag = false;
    size_t n = 0;
    struct gguf_texts it = {0};

    for (size_t i = 0; i < f->values.n; i++) {
        inf_text k = f->values.items[i].key;

        if (k.len >= sizeof key)
            continue;
        for (size_t b = 0; b < k.len; b++)
            key[b] = k.data[b];
        key[k.len] = '\0';
        gguf_get_int(f, key, &whole);
        gguf_get_float(f, key, &number);
        gguf_get_bool(f, key, &flag);
        if (gguf_get_text(f, key, &text) && text.len > 0)
            sink ^= (uint8_t)text.data[text.len - 1];
        if (gguf_get_array(f, key, &n)) {
            gguf_array_text(f, key, n / 2, &text);
            gguf_array_text(f, key, n, &text);
            gguf_array_int(f, key, n > 0 ? n - 1 : 0, &whole);
            gguf_array_float(f, key, n > 0 ? n - 1 : 0, &number);
        }
        if (gguf_texts_begin(f, key, &it))
            while (gguf_texts_next(&it, &text))
                sink ^= text.len > 0 ? (uint8_t)text.data[text.len - 1] : 0;
    }
}

static void read_tensors(const struct gguf_file *f)
{
    for (size_t i = 0; i < gguf_file_tensor_count(f); i++) {
        const struct gguf_tensor *t = gguf_file_tensor(f, i);
        const uint8_t *data = t->data;

        sink ^= gguf_file_find(f, t->name) == t;
        if (t->size > 0)
            sink ^= (uint8_t)(data[0] ^ data[t->size - 1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf_file *f = NULL;
    struct gguf_model model = {0};
    inf_error err = {0};

    if (gguf_file_from_memory(&f, data, size, &err) == INF_OK) {
        look_up(f);
        read_tensors(f);
        gguf_model_check(&model, f, &err);
    }
    gguf_file_close(f);
    return 0;
}
