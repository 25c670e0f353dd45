/*
 * family: a model family: how what Hugging Face publishes of it becomes llama.cpp's. One file each
 * (llama.c, gemma2.c, ...); families.c lists them. Constants; any thread.
 */
#ifndef INF_ARCH_FAMILY_H
#define INF_ARCH_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose rows of a weight are regrouped in each head, where the family does that. */
enum heads { HEADS_NONE, HEADS_Q, HEADS_K };

/* A linear layer of a block. */
struct family_layer {
    const char *module; /* Hugging Face: behind "<prefix><blocks>.N." */
    const char *tensor; /* GGUF: between "blk.N." and ".weight" */
    int32_t heads;      /* enum heads */
};

struct family {
    const char *name;   /* GGUF's general.architecture */
    const char *covers; /* models of other names that it is too, for messages; or NULL */
    const char *blocks; /* Hugging Face's list of blocks */
    const char *prefix; /* usually before it */
    /* Its rope turns neighbouring pairs: each head's halves are interleaved in GGUF's q and k. */
    bool regroups;
    const struct family_layer *layers; /* ends with one without a name */
};

extern const struct family family_llama, family_qwen2, family_qwen3, family_gemma2, family_gemma3,
    family_phi3, family_smollm3, family_gpt2;

/* What several families have: q, k, v and o, gate, up and down. */
extern const struct family_layer split_layers[];

/* The layer that "<number>.<module>" is, and in which block; NULL: none. */
const struct family_layer *family_find_module(const struct family *f, const char *name,
                                              int32_t *block);
/* True for the GGUF name of a linear layer that adapters may change. */
bool family_has_tensor(const struct family *f, const char *tensor);

#endif
