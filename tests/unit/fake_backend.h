/*
 * fake_backend: a provider whose behaviour a test chooses, and a recorder of callbacks. It does
 * through the same internal calls what a real backend does: pins adapters, checks for a stop
 * between pieces, finishes on threads of its own. It computes nothing: its "tokens" are the pieces
 * of the plan.
 */
#ifndef FAKE_BACKEND_H
#define FAKE_BACKEND_H

#include "core/provider_state.h"

/* Under the thread sanitizer, where every access is watched, loops are shorter. */
#if defined(__SANITIZE_THREAD__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif
#ifndef WATCHED
#define WATCHED 0
#endif
#define SLOW (WATCHED ? 10 : 1)

/* How a generate ends. */
enum fake_how {
    FAKE_NOW,   /* inside the start */
    FAKE_LATER, /* on the backend's own thread, in order of their starts */
    FAKE_HOLD,  /* never by itself: cancelling ends it, or the test, which takes it */
    FAKE_WAIT,  /* the same, and its work has not begun */
    FAKE_REFUSE /* the start fails with `code` */
};

struct fake_plan {
    enum fake_how how;
    int32_t code;      /* what it ends with */
    const char *piece; /* text to emit; NULL: none */
    int32_t n_pieces;  /* how often */
    int32_t pause_us;  /* before each */
};

extern const struct provider_ops fake_ops;        /* in process, every slot filled */
extern const struct provider_ops fake_server_ops; /* a server that only generates */

/* A context and a fake provider in it; fail the test on an error. */
inf_context *open_context(int32_t delivery);
inf_provider *open_fake(inf_context *ctx, const struct provider_ops *ops);
/* Closes the context after releasing the provider. */
void close_all(inf_context *ctx, inf_provider *p);

void fake_plan(inf_provider *p, struct fake_plan plan);
/* The oldest held operation, from now on the caller's to finish; NULL: none is held. */
inf_op *fake_take(inf_provider *p);
/* Providers made and not destroyed, and operations accepted and not finished, in the process. */
int64_t fake_alive(void);
int64_t fake_in_flight(void);

/* A request with a prompt and nothing else. */
inf_request fake_request(const char *prompt);
/* Starts a generate; fails the test on an error. */
inf_op *start(inf_provider *p, const inf_callbacks *callbacks);
/* op_finish with a bare code. */
void finish(inf_op *op, int32_t code);

/* What the callbacks of one operation saw. They run on another thread, so they record and the
 * test asserts. */
struct record {
    _Atomic int32_t n_tokens, n_progress, n_done;
    _Atomic int32_t n_after_done;  /* callbacks that came after on_done: always 0 */
    _Atomic int32_t code;          /* inf_op_error inside on_done */
    _Atomic bool done_returned;    /* on_done is about to return */
    int32_t slow_us;               /* how long each callback takes */
    _Atomic bool gate;             /* while it is closed (true), no callback returns */
    struct buffer text, reasoning; /* the chunks put together; to read once it is done */
    float fraction;
    bool rising;                                   /* every progress above the one before */
    int64_t chunk_tokens;                          /* n_tokens of the last chunk */
    void (*in_done)(struct record *r, inf_op *op); /* further things to do in on_done */
    void *arg;
};
void record_init(struct record *r);
void record_free(struct record *r);
inf_callbacks record_callbacks(struct record *r);

/* Sleeps without drawing attention from the clock: 1 ms. */
void nap(void);

#endif
