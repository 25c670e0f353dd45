/*
 * instance: see the header.
 */
#include "local/instance.h"

#include "core/context.h"
#include "core/cpu_count.h"
#include "core/memory.h"

/* ------------------------------------------------------------------ loading */

/* How many windows the KV budget holds, at most max_sequences. What is left of it is for states. */
static int32_t count_slots(const struct instance_options *o, struct engine_options *engine,
                           inf_error *err)
{
    size_t window = o->facts->window_bytes;
    uint64_t n = o->config->kv_budget_bytes / (window ? window : 1);

    if (n == 0)
        return error_set_detail(
            err, INF_ERROR_LIMIT, (int64_t)window,
            "one window of %d tokens takes %zu MiB of KV cache and the budget is "
            "%llu MiB; lower n_ctx or raise kv_budget_bytes",
            o->facts->window, window >> 20, (unsigned long long)(o->config->kv_budget_bytes >> 20));
    n = n < (uint64_t)o->config->max_sequences ? n : (uint64_t)o->config->max_sequences;
    engine->max_slots = (int32_t)n;
    engine->state_budget = o->config->kv_budget_bytes - n * window;
    return INF_OK;
}

static int32_t make_engine(struct instance *i, const struct engine_options *options,
                           struct engine *out, inf_error *err)
{
    struct engine_options all = *options;
    int32_t n_threads = i->options.config->n_threads;

    all.n_threads = n_threads > 0 ? n_threads : cpu_count();
    return i->options.ops->make_engine(i->options.model, &i->loaded, &all, out, err);
}

int32_t instance_exact_engine(struct instance *i, int32_t n, struct engine *out, inf_error *err)
{
    struct engine_options options = {.max_slots = 1, .max_context = n, .exact = true};

    return make_engine(i, &options, out, err);
}

static int32_t load(struct instance *i, inf_error *err)
{
    const struct instance_options *o = &i->options;
    struct engine_options engine = {.max_context = o->facts->window, .kv_bytes = o->kv_bytes};
    struct scheduler_options scheduler = {.prefill_chunk = o->config->prefill_chunk};
    int32_t code = o->tokenizer_only ? INF_OK : count_slots(o, &engine, err);

    if (code == INF_OK)
        code = o->ops->load(o->model, o->tokenizer_only, o->op, &i->loaded, err);
    if (code == INF_OK && !o->tokenizer_only)
        code = make_engine(i, &engine, &i->engine, err);
    if (code == INF_OK && !o->tokenizer_only)
        code = scheduler_create(&i->scheduler, &i->engine, &scheduler, err);
    if (code == INF_OK && o->ops->ready)
        code = o->ops->ready(&i->loaded, o->op, err);
    return code;
}

static void free_parts(struct instance *i, struct scheduler_stats *final)
{
    scheduler_drain_and_free(i->scheduler, final);
    if (i->engine.impl)
        i->engine.ops->free(i->engine.impl);
    if (i->loaded.impl)
        i->options.ops->unload(i->loaded.impl);
    token_texts_free(i->texts);
    pthread_mutex_destroy(&i->texts_lock);
    mem_free(i);
}

int32_t instance_load(struct instance **out, const struct instance_options *options, inf_error *err)
{
    struct instance *i = mem_calloc(1, sizeof *i);
    int32_t code = INF_OK;

    *out = NULL;
    if (!i)
        return error_no_memory(err);
    atomic_init(&i->refs, 1);
    pthread_mutex_init(&i->texts_lock, NULL);
    i->options = *options;
    code = load(i, err);
    i->options.op = NULL;
    if (code != INF_OK) {
        free_parts(i, NULL);
        return code;
    }
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
    struct instance_options options = i->options;
    inf_op *unload = i->unload;
    struct scheduler_stats final = {0};

    free_parts(i, &final);
    mem_give_back();
    options.freed(options.freed_arg, &final); /* the unload still keeps the provider alive */
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
        i->texts = token_texts_create(&i->loaded.tokenizer);
    texts = i->texts;
    pthread_mutex_unlock(&i->texts_lock);
    return texts;
}
