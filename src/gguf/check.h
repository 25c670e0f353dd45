/*
 * check: what the files that check a model share (model.c, params.c, vocab.c,
 * tensors.c). One check owns one struct gguf_check on its caller's stack.
 */
#ifndef INF_GGUF_CHECK_H
#define INF_GGUF_CHECK_H

#include "gguf/file.h"

/* What to do, at the end of most messages. */
#define GGUF_AGAIN "the file is damaged, download it again"

/* Architectures whose every tensor is known here, as bits, and one bit for all others. */
enum gguf_arch_bit {
    ARCH_LLAMA = 1 << 0, /* Mistral and Mixtral too */
    ARCH_QWEN2 = 1 << 1,
    ARCH_QWEN3 = 1 << 2,
    ARCH_GEMMA2 = 1 << 3,
    ARCH_GEMMA3 = 1 << 4,
    ARCH_PHI3 = 1 << 5,
    ARCH_SMOLLM3 = 1 << 6,
    ARCH_GPT2 = 1 << 7,
    ARCH_QWEN3MOE = 1 << 8,
    ARCH_QWEN35 = 1 << 9,
    ARCH_ALL = (1 << 10) - 1,
    ARCH_OTHER = 1 << 10,
    /* llama.cpp knows them, but text is not what they generate */
    ARCH_EMBEDDING = 1 << 11,
    ARCH_ENCODER = 1 << 12,
    ARCH_DIFFUSION = 1 << 13,
    ARCH_DRAFT = 1 << 14,
    ARCH_SPEECH = 1 << 15
};

struct gguf_check {
    const struct gguf_file *f;
    inf_error *err;
    const char *arch;  /* its name */
    uint32_t arch_bit; /* enum gguf_arch_bit */

    /* hyper-parameters; of layer 0 where the file has one for each layer */
    int64_t n_ctx, n_embd, n_layer, n_head, n_head_kv, n_ff;
    int64_t head_k, head_v, n_rot;
    int64_t n_expert, n_expert_used;
    int64_t n_ff_expert; /* feed-forward length of one expert */
    int64_t n_drafting;  /* the last of the layers, which only draft tokens */
    /* a delta net's: heads of keys and of values, numbers in a head, kept positions and this one */
    int64_t n_key_heads, n_value_heads, n_state, n_conv;
    int64_t n_cls;
    bool longrope;

    int64_t n_vocab;
};

/* Each returns false with c->err filled. In this order. */
bool gguf_check_params(struct gguf_check *c);
bool gguf_check_vocab(struct gguf_check *c);
bool gguf_check_tensors(struct gguf_check *c);

/* The error, and false. */
#define gguf_refuse(c, code, ...) (error_set((c)->err, code, __VA_ARGS__), false)
#define gguf_bad(c, ...) gguf_refuse(c, INF_ERROR_BAD_FORMAT, __VA_ARGS__)

/* The layer is a delta net (Qwen3.5), with a state and without keys and values. */
bool gguf_check_is_recurrent(const struct gguf_check *c, int64_t layer);

/* "<arch>.<suffix>" in buf (128 bytes), which is returned. */
const char *gguf_arch_key(const struct gguf_check *c, const char *suffix, char buf[128]);

#endif
