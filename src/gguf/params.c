/*
 * params: the hyper-parameters of a model, as llama.cpp reads them: the type it insists on
 * (it converts none), the range in which nothing divides by zero, overflows or asks for memory that
 * the tensors of the file do not account for, and what its graphs assert about their relations.
 */
#include "gguf/check.h"

#include "core/ascii.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_LAYERS 512    /* LLAMA_MAX_LAYERS */
#define MAX_EXPERTS 1024  /* LLAMA_MAX_EXPERTS */
#define MAX_WIDTH 1048576 /* no model is wider; keeps every product below 2^63 */
#define MAX_POSITIONS 2147483647
#define MAX_STATE 268435456 /* numbers of a layer's state: llama.cpp multiplies in 32 bits */
#define MAX_WINDOW 4194304  /* llama.cpp reserves memory for so many positions, in 32-bit sums */

enum rule_kind {
    RULE_U32,
    RULE_U32S, /* u32, or an array of u32 or i32, one for each layer */
    RULE_F32,
    RULE_F32S, /* f32, or an array of f32 */
    RULE_BOOL,
    RULE_TEXT,
    RULE_PATTERN /* u32, or an array of bool, u32 or i32 */
};

/* One key "<arch>.<suffix>". */
struct rule {
    const char *suffix;
    enum rule_kind kind;
    double min, max; /* of numbers, both allowed */
    uint32_t needed; /* architectures that cannot do without */
};

#define COUNT(suffix, max) {suffix, RULE_U32, 0, max, 0}
#define FLOAT(suffix, min, max) {suffix, RULE_F32, min, max, 0}

/* llama.cpp reads these for every architecture, or for several. */
static const struct rule rules[] = {
    {"block_count", RULE_U32, 1, MAX_LAYERS, ARCH_ALL | ARCH_OTHER}, /* lists are as long */
    {"context_length", RULE_U32, 1, MAX_POSITIONS, ARCH_ALL | ARCH_OTHER},
    {"embedding_length", RULE_U32, 1, MAX_WIDTH, ARCH_ALL | ARCH_OTHER},
    {"attention.head_count", RULE_U32S, 0, 65536, ARCH_ALL},
    {"attention.head_count_kv", RULE_U32S, 0, 65536, 0},
    {"feed_forward_length", RULE_U32S, 0, MAX_WIDTH * 16.0, ARCH_ALL},
    {"attention.layer_norm_rms_epsilon", RULE_F32, 0, 1, ARCH_ALL & ~(uint32_t)ARCH_GPT2},
    {"attention.layer_norm_epsilon", RULE_F32, 0, 1, ARCH_GPT2},
    {"attention.group_norm_epsilon", RULE_F32, 0, 1, 0},
    COUNT("vocab_size", 16777216),
    COUNT("embedding_length_out", MAX_WIDTH),
    COUNT("pooling_type", 4),
    COUNT("classifier.pooling_type", 4),
    COUNT("nextn_predict_layers", MAX_LAYERS),
    COUNT("attention.key_length", MAX_WIDTH),
    COUNT("attention.value_length", MAX_WIDTH),
    COUNT("attention.key_length_swa", MAX_WIDTH),
    COUNT("attention.value_length_swa", MAX_WIDTH),
    COUNT("attention.key_length_mla", MAX_WIDTH),
    COUNT("attention.value_length_mla", MAX_WIDTH),
    COUNT("rope.dimension_count", MAX_WIDTH),
    COUNT("rope.dimension_count_swa", MAX_WIDTH),
    COUNT("rope.scaling.original_context_length", MAX_POSITIONS),
    COUNT("attention.sliding_window", MAX_WINDOW),
    {"attention.sliding_window_pattern", RULE_PATTERN, 0, MAX_LAYERS, 0},
    FLOAT("rope.freq_base", 1e-3, 1e30),
    FLOAT("rope.freq_base_swa", 1e-3, 1e30),
    FLOAT("rope.scale_linear", 0, 1e9),
    FLOAT("rope.scaling.factor", 0, 1e9),
    FLOAT("rope.scaling.alpha", 0, 1e9),
    FLOAT("rope.scaling.attn_factor", 0, 1e9),
    FLOAT("rope.scaling.yarn_log_multiplier", -1e9, 1e9),
    FLOAT("rope.scaling.yarn_ext_factor", -1e9, 1e9),
    FLOAT("rope.scaling.yarn_attn_factor", 0, 1e9),
    FLOAT("rope.scaling.yarn_beta_fast", 0, 1e9),
    FLOAT("rope.scaling.yarn_beta_slow", 0, 1e9),
    FLOAT("attn_logit_softcapping", 0, 1e9),
    FLOAT("final_logit_softcapping", 0, 1e9),
    FLOAT("router_logit_softcapping", 0, 1e9),
    FLOAT("attention.max_alibi_bias", 0, 1e9),
    FLOAT("attention.clamp_kqv", 0, 1e9),
    FLOAT("attention.scale", 0, 1e9),
    FLOAT("logit_scale", -1e9, 1e9),
    FLOAT("residual_scale", -1e9, 1e9),
    FLOAT("embedding_scale", -1e9, 1e9),
    FLOAT("expert_weights_scale", -1e9, 1e9),
    {"rope.scaling.finetuned", RULE_BOOL, 0, 0, 0},
    {"attention.causal", RULE_BOOL, 0, 0, 0},
    {"expert_weights_norm", RULE_BOOL, 0, 0, 0},
    {"use_parallel_residual", RULE_BOOL, 0, 0, 0},
    {"rope.scaling.type", RULE_TEXT, 0, 0, 0},
    COUNT("expert_count", MAX_EXPERTS),
    {"expert_used_count", RULE_U32S, 0, MAX_EXPERTS, 0},
    COUNT("expert_group_count", MAX_EXPERTS),
    COUNT("expert_group_used_count", MAX_EXPERTS),
    COUNT("expert_gating_func", 16),
    COUNT("expert_shared_count", MAX_EXPERTS),
    {"expert_feed_forward_length", RULE_U32S, 0, MAX_WIDTH * 16.0, 0},
    COUNT("expert_shared_feed_forward_length", MAX_WIDTH * 16.0),
    COUNT("leading_dense_block_count", MAX_LAYERS),
    COUNT("ssm.conv_kernel", 4096),
    COUNT("ssm.inner_size", MAX_WIDTH * 16.0),
    COUNT("ssm.state_size", MAX_WIDTH),
    COUNT("ssm.time_step_rank", MAX_WIDTH),
    COUNT("ssm.group_count", MAX_WIDTH),
    COUNT("wkv.head_size", 65536),
    {"shortconv.l_cache", RULE_U32, 2, 4096, 0},
    COUNT("experts_per_group", MAX_EXPERTS),
    {"full_attention_interval", RULE_U32, 1, MAX_LAYERS, 0},
    {"attention.recurrent_layers", RULE_PATTERN, 0, 1, 0},
    {"num_loops", RULE_U32, 1, MAX_LAYERS, 0},
    {"hrm.layers_per_stack", RULE_U32, 1, MAX_LAYERS, 0},
    {"hrm.h_cycles", RULE_U32, 1, MAX_LAYERS, 0},
    {"hrm.l_cycles", RULE_U32, 1, MAX_LAYERS, 0},
};

/* Keys without which llama.cpp ends the process in some architectures: there, with a value above 0. */
static const struct {
    const char *arch;
    const char *suffix;
} needs[] = {
    {"bailingmoe2", "expert_count"},
    {"glm4moe", "expert_count"},
    {"grovemoe", "expert_count"},
    {"grovemoe", "experts_per_group"},
    {"hrm_text", "hrm.h_cycles"},
    {"hrm_text", "hrm.l_cycles"},
    {"hrm_text", "hrm.layers_per_stack"},
    {"lfm2", "shortconv.l_cache"},
    {"lfm2moe", "expert_count"},
    {"lfm2moe", "shortconv.l_cache"},
    {"minimax-m3", "attention.indexer.block_size"},
    {"paddleocr", "rope.dimension_sections"},
    {"qwen2vl", "rope.dimension_sections"},
    {"qwen35", "rope.dimension_sections"},
    {"qwen35moe", "rope.dimension_sections"},
    {"qwen3vl", "rope.dimension_sections"},
    {"qwen3vlmoe", "rope.dimension_sections"},
    {"qwen4exp", "rope.dimension_sections"},
    {"smallthinker", "expert_count"},
};

/* ---------------------------------------------------------------- one key */

const char *gguf_arch_key(const struct gguf_check *c, const char *suffix, char buf[128])
{
    snprintf(buf, 128, "%s.%s", c->arch, suffix);
    return buf;
}

static bool wrong_kind(struct gguf_check *c, const char *key, int32_t kind, const char *wanted)
{
    return gguf_bad(c, "%s is of type %s where llama.cpp wants %s: " GGUF_AGAIN, key,
                    gguf_kind_name(kind), wanted);
}

static bool check_number(struct gguf_check *c, const char *key, double v, const struct rule *r)
{
    if (!isfinite(v) || v < r->min || v > r->max)
        return gguf_bad(c, "%s is %g, which is not in the range %g to %g: " GGUF_AGAIN, key, v,
                        r->min, r->max);
    return true;
}

static bool check_items(struct gguf_check *c, const char *key, int32_t item, const struct rule *r)
{
    size_t n = 0;
    int64_t whole = 0;
    double v = 0;

    gguf_get_array(c->f, key, &n);
    if (r->kind == RULE_PATTERN ? n > MAX_LAYERS : n != (size_t)c->n_layer)
        return gguf_bad(c, "%s has %zu items for %" PRId64 " layers: " GGUF_AGAIN, key, n,
                        c->n_layer);
    for (size_t i = 0; i < n; i++) {
        if (item == GGUF_F32) {
            gguf_array_float(c->f, key, i, &v);
        } else {
            gguf_array_int(c->f, key, i, &whole);
            v = (double)whole;
        }
        if (!check_number(c, key, v, r))
            return false;
    }
    return true;
}

static bool check_array(struct gguf_check *c, const char *key, int32_t item, const struct rule *r)
{
    bool whole = item == GGUF_U32 || item == GGUF_I32;

    if ((r->kind == RULE_U32S && !whole) || (r->kind == RULE_F32S && item != GGUF_F32) ||
        (r->kind == RULE_PATTERN && !whole && item != GGUF_BOOL))
        return gguf_bad(c, "%s is an array of %s, which llama.cpp does not take: " GGUF_AGAIN, key,
                        gguf_kind_name(item));
    return check_items(c, key, item, r);
}

static bool check_scalar(struct gguf_check *c, const char *key, int32_t kind, const struct rule *r)
{
    int64_t whole = 0;
    double v = 0;

    switch (r->kind) {
    case RULE_BOOL:
        return kind == GGUF_BOOL || wrong_kind(c, key, kind, "bool");
    case RULE_TEXT:
        return kind == GGUF_TEXT || wrong_kind(c, key, kind, "text");
    case RULE_F32:
    case RULE_F32S:
        if (!gguf_get_float(c->f, key, &v) || kind != GGUF_F32)
            return wrong_kind(c, key, kind, "f32");
        return check_number(c, key, v, r);
    case RULE_U32:
    case RULE_U32S:
    case RULE_PATTERN:
        break;
    }
    if (!gguf_get_int(c->f, key, &whole) || kind != GGUF_U32)
        return wrong_kind(c, key, kind, "u32");
    return check_number(c, key, (double)whole, r);
}

static bool check_rule(struct gguf_check *c, const struct rule *r)
{
    char buf[128];
    const char *key = gguf_arch_key(c, r->suffix, buf);
    int32_t kind = 0;
    int32_t item = 0;

    if (!gguf_get_kind(c->f, key, &kind, &item)) {
        if ((r->needed & c->arch_bit) != 0)
            return gguf_bad(c, "the key %s is missing: " GGUF_AGAIN, key);
        return true;
    }
    if (kind == GGUF_ARRAY &&
        (r->kind == RULE_U32S || r->kind == RULE_F32S || r->kind == RULE_PATTERN))
        return check_array(c, key, item, r);
    return check_scalar(c, key, kind, r);
}

/* ---------------------------------------------------------------- values */

/* The value, that of layer 0 of an array, or `otherwise`. */
static int64_t int_of(const struct gguf_check *c, const char *suffix, int64_t otherwise)
{
    char buf[128];
    const char *key = gguf_arch_key(c, suffix, buf);
    int64_t v = 0;

    if (gguf_get_int(c->f, key, &v) || gguf_array_int(c->f, key, 0, &v))
        return v;
    return otherwise;
}

/* The largest of an array; otherwise as int_of. */
static int64_t max_of(const struct gguf_check *c, const char *suffix, int64_t otherwise)
{
    char buf[128];
    const char *key = gguf_arch_key(c, suffix, buf);
    int64_t v = 0;
    int64_t max = int_of(c, suffix, otherwise);

    for (size_t i = 0; gguf_array_int(c->f, key, i, &v); i++)
        max = v > max ? v : max;
    return max;
}

/* The architectures of our tables have the same numbers in every layer. */
static bool is_uniform(struct gguf_check *c, const char *suffix)
{
    char buf[128];
    const char *key = gguf_arch_key(c, suffix, buf);
    int64_t first = 0;
    int64_t v = 0;

    gguf_array_int(c->f, key, 0, &first);
    for (size_t i = 0; gguf_array_int(c->f, key, i, &v); i++)
        if (v != first)
            return gguf_bad(c, "%s differs between layers, which %s models do not do: " GGUF_AGAIN,
                            key, c->arch);
    return true;
}

static void load_values(struct gguf_check *c)
{
    size_t n = 0;
    char buf[128];

    c->n_ctx = int_of(c, "context_length", 0);
    c->n_embd = int_of(c, "embedding_length", 0);
    c->n_head = int_of(c, "attention.head_count", 0);
    c->n_head_kv = int_of(c, "attention.head_count_kv", c->n_head);
    c->n_ff = int_of(c, "feed_forward_length", 0);
    c->head_k = int_of(c, "attention.key_length", c->n_head > 0 ? c->n_embd / c->n_head : 0);
    c->head_v = int_of(c, "attention.value_length", c->n_head > 0 ? c->n_embd / c->n_head : 0);
    c->n_rot = int_of(c, "rope.dimension_count", c->head_k);
    c->n_expert = int_of(c, "expert_count", 0);
    c->n_expert_used = max_of(c, "expert_used_count", 0);
    c->n_ff_expert = c->arch_bit == ARCH_QWEN3MOE ? int_of(c, "expert_feed_forward_length", 0) : 0;
    if (c->n_ff_expert == 0)
        c->n_ff_expert = c->arch_bit == ARCH_QWEN3MOE && c->n_expert_used > 0
                             ? c->n_ff / c->n_expert_used
                             : c->n_ff;
    c->n_drafting = int_of(c, "nextn_predict_layers", 0);
    c->n_key_heads = int_of(c, "ssm.group_count", 0);
    c->n_value_heads = int_of(c, "ssm.time_step_rank", 0);
    c->n_state = int_of(c, "ssm.state_size", 0);
    c->n_conv = int_of(c, "ssm.conv_kernel", 0);
    c->n_cls = gguf_get_array(c->f, gguf_arch_key(c, "classifier.output_labels", buf), &n) && n > 0
                   ? (int64_t)n
                   : 1;
}

/* ---------------------------------------------------------------- relations */

static bool check_experts(struct gguf_check *c)
{
    int64_t groups = int_of(c, "expert_group_count", 0);
    int64_t used = int_of(c, "expert_group_used_count", 0);

    if (c->n_expert <= 1 && strncmp(c->arch, "hunyuan", 7) == 0)
        return true; /* llama.cpp takes it for a dense model then */
    if (c->n_expert == 0 && (c->n_expert_used != 0 || groups != 0))
        return gguf_bad(
            c, "%s.expert_used_count is %" PRId64 " in a model without experts: " GGUF_AGAIN,
            c->arch, c->n_expert_used);
    if (c->n_expert == 0)
        return true;
    if (c->n_expert_used < 1 || c->n_expert_used > c->n_expert)
        return gguf_bad(c, "%" PRId64 " experts are used of %" PRId64 ": " GGUF_AGAIN,
                        c->n_expert_used, c->n_expert);
    if (groups >= c->n_expert ||
        (groups > 1 && (c->n_expert % groups != 0 || used < 1 || used >= groups)))
        return gguf_bad(c,
                        "%s.expert_group_count and expert_group_used_count do not fit %" PRId64
                        " experts: " GGUF_AGAIN,
                        c->arch, c->n_expert);
    return true;
}

static bool check_rope(struct gguf_check *c)
{
    static const char *const known[] = {"none", "linear", "yarn", "longrope"};
    char buf[128];
    inf_text type = {0};
    bool ok = false;

    if (!gguf_get_text(c->f, gguf_arch_key(c, "rope.scaling.type", buf), &type))
        return true;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        ok = ok || text_equals(type.data, type.len, known[i]);
    c->longrope = text_equals(type.data, type.len, "longrope");
    if (!ok)
        return gguf_bad(
            c, "%s is \"%.*s\", which is none of none, linear, yarn and longrope: " GGUF_AGAIN, buf,
            type.len < 40 ? (int)type.len : 40, type.data);
    return true;
}

/* The parts of a head that turn by time, height and width, and a fourth that is 0: llama.cpp asserts
 * that one of the three is not and that a head has so many numbers, and divides by their sum. */
static bool check_sections(struct gguf_check *c)
{
    char buf[128];
    const char *key = gguf_arch_key(c, "rope.dimension_sections", buf);
    int64_t v = 0;
    int64_t turned = 0;
    int64_t sum = 0;
    size_t n = 0;

    if (gguf_get_array(c->f, key, &n) && n != 4)
        return gguf_bad(c, "%s has %zu items, not 4: " GGUF_AGAIN, key, n);
    for (size_t i = 0; gguf_array_int(c->f, key, i, &v) || (i == 0 && gguf_get_int(c->f, key, &v));
         i++) {
        turned += i < 3 ? v : 0;
        if (v < 0 || v > MAX_WIDTH || (i == 3 && v > 0 && turned == 0))
            return gguf_bad(c, "%s holds %" PRId64 ": " GGUF_AGAIN, key, v);
        sum += v;
    }
    if (sum > 0 && sum * (n == 4 ? 1 : 4) > c->head_k)
        return gguf_bad(c, "%s holds %" PRId64 " in all, with heads of %" PRId64 ": " GGUF_AGAIN,
                        key, sum, c->head_k);
    return true;
}

static bool check_needs(struct gguf_check *c)
{
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (strcmp(c->arch, needs[i].arch) == 0 && max_of(c, needs[i].suffix, 0) < 1)
            return gguf_bad(c, "%s.%s is missing or 0, which no %s model can be: " GGUF_AGAIN,
                            c->arch, needs[i].suffix, c->arch);
    return check_sections(c);
}

/* For every architecture: what llama.cpp asserts before it looks at tensors. */
static bool check_common(struct gguf_check *c)
{
    bool causal = true;
    char buf[128];

    gguf_get_bool(c->f, gguf_arch_key(c, "attention.causal", buf), &causal);
    if (!causal)
        return gguf_refuse(c, INF_ERROR_UNSUPPORTED,
                           "this is an embedding model (%s is false): it cannot generate text",
                           buf);
    if (int_of(c, "nextn_predict_layers", 0) >= c->n_layer)
        return gguf_bad(c, "%s.nextn_predict_layers leaves no layer: " GGUF_AGAIN, c->arch);
    if (c->n_head > 0 && c->n_head_kv > 0 && c->n_head % c->n_head_kv != 0)
        return gguf_bad(
            c, "%" PRId64 " attention heads cannot share %" PRId64 " key-value heads: " GGUF_AGAIN,
            c->n_head, c->n_head_kv);
    return check_experts(c) && check_rope(c) && check_needs(c);
}

/* What the graphs of our architectures assert about heads and rope. */
static bool check_heads(struct gguf_check *c)
{
    const uint32_t all_rotate = ARCH_LLAMA | ARCH_QWEN2 | ARCH_QWEN3 | ARCH_QWEN3MOE | ARCH_SMOLLM3;
    const uint32_t square = ARCH_QWEN2 | ARCH_PHI3 | ARCH_GPT2;

    if (c->n_head < 1 || c->n_head_kv < 1 || c->n_ff < 1 || c->head_k < 1)
        return gguf_bad(c,
                        "the model has %" PRId64 " attention heads, %" PRId64
                        " key-value heads, a head size of %" PRId64
                        " and a feed-forward length of %" PRId64 ": " GGUF_AGAIN,
                        c->n_head, c->n_head_kv, c->head_k, c->n_ff);
    if (c->head_k != c->head_v || int_of(c, "attention.key_length_swa", c->head_k) != c->head_k ||
        int_of(c, "attention.value_length_swa", c->head_k) != c->head_k)
        return gguf_bad(c,
                        "the head sizes of %s models are all the same, here they differ "
                        "(%" PRId64 " and %" PRId64 "): " GGUF_AGAIN,
                        c->arch, c->head_k, c->head_v);
    if (c->arch_bit != ARCH_GPT2 && (c->n_rot < 2 || c->n_rot % 2 != 0 || c->n_rot > c->head_k ||
                                     int_of(c, "rope.dimension_count_swa", c->n_rot) != c->n_rot ||
                                     ((c->arch_bit & all_rotate) != 0 && c->n_rot != c->head_k)))
        return gguf_bad(
            c, "%s.rope.dimension_count is %" PRId64 " with heads of %" PRId64 ": " GGUF_AGAIN,
            c->arch, c->n_rot, c->head_k);
    if ((c->arch_bit & square) != 0 && c->n_head * c->head_k != c->n_embd)
        return gguf_bad(c,
                        "%" PRId64 " heads of %" PRId64 " are not the embedding length %" PRId64
                        ": " GGUF_AGAIN,
                        c->n_head, c->head_k, c->n_embd);
    return true;
}

/* Whether a list of layers, one number, or an interval says so, as llama.cpp reads them. */
bool gguf_check_is_recurrent(const struct gguf_check *c, int64_t layer)
{
    char buf[128];
    const char *key = gguf_arch_key(c, "attention.recurrent_layers", buf);
    int64_t v = 0;

    if (c->arch_bit != ARCH_QWEN35)
        return false;
    if (gguf_get_int(c->f, key, &v) || gguf_array_int(c->f, key, (size_t)layer, &v))
        return v != 0;
    return layer < c->n_layer - c->n_drafting &&
           (layer + 1) % int_of(c, "full_attention_interval", 4) != 0;
}

/* llama.cpp reserves memory for layers of both kinds and ends the process where there is but one;
 * its graph has no node for a layer that drafts and has a state. */
static bool check_kinds(struct gguf_check *c)
{
    int64_t trunk = c->n_layer - c->n_drafting;
    int64_t recurrent = 0;
    char buf[128];
    size_t n = 0;

    if (gguf_get_array(c->f, gguf_arch_key(c, "attention.recurrent_layers", buf), &n) &&
        n != (size_t)c->n_layer)
        return gguf_bad(c, "%s has %zu items for %" PRId64 " layers: " GGUF_AGAIN, buf, n,
                        c->n_layer);
    for (int64_t i = 0; i < c->n_layer; i++) {
        recurrent += gguf_check_is_recurrent(c, i);
        if (i >= trunk && gguf_check_is_recurrent(c, i))
            return gguf_bad(
                c, "%s says that layer %" PRId64 ", which drafts, is recurrent: " GGUF_AGAIN, buf,
                i);
    }
    if (recurrent == 0 || recurrent == trunk)
        return gguf_bad(c,
                        "%" PRId64 " of %" PRId64
                        " layers are recurrent, but %s models have both kinds: " GGUF_AGAIN,
                        recurrent, trunk, c->arch);
    return true;
}

static bool check_delta_net(struct gguf_check *c)
{
    int64_t inner = int_of(c, "ssm.inner_size", 0);

    if (c->n_key_heads < 1 || c->n_value_heads < 1 || c->n_state < 1 || c->n_conv < 2 ||
        c->n_value_heads % c->n_key_heads != 0 || inner != c->n_value_heads * c->n_state)
        return gguf_bad(c,
                        "%s.ssm: %" PRId64 " key heads, %" PRId64 " value heads of %" PRId64
                        ", an inner size of %" PRId64 " and a convolution over %" PRId64
                        " do not fit together: " GGUF_AGAIN,
                        c->arch, c->n_key_heads, c->n_value_heads, c->n_state, inner, c->n_conv);
    if (c->n_state * inner > MAX_STATE ||
        (c->n_conv - 1) * (inner + 2 * c->n_key_heads * c->n_state) > MAX_STATE)
        return gguf_bad(c,
                        "%s.ssm: %" PRId64 " value heads of %" PRId64
                        " and a convolution over %" PRId64
                        " are more state than can be: " GGUF_AGAIN,
                        c->arch, c->n_value_heads, c->n_state, c->n_conv);
    return check_kinds(c);
}

static bool check_known(struct gguf_check *c)
{
    const uint32_t mixtures = ARCH_LLAMA | ARCH_QWEN3MOE;
    int64_t out = int_of(c, "embedding_length_out", 0);

    if (!is_uniform(c, "attention.head_count") || !is_uniform(c, "attention.head_count_kv") ||
        !is_uniform(c, "feed_forward_length") || !is_uniform(c, "expert_used_count") ||
        !is_uniform(c, "expert_feed_forward_length"))
        return false;
    if (out != 0 && out != c->n_embd)
        return gguf_bad(c, "%s.embedding_length_out is %" PRId64 ", not %" PRId64 ": " GGUF_AGAIN,
                        c->arch, out, c->n_embd);
    if (c->n_drafting != 0 && c->arch_bit != ARCH_QWEN35)
        return gguf_bad(
            c, "%s.nextn_predict_layers is not 0, which %s models do not have: " GGUF_AGAIN,
            c->arch, c->arch);
    if (c->arch_bit == ARCH_QWEN3MOE && (c->n_expert == 0 || c->n_ff_expert < 1))
        return gguf_bad(c, "%s.expert_count is missing or 0, which no %s model can be: " GGUF_AGAIN,
                        c->arch, c->arch);
    if (c->n_expert != 0 && (c->arch_bit & mixtures) == 0)
        return gguf_bad(
            c, "%s.expert_count is %" PRId64 ", but %s models have no experts: " GGUF_AGAIN,
            c->arch, c->n_expert, c->arch);
    return check_heads(c) && (c->arch_bit != ARCH_QWEN35 || check_delta_net(c));
}

bool gguf_check_params(struct gguf_check *c)
{
    c->n_layer = int_of(c, "block_count", 0);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (!check_rule(c, &rules[i]))
            return false;
    load_values(c);
    return check_common(c) && ((c->arch_bit & ARCH_ALL) == 0 || check_known(c));
}
