/* family: see the header. */
#include "arch/family.h"

#include "core/ascii.h"

#include <string.h>

const char *const family_prefixes[] = {"model.language_model.",
                                       "language_model.model.",
                                       "language_model.",
                                       "transformer.",
                                       "model.",
                                       "",
                                       NULL};

/* Without leading zeros. */
const char *family_in_block(const char *name, int32_t *block)
{
    int32_t n = 0;
    const char *p = name;

    for (; is_digit(*p) && p - name < 6; p++)
        n = n * 10 + (*p - '0');
    if (p == name || *p != '.' || (*name == '0' && p > name + 1))
        return NULL;
    *block = n;
    return p + 1;
}

bool family_is_layer(const struct family_weight *w)
{
    return w->shape[1] != SIZE_END && w->shape[2] == SIZE_END && !strchr(w->module, '#');
}

bool family_has_tensor(const struct family *f, const char *tensor)
{
    int32_t block = 0;
    const char *name = strncmp(tensor, "blk.", 4) == 0 ? family_in_block(tensor + 4, &block) : NULL;

    for (const struct family_weight *w = f->weights; name && w->module; w++)
        if (family_is_layer(w) && strcmp(name, w->tensor) == 0)
            return true;
    return strcmp(tensor, "output.weight") == 0;
}

/* '*' stands for anything. */
static bool matches(const char *pattern, const char *name)
{
    const char *star = NULL;
    const char *from = name;

    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            from = name;
        } else if (*pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool family_ignores(const struct family *f, const char *tensor)
{
    for (const char *const *p = f->ignored; *p; p++)
        if (matches(*p, tensor))
            return true;
    return false;
}
