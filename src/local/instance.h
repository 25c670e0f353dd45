/*
 * instance: one loaded model: a front door's, and, unless only its tokenizer was wanted, an engine and
 * the scheduler whose worker owns it.
 *
 * Reference counted. The last reference frees it on a thread of its own, after everything
 * submitted has ended: giving a reference back never waits.
 * Threads: loading runs on a preparation thread; the tokenizer is immutable; the rest is the
 * scheduler's.
 */
#ifndef INF_LOCAL_INSTANCE_H
#define INF_LOCAL_INSTANCE_H

#include "local/model.h"
#include "local/scheduler.h"
#include "local/token_texts.h"

#include <pthread.h>

/* What it is made from; what is pointed to must outlive the instance, but for op. */
struct instance_options {
    const struct model_ops *ops;
    void *model;
    const struct model_facts *facts;
    const inf_provider_config *config;
    bool tokenizer_only;
    inf_op *op; /* progress goes to it; loading ends when it is asked to stop */
    _Atomic int64_t *kv_bytes;
    /* Called when everything is freed, with what the scheduler counted. */
    void (*freed)(void *arg, const struct scheduler_stats *final);
    void *freed_arg;
};

struct instance {
    _Atomic int32_t refs;
    struct instance_options options;
    struct loaded_model loaded;
    struct engine engine;        /* without impl: tokenizer only */
    struct scheduler *scheduler; /* NULL: the same */
    pthread_mutex_t texts_lock;  /* guards making the next */
    struct token_texts *texts;   /* for grammars; made on first use */
    inf_op *unload;              /* ended when it is freed; set before the last reference goes */
};

/* One reference. Errors: LIMIT (not one window fits the KV budget), STATE, NO_MEMORY, those of
 * model_ops' load and make_engine. `freed` is called only for an instance that was made. */
int32_t instance_load(struct instance **out, const struct instance_options *options,
                      inf_error *err);
struct instance *instance_ref(struct instance *i);
void instance_unref(struct instance *i); /* NULL is ignored */

/* An engine for one sequence of n tokens, exact rather than small and fast; on the scheduler's worker,
 * which frees it. */
int32_t instance_exact_engine(struct instance *i, int32_t n, struct engine *out, inf_error *err);

/* The tokens' texts, borrowed; NULL when out of memory. */
const struct token_texts *instance_token_texts(struct instance *i);

#endif
