/* gguf_like: see the header. */
#include "gguf_like.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EMBD 32 /* Qwen3's fixture: also 4 heads of 16, 2 layers */
#define KEY_HEADS 2
#define VALUE_HEADS 4
#define STATE 8
#define EXPERTS 4
#define EXPERT_FF 16

void document_add_tensor(struct document *d, const char *name, uint64_t a, uint64_t b, uint64_t c)
{
    struct tensor *t = &d->tensors[d->n_tensors++];
    size_t n = 0;

    memset(t, 0, sizeof *t);
    t->name = bytes_copy(name, strlen(name));
    t->n_dims = c > 0 ? 3 : b > 0 ? 2 : 1;
    t->ne[0] = a;
    t->ne[1] = b;
    t->ne[2] = c;
    document_fit(t);
    n = t->data.len / sizeof(float);
    for (size_t i = 0; i < n; i++) {
        float v = 0.02f * (float)((int)(i * 7919 % 101) - 50);

        memcpy(t->data.data + i * sizeof v, &v, sizeof v);
    }
}

void document_drop(struct document *d, const char *name)
{
    document_remove_tensor(d, (size_t)(document_tensor(d, name) - d->tensors));
}

static void rename_tensor(struct document *d, const char *from, const char *to)
{
    bytes_replace(&document_tensor(d, from)->name, to, strlen(to));
}

static void rename_architecture(struct document *d, const char *to)
{
    char key[256];

    document_set_text(d, "general.architecture", to);
    for (size_t i = 0; i < d->n_pairs; i++) {
        struct bytes *old = &d->pairs[i].key;

        if (old->len < 6 || memcmp(old->data, "qwen3.", 6) != 0)
            continue;
        snprintf(key, sizeof key, "%s%.*s", to, (int)old->len - 5, (const char *)old->data + 5);
        bytes_replace(old, key, strlen(key));
    }
}

static void add_delta_net(struct document *d)
{
    static const char *const attention[] = {"blk.0.attn_q.weight",      "blk.0.attn_k.weight",
                                            "blk.0.attn_v.weight",      "blk.0.attn_output.weight",
                                            "blk.0.attn_q_norm.weight", "blk.0.attn_k_norm.weight"};
    const uint64_t values = VALUE_HEADS * STATE;
    const uint64_t mixed = 2 * KEY_HEADS * STATE + values;

    for (size_t i = 0; i < sizeof attention / sizeof attention[0]; i++)
        document_drop(d, attention[i]);
    document_add_tensor(d, "blk.0.attn_qkv.weight", EMBD, mixed, 0);
    document_add_tensor(d, "blk.0.attn_gate.weight", EMBD, values, 0);
    document_add_tensor(d, "blk.0.ssm_conv1d.weight", 4, mixed, 0);
    document_add_tensor(d, "blk.0.ssm_dt.bias", VALUE_HEADS, 0, 0);
    document_add_tensor(d, "blk.0.ssm_a", VALUE_HEADS, 0, 0);
    document_add_tensor(d, "blk.0.ssm_beta.weight", EMBD, VALUE_HEADS, 0);
    document_add_tensor(d, "blk.0.ssm_alpha.weight", EMBD, VALUE_HEADS, 0);
    document_add_tensor(d, "blk.0.ssm_norm.weight", STATE, 0, 0);
    document_add_tensor(d, "blk.0.ssm_out.weight", values, EMBD, 0);
}

void document_become_qwen35(struct document *d)
{
    static const uint32_t sections[] = {I32, 4, 0, 2, 1, 1, 0}; /* kind, count in 64 bits, items */
    struct tensor *q = document_tensor(d, "blk.1.attn_q.weight");

    rename_architecture(d, "qwen35");
    document_set_u32(d, "qwen35.rope.dimension_count", 8);
    document_set(d, "qwen35.rope.dimension_sections", ARRAY, sections, sizeof sections);
    document_set_u32(d, "qwen35.full_attention_interval", 2);
    document_set_u32(d, "qwen35.ssm.conv_kernel", 4);
    document_set_u32(d, "qwen35.ssm.state_size", STATE);
    document_set_u32(d, "qwen35.ssm.group_count", KEY_HEADS);
    document_set_u32(d, "qwen35.ssm.time_step_rank", VALUE_HEADS);
    document_set_u32(d, "qwen35.ssm.inner_size", VALUE_HEADS * STATE);
    q->ne[1] *= 2; /* gates beside queries */
    document_fit(q);
    rename_tensor(d, "blk.0.ffn_norm.weight", "blk.0.post_attention_norm.weight");
    rename_tensor(d, "blk.1.ffn_norm.weight", "blk.1.post_attention_norm.weight");
    add_delta_net(d);
}

void document_become_qwen3moe(struct document *d)
{
    static const char *const dense[] = {"gate", "up", "down"};
    char name[64];

    rename_architecture(d, "qwen3moe");
    document_set_u32(d, "qwen3moe.expert_count", EXPERTS);
    document_set_u32(d, "qwen3moe.expert_used_count", 2);
    document_set_u32(d, "qwen3moe.expert_feed_forward_length", EXPERT_FF);
    for (int layer = 0; layer < 2; layer++) {
        for (int i = 0; i < 3; i++) {
            snprintf(name, sizeof name, "blk.%d.ffn_%s.weight", layer, dense[i]);
            document_drop(d, name);
            snprintf(name, sizeof name, "blk.%d.ffn_%s_exps.weight", layer, dense[i]);
            document_add_tensor(d, name, i < 2 ? EMBD : EXPERT_FF, i < 2 ? EXPERT_FF : EMBD,
                                EXPERTS);
        }
        snprintf(name, sizeof name, "blk.%d.ffn_gate_inp.weight", layer);
        document_add_tensor(d, name, EMBD, EXPERTS, 0);
    }
}
