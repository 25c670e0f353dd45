/*
 * fake_backend: see the header. One thread and one lock a provider; an operation stands in one of
 * two lists, `held` or `queue`, and whoever takes it out finishes it.
 */
#include "fake_backend.h"

#include "core/memory.h"
#include "core/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct answer {
    inf_op *op;
    const struct adapter *pin;
    struct answer *next;
};

struct fake {
    inf_context *context;
    struct registry *adapters;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct fake_plan plan;
    struct answer *held, *queue; /* the oldest first */
    bool stop;
    bool model_loaded;
    int64_t requests;
};

static _Atomic int64_t alive;
static _Atomic int64_t in_flight;

int64_t fake_alive(void)
{
    return atomic_load(&alive);
}

int64_t fake_in_flight(void)
{
    return atomic_load(&in_flight);
}

static void sleep_us(int32_t us)
{
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};

    if (us > 0)
        nanosleep(&t, NULL);
}

void nap(void)
{
    sleep_us(1000);
}

/* ------------------------------------------------------------------ lists; the lock is held */

static void append(struct answer **list, struct answer *answer)
{
    while (*list)
        list = &(*list)->next;
    *list = answer;
}

/* The answer of op, NULL: the first one; NULL where there is none. */
static struct answer *take(struct answer **list, const inf_op *op)
{
    struct answer *answer = NULL;

    while (op && *list && (*list)->op != op)
        list = &(*list)->next;
    answer = *list;
    if (answer)
        *list = answer->next;
    return answer;
}

/* ------------------------------------------------------------------ finishing */

static void answer_free(struct fake *f, struct answer *answer)
{
    registry_unpin(f->adapters, answer->pin);
    mem_free(answer);
}

static void count_finished(struct fake *f)
{
    pthread_mutex_lock(&f->lock);
    f->requests++;
    pthread_mutex_unlock(&f->lock);
    atomic_fetch_sub(&in_flight, 1);
}

static int32_t fill_output(inf_op *op, const struct adapter *pin, inf_error *err)
{
    struct op_output *out = op_output(op);

    out->model = mem_strdup("fake");
    out->finish_reason = mem_strdup("stop");
    out->adapter_id = pin ? mem_strdup(pin->id) : NULL;
    out->adapter_generation = pin ? pin->generation : 0;
    out->finish = INF_FINISH_STOP;
    out->prompt_tokens = 1;
    if (!out->model || !out->finish_reason || (pin && !out->adapter_id))
        return error_no_memory(err);
    return INF_OK;
}

/* Emits what the plan says, with an eye on the stop code, and ends the operation. */
static void run(struct fake *f, struct answer *answer, const struct fake_plan *plan)
{
    inf_op *op = answer->op;
    inf_error err = {0};
    size_t len = plan->piece ? strlen(plan->piece) : 0;
    int32_t code = op_stop_error(op, &err);
    int32_t done = 0;

    while (code == INF_OK && done < plan->n_pieces) {
        sleep_us(plan->pause_us);
        code = op_stop_error(op, &err);
        if (code == INF_OK)
            code = op_emit(op, plan->piece, len, ++done, &err);
    }
    op_output(op)->completion_tokens = done;
    if (code == INF_OK)
        code = fill_output(op, answer->pin, &err);
    if (code == INF_OK && plan->code != INF_OK)
        error_set(&err, plan->code, "the plan says so");
    answer_free(f, answer);
    count_finished(f);
    op_finish(op, &err);
}

static void *fake_thread(void *arg)
{
    struct fake *f = arg;

    pthread_mutex_lock(&f->lock);
    for (;;) {
        struct answer *answer = take(&f->queue, NULL);
        struct fake_plan plan = f->plan;

        if (answer) {
            pthread_mutex_unlock(&f->lock);
            run(f, answer, &plan);
            pthread_mutex_lock(&f->lock);
        } else if (f->stop) {
            break;
        } else {
            pthread_cond_wait(&f->changed, &f->lock);
        }
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* ------------------------------------------------------------------ generate */

static void cancel_held(void *owner, inf_op *op)
{
    struct fake *f = owner;
    struct answer *answer = NULL;

    pthread_mutex_lock(&f->lock);
    answer = take(&f->held, op);
    pthread_mutex_unlock(&f->lock);
    if (!answer)
        return;
    answer_free(f, answer);
    count_finished(f);
    op_finish_later(op);
}

inf_op *fake_take(inf_provider *p)
{
    struct fake *f = p->impl;
    inf_op *op = NULL;
    struct answer *answer = NULL;

    pthread_mutex_lock(&f->lock);
    answer = take(&f->held, NULL);
    pthread_mutex_unlock(&f->lock);
    if (answer) {
        op = answer->op;
        answer_free(f, answer);
        count_finished(f);
    }
    return op;
}

static int32_t answer_begin(struct answer **out, struct fake *f, inf_op *op, inf_error *err)
{
    inf_text id = op_request(op)->adapter_id;
    struct answer *answer = mem_calloc(1, sizeof *answer);

    *out = answer;
    if (!answer)
        return error_no_memory(err);
    answer->op = op;
    if (!id.data)
        return INF_OK;
    answer->pin = registry_pin(f->adapters, id.data, id.len);
    if (answer->pin)
        return INF_OK;
    mem_free(answer);
    return error_set(err, INF_ERROR_INVALID_ARGUMENT, "adapter_id: '%.*s' is not loaded",
                     (int)id.len, id.data);
}

static int32_t fake_generate(void *impl, inf_op *op, inf_error *err)
{
    struct fake *f = impl;
    struct fake_plan plan;
    struct answer *answer = NULL;
    bool held = false;
    int32_t code = INF_OK;

    pthread_mutex_lock(&f->lock);
    plan = f->plan;
    pthread_mutex_unlock(&f->lock);
    held = plan.how == FAKE_HOLD || plan.how == FAKE_WAIT;
    if (plan.how == FAKE_REFUSE)
        return error_set(err, plan.code, "the plan refuses");
    code = answer_begin(&answer, f, op, err);
    if (code != INF_OK)
        return code;
    atomic_fetch_add(&in_flight, 1);
    if (plan.how != FAKE_WAIT)
        op_begin_work(op);
    if (plan.how == FAKE_NOW) {
        run(f, answer, &plan);
        return INF_OK;
    }
    /* A held operation may be finished, and gone, as soon as the lock is given back. */
    op_ref(op);
    pthread_mutex_lock(&f->lock);
    append(held ? &f->held : &f->queue, answer);
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    if (held)
        op_set_canceller(op, cancel_held, f);
    op_unref(op);
    return INF_OK;
}

void fake_plan(inf_provider *p, struct fake_plan plan)
{
    struct fake *f = p->impl;

    pthread_mutex_lock(&f->lock);
    f->plan = plan;
    pthread_mutex_unlock(&f->lock);
}

/* ------------------------------------------------------------------ the model and adapters */

static int32_t fake_load(void *impl, inf_op *op, inf_error *err)
{
    struct fake *f = impl;

    (void)err;
    op_progress(op, 0.5f);
    op_progress(op, 1.0f);
    pthread_mutex_lock(&f->lock);
    f->model_loaded = true;
    pthread_mutex_unlock(&f->lock);
    op_finish(op, NULL);
    return INF_OK;
}

static int32_t fake_unload(void *impl, inf_op *op, inf_error *err)
{
    struct fake *f = impl;

    (void)err;
    pthread_mutex_lock(&f->lock);
    f->model_loaded = false;
    pthread_mutex_unlock(&f->lock);
    op_finish(op, NULL);
    return INF_OK;
}

struct loading {
    struct job job;
    struct fake *fake;
    inf_op *op;
    char *id;
    struct adapter_source source;
};

static void loading_free(struct loading *l)
{
    if (!l)
        return;
    adapter_source_free(&l->source);
    mem_free(l->id);
    mem_free(l);
}

static int32_t put_adapter(struct loading *l, inf_error *err)
{
    struct op_output *out = op_output(l->op);
    char *payload = mem_strdup(l->source.path ? l->source.path : "memory");
    int32_t code = INF_OK;

    out->report_id = mem_strdup(l->id);
    if (!payload || !out->report_id)
        code = error_no_memory(err);
    else if (l->source.path && strcmp(l->source.path, "missing") == 0)
        code = error_set(err, INF_ERROR_IO, "cannot read missing");
    else
        code = registry_put(l->fake->adapters, l->id, payload,
                            l->source.path ? strlen(l->source.path) : l->source.weights.len,
                            &out->report, &out->report_evicted, err);
    if (code != INF_OK)
        mem_free(payload);
    return code;
}

static void run_loading(struct job *job)
{
    struct loading *l = (struct loading *)(void *)job;
    inf_op *op = l->op;
    inf_error err = {0};

    if (op_stop_error(op, &err) == INF_OK)
        put_adapter(l, &err);
    loading_free(l);
    op_finish(op, &err);
}

static int32_t fake_adapter_load(void *impl, inf_op *op, const char *id,
                                 const struct adapter_source *source, inf_error *err)
{
    struct loading *l = mem_calloc(1, sizeof *l);

    if (l)
        l->id = mem_strdup(id);
    if (!l || !l->id || adapter_source_copy(&l->source, source, NULL) != INF_OK) {
        loading_free(l);
        return error_no_memory(err);
    }
    l->job.run = run_loading;
    l->fake = impl;
    l->op = op;
    context_submit(op_context(op), &l->job);
    return INF_OK;
}

static void unloaded(void *arg)
{
    op_finish(arg, NULL);
}

static int32_t fake_adapter_unload(void *impl, inf_op *op, const char *id, inf_error *err)
{
    struct fake *f = impl;

    return registry_remove(f->adapters, id, unloaded, op, err);
}

static int32_t fake_adapters(void *impl, inf_adapter_list *list, inf_error *err)
{
    struct fake *f = impl;

    return registry_list(f->adapters, list, err);
}

/* ------------------------------------------------------------------ text and numbers */

static int32_t fake_tokenize(void *impl, inf_op *op, inf_text text, bool add_special,
                             inf_error *err)
{
    struct op_output *out = op_output(op);

    (void)impl;
    (void)add_special;
    out->token_ids = mem_calloc(text.len, sizeof *out->token_ids);
    if (!out->token_ids)
        return error_no_memory(err);
    for (size_t i = 0; i < text.len; i++)
        out->token_ids[i] = (unsigned char)text.data[i];
    out->n_token_ids = text.len;
    op_finish(op, NULL);
    return INF_OK;
}

static int32_t fake_detokenize(void *impl, inf_op *op, const int32_t *ids, size_t n,
                               bool skip_special, inf_error *err)
{
    struct buffer *text = &op_output(op)->text;

    (void)impl;
    (void)skip_special;
    for (size_t i = 0; i < n; i++)
        if (!buffer_append(text, &(char){(char)ids[i]}, 1))
            return error_no_memory(err);
    op_finish(op, NULL);
    return INF_OK;
}

static int32_t fake_render(void *impl, inf_op *op, inf_text messages_json,
                           bool add_generation_prompt, inf_error *err)
{
    (void)impl;
    (void)add_generation_prompt;
    if (!buffer_append(&op_output(op)->text, messages_json.data, messages_json.len))
        return error_no_memory(err);
    op_finish(op, NULL);
    return INF_OK;
}

static int32_t fake_logits(void *impl, inf_op *op, const inf_logits_request *request,
                           inf_error *err)
{
    struct op_output *out = op_output(op);

    (void)impl;
    out->all = mem_calloc(4, sizeof *out->all);
    out->probe = mem_calloc(request->n_probe, sizeof *out->probe);
    if (!out->all || !out->probe)
        return error_no_memory(err);
    out->n_all = 4;
    for (size_t i = 0; i < request->n_probe; i++)
        out->probe[i] = (float)request->probe[i];
    out->n_probe = request->n_probe;
    op_finish(op, NULL);
    return INF_OK;
}

static void fake_stats(void *impl, inf_provider_stats *stats)
{
    struct fake *f = impl;

    registry_count(f->adapters, &stats->adapters, &stats->pins, &stats->adapter_bytes);
    pthread_mutex_lock(&f->lock);
    stats->requests = f->requests;
    stats->model_loaded = f->model_loaded;
    pthread_mutex_unlock(&f->lock);
}

/* ------------------------------------------------------------------ life */

static int32_t fake_create(void **impl, inf_context *ctx, const inf_provider_config *config,
                           inf_error *err)
{
    struct registry_limits limits = {config->max_adapters, config->max_adapter_bytes,
                                     config->adapter_overflow == INF_ADAPTER_OVERFLOW_EVICT};
    struct fake *f = mem_calloc(1, sizeof *f);

    if (!f)
        return error_no_memory(err);
    f->context = ctx;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    if (registry_create(&f->adapters, &limits, mem_free, err) != INF_OK ||
        thread_start(&f->thread, "fake", fake_thread, f) != 0) {
        registry_free(f->adapters);
        pthread_cond_destroy(&f->changed);
        pthread_mutex_destroy(&f->lock);
        mem_free(f);
        return error_no_memory(err);
    }
    atomic_fetch_add(&alive, 1);
    *impl = f;
    return INF_OK;
}

static void fake_destroy(void *impl)
{
    struct fake *f = impl;

    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    registry_free(f->adapters);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
    atomic_fetch_sub(&alive, 1);
}

/* All it knows are adapters, and none fits. */
static int32_t fake_inspect(struct buffer *out, const char **adapter, const char *path,
                            inf_error *err)
{
    *adapter = "fake";
    return buffer_printf(out, "{\"path\": \"%s\"}", path) ? INF_OK : error_no_memory(err);
}

static int32_t fake_check_fit(const char *base, const char *adapter, inf_error *misfit,
                              inf_error *err)
{
    (void)adapter;
    (void)err;
    error_set(misfit, INF_ERROR_MISMATCH, "%s", base);
    return INF_OK;
}

const struct provider_ops fake_ops = {.type = INF_PROVIDER_LLAMACPP,
                                      .name = "llamacpp",
                                      .url_variable = "LLAMACPP_MODEL_PATH",
                                      .default_url = "",
                                      .in_process = true,
                                      .create = fake_create,
                                      .destroy = fake_destroy,
                                      .generate = fake_generate,
                                      .load = fake_load,
                                      .unload = fake_unload,
                                      .adapter_load = fake_adapter_load,
                                      .adapter_unload = fake_adapter_unload,
                                      .adapters = fake_adapters,
                                      .tokenize = fake_tokenize,
                                      .detokenize = fake_detokenize,
                                      .render = fake_render,
                                      .logits = fake_logits,
                                      .stats = fake_stats,
                                      .inspect = fake_inspect,
                                      .check_fit = fake_check_fit};

const struct provider_ops fake_server_ops = {.type = INF_PROVIDER_VLLM,
                                             .name = "vllm",
                                             .url_variable = "VLLM_BASE_URL",
                                             .default_url = "http://localhost:8100/v1",
                                             .create = fake_create,
                                             .destroy = fake_destroy,
                                             .generate = fake_generate};

/* ------------------------------------------------------------------ what tests start with */

inf_context *open_context(int32_t delivery)
{
    inf_context_options options;
    inf_context *ctx = NULL;

    inf_context_options_default(&options, sizeof options);
    options.delivery = delivery;
    assert_int_equal(inf_context_create(&ctx, &options, NULL), INF_OK);
    return ctx;
}

inf_provider *open_fake(inf_context *ctx, const struct provider_ops *ops)
{
    inf_provider_config config;
    inf_provider *p = NULL;

    inf_provider_config_default(&config, sizeof config);
    config.type = ops->type;
    config.base_url = "fake";
    assert_int_equal(provider_create_with_ops(&p, ctx, ops, &config, NULL), INF_OK);
    return p;
}

void close_all(inf_context *ctx, inf_provider *p)
{
    inf_provider_release(p);
    assert_int_equal(inf_context_close(ctx, NULL), INF_OK);
}

inf_request fake_request(const char *prompt)
{
    inf_request request;

    inf_request_default(&request, sizeof request);
    request.prompt = inf_str(prompt);
    return request;
}

inf_op *start(inf_provider *p, const inf_callbacks *callbacks)
{
    inf_request request = fake_request("hello");
    inf_op *op = NULL;

    assert_int_equal(inf_generate_start(&op, p, &request, callbacks, NULL), INF_OK);
    return op;
}

void finish(inf_op *op, int32_t code)
{
    inf_error err = {0};

    if (code != INF_OK)
        error_set(&err, code, "the test says so");
    op_finish(op, &err);
}

/* ------------------------------------------------------------------ the recorder */

static void record_one(struct record *r, _Atomic int32_t *count)
{
    if (atomic_load(&r->n_done))
        atomic_fetch_add(&r->n_after_done, 1);
    atomic_fetch_add(count, 1);
    sleep_us(r->slow_us);
    while (atomic_load(&r->gate))
        nap();
}

static void record_token(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    struct record *r = user_data;

    (void)op;
    record_one(r, &r->n_tokens);
    buffer_append(&r->text, chunk->text.data, chunk->text.len);
    buffer_append(&r->reasoning, chunk->reasoning.data, chunk->reasoning.len);
    r->chunk_tokens = chunk->n_tokens;
}

static void record_progress(void *user_data, inf_op *op, float fraction)
{
    struct record *r = user_data;

    (void)op;
    r->rising = r->rising && fraction > r->fraction;
    r->fraction = fraction;
    record_one(r, &r->n_progress);
}

static void record_done(void *user_data, inf_op *op)
{
    struct record *r = user_data;

    record_one(r, &r->n_done);
    atomic_store(&r->code, inf_op_error(op, NULL));
    if (r->in_done)
        r->in_done(r, op);
    atomic_store(&r->done_returned, true);
}

void record_init(struct record *r)
{
    memset(r, 0, sizeof *r);
    r->fraction = -1;
    r->rising = true;
    buffer_init(&r->text, BUFFER_NO_LIMIT);
    buffer_init(&r->reasoning, BUFFER_NO_LIMIT);
}

void record_free(struct record *r)
{
    buffer_free(&r->text);
    buffer_free(&r->reasoning);
}

inf_callbacks record_callbacks(struct record *r)
{
    inf_callbacks c;

    inf_callbacks_default(&c, sizeof c);
    c.on_token = record_token;
    c.on_progress = record_progress;
    c.on_done = record_done;
    c.user_data = r;
    return c;
}
