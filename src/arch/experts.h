/* experts: what families with mixtures of experts share. */
#ifndef INF_ARCH_EXPERTS_H
#define INF_ARCH_EXPERTS_H

#include "arch/blueprint.h"

/* The experts of a block lie in one tensor, as transformers 5 has them in memory; else in one each. */
#define FEATURE_STACKED (FEATURE_OWN << 0)

/* Under either key that counts them. */
int64_t experts_count(struct config_reader *r, int64_t otherwise);
/* After keys_transformer: how many experts, how many of them a token gets (num_experts_per_tok, and its
 * default), how wide each is; and FEATURE_STACKED. */
void experts_describe(struct blueprint *b, struct config_reader *r, int64_t count,
                      int64_t used_otherwise, int64_t width);

extern const struct weight_change change_first_half;  /* of each expert's [gate|up]: gate */
extern const struct weight_change change_second_half; /* up */

/* A tensor an expert. */
#define WEIGHTS_EXPERTS(under, gate, up, down)                                                     \
    {WEIGHT(under "experts.#." gate ".weight", "ffn_gate_exps.weight", SIZE_EXPERT_FF, SIZE_EMBD), \
     .unless = FEATURE_STACKED},                                                                   \
        {WEIGHT(under "experts.#." up ".weight", "ffn_up_exps.weight", SIZE_EXPERT_FF, SIZE_EMBD), \
         .unless = FEATURE_STACKED},                                                               \
    {                                                                                              \
        WEIGHT(under "experts.#." down ".weight", "ffn_down_exps.weight", SIZE_EMBD,               \
               SIZE_EXPERT_FF),                                                                    \
            .unless = FEATURE_STACKED                                                              \
    }

/* All of them in two tensors. */
#define WEIGHTS_EXPERTS_STACKED(under)                                                             \
    {WEIGHT(under "experts.gate_up_proj", "ffn_gate_exps.weight", SIZE_EXPERTS, SIZE_EXPERT_FF2,   \
            SIZE_EMBD),                                                                            \
     .when = FEATURE_STACKED, .change = &change_first_half,                                        \
     .becomes = {SIZE_EXPERTS, SIZE_EXPERT_FF, SIZE_EMBD}},                                        \
        {WEIGHT(under "experts.gate_up_proj", "ffn_up_exps.weight", SIZE_EXPERTS, SIZE_EXPERT_FF2, \
                SIZE_EMBD),                                                                        \
         .when = FEATURE_STACKED, .change = &change_second_half,                                   \
         .becomes = {SIZE_EXPERTS, SIZE_EXPERT_FF, SIZE_EMBD}},                                    \
    {                                                                                              \
        WEIGHT(under "experts.down_proj", "ffn_down_exps.weight", SIZE_EXPERTS, SIZE_EMBD,         \
               SIZE_EXPERT_FF),                                                                    \
            .when = FEATURE_STACKED                                                                \
    }

#endif
