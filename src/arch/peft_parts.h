/*
 * peft_parts: what the files share that plan a PEFT adapter's conversion. peft_places.c finds the weight
 * that a module's name means, peft_adapter.c says what becomes of each module, peft_promises.c what must
 * be in the adapter beside what is. Not for others.
 */
#ifndef INF_ARCH_PEFT_PARTS_H
#define INF_ARCH_PEFT_PARTS_H

#include "arch/adapter_base.h"
#include "arch/adapter_plan.h"
#include "arch/family.h"

/* The plan, what it is made from, and what did not fit: the first such thing, and how many there are. */
struct planning {
    struct lora_plan *plan;
    const struct peft_adapter *adapter;
    const struct family *family;
    const struct gguf_model *model;
    const char *
        prefix; /* before the adapter's names of blocks, embeddings and norms; NULL: it has none of those */
    inf_error misfit;
    size_t n_misfits;
};

static inline void note_misfit(struct planning *p, const inf_error *why)
{
    if (p->n_misfits++ == 0)
        p->misfit = *why;
}

/* The module that the single experts of a stack go to; NULL: none. */
static inline struct lora_plan_module *find_stack(const struct lora_plan *plan,
                                                  const struct gguf_tensor *stack)
{
    for (size_t i = 0; i < plan->n; i++)
        if (plan->modules[i].experts_a && plan->modules[i].base.name == stack->name)
            return &plan->modules[i];
    return NULL;
}

/* ------------------------------------------------------------------ peft_places.c */

/* What a module's name means. */
struct place {
    const struct gguf_tensor *base;    /* NULL: the model has no such weight */
    const struct family_weight *layer; /* of a block; NULL: none */
    const char *prefix;                /* what stands before what it is named for */
    bool is_embedding;
    const struct family_weight *vector, *bias; /* of a norm, or NULL */
    int32_t block;
    int32_t expert; /* base is a stack, of which it is this one; -1: none */
};

/* Where a module belongs; base stays NULL when nowhere. */
void find_place(struct place *out, const struct planning *p, const char *module);
/* The model's "blk.<block>.<tensor>"; block -1: its `tensor`. */
const struct gguf_tensor *find_tensor(const struct gguf_model *model, int32_t block,
                                      const char *tensor);
/* The matrices of all experts of a block, as such tensors. */
#define STACK_GATE "ffn_gate_exps.weight"
#define STACK_UP "ffn_up_exps.weight"
#define STACK_DOWN "ffn_down_exps.weight"
/* "<module><suffix>" among a family's rows, or NULL. */
const struct family_weight *find_row(const struct family_weight *rows, const char *module,
                                     const char *suffix);
bool is_token_table(const struct gguf_tensor *t);

/* Of "<stem>.weight". */
static inline int stem_length(const struct family_weight *w)
{
    return (int)(strlen(w->module) - strlen(".weight"));
}

enum { NAME_SIZE = 128 };

/* A name that is put together, cut where the room ends. snprintf would be a large part of what a load takes. */
struct name {
    char text[NAME_SIZE];
    size_t len;
};

void name_add(struct name *n, const char *text, size_t len);
/* ".<block>." */
void name_add_block(struct name *n, int32_t block);

/* ------------------------------------------------------------------ peft_promises.c */

/* Notes what target_modules, modules_to_save and "bias" promise and the adapter lacks. Behind a plan of all
 * modules. */
int32_t check_promises(struct planning *p, inf_error *err);
/* UNSUPPORTED: modules of single experts that peft does not load as they were trained. */
int32_t check_experts(const struct planning *p, inf_error *err);

#endif
