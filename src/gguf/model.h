/*
 * model: what a GGUF file says of its model, from its header alone, and the checks that come before
 * llama.cpp opens it. The checks lie in params.c, vocab.c and tensors.c.
 * Threads: immutable once checked.
 */
#ifndef INF_GGUF_MODEL_H
#define INF_GGUF_MODEL_H

#include "gguf/file.h"

/* Where a weight's numbers lie as they were published. */
struct gguf_numbers {
    const void *data; /* NULL: nowhere in the order that the tensor has */
    int32_t type;     /* enum number_type */
};

/* What adapters and the scheduler need to know of a model, from its header alone. */
struct gguf_model {
    const struct gguf_file *file; /* borrowed */
    const char *architecture;     /* "llama", ... NUL-terminated */
    int32_t n_layer, n_embd, n_head, n_head_kv, n_ff, n_vocab, n_ctx_train;
    int32_t head_dim;    /* attention.key_length, else n_embd / n_head */
    int32_t n_kv_layer;  /* layers that keep keys and values; the others keep a state: */
    size_t state_bytes;  /* of one sequence, in all those layers; 0: there are none */
    int32_t n_positions; /* of a learned table (GPT-2's): llama.cpp ends the process when a text is
                            longer; 0: no such table */
    bool tied;           /* no output.weight */
    const struct gguf_numbers
        *numbers; /* (tensors) of a header whose weights lie elsewhere, borrowed;
                                           NULL: the tensors' own data */
};

/*
 * Everything we check of a model before llama.cpp opens it: required keys and their ranges for its
 * architecture, hyper-parameters against tensor shapes, vocabulary (counts, types, ids of special
 * tokens, merges), tensor types known and sizes right, split files refused or followed.
 * Errors: BAD_FORMAT, UNSUPPORTED (an adapter, projector or vocabulary-only file; unknown
 * architecture), each in one line that says what to do. The model borrows the file.
 * n_head, n_head_kv, n_ff and head_dim are 0 where an architecture has none.
 */
int32_t gguf_model_check(struct gguf_model *out, const struct gguf_file *f, inf_error *err);
/* The tokens a request may have when n_ctx are asked for: a table of positions has an end. */
int32_t gguf_model_window(const struct gguf_model *m, int32_t n_ctx);

#endif
