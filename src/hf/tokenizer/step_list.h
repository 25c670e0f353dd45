/*
 * step_list: how a tokenizer.json tells the steps of its normalizer, its pre-tokenizer, its post-processor
 * and its decoder: an object with a type, or a Sequence of such. Sequences are flattened.
 */
#ifndef INF_HF_TOKENIZER_STEP_LIST_H
#define INF_HF_TOKENIZER_STEP_LIST_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/json.h"

struct step_list {
    const char *part;         /* "normalizer", for messages */
    const char *steps;        /* the member of a Sequence that has them */
    const char *const *types; /* (n) the types that there are; NULL: none */
    size_t n;
    /* The next step, of the type with that number. */
    int32_t (*add)(void *owner, struct json_span json, size_t type, inf_error *err);
};

/* BAD_FORMAT, UNSUPPORTED, what `add` returns. */
int32_t step_list_read(const struct step_list *l, void *owner, struct json_span json,
                       inf_error *err);

/* A step's option that must be there, unescaped. BAD_FORMAT, NO_MEMORY. */
int32_t step_list_string(struct buffer *out, const char *part, struct json_span step,
                         const char *type, const char *name, inf_error *err);
/* And one that need not. */
bool step_list_flag(struct json_span step, const char *name, bool otherwise);

#endif
