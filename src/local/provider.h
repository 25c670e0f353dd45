/*
 * provider: what the files of the in-process provider share.
 *
 * Locks: load_lock serialises opening and loading (slow, on preparation threads); it guards facts,
 * until is_open, which is read without it, and the templates. It is taken before lock, never in a
 * callback. lock guards instance, tokenizer, n_instances and before, and is a leaf, held for assignments only. Counters are atomics.
 */
#ifndef INF_LOCAL_PROVIDER_H
#define INF_LOCAL_PROVIDER_H

#include "core/registry.h"
#include "local/instance.h"
#include "local/local.h"
#include "local/preparation.h"

struct local_provider {
    inf_context *context;
    const struct model_ops *ops;
    void *model;
    char *path; /* "" when none is set */
    inf_provider_config config;
    struct registry *registry;

    pthread_mutex_t load_lock;
    atomic_bool is_open;
    struct model_facts facts;                             /* immutable once open */
    struct chat_template *chat_template, *tools_template; /* compiled on first use; set once */

    pthread_mutex_t lock;
    pthread_cond_t all_freed;   /* n_instances became 0 */
    struct instance *instance;  /* the loaded model */
    struct instance *tokenizer; /* loaded without weights, for text alone; not beside the model */
    int32_t n_instances;        /* alive, also those being freed */
    struct scheduler_stats before; /* of instances that are gone */

    _Atomic int64_t in_flight;  /* generate operations from start to end */
    atomic_int queued_adapters; /* whose loads a preparation thread has yet to end */
    _Atomic int64_t kv_bytes;
};

/* INVALID_ARGUMENT when no model is set. */
int32_t provider_check_model(const struct local_provider *p, inf_error *err);
/* Reads the model's files on first use; from then on p->facts may be read. As provider_check_model, or
 * model_ops.open's errors. */
int32_t provider_open(struct local_provider *p, inf_error *err);
/* A reference to the loaded model, or, where that is enough, to its tokenizer alone, loading it for op if need be.
 * Errors of open and instance_load. */
int32_t provider_acquire(struct local_provider *p, inf_op *op, bool tokenizer_only,
                         struct instance **out, inf_error *err);
/* The pinned adapters of a request, which may be together. *out is the caller's to give back, on errors too.
 * Errors of adapter_set_pin and model_ops.adapters_check. */
int32_t provider_pin(const struct local_provider *p, struct adapter_set **out,
                     const inf_request_adapter *adapters, size_t n, inf_error *err);

#endif
