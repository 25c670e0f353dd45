/* families: see the header. */
#include "arch/families.h"

#include <stdio.h>
#include <string.h>

static const struct family *const families[] = {
    &family_llama,  &family_qwen2, &family_qwen3,   &family_gemma2,
    &family_gemma3, &family_phi3,  &family_smollm3, &family_gpt2,
};

enum { FAMILIES = sizeof families / sizeof families[0] };

static int32_t refuse(const char *name, inf_error *err)
{
    char list[256] = "";
    size_t at = 0;

    for (size_t i = 0; i < FAMILIES && at < sizeof list; i++) {
        const struct family *f = families[i];
        bool covers = f->covers != NULL;

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
