/* probe: see the header. */
#include "engine/probe.h"

#include "core/context.h"
#include "core/memory.h"

#include <errno.h>

struct gathering {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool over;
};

static void *stay(void *arg)
{
    struct gathering *g = arg;

    pthread_mutex_lock(&g->lock);
    while (!g->over)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

int32_t probe_threads(int32_t n, inf_error *err)
{
    struct gathering g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    pthread_t *threads = mem_alloc((size_t)(n > 0 ? n : 1) * sizeof *threads);
    int32_t started = 0;
    int number = 0;

    if (!threads)
        return error_no_memory(err);
    while (number == 0 && started < n) {
        number = thread_start(&threads[started], "inf-probe", stay, &g);
        started += number == 0;
    }
    pthread_mutex_lock(&g.lock);
    g.over = true;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.lock);
    for (int32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&g.changed);
    pthread_mutex_destroy(&g.lock);
    mem_free(threads);
    if (number == 0 || number == ENOMEM)
        return thread_error(number, err);
    return error_set_detail(
        err, INF_ERROR_STATE, started,
        "the system gives %d of %d threads beside those that run; lower n_threads, "
        "or raise the limit of processes (ulimit -u) or of memory",
        started, n);
}

int32_t probe_memory(size_t bytes, inf_error *err)
{
    void *block = mem_alloc(bytes);

    mem_free(block);
    return block ? INF_OK : error_no_memory(err);
}
