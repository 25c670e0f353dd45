/*
 * provider: what a backend gives to the core. A slot that is NULL is an unsupported operation.
 *
 * Each starting slot gets a validated operation and takes it over when it returns INF_OK: from
 * then on it calls op_finish exactly once. When it returns an error it has not touched it. Slots
 * return at once: no I/O, no waiting; work goes to a preparation thread or the backend's own.
 * `impl` is alive while an operation of it is in flight; destroy runs on a preparation thread with
 * none in flight, and may block.
 */
#ifndef INF_CORE_PROVIDER_H
#define INF_CORE_PROVIDER_H

#include "core/buffer.h"
#include "core/op.h"

/* A deep copy of inf_adapter_source; whoever holds it frees it with adapter_source_free. */
struct adapter_source {
    char *path; /* NULL: from memory */
    char *config;
    size_t config_len;
    char *weights; /* 64-byte aligned */
    size_t weights_len;
};
void adapter_source_free(struct adapter_source *source);

struct provider_ops {
    int32_t type; /* enum inf_provider_type */
    bool in_process;
    /* config: base_url resolved and not NULL ("" when nothing is set). */
    int32_t (*create)(void **impl, inf_context *ctx, const inf_provider_config *config,
                      inf_error *err);
    void (*destroy)(void *impl);
    int32_t (*generate)(void *impl, inf_op *op, inf_error *err); /* the request: op_request(op) */
    int32_t (*load)(void *impl, inf_op *op, inf_error *err);
    int32_t (*unload)(void *impl, inf_op *op, inf_error *err);
    /* Takes `source` over when it returns INF_OK. */
    int32_t (*adapter_load)(void *impl, inf_op *op, const char *id, struct adapter_source *source,
                            inf_error *err);
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
};
/* tokenize, detokenize, render and logits copy what they are given. */

/* report->id is the id; copied. Keeps the list sorted. */
int32_t adapter_list_add(inf_adapter_list *list, const inf_adapter_report *report, inf_error *err);

/*
 * The composition root (src/backends.c), the only place that knows every backend.
 * backend_ops: NULL when this build has none of that type; *hint then says what to do.
 * backend_inspect: a JSON object into `out`, as inf_inspect_start describes; runs on a
 * preparation thread, may do I/O.
 */
const struct provider_ops *backend_ops(int32_t type, const char **hint);
int32_t backend_inspect(struct buffer *out, const char *path, const char *base, inf_error *err);

#endif
