/* place: where a model computes: which devices there are, and what a configuration chooses of them. Any thread. */
#ifndef INF_ENGINE_PLACE_H
#define INF_ENGINE_PLACE_H

#include <inference/inference.h>

/* Whether there is a device with memory of its own, or a GPU that shares the host's. */
bool engine_has_device(void);

/* Of a config that names a device, which is not "auto": "cuda", "mps", "metal", "vulkan", ..., or "cpu", where no
 * layer is put elsewhere then. UNSUPPORTED: it is not there; INVALID_ARGUMENT: cpu, and layers for a device. */
int32_t engine_check_device(inf_provider_config *config, inf_error *err);

/* Where a provider of this config computes; layers for a device that is not there are logged. UNSUPPORTED: shared
 * adapters with weights on a device; `instead` is what to set ("n_gpu_layers to 0"). */
struct engine_place {
    bool on_device, native_adapters;
};
int32_t engine_choose_place(struct engine_place *out, inf_context *ctx,
                            const inf_provider_config *config, const char *instead, inf_error *err);

#endif
