/* keys: see the header. */
#include "arch/keys.h"

#include "core/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PI 3.14159265358979323846

const char *const activation_silu[] = {"silu", "swish", NULL};
const char *const activation_gelu_tanh[] = {"gelu_pytorch_tanh", "gelu_new", "gelu_fast", NULL};

const struct family_weight usual_globals[] = {
    WEIGHTS_EMBEDDING,
    {WEIGHT("^norm.weight", "output_norm.weight", SIZE_EMBD)},
    WEIGHTS_HEAD,
    {.module = NULL},
};

const struct family_weight plus_one_globals[] = {
    WEIGHTS_EMBEDDING,
    WEIGHT_PLUS_ONE("^norm", "output_norm", SIZE_EMBD),
    WEIGHTS_HEAD,
    {.module = NULL},
};

const char *const usual_ignored[] = {"*rotary_emb.inv_freq", NULL};

void keys_put_u32(struct blueprint *b, const char *suffix, int64_t value)
{
    char key[128];

    gguf_put_u32(&b->header, blueprint_key(b, suffix, key), (uint32_t)value);
}

void keys_put_f32(struct blueprint *b, const char *suffix, double value)
{
    char key[128];

    gguf_put_f32(&b->header, blueprint_key(b, suffix, key), (float)value);
}

void keys_put_text(struct blueprint *b, const char *suffix, const char *value)
{
    char key[128];

    gguf_put_text(&b->header, blueprint_key(b, suffix, key), value);
}

void keys_refuse_true(struct config_reader *r, const char *key, const char *why)
{
    if (config_bool(r, key, false))
        config_refuse(r, key, "%s", why);
}

void keys_activation(struct config_reader *r, const char *key, const char *const *names)
{
    if (r->code == INF_OK && !config_is_one_of(r, key, names, true))
        config_refuse(r, key, "llama.cpp computes %s alone for this family", names[0]);
}

void keys_no_sliding(struct blueprint *b, struct config_reader *r, const char *key,
                     int64_t otherwise)
{
    char why[120];
    struct json_span v = config_value(r, key);
    int64_t n = 0;

    if (r->code != INF_OK || (v.data && scan_is_none(v))) /* null: there is none */
        return;
    n = config_int(r, key, otherwise, 1, KEYS_MAX_POSITIONS);
    if (n <= 0)
        return;
    snprintf(why, sizeof why, "\"%.40s\" is %lld, and llama.cpp has no sliding window here", key,
             (long long)n);
    blueprint_limit_window(b, n, why);
}

static bool names_sliding_layers(const struct config_reader *r)
{
    struct json_span item = {0};
    struct json_walk w;

    scan_array(&w, config_value(r, "layer_types"));
    while (scan_next_item(&w, &item))
        if (scan_is_string(item) && scan_equals(item, "sliding_attention"))
            return true;
    return false;
}

void keys_layer_types(bool *is, const struct blueprint *b, struct config_reader *r,
                      const char *kind, int64_t step)
{
    struct json_span item = {0};
    struct json_walk w;
    int32_t n = 0;

    for (int32_t i = 0; i < b->n_layer; i++)
        is[i] = (i + 1) % step != 0;
    if (!config_has(r, "layer_types"))
        return;
    scan_array(&w, config_value(r, "layer_types"));
    for (; scan_next_item(&w, &item); n++) {
        bool full = scan_is_string(item) && scan_equals(item, "full_attention");

        if (!full && !(scan_is_string(item) && scan_equals(item, kind)))
            config_refuse(r, "layer_types", "layers are full_attention or %s", kind);
        if (n < b->n_layer)
            is[n] = !full;
    }
    if (r->code == INF_OK && n != b->n_layer)
        config_bad(r, "layer_types", "there are %d layers", b->n_layer);
}

void keys_sliding(struct blueprint *b, struct config_reader *r, int64_t step, int64_t otherwise)
{
    bool slides[FAMILY_MAX_BLOCKS];
    bool any = false;
    char key[128];

    if (r->code != INF_OK)
        return;
    keys_layer_types(slides, b, r, "sliding_attention", step);
    for (int32_t i = 0; i < b->n_layer; i++)
        any = any || slides[i];
    if (!any || r->code != INF_OK)
        return;
    if (config_is_null(r, "sliding_window"))
        config_refuse(r, "sliding_window", "there are layers that slide");
    keys_put_u32(b, "attention.sliding_window",
                 config_int(r, "sliding_window", otherwise, 1, KEYS_MAX_POSITIONS));
    gguf_put_bools(&b->header, blueprint_key(b, "attention.sliding_window_pattern", key), slides,
                   (size_t)b->n_layer);
}

void keys_gemma_scale(struct blueprint *b, struct config_reader *r, int32_t layers_of_largest)
{
    double scalar = config_real(r, "query_pre_attn_scalar", 256);
    int64_t own = b->size[SIZE_HEAD];

    if (r->code != INF_OK)
        return;
    if (b->n_layer == layers_of_largest)
        own = b->size[SIZE_EMBD] / b->n_head;
    if (scalar < (double)own || scalar > (double)own)
        config_refuse(r, "query_pre_attn_scalar", "llama.cpp computes with %lld", (long long)own);
}

void keys_qwen_sliding(struct blueprint *b, struct config_reader *r)
{
    int64_t first = config_int(r, "max_window_layers", 28, 0, KEYS_MAX_WIDTH);

    if (!config_bool(r, "use_sliding_window", false))
        return;
    if (config_has(r, "layer_types") ? names_sliding_layers(r) : first < b->n_layer)
        keys_no_sliding(b, r, "sliding_window", 4096);
}

/* ------------------------------------------------------------------ the transformer */

static void read_heads(struct blueprint *b, struct config_reader *r, const struct key_defaults *d)
{
    int64_t heads = config_int(r, "num_attention_heads", CONFIG_NEEDED, 1, 65536);
    int64_t kv = config_int(r, "num_key_value_heads", d->kv_heads ? d->kv_heads : heads, 1, 65536);
    int64_t width = b->size[SIZE_EMBD];
    int64_t head = 0;

    if (r->code != INF_OK)
        return;
    head = config_int(r, "head_dim", d->head_dim ? d->head_dim : width / heads, 1, KEYS_MAX_WIDTH);
    if (heads % kv != 0)
        config_bad(r, "num_key_value_heads", "%lld attention heads cannot share so many",
                   (long long)heads);
    if (!config_has(r, "head_dim") && !d->head_dim && width % heads != 0)
        config_bad(r, "num_attention_heads", "hidden_size %lld is no multiple of it",
                   (long long)width);
    if (head > KEYS_MAX_WIDTH / heads)
        config_bad(r, "num_attention_heads", "so many heads of %lld are too wide", (long long)head);
    if (d->square && heads * head != width)
        config_refuse(r, "head_dim", "llama.cpp wants hidden_size / num_attention_heads here");
    if (head % 2 != 0)
        config_refuse(r, "head_dim", "heads must be of an even size, not %lld", (long long)head);
    b->n_head = (int32_t)heads;
    b->n_head_kv = (int32_t)kv;
    b->size[SIZE_HEAD] = head;
    b->size[SIZE_Q] = heads * head;
    b->size[SIZE_KV] = kv * head;
    b->size[SIZE_QKV] = heads * head + 2 * kv * head;
}

static void read_sizes(struct blueprint *b, struct config_reader *r, const struct key_defaults *d)
{
    b->n_layer = (int32_t)config_int(r, "num_hidden_layers", CONFIG_NEEDED, 1, FAMILY_MAX_BLOCKS);
    b->size[SIZE_ONE] = 1;
    b->size[SIZE_EMBD] = config_int(r, "hidden_size", CONFIG_NEEDED, 1, KEYS_MAX_WIDTH);
    b->size[SIZE_FF] = config_int(r, "intermediate_size", CONFIG_NEEDED, 1, KEYS_MAX_WIDTH * 16LL);
    b->size[SIZE_FF2] = 2 * b->size[SIZE_FF];
    b->size[SIZE_VOCAB] = config_int(r, "vocab_size", CONFIG_NEEDED, 1, KEYS_MAX_VOCAB);
    b->size[SIZE_POSITIONS] = config_int(r, "max_position_embeddings", d->positions, 1,
                                         KEYS_MAX_POSITIONS);
    read_heads(b, r, d);
}

/* A head in the file is used whatever tie_word_embeddings says, as by transformers. Of a nested model the
 * key may stand outside of its text part. */
void keys_head(struct blueprint *b, struct config_reader *r, const struct key_defaults *d)
{
    bool tied = config_bool(r, "tie_word_embeddings", d->tied) ||
                scan_is_true(scan_member(r->root, "tie_word_embeddings"));

    if (!tied || blueprint_has(b, "lm_head.weight") ||
        blueprint_has(b, "language_model.lm_head.weight"))
        b->features |= FEATURE_HEAD;
}

void keys_put_sizes(struct blueprint *b)
{
    keys_put_u32(b, "vocab_size", b->size[SIZE_VOCAB]);
    keys_put_u32(b, "context_length", b->size[SIZE_POSITIONS]);
    keys_put_u32(b, "embedding_length", b->size[SIZE_EMBD]);
    keys_put_u32(b, "block_count", b->n_layer);
    keys_put_u32(b, "feed_forward_length", b->size[SIZE_FF]);
    keys_put_u32(b, "attention.head_count", b->n_head);
    keys_put_u32(b, "attention.head_count_kv", b->n_head_kv);
    keys_put_u32(b, "attention.key_length", b->size[SIZE_HEAD]);
    keys_put_u32(b, "attention.value_length", b->size[SIZE_HEAD]);
}

void keys_transformer(struct blueprint *b, struct config_reader *r, const struct key_defaults *d)
{
    double eps = config_real(r, "rms_norm_eps", d->eps);

    read_sizes(b, r, d);
    keys_head(b, r, d);
    if (eps < 0 || eps > 1)
        config_bad(r, "rms_norm_eps", "it must be from 0 to 1");
    if (r->code != INF_OK)
        return;
    keys_put_sizes(b);
    keys_put_f32(b, "attention.layer_norm_rms_epsilon", eps);
}

/* ------------------------------------------------------------------ rope */

/* The model's own key has priority. */
static int64_t original_positions(const struct blueprint *b, struct config_rope *rope,
                                  struct config_reader *r)
{
    int64_t own = config_int(r, "original_max_position_embeddings", 0, 1, KEYS_MAX_POSITIONS);

    return own ? own
               : config_int(&rope->params, "original_max_position_embeddings",
                            b->size[SIZE_POSITIONS], 1, KEYS_MAX_POSITIONS);
}

static double positive(struct config_rope *rope, const char *key, double otherwise)
{
    double v = config_real(&rope->params, key, otherwise);

    if (rope->params.code == INF_OK && (v <= 0 || v > 1e9))
        config_bad(&rope->params, key, "it must be above 0");
    return v;
}

static void only(struct config_rope *rope, const char *key, double value)
{
    double v = config_real(&rope->params, key, value);

    if (v < value || v > value)
        config_refuse(&rope->params, key, "llama.cpp computes with %g alone", value);
}

static void put_linear(struct blueprint *b, struct config_rope *rope)
{
    keys_put_text(b, "rope.scaling.type", "linear");
    keys_put_f32(b, "rope.scaling.factor", positive(rope, "factor", NAN));
}

/* How much longer YaRN makes queries and keys, by itself and with mscale. */
static double yarn_mscale(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static void put_yarn(struct blueprint *b, struct config_rope *rope, struct config_reader *r)
{
    struct config_reader *p = &rope->params;
    int64_t original = original_positions(b, rope, r);
    double factor = positive(rope, "factor", (double)b->size[SIZE_POSITIONS] / (double)original);
    double own = yarn_mscale(factor, 1);
    double mscale = config_real(p, "mscale", 0);
    double all = config_real(p, "mscale_all_dim", 0);
    double by_default = (mscale > 0 || mscale < 0) && (all > 0 || all < 0)
                            ? yarn_mscale(factor, mscale) / yarn_mscale(factor, all)
                            : own;
    double attention = positive(rope, "attention_factor", by_default);

    if (!config_bool(p, "truncate", true))
        config_refuse(p, "truncate", "llama.cpp always rounds the bounds of YaRN's ramp");
    if (p->code == INF_OK && factor < 1)
        config_refuse(p, "factor", "llama.cpp computes YaRN for factors from 1 on");
    keys_put_text(b, "rope.scaling.type", "yarn");
    keys_put_f32(b, "rope.scaling.factor", factor);
    keys_put_u32(b, "rope.scaling.original_context_length", original);
    keys_put_f32(b, "rope.scaling.attn_factor", attention / own);
    only(rope, "beta_fast", 32);
    only(rope, "beta_slow", 1);
}

/* What llama3's scaling divides each frequency by. */
static void add_llama3(struct blueprint *b, struct config_rope *rope, struct config_reader *r)
{
    int64_t head = b->size[SIZE_HEAD];
    double factor = positive(rope, "factor", NAN);
    double low = positive(rope, "low_freq_factor", NAN);
    double high = positive(rope, "high_freq_factor", NAN);
    double original = (double)original_positions(b, rope, r);
    float *values = mem_alloc((size_t)head / 2 * sizeof *values);

    if (!values)
        r->code = error_no_memory(r->err);
    if (rope->params.code == INF_OK && high <= low)
        config_bad(&rope->params, "high_freq_factor", "it must be above low_freq_factor");
    for (int64_t i = 0; values && i < head / 2; i++) {
        double wave = 2 * PI * pow(rope->theta, (double)(2 * i) / (double)head);
        double smooth = (original / wave - low) / (high - low);

        smooth = smooth < 0 ? 0 : smooth > 1 ? 1 : smooth;
        values[i] = (float)(1 / ((1 - smooth) / factor + smooth));
    }
    if (values && rope->params.code == INF_OK)
        blueprint_add_values(b, r, "rope_freqs.weight", values, head / 2);
    mem_free(values);
}

static void limit_dynamic(struct blueprint *b)
{
    blueprint_limit_window(b, b->size[SIZE_POSITIONS],
                           "llama.cpp does not stretch rope as texts grow (rope_type dynamic)");
}

void keys_rope_of(struct blueprint *b, struct config_rope *rope, bool factors)
{
    struct config_reader *p = &rope->params;
    struct config_reader *r = rope->owner;

    if (r->code != INF_OK)
        return;
    if (rope->theta <= 0 || rope->theta > 1e30)
        config_bad(r, "rope_theta", "it must be above 0");
    keys_put_f32(b, "rope.freq_base", rope->theta);
    if (strcmp(rope->type, "linear") == 0)
        put_linear(b, rope);
    else if (strcmp(rope->type, "yarn") == 0)
        put_yarn(b, rope, r);
    else if (strcmp(rope->type, "dynamic") == 0)
        limit_dynamic(b);
    else if (strcmp(rope->type, "llama3") == 0 && factors)
        add_llama3(b, rope, r);
    else if (strcmp(rope->type, "default") != 0)
        config_refuse(p, config_has(p, "rope_type") ? "rope_type" : "type",
                      "llama.cpp does not compute it for this family");
    r->code = r->code == INF_OK ? p->code : r->code;
}

int64_t keys_put_turned(struct blueprint *b, struct config_rope *rope, const struct key_defaults *d)
{
    struct config_reader *r = rope->owner;
    int64_t turned = (int64_t)((double)b->size[SIZE_HEAD] * rope->partial);

    if (r->code != INF_OK)
        return 2;
    if (turned < 2 || turned > b->size[SIZE_HEAD] || turned % 2 != 0 ||
        (d->partial <= 0 && turned != b->size[SIZE_HEAD]))
        config_refuse(&rope->params, "partial_rotary_factor",
                      "llama.cpp cannot turn %lld of %lld dimensions for this family",
                      (long long)turned, (long long)b->size[SIZE_HEAD]);
    r->code = rope->params.code;
    keys_put_u32(b, "rope.dimension_count", turned);
    return turned;
}

int64_t keys_rope(struct blueprint *b, struct config_reader *r, const struct key_defaults *d)
{
    struct config_rope rope = config_rope(r, NULL, d->rope_theta, d->partial > 0 ? d->partial : 1);
    int64_t turned = keys_put_turned(b, &rope, d);

    keys_rope_of(b, &rope, b->family->regroups);
    return turned;
}
