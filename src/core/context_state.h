/*
 * context_state: what a context is made of, for the files of core. Each named group is the file's of
 * that name (closer: lifetime.c), and the others reach it through that file's header.
 *
 * Locks: ctx->lock guards every field that is not said to be atomic or constant, and the links of
 * operations and providers in its lists; it is a leaf but for op->lock, which nests inside it
 * nowhere: neither is taken with the other held.
 */
#ifndef INF_CORE_CONTEXT_STATE_H
#define INF_CORE_CONTEXT_STATE_H

#include "core/buffer.h"
#include "core/context.h"
#include "core/heap.h"

#include <stdatomic.h>

#define CONTEXT_EXTRAS 4

struct inf_context {
    _Atomic int32_t refs; /* the handle, each operation, each provider */
    int32_t fork_generation;
    inf_context_options options;

    pthread_mutex_t lock;
    bool closing;       /* no new operations or providers */
    bool stop;          /* threads end when they have nothing left to do */
    pthread_t *threads; /* that serve it, but the closer */
    int32_t n_threads;
    pthread_cond_t idle; /* a count of what is in flight or destroyed fell to 0 */

    struct {
        struct job *first, **end;
        pthread_cond_t changed;
    } jobs;

    struct {
        inf_op *first;
        int64_t n; /* not yet done; looks at a provider's inside count too */
    } in_flight;

    struct {
        struct heap heap;
        pthread_cond_t changed;
        void (*expire)(inf_op *op); /* constant; takes the reference over */
    } deadlines;

    struct {
        inf_op *first, **end; /* operations with something to call back about */
        pthread_cond_t changed;
        bool naps; /* who waits looks again soon, and is woken for an end alone: see dispatch.c */
        bool closed_to_tell; /* to on_closed */
    } events;

    inf_queue *queue;  /* its own, in delivery by queue; constant */
    inf_queue *queues; /* further ones, linked: pull.c */

    struct {
        pthread_t thread; /* of inf_context_close_start */
        bool has_thread;
        inf_closed_fn on_closed;
        void *user_data;
    } closer;

    struct {
        inf_provider *first; /* not yet destroyed, linked */
        int32_t n_destroying;
    } providers;

    pthread_mutex_t extras_lock; /* guards these; outermost, held while one is made */
    struct {
        const struct context_extra *kind;
        void *object;
    } extras[CONTEXT_EXTRAS];
    bool extras_closed;
};

/* A context without threads, with one reference; NULL: no memory. */
inf_context *context_new(const inf_context_options *options);
void context_ref(inf_context *ctx);
void context_unref(inf_context *ctx);

/* The context whose callback runs on this thread, or NULL; set around each callback. */
inf_context *context_in_callback(void);
void context_set_in_callback(inf_context *ctx);

/* Starts one of its threads, which gets ctx and ends once `stop` is set. NO_MEMORY, STATE. */
int32_t context_start_thread(inf_context *ctx, const char *name, void *(*fn)(void *),
                             inf_error *err);
/* Sets `stop` and waits for them. */
void context_join_threads(inf_context *ctx);
/* The preparation threads. */
int32_t jobs_start(inf_context *ctx, inf_error *err);

/* Gives every extra back, and makes none any more. */
void extras_close(inf_context *ctx);

#endif
