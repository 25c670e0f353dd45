/*
 * A barrier that sleeps: how ggml's threads wait for each other here. Part of a copy of ggml-cpu.c,
 * see edits.cmake.
 *
 * ggml spins until the last thread arrives. On a busy machine that thread may not be running, and those
 * that spin take the very time in which it could. Here a thread spins for as long as one that runs would
 * need, then sleeps until the last one wakes it (without futex: yields). When that one ran on the same
 * CPU, spinning kept it from coming: the next time there is hardly any.
 *
 * n_barrier_passed counts in steps of two; bit 0 says that somebody sleeps on it, so that nobody calls
 * the kernel for nothing.
 */
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum {
    INF_SPIN_NS = 100000,       /* a few times what it costs to be woken */
    INF_SPIN_SAME_CPU_NS = 1000,
    INF_POLL_NS = 200000,       /* an idle worker's, for the next graph: the time between two steps */
    INF_LOOK_EVERY = 32         /* rounds, at the clock */
};

static int64_t inf_now_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int inf_barriers_passed(struct ggml_threadpool * tp) {
    return (int) ((unsigned) atomic_load_explicit(&tp->n_barrier_passed, memory_order_relaxed) & ~1u);
}

/* Whether this thread was last woken by one that ran on its own CPU. */
static _Thread_local bool inf_shares_cpu;

static bool inf_barrier_spin(struct ggml_threadpool * tp, int before) {
    const int64_t end = inf_now_ns() + (inf_shares_cpu ? INF_SPIN_SAME_CPU_NS : INF_SPIN_NS);

    do {
        for (int i = 0; i < INF_LOOK_EVERY; i++) {
            if (inf_barriers_passed(tp) != before)
                return true;
            ggml_thread_cpu_relax();
        }
    } while (inf_now_ns() < end);
    return false;
}

#if defined(__linux__)
static int inf_cpu(void) {
    return sched_getcpu();
}

static void inf_barrier_sleep(struct ggml_threadpool * tp, int before) {
    int seen = before;

    /* Says that somebody sleeps, unless the barrier was passed meanwhile. */
    if (atomic_compare_exchange_strong(&tp->n_barrier_passed, &seen, before | 1) || seen == (before | 1))
        syscall(SYS_futex, &tp->n_barrier_passed, FUTEX_WAIT_PRIVATE, before | 1, NULL, NULL, 0);
}

static void inf_barrier_wake(struct ggml_threadpool * tp) {
    syscall(SYS_futex, &tp->n_barrier_passed, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#else
static int inf_cpu(void) {
    return -1;
}

static void inf_barrier_sleep(struct ggml_threadpool * tp, int before) {
    UNUSED(tp);
    UNUSED(before);
    sched_yield();
}

static void inf_barrier_wake(struct ggml_threadpool * tp) {
    UNUSED(tp);
}
#endif

/* The last thread lets the others go. */
static void inf_barrier_open(struct ggml_threadpool * tp, int before) {
    const int after = (int) ((unsigned) before + 2u);

    if (atomic_load_explicit(&tp->n_barrier_passed, memory_order_relaxed) & 1)
        atomic_store_explicit(&tp->inf_waker_cpu, inf_cpu(), memory_order_relaxed);
    if (atomic_exchange_explicit(&tp->n_barrier_passed, after, memory_order_seq_cst) & 1)
        inf_barrier_wake(tp);
}

static void inf_barrier_wait(struct ggml_threadpool * tp, int before) {
    int waker_cpu;

    if (inf_barrier_spin(tp, before)) {
        inf_shares_cpu = false;
        return;
    }
    while (inf_barriers_passed(tp) == before)
        inf_barrier_sleep(tp, before);
    waker_cpu      = atomic_load_explicit(&tp->inf_waker_cpu, memory_order_relaxed);
    inf_shares_cpu = waker_cpu >= 0 && waker_cpu == inf_cpu();
}

/* Whether an idle worker goes on polling for work, in its round 0, 1, ..., before it sleeps. */
static inline bool inf_keeps_polling(uint64_t round, int64_t begin) {
    return round % INF_LOOK_EVERY != 0 || inf_now_ns() - begin < INF_POLL_NS;
}
