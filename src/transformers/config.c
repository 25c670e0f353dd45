/* config: see the header. */
#include "transformers/config.h"

#include "arch/checkpoint.h"
#include "core/file.h"
#include "core/memory.h"
#include "engine/place.h"
#include "hf/hub_cache.h"
#include "transformers/transformers.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* ------------------------------------------------------------------ where it lies */

/* What a shell would call a path. */
static bool looks_like_path(const char *s)
{
    return s[0] == '/' || s[0] == '~' || strncmp(s, "./", 2) == 0 || strncmp(s, "../", 3) == 0;
}

char *transformers_cached(const char *path)
{
    struct stat info;
    char *dir = NULL;

    if (stat(path, &info) != 0 && !looks_like_path(path) && hub_is_id(path))
        hub_cache_find(&dir, path, NULL);
    return dir;
}

bool transformers_owns(const char *path)
{
    char *dir = transformers_cached(path);
    bool owns = dir || is_directory(path);

    mem_free(dir);
    return owns;
}

int32_t checkpoint_directory(char **dir, const char *model, inf_error *err)
{
    struct stat info;
    bool found = stat(model, &info) == 0;
    bool is_there = found && S_ISDIR(info.st_mode);

    *dir = NULL;
    if (found && !is_there)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "%s is a file; a checkpoint is the directory that has config.json (a GGUF "
                         "file is for the llamacpp provider)",
                         model);
    if (is_there && path_exists(model, "adapter_config.json") && !path_exists(model, "config.json"))
        return error_set(
            err, INF_ERROR_INVALID_ARGUMENT,
            "%s is a PEFT adapter, not a model: give its base model, and load it as an "
            "adapter of that",
            model);
    if (!is_there && looks_like_path(model))
        return error_set_errno(err, ENOENT, "open", model);
    if (!is_there)
        return hub_cache_find(dir, model, err);
    *dir = mem_strdup(model);
    return *dir ? INF_OK : error_no_memory(err);
}

/* ------------------------------------------------------------------ in what numbers */

static const struct {
    const char *name;
    int32_t type;
} dtypes[] = {
    {"auto", WEIGHT_TYPE_AUTO},     {"float32", WEIGHT_TYPE_F32}, {"float16", WEIGHT_TYPE_F16},
    {"bfloat16", WEIGHT_TYPE_BF16}, {"q8_0", WEIGHT_TYPE_Q8_0},   {"q4_0", WEIGHT_TYPE_Q4_0},
    {"q4_k", WEIGHT_TYPE_Q4_K},
};

int32_t weight_type_of(int32_t *type, const char *dtype, inf_error *err)
{
    const char *name = dtype ? dtype : "auto";

    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *type = dtypes[i].type;
            return INF_OK;
        }
    return error_set(
        err, INF_ERROR_INVALID_ARGUMENT,
        "dtype: %.60s is none of auto, float32, float16, bfloat16, q8_0, q4_0 and q4_k", name);
}

const char *weight_type_name(int32_t type)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (dtypes[i].type == type)
            return dtypes[i].name;
    return "unknown";
}

/* ------------------------------------------------------------------ a provider's configuration */

/* cpu where nothing is said, unlike elsewhere: the reference does so. */
static int32_t check_device(inf_provider_config *c, inf_error *err)
{
    bool is_auto = c->device && strcmp(c->device, "auto") == 0;

    if (is_auto && (engine_has_device() || c->n_gpu_layers > 0))
        return INF_OK;
    if (is_auto || !c->device || !*c->device)
        c->device = "cpu"; /* of auto all there is; whoever compares finds it the same */
    return engine_check_device(c, err);
}

int32_t transformers_check_config(inf_provider_config *config, inf_error *err)
{
    int32_t type = 0;
    int32_t code = weight_type_of(&type, config->dtype, err);

    if (type == WEIGHT_TYPE_AUTO)
        config->dtype = NULL;
    return code == INF_OK ? check_device(config, err) : code;
}
