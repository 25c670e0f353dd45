/*
 * config: what of a provider's configuration a GGUF file has no use for, and where it computes.
 */
#include "llamacpp/llamacpp.h"

#include "core/error.h"
#include "engine/place.h"

#include <string.h>

static bool is_auto(const char *value)
{
    return !value || strcmp(value, "auto") == 0;
}

int32_t llamacpp_check_config(inf_provider_config *config, inf_error *err)
{
    if (!is_auto(config->dtype))
        return error_set(
            err, INF_ERROR_UNSUPPORTED,
            "dtype: a GGUF file has its own types, %s cannot be asked for; leave it out, or "
            "quantize the file to another type",
            config->dtype);
    config->dtype = NULL; /* "auto" is as if nothing was said, for whoever compares too */
    if (!is_auto(config->device))
        return engine_check_device(config, err);
    config->device = NULL;
    return INF_OK;
}
