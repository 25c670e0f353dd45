/*
 * make_weights: see the header.
 *
 * Work is cut into pieces of some rows; a piece is taken by an atomic counter. The first error is kept
 * under a lock and ends all threads; the calling thread works too, and it alone reports progress.
 */
#include "engine/make_weights.h"

#include "core/context.h"
#include "core/memory.h"

#include <ggml-cpu.h>
#include <pthread.h>
#include <stdatomic.h>

enum { MAX_THREADS = 64 };
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
    _Atomic size_t next, done;
    _Atomic size_t *left; /* (tensors) pieces that are not made yet */
    _Atomic int32_t code;
    pthread_mutex_t lock; /* guards err */
    inf_error err;
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
    int64_t n = (int64_t)(PIECE_BYTES / ((size_t)t->ne[0] * sizeof(float)));

    return n < 1 ? 1 : n;
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

static int32_t make_piece(struct making *m, const struct piece *p, inf_error *err)
{
    const struct gguf_tensor *t = gguf_file_tensor(m->weights->file, p->tensor);
    char *out = (char *)m->places[p->tensor] +
                (size_t)p->first * ggml_row_size((enum ggml_type)t->type, t->ne[0]);
    int32_t code = is_plain(t->type) ? m->weights->rows(m->weights->impl, p->tensor, p->first, p->n,
                                                        t->type, out, err)
                                     : quantise(m, p, t, out, err);

    if (code == INF_OK && atomic_fetch_sub(&m->left[p->tensor], 1) == 1)
        m->weights->made(m->weights->impl, p->tensor);
    return code;
}

/* ------------------------------------------------------------------ threads */

static void keep_error(struct making *m, int32_t code, const inf_error *err)
{
    pthread_mutex_lock(&m->lock);
    if (atomic_load(&m->code) == INF_OK) {
        m->err = *err;
        atomic_store(&m->code, code);
    }
    pthread_mutex_unlock(&m->lock);
}

static void *work(void *arg)
{
    struct making *m = arg;

    for (;;) {
        size_t i = atomic_fetch_add(&m->next, 1);
        inf_error err = {0};
        int32_t code = INF_OK;

        if (i >= m->n_pieces || atomic_load(&m->code) != INF_OK)
            return NULL;
        code = make_piece(m, &m->pieces[i], &err);
        if (code != INF_OK)
            keep_error(m, code, &err);
        atomic_fetch_add(&m->done, 1);
    }
}

/* The calling thread's share, with an eye on the operation. */
static void work_and_report(struct making *m)
{
    inf_op *op = m->options->op;
    bool shown = op_kind(op) == OP_MODEL_LOAD || op_kind(op) == OP_GENERATE;

    while (atomic_load(&m->code) == INF_OK) {
        size_t i = atomic_fetch_add(&m->next, 1);
        inf_error err = {0};
        int32_t code = INF_OK;

        if (i >= m->n_pieces)
            return;
        code = op_stop_code(op) != INF_OK ? op_stop_error(op, &err)
                                          : make_piece(m, &m->pieces[i], &err);
        if (code != INF_OK)
            keep_error(m, code, &err);
        if (shown)
            op_progress(op, (float)atomic_fetch_add(&m->done, 1) / (float)m->n_pieces);
    }
}

static void run(struct making *m)
{
    pthread_t threads[MAX_THREADS];
    int32_t wanted = m->options->n_threads - 1;
    int32_t n = 0;

    wanted = wanted > MAX_THREADS ? MAX_THREADS : wanted;
    while (n < wanted && (size_t)n + 1 < m->n_pieces &&
           thread_start(&threads[n], "inf-weights", work, m) == 0)
        n++;
    work_and_report(m);
    while (n > 0)
        pthread_join(threads[--n], NULL);
}

/* ------------------------------------------------------------------ all of them */

static size_t cut(struct making *m, bool count_only)
{
    size_t n = 0;

    for (size_t i = 0; i < gguf_file_tensor_count(m->weights->file); i++) {
        const struct gguf_tensor *t = gguf_file_tensor(m->weights->file, i);
        int64_t rows = rows_of(t);

        if (m->weights->ready(m->weights->impl, i))
            continue;
        for (int64_t first = 0; first < rows; first += rows_a_piece(t), n++) {
            int64_t left = rows - first;

            if (count_only)
                continue;
            m->pieces[n] = (struct piece){i, first,
                                          left < rows_a_piece(t) ? left : rows_a_piece(t)};
            atomic_fetch_add(&m->left[i], 1);
        }
    }
    return n;
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
    m.n_pieces = cut(&m, true);
    m.pieces = mem_alloc((m.n_pieces ? m.n_pieces : 1) * sizeof *m.pieces);
    m.left = mem_calloc(gguf_file_tensor_count(w->file) + 1, sizeof *m.left);
    if (m.pieces && m.left) {
        pthread_mutex_init(&m.lock, NULL);
        cut(&m, false);
        run(&m);
        pthread_mutex_destroy(&m.lock);
        code = atomic_load(&m.code);
        if (code != INF_OK && err)
            *err = m.err;
    } else {
        code = error_no_memory(err);
    }
    mem_free(m.pieces);
    mem_free((void *)m.left);
    return code;
}
