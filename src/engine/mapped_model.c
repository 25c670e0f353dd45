/*
 * mapped_model: see the header.
 *
 * What is pointed to is checked first: llama.cpp's tensor has the name, type and size that the metadata
 * has, else nothing of it is touched and the model is refused. Buffers stand for the memory behind the
 * tensors, since ggml goes by a tensor's buffer, and are freed after the model.
 */
#include "engine/mapped_model.h"

#include "core/memory.h"
#include "engine/guard.h"
#include "engine/make_weights.h"
#include "engine/probe.h"
#include "engine/row_operators.h"

#include <ggml-backend.h>
#include <gguf.h>
#include <llama_edits.h>
#include <string.h>

struct mapped_model {
    struct llama_model *llama;
    char *arena; /* of weights that were made; NULL: none */
    size_t arena_size;
    void **places;                  /* (tensors) in the arena; NULL: ready */
    ggml_backend_buffer_t *buffers; /* (n_maps + 1) of the maps, then of the arena; NULL: unused */
    size_t n_maps;
};

/* ------------------------------------------------------------------ buffers */

static int32_t make_buffer(ggml_backend_buffer_t *out, const void *memory, size_t size,
                           inf_error *err)
{
    *out = ggml_backend_cpu_buffer_from_ptr((void *)(uintptr_t)memory, size);
    if (!*out)
        return error_no_memory(err);
    ggml_backend_buffer_set_usage(*out, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    return INF_OK;
}

static int32_t make_buffers(struct mapped_model *m, const struct model_weights *w, inf_error *err)
{
    int32_t code = INF_OK;

    m->n_maps = w->n_maps;
    m->buffers = mem_calloc(w->n_maps + 1, sizeof(ggml_backend_buffer_t));
    if (!m->buffers)
        return error_no_memory(err);
    for (size_t i = 0; i < w->n_maps && code == INF_OK; i++) {
        size_t size = 0;
        const void *map = w->map(w->impl, i, &size);

        code = make_buffer(&m->buffers[i], map, size, err);
    }
    if (code == INF_OK && m->arena)
        code = make_buffer(&m->buffers[w->n_maps], m->arena, m->arena_size, err);
    return code;
}

static ggml_backend_buffer_t buffer_of(const struct mapped_model *m, const void *data)
{
    for (size_t i = 0; i <= m->n_maps; i++) {
        const char *base = m->buffers[i] ? ggml_backend_buffer_get_base(m->buffers[i]) : NULL;

        if (base && (const char *)data >= base &&
            (const char *)data < base + ggml_backend_buffer_get_size(m->buffers[i]))
            return m->buffers[i];
    }
    return NULL;
}

/* ------------------------------------------------------------------ llama.cpp's tensors */

struct handing_over {
    const struct mapped_model *model;
    const struct model_weights *weights;
    bool *given; /* (tensors) */
    char
        refused[GGML_MAX_NAME]; /* the first tensor that is another than the metadata's; "": none */
};

static bool is_same(const struct ggml_tensor *t, const struct gguf_tensor *own)
{
    bool same = own && t->type == (enum ggml_type)own->type && ggml_nbytes(t) == own->size &&
                ggml_is_contiguous(t);

    for (int32_t d = 0; d < 4 && same; d++)
        same = t->ne[d] == own->ne[d];
    return same;
}

/* In host memory a tensor has no memory of its own (llama_edits.h), elsewhere it is filled. */
static void hand_over(struct ggml_tensor *t, void *user_data)
{
    struct handing_over *h = user_data;
    const struct gguf_tensor *own = gguf_file_find(h->weights->file, t->name);
    size_t index = own ? (size_t)(own - gguf_file_tensor(h->weights->file, 0)) : 0;
    const void *data = NULL;

    if (!is_same(t, own)) {
        if (!h->refused[0])
            memcpy(h->refused, t->name, sizeof h->refused);
        return;
    }
    h->given[index] = true;
    data = h->model->places[index] ? h->model->places[index]
                                   : h->weights->ready(h->weights->impl, index);
    if (!ggml_backend_buffer_is_host(t->buffer)) {
        ggml_backend_tensor_set(t, data, 0, own->size);
        return;
    }
    t->data = (void *)(uintptr_t)data;
    t->buffer = buffer_of(h->model, data);
}

static bool on_progress(float progress, void *user_data)
{
    (void)progress;
    return op_stop_code(user_data) == INF_OK;
}

/* Every weight is part of the graph, or the model would be another. */
static int32_t check_given(const struct handing_over *h, inf_error *err)
{
    if (h->refused[0])
        return error_set(err, INF_ERROR_BACKEND,
                         "llama.cpp wants the tensor %s in another shape or type", h->refused);
    for (size_t i = 0; i < gguf_file_tensor_count(h->weights->file); i++)
        if (!h->given[i])
            return error_set(err, INF_ERROR_BACKEND, "llama.cpp has no use for the tensor %s",
                             gguf_file_tensor(h->weights->file, i)->name);
    return INF_OK;
}

static int32_t load_llama(struct mapped_model *m, struct gguf_context *metadata,
                          struct handing_over *h, const struct mapped_options *o, inf_error *err)
{
    struct llama_model_params p = llama_model_default_params();

    p.n_gpu_layers = o->n_gpu_layers;
    p.no_host = true; /* memory that nothing but a device's copies needs */
    p.progress_callback = on_progress;
    p.progress_callback_user_data = o->op;
    guard_log_to(op_context(o->op));
    m->llama = guard_model_of(metadata, hand_over, h, p, err);
    guard_log_to(NULL);
    if (m->llama)
        return check_given(h, err);
    return op_stop_code(o->op) != INF_OK ? op_stop_error(o->op, err) : INF_ERROR_BACKEND;
}

static int32_t make_llama(struct mapped_model *m, const struct model_weights *w,
                          const struct mapped_options *o, inf_error *err)
{
    struct gguf_init_params init = {.no_alloc = true};
    struct gguf_context *metadata = gguf_init_from_buffer(w->header, w->header_size, init);
    struct handing_over h = {.model = m, .weights = w};
    int32_t code = INF_OK;

    h.given = mem_calloc(gguf_file_tensor_count(w->file) + 1, sizeof *h.given);
    if (!h.given)
        code = error_no_memory(err);
    else if (!metadata)
        code = error_set(err, INF_ERROR_BACKEND, "llama.cpp does not read the model's metadata");
    else
        code = load_llama(m, metadata, &h, o, err);
    mem_free(h.given);
    if (metadata)
        gguf_free(metadata);
    return code;
}

/* ------------------------------------------------------------------ the whole */

static int32_t make(struct mapped_model *m, const struct model_weights *w,
                    const struct mapped_options *o, inf_error *err)
{
    int32_t code = INF_OK;

    m->places = mem_calloc(gguf_file_tensor_count(w->file) + 1, sizeof *m->places);
    m->arena_size = make_weights_size(w);
    if (!m->places)
        return error_no_memory(err);
    if (m->arena_size > 0) {
        code = probe_memory(m->arena_size, err);
        m->arena = code == INF_OK ? mem_aligned(MADE_ALIGNMENT, m->arena_size) : NULL;
        if (!m->arena)
            return error_no_memory(err);
    }
    code = make_weights(w, o, m->arena, m->places, err);
    return code == INF_OK ? make_buffers(m, w, err) : code;
}

bool mapped_model_suits(void)
{
    return INF_LLAMA_HAS_USER_TENSORS && row_operators_compute();
}

int32_t mapped_model_load(struct mapped_model **out, const struct model_weights *weights,
                          const struct mapped_options *options, inf_error *err)
{
    struct mapped_model *m = NULL;
    int32_t code = INF_OK;

    *out = NULL;
    if (!INF_LLAMA_HAS_USER_TENSORS)
        return error_set(
            err, INF_ERROR_UNSUPPORTED,
            "this build's llama.cpp (LLAMA_CPP_DIR) takes no weights from memory; build "
            "with the pinned one");
    m = mem_calloc(1, sizeof *m);
    if (!m)
        return error_no_memory(err);
    guard_start();
    code = make(m, weights, options, err);
    if (code == INF_OK)
        code = make_llama(m, weights, options, err);
    if (code == INF_OK)
        *out = m;
    else
        mapped_model_free(m);
    return code;
}

void mapped_model_free(struct mapped_model *m)
{
    if (!m)
        return;
    if (m->llama)
        llama_model_free(m->llama);
    for (size_t i = 0; m->buffers && i <= m->n_maps; i++)
        if (m->buffers[i])
            ggml_backend_buffer_free(m->buffers[i]);
    mem_free(m->buffers);
    mem_free(m->places);
    mem_free(m->arena);
    mem_free(m);
}

struct llama_model *mapped_model_llama(const struct mapped_model *m)
{
    return m->llama;
}
