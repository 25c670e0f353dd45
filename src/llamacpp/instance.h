/*
 * instance: one loaded model: llama.cpp's model, and, unless only its vocabulary was wanted, an
 * engine and the scheduler whose worker owns it.
 *
 * Reference counted. The last reference frees it on a thread of its own, after everything
 * submitted has ended: giving a reference back never waits.
 * Threads: loading runs on a preparation thread; the vocabulary is immutable; the rest is the
 * scheduler's.
 */
#ifndef INF_LLAMACPP_INSTANCE_H
#define INF_LLAMACPP_INSTANCE_H

#include "gguf/model.h"
#include "engine/llama_engine.h"
#include "local/scheduler.h"
#include "local/token_texts.h"

#include <pthread.h>

struct instance {
    _Atomic int32_t refs;
    inf_context *context;
    struct llama_model *model;
    struct llama_engine *engine; /* NULL: vocabulary only */
    struct scheduler *scheduler; /* the same */
    struct tokenizer tokenizer;
    pthread_mutex_t texts_lock; /* guards making the next */
    struct token_texts *texts;  /* for grammars; made on first use */
    int32_t n_threads;
    int32_t n_slots; /* decoded together at most */
    /* Called when everything is freed, with what the scheduler counted. */
    void (*freed)(void *arg, const struct scheduler_stats *final);
    void *freed_arg;
    inf_op *unload; /* ended after that; set before the last reference goes */
};

struct instance_options {
    const char *path;
    const struct gguf_model *base; /* must outlive the instance */
    const inf_provider_config *config;
    bool vocabulary_only;
    bool native_adapters;
    inf_op *op; /* progress goes to it; loading ends when it is asked to stop */
    _Atomic int64_t *kv_bytes;
    void (*freed)(void *arg, const struct scheduler_stats *final);
    void *freed_arg;
};

/* One reference. Errors: NO_MEMORY, BACKEND, LIMIT (not one window fits the KV budget), STATE,
 * CANCELLED, TIMEOUT. `freed` is called only for an instance that was made. */
int32_t instance_load(struct instance **out, inf_context *context,
                      const struct instance_options *options, inf_error *err);
struct instance *instance_ref(struct instance *i);
void instance_unref(struct instance *i); /* NULL is ignored */

/* Compute threads when the configuration leaves them open: the physical cores this process may
 * use. */
int32_t default_thread_count(void);

/* The tokens' texts, borrowed; NULL when out of memory. */
const struct token_texts *instance_token_texts(struct instance *i);

#endif
