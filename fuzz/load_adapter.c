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

static void check_vector(const float *v, int32_t n)
{
    for (int32_t i = 0; v && i < n; i++)
        demand(isfinite(v[i]));
}

static void check_whole(const struct lora_module *m)
{
    size_t width = (size_t)(lora_use_of(m->kind) == LORA_LOOKED_UP ? m->n_out : m->n_in);
    size_t rows = m->rows                  ? (size_t)m->n_rows
                  : m->kind == LORA_WHOLE  ? (size_t)m->n_out
                  : m->kind == LORA_VECTOR ? (size_t)m->n_out
                                           : (size_t)m->n_in;

    for (size_t i = 0; i < rows * (m->kind == LORA_VECTOR ? 1 : width); i++)
        demand(isfinite(number_at(m->whole, m->whole_type, i)));
    for (int32_t i = 1; i < m->n_rows; i++)
        demand(m->rows[i - 1] >= 0 && m->rows[i - 1] < m->rows[i]);
}

static void check_module(const struct lora_weights *w, const struct lora_module *m)
{
    int32_t rows = (int32_t)lora_module_width(m);

    demand(m->kind >= LORA_DELTA && m->kind <= LORA_VECTOR);
    if (lora_replaces(m->kind)) {
        check_whole(m);
        return;
    }
    demand(m->rank >= 1 && m->rank <= w->max_rank && (size_t)rows <= w->max_width);
    demand(isfinite(m->gain) && isfinite(m->scale));
    check_matrix(m->a, m->type, rows, m->n_in, m->padded_in);
    check_matrix(m->bt, m->type, rows, m->n_out, m->padded_out);
    check_vector(m->bias, m->n_out);
    check_vector(m->magnitude, m->n_out);
}

static void check_modules(const struct lora_weights *w)
{
    demand(w->n_modules > 0);
    for (size_t i = 0; i < w->n_modules; i++) {
        const struct lora_module *found = lora_weights_find(w, w->modules[i].tensor);

        demand(found && strcmp(found->tensor, w->modules[i].tensor) == 0);
        check_module(w, &w->modules[i]);
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

/* What a start gives. */
static struct adapter_source given(const uint8_t *config, size_t config_len, const uint8_t *weights,
                                   size_t weights_len)
{
    return (struct adapter_source){.config = {(const char *)config, config_len},
                                   .weights = {(const char *)weights, weights_len}};
}

static int32_t read(struct lora_weights **out, struct adapter_source *source)
{
    inf_adapter_report report = {.struct_size = sizeof report};
    inf_error err = {0};
    int32_t code = adapter_read(out, source, small_model(), NULL, &report, &err);

    if (code != INF_OK)
        demand(err.code == code && err.message[0] != '\0' && !strchr(err.message, '\n'));
    return code;
}

/* Borrowed bytes and a copy, which may become the adapter, are the same adapter or the same refusal. */
void load_adapter(const uint8_t *config, size_t config_len, const uint8_t *weights,
                  size_t weights_len)
{
    struct adapter_source borrowed = given(config, config_len, weights, weights_len), copy;
    struct lora_weights *w = NULL, *of_copy = NULL;
    int32_t code = read(&w, &borrowed);

    demand(adapter_source_copy(&copy, &borrowed, NULL) == INF_OK);
    demand(read(&of_copy, &copy) == code);
    adapter_source_free(&copy);
    if (code != INF_OK)
        return;
    check_modules(w);
    check_modules(of_copy);
    check_export(w);
    lora_weights_free(w);
    lora_weights_free(of_copy);
}
