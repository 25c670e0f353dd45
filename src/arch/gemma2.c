/* gemma2: Gemma 2. */
#include "arch/keys.h"

#define BEYOND_CAPS 1e6

static const struct family_weight weights[] = {
    WEIGHT_PLUS_ONE("input_layernorm", "attn_norm", SIZE_EMBD),
    WEIGHTS_ATTENTION(NULL, NULL),
    WEIGHT_PLUS_ONE("post_attention_layernorm", "post_attention_norm", SIZE_EMBD),
    WEIGHT_PLUS_ONE("pre_feedforward_layernorm", "ffn_norm", SIZE_EMBD),
    WEIGHTS_MLP,
    WEIGHT_PLUS_ONE("post_feedforward_layernorm", "post_ffw_norm", SIZE_EMBD),
    {.module = NULL},
};

static const char *const model_types[] = {"gemma2", NULL};

/* null: none. A cap so far out that x and cap tanh(x / cap) are the same in f32. */
static void put_cap(struct blueprint *b, struct config_reader *r, const char *key, double otherwise)
{
    bool none = config_is_null(r, key);
    double cap = none ? BEYOND_CAPS : config_real(r, key, otherwise);

    if (cap <= 0)
        config_bad(r, key, "it must be above 0");
    keys_put_f32(b, key, cap);
}

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {.rope_theta = 10000,
                                                 .positions = 8192,
                                                 .eps = 1e-6,
                                                 .head_dim = 256,
                                                 .kv_heads = 4,
                                                 .tied = true};

    keys_activation(r, "hidden_activation", activation_gelu_tanh);
    keys_refuse_true(r, "attention_bias", "llama.cpp has no biases in this family");
    keys_refuse_true(r, "use_bidirectional_attention", "llama.cpp lets no token see later ones");
    keys_transformer(b, r, &defaults);
    if (b->features & FEATURE_HEAD)
        config_refuse(r, "tie_word_embeddings", "llama.cpp has no head of its own in this family");
    keys_gemma_scale(b, r, 46);
    keys_sliding(b, r, 2, 4096);
    put_cap(b, r, "attn_logit_softcapping", 50);
    put_cap(b, r, "final_logit_softcapping", 30);
    keys_rope(b, r, &defaults);
}

const struct family family_gemma2 = {FAMILY("gemma2"), .globals = plus_one_globals,
                                     .ignored = usual_ignored};
