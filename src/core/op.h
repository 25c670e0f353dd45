/*
 * op: one operation in flight, then its result or error.
 *
 * Who completes: only the owner that took the operation (a provider), by op_finish, once. Cancel
 * and timeout never complete an operation: they set its stop code and call the canceller, and the
 * owner ends it soon with that code. op_finish writes the terminal status; nothing rewrites it.
 *
 * References: `refs` keeps the memory; the user's references are counted apart, so that the last
 * user release of an operation in flight cancels it. In flight, the core holds one more reference
 * and one on the provider, given back by op_finish (provider) and after on_done (operation).
 *
 * Locks: op->lock guards status, text and pending events; op->cancel_lock is held while the
 * canceller runs and while op_finish removes it, so a canceller never runs after op_finish.
 * Order: op->cancel_lock, then the owner's own locks. So op_finish, op_set_canceller and
 * op_cancel are never called with an owner lock held that the canceller takes. op->lock and the
 * context's lock are leaves: nothing is called with them held.
 */
#ifndef INF_CORE_OP_H
#define INF_CORE_OP_H

#include "core/buffer.h"

#include <inference/inference.h>

enum op_kind {
    OP_GENERATE,
    OP_MODEL_LOAD,
    OP_MODEL_UNLOAD,
    OP_ADAPTER_LOAD,
    OP_ADAPTER_UNLOAD,
    OP_TOKENIZE,
    OP_DETOKENIZE,
    OP_RENDER,
    OP_LOGITS,
    OP_INSPECT,
    OP_SERVER_ADAPTERS
};

/* What the owner writes before op_finish and readers read after: no lock needed. Each pointer is
 * heap memory (mem_*), owned by the operation and freed with it. The generated text is not here:
 * it grows through op_emit. */
struct op_output {
    char *model;         /* generate */
    char *adapter_id;    /* generate; NULL: none */
    char *finish_reason; /* generate */
    int32_t finish;      /* enum inf_finish */
    char *reasoning;     /* freed by core; remote providers emit it through op_emit */
    char *tool_calls;
    int64_t prompt_tokens;
    int64_t completion_tokens;
    int32_t *token_ids; /* generate: tokens; tokenize: the ids */
    size_t n_token_ids;
    struct inf_logprob *logprobs; /* its pieces and alternatives lie in logprobs_block */
    size_t n_logprobs;
    void *logprobs_block;
    inf_timings timings;
    uint64_t adapter_generation;
    inf_result_adapter
        *adapters; /* several: one block with the texts; of adapter_id core makes it */
    size_t n_adapters;
    inf_result_adapter single; /* core's */
    int64_t prefix_tokens;
    int64_t steps;
    double mean_rows;
    double mean_adapters;
    bool row_independent;
    int64_t drafted_tokens;
    int64_t accepted_tokens;
    inf_adapter_report report; /* adapter load; its texts are set from the two below */
    char *report_id;
    char *report_evicted;
    struct buffer text; /* detokenize, render, inspect, server adapters */
    int32_t *top_ids;   /* logits */
    float *top;
    size_t n_top;
    float *probe;
    size_t n_probe;
    float *all;
    size_t n_all;
    char *error_body; /* failed HTTP body, capped by the provider */
    size_t error_body_len;
};

/* The bounds of an operation, milliseconds; -1: none. */
struct op_times {
    int64_t queue_ms; /* until op_begin_work */
    int64_t work_ms;  /* from then on */
};

/*
 * Creates an operation with one user reference and one for being in flight. provider may be NULL
 * (inspect). times NULL: no bounds. Errors: NO_MEMORY, STATE (context closed, forked child),
 * INVALID_ARGUMENT (callbacks struct).
 */
int32_t op_create(inf_op **out, inf_context *ctx, inf_provider *provider, enum op_kind kind,
                  const inf_callbacks *callbacks, const struct op_times *times, inf_error *err);
/* The start failed after op_create: frees it, calls nothing back. */
void op_abandon(inf_op *op);

enum op_kind op_kind(const inf_op *op);
inf_context *op_context(const inf_op *op);
/* The request of a generate, copied by core into op's memory; normalised (adapter_id "" is absent,
 * defaults resolved except sampling options left unset; one adapter in both forms, several in the list
 * alone, each with its scale set). */
const inf_request *op_request(const inf_op *op);
void op_set_request(inf_op *op, inf_request *owned);
/* For the owner, until op_finish. */
struct op_output *op_output(inf_op *op);
/* Microsecond clock at creation. */
int64_t op_started_us(const inf_op *op);

/* The operation has its slot or its connection: waiting is over, and its work is timed from here on.
 * Only the first call counts. Any thread; no lock held that a canceller takes. */
void op_begin_work(inf_op *op);
/* When that was; 0: not yet. */
int64_t op_work_began_us(const inf_op *op);

/*
 * Sets what cancel and timeout call, at most once, on any thread: it must only wake the owner or
 * take the operation out of a queue (and then may op_finish it... only after returning: see
 * op_finish_later). When a stop was requested before, it is called at once, by this call.
 */
typedef void (*op_canceller)(void *owner, inf_op *op);
void op_set_canceller(inf_op *op, op_canceller fn, void *owner);
/* INF_OK, INF_ERROR_CANCELLED or INF_ERROR_TIMEOUT: whether, and why, to stop. Atomic, cheap. */
int32_t op_stop_code(const inf_op *op);
/* The standard error of that stop code. */
int32_t op_stop_error(const inf_op *op, inf_error *err);

/* Appends text (whole code points) to the result and lets on_token see it. n_tokens: total so far.
 * Never blocks on callbacks. NO_MEMORY: the owner ends the operation with it. */
int32_t op_emit(inf_op *op, const char *text, size_t len, int64_t n_tokens, inf_error *err);
int32_t op_emit_reasoning(inf_op *op, const char *text, size_t len, inf_error *err);
/* The same of a piece of a tool call (whole code points), for on_token alone: the owner writes the calls into
 * its output in the end. Calls begin in the order of their indices. */
int32_t op_emit_tool_call(inf_op *op, const inf_tool_call_delta *piece, inf_error *err);
/* 0 .. 1; dropped when not above the last one. */
void op_progress(inf_op *op, float fraction);

/*
 * Ends the operation: err NULL or INF_OK is success. Queues on_done; gives back the provider
 * reference and the in-flight reference, so op must not be touched afterwards unless the caller
 * has one of its own. Cannot fail. Never called inside a canceller: a canceller that takes the
 * operation out of a queue hands it to a preparation thread with op_finish_later.
 */
void op_finish(inf_op *op, const inf_error *err);
/* op_finish with the stop error, on a preparation thread; never allocates. May be called in a
 * canceller. */
void op_finish_later(inf_op *op);

/* Internal references (not the user's). */
inf_op *op_ref(inf_op *op);
void op_unref(inf_op *op);

#endif
