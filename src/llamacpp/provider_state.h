/*
 * provider_state: what the files of the llama.cpp provider share.
 *
 * Locks: p->lock guards header, template, instance, vocabulary and n_instances and is a leaf, held
 * for assignments only. p->load_lock serialises loading (slow, on preparation threads) and is
 * taken before p->lock, never in a callback. Counters are atomics.
 */
#ifndef INF_LLAMACPP_PROVIDER_STATE_H
#define INF_LLAMACPP_PROVIDER_STATE_H

#include "core/context.h"
#include "core/provider.h"
#include "core/registry.h"
#include "text/chat_template.h"
#include "llamacpp/instance.h"
#include "llamacpp/preparation.h"

#include <pthread.h>
#include <sys/stat.h>

struct llamacpp_provider {
    inf_context *context;
    char *path; /* "" when none is set */
    inf_provider_config config;
    struct registry *registry;
    bool native_adapters;

    pthread_mutex_t load_lock;
    pthread_mutex_t lock;
    pthread_cond_t all_freed; /* n_instances became 0 */
    struct gguf_file *file;   /* the model's header, checked; set once */
    struct stat file_status;  /* of the file when its header was read */
    struct gguf_model base;
    struct chat_template *chat_template; /* compiled on first use; set once */
    struct instance *instance;           /* the loaded model */
    struct instance *vocabulary;         /* loaded without weights, for text alone */
    int32_t n_instances;                 /* alive, also those being freed */

    _Atomic int64_t in_flight; /* generate operations from start to end */
    _Atomic int64_t kv_bytes;
    struct scheduler_stats before; /* of instances that are gone; guarded by lock */
};

/* A pin on the adapter of that id, or NULL where none is asked for. INVALID_ARGUMENT when it is not
 * loaded. */
int32_t provider_pin(struct llamacpp_provider *p, inf_text id, const struct adapter **out,
                     inf_error *err);
/* The model's checked header: opens it on first use. INVALID_ARGUMENT when no model is set. */
int32_t provider_header(struct llamacpp_provider *p, const struct gguf_model **out, inf_error *err);
/* A reference to the loaded model, loading it for op if need be. */
int32_t provider_acquire(struct llamacpp_provider *p, inf_op *op, struct instance **out,
                         inf_error *err);
/* A reference to something with the vocabulary: the loaded model, or its vocabulary alone. */
int32_t provider_acquire_vocabulary(struct llamacpp_provider *p, inf_op *op, struct instance **out,
                                    inf_error *err);
/* The compiled chat template, borrowed. UNSUPPORTED when the model has none. */
int32_t provider_template(struct llamacpp_provider *p, const struct chat_template **out,
                          inf_error *err);
/* Messages through that template, until op is to stop; the error is then op's. Sets input->stop. */
int32_t provider_render(struct llamacpp_provider *p, inf_op *op, struct chat_input *input,
                        struct buffer *out, inf_error *err);

/* The slots of provider_ops, by file. */
int32_t llamacpp_generate(void *impl, inf_op *op, inf_error *err);
int32_t llamacpp_adapter_load(void *impl, inf_op *op, const char *id, struct adapter_source *source,
                              inf_error *err);
int32_t llamacpp_adapter_unload(void *impl, inf_op *op, const char *id, inf_error *err);
int32_t llamacpp_adapters(void *impl, inf_adapter_list *list, inf_error *err);
int32_t llamacpp_tokenize(void *impl, inf_op *op, inf_text text, bool add_special, inf_error *err);
int32_t llamacpp_detokenize(void *impl, inf_op *op, const int32_t *ids, size_t n, bool skip_special,
                            inf_error *err);
int32_t llamacpp_render(void *impl, inf_op *op, inf_text messages_json, bool add_generation_prompt,
                        inf_error *err);
int32_t llamacpp_logits(void *impl, inf_op *op, const inf_logits_request *request, inf_error *err);

#endif
