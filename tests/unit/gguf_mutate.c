/*
 * gguf_mutate: see the header. Every change is drawn from the generator: the same seed makes the same
 * file.
 */
#include "gguf_mutate.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- random */

uint64_t rng_next(struct rng *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
    return n == 0 ? 0 : (uint32_t)(rng_next(r) % n);
}

static uint64_t strange_number(struct rng *r)
{
    static const uint64_t numbers[] = {0,
                                       1,
                                       2,
                                       3,
                                       4,
                                       5,
                                       6,
                                       7,
                                       8,
                                       9,
                                       12,
                                       15,
                                       16,
                                       17,
                                       24,
                                       31,
                                       32,
                                       33,
                                       48,
                                       63,
                                       64,
                                       65,
                                       96,
                                       127,
                                       128,
                                       255,
                                       256,
                                       257,
                                       287,
                                       288,
                                       289,
                                       511,
                                       512,
                                       513,
                                       1023,
                                       1024,
                                       1025,
                                       4095,
                                       4096,
                                       8192,
                                       65535,
                                       65536,
                                       65537,
                                       1000000,
                                       1048576,
                                       0x7ffffffe,
                                       0x7fffffff,
                                       0x80000000,
                                       0x80000001,
                                       0xfffffffe,
                                       0xffffffff,
                                       UINT64_C(0x100000000),
                                       UINT64_C(0x7fffffffffffffff),
                                       UINT64_C(0x8000000000000000),
                                       UINT64_C(0xfffffffffffffff0),
                                       UINT64_C(0xffffffffffffffff)};

    switch (rng_below(r, 8)) {
    case 0:
        return rng_next(r);
    case 1:
        return rng_next(r) & 0xffffffff;
    case 2:
        return rng_below(r, 1000);
    default:
        return numbers[rng_below(r, sizeof numbers / sizeof numbers[0])];
    }
}

static float strange_float(struct rng *r)
{
    static const float numbers[] = {0.0f,   -0.0f,   1.0f,     -1.0f, 1e-5f, 1e-6f,
                                    1e-38f, 1e-45f,  0.5f,     2.0f,  1e4f,  1e6f,
                                    1e30f,  3.4e38f, -3.4e38f, 50.0f, -1e-9f};
    uint32_t bits = (uint32_t)rng_next(r);
    float v = 0;

    switch (rng_below(r, 5)) {
    case 0:
        return (float)NAN;
    case 1:
        return rng_below(r, 2) ? (float)INFINITY : -(float)INFINITY;
    case 2:
        memcpy(&v, &bits, 4);
        return v;
    default:
        return numbers[rng_below(r, sizeof numbers / sizeof numbers[0])];
    }
}

static const char *strange_word(struct rng *r)
{
    static const char *const words[] = {
        "",         " ",          "a",         "llama",       "gpt2",         "qwen2",
        "qwen3",    "gemma2",     "gemma3",    "phi3",        "smollm3",      "mistral3",
        "bert",     "t5",         "rwkv",      "plamo2",      "gemma4",       "none",
        "no_vocab", "whitespace", "hybriddna", "test",        "default",      "llama-bpe",
        "smollm",   "tekken",     "glm4",      "chatglm-bpe", "deepseek-llm", "kimi-k2",
        "gpt-4o",   "afmoe",      "command-r", "qwen35",      "superbpe",     "bloom",
        "linear",   "yarn",       "longrope",  "unspecified", "adapter",      "model",
        "mmproj",   "imatrix",    "clip",      "deci",        "falcon",       "mamba",
        "phi-3",    "Phi3",       "{{ x }}",   "{% for",      "\xff\xfe\x80"};

    return words[rng_below(r, sizeof words / sizeof words[0])];
}

struct bytes gguf_rebuild(const uint8_t *good, size_t size)
{
    struct document *d = document_read(good, size);
    struct bytes b = document_write(d);

    document_free(d);
    return b;
}

/* ---------------------------------------------------------------- keys and values */

static struct pair *any_pair(struct document *d, struct rng *r)
{
    return &d->pairs[rng_below(r, (uint32_t)d->n_pairs)];
}

static struct tensor *any_tensor(struct document *d, struct rng *r)
{
    return &d->tensors[rng_below(r, (uint32_t)d->n_tensors)];
}

/* A value of a kind. */
static struct bytes strange_value(uint32_t kind, struct rng *r)
{
    struct bytes b = {0};
    uint64_t v = strange_number(r);
    float f = strange_float(r);
    double wide = (double)f;
    const char *word = strange_word(r);

    switch (kind) {
    case TEXT:
        bytes_append_u64(&b, strlen(word));
        bytes_append(&b, word, strlen(word));
        break;
    case F32:
        bytes_append(&b, &f, 4);
        break;
    case 12:
        bytes_append(&b, &wide, 8);
        break;
    case ARRAY:
        bytes_append_u32(&b, (uint32_t[]){4, 5, 6, 7, 8, 10}[rng_below(r, 6)]);
        v = rng_below(r, 5);
        bytes_append_u64(&b, v);
        for (uint64_t i = 0; i < v; i++) {
            struct bytes item = strange_value(get_u32(b.data), r);

            bytes_append(&b, item.data, item.len);
            free(item.data);
        }
        break;
    default:
        bytes_append(&b, &v, kind_size(kind));
        break;
    }
    return b;
}

static void set_value(struct pair *p, uint32_t kind, struct rng *r)
{
    free(p->value.data);
    p->kind = kind;
    p->value = strange_value(kind, r);
}

static uint32_t any_kind(struct rng *r)
{
    return (uint32_t[]){0, 2, 4, 4, 4, 5, 6, 6, 7, 8, 9, 9, 10, 11, 12}[rng_below(r, 15)];
}

/* A new name for a key: one that means something to llama.cpp, with the file's architecture. */
static void rename_key(struct document *d, struct pair *p, struct rng *r)
{
    static const char *const suffixes[] = {"vocab_size",
                                           "context_length",
                                           "embedding_length",
                                           "embedding_length_out",
                                           "block_count",
                                           "feed_forward_length",
                                           "attention.head_count",
                                           "attention.head_count_kv",
                                           "attention.key_length",
                                           "attention.value_length",
                                           "attention.key_length_swa",
                                           "attention.value_length_swa",
                                           "attention.key_length_mla",
                                           "attention.causal",
                                           "attention.sliding_window",
                                           "attention.sliding_window_pattern",
                                           "attention.clamp_kqv",
                                           "attention.max_alibi_bias",
                                           "attention.scale",
                                           "attention.layer_norm_epsilon",
                                           "attention.layer_norm_rms_epsilon",
                                           "attention.shared_kv_layers",
                                           "expert_count",
                                           "expert_used_count",
                                           "expert_group_count",
                                           "expert_group_used_count",
                                           "expert_shared_feed_forward_length",
                                           "pooling_type",
                                           "classifier.output_labels",
                                           "classifier.pooling_type",
                                           "nextn_predict_layers",
                                           "rope.dimension_count",
                                           "rope.dimension_count_swa",
                                           "rope.dimension_sections",
                                           "rope.freq_base",
                                           "rope.freq_base_swa",
                                           "rope.scale_linear",
                                           "rope.scaling.type",
                                           "rope.scaling.factor",
                                           "rope.scaling.alpha",
                                           "rope.scaling.attn_factor",
                                           "rope.scaling.finetuned",
                                           "rope.scaling.original_context_length",
                                           "rope.scaling.yarn_log_multiplier",
                                           "rope.scaling.yarn_ext_factor",
                                           "rope.scaling.yarn_attn_factor",
                                           "rope.scaling.yarn_beta_fast",
                                           "rope.scaling.yarn_beta_slow",
                                           "attn_logit_softcapping",
                                           "final_logit_softcapping",
                                           "logit_scale",
                                           "residual_scale",
                                           "embedding_scale",
                                           "decoder_start_token_id",
                                           "tensor_data_layout",
                                           "use_parallel_residual",
                                           "ssm.conv_kernel",
                                           "ssm.inner_size",
                                           "ssm.state_size",
                                           "wkv.head_size",
                                           "adapters.count",
                                           "n_deepstack_layers",
                                           "deepstack_mapping",
                                           "dense_2_feat_out"};
    static const char *const keys[] = {"general.alignment",
                                       "general.type",
                                       "general.name",
                                       "general.file_type",
                                       "general.quantization_version",
                                       "general.tensor_extra.name",
                                       "general.tensor_extra.prec_a4",
                                       "general.sampling.top_k",
                                       "general.sampling.sequence",
                                       "split.no",
                                       "split.count",
                                       "split.tensors.count",
                                       "adapter.type",
                                       "tokenizer.ggml.pre",
                                       "tokenizer.ggml.scores",
                                       "tokenizer.ggml.token_type",
                                       "tokenizer.ggml.token_type_count",
                                       "tokenizer.ggml.merges",
                                       "tokenizer.ggml.bos_token_id",
                                       "tokenizer.ggml.eos_token_id",
                                       "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id",
                                       "tokenizer.ggml.unknown_token_id",
                                       "tokenizer.ggml.padding_token_id",
                                       "tokenizer.ggml.seperator_token_id",
                                       "tokenizer.ggml.mask_token_id",
                                       "tokenizer.ggml.fim_pre_token_id",
                                       "tokenizer.ggml.fim_pad_token_id",
                                       "tokenizer.ggml.prefix_token_id",
                                       "tokenizer.ggml.add_bos_token",
                                       "tokenizer.ggml.add_eos_token",
                                       "tokenizer.ggml.add_sep_token",
                                       "tokenizer.ggml.add_space_prefix",
                                       "tokenizer.ggml.remove_extra_whitespaces",
                                       "tokenizer.ggml.precompiled_charsmap",
                                       "tokenizer.ggml.suppress_tokens",
                                       "tokenizer.ggml.normalizer.lowercase",
                                       "tokenizer.chat_template"};
    char name[160];
    const char *arch = "llama";
    int arch_len = 5;

    for (size_t i = 0; i < d->n_pairs; i++) {
        if (d->pairs[i].key.len == 20 &&
            memcmp(d->pairs[i].key.data, "general.architecture", 20) == 0 &&
            d->pairs[i].kind == TEXT && d->pairs[i].value.len < 40) {
            arch = (const char *)d->pairs[i].value.data + 8;
            arch_len = (int)d->pairs[i].value.len - 8;
        }
    }
    if (rng_below(r, 3) > 0) {
        snprintf(name, sizeof name, "%.*s.%s", arch_len, arch,
                 suffixes[rng_below(r, sizeof suffixes / sizeof suffixes[0])]);
    } else {
        snprintf(name, sizeof name, "%s", keys[rng_below(r, sizeof keys / sizeof keys[0])]);
    }
    bytes_replace(&p->key, name, strlen(name));
}

static struct pair *add_pair(struct document *d, struct rng *r)
{
    struct pair *p = &d->pairs[d->n_pairs++];

    memset(p, 0, sizeof *p);
    rename_key(d, p, r);
    set_value(p, any_kind(r), r);
    /* a key that is there already is replaced, else the file would be refused for that */
    for (size_t i = 0; i + 1 < d->n_pairs && rng_below(r, 10) > 0; i++) {
        if (d->pairs[i].key.len == p->key.len &&
            memcmp(d->pairs[i].key.data, p->key.data, p->key.len) == 0) {
            struct pair last = *p;

            d->n_pairs--;
            free(d->pairs[i].key.data);
            free(d->pairs[i].value.data);
            d->pairs[i] = last;
            return &d->pairs[i];
        }
    }
    return p;
}

/* ---------------------------------------------------------------- arrays */

static struct pair *any_array(struct document *d, struct rng *r)
{
    for (int i = 0; i < 64; i++) {
        struct pair *p = any_pair(d, r);

        if (p->kind == ARRAY && p->value.len >= 12)
            return p;
    }
    return NULL;
}

static void change_item(struct pair *p, struct rng *r)
{
    uint32_t kind = get_u32(p->value.data);
    uint64_t count = get_u64(p->value.data + 4);
    uint64_t i = count > 0 ? rng_next(r) % count : 0;
    uint64_t other = count > 0 ? rng_next(r) % count : 0;
    size_t start = 0;
    size_t end = 0;
    struct bytes v = {0};
    struct bytes item = {0};

    if (count == 0)
        return;
    start = document_item(&p->value, i);
    end = document_item(&p->value, i + 1);
    if (rng_below(r, 3) == 0) {
        size_t from = document_item(&p->value, other);

        item = bytes_copy(p->value.data + from, document_item(&p->value, other + 1) - from);
    } else if (kind == TEXT && end > start + 8 && rng_below(r, 2) == 0) {
        item = bytes_copy(p->value.data + start, end - start);
        item.data[8 + rng_below(r, (uint32_t)(item.len - 8))] = (uint8_t)rng_next(r);
    } else {
        item = strange_value(kind, r);
    }
    bytes_append(&v, p->value.data, start);
    bytes_append(&v, item.data, item.len);
    bytes_append(&v, p->value.data + end, p->value.len - end);
    free(item.data);
    free(p->value.data);
    p->value = v;
}

static void change_array(struct document *d, struct rng *r, char what[200])
{
    struct pair *p = any_array(d, r);
    uint64_t count = p ? get_u64(p->value.data + 4) : 0;
    uint64_t n = 0;

    if (!p)
        return;
    snprintf(what, 200, "array %.*s", (int)p->key.len, (char *)p->key.data);
    switch (rng_below(r, 5)) {
    case 0:
        n = rng_below(r, 3) == 0 ? rng_next(r) % (count + 1) : count - (count > 0);
        document_resize(p, n, n, 0);
        break;
    case 1:
        if (count > 0 && count < 100000)
            document_resize(p, count, count + 1 + rng_below(r, 3), rng_next(r) % count);
        break;
    case 2:
        if (kind_size(get_u32(p->value.data)) == 4) {
            uint32_t kind = (uint32_t[]){4, 5, 6}[rng_below(r, 3)];

            memcpy(p->value.data, &kind, 4);
        }
        break;
    default:
        for (uint32_t i = rng_below(r, 4) + 1; i > 0; i--)
            change_item(p, r);
        break;
    }
}

/* ---------------------------------------------------------------- tensors */

static void fit_data(struct tensor *t, struct rng *r)
{
    size_t n = tensor_bytes(t);

    if (n > (1u << 22))
        return; /* leave it: the file will be too short */
    t->data.data = realloc(t->data.data, n + 1);
    for (size_t i = t->data.len; i < n; i++)
        t->data.data[i] = rng_below(r, 8) == 0 ? (uint8_t)rng_next(r) : 0;
    t->data.len = n;
}

static void change_shape(struct tensor *t, struct rng *r)
{
    uint32_t d = rng_below(r, t->n_dims);
    uint64_t first = t->ne[0];

    switch (rng_below(r, 7)) {
    case 0:
        t->ne[d] = strange_number(r);
        break;
    case 1:
        t->ne[d] += 1;
        break;
    case 2:
        t->ne[d] *= 2;
        break;
    case 3:
        t->ne[d] /= 2;
        break;
    case 4:
        if (t->n_dims > 1) {
            t->ne[0] = t->ne[1];
            t->ne[1] = first;
        }
        break;
    case 5:
        t->n_dims = rng_below(r, 6);
        break;
    default:
        if (t->n_dims < 4)
            t->ne[t->n_dims++] = 1 + rng_below(r, 2);
        break;
    }
}

static void rename_tensor(struct tensor *t, struct rng *r)
{
    static const char *const names[] = {"output.weight",
                                        "output.bias",
                                        "output_norm.weight",
                                        "output_norm.bias",
                                        "token_embd.weight",
                                        "position_embd.weight",
                                        "rope_freqs.weight",
                                        "rope_factors_long.weight",
                                        "rope_factors_short.weight",
                                        "cls.output.weight",
                                        "blk.0.attn_q.weight",
                                        "blk.0.attn_qkv.weight",
                                        "blk.0.attn_qkv.bias",
                                        "blk.0.attn_q.bias",
                                        "blk.0.attn_output.bias",
                                        "blk.0.attn_q_norm.weight",
                                        "blk.1.ffn_up.weight",
                                        "blk.0.ffn_gate_inp.weight",
                                        "blk.0.ffn_down_exps.weight",
                                        "blk.0.attn_q.scale",
                                        "blk.0.ffn_up.input_scale",
                                        "blk.0.ffn_gate.bias",
                                        "blk.0.post_ffw_norm.weight",
                                        "blk.9.attn_norm.weight",
                                        "x",
                                        ""};
    const char *name = names[rng_below(r, sizeof names / sizeof names[0])];

    if (rng_below(r, 3) == 0 && t->name.len > 0) {
        t->name.data[rng_below(r, (uint32_t)t->name.len)] =
            (uint8_t) "0123456789abcdefghijklmnopqrstuvwxyz._"[rng_below(r, 38)];
    } else {
        bytes_replace(&t->name, name, strlen(name));
    }
}

static void add_tensor(struct document *d, struct rng *r)
{
    const struct tensor *from = any_tensor(d, r);
    struct tensor *t = &d->tensors[d->n_tensors];

    if (d->n_tensors + 1 >= MAX_ITEMS)
        return;
    *t = *from;
    t->name = bytes_copy(from->name.data, from->name.len);
    t->data = bytes_copy(from->data.data, from->data.len);
    rename_tensor(t, r);
    d->n_tensors++;
}

static void change_tensor(struct document *d, struct rng *r, char what[200])
{
    struct tensor *t = NULL;
    struct tensor *other = NULL;
    struct bytes name = {0};

    if (d->n_tensors == 0)
        return;
    t = any_tensor(d, r);
    other = any_tensor(d, r);
    name = t->name;
    snprintf(what, 200, "tensor %.*s", (int)t->name.len, (char *)t->name.data);
    switch (rng_below(r, 8)) {
    case 0:
        document_remove_tensor(d, (size_t)(t - d->tensors));
        break;
    case 1:
        add_tensor(d, r);
        break;
    case 2:
        rename_tensor(t, r);
        break;
    case 3:
        t->name = other->name;
        other->name = name;
        break;
    case 4:
        t->type = rng_below(r, 46);
        fit_data(t, r);
        break;
    case 5:
        for (size_t i = 0; i < t->data.len; i++)
            t->data.data[i] = (uint8_t)rng_next(r); /* NaN and Inf among them */
        break;
    default:
        change_shape(t, r);
        fit_data(t, r);
        break;
    }
}

/* Every matrix that allows it in another type, with weights of any bytes. */
static void change_all_types(struct document *d, struct rng *r, char what[200])
{
    uint32_t type = (uint32_t[]){
        0, 1, 2, 3, 6, 7, 8, 9, 15, 20, 24, 26, 28, 30, 39, 40, 41, 42}[rng_below(r, 18)];

    snprintf(what, 200, "all matrices of type %u", type);
    for (size_t i = 0; i < d->n_tensors; i++) {
        if (d->tensors[i].n_dims == 2) {
            d->tensors[i].type = type;
            fit_data(&d->tensors[i], r);
        }
    }
}

/* ---------------------------------------------------------------- consistent changes */

/* Every u32 key of that value, and every array of that many items. */
static void replace_keys(struct document *d, uint64_t from, uint64_t to)
{
    uint32_t v = (uint32_t)to;

    for (size_t i = 0; i < d->n_pairs; i++) {
        struct pair *p = &d->pairs[i];
        bool tokenizer = p->key.len > 10 && memcmp(p->key.data, "tokenizer.", 10) == 0;

        if (p->kind == U32 && get_u32(p->value.data) == from && !tokenizer)
            memcpy(p->value.data, &v, 4);
        if (p->kind == ARRAY && get_u64(p->value.data + 4) == from && from > 100 && to < from)
            document_resize(p, to, to, 0);
    }
}

/* One width of the model becomes another one wherever it occurs. */
static void change_width(struct document *d, struct rng *r, char what[200])
{
    static const uint64_t widths[] = {1,  2,  3,  4,  5,  6,   7,   8,   9,   10,  12,  14,
                                      15, 16, 17, 18, 20, 24,  31,  33,  40,  47,  48,  63,
                                      64, 65, 80, 96, 99, 127, 128, 192, 255, 256, 257, 512};
    const struct tensor *t = NULL;
    uint64_t from = 0;
    uint64_t to = widths[rng_below(r, sizeof widths / sizeof widths[0])];

    if (d->n_tensors == 0)
        return;
    t = any_tensor(d, r);
    from = t->n_dims > 0 ? t->ne[rng_below(r, t->n_dims)] : 0;
    snprintf(what, 200, "width %llu becomes %llu", (unsigned long long)from,
             (unsigned long long)to);
    for (size_t i = 0; i < d->n_tensors; i++) {
        for (uint32_t k = 0; k < d->tensors[i].n_dims && k < 4; k++)
            if (d->tensors[i].ne[k] == from)
                d->tensors[i].ne[k] = to;
        fit_data(&d->tensors[i], r);
    }
    replace_keys(d, from, to);
}

/* The last layer goes, or is there twice. */
static void change_layers(struct document *d, struct rng *r, char what[200])
{
    uint32_t n = 0;
    char prefix[32];
    char name[64];
    size_t count = d->n_tensors;
    struct pair *p = NULL;

    for (size_t i = 0; i < d->n_pairs; i++) {
        if (d->pairs[i].key.len > 12 && d->pairs[i].kind == U32 &&
            memcmp(d->pairs[i].key.data + d->pairs[i].key.len - 12, ".block_count", 12) == 0) {
            p = &d->pairs[i];
        }
    }
    n = p ? get_u32(p->value.data) : 0;
    if (n == 0 || n > 100)
        return;
    snprintf(what, 200, "layers");
    snprintf(prefix, sizeof prefix, "blk.%u.", n - 1);
    if (rng_below(r, 2) == 0) {
        for (size_t i = count; i-- > 0;) {
            if (d->tensors[i].name.len > strlen(prefix) &&
                memcmp(d->tensors[i].name.data, prefix, strlen(prefix)) == 0) {
                document_remove_tensor(d, i);
            }
        }
        n--;
    } else {
        for (size_t i = 0; i < count && d->n_tensors + 1 < MAX_ITEMS; i++) {
            struct tensor *t = &d->tensors[i];
            size_t skip = strlen(prefix);

            if (t->name.len > skip && memcmp(t->name.data, prefix, skip) == 0) {
                struct tensor *copy = &d->tensors[d->n_tensors++];

                *copy = *t;
                snprintf(name, sizeof name, "blk.%u.%.*s", n, (int)(t->name.len - skip),
                         (char *)t->name.data + skip);
                copy->name = bytes_copy(name, strlen(name));
                copy->data = bytes_copy(t->data.data, t->data.len);
            }
        }
        n++;
    }
    memcpy(p->value.data, &n, 4);
}

/* A number a little off: one more, one less, twice, half, its neighbours in powers of two. */
static void change_a_little(struct pair *p, struct rng *r)
{
    uint32_t v = 0;
    float f = 0;

    if (p->kind == U32 && p->value.len == 4) {
        v = get_u32(p->value.data);
        v = (uint32_t[]){v + 1, v - 1, v * 2, v / 2, v * 4, v / 4, v ^ 1, v * 3}[rng_below(r, 8)];
        memcpy(p->value.data, &v, 4);
    } else if (p->kind == F32 && p->value.len == 4) {
        memcpy(&f, p->value.data, 4);
        f *= (float[]){-1.0f, 0.5f, 2.0f, 1e-3f, 1e3f, 1e-30f, 1e30f, 0.0f}[rng_below(r, 8)];
        memcpy(p->value.data, &f, 4);
    } else if (p->kind != ARRAY) {
        set_value(p, p->kind, r);
    }
}

/* ---------------------------------------------------------------- the whole */

static void change_pair(struct document *d, struct rng *r, char what[200])
{
    struct pair *p = NULL;
    struct pair *other = NULL;
    struct pair swap;

    if (d->n_pairs == 0 || d->n_pairs + 1 >= MAX_ITEMS)
        return;
    p = any_pair(d, r);
    other = any_pair(d, r);
    snprintf(what, 200, "key %.*s", (int)p->key.len, (char *)p->key.data);
    switch (rng_below(r, 12)) {
    case 0:
        document_remove(d, (size_t)(p - d->pairs));
        break;
    case 1:
        rename_key(d, p, r);
        break;
    case 2:
        if (p->key.len > 0)
            p->key.data[rng_below(r, (uint32_t)p->key.len)] ^= (uint8_t)(1u << rng_below(r, 8));
        break;
    case 3:
        set_value(p, any_kind(r), r);
        break;
    case 4:
        swap = *p;
        p->kind = other->kind;
        p->value = other->value;
        other->kind = swap.kind;
        other->value = swap.value;
        break;
    case 5:
    case 6:
    case 7:
        p = add_pair(d, r);
        snprintf(what, 200, "new key %.*s", (int)p->key.len, (char *)p->key.data);
        break;
    default:
        for (int i = 0; i < 32 && p->kind == ARRAY; i++)
            p = any_pair(d, r);
        snprintf(what, 200, "value of %.*s", (int)p->key.len, (char *)p->key.data);
        if (rng_below(r, 3) == 0)
            change_a_little(p, r);
        else if (p->kind != ARRAY)
            set_value(p, p->kind, r);
        break;
    }
}

static void change_alignment(struct document *d, struct rng *r, char what[200])
{
    d->alignment = (uint64_t)1 << rng_below(r, 14);
    snprintf(what, 200, "data aligned to %u", (unsigned)d->alignment);
    if (rng_below(r, 4) > 0)
        document_set_u32(d, "general.alignment", (uint32_t)d->alignment);
}

static void change_document(struct document *d, struct rng *r, char what[200])
{
    switch (rng_below(r, 20)) {
    case 0:
        change_alignment(d, r, what);
        break;
    case 1:
        if (rng_below(r, 10) == 0)
            d->version = (uint32_t)strange_number(r);
        break;
    case 2:
        change_all_types(d, r, what);
        break;
    case 3:
        change_layers(d, r, what);
        break;
    case 4:
    case 5:
    case 6:
        change_width(d, r, what);
        break;
    case 7:
    case 8:
    case 9:
        change_array(d, r, what);
        break;
    case 10:
    case 11:
    case 12:
        change_tensor(d, r, what);
        break;
    default:
        change_pair(d, r, what);
        break;
    }
}

/* Bytes of the header, and the end. */
static void change_bytes(struct bytes *b, size_t header, struct rng *r, char what[200])
{
    uint32_t limit = (uint32_t)(header < b->len ? header : b->len);
    uint64_t v = strange_number(r);
    uint32_t at = rng_below(r, limit);
    size_t n = (size_t[]){1, 4, 8}[rng_below(r, 3)];

    n = n < b->len - at ? n : b->len - at;
    snprintf(what, 200, "bytes at %u", at);
    switch (rng_below(r, 6)) {
    case 0:
        b->data[at] ^= (uint8_t)(1u << rng_below(r, 8));
        break;
    case 1:
        b->data[at] = (uint8_t)rng_next(r);
        break;
    case 2:
        memset(b->data + at, 0, n);
        break;
    case 3:
        memset(b->data + at, 0xff, n);
        break;
    case 4:
        memcpy(b->data + at, &v, n);
        break;
    default:
        b->len = rng_below(r, 2) ? at : rng_below(r, (uint32_t)b->len);
        snprintf(what, 200, "cut at %zu", b->len);
        break;
    }
}

struct bytes gguf_mutate(const uint8_t *good, size_t size, struct rng *r, char what[200])
{
    struct document *d = NULL;
    struct bytes b = {0};
    char more[200] = "";
    size_t header = 0;

    what[0] = '\0';
    if (rng_below(r, 6) == 0) { /* bytes alone */
        d = document_read(good, size);
        header = size;
        for (size_t i = 0; i < d->n_tensors; i++)
            header -= d->tensors[i].data.len;
        b = bytes_copy(good, size);
        for (uint32_t i = rng_below(r, 3) + 1; i > 0 && b.len > 0; i--)
            change_bytes(&b, header, r, what);
        document_free(d);
        return b;
    }
    d = document_read(good, size);
    for (uint32_t i = (uint32_t[]){1, 1, 1, 2, 3, 5}[rng_below(r, 6)]; i > 0; i--) {
        size_t at = strlen(what);

        more[0] = '\0';
        change_document(d, r, more);
        if (more[0] != '\0' && at + strlen(more) + 3 < 200) {
            strcat(what, at > 0 ? "; " : "");
            strcat(what, more);
        }
    }
    b = document_write(d);
    document_free(d);
    return b;
}
