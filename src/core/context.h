/*
 * context: the threads every provider shares, and the log.
 * Threads: one dispatch thread (delivery by callbacks), one clock thread for timeouts, and the
 * preparation threads, started by inf_context_create and joined by inf_context_close. All block
 * every signal.
 */
#ifndef INF_CORE_CONTEXT_H
#define INF_CORE_CONTEXT_H

#include "core/error.h"

#include <pthread.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One line to the context's log callback, when level is wanted. Any thread, no lock held by core. */
void context_log(inf_context *ctx, int32_t level, const char *format, ...) ERROR_PRINTF(3, 4);

/* Work for the preparation threads, run in order of submission. The job struct belongs to the
 * caller and must live until run() is called; run() may free it. Submitting never fails. */
struct job {
    struct job *next; /* core's */
    void (*run)(struct job *job);
    bool queued; /* core's, guarded by its lock */
};
void context_submit(inf_context *ctx, struct job *job);
/* Takes a job back that has not started; false when it runs, ran or was never queued. */
bool context_withdraw(inf_context *ctx, struct job *job);

/* pthread_create with all signals blocked and a name of at most 15 bytes. 0 or an errno. */
int thread_start(pthread_t *out, const char *name, void *(*fn)(void *), void *arg);
/* INF_OK, or the error of what it returned. */
int32_t thread_error(int number, inf_error *err);

/*
 * Something another folder keeps with the context: made by the first call for its kind, shared by
 * all later ones, given back by inf_context_close after the last provider. `acquire` adds a
 * reference for the caller, `release` gives one back; the context holds the first one.
 * STATE once the context has given it back.
 */
struct context_extra {
    int32_t (*create)(void **out, inf_context *ctx, inf_error *err);
    void *(*acquire)(void *object);
    void (*release)(void *object);
};
int32_t context_get_extra(void **out, inf_context *ctx, const struct context_extra *kind,
                          inf_error *err);

/* True in a child forked after the library was used: its threads do not exist here. */
bool context_forked(const inf_context *ctx);
/* STATE when forked; else INF_OK. `blocking`: STATE inside a callback too. */
int32_t context_check(const inf_context *ctx, bool blocking, inf_error *err);

#ifdef __cplusplus
}
#endif

#endif
