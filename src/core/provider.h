/*
 * provider: what a backend gives to the core: one row, in which everything stands that is particular
 * to it. Core and the command enumerate no providers. A slot that is NULL is an unsupported operation.
 *
 * Each starting slot gets a validated operation and takes it over when it returns INF_OK: from
 * then on it calls op_finish exactly once. When it returns an error it has not touched it. Slots
 * return at once: no I/O, no waiting; work goes to a preparation thread or the backend's own.
 * `impl` is alive while an operation of it is in flight; destroy runs on a preparation thread with
 * none in flight, and may block.
 */
#ifndef INF_CORE_PROVIDER_H
#define INF_CORE_PROVIDER_H

#include "core/adapter_source.h"
#include "core/buffer.h"
#include "core/op.h"

struct provider_ops {
    int32_t type;                /* enum inf_provider_type */
    const char *name;            /* as inf_provider_get takes it */
    const char *url_variable;    /* of the environment: base_url where none is given */
    const char *default_url;     /* where that is not set either; "": none */
    const char *device_variable; /* the same for config.device; NULL: none */
    const char *missing; /* NULL; or what to do, since this build has none of it: every slot but
                                  owns_model is NULL then */
    bool many_adapters;  /* a request may name more than one */
    bool in_process;     /* which part of inf_provider_config it has a use for */
    /* Whether a file's or directory's path tells that the model is of this type; may do I/O. NULL: no
     * path does. */
    bool (*owns_model)(const char *path);
    /* Refuses what else of a config this provider has no use for, and settles what follows from it.
     * Ranges and parts were checked. No I/O. NULL: nothing to refuse. */
    int32_t (*check_config)(inf_provider_config *config, inf_error *err);
    /* config: base_url resolved and not NULL ("" when nothing is set). Its texts live as long as
     * what is made. */
    int32_t (*create)(void **impl, inf_context *ctx, const inf_provider_config *config,
                      inf_error *err);
    void (*destroy)(void *impl);
    int32_t (*generate)(void *impl, inf_op *op, inf_error *err); /* the request: op_request(op) */
    int32_t (*load)(void *impl, inf_op *op, inf_error *err);
    int32_t (*unload)(void *impl, inf_op *op, inf_error *err);
    /* `source` is borrowed until this returns. */
    int32_t (*adapter_load)(void *impl, inf_op *op, const char *id,
                            const struct adapter_source *source, inf_error *err);
    int32_t (*adapter_unload)(void *impl, inf_op *op, const char *id, inf_error *err);
    /* Fills list (empty) through adapter_list_add; no I/O. */
    int32_t (*adapters)(void *impl, inf_adapter_list *list, inf_error *err);
    /* A JSON array into the operation's text. */
    int32_t (*server_adapters)(void *impl, inf_op *op, inf_error *err);
    int32_t (*tokenize)(void *impl, inf_op *op, inf_text text, bool add_special, inf_error *err);
    int32_t (*detokenize)(void *impl, inf_op *op, const int32_t *ids, size_t n, bool skip_special,
                          inf_error *err);
    int32_t (*render)(void *impl, inf_op *op, inf_text messages_json, bool add_generation_prompt,
                      inf_error *err);
    int32_t (*logits)(void *impl, inf_op *op, const inf_logits_request *request, inf_error *err);
    void (*stats)(void *impl, inf_provider_stats *stats);

    /* Of a row in process, without a provider, on a preparation thread; may do I/O. Paths are of models that the
     * row owns, and of adapters. */
    /* A JSON object of what it is into `out`. *adapter: an adapter's format; NULL stays, of a model. It is told
     * with an error too, when it is known by then. */
    int32_t (*inspect)(struct buffer *out, const char **adapter, const char *path, inf_error *err);
    /* Loads the adapter for the base as a provider would, and forgets it. *misfit (without an error): why it is
     * refused. Other errors are those of reading either. */
    int32_t (*check_fit)(const char *base, const char *adapter, inf_error *misfit, inf_error *err);
};
/* tokenize, detokenize, render and logits copy what they are given. */

/* report->id is the id; copied. Keeps the list sorted. */
int32_t adapter_list_add(inf_adapter_list *list, const inf_adapter_report *report, inf_error *err);

/* The composition root (src/backends.c), the only place that knows every backend: the rows, NULL behind the
 * last. */
extern const struct provider_ops *const backends[];

/* The row whose owns_model says so; NULL: no path of a model. May do I/O. */
const struct provider_ops *provider_row_of_model(const char *path);

#endif
