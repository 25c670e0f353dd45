/* families: see the header. */
#include "arch/families.h"

#include <stdio.h>
#include <string.h>

static const struct family *const families[] = {
    &family_llama,   &family_qwen2, &family_qwen3,   &family_gemma2,   &family_gemma3, &family_phi3,
    &family_smollm3, &family_gpt2,  &family_mixtral, &family_qwen3moe, &family_qwen35,
};

enum { FAMILIES = sizeof families / sizeof families[0] };

/* Two families may be one architecture. */
static bool is_named_before(size_t i)
{
    for (size_t before = 0; before < i; before++)
        if (strcmp(families[before]->name, families[i]->name) == 0)
            return true;
    return false;
}

static int32_t refuse(const char *name, inf_error *err)
{
    char list[256] = "";
    size_t at = 0;

    for (size_t i = 0; i < FAMILIES && at < sizeof list; i++) {
        const struct family *f = families[i];
        bool covers = f->covers != NULL;

        if (is_named_before(i))
            continue;
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s%s%s%s",
                               i == 0              ? ""
                               : i + 1 == FAMILIES ? " and "
                                                   : ", ",
                               f->name, covers ? " (" : "", covers ? f->covers : "",
                               covers ? ")" : "");
    }
    return error_set(
        err, INF_ERROR_UNSUPPORTED,
        "adapters for models of architecture \"%.60s\" are not supported; they are for "
        "%s",
        name, list);
}

int32_t family_find(const struct family **out, const char *name, inf_error *err)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        if (strcmp(families[i]->name, name) == 0) {
            *out = families[i];
            return INF_OK;
        }
    }
    return refuse(name, err);
}

bool family_states_independent(const char *name)
{
    const struct family *family = NULL;

    return family_find(&family, name, NULL) == INF_OK && family->states_independent;
}

/* ------------------------------------------------------------------ checkpoints */

static bool has_type(const struct family *f, const char *model_type)
{
    for (const char *const *t = f->model_types; *t; t++)
        if (strcmp(*t, model_type) == 0)
            return true;
    return false;
}

static int32_t refuse_type(const char *model_type, inf_error *err)
{
    char list[320] = "";
    size_t at = 0;

    for (size_t i = 0; i < FAMILIES; i++)
        for (const char *const *t = families[i]->model_types; *t && at < sizeof list; t++)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", *t);
    return error_set(
        err, INF_ERROR_UNSUPPORTED,
        "config.json: \"model_type\" is \"%.60s\", which this version does not load; it "
        "loads %s; convert the checkpoint to GGUF and use llamacpp",
        model_type, list);
}

int32_t family_of_checkpoint(const struct family **out, const char *model_type, inf_error *err)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        if (has_type(families[i], model_type)) {
            *out = families[i];
            return INF_OK;
        }
    }
    return refuse_type(model_type, err);
}
