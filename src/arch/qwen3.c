/* qwen3: Qwen3. */
#include "arch/keys.h"

static const struct family_weight globals[] = {
    WEIGHTS_EMBEDDING,
    {WEIGHT("^norm.weight", "output_norm.weight", SIZE_EMBD)},
    WEIGHTS_HEAD,
    {.module = NULL},
};

static const struct family_weight blocks[] = {
    {WEIGHT("input_layernorm.weight", "attn_norm.weight", SIZE_EMBD)},
    {WEIGHT("self_attn.q_proj.weight", "attn_q.weight", SIZE_Q, SIZE_EMBD)},
    {WEIGHT("self_attn.k_proj.weight", "attn_k.weight", SIZE_KV, SIZE_EMBD)},
    {WEIGHT("self_attn.v_proj.weight", "attn_v.weight", SIZE_KV, SIZE_EMBD)},
    {WEIGHT("self_attn.q_norm.weight", "attn_q_norm.weight", SIZE_HEAD)},
    {WEIGHT("self_attn.k_norm.weight", "attn_k_norm.weight", SIZE_HEAD)},
    {WEIGHT("self_attn.o_proj.weight", "attn_output.weight", SIZE_EMBD, SIZE_Q)},
    {WEIGHT("post_attention_layernorm.weight", "ffn_norm.weight", SIZE_EMBD)},
    {WEIGHT("mlp.gate_proj.weight", "ffn_gate.weight", SIZE_FF, SIZE_EMBD)},
    {WEIGHT("mlp.up_proj.weight", "ffn_up.weight", SIZE_FF, SIZE_EMBD)},
    {WEIGHT("mlp.down_proj.weight", "ffn_down.weight", SIZE_EMBD, SIZE_FF)},
    {.module = NULL},
};

static const char *const model_types[] = {"qwen3", NULL};
static const char *const ignored[] = {"*rotary_emb.inv_freq", NULL};

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {
        .rope_theta = 10000, .positions = 32768, .eps = 1e-6, .head_dim = 128, .kv_heads = 32};

    keys_activation(r, "hidden_act", activation_silu);
    if (config_bool(r, "attention_bias", false))
        config_refuse(r, "attention_bias", "llama.cpp has no bias in this family's attention");
    keys_transformer(b, r, &defaults);
    keys_qwen_sliding(b, r);
    keys_rope(b, r, &defaults);
}

static const struct family_checkpoint checkpoint = {
    .model_types = model_types,
    .describe = describe,
    .globals = globals,
    .blocks = blocks,
    .ignored = ignored,
};

const struct family family_qwen3 = {
    .name = "qwen3",
    .blocks = "layers",
    .prefix = "model.",
    .layers = split_layers,
    .checkpoint = &checkpoint,
};
