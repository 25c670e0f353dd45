/*
 * sequence: one generate request inside the scheduler, from its tokens to its result.
 *
 * Made by a preparation thread, handed to the scheduler, then owned by its worker thread until it
 * ends. Holds the pins on its adapters and lets them go on every path.
 */
#ifndef INF_LOCAL_SEQUENCE_H
#define INF_LOCAL_SEQUENCE_H

#include "core/logprob_list.h"
#include "local/adapter_set.h"
#include "local/lookup.h"
#include "local/sampling.h"
#include "local/speculation.h"
#include "local/text_stream.h"
#include "local/tokenizer.h"
#include "text/output/output_parser.h"

struct sequence {
    struct sequence *next; /* the scheduler's lists */
    inf_op *op;
    struct adapter_set *adapters; /* pinned */
    const struct tokenizer *tokenizer;

    int32_t *tokens; /* prompt, then generated; room for `capacity` */
    int32_t n_prompt, n_tokens;
    size_t capacity;
    int32_t max_tokens; /* generated at most; the room in the window already considered */

    struct sampler *sampler;
    struct decoder *decoder;
    struct text_stream *stream;
    struct output_parser *parser; /* NULL: all of the text is the answer; owned */
    bool named_call; /* the request named the tool to call: the finish is "stop" then */
    struct buffer piece, shown;
    int32_t *stop_ids;
    size_t n_stop_ids;
    bool ignore_eos;
    int32_t n_logprobs; /* of others beside each token's; -1: not asked */
    struct logprob_list logprobs;
    struct lookup *lookup; /* NULL: nothing is drafted; owned */
    bool drafts_always;    /* whether or not it pays */

    /* the worker's */
    int32_t slot;               /* -1 while waiting */
    _Atomic int64_t *in_flight; /* counted down when the sequence ends; may be NULL */
    int64_t steps, step_rows, step_adapters;
    bool row_independent; /* the engine's promise */
    int64_t prefill_turn; /* when it was last prefilled, in the scheduler's turns */
    int64_t prefill_started_us, first_token_us, last_token_us, prefill_done_us;
    int32_t n_prefix;
    int32_t n_shared; /* tokens that another slot had in common with it when it was placed */
    int32_t n_draft;
    int32_t step
        [SPECULATION_MOST]; /* the last token, n_draft drafts of the next, what fills the row up */
    int64_t n_drafted, n_accepted; /* in all: verified; taken */
};

/* One without a prompt. Its owner sets tokens and n_prompt (mem_*), max_tokens and sampler, and what else it is to
 * have, all of which is the sequence's then; and begins it. NO_MEMORY. */
int32_t sequence_create(struct sequence **out, inf_op *op, const struct tokenizer *tokenizer,
                        inf_error *err);
/* Makes what the tokens' text goes through, as op_request(op) says, and tells the sampler the prompt. NO_MEMORY. */
int32_t sequence_begin(struct sequence *s, inf_error *err);

/* Frees one that was not handed to the scheduler; the operation goes on. NULL is ignored. */
void sequence_drop(struct sequence *s);

/* The sequence drafts tokens, from now on until sequence_stop_drafting: from its own, and from `reference` (n may
 * be 0). NO_MEMORY: it does not. */
int32_t sequence_start_drafting(struct sequence *s, const int32_t *reference, int32_t n,
                                bool always, inf_error *err);
void sequence_stop_drafting(struct sequence *s);
/* Drafts up to `most` tokens behind the last, into `step`. */
void sequence_draft(struct sequence *s, int32_t most);
/* The next step computes up to n tokens: shortens the draft to what may be verified among them. */
void sequence_cut_draft(struct sequence *s, int32_t n);
/* Makes `step` n tokens long. */
void sequence_fill_step(struct sequence *s, int32_t n);

enum sequence_state { SEQUENCE_GOES_ON, SEQUENCE_ENDED, SEQUENCE_NOT_FINITE };

/* Takes the next token from logits: samples, streams its text, and finds out whether the sequence
 * ends (then sequence_end is still to be called; *finish and *err say how). */
enum sequence_state sequence_advance(struct sequence *s, const float *logits, int32_t *finish,
                                     inf_error *err);

/* Ends the operation with what there is: err NULL or INF_OK and a finish, or an error. Frees s. */
void sequence_end(struct sequence *s, int32_t finish, const inf_error *err);

#endif
