/*
 * A barrier that sleeps: how ggml's threads wait for each other here. Part of a copy of ggml-cpu.c,
 * see edits.cmake.
 *
 * ggml spins until the last thread arrives. On a busy machine that thread may not be running, and those
 * that spin take the very time in which it could. Here a thread spins, then sleeps until the last one
 * wakes it (without futex: yields). On a machine that has nothing else to do it spins for longer than
 * any part of a step takes, since waking a thread costs more than that. The first time this was not
 * enough, somebody has no core of his own: from then on, until barriers have long been passed without
 * a sleep, it spins only for as long as one that runs would need; and when the one that wakes it ran on
 * the same CPU, spinning kept that one from coming: the next time there is hardly any.
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
    INF_SPIN_CALM_NS = 2000000,
    INF_SPIN_WARY_NS = 100000,  /* a few times what it costs to be woken */
    INF_SPIN_SAME_CPU_NS = 1000,
    INF_POLL_CALM_NS = 5000000, /* an idle worker's, for the next graph: the time between two steps */
    INF_POLL_WARY_NS = 200000,
    INF_WARY_FOR = 2000,        /* barriers passed without a sleep: a few steps */
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
/* How many more barriers this thread is wary for, 0: calm. */
static _Thread_local int inf_wary;

static int64_t inf_spin_ns(void) {
    return inf_shares_cpu ? INF_SPIN_SAME_CPU_NS : inf_wary ? INF_SPIN_WARY_NS : INF_SPIN_CALM_NS;
}

/* Most waits are over before the clock is looked at. */
static bool inf_barrier_spin(struct ggml_threadpool * tp, int before) {
    int64_t begin = 0;

    for (;;) {
        int64_t now = 0;

        for (int i = 0; i < INF_LOOK_EVERY; i++) {
            if (inf_barriers_passed(tp) != before)
                return true;
            ggml_thread_cpu_relax();
        }
        now   = inf_now_ns();
        begin = begin ? begin : now;
        if (now - begin >= inf_spin_ns())
            return false;
    }
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
        inf_wary -= inf_wary > 0;
        return;
    }
    inf_wary = INF_WARY_FOR;
    while (inf_barriers_passed(tp) == before)
        inf_barrier_sleep(tp, before);
    waker_cpu      = atomic_load_explicit(&tp->inf_waker_cpu, memory_order_relaxed);
    inf_shares_cpu = waker_cpu >= 0 && waker_cpu == inf_cpu();
}

/* Whether an idle worker goes on polling for work, in its round 0, 1, ..., before it sleeps. */
static inline bool inf_keeps_polling(uint64_t round, int64_t begin) {
    return round % INF_LOOK_EVERY != 0 ||
           inf_now_ns() - begin < (inf_wary ? INF_POLL_WARY_NS : INF_POLL_CALM_NS);
}
