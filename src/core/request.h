/* request: a user's request, checked for a provider and copied. */
#ifndef INF_CORE_REQUEST_H
#define INF_CORE_REQUEST_H

#include "core/error.h"
#include "core/provider.h"

/* The adapters that a request names, in whichever form. */
struct adapter_names {
    inf_text *id;
    inf_maybe_f32 *scale;
    const inf_request_adapter **list;
    size_t *n;
};
/* Checks them, and makes of one its other form too: `single` is where the list then is. */
int32_t adapter_names_settle(const struct adapter_names *a, inf_request_adapter *single,
                             const struct provider_ops *ops, inf_error *err);

/* A validated deep copy, one block, for such a provider. */
int32_t request_copy(inf_request **out, const inf_request *request, const struct provider_ops *ops,
                     inf_error *err);

#endif
