/* peft_tensors: the tensors of an adapter's file, their names taken apart and put together as modules. */
#include "hf/files/peft_parts.h"

#include "core/memory.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- names */

#define MEMBER(name) offsetof(struct peft_module, name)

/* How a tensor's name ends, behind the module's: the adapter's name may stand between mark and end. And
 * what it is: which member of its module, and of what kind that is; -1: any that has LoRA, or, of a bias,
 * one trained in full. */
static const struct form {
    const char *mark, *end;
    size_t member;
    int32_t kind;
} forms[] = {
    {".lora_A", ".weight", MEMBER(a), PEFT_LINEAR},
    {".lora_B", ".weight", MEMBER(b), PEFT_LINEAR},
    {".lora_B", ".bias", MEMBER(bias), -1},
    {".lora_magnitude_vector", "", MEMBER(magnitude), -1},
    {".lora_magnitude_vector", ".weight", MEMBER(magnitude), -1},
    {".lora_embedding_A", "", MEMBER(a), PEFT_EMBEDDING},
    {".lora_embedding_B", "", MEMBER(b), PEFT_EMBEDDING},
    {".token_adapter.trainable_tokens_delta", "", MEMBER(rows), PEFT_TOKENS},
    {".base_layer.weight", "", MEMBER(base), -1},
    /* the mark may be missing: trained in full */
    {".modules_to_save", ".weight", MEMBER(whole), PEFT_SAVED},
    {".modules_to_save", ".bias", MEMBER(whole_bias), -1},
};
enum { N_FORMS = sizeof forms / sizeof forms[0], FORM_WHOLE = N_FORMS - 2, FORM_WHOLE_BIAS };

/* A tensor of the file, its name taken apart. */
struct piece {
    const char *module; /* start of the module's name within the tensor's */
    size_t module_len;
    const struct form *form;
    const struct safetensors_tensor *tensor;
};

/* "<module><mark>" or "<module><mark>.<adapter>"; the module's length. */
static bool is_marked(const char *name, size_t len, const char *mark, size_t *module_len)
{
    size_t before = len;

    if (peft_ends_with(name, len, mark, module_len))
        return *module_len > 0;
    while (before > 0 && name[before - 1] != '.')
        before--;
    return before > 1 && before < len && peft_ends_with(name, before - 1, mark, module_len) &&
           *module_len > 0;
}

/* What is in the file of a module trained in full; older versions of peft name what it is in there. */
static bool is_whole(const char *name, size_t len, struct piece *out)
{
    size_t stem = 0;

    out->form = &forms[text_ends(name, len, ".bias") ? FORM_WHOLE_BIAS : FORM_WHOLE];
    if (!peft_ends_with(name, len, out->form->end, &stem))
        return false;
    if (!is_marked(name, stem, out->form->mark, &out->module_len))
        out->module_len = stem;
    return out->module_len > 0;
}

int32_t peft_refuse_tensor(const char *name, inf_error *err)
{
    static const struct {
        const char *mark, *what;
    } known[] = {
        {"lora_diag", "KaSA"},
        {"embed_tokens", "trained or resized embeddings"},
        {"lm_head", "a trained or resized output layer"},
        {".bias", "a trained bias"},
    };
    const char *what = "no LoRA matrix";

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strstr(name, known[i].mark)) {
            what = known[i].what;
            break;
        }
    }
    return error_set(err, INF_ERROR_UNSUPPORTED,
                     WEIGHTS_NAME ": tensor \"%.160s\" is %s, which is not supported here: "
                                  "neither is it LoRA nor does modules_to_save name it",
                     name, what);
}

static bool is_form(const struct form *f, const char *name, size_t len, struct piece *out)
{
    size_t stem = len;

    out->form = f;
    return (f->end[0] == '\0' || peft_ends_with(name, len, f->end, &stem)) &&
           is_marked(name, stem, f->mark, &out->module_len);
}

/* The rest of a name that has none of the forms: a module trained in full, if the config says so. */
static int32_t take_whole(struct piece *out, struct peft_adapter *p, size_t len, inf_error *err)
{
    const struct safetensors_tensor *t = out->tensor;
    bool saved = false;
    char *module = NULL;
    int32_t code = INF_OK;

    if (!is_whole(out->module, len, out))
        return peft_refuse_tensor(t->name, err);
    if (out->form == &forms[FORM_WHOLE_BIAS] && peft_config_says(p->config)->biases) {
        peft_ends_with(out->module, out->module_len, ".base_layer", &out->module_len);
        return INF_OK;
    }
    module = mem_strndup(out->module, out->module_len);
    code = module ? peft_config_saves(p->config, module, &saved, err) : error_no_memory(err);
    /* a head that is kept tied to embeddings trained in full is beside them */
    if (code == INF_OK && !saved && peft_config_says(p->config)->ties &&
        text_ends(module, out->module_len, "lm_head"))
        saved = peft_config_says(p->config)->has_saved;
    mem_free(module);
    return code != INF_OK || saved ? code : peft_refuse_tensor(t->name, err);
}

static int32_t take_apart(struct piece *out, struct peft_adapter *p,
                          const struct safetensors_tensor *t, inf_error *err)
{
    static const char prefix[] = "base_model.model.";
    const char *name = t->name;
    size_t len = 0;

    if (text_has_control(name))
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         WEIGHTS_NAME ": the tensor name \"%.160s\" holds control characters",
                         name);
    if (strncmp(name, prefix, sizeof prefix - 1) == 0)
        name += sizeof prefix - 1;
    len = strlen(name);
    *out = (struct piece){.module = name, .tensor = t};
    for (size_t i = 0; i < FORM_WHOLE; i++)
        if (is_form(&forms[i], name, len, out))
            return INF_OK;
    return take_whole(out, p, len, err);
}

static int compare_modules(const struct piece *x, const struct piece *y)
{
    size_t n = x->module_len < y->module_len ? x->module_len : y->module_len;
    int order = memcmp(x->module, y->module, n);

    return order != 0 ? order : (x->module_len > y->module_len) - (x->module_len < y->module_len);
}

static int by_module(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    int order = compare_modules(x, y);

    return order != 0 ? order : (x->form > y->form) - (x->form < y->form);
}

/* ---------------------------------------------------------------- pairing */

/* Puts one piece into its module. */
static int32_t join_piece(struct peft_module *m, const struct piece *piece, inf_error *err)
{
    const struct safetensors_tensor **slot =
        (const struct safetensors_tensor **)(void *)((char *)m + piece->form->member);
    int32_t kind = piece->form->kind;

    if (*slot)
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         WEIGHTS_NAME ": \"%.160s\" and \"%.160s\" are for the same module; save "
                                      "one adapter only",
                         (*slot)->name, piece->tensor->name);
    if (kind >= 0 && m->kind >= 0 && kind != m->kind)
        return error_set(err, INF_ERROR_BAD_FORMAT,
                         WEIGHTS_NAME ": \"%.160s\" is for a module that is trained in another way "
                                      "too, as peft does not",
                         piece->tensor->name);
    m->kind = kind >= 0 ? kind : m->kind;
    *slot = piece->tensor;
    return INF_OK;
}

/* `pieces` sorted by module: fills modules and their names. */
static int32_t join_pieces(struct peft_adapter *p, const struct piece *pieces, size_t n,
                           inf_error *err)
{
    char *name = p->names;
    int32_t code = INF_OK;

    for (size_t i = 0; i < n && code == INF_OK; i++) {
        if (i == 0 || compare_modules(&pieces[i - 1], &pieces[i]) != 0) {
            p->modules[p->n_modules++] = (struct peft_module){.name = name, .kind = -1};
            memcpy(name, pieces[i].module, pieces[i].module_len);
            name += pieces[i].module_len;
            *name++ = '\0';
        }
        code = join_piece(&p->modules[p->n_modules - 1], &pieces[i], err);
    }
    return code;
}

/* Every tensor taken apart; *bytes is what the module names need. */
static int32_t list_pieces(struct piece *pieces, struct peft_adapter *p, size_t *bytes,
                           inf_error *err)
{
    size_t n = safetensors_count(p->weights);

    for (size_t i = 0; i < n; i++) {
        int32_t code = take_apart(&pieces[i], p, safetensors_at(p->weights, i), err);

        if (code != INF_OK)
            return code;
        *bytes += pieces[i].module_len + 1;
    }
    for (size_t i = 1; i < n; i++)
        if (by_module(&pieces[i - 1], &pieces[i]) > 0) { /* seldom: their names are sorted */
            qsort(pieces, n, sizeof *pieces, by_module);
            break;
        }
    return INF_OK;
}

int32_t peft_pair_tensors(struct peft_adapter *p, inf_error *err)
{
    size_t n = safetensors_count(p->weights), bytes = 0;
    struct piece *pieces = mem_calloc(n, sizeof *pieces);
    int32_t code = pieces ? list_pieces(pieces, p, &bytes, err) : error_no_memory(err);

    if (code == INF_OK && n == 0)
        code = error_set(err, INF_ERROR_BAD_FORMAT, WEIGHTS_NAME " holds no tensors");
    if (code == INF_OK) {
        p->modules = mem_calloc(n, sizeof *p->modules);
        p->names = mem_alloc(bytes);
        code = p->modules && p->names ? join_pieces(p, pieces, n, err) : error_no_memory(err);
    }
    mem_free(pieces);
    return code;
}

const struct safetensors_tensor *peft_any_tensor(const struct peft_module *m)
{
    const struct safetensors_tensor *all[] = {m->a,          m->b,    m->rows,      m->whole,
                                              m->whole_bias, m->bias, m->magnitude, m->base};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i])
            return all[i];
    return NULL;
}
