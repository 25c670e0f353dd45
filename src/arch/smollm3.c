/* smollm3: SmolLM3. Every fourth layer has no rope. */
#include "arch/keys.h"

#define NO_ROPE_STEP 4 /* llama.cpp's, whatever the config says */

static const struct family_weight weights[] = {
    {WEIGHT("input_layernorm.weight", "attn_norm.weight", SIZE_EMBD)},
    WEIGHTS_ATTENTION(&change_regroup_q, &change_regroup_k),
    {WEIGHT("post_attention_layernorm.weight", "ffn_norm.weight", SIZE_EMBD)},
    WEIGHTS_MLP,
    {.module = NULL},
};

static const char *const model_types[] = {"smollm3", NULL};

/* no_rope_layers: of each layer 1: it has rope, 0: it has none. */
static void check_layers(struct blueprint *b, struct config_reader *r)
{
    int64_t has_rope[512];
    int32_t n = config_ints(r, "no_rope_layers", has_rope, 512);

    if (n < 0) {
        if (config_int(r, "no_rope_layer_interval", NO_ROPE_STEP, 1, 4096) != NO_ROPE_STEP)
            config_refuse(r, "no_rope_layer_interval", "llama.cpp has 4 alone");
        return;
    }
    if (n != b->n_layer)
        config_bad(r, "no_rope_layers", "there are %d layers", b->n_layer);
    for (int32_t i = 0; i < n && r->code == INF_OK; i++)
        if ((has_rope[i] != 0) != ((i + 1) % NO_ROPE_STEP != 0))
            config_refuse(r, "no_rope_layers",
                          "llama.cpp leaves rope out in every fourth layer and no other");
}

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {
        .rope_theta = 2000000, .positions = 32768, .eps = 1e-6, .kv_heads = 4, .tied = true};
    struct config_rope rope;

    keys_activation(r, "hidden_act", activation_silu);
    keys_refuse_true(r, "attention_bias", "llama.cpp has no biases in this family");
    keys_refuse_true(r, "mlp_bias", "llama.cpp has no biases in this family");
    keys_transformer(b, r, &defaults);
    if (config_bool(r, "use_sliding_window", false))
        keys_no_sliding(b, r, "sliding_window", 0);
    check_layers(b, r);
    rope = config_rope(r, NULL, defaults.rope_theta, 1);
    keys_put_turned(b, &rope, &defaults);
    keys_rope_of(b, &rope, false);
}

const struct family family_smollm3 = {FAMILY_USUAL("smollm3"), .regroups = true};
