/*
 * family: a model family: how what Hugging Face publishes of it becomes llama.cpp's. One file each
 * (llama.c, gemma2.c, ...); families.c lists them. Constants; any thread.
 *
 * A family says how a whole checkpoint becomes a model, and with the same rows which weight of llama.cpp
 * each module of an adapter changes, which serves GGUF files too:
 *   - describe reads config.json through a config_reader (absent keys, their defaults and errors are
 *     the reader's) and writes llama.cpp's metadata; keys.h has what most families share. What the
 *     graph of llama.cpp computes otherwise than transformers it refuses there, by key and value
 *     (config_refuse), or, where only long texts differ, shortens the window (blueprint_limit_window).
 *     It sets the sizes that shapes name, and the features that rows depend on.
 *   - globals and weights are the tensors: where each lies in the checkpoint, its shape there, where it
 *     goes, and what must be changed in it. Every row that applies must be found, with that shape;
 *     every tensor of the checkpoint must have a row that applies, or be in `ignored`.
 * Nothing else of a family is anywhere.
 */
#ifndef INF_ARCH_FAMILY_H
#define INF_ARCH_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blueprint;
struct gguf_model;
struct config_reader;

/* The sizes of a model, as describe sets them in blueprint.size; a shape is a list of them. */
enum size {
    SIZE_END, /* of a shape with fewer dimensions */
    SIZE_ONE, /* always 1; such a dimension is left out of llama.cpp's shape */
    SIZE_EMBD,
    SIZE_VOCAB,
    SIZE_HEAD, /* of one head of keys */
    SIZE_Q,    /* all heads of queries */
    SIZE_KV,   /* all heads of keys, or of values */
    SIZE_QKV,  /* the three in one */
    SIZE_FF,
    SIZE_FF2,       /* gate and up in one */
    SIZE_POSITIONS, /* a table of learned positions */
    SIZE_EXPERTS,
    SIZE_EXPERT_FF,
    SIZE_EXPERT_FF2,
    SIZE_OWN, /* and on: a family's own, which it names in an enum of its own */
    SIZE_COUNT = SIZE_OWN + 12
};

/* Features that rows depend on: describe sets those of the whole model, and in block_features those that
 * a block has beside them. A family may use the bits from FEATURE_OWN on for its own. */
enum feature {
    FEATURE_HEAD = 1 << 0, /* lm_head.weight is in the checkpoint; else the head is tied */
    FEATURE_QKV_BIAS = 1 << 1,
    FEATURE_O_BIAS = 1 << 2,
    FEATURE_MLP_BIAS = 1 << 3,
    FEATURE_OWN = 1 << 8
};

/*
 * What is changed in a tensor on its way. It is looked at as a matrix: the rows are all dimensions but
 * the last; of one dimension it is a column. Element (r, c) of the result is value(element (row(r), column(c)) of the checkpoint), where
 * each function that is NULL changes nothing; transposed: rows and columns are exchanged first.
 */
struct weight_change {
    int64_t (*row)(const struct blueprint *b, int64_t row);
    int64_t (*column)(const struct blueprint *b, int64_t column);
    float (*value)(float x);
    bool transposed;
};

/* Halves of each head interleaved, for rope that turns neighbouring pairs: of queries, of keys. */
extern const struct weight_change change_regroup_q, change_regroup_k;
extern const struct weight_change change_plus_one;  /* norms that multiply by 1 + w */
extern const struct weight_change change_transpose; /* Conv1D: [in, out] */

enum {
    FAMILY_MAX_BLOCKS = 512,
    WEIGHT_DIMS = 4,
    WEIGHT_F32 = 1 /* stays f32 whatever the model's dtype; one-dimensional ones always do */
};

struct family_weight {
    const char *module; /* Hugging Face's whole name, '^' standing for the prefix before the list of
                           blocks; of a block: behind "<prefix><blocks>.N.". With '#' in it: one tensor
                           an expert, which are put one behind another */
    const char *tensor; /* llama.cpp's; of a block: behind "blk.N." */
    uint8_t shape[WEIGHT_DIMS]; /* in the checkpoint, as safetensors writes it */
    const struct weight_change
        *change;           /* NULL: it is pointed to where it lies, when its dtype allows */
    uint32_t when, unless; /* features, all of which (none of which) it depends on */
    uint32_t flags;
    uint8_t
        becomes[WEIGHT_DIMS]; /* the result's shape, written the same way, where it is not shape (or
                                     shape exchanged by a change that transposes) */
};

/* The beginning of a row: its names, and its shape in the checkpoint. */
#define WEIGHT(from, to, ...) .module = (from), .tensor = (to), .shape = {__VA_ARGS__}
/* A row: the weight of a norm that multiplies by 1 + w, of so many numbers. */
#define WEIGHT_PLUS_ONE(from, to, size)                                                            \
    {WEIGHT(from ".weight", to ".weight", size), .change = &change_plus_one}

struct family {
    const char *name;   /* GGUF's general.architecture */
    const char *covers; /* models of other names that it is too, for messages; or NULL */
    const char *blocks; /* Hugging Face's list of blocks */
    const char *prefix; /* usually before it */
    /* Its rope turns neighbouring pairs: each head's halves are interleaved in GGUF's q and k. */
    bool regroups;
    /* Its recurrent layers go on token by token, by ggml's one node for it, whatever is computed together. */
    bool states_independent;
    const char *const *model_types; /* "model_type" of config.json, or of its text_config */
    /* Errors go to the reader. */
    void (*describe)(struct blueprint *b, struct config_reader *r);
    /* Outside of the blocks, and of a block; each ends with one without a module. */
    const struct family_weight *globals, *weights;
    const char *const *ignored; /* patterns of names; '*' stands for anything */
    /* Where changes of linear layers have rows or columns in an order of the family's own: sets the sizes
     * that those ask for as a model has them. false: the model's keys make no sense. */
    bool (*sizes)(struct blueprint *b, const struct gguf_model *model);
};

extern const struct family family_llama, family_qwen2, family_qwen3, family_gemma2, family_gemma3,
    family_phi3, family_smollm3, family_gpt2, family_qwen35, family_qwen3moe, family_mixtral;

/* What may stand before the list of blocks, or before "lm_head", longest first; NULL at the end. */
extern const char *const family_prefixes[];

/* Whether a row of a block is the weight of a linear layer, which is no expert's. */
bool family_is_layer(const struct family_weight *w);
/* Whether a tensor of a checkpoint is of no use here: a tower for images, say. */
bool family_ignores(const struct family *f, const char *tensor);
/* Behind "<number>." of a name, NULL where it is none. */
const char *family_in_block(const char *name, int32_t *block);
/* True for the GGUF name of a linear layer that adapters may change. */
bool family_has_tensor(const struct family *f, const char *tensor);

#endif
