/*
 * provider: the llama.cpp provider's life: its configuration, the model's header, loading and
 * unloading. What operations do lies in generate.c, adapters.c, text.c and logits.c.
 */
#include "llamacpp/llamacpp.h"

#include "core/memory.h"
#include "engine/guard.h"
#include "engine/lora_eval.h"
#include "llamacpp/provider_state.h"

#include <errno.h>
#include <ggml-backend.h>
#include <string.h>

/* ------------------------------------------------------------------ the model's header */

static int32_t open_header(struct llamacpp_provider *p, inf_error *err)
{
    struct gguf_file *file = NULL;
    struct gguf_model base = {0};
    struct stat status;
    int32_t code = gguf_file_open(&file, p->path, err);

    if (code != INF_OK)
        return code;
    if (stat(p->path, &status) != 0) {
        code = error_set_errno(err, errno, "read", p->path);
        goto done;
    }
    code = gguf_model_check(&base, file, err);
    if (code != INF_OK)
        goto done;
    pthread_mutex_lock(&p->lock);
    p->file = file;
    p->base = base;
    p->file_status = status;
    pthread_mutex_unlock(&p->lock);
    file = NULL;
done:
    gguf_file_close(file);
    return code;
}

static bool header_is_read(struct llamacpp_provider *p)
{
    bool read = false;

    pthread_mutex_lock(&p->lock);
    read = p->file != NULL;
    pthread_mutex_unlock(&p->lock);
    return read;
}

/* load_lock is held. */
static int32_t read_header(struct llamacpp_provider *p, inf_error *err)
{
    if (header_is_read(p))
        return INF_OK;
    if (p->path[0] == '\0')
        return error_set(
            err, INF_ERROR_INVALID_ARGUMENT,
            "no model is set; set LLAMACPP_MODEL_PATH or give the path of a GGUF file");
    return open_header(p, err);
}

int32_t provider_header(struct llamacpp_provider *p, const struct gguf_model **out, inf_error *err)
{
    int32_t code = INF_OK;

    pthread_mutex_lock(&p->load_lock);
    code = read_header(p, err);
    pthread_mutex_unlock(&p->load_lock);
    if (code == INF_OK)
        *out = &p->base;
    return code;
}

/* ------------------------------------------------------------------ loading */

static void instance_freed(void *arg, const struct scheduler_stats *final)
{
    struct llamacpp_provider *p = arg;

    pthread_mutex_lock(&p->lock);
    p->before.steps += final->steps;
    p->before.shared_steps += final->shared_steps;
    p->before.rows += final->rows;
    p->before.requests += final->requests;
    p->before.prefix_tokens += final->prefix_tokens;
    if (--p->n_instances == 0)
        pthread_cond_broadcast(&p->all_freed);
    pthread_mutex_unlock(&p->lock);
}

/* llama.cpp opens the path anew: it must still be the file whose header was checked. */
static int32_t check_same_file(const struct llamacpp_provider *p, inf_error *err)
{
    const struct stat *before = &p->file_status;
    struct stat now;

    if (stat(p->path, &now) != 0)
        return error_set_errno(err, errno, "read", p->path);
    if (now.st_dev != before->st_dev || now.st_ino != before->st_ino ||
        now.st_size != before->st_size || now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
        return error_set(err, INF_ERROR_STATE,
                         "%s changed since it was first read; evict this provider and get it again",
                         p->path);
    return INF_OK;
}

static struct instance *loaded(struct llamacpp_provider *p, bool vocabulary_is_enough)
{
    struct instance *i = NULL;

    pthread_mutex_lock(&p->lock);
    i = p->instance;
    if (!i && vocabulary_is_enough)
        i = p->vocabulary;
    if (i)
        instance_ref(i);
    pthread_mutex_unlock(&p->lock);
    return i;
}

/* The provider keeps one reference of its own; load_lock is held. */
static void keep_instance(struct llamacpp_provider *p, struct instance *i, bool vocabulary_only)
{
    struct instance *old = NULL;

    pthread_mutex_lock(&p->lock);
    p->n_instances++;
    if (vocabulary_only) {
        p->vocabulary = i;
    } else {
        p->instance = i;
        old = p->vocabulary;
        p->vocabulary = NULL;
    }
    instance_ref(i);
    pthread_mutex_unlock(&p->lock);
    instance_unref(old);
}

/* load_lock is held. */
static int32_t load_instance(struct llamacpp_provider *p, inf_op *op, bool vocabulary_only,
                             struct instance **out, inf_error *err)
{
    struct instance_options options = {.path = p->path,
                                       .base = &p->base,
                                       .config = &p->config,
                                       .vocabulary_only = vocabulary_only,
                                       .native_adapters = p->native_adapters,
                                       .op = op,
                                       .kv_bytes = &p->kv_bytes,
                                       .freed = instance_freed,
                                       .freed_arg = p};
    int32_t code = read_header(p, err);

    if (code == INF_OK)
        code = check_same_file(p, err);
    if (code == INF_OK)
        code = instance_load(out, p->context, &options, err);
    if (code == INF_OK)
        keep_instance(p, *out, vocabulary_only);
    return code;
}

static int32_t acquire(struct llamacpp_provider *p, inf_op *op, bool vocabulary_only,
                       struct instance **out, inf_error *err)
{
    int32_t code = INF_OK;

    *out = loaded(p, vocabulary_only);
    if (*out)
        return INF_OK;
    pthread_mutex_lock(&p->load_lock);
    *out = loaded(p, vocabulary_only);
    if (!*out)
        code = load_instance(p, op, vocabulary_only, out, err);
    pthread_mutex_unlock(&p->load_lock);
    return code;
}

int32_t provider_acquire(struct llamacpp_provider *p, inf_op *op, struct instance **out,
                         inf_error *err)
{
    return acquire(p, op, false, out, err);
}

int32_t provider_acquire_vocabulary(struct llamacpp_provider *p, inf_op *op, struct instance **out,
                                    inf_error *err)
{
    return acquire(p, op, true, out, err);
}

static int32_t submit(void *impl, inf_op *op, void (*run)(struct preparation *), inf_error *err)
{
    struct preparation *prep = preparation_create(sizeof *prep, impl, op, run, err);

    if (!prep)
        return INF_ERROR_NO_MEMORY;
    preparation_submit(prep);
    return INF_OK;
}

static void run_load(struct preparation *prep)
{
    struct instance *i = NULL;
    inf_error err = {0};

    if (provider_acquire(prep->provider, prep->op, &i, &err) == INF_OK)
        op_progress(prep->op, 1.0f);
    instance_unref(i);
    preparation_end(prep, &err);
}

static int32_t llamacpp_load(void *impl, inf_op *op, inf_error *err)
{
    return submit(impl, op, run_load, err);
}

/* The model goes when its last request has ended, and the operation ends with it. */
static void run_unload(struct preparation *prep)
{
    struct llamacpp_provider *p = prep->provider;
    struct instance *i = NULL;
    struct instance *vocabulary = NULL;

    pthread_mutex_lock(&p->lock);
    i = p->instance;
    vocabulary = p->vocabulary;
    p->instance = NULL;
    p->vocabulary = NULL;
    pthread_mutex_unlock(&p->lock);
    instance_unref(vocabulary);
    if (!i) {
        preparation_end(prep, NULL);
        return;
    }
    i->unload = prep->op;
    preparation_free(prep);
    instance_unref(i);
}

static int32_t llamacpp_unload(void *impl, inf_op *op, inf_error *err)
{
    return submit(impl, op, run_unload, err);
}

/* ------------------------------------------------------------------ adapters in use */

int32_t provider_pin(struct llamacpp_provider *p, inf_text id, const struct adapter **out,
                     inf_error *err)
{
    *out = id.len ? registry_pin(p->registry, id.data, id.len) : NULL;
    if (*out || !id.len)
        return INF_OK;
    return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                     "adapter '%.*s' is not loaded; load it before using it",
                     (int)(id.len > 256 ? 256 : id.len), id.data);
}

/* ------------------------------------------------------------------ the chat template */

/* The text of a special token, "" when there is none. The caller frees it. */
static char *token_text(const struct gguf_file *file, const char *id_key)
{
    inf_text text = {0};
    int64_t id = 0;

    if (!gguf_get_int(file, id_key, &id) || id < 0 ||
        !gguf_array_text(file, "tokenizer.ggml.tokens", (size_t)id, &text))
        text = inf_str("");
    return mem_strndup(text.data, text.len);
}

static int32_t compile_template(struct llamacpp_provider *p, struct chat_template **out,
                                inf_error *err)
{
    char *bos = token_text(p->file, "tokenizer.ggml.bos_token_id");
    char *eos = token_text(p->file, "tokenizer.ggml.eos_token_id");
    inf_text source = {0};
    int32_t code = INF_OK;

    if (!bos || !eos)
        code = error_no_memory(err);
    else if (!gguf_get_text(p->file, "tokenizer.chat_template", &source) || source.len == 0)
        code = error_set(err, INF_ERROR_UNSUPPORTED,
                         "%s has no chat template; give a prompt instead of messages", p->path);
    else
        code = chat_template_compile(out, source, bos, eos, err);
    mem_free(bos);
    mem_free(eos);
    return code;
}

int32_t provider_template(struct llamacpp_provider *p, const struct chat_template **out,
                          inf_error *err)
{
    struct chat_template *compiled = NULL;
    int32_t code = INF_OK;

    pthread_mutex_lock(&p->load_lock);
    code = read_header(p, err);
    if (code == INF_OK && !p->chat_template)
        code = compile_template(p, &compiled, err);
    if (compiled)
        p->chat_template = compiled;
    *out = p->chat_template;
    pthread_mutex_unlock(&p->load_lock);
    return code;
}

/* ------------------------------------------------------------------ life */

static bool has_device(void)
{
    guard_start();
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        enum ggml_backend_dev_type type = ggml_backend_dev_type(ggml_backend_dev_get(i));

        if (type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU)
            return true;
    }
    return false;
}

static int32_t choose_execution(struct llamacpp_provider *p, inf_error *err)
{
    bool on_device = p->config.n_gpu_layers != 0 && has_device();

    if (p->config.adapter_execution == INF_ADAPTERS_SHARED && on_device)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "adapter_execution shared needs the weights in host memory; set "
                         "n_gpu_layers to 0 or adapter_execution to auto");
    p->native_adapters = p->config.adapter_execution == INF_ADAPTERS_NATIVE ||
                         (p->config.adapter_execution == INF_ADAPTERS_AUTO && on_device);
    return INF_OK;
}

static void llamacpp_destroy(void *impl)
{
    struct llamacpp_provider *p = impl;

    if (!p)
        return;
    instance_unref(p->vocabulary);
    instance_unref(p->instance);
    pthread_mutex_lock(&p->lock);
    while (p->n_instances > 0)
        pthread_cond_wait(&p->all_freed, &p->lock);
    pthread_mutex_unlock(&p->lock);
    registry_free(p->registry);
    chat_template_free(p->chat_template);
    gguf_file_close(p->file);
    pthread_cond_destroy(&p->all_freed);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->load_lock);
    mem_free(p->path);
    mem_free(p);
}

static int32_t llamacpp_create(void **impl, inf_context *ctx, const inf_provider_config *config,
                               inf_error *err)
{
    struct registry_limits limits = {.max_adapters = config->max_adapters,
                                     .max_bytes = config->max_adapter_bytes,
                                     .evict = config->adapter_overflow ==
                                              INF_ADAPTER_OVERFLOW_EVICT};
    struct llamacpp_provider *p = mem_calloc(1, sizeof *p);
    int32_t code = INF_OK;

    *impl = NULL;
    if (!p)
        return error_no_memory(err);
    pthread_mutex_init(&p->load_lock, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->all_freed, NULL);
    p->context = ctx;
    p->config = *config;
    p->path = mem_strdup(config->base_url);
    p->config.base_url = p->path;
    code = p->path ? choose_execution(p, err) : error_no_memory(err);
    if (code == INF_OK)
        code = registry_create(&p->registry, &limits, llamacpp_adapter_free, err);
    if (code != INF_OK) {
        llamacpp_destroy(p);
        return code;
    }
    *impl = p;
    return INF_OK;
}

static void llamacpp_stats(void *impl, inf_provider_stats *stats)
{
    struct llamacpp_provider *p = impl;
    struct instance *i = loaded(p, false);
    struct scheduler_stats now = {0};

    if (i)
        scheduler_get_stats(i->scheduler, &now);
    pthread_mutex_lock(&p->lock);
    stats->steps = p->before.steps + now.steps;
    stats->shared_steps = p->before.shared_steps + now.shared_steps;
    stats->rows = p->before.rows + now.rows;
    stats->requests = p->before.requests + now.requests;
    stats->prefix_tokens = p->before.prefix_tokens + now.prefix_tokens;
    pthread_mutex_unlock(&p->lock);
    stats->active = now.active;
    stats->queued = atomic_load(&p->in_flight) - now.active;
    if (stats->queued < 0)
        stats->queued = 0;
    stats->kv_bytes = atomic_load(&p->kv_bytes);
    stats->model_loaded = i != NULL;
    registry_count(p->registry, &stats->adapters, &stats->pins, &stats->adapter_bytes);
    instance_unref(i);
}

const struct provider_ops llamacpp_provider_ops = {LLAMACPP_IDENTITY,
                                                   .check_config = llamacpp_check_config,
                                                   .create = llamacpp_create,
                                                   .destroy = llamacpp_destroy,
                                                   .generate = llamacpp_generate,
                                                   .load = llamacpp_load,
                                                   .unload = llamacpp_unload,
                                                   .adapter_load = llamacpp_adapter_load,
                                                   .adapter_unload = llamacpp_adapter_unload,
                                                   .adapters = llamacpp_adapters,
                                                   .tokenize = llamacpp_tokenize,
                                                   .detokenize = llamacpp_detokenize,
                                                   .render = llamacpp_render,
                                                   .logits = llamacpp_logits,
                                                   .stats = llamacpp_stats};
