/* gpt2: GPT-2. Its Conv1D weights are stored transposed, so that B A is their delta as it stands. */
#include "arch/keys.h"

static const struct family_weight globals[] = {
    {WEIGHT("^wte.weight", "token_embd.weight", SIZE_VOCAB, SIZE_EMBD)},
    {WEIGHT("^wpe.weight", "position_embd.weight", SIZE_POSITIONS, SIZE_EMBD)},
    {WEIGHT("^ln_f.weight", "output_norm.weight", SIZE_EMBD)},
    {WEIGHT("^ln_f.bias", "output_norm.bias", SIZE_EMBD)},
    WEIGHTS_HEAD,
    {.module = NULL},
};

static const struct family_weight weights[] = {
    {WEIGHT("ln_1.weight", "attn_norm.weight", SIZE_EMBD)},
    {WEIGHT("ln_1.bias", "attn_norm.bias", SIZE_EMBD)},
    {WEIGHT("attn.c_attn.weight", "attn_qkv.weight", SIZE_EMBD, SIZE_QKV),
     .change = &change_transpose},
    {WEIGHT("attn.c_attn.bias", "attn_qkv.bias", SIZE_QKV)},
    {WEIGHT("attn.c_proj.weight", "attn_output.weight", SIZE_EMBD, SIZE_EMBD),
     .change = &change_transpose},
    {WEIGHT("attn.c_proj.bias", "attn_output.bias", SIZE_EMBD)},
    {WEIGHT("ln_2.weight", "ffn_norm.weight", SIZE_EMBD)},
    {WEIGHT("ln_2.bias", "ffn_norm.bias", SIZE_EMBD)},
    {WEIGHT("mlp.c_fc.weight", "ffn_up.weight", SIZE_EMBD, SIZE_FF), .change = &change_transpose},
    {WEIGHT("mlp.c_fc.bias", "ffn_up.bias", SIZE_FF)},
    {WEIGHT("mlp.c_proj.weight", "ffn_down.weight", SIZE_FF, SIZE_EMBD),
     .change = &change_transpose},
    {WEIGHT("mlp.c_proj.bias", "ffn_down.bias", SIZE_EMBD)},
    {.module = NULL},
};

static const char *const model_types[] = {"gpt2", NULL};
static const char *const ignored[] = {"*.attn.bias", "*.attn.masked_bias", NULL};

static void read_sizes(struct blueprint *b, struct config_reader *r)
{
    int64_t heads = config_int(r, "n_head", 12, 1, 65536);
    int64_t width = config_int(r, "n_embd", 768, 1, KEYS_MAX_WIDTH);

    b->n_layer = (int32_t)config_int(r, "n_layer", 12, 1, FAMILY_MAX_BLOCKS);
    b->n_head = b->n_head_kv = (int32_t)heads;
    if (width % heads != 0)
        config_bad(r, "n_head", "n_embd %lld is no multiple of it", (long long)width);
    b->size[SIZE_EMBD] = b->size[SIZE_Q] = b->size[SIZE_KV] = width;
    b->size[SIZE_HEAD] = width / heads;
    b->size[SIZE_QKV] = 3 * width;
    b->size[SIZE_FF] = config_int(r, "n_inner", 4 * width, 1, KEYS_MAX_WIDTH * 16LL);
    b->size[SIZE_VOCAB] = config_int(r, "vocab_size", 50257, 1, KEYS_MAX_VOCAB);
    b->size[SIZE_POSITIONS] = config_int(r, "n_positions", 1024, 1, KEYS_MAX_POSITIONS);
}

static void refuse_variants(struct config_reader *r)
{
    if (!config_bool(r, "scale_attn_weights", true))
        config_refuse(r, "scale_attn_weights", "llama.cpp always scales scores");
    keys_refuse_true(r, "scale_attn_by_inverse_layer_idx", "llama.cpp scales all layers alike");
    keys_refuse_true(r, "add_cross_attention", "llama.cpp has none");
}

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {.tied = true};
    double eps = config_real(r, "layer_norm_epsilon", 1e-5);

    keys_activation(r, "activation_function", activation_gelu_tanh);
    refuse_variants(r);
    read_sizes(b, r);
    keys_head(b, r, &defaults);
    if (eps < 0 || eps > 1)
        config_bad(r, "layer_norm_epsilon", "it must be from 0 to 1");
    if (r->code != INF_OK)
        return;
    keys_put_sizes(b);
    keys_put_f32(b, "attention.layer_norm_epsilon", eps);
}

const struct family family_gpt2 = {
    .name = "gpt2",
    .blocks = "h",
    .prefix = "transformer.",
    .model_types = model_types,
    .describe = describe,
    .globals = globals,
    .weights = weights,
    .ignored = ignored,
};
