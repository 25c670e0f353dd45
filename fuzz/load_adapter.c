/*
 * load_adapter: see the header. The promises: an error says why; every number that comes out is
 * finite and of the padded shape it claims; the padding is zero; the export as GGUF is a file that
 * our own reader takes, with a pair of tensors for each module.
 */
#include "load_adapter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "arch/adapter.h"
#include "core/buffer.h"
#include "engine/lora_export.h"
#include "small_model.h"

static void demand(bool holds)
{
    if (!holds)
        abort();
}

/* rows of `cols` finite numbers, each row padded with zeros. */
static void check_matrix(const void *data, int32_t type, int32_t rows, int32_t cols, int32_t padded)
{
    demand(padded >= cols && padded % 16 == 0 && (uintptr_t)data % 64 == 0);
    for (int32_t r = 0; r < rows; r++) {
        for (int32_t c = 0; c < padded; c++) {
            size_t i = (size_t)r * (size_t)padded + (size_t)c;
            float v = type == NUMBER_F32 ? ((const float *)data)[i]
                                         : f32_of_f16(((const uint16_t *)data)[i]);

            demand(isfinite(v) && (c < cols || v == 0));
        }
    }
}

static void check_modules(const struct lora_weights *w)
{
    demand(w->n_modules > 0);
    for (size_t i = 0; i < w->n_modules; i++) {
        const struct lora_module *m = &w->modules[i];

        demand(m->rank >= 1 && m->rank <= w->max_rank && isfinite(m->gain) && isfinite(m->scale));
        demand(lora_weights_find(w, m->tensor) == m);
        check_matrix(m->a, m->type, m->rank, m->n_in, m->padded_in);
        check_matrix(m->bt, m->type, m->rank, m->n_out, m->padded_out);
    }
}

static void check_export(const struct lora_weights *w)
{
    struct buffer out;
    struct gguf_file *again = NULL;

    buffer_init(&out, BUFFER_NO_LIMIT);
    if (lora_export(&out, w, small_model()->architecture, NULL) == INF_OK) {
        demand(gguf_file_from_memory(&again, out.data, out.len, NULL) == INF_OK);
        demand(gguf_file_tensor_count(again) == 2 * w->n_modules);
    }
    gguf_file_close(again);
    buffer_free(&out);
}

void load_adapter(const uint8_t *config, size_t config_len, const uint8_t *weights,
                  size_t weights_len)
{
    struct adapter_source source = {.config = (char *)(uintptr_t)config,
                                    .config_len = config_len,
                                    .weights = (char *)(uintptr_t)weights,
                                    .weights_len = weights_len};
    struct lora_weights *w = NULL;
    inf_adapter_report report = {.struct_size = sizeof report};
    inf_error err = {0};
    int32_t code = adapter_read(&w, &source, small_model(), NULL, &report, &err);

    if (code != INF_OK) {
        demand(err.code == code && err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
        return;
    }
    check_modules(w);
    check_export(w);
    lora_weights_free(w);
}
