/* qwen3: Qwen3. */
#include "arch/keys.h"

static const struct family_weight weights[] = {
    {WEIGHT("input_layernorm.weight", "attn_norm.weight", SIZE_EMBD)},
    WEIGHTS_ATTENTION(NULL, NULL),
    {WEIGHT("self_attn.q_norm.weight", "attn_q_norm.weight", SIZE_HEAD)},
    {WEIGHT("self_attn.k_norm.weight", "attn_k_norm.weight", SIZE_HEAD)},
    {WEIGHT("post_attention_layernorm.weight", "ffn_norm.weight", SIZE_EMBD)},
    WEIGHTS_MLP,
    {.module = NULL},
};

static const char *const model_types[] = {"qwen3", NULL};

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {
        .rope_theta = 10000, .positions = 32768, .eps = 1e-6, .head_dim = 128, .kv_heads = 32};

    keys_activation(r, "hidden_act", activation_silu);
    keys_refuse_true(r, "attention_bias", "llama.cpp has no bias in this family's attention");
    keys_transformer(b, r, &defaults);
    keys_qwen_sliding(b, r);
    keys_rope(b, r, &defaults);
}

const struct family family_qwen3 = {FAMILY_USUAL("qwen3")};
