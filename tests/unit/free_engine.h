/*
 * free_engine: an engine (local/engine.h) that computes nothing, for tests and measurements of what
 * stands above engines.
 *
 * Its slots really hold something: a cell for each token, whose sum depends on every cell before it and
 * on the adapters and scales it was computed with, in their order, as keys and values do. The logits follow from the last
 * cell's sum, so that a generation goes on rightly only where its slot holds all of it and nothing else:
 * free_expect says what it must be. Every call is recorded and checked against what engine.h demands of
 * its callers; the first demand that was not met stands in `complaint`.
 *
 * The vocabulary is the bytes: token 'a' is the text "a", token 0 the end of the text. "^" shows with the
 * token that follows it, or at the end.
 *
 * Threads: the scheduler's worker calls it; a test reads it while no worker runs, or in on_call.
 */
#ifndef FREE_ENGINE_H
#define FREE_ENGINE_H

#include "local/engine.h"
#include "local/sequence.h"

enum { FREE_MAX_SLOTS = 16, FREE_MAX_LOGITS = 128, FREE_N_VOCAB = 256, FREE_END = 0 };

/* What an adapter's payload points to; NULL is one of the ordinary kind. */
struct free_adapter {
    bool overflows;   /* logits of its rows are NaN, and so is what it leaves in the slot */
    bool leaves_dirt; /* its own logits are good, but later ones in its slot NaN */
    bool destroyed;   /* by free_adapter_destroy; to use it now is a complaint */
    int32_t unloaded; /* for the test */
};
void free_adapter_destroy(void *payload); /* a registry's destroy_payload */

struct free_cell {
    int32_t token;
    uint64_t key; /* of the adapters: see free_key */
    uint64_t sum;
};

struct free_slot {
    struct free_cell *cells; /* (n), room for max_context */
    int32_t n;
    bool dirty; /* its memory holds values that are not finite */
};

enum free_kind {
    FREE_DECODE,
    FREE_TRUNCATE,
    FREE_SWAP,
    FREE_COPY,
    FREE_SCRUB,
    FREE_RESERVE,
    FREE_SAVE,
    FREE_RESTORE,
    FREE_KINDS
};

struct free_row {
    int32_t slot, position;
    int32_t name; /* the first token of what the slot holds: of the sequence's prompt */
    int32_t first_logits, n_logits;
};

struct free_call {
    enum free_kind kind;
    int32_t a, b; /* slot and n of truncate, save, restore; from and to; n_slots and n_context */
    int32_t n_rows, n_tokens;
    struct free_row rows[FREE_MAX_SLOTS];
    bool failed;
};

struct free_engine {
    struct engine engine; /* for whoever uses it */

    /* How it behaves; for the test to set, in on_call too. */
    int32_t step_us;       /* what a decode takes */
    int32_t token_us;      /* what it takes a token, by free_clock_us alone */
    int32_t call_us;       /* and what a call takes beside its tokens */
    bool cuts_show;        /* a cell's sum depends on the cut of its prompt, as ggml's results do */
    bool blind;            /* remembers and checks nothing: always the same logits */
    bool refuses_truncate; /* it keeps nothing, as a sliding window may, and says so beforehand */
    bool has_state;        /* it cannot forget a part; for limits with max_states */
    int32_t fail_nth[FREE_KINDS];     /* the nth call of the kind from now fails; 0: none does */
    uint64_t failing_generation;      /* decode calls with a row of it fail; 0: none */
    int32_t nan_rows[FREE_N_VOCAB];   /* by name: so many rows with logits get NaN; -1: all */
    const char *script[FREE_N_VOCAB]; /* by name: what follows the prompt; its NUL is the end */
    int32_t script_at[FREE_N_VOCAB];  /* the prompt's length */
    void (*on_call)(void *arg, const struct free_call *call); /* before it is done */
    void *arg;

    /* What came of it. */
    int32_t n_slots, n_context, n_states;
    struct free_slot slots[FREE_MAX_SLOTS];
    struct free_call *calls; /* (n_calls) */
    size_t n_calls, calls_capacity;
    char complaint[160]; /* "": none */

    int32_t wanted[FREE_MAX_SLOTS]; /* of each row, how many logits may be read */
    int32_t wanted_at[FREE_MAX_SLOTS], n_logits;
    float *logits; /* (FREE_MAX_LOGITS, n_vocab) */
};

/* A clock that only decode calls advance, by call_us and token_us a token. */
int64_t free_clock_us(void);

/* false when out of memory. n_vocab: FREE_N_VOCAB unless it is blind. */
bool free_engine_init(struct free_engine *e, const struct engine_limits *limits);
void free_engine_free(struct free_engine *e);
/* Sequences whose prompt begins as this one does answer with `text` and end. */
void free_engine_script(struct free_engine *e, const char *prompt, const char *text);

/* What n adapters with scales, in this order, mean to it; 0: none. The adapters may be gone. */
uint64_t free_key(const struct scaled_adapter *adapters, int32_t n);
/* The n tokens that the engine makes greedy decoding follow a prompt with under adapters of a key, and a
 * NUL, into out. */
void free_expect(const char *prompt, uint64_t key, int32_t n, char *out);

extern const struct tokenizer free_tokenizer;

/* A generate operation that has no provider; NULL: out of memory or not a valid request. */
inf_op *free_op(inf_context *ctx, const inf_request *request, int64_t timeout_ms);
/* Its sequence, greedy; the prompt's bytes are the tokens. Takes the adapters over, as
 * sequence_create does. */
int32_t free_sequence(struct sequence **out, inf_op *op, const struct tokenizer *tokenizer,
                      const char *prompt, int32_t max_tokens, struct adapter_set *adapters,
                      inf_error *err);

#endif
