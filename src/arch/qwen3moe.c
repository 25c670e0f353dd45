/* qwen3moe: Qwen3's mixtures of experts. */
#include "arch/experts.h"
#include "arch/keys.h"

static const struct family_weight weights[] = {
    {WEIGHT("input_layernorm.weight", "attn_norm.weight", SIZE_EMBD)},
    WEIGHTS_ATTENTION(NULL, NULL),
    {WEIGHT("self_attn.q_norm.weight", "attn_q_norm.weight", SIZE_HEAD)},
    {WEIGHT("self_attn.k_norm.weight", "attn_k_norm.weight", SIZE_HEAD)},
    {WEIGHT("post_attention_layernorm.weight", "ffn_norm.weight", SIZE_EMBD)},
    {WEIGHT("mlp.gate.weight", "ffn_gate_inp.weight", SIZE_EXPERTS, SIZE_EMBD),
     .flags = WEIGHT_F32},
    WEIGHTS_EXPERTS_STACKED("mlp."),
    WEIGHTS_EXPERTS("mlp.", "gate_proj", "up_proj", "down_proj"),
    {.module = NULL},
};

static const char *const model_types[] = {"qwen3_moe", NULL};

/* Layers that have no experts: llama.cpp has none of those. */
static void refuse_dense(struct config_reader *r)
{
    struct json_span item = {0};
    struct json_walk w;

    if (config_int(r, "decoder_sparse_step", 1, 0, 4096) != 1)
        config_refuse(r, "decoder_sparse_step", "in llama.cpp every layer has experts");
    if (scan_array(&w, config_value(r, "mlp_only_layers")) && scan_next_item(&w, &item))
        config_refuse(r, "mlp_only_layers", "in llama.cpp every layer has experts");
}

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {
        .rope_theta = 10000, .positions = 32768, .eps = 1e-6, .kv_heads = 4};

    keys_activation(r, "hidden_act", activation_silu);
    keys_refuse_true(r, "attention_bias", "llama.cpp has no biases in this family");
    if (!config_bool(r, "norm_topk_prob", false))
        config_refuse(r, "norm_topk_prob",
                      "llama.cpp always makes the experts' shares add up to 1");
    refuse_dense(r);
    keys_transformer(b, r, &defaults);
    experts_describe(b, r, experts_count(r, 128), 8,
                     config_int(r, "moe_intermediate_size", 768, 1, KEYS_MAX_WIDTH));
    keys_qwen_sliding(b, r);
    keys_rope(b, r, &defaults);
}

const struct family family_qwen3moe = {FAMILY_USUAL("qwen3moe")};
