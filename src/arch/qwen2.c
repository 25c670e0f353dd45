/* qwen2: Qwen2 and Qwen2.5. */
#include "arch/keys.h"

static const struct family_weight weights[] = {
    {WEIGHT("input_layernorm.weight", "attn_norm.weight", SIZE_EMBD)},
    WEIGHTS_ATTENTION(NULL, NULL),
    {WEIGHT("self_attn.q_proj.bias", "attn_q.bias", SIZE_Q)},
    {WEIGHT("self_attn.k_proj.bias", "attn_k.bias", SIZE_KV)},
    {WEIGHT("self_attn.v_proj.bias", "attn_v.bias", SIZE_KV)},
    {WEIGHT("post_attention_layernorm.weight", "ffn_norm.weight", SIZE_EMBD)},
    WEIGHTS_MLP,
    {.module = NULL},
};

static const char *const model_types[] = {"qwen2", NULL};

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {
        .rope_theta = 10000, .positions = 32768, .eps = 1e-6, .kv_heads = 32, .square = true};

    keys_activation(r, "hidden_act", activation_silu);
    keys_transformer(b, r, &defaults);
    keys_qwen_sliding(b, r);
    keys_rope(b, r, &defaults);
}

const struct family family_qwen2 = {FAMILY_USUAL("qwen2")};
