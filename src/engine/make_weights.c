/*
 * make_weights: see the header.
 *
 * Work is cut into pieces of some rows, which all threads take.
 */
#include "engine/make_weights.h"

#include "core/growing.h"
#include "core/min_max.h"
#include "core/parallel.h"

#include <ggml-cpu.h>
#include <stdatomic.h>

#define PIECE_BYTES ((size_t)1 << 20) /* of f32 */

struct piece {
    size_t tensor;
    int64_t first, n; /* rows */
};

struct making {
    const struct model_weights *weights;
    const struct mapped_options *options;
    void **places;
    struct piece *pieces;
    size_t n_pieces;
    _Atomic size_t done;
};

/* ------------------------------------------------------------------ sizes */

static size_t aligned(size_t n)
{
    return (n + MADE_ALIGNMENT - 1) / MADE_ALIGNMENT * MADE_ALIGNMENT;
}

size_t make_weights_size(const struct model_weights *w)
{
    size_t n = 0;

    for (size_t i = 0; i < gguf_file_tensor_count(w->file); i++)
        if (!w->ready(w->impl, i))
            n += aligned(gguf_file_tensor(w->file, i)->size);
    return n;
}

static int64_t rows_of(const struct gguf_tensor *t)
{
    return t->ne[1] * t->ne[2] * t->ne[3];
}

/* Rows that a piece of the tensor has. */
static int64_t rows_a_piece(const struct gguf_tensor *t)
{
    return max_i64((int64_t)(PIECE_BYTES / ((size_t)t->ne[0] * sizeof(float))), 1);
}

/* ------------------------------------------------------------------ one piece */

static bool is_plain(int32_t type)
{
    return type == GGML_TYPE_F32 || type == GGML_TYPE_F16 || type == GGML_TYPE_BF16;
}

/* Rows as f32, then blocks of them. ggml-cpu's own conversion where it has one: it is faster. */
static int32_t quantise(const struct making *m, const struct piece *p, const struct gguf_tensor *t,
                        char *out, inf_error *err)
{
    enum ggml_type type = (enum ggml_type)t->type;
    ggml_from_float_t from_float = ggml_get_type_traits_cpu(type)->from_float;
    size_t row_size = ggml_row_size(type, t->ne[0]);
    float *rows = mem_alloc((size_t)(p->n * t->ne[0]) * sizeof *rows);
    int32_t code = INF_OK;

    if (!rows)
        return error_no_memory(err);
    code = m->weights->rows(m->weights->impl, p->tensor, p->first, p->n, GGML_TYPE_F32, rows, err);
    for (int64_t i = 0; code == INF_OK && i < p->n; i++)
        from_float(rows + i * t->ne[0], out + (size_t)i * row_size, t->ne[0]);
    mem_free(rows);
    return code;
}

/* With an eye on the operation. */
static int32_t make_piece(void *owner, size_t i, inf_error *err)
{
    struct making *m = owner;
    const struct piece *p = &m->pieces[i];
    const struct gguf_tensor *t = gguf_file_tensor(m->weights->file, p->tensor);
    char *out = (char *)m->places[p->tensor] +
                (size_t)p->first * ggml_row_size((enum ggml_type)t->type, t->ne[0]);
    inf_op *op = m->options->op;
    int32_t code = op_stop_error(op, err);

    if (code == INF_OK)
        code = is_plain(t->type) ? m->weights->rows(m->weights->impl, p->tensor, p->first, p->n,
                                                    t->type, out, err)
                                 : quantise(m, p, t, out, err);
    if (code == INF_OK && (op_kind(op) == OP_MODEL_LOAD || op_kind(op) == OP_GENERATE))
        op_progress(op, (float)atomic_fetch_add(&m->done, 1) / (float)m->n_pieces);
    return code;
}

/* ------------------------------------------------------------------ all of them */

static bool cut(struct making *m)
{
    size_t capacity = 0;

    for (size_t i = 0; i < gguf_file_tensor_count(m->weights->file); i++) {
        const struct gguf_tensor *t = gguf_file_tensor(m->weights->file, i);
        int64_t rows = m->weights->ready(m->weights->impl, i) ? 0 : rows_of(t);

        for (int64_t first = 0; first < rows; first += rows_a_piece(t)) {
            if (!GROW(m->pieces, capacity, m->n_pieces + 1))
                return false;
            m->pieces[m->n_pieces++] = (struct piece){i, first,
                                                      min_i64(rows - first, rows_a_piece(t))};
        }
    }
    return true;
}

static void place(const struct making *m, char *arena)
{
    for (size_t i = 0; i < gguf_file_tensor_count(m->weights->file); i++) {
        m->places[i] = NULL;
        if (m->weights->ready(m->weights->impl, i))
            continue;
        m->places[i] = arena;
        arena += aligned(gguf_file_tensor(m->weights->file, i)->size);
    }
}

int32_t make_weights(const struct model_weights *w, const struct mapped_options *options,
                     char *arena, void **places, inf_error *err)
{
    struct making m = {.weights = w, .options = options, .places = places};
    int32_t code = INF_OK;

    place(&m, arena);
    code = cut(&m)
               ? parallel_run(m.n_pieces, options->n_threads, "inf-weights", make_piece, &m, err)
               : error_no_memory(err);
    mem_free(m.pieces);
    return code;
}
