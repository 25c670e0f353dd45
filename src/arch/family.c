/* family: see the header. */
#include "arch/family.h"

#include "core/ascii.h"

#include <string.h>

const struct family_layer split_layers[] = {
    {"self_attn.q_proj", "attn_q", HEADS_Q},    {"self_attn.k_proj", "attn_k", HEADS_K},
    {"self_attn.v_proj", "attn_v", HEADS_NONE}, {"self_attn.o_proj", "attn_output", HEADS_NONE},
    {"mlp.gate_proj", "ffn_gate", HEADS_NONE},  {"mlp.up_proj", "ffn_up", HEADS_NONE},
    {"mlp.down_proj", "ffn_down", HEADS_NONE},  {.module = NULL},
};

/* Behind "<number>.", or NULL; without leading zeros. */
static const char *take_number(const char *s, int32_t *number)
{
    int32_t n = 0;
    const char *p = s;

    for (; is_digit(*p) && p - s < 6; p++)
        n = n * 10 + (*p - '0');
    if (p == s || *p != '.' || (*s == '0' && p > s + 1))
        return NULL;
    *number = n;
    return p + 1;
}

const char *family_in_block(const char *name, int32_t *block)
{
    return take_number(name, block);
}

const struct family_layer *family_find_module(const struct family *f, const char *name,
                                              int32_t *block)
{
    const char *module = take_number(name, block);

    for (const struct family_layer *l = f->layers; module && l->module; l++)
        if (strcmp(module, l->module) == 0)
            return l;
    return NULL;
}

bool family_has_tensor(const struct family *f, const char *tensor)
{
    int32_t block = 0;
    const char *name = strncmp(tensor, "blk.", 4) == 0 ? take_number(tensor + 4, &block) : NULL;

    for (const struct family_layer *l = f->layers; name && l->tensor; l++) {
        size_t n = strlen(l->tensor);

        if (strncmp(name, l->tensor, n) == 0 && strcmp(name + n, ".weight") == 0)
            return true;
    }
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
    for (const char *const *p = f->checkpoint ? f->checkpoint->ignored : NULL; p && *p; p++)
        if (matches(*p, tensor))
            return true;
    return false;
}
