/* peft_parts: what the files of a PEFT adapter share: peft_tensors.c makes modules of a file's tensors, peft.c
 * opens and checks, peft_inspect.c says what it is like. Not for others. */
#ifndef INF_HF_FILES_PEFT_PARTS_H
#define INF_HF_FILES_PEFT_PARTS_H

#include "core/ascii.h"
#include "hf/files/peft.h"

#define WEIGHTS_NAME "adapter_model.safetensors"

/* Fills modules and their names: each tensor belongs to one, and each one has what its name says. */
int32_t peft_pair_tensors(struct peft_adapter *p, inf_error *err);
/* Why a tensor that is no LoRA pair is refused. */
int32_t peft_refuse_tensor(const char *name, inf_error *err);
/* Some tensor of it. */
const struct safetensors_tensor *peft_any_tensor(const struct peft_module *m);

/* *rest: the length without the suffix, where it has it. */
static inline bool peft_ends_with(const char *s, size_t len, const char *suffix, size_t *rest)
{
    bool ends = text_ends(s, len, suffix);

    *rest = ends ? len - strlen(suffix) : *rest;
    return ends;
}

#endif
