/*
 * instance: see the header.
 */
#include "llamacpp/instance.h"

#include "core/context.h"
#include "core/memory.h"
#include "engine/guard.h"
#include "engine/llama_tokenizer.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ loading */

/* Distinct core ids of the CPUs this process may run on; hyper-threads share one. */
int32_t default_thread_count(void)
{
    cpu_set_t allowed;
    int32_t seen[CPU_SETSIZE];
    int32_t n = 0;

    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        char path[96];
        int first = cpu;
        int32_t k = 0;
        char line[64];
        FILE *f = NULL;

        if (!CPU_ISSET((size_t)cpu, &allowed))
            continue;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
                 cpu);
        f = fopen(path, "re");
        if (f) {
            if (fgets(line, sizeof line, f)) /* "0-1", "0,32" */
                first = (int)strtol(line, NULL, 10);
            fclose(f);
        }
        while (k < n && seen[k] != first)
            k++;
        if (k == n)
            seen[n++] = first;
    }
    return n > 0 ? n : 1;
}

static bool on_progress(float progress, void *user_data)
{
    inf_op *op = user_data;

    if (op_kind(op) == OP_MODEL_LOAD || op_kind(op) == OP_GENERATE)
        op_progress(op, progress);
    return op_stop_code(op) == INF_OK;
}

static int32_t load_weights(struct instance *i, const struct instance_options *o, inf_error *err)
{
    struct llama_model_params p = llama_model_default_params();

    p.n_gpu_layers = o->config->n_gpu_layers;
    p.vocab_only = o->vocabulary_only;
    p.progress_callback = on_progress;
    p.progress_callback_user_data = o->op;
    i->model = guard_load_model(o->path, p, err);
    if (i->model) {
        llama_tokenizer_describe(i->model, &i->tokenizer);
        return INF_OK;
    }
    if (op_stop_code(o->op) != INF_OK)
        return op_stop_error(o->op, err);
    return INF_ERROR_BACKEND;
}

/* How many windows the KV budget holds, at most max_sequences. */
static int32_t count_slots(struct instance *i, const struct instance_options *o, inf_error *err)
{
    int32_t tokens = gguf_model_window(o->base, o->config->n_ctx);
    uint64_t window = (uint64_t)llama_engine_token_bytes(o->base) *
                      (uint64_t)((tokens + 255) / 256 * 256);
    uint64_t n = o->config->kv_budget_bytes / (window ? window : 1);

    if (n == 0)
        return error_set_detail(err, INF_ERROR_LIMIT, (int64_t)window,
                                "one window of %d tokens takes %llu MiB of KV cache and the budget "
                                "is %llu MiB; lower n_ctx or raise kv_budget_bytes",
                                tokens, (unsigned long long)(window >> 20),
                                (unsigned long long)(o->config->kv_budget_bytes >> 20));
    i->n_slots = n < (uint64_t)o->config->max_sequences ? (int32_t)n : o->config->max_sequences;
    return INF_OK;
}

static int32_t start_engine(struct instance *i, const struct instance_options *o, inf_error *err)
{
    struct llama_engine_options options = {
        .log = i->context,
        .model = i->model,
        .base = o->base,
        .n_threads = i->n_threads,
        .max_context = gguf_model_window(o->base, o->config->n_ctx),
        .flash_attention = o->config->flash_attention,
        .native_adapters = o->native_adapters,
        .kv_bytes = o->kv_bytes};
    struct engine engine;
    int32_t code = count_slots(i, o, err);

    if (code != INF_OK)
        return code;
    options.max_slots = i->n_slots;
    code = llama_engine_create(&i->engine, &options, err);
    if (code != INF_OK)
        return code;
    llama_engine_describe(i->engine, &engine);
    return scheduler_create(&i->scheduler, &engine, o->config->prefill_chunk, err);
}

static void free_parts(struct instance *i, struct scheduler_stats *final)
{
    scheduler_drain_and_free(i->scheduler, final);
    llama_engine_free(i->engine);
    if (i->model)
        llama_model_free(i->model);
    token_texts_free(i->texts);
    pthread_mutex_destroy(&i->texts_lock);
    mem_free(i);
}

int32_t instance_load(struct instance **out, inf_context *context,
                      const struct instance_options *options, inf_error *err)
{
    struct instance *i = mem_calloc(1, sizeof *i);
    int32_t code = INF_OK;

    *out = NULL;
    if (!i)
        return error_no_memory(err);
    i->context = context;
    i->n_threads = options->config->n_threads > 0 ? options->config->n_threads
                                                  : default_thread_count();
    atomic_init(&i->refs, 1);
    pthread_mutex_init(&i->texts_lock, NULL);
    guard_start();
    guard_log_to(context);
    code = load_weights(i, options, err);
    if (code == INF_OK && !options->vocabulary_only)
        code = start_engine(i, options, err);
    guard_log_to(NULL);
    if (code != INF_OK) {
        free_parts(i, NULL);
        return code;
    }
    i->freed = options->freed;
    i->freed_arg = options->freed_arg;
    *out = i;
    return INF_OK;
}

/* ------------------------------------------------------------------ references */

struct instance *instance_ref(struct instance *i)
{
    atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
    return i;
}

static void *tear_down(void *arg)
{
    struct instance *i = arg;
    void (*freed)(void *, const struct scheduler_stats *) = i->freed;
    void *freed_arg = i->freed_arg;
    inf_op *unload = i->unload;
    struct scheduler_stats final = {0};

    free_parts(i, &final);
    freed(freed_arg, &final); /* the unload still keeps the provider alive */
    if (unload)
        op_finish(unload, NULL);
    return NULL;
}

void instance_unref(struct instance *i)
{
    pthread_t thread;

    if (!i || atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (thread_start(&thread, "inf-unload", tear_down, i) == 0)
        pthread_detach(thread);
    else
        tear_down(i);
}

const struct token_texts *instance_token_texts(struct instance *i)
{
    const struct token_texts *texts = NULL;

    pthread_mutex_lock(&i->texts_lock);
    if (!i->texts)
        i->texts = token_texts_create(&i->tokenizer);
    texts = i->texts;
    pthread_mutex_unlock(&i->texts_lock);
    return texts;
}
