/* parallel: see the header. */
#include "core/parallel.h"

#include "core/context.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MAX_THREADS = 64 };

struct work {
    size_t n;
    parallel_piece piece;
    void *owner;
    atomic_size_t next;
    atomic_int code;
    pthread_mutex_t lock; /* guards err, which the first error sets */
    inf_error err;
};

static void *work(void *arg)
{
    struct work *w = arg;

    for (;;) {
        size_t i = atomic_fetch_add(&w->next, 1);
        inf_error err = {0};
        int32_t code = INF_OK;

        if (i >= w->n || atomic_load(&w->code) != INF_OK)
            return NULL;
        code = w->piece(w->owner, i, &err);
        if (code == INF_OK)
            continue;
        pthread_mutex_lock(&w->lock);
        if (atomic_load(&w->code) == INF_OK) {
            w->err = err;
            atomic_store(&w->code, code);
        }
        pthread_mutex_unlock(&w->lock);
    }
}

int32_t parallel_run(size_t n, int32_t n_threads, const char *name, parallel_piece piece,
                     void *owner, inf_error *err)
{
    struct work w = {.n = n, .piece = piece, .owner = owner};
    pthread_t threads[MAX_THREADS];
    int32_t beside = 0;

    pthread_mutex_init(&w.lock, NULL);
    while (beside < MAX_THREADS && beside + 1 < n_threads && (size_t)beside + 1 < n &&
           thread_start(&threads[beside], name, work, &w) == 0)
        beside++;
    work(&w);
    while (beside > 0)
        pthread_join(threads[--beside], NULL);
    pthread_mutex_destroy(&w.lock);
    if (atomic_load(&w.code) != INF_OK && err)
        *err = w.err;
    return atomic_load(&w.code);
}
