/* mixtral: Mixtral, which is to llama.cpp a Llama with experts. */
#include "arch/experts.h"
#include "arch/keys.h"

/* Up to version 4 of transformers the experts are under block_sparse_moe, and version 5 still writes
 * them so; mlp is what they are called in memory. */
static const struct family_weight weights[] = {
    {WEIGHT("input_layernorm.weight", "attn_norm.weight", SIZE_EMBD)},
    WEIGHTS_ATTENTION(&change_regroup_q, &change_regroup_k),
    {WEIGHT("post_attention_layernorm.weight", "ffn_norm.weight", SIZE_EMBD)},
    {WEIGHT("block_sparse_moe.gate.weight", "ffn_gate_inp.weight", SIZE_EXPERTS, SIZE_EMBD),
     .flags = WEIGHT_F32, .unless = FEATURE_STACKED},
    {WEIGHT("mlp.gate.weight", "ffn_gate_inp.weight", SIZE_EXPERTS, SIZE_EMBD), .flags = WEIGHT_F32,
     .when = FEATURE_STACKED},
    WEIGHTS_EXPERTS_STACKED("mlp."),
    WEIGHTS_EXPERTS("block_sparse_moe.", "w1", "w3", "w2"),
    {.module = NULL},
};

static const char *const model_types[] = {"mixtral", NULL};

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {
        .rope_theta = 1e6, .positions = 131072, .eps = 1e-5, .kv_heads = 8};

    keys_activation(r, "hidden_act", activation_silu);
    keys_transformer(b, r, &defaults);
    experts_describe(b, r, experts_count(r, 8), 2, b->size[SIZE_FF]);
    keys_no_sliding(b, r, "sliding_window", 0);
    keys_rope(b, r, &defaults);
}

const struct family family_mixtral = {FAMILY_USUAL("llama"), .regroups = true};
