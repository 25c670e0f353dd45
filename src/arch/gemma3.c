/* gemma3: Gemma 3, its text part. */
#include "arch/keys.h"

#include <string.h>

static const struct family_weight weights[] = {
    WEIGHT_PLUS_ONE("input_layernorm", "attn_norm", SIZE_EMBD),
    WEIGHTS_ATTENTION(NULL, NULL),
    WEIGHT_PLUS_ONE("self_attn.q_norm", "attn_q_norm", SIZE_HEAD),
    WEIGHT_PLUS_ONE("self_attn.k_norm", "attn_k_norm", SIZE_HEAD),
    WEIGHT_PLUS_ONE("post_attention_layernorm", "post_attention_norm", SIZE_EMBD),
    WEIGHT_PLUS_ONE("pre_feedforward_layernorm", "ffn_norm", SIZE_EMBD),
    WEIGHTS_MLP,
    WEIGHT_PLUS_ONE("post_feedforward_layernorm", "post_ffw_norm", SIZE_EMBD),
    {.module = NULL},
};

static const char *const model_types[] = {"gemma3_text", "gemma3", NULL};
static const char *const ignored[] = {
    "*rotary_emb.inv_freq",
    "*rotary_emb_local.inv_freq",
    "vision_tower.*",
    "model.vision_tower.*",
    "multi_modal_projector.*",
    "model.multi_modal_projector.*",
    NULL,
};

/* Layers that slide turn by a theta of their own, never scaled. Version 4 has it in a key of its own. */
static void put_local_rope(struct blueprint *b, struct config_reader *r)
{
    struct json_span own = scan_member(config_value(r, "rope_parameters"), "sliding_attention");
    double theta = config_real(r, "rope_local_base_freq", 10000);

    if (!scan_is_none(own)) {
        struct config_rope rope = config_rope(r, "sliding_attention", 10000, 1);

        theta = config_has(&rope.params, "rope_theta") ? rope.theta : theta;
        if (r->code == INF_OK && strcmp(rope.type, "default") != 0)
            config_refuse(r, "rope_parameters",
                          "llama.cpp does not scale the rope of layers that slide");
    }
    if (theta <= 0)
        config_bad(r, "rope_local_base_freq", "it must be above 0");
    keys_put_f32(b, "rope.freq_base_swa", theta);
}

static void put_rope(struct blueprint *b, struct config_reader *r)
{
    struct config_rope rope = config_rope(r, "full_attention", 1e6, 1);

    if (r->code == INF_OK && strcmp(rope.type, "default") != 0 && strcmp(rope.type, "linear") != 0)
        config_refuse(&rope.params, "rope_type", "llama.cpp computes default and linear here");
    r->code = r->code == INF_OK ? rope.params.code : r->code;
    keys_rope_of(b, &rope, false);
    put_local_rope(b, r);
}

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {
        .positions = 131072, .eps = 1e-6, .head_dim = 256, .kv_heads = 4, .tied = true};
    double cap = config_real(r, "final_logit_softcapping", 0);
    bool nested = scan_is_object(scan_member(r->root, "text_config"));

    keys_activation(r, "hidden_activation", activation_gelu_tanh);
    keys_refuse_true(r, "attention_bias", "llama.cpp has no biases in this family");
    keys_refuse_true(r, "use_bidirectional_attention", "llama.cpp lets no token see later ones");
    if (config_has(r, "attn_logit_softcapping"))
        config_refuse(r, "attn_logit_softcapping", "llama.cpp does not cap scores in this family");
    keys_transformer(b, r, &defaults);
    keys_gemma_scale(b, r, 62);
    keys_sliding(b, r, config_int(r, "sliding_window_pattern", 6, 1, 4096), 4096);
    if (cap > 0 && !nested) /* transformers leaves it out of the model that sees */
        keys_put_f32(b, "final_logit_softcapping", cap);
    put_rope(b, r);
}

const struct family family_gemma3 = {FAMILY("gemma3"), .globals = plus_one_globals,
                                     .ignored = ignored};
