/*
 * peft_config: adapter_config.json of a PEFT LoRA adapter.
 *
 * It takes what peft's LoraConfig (up to 0.21) says about inference and refuses, by name, every
 * feature that changes the result and that we do not compute. Of the other keys:
 * - those that only matter for training, for initialisation or for the hub are ignored;
 * - an unknown key is ignored when it is unset (null, false, 0, "", [] or {}), a text or a number;
 *   set to true, to an object or to a list it is taken for a feature of a newer peft and refused.
 * fan_in_fan_out is checked and then not needed: peft itself sets it from the module's class, and
 * its A (rank, in) and B (out, rank) look the same either way.
 */
#ifndef INF_HF_FILES_PEFT_CONFIG_H
#define INF_HF_FILES_PEFT_CONFIG_H

#include "core/error.h"

enum { PEFT_CONFIG_MAX_BYTES = 4 * 1024 * 1024 };

/* What it says that is no list. */
struct peft_says {
    double alpha;            /* lora_alpha */
    bool rslora;             /* use_rslora */
    bool dora;               /* use_dora */
    bool lora_bias;          /* lora_bias */
    bool ties;               /* ensure_weight_tying */
    bool biases, all_biases; /* bias: the base's are trained, and not only those of targets */
    const char *base;        /* base_model_name_or_path, or NULL */
    /* Whether these lists name something. target_modules then promises every module it selects. */
    bool has_targets, has_parameters, has_saved, has_tokens;
};

struct peft_config;
const struct peft_says *peft_config_says(const struct peft_config *c);

/* text: need not be NUL-terminated. Errors: BAD_FORMAT, UNSUPPORTED (feature by name), NO_MEMORY.
 */
int32_t peft_config_parse(struct peft_config **out, const char *text, size_t len, inf_error *err);
void peft_config_free(struct peft_config *c); /* NULL is ignored */

/*
 * Rank and scale (alpha/rank, or alpha/sqrt(rank) with use_rslora) of a module, named as in the
 * base model ("model.layers.0.self_attn.q_proj"), with rank_pattern and alpha_pattern applied: the
 * first key of each that matches the whole name, or all of it behind a dot, decides.
 * Errors: UNSUPPORTED (patterns too expensive), BAD_FORMAT (a scale that is no finite number).
 */
int32_t peft_config_module(struct peft_config *c, const char *module, int32_t *rank, float *scale,
                           inf_error *err);

/* What target_modules, exclude_modules and layers_to_transform say of a module. is_output: it is
 * the output layer, which "all-linear" leaves out. *selected is true for every module when the file
 * names no targets. Errors: UNSUPPORTED (patterns too expensive). */
int32_t peft_config_selects(struct peft_config *c, const char *module, bool is_output,
                            bool *selected, inf_error *err);

/* What target_parameters says of a parameter, named with its module ("...mlp.experts.down_proj"): the
 * name, or its end behind a dot. Errors: UNSUPPORTED (lists too expensive). */
int32_t peft_config_selects_parameter(struct peft_config *c, const char *parameter, bool *selected,
                                      inf_error *err);
/* What modules_to_save says of a module: that its name, or that of one around it, ends so, with or without
 * a dot. Errors as above. */
int32_t peft_config_saves(struct peft_config *c, const char *module, bool *saved, inf_error *err);
/* The ids that trainable_token_indices gives for a module, in the order of its rows; NULL: none. A bare
 * list is for the input embeddings, which a caller knows. */
const int32_t *peft_config_tokens(const struct peft_config *c, const char *module,
                                  bool is_embedding, size_t *n);

#endif
