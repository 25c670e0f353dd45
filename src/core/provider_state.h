/*
 * provider_state: what a provider is made of, for the files of core.
 */
#ifndef INF_CORE_PROVIDER_STATE_H
#define INF_CORE_PROVIDER_STATE_H

#include "core/context.h"
#include "core/error.h"
#include "core/provider.h"

#include <stdatomic.h>

struct inf_provider {
    _Atomic int32_t refs; /* users, the cache, operations in flight */
    inf_context *context;
    const struct provider_ops *ops;
    void *impl; /* guarded by the context's lock, as the links are */
    char *base_url;
    inf_provider_config config; /* as it was made with, its texts owned */
    bool cached;                /* it holds one reference; guarded by the context's lock */
    inf_provider *next, *previous;
    struct job destroy_job;
};

inf_provider *provider_ref(inf_provider *p);
void provider_unref(inf_provider *p);
/* A provider over any table of slots, outside the cache. */
int32_t provider_create_with_ops(inf_provider **out, inf_context *ctx,
                                 const struct provider_ops *ops, const inf_provider_config *config,
                                 inf_error *err);
/* The provider's own list, into `list`. */
int32_t provider_list_adapters(inf_provider *p, inf_adapter_list *list, inf_error *err);
/* Empties the cache and destroys what every provider left has inside; for closing. */
void providers_close(inf_context *ctx);

#endif
