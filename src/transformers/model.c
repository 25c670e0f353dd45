/*
 * model: what a Hugging Face checkpoint is to the in-process provider (local/model.h): its files, looked
 * at before anything of them is loaded, and what the engine makes of them.
 *
 * The weights' files stay mapped as long as the provider lives. The tokenizer is shared by what is loaded. A
 * directory with a tokenizer and without a model opens too: texts can be tokenized and rendered then, and what
 * else is asked for says what is missing.
 */
#include "arch/adapter.h"
#include "arch/checkpoint.h"
#include "core/context.h"
#include "core/cpu_count.h"
#include "core/memory.h"
#include "engine/llama_engine.h"
#include "engine/llama_model.h"
#include "engine/engine_adapter.h"
#include "engine/mapped_model.h"
#include "engine/place.h"
#include "hf/files/generation_config.h"
#include "hf/files/template_files.h"
#include "local/local.h"
#include "local/shared.h"
#include "transformers/config.h"
#include "transformers/tokenizer.h"
#include "transformers/transformers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SPECIAL = 300 };

struct hf_source {
    inf_context *context;
    const inf_provider_config *config;
    struct engine_place place;
    char *dir;                     /* once open, with what follows */
    struct checkpoint *checkpoint; /* NULL: there is a tokenizer alone, and no_model says why */
    inf_error no_model;
    struct generation_config generation;
    struct checkpoint_tokenizer tokenizer; /* until the first load, which takes hf over */
    struct shared shared;                  /* hf */
    struct buffer chat_template, tools_template;
    struct chat_token special[MAX_SPECIAL]; /* their names and texts are owned */
    size_t n_special;
    char window_of[240];
};

struct loaded_checkpoint {
    struct hf_source *source;
    struct mapped_model *mapped; /* NULL: the tokenizer alone */
    struct checkpoint_tokenizer tokenizer;
};

/* ------------------------------------------------------------------ life */

static void close_files(struct hf_source *s)
{
    checkpoint_close(s->checkpoint);
    hf_tokenizer_free(s->tokenizer.hf);
    buffer_free(&s->chat_template);
    buffer_free(&s->tools_template);
    mem_free(s->dir);
    for (size_t i = 0; i < s->n_special; i++) {
        mem_free((char *)(uintptr_t)s->special[i].name);
        mem_free((char *)(uintptr_t)s->special[i].text);
    }
    s->n_special = 0;
    s->checkpoint = NULL;
    s->tokenizer.hf = NULL;
    s->dir = NULL;
}

static void destroy(void *model)
{
    struct hf_source *s = model;

    if (!s)
        return;
    close_files(s);
    shared_destroy(&s->shared);
    mem_free(s);
}

static int32_t create(void **model, inf_context *ctx, const inf_provider_config *config,
                      inf_error *err)
{
    struct hf_source *s = mem_calloc(1, sizeof *s);
    int32_t code = INF_OK;

    if (!s)
        return error_no_memory(err);
    shared_init(&s->shared);
    s->context = ctx;
    s->config = config;
    buffer_init(&s->chat_template, BUFFER_NO_LIMIT);
    buffer_init(&s->tools_template, BUFFER_NO_LIMIT);
    code = engine_choose_place(&s->place, ctx, config, "device to cpu", err);
    if (code != INF_OK) {
        destroy(s);
        return code;
    }
    *model = s;
    return INF_OK;
}

/* ------------------------------------------------------------------ the files */

static bool is_not_there(const inf_error *err)
{
    return err->code == INF_ERROR_IO && err->detail == ENOENT;
}

/* Where neither can be had: of a folder with the tokenizer's files alone that is the tokenizer. */
static const inf_error *what_is_wrong(const struct hf_source *s)
{
    const inf_error *tokenizer = &s->tokenizer.missing;
    bool is_tokenizer = is_not_there(&s->no_model) && tokenizer->code != INF_OK &&
                        !is_not_there(tokenizer);

    return is_tokenizer ? tokenizer : &s->no_model;
}

/* A tokenizer that cannot be had is an error of what needs it; so is a model, where there is a
 * tokenizer. */
static int32_t open_parts(struct hf_source *s, int32_t type, inf_error *err)
{
    struct checkpoint_tokenizer *t = &s->tokenizer;
    int32_t code = checkpoint_open(&s->checkpoint, s->dir, type, &s->no_model);
    bool has_tokenizer = hf_tokenizer_open(&t->hf, s->dir, &t->missing) == INF_OK;

    if (code != INF_OK && (!has_tokenizer || code == INF_ERROR_NO_MEMORY))
        return error_copy(err, what_is_wrong(s));
    code = generation_config_open(&s->generation, s->dir,
                                  s->checkpoint ? &s->checkpoint->config : NULL, err);
    if (code != INF_OK)
        return code;
    t->n_model = s->checkpoint ? s->checkpoint->model.n_vocab : 0;
    t->n_eos = s->generation.n_eos;
    memcpy(t->eos, s->generation.eos, sizeof t->eos);
    return chat_templates_read(&s->chat_template, &s->tools_template, s->dir, err);
}

static int32_t open_files(struct hf_source *s, inf_error *err)
{
    int32_t type = 0;
    int32_t code = weight_type_of(&type, s->config->dtype, err);

    if (code == INF_OK)
        code = checkpoint_directory(&s->dir, s->config->base_url, err);
    return code == INF_OK ? open_parts(s, type, err) : code;
}

static struct sampling_options sampling_of(const struct generation_config *g)
{
    return (struct sampling_options){.temperature = g->do_sample ? g->temperature : 0,
                                     .top_k = g->top_k,
                                     .top_p = g->top_p,
                                     .min_p = g->min_p,
                                     .repetition_penalty = g->repetition_penalty,
                                     .penalty_last_n = -1,
                                     .order = SAMPLING_AS_TRANSFORMERS};
}

static void tell_limits(const struct hf_source *s, int32_t window)
{
    const struct blueprint *b = &s->checkpoint->blueprint;

    if (window < s->config->n_ctx && window == b->exact_window)
        context_log(s->context, INF_LOG_WARNING, "%s: the window is %d tokens instead of %d: %s",
                    s->config->base_url, window, s->config->n_ctx, b->window_reason);
    if (s->generation.ignored[0])
        context_log(s->context, INF_LOG_WARNING,
                    "%s: generation_config.json sets %s, which this provider does not compute",
                    s->config->base_url, s->generation.ignored);
}

/* In float32 transformers keeps keys and values in it too. */
static bool has_float_cache(const struct hf_source *s)
{
    return s->checkpoint->blueprint.type == WEIGHT_TYPE_F32;
}

static void add_model_facts(struct hf_source *s, struct model_facts *facts)
{
    int32_t window = checkpoint_window(s->checkpoint, s->config->n_ctx);

    facts->window = window;
    if (window < s->config->n_ctx) {
        snprintf(s->window_of, sizeof s->window_of, "positions that are exact (%s)",
                 s->checkpoint->blueprint.window_reason);
        facts->window_of = window == s->checkpoint->model.n_positions ? "learned positions"
                                                                      : s->window_of;
    }
    facts->window_bytes = llama_engine_window_bytes(&s->checkpoint->model, window,
                                                    has_float_cache(s));
    facts->n_ctx_train = s->checkpoint->model.n_ctx_train;
    tell_limits(s, window);
}

static int32_t name_token(struct hf_source *s, const char *name, const char *text, inf_error *err)
{
    struct chat_token *token = &s->special[s->n_special];

    if (!text || s->n_special == MAX_SPECIAL)
        return INF_OK;
    *token = (struct chat_token){mem_strdup(name), mem_strdup(text)};
    s->n_special++;
    return token->name && token->text ? INF_OK : error_no_memory(err);
}

/* As transformers gives them to a template: those that have a name. */
static int32_t name_tokens(struct hf_source *s, inf_error *err)
{
    const struct hf_tokenizer *t = s->tokenizer.hf;
    const char *name = NULL, *text = NULL;
    int32_t code = INF_OK;

    for (enum hf_named_token i = 0; t && code == INF_OK && i < HF_NAMED_TOKENS; i++)
        code = name_token(s, hf_token_name(i), hf_tokenizer_named_text(t, i), err);
    for (size_t i = 0; t && code == INF_OK && hf_tokenizer_extra_text(t, i, &name, &text); i++)
        code = name_token(s, name, text, err);
    return code;
}

static int32_t open_model(void *model, struct model_facts *facts, inf_error *err)
{
    struct hf_source *s = model;
    int32_t code = open_files(s, err);

    if (code == INF_OK)
        code = name_tokens(s, err);
    if (code != INF_OK) {
        close_files(s);
        return code;
    }
    *facts = (struct model_facts){.window = s->config->n_ctx,
                                  .n_ctx_train = INT32_MAX,
                                  .chat_template = {s->chat_template.data, s->chat_template.len},
                                  .tools_template = {s->tools_template.data, s->tools_template.len},
                                  .special_tokens = s->special,
                                  .n_special_tokens = s->n_special,
                                  .system_prompt_is_message = true,
                                  .default_sampling = sampling_of(&s->generation)};
    if (s->checkpoint)
        add_model_facts(s, facts);
    return INF_OK;
}

/* ------------------------------------------------------------------ the tokenizer */

/* The one that was opened first, another's, or a new one; where it cannot be had any more, what needs it says why. */
static void acquire_tokenizer(struct loaded_checkpoint *l)
{
    struct hf_source *s = l->source;
    struct checkpoint_tokenizer *t = &l->tokenizer;

    *t = s->tokenizer;
    s->tokenizer.hf = NULL;
    if (!t->hf)
        t->hf = shared_hold(&s->shared);
    else
        shared_made(&s->shared, t->hf);
    if (!t->hf && t->missing.code == INF_OK &&
        hf_tokenizer_open(&t->hf, s->dir, &t->missing) == INF_OK)
        shared_made(&s->shared, t->hf);
}

/* ------------------------------------------------------------------ the model, loaded */

static const void *ready(const void *impl, size_t i)
{
    return ((const struct blueprint *)impl)->tensors[i].data;
}

static int32_t make_rows(const void *impl, size_t i, int64_t first, int64_t n, int32_t type,
                         void *out, inf_error *err)
{
    const struct blueprint *b = impl;

    return blueprint_rows(b, &b->tensors[i], first, n, type, out, err);
}

static const void *map_at(const void *impl, size_t i, size_t *size)
{
    return weight_files_map(((const struct blueprint *)impl)->files, i, size);
}

static struct model_weights weights_of(const struct checkpoint *c)
{
    return (struct model_weights){.header = c->header.data,
                                  .header_size = c->header.len,
                                  .file = c->header_file,
                                  .impl = &c->blueprint,
                                  .ready = ready,
                                  .rows = make_rows,
                                  .n_maps = weight_files_maps(c->files),
                                  .map = map_at};
}

static int32_t load_weights(const struct hf_source *s, inf_op *op, struct mapped_model **out,
                            inf_error *err)
{
    const struct checkpoint *c = s->checkpoint;
    struct model_weights weights = weights_of(c);
    struct mapped_options options = {.n_gpu_layers = s->config->n_gpu_layers,
                                     .n_threads = s->config->n_threads > 0 ? s->config->n_threads
                                                                           : cpu_count(),
                                     .op = op};
    int32_t code = weight_files_check(c->files, NULL);

    if (code != INF_OK)
        return model_changed(s->dir, err);
    weight_files_will_need(c->files);
    return mapped_model_load(out, &weights, &options, err);
}

static void unload(void *loaded)
{
    struct loaded_checkpoint *l = loaded;
    struct hf_source *s = l->source;

    mapped_model_free(l->mapped);
    if (l->mapped)
        weight_files_let_go(s->checkpoint->files);
    if (l->tokenizer.hf && shared_let_go(&s->shared))
        hf_tokenizer_free(l->tokenizer.hf);
    mem_free(l);
}

static int32_t load_model(struct loaded_checkpoint *l, inf_op *op, inf_error *err)
{
    return l->source->checkpoint ? load_weights(l->source, op, &l->mapped, err)
                                 : error_copy(err, &l->source->no_model);
}

static int32_t load(void *model, bool tokenizer_only, inf_op *op, struct loaded_model *out,
                    inf_error *err)
{
    struct hf_source *s = model;
    struct loaded_checkpoint *l = mem_calloc(1, sizeof *l);
    int32_t code = INF_OK;

    if (!l)
        return error_no_memory(err);
    l->source = s;
    acquire_tokenizer(l);
    checkpoint_tokenizer_describe(&l->tokenizer, &out->tokenizer);
    if (!tokenizer_only)
        code = load_model(l, op, err);
    if (code != INF_OK) {
        unload(l);
        return code;
    }
    out->impl = l;
    return INF_OK;
}

static int32_t check_files(const void *files, inf_error *err)
{
    return weight_files_check(files, err);
}

static int32_t make_engine(void *model, const struct loaded_model *loaded,
                           const struct engine_options *options, struct engine *out, inf_error *err)
{
    const struct hf_source *s = model;
    const struct loaded_checkpoint *l = loaded->impl;
    struct llama_engine_source source = {.log = s->context,
                                         .model = mapped_model_llama(l->mapped),
                                         .base = &s->checkpoint->model,
                                         .flash_attention = s->config->flash_attention,
                                         .float_cache = has_float_cache(s),
                                         .native_adapters = s->place.native_adapters,
                                         .on_device = s->place.on_device,
                                         .check = check_files,
                                         .check_arg = s->checkpoint->files};

    source.states_independent = s->checkpoint->blueprint.family->states_independent;
    return llama_engine_create(out, &source, options, err);
}

/* ------------------------------------------------------------------ adapters */

static int32_t adapter_load(void *model, struct adapter_source *source, const inf_op *op,
                            void **adapter, size_t *bytes, inf_adapter_report *report,
                            inf_error *err)
{
    const struct hf_source *s = model;
    struct lora_weights *weights = NULL;
    struct model_weights from = {.file = NULL};
    struct adapter_base base = {.weights = &from, .native = s->place.native_adapters};
    int32_t code = s->checkpoint
                       ? adapter_read(&weights, source, &s->checkpoint->model, op, report, err)
                       : error_copy(err, &s->no_model);

    if (code != INF_OK || source->put_off)
        return code;
    from = weights_of(s->checkpoint);
    base.file = from.file;
    return engine_adapter_create(adapter, bytes, weights, &base, op, err);
}

/* ------------------------------------------------------------------ the provider's row */

static int32_t create_provider(void **impl, inf_context *ctx, const inf_provider_config *config,
                               inf_error *err)
{
    static const struct model_ops ops = {
        .how_to_set = "set TRANSFORMERS_MODEL_NAME or give a checkpoint's directory or hub id",
        .create = create,
        .destroy = destroy,
        .open = open_model,
        .load = load,
        .make_engine = make_engine,
        .unload = unload,
        .adapter_load = adapter_load,
        .adapter_free = engine_adapter_free,
        .adapters_check = engine_adapters_check};

    return local_create(impl, &ops, ctx, config, err);
}

const struct provider_ops transformers_provider_ops = {TRANSFORMERS_IDENTITY,
                                                       .owns_model = transformers_owns,
                                                       .check_config = transformers_check_config,
                                                       .create = create_provider,
                                                       LOCAL_PROVIDER_SLOTS,
                                                       .inspect = transformers_inspect,
                                                       .check_fit = transformers_check_fit};
