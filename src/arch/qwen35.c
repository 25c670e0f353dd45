/*
 * qwen35: Qwen3.5, the text model: layers of gated delta nets with a layer of gated attention between.
 *
 * Where there are more value heads than key heads, transformers has the value heads of a key head
 * beside each other, llama.cpp one of each key head, then the next of each: whatever has value heads as
 * rows or columns is reordered.
 */
#include "arch/keys.h"
#include "gguf/model.h"

#include <math.h>

enum own_size {
    SIZE_Q_AND_GATE = SIZE_OWN,
    SIZE_KEY_HEADS,
    SIZE_VALUE_HEADS,
    SIZE_STATE, /* of a head of a delta net, keys and values */
    SIZE_VALUES,
    SIZE_MIXED, /* queries, keys and values of a delta net in one */
    SIZE_CONV
};

enum { FEATURE_DELTA_NET = FEATURE_OWN };

/* ------------------------------------------------------------------ value heads */

/* Which value head of the checkpoint is llama.cpp's `head`. */
static int64_t head_in_file(const struct blueprint *b, int64_t head)
{
    int64_t keys = b->size[SIZE_KEY_HEADS];
    int64_t each = b->size[SIZE_VALUE_HEADS] / keys;

    return head % keys * each + head / keys;
}

static int64_t value_row(const struct blueprint *b, int64_t row)
{
    int64_t n = b->size[SIZE_STATE];

    return head_in_file(b, row / n) * n + row % n;
}

/* Queries and keys come first, in their order. */
static int64_t mixed_row(const struct blueprint *b, int64_t row)
{
    int64_t first = b->size[SIZE_MIXED] - b->size[SIZE_VALUES];

    return row < first ? row : first + value_row(b, row - first);
}

static float minus_exp(float x)
{
    return -expf(x);
}

static const struct weight_change heads = {.row = head_in_file};
static const struct weight_change decay = {.row = head_in_file, .value = minus_exp};
static const struct weight_change values = {.row = value_row};
static const struct weight_change mixed = {.row = mixed_row};
static const struct weight_change outputs = {.column = value_row};

/* ------------------------------------------------------------------ tensors */

#define ATTENTION .unless = FEATURE_DELTA_NET
#define DELTA_NET .when = FEATURE_DELTA_NET

static const struct family_weight weights[] = {
    WEIGHT_PLUS_ONE("input_layernorm", "attn_norm", SIZE_EMBD),
    {WEIGHT("self_attn.q_proj.weight", "attn_q.weight", SIZE_Q_AND_GATE, SIZE_EMBD), ATTENTION},
    {WEIGHT("self_attn.k_proj.weight", "attn_k.weight", SIZE_KV, SIZE_EMBD), ATTENTION},
    {WEIGHT("self_attn.v_proj.weight", "attn_v.weight", SIZE_KV, SIZE_EMBD), ATTENTION},
    {WEIGHT("self_attn.o_proj.weight", "attn_output.weight", SIZE_EMBD, SIZE_Q), ATTENTION},
    {WEIGHT("self_attn.q_norm.weight", "attn_q_norm.weight", SIZE_HEAD), ATTENTION,
     .change = &change_plus_one},
    {WEIGHT("self_attn.k_norm.weight", "attn_k_norm.weight", SIZE_HEAD), ATTENTION,
     .change = &change_plus_one},
    {WEIGHT("linear_attn.in_proj_qkv.weight", "attn_qkv.weight", SIZE_MIXED, SIZE_EMBD), DELTA_NET,
     .change = &mixed},
    {WEIGHT("linear_attn.in_proj_z.weight", "attn_gate.weight", SIZE_VALUES, SIZE_EMBD), DELTA_NET,
     .change = &values},
    {WEIGHT("linear_attn.in_proj_b.weight", "ssm_beta.weight", SIZE_VALUE_HEADS, SIZE_EMBD),
     DELTA_NET, .change = &heads},
    {WEIGHT("linear_attn.in_proj_a.weight", "ssm_alpha.weight", SIZE_VALUE_HEADS, SIZE_EMBD),
     DELTA_NET, .change = &heads},
    {WEIGHT("linear_attn.conv1d.weight", "ssm_conv1d.weight", SIZE_MIXED, SIZE_ONE, SIZE_CONV),
     DELTA_NET, .change = &mixed, .flags = WEIGHT_F32},
    {WEIGHT("linear_attn.A_log", "ssm_a", SIZE_VALUE_HEADS), DELTA_NET, .change = &decay},
    {WEIGHT("linear_attn.dt_bias", "ssm_dt.bias", SIZE_VALUE_HEADS), DELTA_NET, .change = &heads},
    {WEIGHT("linear_attn.norm.weight", "ssm_norm.weight", SIZE_STATE), DELTA_NET},
    {WEIGHT("linear_attn.out_proj.weight", "ssm_out.weight", SIZE_EMBD, SIZE_VALUES), DELTA_NET,
     .change = &outputs},
    WEIGHT_PLUS_ONE("post_attention_layernorm", "post_attention_norm", SIZE_EMBD),
    WEIGHTS_MLP,
    {.module = NULL},
};

static const char *const model_types[] = {"qwen3_5_text", "qwen3_5", NULL};
static const char *const ignored[] = {"model.visual.*",       "visual.*", "mtp.*", "model.mtp.*",
                                      "*rotary_emb.inv_freq", NULL};

/* ------------------------------------------------------------------ config.json */

/* Which layers are delta nets; llama.cpp keeps a state for those, a cache for the others. */
static void put_layers(struct blueprint *b, struct config_reader *r)
{
    int64_t interval = config_int(r, "full_attention_interval", 4, 1, FAMILY_MAX_BLOCKS);
    bool recurrent[FAMILY_MAX_BLOCKS];
    int32_t n_recurrent = 0;
    char key[128];

    if (r->code == INF_OK)
        keys_layer_types(recurrent, b, r, "linear_attention", interval);
    if (r->code != INF_OK)
        return;
    for (int32_t i = 0; i < b->n_layer; i++) {
        b->block_features[i] = recurrent[i] ? FEATURE_DELTA_NET : 0;
        n_recurrent += recurrent[i];
    }
    if (n_recurrent == 0 || n_recurrent == b->n_layer)
        config_refuse(r, config_has(r, "layer_types") ? "layer_types" : "full_attention_interval",
                      "llama.cpp wants layers of full attention and of linear attention");
    gguf_put_bools(&b->header, blueprint_key(b, "attention.recurrent_layers", key), recurrent,
                   (size_t)b->n_layer);
}

static void put_delta_net(struct blueprint *b, struct config_reader *r)
{
    int64_t keys = config_int(r, "linear_num_key_heads", 16, 1, 65536);
    int64_t value_heads = config_int(r, "linear_num_value_heads", 32, 1, 65536);
    int64_t state = config_int(r, "linear_key_head_dim", 128, 1, 65536);
    int64_t conv = config_int(r, "linear_conv_kernel_dim", 4, 2, 4096);

    if (config_int(r, "linear_value_head_dim", 128, 1, 65536) != state)
        config_refuse(r, "linear_value_head_dim", "llama.cpp wants linear_key_head_dim %lld here",
                      (long long)state);
    if (value_heads % keys != 0)
        config_bad(r, "linear_num_value_heads", "%lld key heads cannot share so many",
                   (long long)keys);
    b->size[SIZE_KEY_HEADS] = keys;
    b->size[SIZE_VALUE_HEADS] = value_heads;
    b->size[SIZE_STATE] = state;
    b->size[SIZE_VALUES] = value_heads * state;
    b->size[SIZE_MIXED] = 2 * keys * state + value_heads * state;
    b->size[SIZE_CONV] = conv;
    keys_put_u32(b, "ssm.conv_kernel", conv);
    keys_put_u32(b, "ssm.state_size", state);
    keys_put_u32(b, "ssm.group_count", keys);
    keys_put_u32(b, "ssm.time_step_rank", value_heads);
    keys_put_u32(b, "ssm.inner_size", value_heads * state);
}

/* Of a text all parts of a position are the same, whatever turns by which: each pair by one of three. */
static void put_sections(struct blueprint *b, int64_t turned)
{
    int32_t n = (int32_t)(turned / 2);
    int32_t sections[4] = {(n + 2) / 3, (n + 1) / 3, n / 3, 0};
    char key[128];

    gguf_put_i32s(&b->header, blueprint_key(b, "rope.dimension_sections", key), sections, 4);
}

static void describe(struct blueprint *b, struct config_reader *r)
{
    static const struct key_defaults defaults = {.rope_theta = 10000,
                                                 .positions = 32768,
                                                 .eps = 1e-6,
                                                 .head_dim = 256,
                                                 .kv_heads = 4,
                                                 .partial = 0.25};

    keys_activation(r, "hidden_act", activation_silu);
    keys_refuse_true(r, "attention_bias", "llama.cpp has no bias in this family's attention");
    keys_transformer(b, r, &defaults);
    b->size[SIZE_Q_AND_GATE] = 2 * b->size[SIZE_Q];
    put_delta_net(b, r);
    put_layers(b, r);
    put_sections(b, keys_rope(b, r, &defaults));
}

/* The sizes of a model that is there. */
static bool read_sizes(struct blueprint *b, const struct gguf_model *m)
{
    int64_t *s = b->size;
    bool ok = gguf_get_int(m->file, "qwen35.ssm.group_count", &s[SIZE_KEY_HEADS]) &&
              gguf_get_int(m->file, "qwen35.ssm.time_step_rank", &s[SIZE_VALUE_HEADS]) &&
              gguf_get_int(m->file, "qwen35.ssm.state_size", &s[SIZE_STATE]);

    if (!ok || s[SIZE_KEY_HEADS] < 1 || s[SIZE_STATE] < 1 || s[SIZE_STATE] > 65536 ||
        s[SIZE_VALUE_HEADS] > 65536 || s[SIZE_VALUE_HEADS] < s[SIZE_KEY_HEADS] ||
        s[SIZE_VALUE_HEADS] % s[SIZE_KEY_HEADS] != 0)
        return false;
    s[SIZE_VALUES] = s[SIZE_VALUE_HEADS] * s[SIZE_STATE];
    s[SIZE_MIXED] = 2 * s[SIZE_KEY_HEADS] * s[SIZE_STATE] + s[SIZE_VALUES];
    return true;
}

const struct family family_qwen35 = {FAMILY("qwen35"),           .covers = "Qwen3.5",
                                     .states_independent = true, .globals = plus_one_globals,
                                     .ignored = ignored,         .sizes = read_sizes};
