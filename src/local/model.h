/*
 * model: what a front door gives to the in-process provider: what a model's files say, its tokenizer
 * and engine, and adapters for it. A front door fills model_ops and one row of provider_ops (local.h);
 * how a request runs is not its matter.
 *
 * Every error is one line that says what to do, and leaves everything as it was before the call.
 */
#ifndef INF_LOCAL_MODEL_H
#define INF_LOCAL_MODEL_H

#include "core/provider.h"
#include "local/engine.h"
#include "local/sampling.h"
#include "local/tokenizer.h"
#include "text/chat_template.h"

/* From a model's files without its weights. Pointers are the front door's, valid until destroy. */
struct model_facts {
    int32_t window; /* tokens that one request may have: n_ctx, or fewer */
    /* What it is a number of where a larger n_ctx would not make it larger ("learned positions"), for
     * messages; NULL: n_ctx alone limits it. */
    const char *window_of;
    size_t window_bytes;                     /* of KV cache that one window takes */
    int32_t n_ctx_train;                     /* tokens that the model was trained on */
    inf_text chat_template;                  /* its source; absent: none */
    inf_text tools_template;                 /* the one for chats with tools; absent: the same */
    const struct chat_token *special_tokens; /* that templates find by name */
    size_t n_special_tokens;
    bool system_prompt_is_message; /* beside a prompt: both go through the template, if any */
    struct sampling_options
        default_sampling; /* of options that a request leaves unset; seed and n_vocab
                                                 are not looked at */
};

struct loaded_model {
    void *impl; /* the front door's */
    struct tokenizer tokenizer;
};

struct model_ops {
    const char *how_to_set; /* "set ... or give ...", where no model is set */

    /* With the provider: looks at its config, which outlives the model (of its texts base_url alone
     * does); no I/O. UNSUPPORTED, NO_MEMORY. */
    int32_t (*create)(void **model, inf_context *ctx, const inf_provider_config *config,
                      inf_error *err);
    /* Nothing is loaded any more. NULL is ignored. */
    void (*destroy)(void *model);

    /* On preparation threads, one call of the two at a time: */

    /* Reads and checks the files' headers. Until it succeeds, then never again. */
    int32_t (*open)(void *model, struct model_facts *facts, inf_error *err);
    /* After open. tokenizer_only: no weights, make_engine is not called. Progress goes to op; CANCELLED
     * or TIMEOUT when that is to stop. */
    int32_t (*load)(void *model, bool tokenizer_only, inf_op *op, struct loaded_model *out,
                    inf_error *err);
    /* NULL: the tokenizer is there once `load` has returned. Otherwise it is after this, which waits for what goes
     * on beside making the engine. op: as for load. */
    int32_t (*ready)(struct loaded_model *loaded, inf_op *op, inf_error *err);

    /* An engine over loaded weights, which is freed before them (engine_ops.free). On a preparation
     * thread, or between two steps on the worker of another engine. */
    int32_t (*make_engine)(void *model, const struct loaded_model *loaded,
                           const struct engine_options *options, struct engine *out,
                           inf_error *err);
    /* loaded_model.impl. Any thread, with its engines gone. */
    void (*unload)(void *loaded);

    /* After open, on preparation threads or in a start: reads and converts an adapter, checked against the model's
     * names and shapes. Fills report but for its texts, generation and `replaced`; *bytes is what it
     * takes. op: as for load. It may take source->block. With source->in_start it may set
     * put_off, and nothing is filled. */
    int32_t (*adapter_load)(void *model, struct adapter_source *source, const inf_op *op,
                            void **adapter, size_t *bytes, inf_adapter_report *report,
                            inf_error *err);
    void (*adapter_free)(void *adapter); /* any thread; NULL is ignored */
    /* Whether a request may have these adapters, with these scales. Any thread. INVALID_ARGUMENT. */
    int32_t (*adapters_check)(const struct adapter_set *set, inf_error *err);
};

/* The error of a load that finds other files than `open` did. STATE. */
int32_t model_changed(const char *path, inf_error *err);
/* Whether n tokens, and as many new ones, are within a request's window; `of`: model_facts.window_of. CONTEXT_FULL. */
int32_t window_check(int32_t window, const char *of, size_t n, int32_t n_new, inf_error *err);

#endif
