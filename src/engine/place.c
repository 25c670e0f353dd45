/* place: see the header. */
#include "engine/place.h"

#include "core/context.h"
#include "core/error.h"
#include "engine/guard.h"
#include "kernels/path.h"

#include <ggml-backend.h>
#include <string.h>
#include <strings.h>

/* ggml names devices after their backend: CUDA0, Vulkan1, MTL0 (Metal). */
static bool is_of(ggml_backend_dev_t device, const char *kind)
{
    const char *prefix = strcasecmp(kind, "mps") == 0 || strcasecmp(kind, "metal") == 0 ? "MTL"
                                                                                        : kind;

    return strncasecmp(ggml_backend_dev_name(device), prefix, strlen(prefix)) == 0;
}

/* kind NULL: of any. */
static bool has_device(const char *kind)
{
    guard_start();
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        ggml_backend_dev_t device = ggml_backend_dev_get(i);
        enum ggml_backend_dev_type type = ggml_backend_dev_type(device);

        if ((type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU) &&
            (!kind || is_of(device, kind)))
            return true;
    }
    return false;
}

bool engine_has_device(void)
{
    return has_device(NULL);
}

int32_t engine_check_device(inf_provider_config *config, inf_error *err)
{
    if (strcmp(config->device, "cpu") != 0 && has_device(config->device))
        return INF_OK;
    if (strcmp(config->device, "cpu") != 0)
        return error_set(
            err, INF_ERROR_UNSUPPORTED,
            "device: %.60s is not there for this build of the library; use cpu or auto",
            config->device);
    if (config->n_gpu_layers > 0)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "device: cpu and n_gpu_layers %d contradict each other",
                         config->n_gpu_layers);
    config->n_gpu_layers = 0;
    return INF_OK;
}

int32_t engine_choose_place(struct engine_place *out, inf_context *ctx,
                            const inf_provider_config *config, const char *instead, inf_error *err)
{
    if (kernel_path_check(err) != INF_OK)
        return INF_ERROR_INVALID_ARGUMENT;
    out->on_device = config->n_gpu_layers != 0 && engine_has_device();
    if (config->n_gpu_layers > 0 && !out->on_device)
        context_log(ctx, INF_LOG_WARNING,
                    "n_gpu_layers %d: there is no device for them, the CPU computes all layers",
                    config->n_gpu_layers);
    if (config->adapter_execution == INF_ADAPTERS_SHARED && out->on_device)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "adapter_execution shared needs the weights in host memory; set %s or "
                         "adapter_execution to auto",
                         instead);
    out->native_adapters = config->adapter_execution == INF_ADAPTERS_NATIVE ||
                           (config->adapter_execution == INF_ADAPTERS_AUTO && out->on_device);
    return INF_OK;
}
