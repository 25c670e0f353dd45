/*
 * llama_engine: see the header.
 */
#include "engine/llama_engine.h"

#include "core/clock.h"
#include "core/memory.h"
#include "engine/cpu_operators.h"
#include "engine/guard.h"
#include "engine/lora_operator.h"
#include "engine/native_adapters.h"
#include "engine/probe.h"
#include "engine/row_operators.h"
#include "engine/thread_choice.h"

#include <ggml-cpu.h>
#include <llama_edits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_UBATCH 512
/* What a context takes beside its KV cache and its graphs' tensors, about. */
#define CONTEXT_BYTES ((size_t)32 << 20)

struct llama_engine {
    struct llama_engine_source source;
    struct engine_options options;
    struct llama_context *context; /* NULL until the first reserve */
    ggml_threadpool_t pool;
    int32_t n_threads;               /* of the pool's, that compute */
    struct thread_choice choices[2]; /* of steps that decode, of those that prefill */
    struct lora_operator *operators; /* shared decode, else NULL */
    struct native_adapters *native;  /* native decode, else NULL */
    struct cpu_operators *place;     /* native decode: the kernels of what the CPU computes */
    int32_t n_slots, n_context;
    int32_t n_vocab;
    struct llama_batch batch; /* MAX_UBATCH tokens */
    struct buffer state[2];   /* for moving a slot's content */
    size_t kept_bytes;        /* of states that were saved */
    int32_t
        *logits_index; /* (max_slots) row of the call -> index of its first logits: in the batch,
                               * or, native, in `logits` */
    float *logits;     /* (logits_capacity, n_vocab): native decode, where calls overwrite */
    size_t logits_capacity;
};

/* ------------------------------------------------------------------ context */

static size_t token_bytes(const struct gguf_model *base)
{
    return (size_t)base->n_kv_layer * 2 * (size_t)base->n_head_kv * (size_t)base->head_dim * 2;
}

/* llama.cpp rounds a window to so many cells. */
static size_t round_up(int32_t n_context)
{
    return ((size_t)n_context + 255) / 256 * 256;
}

size_t llama_engine_window_bytes(const struct gguf_model *base, int32_t n, bool float_cache)
{
    return token_bytes(base) * (float_cache ? 2 : 1) * round_up(n) + base->state_bytes;
}

static bool has_float_cache(const struct llama_engine *e)
{
    return e->options.exact || e->source.float_cache;
}

static size_t kv_size(const struct llama_engine *e, int32_t n_slots, int32_t n_context)
{
    return (token_bytes(e->source.base) * (has_float_cache(e) ? 2 : 1) * (size_t)n_context +
            e->source.base->state_bytes) *
           (size_t)n_slots;
}

static enum llama_flash_attn_type flash_attention(const struct llama_engine *e)
{
    bool keeps_floats = row_operators_attend(e->source.base->head_dim);

    if (e->options.exact || e->source.flash_attention == INF_FLASH_ATTENTION_OFF)
        return LLAMA_FLASH_ATTN_TYPE_DISABLED;
    if (e->source.flash_attention == INF_FLASH_ATTENTION_ON)
        return LLAMA_FLASH_ATTN_TYPE_ENABLED;
    return e->source.float_cache && !e->source.on_device && !keeps_floats
               ? LLAMA_FLASH_ATTN_TYPE_DISABLED
               : LLAMA_FLASH_ATTN_TYPE_AUTO;
}

static bool has_flash_attention(const struct llama_engine *e)
{
    return flash_attention(e) != LLAMA_FLASH_ATTN_TYPE_DISABLED;
}

/* What ggml's scheduler takes for the tensors of graphs, without a look at whether it got it: for as many
 * splits as a graph may have nodes, each with 30 inputs twice. llama.cpp counts the nodes like this. */
static size_t graph_bytes(const struct gguf_model *base)
{
    size_t tensors = gguf_file_tensor_count(base->file);
    size_t nodes = tensors * (base->state_bytes ? 32 : 8);
    size_t least = base->state_bytes ? (size_t)MAX_UBATCH * 40 : 1024;

    return (nodes > least ? nodes : least) * 60 * ggml_tensor_overhead();
}

static struct llama_context *new_context(struct llama_engine *e, int32_t n_slots, int32_t n_context,
                                         inf_error *err)
{
    struct llama_context_params p = llama_context_default_params();
    struct llama_context *context = NULL;

    /* llama.cpp rounds up itself, with a warning for each context. */
    p.n_ctx = (uint32_t)((size_t)n_slots * round_up(n_context));
    p.n_batch = p.n_ubatch = MAX_UBATCH;
    p.n_seq_max = (uint32_t)n_slots;
    p.n_threads = p.n_threads_batch = e->n_threads;
    p.kv_unified = false;
    p.swa_full = true; /* prefixes may be cut anywhere */
    p.no_perf = true;
    p.flash_attn_type = flash_attention(e);
    if (has_float_cache(e))
        p.type_k = p.type_v = GGML_TYPE_F32;
    if (probe_memory(kv_size(e, n_slots, n_context) + graph_bytes(e->source.base) + CONTEXT_BYTES,
                     err) != INF_OK)
        return NULL;
    context = guard_new_context(e->source.model, p, err);
    if (context)
        llama_attach_threadpool(context, e->pool, NULL);
    return context;
}

/* flags: all of what a slot holds, or what cannot be cut alone. */
static bool get_state(struct llama_context *context, int32_t slot, llama_state_seq_flags flags,
                      struct buffer *out)
{
    size_t size = guard_state_size(context, slot, flags);

    buffer_clear(out);
    if (!buffer_reserve(out, size))
        return false;
    out->len = guard_get_state(context, out->data, size, slot, flags);
    return out->len > 0;
}

static void empty(struct llama_context *context, int32_t slot)
{
    llama_memory_seq_rm(llama_get_memory(context), slot, -1, -1);
}

static bool holds_nothing(struct llama_context *context, int32_t slot)
{
    return llama_memory_seq_pos_max(llama_get_memory(context), slot) < 0;
}

/* An empty state stands for an empty slot. */
static bool set_state(struct llama_context *context, int32_t slot, const struct buffer *state)
{
    empty(context, slot);
    return state->len == 0 || guard_set_state(context, state->data, state->len, slot, 0) > 0;
}

static bool take_state(struct llama_context *context, int32_t slot, struct buffer *state)
{
    buffer_clear(state);
    return holds_nothing(context, slot) || get_state(context, slot, 0, state);
}

static int32_t cannot(inf_error *err, const char *what)
{
    return guard_out_of_memory()
               ? error_no_memory(err)
               : error_set(err, INF_ERROR_BACKEND, "llama.cpp cannot %s the KV cache", what);
}

static bool move_slots(struct llama_engine *e, struct llama_context *to)
{
    for (int32_t i = 0; e->context && i < e->n_slots; i++)
        if (!take_state(e->context, i, &e->state[0]) || !set_state(to, i, &e->state[0]))
            return false;
    return true;
}

static void tell_kv_bytes(const struct llama_engine *e)
{
    if (e->options.kv_bytes)
        atomic_store(e->options.kv_bytes,
                     (int64_t)(kv_size(e, e->n_slots, e->n_context) + e->kept_bytes));
}

static int32_t engine_reserve(void *engine, int32_t n_slots, int32_t n_context, inf_error *err)
{
    struct llama_engine *e = engine;
    struct llama_context *context = NULL;

    guard_log_to(e->source.log);
    context = new_context(e, n_slots, n_context, err);
    if (!context)
        return error_prefix(err,
                            "no room for %d x %d tokens (%zu MiB of KV cache; lower n_ctx, "
                            "max_sequences or kv_budget_bytes)",
                            n_slots, n_context, kv_size(e, n_slots, n_context) >> 20);
    if (!move_slots(e, context)) {
        llama_free(context);
        return cannot(err, "move");
    }
    if (e->native)
        native_adapters_forget_context(e->native);
    if (e->context)
        llama_free(e->context);
    e->context = context;
    e->n_slots = n_slots;
    e->n_context = n_context;
    tell_kv_bytes(e);
    return INF_OK;
}

/* ------------------------------------------------------------------ slots */

/*
 * Whether the token at position n would find what it looks back at. A model with a sliding window
 * (Gemma) may not, with a llama.cpp of one's own that lacks the edit whole_windows: it leaves out of a
 * slot's state what the last token cannot see, so that a slot that was moved or copied holds the last
 * window alone, and may use such a cell again.
 */
static bool sees_all_at(const struct llama_engine *e, int32_t slot, int32_t n)
{
    int32_t window = llama_model_n_swa(e->source.model);
    int32_t first = window > 0 && n + 1 > window ? n + 1 - window : 0;

    return llama_memory_seq_pos_min(llama_get_memory(e->context), slot) <= first;
}

/* A recurrent state is that of one position, the last. */
static bool can_go_on_at(const struct llama_engine *e, int32_t slot, int32_t n)
{
    llama_memory_t memory = llama_get_memory(e->context);

    if (e->source.base->state_bytes)
        return llama_memory_seq_pos_max(memory, slot) + 1 == n;
    return llama_memory_seq_pos_max(memory, slot) + 1 >= n && sees_all_at(e, slot, n);
}

static bool engine_can_take_back(void *engine, int32_t slot)
{
    const struct llama_engine *e = engine;

    return sees_all_at(e, slot, llama_memory_seq_pos_max(llama_get_memory(e->context), slot) + 2);
}

static int32_t engine_truncate(void *engine, int32_t slot, int32_t n)
{
    struct llama_engine *e = engine;

    if (n > 0 && can_go_on_at(e, slot, n) &&
        llama_memory_seq_rm(llama_get_memory(e->context), slot, n, -1))
        return n;
    empty(e->context, slot);
    return 0;
}

static int32_t engine_swap(void *engine, int32_t a, int32_t b, inf_error *err)
{
    struct llama_engine *e = engine;
    bool ok = take_state(e->context, a, &e->state[0]) && take_state(e->context, b, &e->state[1]);

    ok = ok && set_state(e->context, a, &e->state[1]) && set_state(e->context, b, &e->state[0]);
    if (ok)
        return INF_OK;
    empty(e->context, a);
    empty(e->context, b);
    return cannot(err, "move");
}

static int32_t engine_copy(void *engine, int32_t from, int32_t to, inf_error *err)
{
    struct llama_engine *e = engine;

    if (take_state(e->context, from, &e->state[0]) && set_state(e->context, to, &e->state[0]))
        return INF_OK;
    empty(e->context, to);
    return cannot(err, "copy");
}

/*
 * Removing a sequence only forgets where its cells are; a NaN left in one would still turn a later
 * sequence's masked sums NaN, and llama.cpp has no call that wipes one stream. So the context is
 * made anew and what the other slots hold moved over, the same bytes in the same cells.
 */
static int32_t engine_scrub(void *engine, int32_t slot, inf_error *err)
{
    struct llama_engine *e = engine;
    bool alone = true;

    empty(e->context, slot);
    for (int32_t i = 0; i < e->n_slots; i++)
        alone = alone && holds_nothing(e->context, i);
    if (!alone)
        return engine_reserve(e, e->n_slots, e->n_context, err);
    llama_memory_clear(llama_get_memory(e->context), true);
    return INF_OK;
}

/* ------------------------------------------------------------------ states */

struct engine_state {
    struct buffer bytes;
};

static void engine_free_state(void *engine, struct engine_state *state)
{
    struct llama_engine *e = engine;

    e->kept_bytes -= state->bytes.len;
    tell_kv_bytes(e);
    buffer_free(&state->bytes);
    mem_free(state);
}

static struct engine_state *engine_save(void *engine, int32_t slot)
{
    struct llama_engine *e = engine;
    struct engine_state *state = mem_calloc(1, sizeof *state);
    bool ok = false;

    if (!state)
        return NULL;
    buffer_init(&state->bytes, BUFFER_NO_LIMIT);
    ok = get_state(e->context, slot, LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY, &state->bytes);
    e->kept_bytes += state->bytes.len;
    if (!ok) {
        engine_free_state(e, state);
        return NULL;
    }
    tell_kv_bytes(e);
    return state;
}

static int32_t engine_restore(void *engine, int32_t slot, int32_t n,
                              const struct engine_state *state)
{
    struct llama_engine *e = engine;
    llama_memory_t memory = llama_get_memory(e->context);

    if (guard_set_state(e->context, state->bytes.data, state->bytes.len, slot,
                        LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY) > 0 &&
        llama_memory_seq_rm(memory, slot, n, -1) && llama_memory_seq_pos_max(memory, slot) + 1 == n)
        return n;
    empty(e->context, slot);
    return 0;
}

/* ------------------------------------------------------------------ decode */

static void fill_batch(struct llama_engine *e, const struct engine_row *rows, int32_t n_rows,
                       int32_t n_tokens)
{
    struct llama_batch *b = &e->batch;

    b->n_tokens = 0;
    for (int32_t i = 0; i < n_rows; i++) {
        for (int32_t t = 0; t < n_tokens; t++) {
            int32_t k = b->n_tokens++;

            b->token[k] = rows[i].tokens[t];
            b->pos[k] = rows[i].position + t;
            b->n_seq_id[k] = 1;
            b->seq_id[k][0] = rows[i].slot;
            b->logits[k] = t >= rows[i].first_logits && t < rows[i].first_logits + rows[i].n_logits;
        }
    }
}

static int32_t call_decode(struct llama_engine *e, inf_error *err)
{
    int32_t status = guard_decode(e->context, e->batch);

    if (status == 0)
        return INF_OK;
    if (status == GUARD_NO_MEMORY)
        return error_no_memory(err);
    return error_set_detail(err, INF_ERROR_BACKEND, status,
                            status == 1 ? "llama.cpp finds no room in the KV cache"
                                        : "llama.cpp failed to decode (status %d)",
                            status);
}

static int32_t decode_shared(struct llama_engine *e, const struct engine_row *rows, int32_t n_rows,
                             int32_t n_tokens, inf_error *err)
{
    int32_t code = lora_operator_begin(e->operators, rows, n_rows, n_tokens, err);

    if (code != INF_OK)
        return code;
    fill_batch(e, rows, n_rows, n_tokens);
    for (int32_t i = 0; i < n_rows; i++)
        e->logits_index[i] = i * n_tokens + rows[i].first_logits;
    code = call_decode(e, err);
    if (!lora_operator_end(e->operators) && code == INF_OK)
        code = error_set(
            err, INF_ERROR_BACKEND,
            "adapters could not be applied to this model's graph; set adapter_execution "
            "to native");
    return code;
}

/* What the rows of the last call want, a group of a call's rows, each n_tokens long. */
static void keep_logits(struct llama_engine *e, const struct engine_row *rows, int32_t n_rows,
                        int32_t n_tokens, int32_t *kept)
{
    for (int32_t i = 0; i < n_rows; i++)
        for (int32_t k = 0; k < rows[i].n_logits; k++, ++*kept)
            memcpy(e->logits + (size_t)*kept * (size_t)e->n_vocab,
                   llama_get_logits_ith(e->context, i * n_tokens + rows[i].first_logits + k),
                   (size_t)e->n_vocab * sizeof(float));
}

/* Room for what a call's rows want, and where each has it. */
static bool reserve_logits(struct llama_engine *e, const struct engine_row *rows, int32_t n_rows)
{
    size_t n = 0;
    float *logits = NULL;

    for (int32_t i = 0; i < n_rows; i++) {
        e->logits_index[i] = (int32_t)n;
        n += (size_t)rows[i].n_logits;
    }
    if (n <= e->logits_capacity)
        return true;
    logits = mem_realloc(e->logits, n * (size_t)e->n_vocab * sizeof *logits);
    if (!logits)
        return false;
    e->logits = logits;
    e->logits_capacity = n;
    return true;
}

static int32_t decode_native(struct llama_engine *e, const struct engine_row *rows, int32_t n_rows,
                             int32_t n_tokens, inf_error *err)
{
    int32_t code = reserve_logits(e, rows, n_rows) ? INF_OK : error_no_memory(err);
    int32_t kept = 0;
    int32_t n = 0;

    for (int32_t first = 0; first < n_rows && code == INF_OK; first += n) {
        n = 1;
        while (first + n < n_rows &&
               adapter_set_equal(rows[first].adapters, rows[first + n].adapters))
            n++;
        code = native_adapters_use(e->native, e->context, rows[first].adapters, err);
        if (code != INF_OK)
            break;
        fill_batch(e, rows + first, n, n_tokens);
        code = call_decode(e, err);
        if (code == INF_OK)
            keep_logits(e, rows + first, n, n_tokens, &kept);
    }
    return code;
}

static void use_threads(struct llama_engine *e, int32_t n)
{
    if (n == e->n_threads)
        return;
    e->n_threads = n;
    llama_set_n_threads(e->context, n, n);
}

static int64_t cpu_time_us(void)
{
    struct timespec t = {0};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int32_t check_weights(const struct llama_engine *e, inf_error *err)
{
    return e->source.check ? e->source.check(e->source.check_arg, err) : INF_OK;
}

/* A model with a state cannot go back: after a decode that failed its slots are empty, whatever the
 * caller takes them to hold. */
static int32_t check_positions(const struct llama_engine *e, const struct engine_row *rows,
                               int32_t n_rows, inf_error *err)
{
    llama_memory_t memory = llama_get_memory(e->context);

    for (int32_t i = 0; e->source.base->state_bytes && i < n_rows; i++)
        if (llama_memory_seq_pos_max(memory, rows[i].slot) + 1 != rows[i].position)
            return error_set(err, INF_ERROR_BACKEND,
                             "a step before this one failed, and this model cannot go back to what "
                             "was before it; ask again");
    return INF_OK;
}

/* Rows that go on from a token and verify drafts of the next want logits from the first on. */
static bool is_prefill(const struct engine_row *rows, int32_t n_tokens)
{
    return n_tokens > 1 && (rows[0].n_logits == 0 || rows[0].first_logits > 0);
}

static int32_t engine_decode(void *engine, const struct engine_row *rows, int32_t n_rows,
                             int32_t n_tokens, inf_error *err)
{
    struct llama_engine *e = engine;
    struct thread_choice *choice = &e->choices[is_prefill(rows, n_tokens)];
    int64_t cpu = cpu_time_us();
    int64_t begin = clock_us();
    int32_t code = check_weights(e, err);

    if (code == INF_OK)
        code = check_positions(e, rows, n_rows, err);
    if (code != INF_OK)
        return code;
    guard_log_to(e->source.log);
    if (INF_LLAMA_HAS_FIXED_SPLIT) /* else another number would be other results */
        use_threads(e, thread_choice_next(choice, n_rows * n_tokens));
    code = e->native ? decode_native(e, rows, n_rows, n_tokens, err)
                     : decode_shared(e, rows, n_rows, n_tokens, err);
    thread_choice_done(choice, n_rows * n_tokens, clock_us() - begin, cpu_time_us() - cpu);
    if (code == INF_OK)
        code = check_weights(
            e, err); /* nothing is said of what a file was in the middle of its change */
    for (int32_t i = 0; code != INF_OK && i < n_rows; i++)
        engine_truncate(e, rows[i].slot, rows[i].position);
    return code;
}

static const float *engine_logits(void *engine, int32_t row, int32_t i)
{
    struct llama_engine *e = engine;
    int32_t index = e->logits_index[row] + i;

    return e->native ? e->logits + (size_t)index * (size_t)e->n_vocab
                     : llama_get_logits_ith(e->context, index);
}

/* ------------------------------------------------------------------ life */

static int32_t create_adapters(struct llama_engine *e, inf_error *err)
{
    if (!e->source.native_adapters)
        return lora_operator_create(&e->operators, e->source.base->file, e->pool, e->options.exact,
                                    err);
    if (cpu_operators_open(&e->place, e->pool, e->options.exact, NULL, NULL, err) != INF_OK)
        return INF_ERROR_NO_MEMORY;
    e->native = native_adapters_create(e->source.model, e->source.base);
    return e->native ? INF_OK : error_no_memory(err);
}

static void engine_free(void *engine)
{
    struct llama_engine *e = engine;

    if (!e)
        return;
    if (e->context)
        llama_free(e->context);
    native_adapters_free(e->native);
    cpu_operators_close(e->place);
    lora_operator_free(e->operators);
    if (e->pool)
        ggml_threadpool_free(e->pool);
    llama_batch_free(e->batch);
    buffer_free(&e->state[0]);
    buffer_free(&e->state[1]);
    mem_free(e->logits_index);
    mem_free(e->logits);
    if (e->options.kv_bytes)
        atomic_store(e->options.kv_bytes, 0);
    mem_free(e);
}

static const struct engine_ops engine_ops = {.decode = engine_decode,
                                             .logits = engine_logits,
                                             .can_take_back = engine_can_take_back,
                                             .truncate = engine_truncate,
                                             .swap = engine_swap,
                                             .copy = engine_copy,
                                             .scrub = engine_scrub,
                                             .reserve = engine_reserve,
                                             .save = engine_save,
                                             .restore = engine_restore,
                                             .free_state = engine_free_state,
                                             .free = engine_free};

static int32_t start_pool(struct llama_engine *e, inf_error *err)
{
    struct ggml_threadpool_params p = ggml_threadpool_params_default(e->options.n_threads);
    int32_t code = probe_threads(p.n_threads - 1, err);

    if (code != INF_OK)
        return code;
    e->pool = ggml_threadpool_new(&p);
    return e->pool ? INF_OK : error_no_memory(err);
}

/* Whether what a slot holds lies in the same cells wherever it was moved: attention adds cells up in their order. */
static bool keeps_cells(const struct llama_engine *e)
{
    return INF_LLAMA_HAS_WHOLE_WINDOWS || llama_model_n_swa(e->source.model) <= 0 ||
           llama_model_n_swa(e->source.model) >= e->options.max_context;
}

static int32_t init_choices(struct llama_engine *e, inf_error *err)
{
    const char *threads = getenv("INFERENCE_THREADS");
    bool in_turn = threads && strcmp(threads, "changing") == 0;

    if (threads && *threads && !in_turn)
        return error_set(
            err, INF_ERROR_INVALID_ARGUMENT,
            "INFERENCE_THREADS is \"%s\" in the environment: it knows \"changing\" alone, for "
            "tests; n_threads says how many",
            threads);
    for (int32_t i = 0; i < 2; i++) {
        thread_choice_init(&e->choices[i], e->options.n_threads);
        e->choices[i].in_turn = in_turn;
    }
    return INF_OK;
}

int32_t llama_engine_create(struct engine *out, const struct llama_engine_source *source,
                            const struct engine_options *options, inf_error *err)
{
    struct llama_engine *e = mem_calloc(1, sizeof *e);
    size_t state_bytes = source->base->state_bytes;
    uint64_t max_states = state_bytes ? options->state_budget / state_bytes : 0;
    int32_t code = INF_OK;

    if (!e)
        return error_no_memory(err);
    e->source = *source;
    e->options = *options;
    e->n_threads = options->n_threads;
    e->n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(source->model));
    buffer_init(&e->state[0], BUFFER_NO_LIMIT);
    buffer_init(&e->state[1], BUFFER_NO_LIMIT);
    e->batch = llama_batch_init(MAX_UBATCH, 0, 1);
    e->logits_index = mem_calloc((size_t)options->max_slots, sizeof *e->logits_index);
    code = e->logits_index ? init_choices(e, err) : error_no_memory(err);
    if (code == INF_OK)
        code = start_pool(e, err);
    if (code == INF_OK)
        code = create_adapters(e, err);
    if (code != INF_OK) {
        engine_free(e);
        return code;
    }
    *out = (struct engine){
        .ops = &engine_ops,
        .impl = e,
        .limits = {.max_slots = options->max_slots,
                   .row_independent = !source->on_device && !source->native_adapters &&
                                      row_operators_cover(source->base, has_flash_attention(e),
                                                          source->states_independent) &&
                                      keeps_cells(e),
                   .takes_back = state_bytes == 0,
                   .max_context = options->max_context,
                   .max_tokens = MAX_UBATCH,
                   .n_vocab = e->n_vocab,
                   .max_states = max_states > INT32_MAX ? INT32_MAX : (int32_t)max_states}};
    return INF_OK;
}
