/*
 * sampling: from logits to a token: constraint (grammar), penalties (the last `penalty_last_n` tokens),
 * then in llama.cpp's order and with its meaning of each option top-k, top-p, min-p, temperature, or in
 * transformers' order temperature, top-k, top-p, min-p, then a draw; temperature 0 is the arg max of the
 * penalised logits.
 *
 * Pure computation on the caller's buffers; one sampler belongs to one sequence and its worker.
 * Deterministic: the same seed and logits give the same tokens (a generator of our own; ties go to
 * the lower token id).
 */
#ifndef INF_LOCAL_SAMPLING_H
#define INF_LOCAL_SAMPLING_H

#include "core/error.h"

enum sampling_order {
    SAMPLING_AS_LLAMACPP = 0,
    /* The shares that top-p and min-p look at are those at the temperature; top-k keeps all that equal
     * the last; of equals at its edge top-p keeps the higher ids. */
    SAMPLING_AS_TRANSFORMERS = 1
};

struct sampling_options {
    int32_t order;            /* enum sampling_order */
    float temperature;        /* 0: greedy */
    int32_t top_k;            /* 0 or less: all */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off */
    float repetition_penalty; /* 1: off */
    float frequency_penalty;  /* 0: off */
    float presence_penalty;   /* 0: off */
    int32_t penalty_last_n;   /* tokens looked back at; -1: all of prompt and output */
    uint64_t seed;
    int32_t n_vocab;
};

/* A constraint on the next token, such as a grammar: sets the logits of tokens it forbids to
 * -INFINITY; accept tells it the token taken. */
struct sampling_constraint {
    void *state;
    void (*apply)(void *state, float *logits, int32_t n_vocab);
    /* One candidate; used first, on the unconstrained choice, so that the whole vocabulary is only
     * masked when that choice is forbidden. */
    bool (*allows)(void *state, int32_t token);
    /* Takes a token that it allows. false when out of memory. */
    bool (*accept)(void *state, int32_t token);
    void (*destroy)(void *state);
    /* The text is a whole one and nothing can follow it. NULL: never. */
    bool (*complete)(void *state);
    /* How many of n tokens may come one after another, at least of those that it can tell. Changes nothing. */
    int32_t (*allows_run)(void *state, const int32_t *tokens, int32_t n);
};

struct sampler;

/* constraint may be NULL; taken over (destroyed with the sampler, and on failure). */
int32_t sampler_create(struct sampler **out, const struct sampling_options *options,
                       const struct sampling_constraint *constraint, inf_error *err);
void sampler_free(struct sampler *s);

/* Tells the penalties of a prompt or generated token; generated ones also go to the constraint.
 * false when out of memory. */
bool sampler_accept(struct sampler *s, int32_t token, bool generated);

/* The constraint lets nothing follow but the end. */
bool sampler_is_complete(const struct sampler *s);

/* What sampler_sample returns instead of a token. */
#define SAMPLER_NOT_FINITE (-1) /* a logit is NaN or +inf, or none is finite: the row has failed */
#define SAMPLER_NO_CHOICE (-2)  /* the constraint allows no token of the vocabulary */

/* The next token from logits (n_vocab), which are not changed. */
int32_t sampler_sample(struct sampler *s, const float *logits);

/* How many of n tokens may come next, one after another, by the constraint; fewer where it cannot tell. */
int32_t sampler_allows_run(const struct sampler *s, const int32_t *tokens, int32_t n);

#endif
