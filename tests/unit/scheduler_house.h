/*
 * scheduler_house: a scheduler on the free engine with a context and adapters, for tests. Requests are
 * operations without a provider; their prompts are texts, whose bytes are the tokens and whose first byte
 * names the request in the engine's record.
 *
 * Threads: one test at a time; on_call runs on the scheduler's worker, where it may submit and cancel.
 */
#ifndef SCHEDULER_HOUSE_H
#define SCHEDULER_HOUSE_H

#include "free_engine.h"

#include "core/provider_state.h"
#include "local/scheduler.h"

enum { CHUNK = 64, MAX_TOKENS = 512, MAX_TEXT = 1100 };

struct house {
    struct free_engine e; /* on_call's argument is the house */
    inf_context *ctx;
    struct registry *adapters;
    struct scheduler *s;
    struct scheduler_task held; /* while it runs the worker does nothing else */
    pthread_mutex_t lock;       /* guards the two below */
    pthread_cond_t changed;
    bool is_held, may_go_on;
    struct free_adapter ordinary[4];
    int32_t n_ordinary;
    _Atomic int64_t in_flight;
    int64_t live; /* allocations, before */

    /* What a test's on_call works with. */
    inf_op *op;
    int32_t at;
    const char *prompt;
};

struct guest {
    const char *prompt;
    int32_t max_tokens;
    const char *adapter; /* NULL: base */
    float scale;         /* 0 stands for 1 */
    const char *second;  /* another one with it, or NULL */
    float second_scale;
    int64_t timeout_ms; /* 0 stands for none */
    enum { DRAFTS_NOTHING, DRAFTS_WHERE_IT_PAYS, DRAFTS_ALWAYS } drafts;
    const char *reference; /* NULL: none */
};

extern const struct scheduler_options house_options;
void open_house(struct house *h, int32_t max_slots);
/* Of a model with a recurrent state, which keeps so many of them. */
void open_house_of_states(struct house *h, int32_t max_slots, int32_t max_states);
/* Lets everything end, and the worker. From then on the record is the test's to read. */
struct scheduler_stats drain(struct house *h);
/* Nothing may be left behind: no complaint, no pin, no request in flight, no memory. */
void close_house(struct house *h);

/* Holds the worker, so that all that is submitted until let_go is taken together. */
void hold(struct house *h);
void let_go(struct house *h);

/* An adapter of some nature (NULL: an ordinary one). */
uint64_t add_adapter(struct house *h, const char *id, struct free_adapter *nature);

inf_request request_of(const struct guest *g);
/* NULL, and nothing left of it: out of memory. */
inf_op *try_to_submit(struct house *h, const inf_request *r, const struct guest *g);
inf_op *submit(struct house *h, const struct guest *g);
inf_op *ask(struct house *h, const char *prompt, int32_t max_tokens);

inf_result result_of(inf_op *op);
void assert_text(inf_op *op, const char *text);
/* The text is what the engine makes of this prompt and its adapters, whoever else was there; n tokens. */
void assert_right_text(const struct house *h, inf_op *op, const struct guest *g, int64_t n);
/* The operation ends like that; its text so far is right. Releases it. */
void assert_ends(struct house *h, inf_op *op, const struct guest *g, int32_t code);
void assert_answered(struct house *h, inf_op *op, const char *prompt, int32_t n);

int32_t count_calls(const struct house *h, enum free_kind kind);
/* The number of this call among the decode calls, from 0; -1 for another kind. */
int32_t number_of(const struct house *h, const struct free_call *call);
/* "AB:1 C:32 ...": who took part in each decode call, with how many tokens each. */
const char *who_and_how_many(const struct house *h);

/* A text of n bytes, the first of which is `first`. */
void fill_text(char *text, char first, int32_t n);

#endif
