/*
 * model: what a GGUF file is to the in-process provider (local/model.h): its header, read and checked
 * by our own reader before llama.cpp opens it, and what the engine makes of it.
 *
 * What is loaded shares one vocabulary. It is read on a thread of its own while the weights are loaded and an
 * engine is made.
 */
#include "arch/adapter.h"
#include "arch/families.h"
#include "core/context.h"
#include "core/file.h"
#include "core/memory.h"
#include "engine/llama_engine.h"
#include "engine/llama_model.h"
#include "engine/engine_adapter.h"
#include "engine/mapped_model.h"
#include "engine/place.h"
#include "gguf/write.h"
#include "hf/tokenizer/tokenizer.h"
#include "llamacpp/llamacpp.h"
#include "llamacpp/vocabulary.h"
#include "local/local.h"
#include "local/shared.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct gguf_source {
    inf_context *context;
    const inf_provider_config *config;
    struct engine_place place;
    struct gguf_file *file; /* once open, with what follows */
    struct stat status;     /* of the file when its header was read */
    struct gguf_model base;
    struct chat_token special[HF_NAMED_TOKENS]; /* their texts are owned */
    struct shared vocabulary;
};

struct loaded_gguf {
    struct gguf_source *source;
    struct vocabulary *vocabulary; /* shared; NULL: it is llama.cpp's, or being read */
    int32_t n_tokens;              /* of a vocabulary that is not llama.cpp's; 0: it is */
    pthread_t reader;
    bool reading; /* reader is to be joined, and then has left: */
    inf_error error;
    /* none of the two: the vocabulary alone; both: the weights, and the vocabulary of a file that ours was not
     * to be made of */
    struct mapped_model *mapped;
    struct llama_model *llama;
};

static const char *const special_keys[HF_NAMED_TOKENS] = {
    [HF_TOKEN_BOS] = "tokenizer.ggml.bos_token_id",
    [HF_TOKEN_EOS] = "tokenizer.ggml.eos_token_id",
    [HF_TOKEN_UNK] = "tokenizer.ggml.unknown_token_id",
    [HF_TOKEN_SEP] = "tokenizer.ggml.seperator_token_id",
    [HF_TOKEN_PAD] = "tokenizer.ggml.padding_token_id",
    [HF_TOKEN_CLS] = "tokenizer.ggml.cls_token_id",
    [HF_TOKEN_MASK] = "tokenizer.ggml.mask_token_id"};

/* ------------------------------------------------------------------ life */

static void close_file(struct gguf_source *s)
{
    gguf_file_close(s->file);
    for (enum hf_named_token i = 0; i < HF_NAMED_TOKENS; i++)
        mem_free((char *)(uintptr_t)s->special[i].text);
    memset(s->special, 0, sizeof s->special);
    s->file = NULL;
}

static void destroy(void *model)
{
    struct gguf_source *s = model;

    if (!s)
        return;
    close_file(s);
    shared_destroy(&s->vocabulary);
    mem_free(s);
}

static int32_t create(void **model, inf_context *ctx, const inf_provider_config *config,
                      inf_error *err)
{
    struct gguf_source *s = mem_calloc(1, sizeof *s);
    int32_t code = INF_OK;

    if (!s)
        return error_no_memory(err);
    shared_init(&s->vocabulary);
    s->context = ctx;
    s->config = config;
    code = engine_choose_place(&s->place, ctx, config, "n_gpu_layers to 0", err);
    if (code != INF_OK) {
        destroy(s);
        return code;
    }
    *model = s;
    return INF_OK;
}

/* ------------------------------------------------------------------ the header */

/* The text of a special token, "" when there is none. The caller frees it. */
static char *special_token(const struct gguf_file *file, const char *id_key)
{
    inf_text text = {0};
    int64_t id = 0;

    if (!gguf_get_int(file, id_key, &id) || id < 0 ||
        !gguf_array_text(file, "tokenizer.ggml.tokens", (size_t)id, &text))
        text = inf_str("");
    return mem_strndup(text.data, text.len);
}

static int32_t read_header(struct gguf_source *s, inf_error *err)
{
    const char *path = s->config->base_url;
    int32_t code = gguf_file_open(&s->file, path, err);

    if (code != INF_OK)
        return code;
    if (stat(path, &s->status) != 0)
        return error_set_errno(err, errno, "read", path);
    code = gguf_model_check(&s->base, s->file, err);
    if (code != INF_OK)
        return code;
    for (enum hf_named_token i = 0; i < HF_NAMED_TOKENS; i++) {
        s->special[i] = (struct chat_token){hf_token_name(i),
                                            special_token(s->file, special_keys[i])};
        if (!s->special[i].text)
            return error_no_memory(err);
    }
    return INF_OK;
}

static int32_t open_file(void *model, struct model_facts *facts, inf_error *err)
{
    struct gguf_source *s = model;
    int32_t window = 0;
    int32_t code = read_header(s, err);

    if (code != INF_OK) {
        close_file(s);
        return code;
    }
    window = gguf_model_window(&s->base, s->config->n_ctx);
    *facts = (struct model_facts){
        .window = window,
        .window_of = window == s->base.n_positions ? "learned positions" : NULL,
        .window_bytes = llama_engine_window_bytes(&s->base, window, false),
        .n_ctx_train = s->base.n_ctx_train,
        .special_tokens = s->special,
        .n_special_tokens = HF_NAMED_TOKENS,
        /* what llama.cpp samples with when nothing is set */
        .default_sampling = {.temperature = 0.8f,
                             .top_k = 40,
                             .top_p = 0.95f,
                             .min_p = 0.05f,
                             .repetition_penalty = 1.0f,
                             .penalty_last_n = 64}};
    gguf_get_text(s->file, "tokenizer.chat_template", &facts->chat_template);
    gguf_get_text(s->file, "tokenizer.chat_template.tool_use", &facts->tools_template);
    return INF_OK;
}

/* ------------------------------------------------------------------ the vocabulary */

static void *read_vocabulary(void *arg)
{
    struct loaded_gguf *l = arg;

    vocabulary_read(&l->vocabulary, l->source->file, &l->error);
    shared_made(&l->source->vocabulary, l->vocabulary);
    return NULL;
}

/* Without a thread, at once. */
static void begin_vocabulary(struct loaded_gguf *l)
{
    l->n_tokens = vocabulary_count(l->source->file);
    l->vocabulary = shared_hold(&l->source->vocabulary);
    if (l->vocabulary || l->n_tokens == 0)
        return;
    l->reading = thread_start(&l->reader, "inf-vocabulary", read_vocabulary, l) == 0;
    if (!l->reading)
        read_vocabulary(l);
}

/* Afterwards l->vocabulary is what it will be. */
static int32_t finish_vocabulary(struct loaded_gguf *l, inf_error *err)
{
    if (l->reading)
        pthread_join(l->reader, NULL);
    l->reading = false;
    return error_copy(err, &l->error);
}

/* ------------------------------------------------------------------ the model, loaded */

/* Before the map is read again, or llama.cpp opens the path anew: it must still be the file whose header was
 * checked. */
static int32_t check_same_file(const struct gguf_source *s, inf_error *err)
{
    const char *path = s->config->base_url;
    struct stat now;

    if (stat(path, &now) != 0)
        return error_set_errno(err, errno, "read", path);
    return file_is_same(&s->status, &now) ? INF_OK : model_changed(path, err);
}

static int32_t load_file(struct loaded_gguf *l, bool tokenizer_only, inf_op *op,
                         struct tokenizer *tokenizer, inf_error *err)
{
    const struct gguf_source *s = l->source;
    struct llama_model_source source = {.path = s->config->base_url,
                                        .n_gpu_layers = s->config->n_gpu_layers,
                                        .tokenizer_only = tokenizer_only,
                                        .n_tokens = l->vocabulary ? l->n_tokens : 0,
                                        .architecture = s->base.architecture,
                                        .op = op};

    return engine_load_model(&l->llama, tokenizer, &source, err);
}

/* Weights in host memory may stay where our reader has mapped them, and llama.cpp then reads no file: of
 * the families that checkpoints have too, which are loaded that way. */
static bool can_map(const struct loaded_gguf *l)
{
    const struct gguf_source *s = l->source;
    const struct family *family = NULL;
    char key[128];
    int64_t n_drafting = 0;

    snprintf(key, sizeof key, "%s.nextn_predict_layers", s->base.architecture);
    gguf_get_int(s->file, key, &n_drafting); /* llama.cpp looks for those in a file */
    return l->n_tokens > 0 && !s->place.on_device && mapped_model_suits() && n_drafting == 0 &&
           family_find(&family, s->base.architecture, NULL) == INF_OK;
}

static const void *tensor_bytes(const void *impl, size_t i)
{
    return gguf_file_tensor(impl, i)->data;
}

static const void *part_at(const void *impl, size_t i, size_t *size)
{
    return gguf_file_part(impl, i, size);
}

static int32_t load_mapped(struct loaded_gguf *l, inf_op *op, inf_error *err)
{
    const struct gguf_source *s = l->source;
    struct model_weights weights = {.file = s->file,
                                    .impl = s->file,
                                    .ready = tensor_bytes,
                                    .n_maps = (size_t)gguf_file_part_count(s->file),
                                    .map = part_at};
    struct mapped_options options = {.n_gpu_layers = s->config->n_gpu_layers, .op = op};
    struct buffer header;
    int32_t code = INF_OK;

    buffer_init(&header, BUFFER_NO_LIMIT);
    code = gguf_write_without_tokens(s->file, s->base.architecture, (uint32_t)l->n_tokens, &header,
                                     err);
    weights.header = header.data;
    weights.header_size = header.len;
    gguf_file_will_need(s->file);
    if (code == INF_OK)
        code = mapped_model_load(&l->mapped, &weights, &options, err);
    buffer_free(&header);
    return code;
}

/* What llama.cpp refuses that way (a tensor that no graph uses) it may take from the file. */
static int32_t load_weights(struct loaded_gguf *l, inf_op *op, struct tokenizer *tokenizer,
                            inf_error *err)
{
    int32_t code = can_map(l) ? load_mapped(l, op, err) : INF_ERROR_BACKEND;

    if (code != INF_ERROR_BACKEND)
        return code;
    code = finish_vocabulary(l, err);
    return code == INF_OK ? load_file(l, false, op, tokenizer, err) : code;
}

static void unload(void *loaded)
{
    struct loaded_gguf *l = loaded;

    finish_vocabulary(l, NULL);
    mapped_model_free(l->mapped);
    if (l->mapped)
        gguf_file_let_go(l->source->file);
    engine_free_model(l->llama);
    if (l->vocabulary && shared_let_go(&l->source->vocabulary))
        vocabulary_free(l->vocabulary);
    mem_free(l);
}

static int32_t load(void *model, bool tokenizer_only, inf_op *op, struct loaded_model *out,
                    inf_error *err)
{
    struct gguf_source *s = model;
    struct loaded_gguf *l = NULL;
    int32_t code = check_same_file(s, err);

    if (code != INF_OK)
        return code;
    l = mem_calloc(1, sizeof *l);
    if (!l)
        return error_no_memory(err);
    l->source = s;
    begin_vocabulary(l);
    if (!tokenizer_only)
        code = load_weights(l, op, &out->tokenizer, err);
    if (code != INF_OK) {
        unload(l);
        return code;
    }
    out->impl = l;
    return INF_OK;
}

static int32_t ready(struct loaded_model *loaded, inf_op *op, inf_error *err)
{
    struct loaded_gguf *l = loaded->impl;
    int32_t code = finish_vocabulary(l, err);

    if (code != INF_OK)
        return code;
    if (l->vocabulary)
        vocabulary_describe(l->vocabulary, &loaded->tokenizer);
    else if (!l->llama) /* which has described its own */
        code = load_file(l, true, op, &loaded->tokenizer, err);
    return code;
}

static int32_t make_engine(void *model, const struct loaded_model *loaded,
                           const struct engine_options *options, struct engine *out, inf_error *err)
{
    const struct gguf_source *s = model;
    const struct loaded_gguf *l = loaded->impl;
    struct llama_engine_source source = {.log = s->context,
                                         .model = l->mapped ? mapped_model_llama(l->mapped)
                                                            : l->llama,
                                         .base = &s->base,
                                         .flash_attention = s->config->flash_attention,
                                         .native_adapters = s->place.native_adapters,
                                         .on_device = s->place.on_device};

    source.states_independent = family_states_independent(s->base.architecture);
    return llama_engine_create(out, &source, options, err);
}

/* ------------------------------------------------------------------ adapters */

static int32_t adapter_load(void *model, struct adapter_source *source, const inf_op *op,
                            void **adapter, size_t *bytes, inf_adapter_report *report,
                            inf_error *err)
{
    const struct gguf_source *s = model;
    const struct adapter_base base = {.file = s->file, .native = s->place.native_adapters};
    struct lora_weights *weights = NULL;
    int32_t code = adapter_read(&weights, source, &s->base, op, report, err);

    if (code != INF_OK || source->put_off)
        return code;
    return engine_adapter_create(adapter, bytes, weights, &base, op, err);
}

/* ------------------------------------------------------------------ the provider's row */

static int32_t create_provider(void **impl, inf_context *ctx, const inf_provider_config *config,
                               inf_error *err)
{
    static const struct model_ops ops = {
        .how_to_set = "set LLAMACPP_MODEL_PATH or give the path of a GGUF file",
        .create = create,
        .destroy = destroy,
        .open = open_file,
        .load = load,
        .ready = ready,
        .make_engine = make_engine,
        .unload = unload,
        .adapter_load = adapter_load,
        .adapter_free = engine_adapter_free,
        .adapters_check = engine_adapters_check};

    return local_create(impl, &ops, ctx, config, err);
}

const struct provider_ops llamacpp_provider_ops = {
    LLAMACPP_IDENTITY,    .check_config = llamacpp_check_config, .create = create_provider,
    LOCAL_PROVIDER_SLOTS, .inspect = llamacpp_inspect,           .check_fit = llamacpp_check_fit};
