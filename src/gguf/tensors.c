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
    D_KV,
    D_QKV,
    D_FF,
    D_FF2,
    D_HEAD,
    D_ROPE,
    D_EXPERTS,
    D_CLASSES
};

enum role {
    R_MATRIX, /* multiplied, or looked up in */
    R_PLAIN   /* added or multiplied by element: f32 */
};

enum group { G_NONE, G_FUSED, G_SPLIT, G_DENSE, G_EXPERTS, G_LONGROPE, G_ROPE };

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
#define NORMED ((uint32_t)ARCH_QWEN3 | ARCH_GEMMA3)

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
    {"attn_q.weight", {D_EMBD, D_Q}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_SPLIT},
    {"attn_k.weight", {D_EMBD, D_KV}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_SPLIT},
    {"attn_v.weight", {D_EMBD, D_KV}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_SPLIT},
    {"attn_q.bias", {D_Q}, R_PLAIN, 0, NOT_GPT2, G_NONE},
    {"attn_k.bias", {D_KV}, R_PLAIN, 0, NOT_GPT2, G_NONE},
    {"attn_v.bias", {D_KV}, R_PLAIN, 0, NOT_GPT2, G_NONE},
    {"attn_output.weight", {D_Q, D_EMBD}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_NONE},
    {"attn_output.bias", {D_EMBD}, R_PLAIN, ARCH_GPT2, (uint32_t)ARCH_GPT2 | ARCH_LLAMA, G_NONE},
    {"attn_q_norm.weight", {D_HEAD}, R_PLAIN, NORMED, NORMED, G_NONE},
    {"attn_k_norm.weight", {D_HEAD}, R_PLAIN, NORMED, NORMED, G_NONE},
    {"post_attention_norm.weight", {D_EMBD}, R_PLAIN, GEMMAS, GEMMAS, G_NONE},
    {"post_ffw_norm.weight", {D_EMBD}, R_PLAIN, GEMMAS, GEMMAS, G_NONE},
    {"ffn_norm.weight", {D_EMBD}, R_PLAIN, ARCH_ALL, ARCH_ALL, G_NONE},
    {"ffn_norm.bias", {D_EMBD}, R_PLAIN, ARCH_GPT2, ARCH_GPT2, G_NONE},
    {"ffn_gate.weight", {D_EMBD, D_FF}, R_MATRIX, GATED, GATED, G_DENSE},
    {"ffn_up.weight", {D_EMBD, D_FF}, R_MATRIX, GATED | ARCH_GPT2, GATED | ARCH_GPT2, G_DENSE},
    {"ffn_up.weight", {D_EMBD, D_FF2}, R_MATRIX, ARCH_PHI3, ARCH_PHI3, G_DENSE},
    {"ffn_down.weight", {D_FF, D_EMBD}, R_MATRIX, ARCH_ALL, ARCH_ALL, G_DENSE},
    {"ffn_gate.bias", {D_FF}, R_PLAIN, 0, ARCH_LLAMA, G_DENSE},
    {"ffn_up.bias", {D_FF}, R_PLAIN, ARCH_GPT2, (uint32_t)ARCH_GPT2 | ARCH_LLAMA, G_DENSE},
    {"ffn_down.bias", {D_EMBD}, R_PLAIN, ARCH_GPT2, (uint32_t)ARCH_GPT2 | ARCH_LLAMA, G_DENSE},
    {"ffn_gate_inp.weight", {D_EMBD, D_EXPERTS}, R_MATRIX, ARCH_LLAMA, ARCH_LLAMA, G_EXPERTS},
    {"ffn_gate_exps.weight",
     {D_EMBD, D_FF, D_EXPERTS},
     R_MATRIX,
     ARCH_LLAMA,
     ARCH_LLAMA,
     G_EXPERTS},
    {"ffn_up_exps.weight", {D_EMBD, D_FF, D_EXPERTS}, R_MATRIX, ARCH_LLAMA, ARCH_LLAMA, G_EXPERTS},
    {"ffn_down_exps.weight",
     {D_FF, D_EMBD, D_EXPERTS},
     R_MATRIX,
     ARCH_LLAMA,
     ARCH_LLAMA,
     G_EXPERTS},
};

static int64_t size_of(const struct gguf_check *c, enum dim d)
{
    int64_t q = c->n_head * c->head_k;
    int64_t kv = c->n_head_kv * c->head_k;

    switch (d) {
    case D_NONE:
    case D_ONE:
        return 1;
    case D_EMBD:
        return c->n_embd;
    case D_VOCAB:
        return c->n_vocab;
    case D_CTX:
        return c->n_ctx;
    case D_Q:
        return q;
    case D_KV:
        return kv;
    case D_QKV:
        return q + 2 * kv;
    case D_FF:
        return c->n_ff;
    case D_FF2:
        return 2 * c->n_ff;
    case D_HEAD:
        return c->head_k;
    case D_ROPE:
        return c->n_rot / 2;
    case D_EXPERTS:
        return c->n_expert;
    case D_CLASSES:
        return c->n_cls;
    }
    return 0;
}

/* "[576, 49152]" */
static void show_shape(char out[96], int n, const int64_t *ne)
{
    int at = snprintf(out, 96, "[%" PRId64, ne[0]);

    for (int i = 1; i < n && at > 0 && at < 96; i++)
        at += snprintf(out + at, 96 - (size_t)at, ", %" PRId64, ne[i]);
    if (at > 0 && at < 95)
        memcpy(out + at, "]", 2);
}

static bool check_shape(struct gguf_check *c, const struct gguf_tensor *t, const struct row *r)
{
    int64_t wanted[4] = {1, 1, 1, 1};
    int n = 0;
    char is[96];
    char should[96];

    for (int d = 0; d < 3; d++) {
        wanted[d] = size_of(c, r->dims[d]);
        n += r->dims[d] != D_NONE;
    }
    if (memcmp(wanted, t->ne, sizeof wanted) == 0)
        return true;
    show_shape(is, t->n_dims > 0 ? t->n_dims : 1, t->ne);
    show_shape(should, n, wanted);
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

static bool group_applies(const struct gguf_check *c, enum group g, bool fused)
{
    switch (g) {
    case G_NONE:
        return true;
    case G_FUSED:
        return fused;
    case G_SPLIT:
        return !fused;
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

        if ((r->allowed & bit) != 0 && group_applies(w->c, r->group, false) &&
            !check_row(w, r, r->name, (r->needed & bit) != 0))
            return false;
    }
    return true;
}

static bool check_layer(struct walk *w, int64_t layer)
{
    uint32_t bit = w->c->arch_bit;
    char name[64];
    bool fused = false;

    snprintf(name, sizeof name, "blk.%" PRId64 ".attn_qkv.weight", layer);
    fused = bit == ARCH_GPT2 || gguf_file_find(w->c->f, name);
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const struct row *r = &layers[i];

        if ((r->allowed & bit) == 0 || !group_applies(w->c, r->group, fused))
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
