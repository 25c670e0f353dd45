/*
 * tensors: the tensors of a model against its hyper-parameters. For the architectures whose
 * tensors are all known (the tables below) every tensor must be there, of the right shape, of a type
 * ggml can compute with in its place, and none may be left over. For other architectures the
 * embedding and the types are checked, and llama.cpp checks the rest.
 */
#include "gguf/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"

enum dim {
    D_NONE,
    D_ONE,
    D_EMBD,
    D_VOCAB,
    D_CTX,
    D_Q,
    D_Q_ROWS, /* of the query weight: with the gates, where attention has them */
    D_KV,
    D_QKV,
    D_FF,
    D_FF2,
    D_FF_EXPERT,
    D_HEAD,
    D_ROPE,
    D_EXPERTS,
    D_CLASSES,
    D_EMBD2,
    /* a delta net's */
    D_STATE,
    D_VALUE_HEADS,
    D_VALUES,
    D_MIXED,
    D_CONV
};

enum role {
    R_MATRIX, /* multiplied, or looked up in */
    R_PLAIN   /* added or multiplied by element: f32 */
};

enum group {
    G_NONE,
    G_ATTENTION,
    G_FUSED, /* attention with one weight for queries, keys and values */
    G_SPLIT,
    G_DELTA_NET,
    G_DENSE,
    G_EXPERTS,
    G_DRAFTING,
    G_LONGROPE,
    G_ROPE
};

/* A tensor: name (after "blk.<n>." in a layer), shape, and who needs or may have it. */
struct row {
    const char *name;
    enum dim dims[3];
    enum role role;
    uint32_t needed; /* architectures */
    uint32_t allowed;
    enum group group;
};

#define NOT_GPT2 (ARCH_ALL & ~(uint32_t)ARCH_GPT2)
#define GEMMAS ((uint32_t)ARCH_GEMMA2 | ARCH_GEMMA3)
#define GATED (NOT_GPT2 & ~(uint32_t)ARCH_PHI3)
#define NORMED ((uint32_t)ARCH_QWEN3 | ARCH_QWEN3MOE | ARCH_QWEN35 | ARCH_GEMMA3)
#define POST_NORMED (GEMMAS | ARCH_QWEN35)
#define PRE_NORMED (ARCH_ALL & ~(uint32_t)ARCH_QWEN35)
#define MIXTURES ((uint32_t)ARCH_LLAMA | ARCH_QWEN3MOE)
#define BIASED ((uint32_t)ARCH_GPT2 | ARCH_LLAMA)

#define EXPERTS(name, in, out) {name, {in, out, D_EXPERTS}, R_MATRIX, MIXTURES, MIXTURES, G_EXPERTS}

static const struct row globals[] = {
    {"token_embd.weight", {D_EMBD, D_VOCAB}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_NONE},
    {"position_embd.weight", {D_EMBD, D_CTX}, R_MATRIX, ARCH_GPT2, ARCH_GPT2, G_NONE},
    {"output_norm.weight", {D_EMBD}, R_PLAIN, ARCH_ALL, ARCH_ALL, G_NONE},
    {"output_norm.bias", {D_EMBD}, R_PLAIN, ARCH_GPT2, ARCH_GPT2, G_NONE},
    {"output.weight", {D_EMBD, D_VOCAB}, R_MATRIX, 0, ARCH_ALL & ~(uint32_t)ARCH_GEMMA2, G_NONE},
    {"output.bias", {D_VOCAB}, R_PLAIN, 0, ARCH_QWEN2, G_NONE},
    {"cls.output.weight", {D_EMBD, D_CLASSES}, R_MATRIX, 0, ARCH_QWEN3, G_NONE},
    {"rope_freqs.weight", {D_ROPE}, R_PLAIN, 0, ARCH_LLAMA, G_ROPE},
    {"rope_factors_long.weight", {D_ROPE}, R_PLAIN, 0, ARCH_PHI3, G_NONE},
    {"rope_factors_short.weight", {D_ROPE}, R_PLAIN, 0, ARCH_PHI3, G_NONE},
    {"rope_factors_long.weight", {D_ROPE}, R_PLAIN, 0, ARCH_LLAMA, G_LONGROPE},
    {"rope_factors_short.weight", {D_ROPE}, R_PLAIN, 0, ARCH_LLAMA, G_LONGROPE},
};

static const struct row layers[] = {
    {"attn_norm.weight", {D_EMBD}, R_PLAIN, ARCH_ALL, ARCH_ALL, G_NONE},
    {"attn_norm.bias", {D_EMBD}, R_PLAIN, ARCH_GPT2, ARCH_GPT2, G_NONE},
    {"attn_qkv.weight", {D_EMBD, D_QKV}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_FUSED},
    {"attn_qkv.bias", {D_QKV}, R_PLAIN, ARCH_GPT2, ARCH_ALL, G_FUSED},
    {"attn_q.weight", {D_EMBD, D_Q_ROWS}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_SPLIT},
    {"attn_k.weight", {D_EMBD, D_KV}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_SPLIT},
    {"attn_v.weight", {D_EMBD, D_KV}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_SPLIT},
    {"attn_q.bias", {D_Q_ROWS}, R_PLAIN, 0, NOT_GPT2, G_ATTENTION},
    {"attn_k.bias", {D_KV}, R_PLAIN, 0, NOT_GPT2, G_ATTENTION},
    {"attn_v.bias", {D_KV}, R_PLAIN, 0, NOT_GPT2, G_ATTENTION},
    {"attn_output.weight", {D_Q, D_EMBD}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_ATTENTION},
    {"attn_output.bias", {D_EMBD}, R_PLAIN, ARCH_GPT2, BIASED, G_ATTENTION},
    {"attn_q_norm.weight", {D_HEAD}, R_PLAIN, NORMED, NORMED, G_ATTENTION},
    {"attn_k_norm.weight", {D_HEAD}, R_PLAIN, NORMED, NORMED, G_ATTENTION},
    {"post_attention_norm.weight", {D_EMBD}, R_PLAIN, POST_NORMED, POST_NORMED, G_NONE},
    {"post_ffw_norm.weight", {D_EMBD}, R_PLAIN, GEMMAS, GEMMAS, G_NONE},
    {"ffn_norm.weight", {D_EMBD}, R_PLAIN, PRE_NORMED, PRE_NORMED, G_NONE},
    {"ffn_norm.bias", {D_EMBD}, R_PLAIN, ARCH_GPT2, ARCH_GPT2, G_NONE},
    {"ffn_gate.weight", {D_EMBD, D_FF}, R_MATRIX, GATED, GATED, G_DENSE},
    {"ffn_up.weight", {D_EMBD, D_FF}, R_MATRIX, GATED | ARCH_GPT2, GATED | ARCH_GPT2, G_DENSE},
    {"ffn_up.weight", {D_EMBD, D_FF2}, R_MATRIX, ARCH_PHI3, ARCH_PHI3, G_DENSE},
    {"ffn_down.weight", {D_FF, D_EMBD}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_DENSE},
    {"ffn_gate.bias", {D_FF}, R_PLAIN, 0, ARCH_LLAMA, G_DENSE},
    {"ffn_up.bias", {D_FF}, R_PLAIN, ARCH_GPT2, BIASED, G_DENSE},
    {"ffn_down.bias", {D_EMBD}, R_PLAIN, ARCH_GPT2, BIASED, G_DENSE},
    {"ffn_gate_inp.weight", {D_EMBD, D_EXPERTS}, R_MATRIX, MIXTURES, MIXTURES, G_EXPERTS},
    EXPERTS("ffn_gate_exps.weight", D_EMBD, D_FF_EXPERT),
    EXPERTS("ffn_up_exps.weight", D_EMBD, D_FF_EXPERT),
    EXPERTS("ffn_down_exps.weight", D_FF_EXPERT, D_EMBD),
    {"attn_qkv.weight", {D_EMBD, D_MIXED}, R_MATRIX, ARCH_QWEN35, ARCH_QWEN35, G_DELTA_NET},
    {"attn_gate.weight", {D_EMBD, D_VALUES}, R_MATRIX, ARCH_QWEN35, ARCH_QWEN35, G_DELTA_NET},
    {"ssm_conv1d.weight", {D_CONV, D_MIXED}, R_PLAIN, ARCH_QWEN35, ARCH_QWEN35, G_DELTA_NET},
    {"ssm_dt.bias", {D_VALUE_HEADS}, R_PLAIN, ARCH_QWEN35, ARCH_QWEN35, G_DELTA_NET},
    {"ssm_a", {D_VALUE_HEADS}, R_PLAIN, ARCH_QWEN35, ARCH_QWEN35, G_DELTA_NET},
    {"ssm_beta.weight", {D_EMBD, D_VALUE_HEADS}, R_MATRIX, ARCH_QWEN35, ARCH_QWEN35, G_DELTA_NET},
    {"ssm_alpha.weight", {D_EMBD, D_VALUE_HEADS}, R_MATRIX, ARCH_QWEN35, ARCH_QWEN35, G_DELTA_NET},
    {"ssm_norm.weight", {D_STATE}, R_PLAIN, ARCH_QWEN35, ARCH_QWEN35, G_DELTA_NET},
    {"ssm_out.weight", {D_VALUES, D_EMBD}, R_MATRIX, ARCH_QWEN35, ARCH_QWEN35, G_DELTA_NET},
    {"nextn.eh_proj.weight", {D_EMBD2, D_EMBD}, R_MATRIX, ARCH_QWEN35, ARCH_QWEN35, G_DRAFTING},
    {"nextn.enorm.weight", {D_EMBD}, R_PLAIN, ARCH_QWEN35, ARCH_QWEN35, G_DRAFTING},
    {"nextn.hnorm.weight", {D_EMBD}, R_PLAIN, ARCH_QWEN35, ARCH_QWEN35, G_DRAFTING},
    {"nextn.embed_tokens.weight", {D_EMBD, D_VOCAB}, R_MATRIX, 0, ARCH_QWEN35, G_DRAFTING},
    {"nextn.shared_head_head.weight", {D_EMBD, D_VOCAB}, R_MATRIX, 0, ARCH_QWEN35, G_DRAFTING},
    {"nextn.shared_head_norm.weight", {D_EMBD}, R_PLAIN, 0, ARCH_QWEN35, G_DRAFTING},
};

static int64_t size_of(const struct gguf_check *c, enum dim d)
{
    int64_t q = c->n_head * c->head_k;
    int64_t q_rows = c->arch_bit == ARCH_QWEN35 ? 2 * q : q;
    int64_t kv = c->n_head_kv * c->head_k;
    const int64_t sizes[] = {
        [D_NONE] = 1,
        [D_ONE] = 1,
        [D_EMBD] = c->n_embd,
        [D_EMBD2] = 2 * c->n_embd,
        [D_VOCAB] = c->n_vocab,
        [D_CTX] = c->n_ctx,
        [D_Q] = q,
        [D_Q_ROWS] = q_rows,
        [D_KV] = kv,
        [D_QKV] = q_rows + 2 * kv,
        [D_FF] = c->n_ff,
        [D_FF2] = 2 * c->n_ff,
        [D_FF_EXPERT] = c->n_ff_expert,
        [D_HEAD] = c->head_k,
        [D_ROPE] = c->n_rot / 2,
        [D_EXPERTS] = c->n_expert,
        [D_CLASSES] = c->n_cls,
        [D_STATE] = c->n_state,
        [D_VALUE_HEADS] = c->n_value_heads,
        [D_VALUES] = c->n_value_heads * c->n_state,
        [D_MIXED] = (2 * c->n_key_heads + c->n_value_heads) * c->n_state,
        [D_CONV] = c->n_conv,
    };

    return sizes[d];
}

static bool check_shape(struct gguf_check *c, const struct gguf_tensor *t, const struct row *r)
{
    int64_t wanted[4] = {1, 1, 1, 1};
    int n = 0;
    char is[GGUF_SHAPE_SIZE];
    char should[GGUF_SHAPE_SIZE];

    for (int d = 0; d < 3; d++) {
        wanted[d] = size_of(c, r->dims[d]);
        n += r->dims[d] != D_NONE;
    }
    if (memcmp(wanted, t->ne, sizeof wanted) == 0)
        return true;
    gguf_show_shape(is, t->ne, t->n_dims > 0 ? t->n_dims : 1);
    gguf_show_shape(should, wanted, n);
    return gguf_bad(c, "the tensor %s has the shape %s where the model's keys say %s: " GGUF_AGAIN,
                    t->name, is, should);
}

static bool check_type(struct gguf_check *c, const struct gguf_tensor *t, enum role role)
{
    const struct gguf_weight_type *type = gguf_weight_type(t->type);

    if (role == R_PLAIN ? t->type != 0 : !type->computes)
        return gguf_bad(
            c,
            "the tensor %s is of type %s, which llama.cpp cannot compute with there: " GGUF_AGAIN,
            t->name, type->name);
    return true;
}

/* ---------------------------------------------------------------- known architectures */

struct walk {
    struct gguf_check *c;
    size_t found; /* tensors accounted for */
    bool *seen;   /* (tensors of the file) */
    /* of the layer that it is at: */
    bool fused, recurrent, drafting;
};

static void mark(struct walk *w, const struct gguf_tensor *t)
{
    size_t i = (size_t)(t - gguf_file_tensor(w->c->f, 0));

    w->found += !w->seen[i];
    w->seen[i] = true;
}

/* A weight may have "<name>.scale" and "<name>.input_scale", one number each (or each expert). */
static bool check_scales(struct walk *w, const char *weight, const struct row *r)
{
    static const char *const suffixes[] = {"scale", "input_scale"};
    struct row scale = {"", {D_ONE}, R_PLAIN, 0, 0, G_NONE};
    size_t stem = strlen(weight);
    char name[64];

    if (r->role != R_MATRIX || stem < 6 || strcmp(weight + stem - 6, "weight") != 0 ||
        strncmp(weight, "blk.", 4) != 0 || strcmp(r->name, "ffn_gate_inp.weight") == 0)
        return true;
    scale.dims[0] = r->group == G_EXPERTS ? D_EXPERTS : D_ONE;
    for (size_t i = 0; i < 2; i++) {
        const struct gguf_tensor *t = NULL;

        snprintf(name, sizeof name, "%.*s%s", (int)(stem - 6), weight, suffixes[i]);
        t = gguf_file_find(w->c->f, name);
        if (t) {
            if (!check_shape(w->c, t, &scale) || !check_type(w->c, t, R_PLAIN))
                return false;
            mark(w, t);
        }
    }
    return true;
}

static bool check_row(struct walk *w, const struct row *r, const char *name, bool needed)
{
    const struct gguf_tensor *t = gguf_file_find(w->c->f, name);

    if (!t)
        return !needed || gguf_bad(w->c, "the tensor %s is missing: " GGUF_AGAIN, name);
    if (!check_shape(w->c, t, r) || !check_type(w->c, t, r->role))
        return false;
    mark(w, t);
    return check_scales(w, name, r);
}

static bool group_applies(const struct walk *w, enum group g)
{
    const struct gguf_check *c = w->c;

    switch (g) {
    case G_NONE:
        return true;
    case G_ATTENTION:
        return !w->recurrent;
    case G_FUSED:
        return !w->recurrent && w->fused;
    case G_SPLIT:
        return !w->recurrent && !w->fused;
    case G_DELTA_NET:
        return w->recurrent;
    case G_DRAFTING:
        return w->drafting;
    case G_DENSE:
        return c->n_expert == 0;
    case G_EXPERTS:
        return c->n_expert > 0;
    case G_LONGROPE:
        return c->longrope;
    case G_ROPE:
        return !c->longrope;
    }
    return false;
}

static bool check_globals(struct walk *w)
{
    uint32_t bit = w->c->arch_bit;

    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++) {
        const struct row *r = &globals[i];

        if ((r->allowed & bit) != 0 && group_applies(w, r->group) &&
            !check_row(w, r, r->name, (r->needed & bit) != 0))
            return false;
    }
    return true;
}

static bool check_layer(struct walk *w, int64_t layer)
{
    uint32_t bit = w->c->arch_bit;
    char name[64];

    snprintf(name, sizeof name, "blk.%" PRId64 ".attn_qkv.weight", layer);
    w->recurrent = gguf_check_is_recurrent(w->c, layer);
    w->drafting = layer >= w->c->n_layer - w->c->n_drafting;
    w->fused = bit == ARCH_GPT2 || gguf_file_find(w->c->f, name);
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const struct row *r = &layers[i];

        if ((r->allowed & bit) == 0 || !group_applies(w, r->group))
            continue;
        snprintf(name, sizeof name, "blk.%" PRId64 ".%s", layer, r->name);
        if (!check_row(w, r, name, (r->needed & bit) != 0))
            return false;
    }
    return true;
}

/* llama.cpp loads a model only when it has used every tensor of the file. */
static bool check_leftover(struct walk *w)
{
    size_t n = gguf_file_tensor_count(w->c->f);

    for (size_t i = 0; i < n; i++)
        if (!w->seen[i])
            return gguf_bad(w->c,
                            "the tensor %s does not belong to a %s model of %" PRId64
                            " layers: " GGUF_AGAIN,
                            gguf_file_tensor(w->c->f, i)->name, w->c->arch, w->c->n_layer);
    return true;
}

static bool check_known(struct gguf_check *c)
{
    struct walk w = {.c = c};
    bool ok = false;

    w.seen = mem_calloc(gguf_file_tensor_count(c->f) + 1, sizeof *w.seen);
    if (!w.seen) {
        error_no_memory(c->err);
        return false;
    }
    ok = check_globals(&w);
    for (int64_t i = 0; ok && i < c->n_layer; i++)
        ok = check_layer(&w, i);
    ok = ok && check_leftover(&w);
    mem_free(w.seen);
    return ok;
}

/* ---------------------------------------------------------------- the others */

static bool check_other(struct gguf_check *c)
{
    static const struct row embd = {"token_embd.weight", {D_EMBD, D_VOCAB}, R_MATRIX, 0, 0, G_NONE};
    const struct gguf_tensor *t = gguf_file_find(c->f, embd.name);

    if (!t)
        return gguf_bad(c, "the tensor token_embd.weight is missing: " GGUF_AGAIN);
    if (!check_shape(c, t, &embd) || !check_type(c, t, R_MATRIX))
        return false;
    for (size_t i = 0; i < gguf_file_tensor_count(c->f); i++) {
        size_t len = 0;

        t = gguf_file_tensor(c->f, i);
        len = strlen(t->name);
        if (len > 7 && strcmp(t->name + len - 7, ".weight") == 0 && t->n_dims >= 2 &&
            !check_type(c, t, R_MATRIX))
            return false;
    }
    return true;
}

bool gguf_check_tensors(struct gguf_check *c)
{
    if (gguf_file_alignment(c->f) < 32)
        return gguf_bad(c, "general.alignment is %zu where llama.cpp needs 32: " GGUF_AGAIN,
                        gguf_file_alignment(c->f));
    return (c->arch_bit & ARCH_ALL) != 0 ? check_known(c) : check_other(c);
}
