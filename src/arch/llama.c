/* llama: Llama, and Mistral and others that are built like it. */
#include "arch/keys.h"

static const struct family_weight weights[] = {
    {WEIGHT("input_layernorm.weight", "attn_norm.weight", SIZE_EMBD)},
    WEIGHTS_ATTENTION(&change_regroup_q, &change_regroup_k),
    {WEIGHT("self_attn.q_proj.bias", "attn_q.bias", SIZE_Q), .change = &change_regroup_q,
     .when = FEATURE_QKV_BIAS},
    {WEIGHT("self_attn.k_proj.bias", "attn_k.bias", SIZE_KV), .change = &change_regroup_k,
     .when = FEATURE_QKV_BIAS},
    {WEIGHT("self_attn.v_proj.bias", "attn_v.bias", SIZE_KV), .when = FEATURE_QKV_BIAS},
    {WEIGHT("self_attn.o_proj.bias", "attn_output.bias", SIZE_EMBD), .when = FEATURE_O_BIAS},
    {WEIGHT("post_attention_layernorm.weight", "ffn_norm.weight", SIZE_EMBD)},
    WEIGHTS_MLP,
    {WEIGHT("mlp.gate_proj.bias", "ffn_gate.bias", SIZE_FF), .when = FEATURE_MLP_BIAS},
    {WEIGHT("mlp.up_proj.bias", "ffn_up.bias", SIZE_FF), .when = FEATURE_MLP_BIAS},
    {WEIGHT("mlp.down_proj.bias", "ffn_down.bias", SIZE_EMBD), .when = FEATURE_MLP_BIAS},
    {.module = NULL},
};

static const char *const model_types[] = {"llama", "mistral", NULL};

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults llama = {.rope_theta = 10000, .positions = 2048, .eps = 1e-6};
    static const struct key_defaults mistral = {
        .rope_theta = 10000, .positions = 131072, .eps = 1e-6, .kv_heads = 8};
    bool is_mistral = config_is_one_of(r, "model_type", &model_types[1], false);
    const struct key_defaults *d = is_mistral ? &mistral : &llama;

    keys_activation(r, "hidden_act", activation_silu);
    if (!is_mistral && config_bool(r, "attention_bias", false))
        b->features |= FEATURE_QKV_BIAS | FEATURE_O_BIAS;
    if (!is_mistral && config_bool(r, "mlp_bias", false))
        b->features |= FEATURE_MLP_BIAS;
    if (is_mistral)
        keys_no_sliding(b, r, "sliding_window", 4096);
    keys_transformer(b, r, d);
    keys_rope(b, r, d);
}

const struct family family_llama = {FAMILY_USUAL("llama"), .covers = "Llama, Mistral, Mixtral",
                                    .regroups = true};
