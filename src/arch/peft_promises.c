/*
 * peft_promises: what must be in an adapter beside what is: each module of the model that target_modules
 * selects, each part that modules_to_save and "bias" name, all experts of a block or none.
 */
#include "arch/peft_parts.h"

#include "core/ascii.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct peft_module *)element)->name);
}

static const struct peft_module *find_module(const struct peft_adapter *a, const char *name)
{
    return bsearch(name, a->modules, a->n_modules, sizeof *a->modules, by_name);
}

/* ------------------------------------------------------------------ target_modules */

/* A module of the model: refused when target_modules selects it and the adapter lacks it. */
static int32_t check_module(struct planning *p, const char *module, bool is_output, inf_error *err)
{
    bool selected = false;
    inf_error why;
    int32_t code = INF_OK;

    if (find_module(p->adapter, module))
        return INF_OK;
    code = peft_config_selects(p->adapter->config, module, is_output, &selected, err);
    if (code == INF_OK && selected) {
        error_set(&why, INF_ERROR_MISMATCH,
                  "target_modules of adapter_config.json selects \"%.160s\" of the model, but "
                  "adapter_model.safetensors has nothing for it",
                  module);
        note_misfit(p, &why);
    }
    return code;
}

/* A layer of a block, if the model has it. */
static int32_t check_layer(struct planning *p, const struct name *in_block, int32_t block,
                           const struct family_weight *w, inf_error *err)
{
    struct name module = *in_block;

    name_add(&module, w->module, (size_t)stem_length(w));
    if (find_module(p->adapter, module.text) || !find_tensor(p->model, block, w->tensor))
        return INF_OK;
    return check_module(p, module.text, false, err);
}

/* Every linear layer of the model, named with the prefix that the adapter uses. */
static int32_t check_targets(struct planning *p, inf_error *err)
{
    const char *blocks = p->family->blocks;
    const char *tokens = strcmp(blocks, "h") == 0 ? "wte" : "embed_tokens";
    struct name before = {.len = 0}, module;
    int32_t code = INF_OK;

    name_add(&before, p->prefix, strlen(p->prefix));
    for (int32_t block = 0; block < p->model->n_layer; block++) {
        module = before;
        name_add(&module, blocks, strlen(blocks));
        name_add_block(&module, block);
        for (const struct family_weight *w = p->family->weights; w->module && code == INF_OK; w++)
            if (family_is_layer(w))
                code = check_layer(p, &module, block, w, err);
    }
    if (code == INF_OK)
        code = check_module(p, "lm_head", true, err);
    name_add(&before, tokens, strlen(tokens));
    return code == INF_OK ? check_module(p, before.text, true, err) : code;
}

/* ------------------------------------------------------------------ modules_to_save, bias */

/* A part of the base that the file must have, in full: its weight, or, with `bias`, its bias. */
static void check_kept(struct planning *p, const char *module, bool bias)
{
    const struct peft_module *m = find_module(p->adapter, module);
    inf_error why;

    if (m && (bias ? m->whole_bias : m->whole))
        return;
    error_set(&why, INF_ERROR_MISMATCH,
              "\"%s\" of adapter_config.json is for \"%.160s\" of the model, but "
              "adapter_model.safetensors has no %s for it",
              bias ? "bias" : "modules_to_save", module, bias ? "bias" : "weight");
    note_misfit(p, &why);
}

/* Whether the config says that a part, "<module>.weight" or "<module>.bias", is trained in full. */
static int32_t is_kept(struct peft_config *c, const char *module, bool bias, bool *kept,
                       inf_error *err)
{
    int32_t code = peft_config_saves(c, module, kept, err);

    if (code != INF_OK || *kept || !bias || !peft_config_says(c)->biases)
        return code;
    *kept = peft_config_says(c)->all_biases;
    return *kept ? INF_OK : peft_config_selects(c, module, false, kept, err);
}

/* The parts in a list of a family's. */
static int32_t check_kept_rows(struct planning *p, const struct family_weight *rows, int32_t block,
                               inf_error *err)
{
    char module[NAME_SIZE];
    int32_t code = INF_OK;

    for (const struct family_weight *w = rows; w->module && code == INF_OK; w++) {
        const char *suffix = strrchr(w->module, '.');
        bool bias = suffix && strcmp(suffix, ".bias") == 0, kept = false;
        int n = suffix ? (int)(suffix - w->module) : 0;

        if ((!bias && (!suffix || strcmp(suffix, ".weight") != 0)) || strchr(w->module, '#') ||
            !find_tensor(p->model, block, w->tensor))
            continue;
        if (block >= 0)
            snprintf(module, sizeof module, "%s%s.%d.%.*s", p->prefix, p->family->blocks, block, n,
                     w->module);
        else if (w->module[0] == '^')
            snprintf(module, sizeof module, "%s%.*s", p->prefix, n - 1, w->module + 1);
        else
            snprintf(module, sizeof module, "%.*s", n, w->module);
        code = is_kept(p->adapter->config, module, bias, &kept, err);
        if (code == INF_OK && kept)
            check_kept(p, module, bias);
    }
    return code;
}

static int32_t check_named(struct planning *p, inf_error *err)
{
    const struct peft_says *says = peft_config_says(p->adapter->config);
    int32_t code = says->has_targets ? check_targets(p, err) : INF_OK;

    if (code != INF_OK || p->n_misfits > 0 || (!says->has_saved && !says->biases))
        return code;
    code = check_kept_rows(p, p->family->globals, -1, err);
    for (int32_t block = 0; block < p->model->n_layer && code == INF_OK; block++)
        code = check_kept_rows(p, p->family->weights, block, err);
    return code;
}

/* Whether the family's models are parts of larger ones too, whose names have more before them. */
static bool is_nested(const struct family *family)
{
    for (const char *const *t = family->model_types; *t; t++)
        if (text_ends(*t, strlen(*t), "_text"))
            return true;
    return false;
}

/* An adapter of the head alone may be for the model or for a larger one around it: what it promises must
 * hold for one of them. */
int32_t check_promises(struct planning *p, inf_error *err)
{
    bool known = p->prefix != NULL;
    int32_t code = INF_OK;

    if (!known)
        p->prefix = p->family->prefix;
    code = check_named(p, err);
    if (code == INF_OK && p->n_misfits > 0 && !known && is_nested(p->family)) {
        struct planning nested = *p;

        nested.prefix = family_prefixes[0];
        nested.n_misfits = 0;
        code = check_named(&nested, err);
        if (code == INF_OK && nested.n_misfits == 0)
            *p = nested;
    }
    return code;
}

/* ------------------------------------------------------------------ experts */

/* The experts that lie apart in a block, of that part; NULL: none. */
static const struct lora_plan_module *stack_in(const struct planning *p, int32_t block,
                                               const char *part)
{
    const struct gguf_tensor *t = find_tensor(p->model, block, part);

    return t ? find_stack(p->plan, t) : NULL;
}

static bool is_whole_stack(const struct lora_plan_module *m)
{
    for (int32_t e = 0; m && e < m->n_experts; e++)
        if (!m->experts_a[e].name)
            return false;
    return true;
}

/*
 * What peft makes of modules of single experts when it loads them: gate and up become one parameter, so
 * that neither goes without the other; without down they are dropped, and with rslora they come out too
 * strong, both in silence.
 */
static int32_t check_block(const struct planning *p, int32_t block, inf_error *err)
{
    const struct lora_plan_module *gate = stack_in(p, block, STACK_GATE);
    const struct lora_plan_module *up = stack_in(p, block, STACK_UP);
    const struct lora_plan_module *down = stack_in(p, block, STACK_DOWN);
    const char *what = NULL;

    if (!is_whole_stack(gate) || !is_whole_stack(up) || !is_whole_stack(down))
        what = "has some of its experts only";
    else if (!gate != !up)
        what = "has one of gate and up without the other";
    else if (gate && !down)
        what = "has gate and up without down";
    else if (gate && (gate->rank != up->rank || gate->scale != up->scale))
        what = "has other ranks or scales for gate than for up";
    else if (gate && peft_config_says(p->adapter->config)->rslora)
        what = "has use_rslora";
    if (!what)
        return INF_OK;
    return error_set(
        err, INF_ERROR_UNSUPPORTED,
        "LoRA on modules of single experts: block %d %s, which peft does not load as it was "
        "trained",
        block, what);
}

int32_t check_experts(const struct planning *p, inf_error *err)
{
    int32_t code = INF_OK;

    for (int32_t block = 0; block < p->model->n_layer && code == INF_OK; block++)
        code = check_block(p, block, err);
    return code;
}
