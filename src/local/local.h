/*
 * local: the in-process provider as a front door sees it: a row of provider_ops is
 * LOCAL_PROVIDER_SLOTS and a create that calls local_create with the front door's model_ops.
 */
#ifndef INF_LOCAL_LOCAL_H
#define INF_LOCAL_LOCAL_H

#include "local/model.h"

int32_t local_create(void **impl, const struct model_ops *ops, inf_context *ctx,
                     const inf_provider_config *config, inf_error *err);

/* The slots of provider_ops. provider.c: */
void local_destroy(void *impl);
int32_t local_load(void *impl, inf_op *op, inf_error *err);
int32_t local_unload(void *impl, inf_op *op, inf_error *err);
void local_stats(void *impl, inf_provider_stats *stats);
/* generate.c */
int32_t local_generate(void *impl, inf_op *op, inf_error *err);
/* adapters.c */
int32_t local_adapter_load(void *impl, inf_op *op, const char *id,
                           const struct adapter_source *source, inf_error *err);
int32_t local_adapter_unload(void *impl, inf_op *op, const char *id, inf_error *err);
int32_t local_adapters(void *impl, inf_adapter_list *list, inf_error *err);
/* text.c */
int32_t local_tokenize(void *impl, inf_op *op, inf_text text, bool add_special, inf_error *err);
int32_t local_detokenize(void *impl, inf_op *op, const int32_t *ids, size_t n, bool skip_special,
                         inf_error *err);
/* render.c */
int32_t local_render(void *impl, inf_op *op, inf_text messages_json, bool add_generation_prompt,
                     inf_error *err);
/* logits.c */
int32_t local_logits(void *impl, inf_op *op, const inf_logits_request *request, inf_error *err);

#define LOCAL_PROVIDER_SLOTS                                                                       \
    .many_adapters = true, .destroy = local_destroy, .generate = local_generate,                   \
    .load = local_load, .unload = local_unload, .adapter_load = local_adapter_load,                \
    .adapter_unload = local_adapter_unload, .adapters = local_adapters,                            \
    .tokenize = local_tokenize, .detokenize = local_detokenize, .render = local_render,            \
    .logits = local_logits, .stats = local_stats

#endif
