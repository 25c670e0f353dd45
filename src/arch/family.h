/*
 * family: a model family: how what Hugging Face publishes of it becomes llama.cpp's. One file each
 * (llama.c, gemma2.c, ...); families.c lists them. Constants; any thread.
 *
 * A family has two halves. `layers` says which weight of llama.cpp each module of an adapter changes;
 * it serves GGUF files too. `checkpoint` (NULL: its checkpoints are not supported) says how a whole
 * checkpoint becomes a model:
 *   - describe reads config.json through a config_reader (absent keys, their defaults and errors are
 *     the reader's) and writes llama.cpp's metadata; keys.h has what most families share. What the
 *     graph of llama.cpp computes otherwise than transformers it refuses there, by key and value
 *     (config_refuse), or, where only long texts differ, shortens the window (blueprint_limit_window).
 *     It sets the sizes that shapes name, and the features that rows depend on.
 *   - globals and blocks are the tensors: where each lies in the checkpoint, its shape there, where it
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
struct config_reader;

/* ------------------------------------------------------------------ adapters */

/* Whose rows of a weight are regrouped in each head, where the family does that; from HEADS_OWN on: which
 * of a family's own orders its rows, or, with HEADS_INPUTS, its columns have. */
enum heads { HEADS_NONE, HEADS_Q, HEADS_K, HEADS_OWN, HEADS_INPUTS = 1 << 8 };

/* A linear layer of a block. */
struct family_layer {
    const char *module; /* Hugging Face: behind "<prefix><blocks>.N." */
    const char *tensor; /* GGUF: between "blk.N." and ".weight" */
    int32_t heads;      /* enum heads */
};

struct gguf_model;

/* ------------------------------------------------------------------ checkpoints */

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
    FEATURE_EXPERTS = 1 << 4, /* of a block: a mixture of experts, else dense */
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

extern const struct weight_change
    change_regroup_q; /* halves of each head interleaved, for rope that */
extern const struct weight_change change_regroup_k; /* turns neighbouring pairs */
extern const struct weight_change change_plus_one;  /* norms that multiply by 1 + w */
extern const struct weight_change change_transpose; /* Conv1D: [in, out] */

enum {
    FAMILY_MAX_BLOCKS = 512,
    WEIGHT_DIMS = 4,
    WEIGHT_F32 = 1,     /* stays f32 whatever the model's dtype; one-dimensional ones always do */
    WEIGHT_OPTIONAL = 2 /* taken when it is there */
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

struct family_checkpoint {
    const char *const *model_types; /* "model_type" of config.json, or of its text_config */
    /* Errors go to the reader. */
    void (*describe)(struct blueprint *b, struct config_reader *r);
    const struct family_weight *globals, *blocks; /* each ends with one without a module */
    const char *const *ignored;                   /* patterns of names; '*' stands for anything */
};

/* ------------------------------------------------------------------ a family */

struct family {
    const char *name;   /* GGUF's general.architecture */
    const char *covers; /* models of other names that it is too, for messages; or NULL */
    const char *blocks; /* Hugging Face's list of blocks */
    const char *prefix; /* usually before it */
    /* Its rope turns neighbouring pairs: each head's halves are interleaved in GGUF's q and k. */
    bool regroups;
    const struct family_layer *layers; /* ends with one without a name */
    /* Of heads from HEADS_OWN on (without HEADS_INPUTS): order[i] is where row (column) i of the model's weight lies in Hugging
     * Face's. false: the model's keys make no sense of n. */
    bool (*order)(const struct gguf_model *model, int32_t heads, int32_t *order, int32_t n);
    const struct family_checkpoint *checkpoint;
};

extern const struct family family_llama, family_qwen2, family_qwen3, family_gemma2, family_gemma3,
    family_phi3, family_smollm3, family_gpt2, family_qwen35, family_qwen3moe, family_mixtral;

/* What several families have: q, k, v and o, gate, up and down. */
extern const struct family_layer split_layers[];

/* The layer that "<number>.<module>" is, and in which block; NULL: none. */
const struct family_layer *family_find_module(const struct family *f, const char *name,
                                              int32_t *block);
/* Whether a tensor of a checkpoint is of no use here: a tower for images, say. */
bool family_ignores(const struct family *f, const char *tensor);
/* Behind "<number>." of a name, NULL where it is none. */
const char *family_in_block(const char *name, int32_t *block);
/* True for the GGUF name of a linear layer that adapters may change. */
bool family_has_tensor(const struct family *f, const char *tensor);

#endif
