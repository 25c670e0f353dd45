/* phi3: Phi-3 and Phi-4: q, k and v are one layer, gate and up another, in the same order. */
#include "arch/keys.h"

#include "core/memory.h"

#include <math.h>
#include <string.h>

static const struct family_weight weights[] = {
    {WEIGHT("input_layernorm.weight", "attn_norm.weight", SIZE_EMBD)},
    {WEIGHT("self_attn.qkv_proj.weight", "attn_qkv.weight", SIZE_QKV, SIZE_EMBD)},
    {WEIGHT("self_attn.o_proj.weight", "attn_output.weight", SIZE_EMBD, SIZE_Q)},
    {WEIGHT("post_attention_layernorm.weight", "ffn_norm.weight", SIZE_EMBD)},
    {WEIGHT("mlp.gate_up_proj.weight", "ffn_up.weight", SIZE_FF2, SIZE_EMBD)},
    {WEIGHT("mlp.down_proj.weight", "ffn_down.weight", SIZE_EMBD, SIZE_FF)},
    {.module = NULL},
};

static const char *const model_types[] = {"phi3", NULL};

/* What the short factors are for: texts of so many positions. transformers has a default for the model's own
 * key, which covers that of the rope's parameters even where it is absent. */
static int64_t original_positions(struct blueprint *b, struct config_rope *rope)
{
    return config_int(rope->owner, "original_max_position_embeddings", 4096, 1,
                      b->size[SIZE_POSITIONS]);
}

/* How much longer rope makes queries and keys. */
static double attention_factor(struct blueprint *b, struct config_rope *rope, int64_t original)
{
    double factor = config_real(&rope->params, "factor",
                                (double)b->size[SIZE_POSITIONS] / (double)original);
    double own = factor > 1 ? sqrt(1 + log(factor) / log((double)original)) : 1;

    return config_real(&rope->params, "attention_factor", own);
}

static void add_factors(struct blueprint *b, struct config_rope *rope, int64_t n)
{
    struct config_reader *p = &rope->params;
    float *values = mem_alloc((size_t)n * sizeof *values);

    if (!values)
        p->code = error_no_memory(p->err);
    if (values && config_reals(p, "short_factor", values, n)) {
        blueprint_add_values(b, p, "rope_factors_short.weight", values, n);
        blueprint_add_values(b, p, "rope_factors_long.weight", values, n);
    }
    mem_free(values);
}

/* llama.cpp takes the factors for long texts where the window is long, transformers where the text is:
 * so there are those for short ones only, and no longer texts. */
static void put_longrope(struct blueprint *b, struct config_rope *rope, int64_t turned)
{
    int64_t original = original_positions(b, rope);
    double attention = attention_factor(b, rope, original);

    if (rope->owner->code != INF_OK || rope->params.code != INF_OK)
        return;
    keys_put_f32(b, "rope.freq_base", rope->theta);
    keys_put_text(b, "rope.scaling.type", "longrope");
    keys_put_u32(b, "rope.scaling.original_context_length", original);
    keys_put_f32(b, "rope.scaling.attn_factor", attention);
    add_factors(b, rope, turned / 2);
    blueprint_limit_window(b, original,
                           "llama.cpp chooses longrope's factors by the window, not by the text");
}

static void put_rope(struct blueprint *b, struct config_reader *r, const struct key_defaults *d)
{
    struct config_rope rope = config_rope(r, NULL, d->rope_theta, d->partial);

    if (r->code != INF_OK)
        return;
    if (strcmp(rope.type, "longrope") == 0 || strcmp(rope.type, "yarn") == 0) /* the same here */
        put_longrope(b, &rope, keys_put_turned(b, &rope, d));
    else
        keys_rope(b, r, d);
    r->code = r->code == INF_OK ? rope.params.code : r->code;
}

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {
        .rope_theta = 10000, .positions = 4096, .eps = 1e-5, .partial = 1, .square = true};

    keys_activation(r, "hidden_act", activation_silu);
    keys_transformer(b, r, &defaults);
    keys_no_sliding(b, r, "sliding_window", 0);
    put_rope(b, r, &defaults);
}

const struct family family_phi3 = {FAMILY_USUAL("phi3")};
