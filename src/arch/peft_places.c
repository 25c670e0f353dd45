/*
 * peft_places: which weight of a model a module's name means.
 *
 * Norms and embeddings have the names that the family's checkpoints give them; experts and routers those
 * of transformers, whatever the family.
 */
#include "arch/peft_parts.h"

#include <string.h>

/* Beside a family's layers, where the model has them. */
static const struct family_weight routers[] = {
    {WEIGHT("mlp.gate.weight", "ffn_gate_inp.weight", SIZE_EXPERTS, SIZE_EMBD)},
    {WEIGHT("block_sparse_moe.gate.weight", "ffn_gate_inp.weight", SIZE_EXPERTS, SIZE_EMBD)},
    {.module = NULL},
};

/* ------------------------------------------------------------------ names */

void name_add(struct name *n, const char *text, size_t len)
{
    size_t room = sizeof n->text - 1 - n->len;

    len = len < room ? len : room;
    memcpy(n->text + n->len, text, len);
    n->len += len;
    n->text[n->len] = '\0';
}

void name_add_block(struct name *n, int32_t block)
{
    char digits[12], *at = digits + sizeof digits;

    *--at = '.';
    do {
        *--at = (char)('0' + block % 10);
        block /= 10;
    } while (block > 0);
    *--at = '.';
    name_add(n, at, (size_t)(digits + sizeof digits - at));
}

const struct gguf_tensor *find_tensor(const struct gguf_model *model, int32_t block,
                                      const char *tensor)
{
    struct name name = {.len = 0};

    if (block < 0)
        return gguf_file_find(model->file, tensor);
    name_add(&name, "blk", strlen("blk"));
    name_add_block(&name, block);
    name_add(&name, tensor, strlen(tensor));
    return gguf_file_find(model->file, name.text);
}

/* ------------------------------------------------------------------ a family's rows */

const struct family_weight *find_row(const struct family_weight *rows, const char *module,
                                     const char *suffix)
{
    size_t n = strlen(module);

    for (const struct family_weight *w = rows; w->module; w++) {
        const char *name = w->module[0] == '^' ? w->module + 1 : w->module;

        if (strncmp(name, module, n) == 0 && strcmp(name + n, suffix) == 0)
            return w;
    }
    return NULL;
}

static const struct family_weight *find_layer(const struct family *family, const char *module)
{
    const struct family_weight *w = find_row(family->weights, module, ".weight");

    return w && family_is_layer(w) ? w : find_row(routers, module, ".weight");
}

/* A norm: one whose weight is a vector, of which nothing but the values is changed. */
static bool find_norm(struct place *out, const struct family_weight *rows, const char *module)
{
    const struct family_weight *w = find_row(rows, module, ".weight");

    if (!w || w->shape[1] != SIZE_END || (w->change && (w->change->row || w->change->column)))
        return false;
    out->vector = w;
    out->bias = find_row(rows, module, ".bias");
    return true;
}

/* The tensor that such a module looks up in, of tokens or of positions; NULL: it is none. */
static const char *looked_up(const struct family *family, const char *module)
{
    static const char *const tables[] = {"token_embd.weight", "position_embd.weight"};
    const struct family_weight *w = find_row(family->globals, module, ".weight");

    for (size_t i = 0; w && i < sizeof tables / sizeof tables[0]; i++)
        if (strcmp(w->tensor, tables[i]) == 0)
            return tables[i];
    return !w && strcmp(module, "embed_tokens") == 0 ? tables[0] : NULL;
}

bool is_token_table(const struct gguf_tensor *t)
{
    return strcmp(t->name, "token_embd.weight") == 0;
}

/* ------------------------------------------------------------------ places */

/* "mlp.experts.<number>.gate_proj": how transformers 4 has experts, each a module of its own. */
static void find_expert(struct place *out, const struct gguf_model *model, const char *module)
{
    static const char *const lists[] = {"mlp.experts.", "block_sparse_moe.experts."};
    static const char *const stacks[][2] = {
        {"gate_proj", STACK_GATE}, {"up_proj", STACK_UP}, {"down_proj", STACK_DOWN},
        {"w1", STACK_GATE},        {"w3", STACK_UP},      {"w2", STACK_DOWN},
    };
    const char *name = NULL;
    int32_t expert = 0;

    for (size_t i = 0; i < 2 && !name; i++)
        if (strncmp(module, lists[i], strlen(lists[i])) == 0)
            name = family_in_block(module + strlen(lists[i]), &expert);
    for (size_t i = 0; name && i < sizeof stacks / sizeof stacks[0]; i++)
        if (strcmp(name, stacks[i][0]) == 0)
            out->base = find_tensor(model, out->block, stacks[i][1]);
    if (out->base)
        out->expert = expert;
}

/* What "<number>.<module>" is; the block alone where it may be experts. */
static void find_in_block(struct place *out, const struct planning *p, const char *name)
{
    const char *module = family_in_block(name, &out->block);

    if (!module)
        return;
    out->layer = find_layer(p->family, module);
    if (!out->layer && !find_norm(out, p->family->weights, module))
        find_expert(out, p->model, module);
}

/* What a name without its prefix is; false: nothing. */
static bool find_by_name(struct place *out, const struct planning *p, const char *name)
{
    const struct family *family = p->family;
    size_t blocks = strlen(family->blocks);

    out->block = -1;
    if (strcmp(name, "lm_head") == 0) {
        out->base = output_weight(p->model);
    } else if (looked_up(family, name)) {
        out->base = gguf_file_find(p->model->file, looked_up(family, name));
        out->is_embedding = true;
    } else if (strncmp(name, family->blocks, blocks) == 0 && name[blocks] == '.') {
        find_in_block(out, p, name + blocks + 1);
    } else {
        find_norm(out, family->globals, name);
    }
    return out->base || out->layer || out->vector || out->block >= 0;
}

void find_place(struct place *out, const struct planning *p, const char *module)
{
    const struct family_weight *row = NULL;

    for (const char *const *prefix = family_prefixes; *prefix; prefix++) {
        size_t n = strlen(*prefix);

        *out = (struct place){.prefix = *prefix, .block = -1, .expert = -1};
        if (strncmp(module, *prefix, n) == 0 && find_by_name(out, p, module + n))
            break;
    }
    row = out->layer ? out->layer : out->vector;
    if (row)
        out->base = find_tensor(p->model, out->block, row->tensor);
}
