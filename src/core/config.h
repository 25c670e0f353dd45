/* config: inf_provider_config, checked against a provider's row, copied and compared. */
#ifndef INF_CORE_CONFIG_H
#define INF_CORE_CONFIG_H

#include "core/error.h"
#include "core/provider.h"

enum { CONFIG_MAX_CONNECTIONS = 256 }; /* where nobody says another number */

/* Ranges, and what the provider has no use for; settles what its row settles. */
int32_t config_check(inf_provider_config *config, const struct provider_ops *ops, inf_error *err);
/* A copy with texts of its own; base_url stays out of it. */
int32_t config_copy(inf_provider_config *out, const inf_provider_config *config, inf_error *err);
void config_free(inf_provider_config *config); /* of a copy */
/* INVALID_ARGUMENT, naming the first field but type and base_url in which they differ. */
int32_t config_compare(const inf_provider_config *made, const inf_provider_config *wanted,
                       inf_error *err);

#endif
