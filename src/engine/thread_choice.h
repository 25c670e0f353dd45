/*
 * thread_choice: with how many threads the next step is computed.
 *
 * A graph is cut into equal parts whose threads wait for each other hundreds of times a step, so that
 * one which shares its core with another program holds up all. Fewer threads are faster then; how many
 * depends on the machine and on what else runs, so it is tried: while steps show that their thread is
 * not given its core (its CPU time against the clock's), other numbers take turns with the one in use,
 * and the fastest stays. On a machine that has nothing else to do nothing is ever tried, and once steps
 * are given their core again all threads are.
 *
 * Knows no clock and no llama.cpp. Threads: the caller's alone.
 */
#ifndef INF_ENGINE_THREAD_CHOICE_H
#define INF_ENGINE_THREAD_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

struct step_times {
    int64_t wall_us, cpu_us;
    int32_t steps;
};

struct thread_choice {
    int32_t max;     /* threads there are */
    int32_t current; /* in use */
    bool in_turn;    /* for tests, to be set: each step has another number */
    int32_t turns;   /* so many of them since the number was 1 */
    bool contended;
    double given; /* of its time the thread that runs the steps has a core: when last looked at */
    struct step_times recent; /* since it was last asked whether it is */

    int32_t candidate; /* which one comes next */
    int64_t pause_us;  /* between two rounds of candidates */
    int64_t left_us;   /* of the pause */

    int32_t challenger; /* of the trial that is on, else 0 */
    int32_t n_rows;     /* of the steps that count in it */
    int64_t trial_us;   /* that it took so far, with the steps that do not count */
    int32_t visit;      /* even: current's turn, odd: the challenger's */
    struct step_times turn, tried[2];
};

/* max: at least 1. */
void thread_choice_init(struct thread_choice *c, int32_t max);
/* The number of threads for a step over so many rows. */
int32_t thread_choice_next(const struct thread_choice *c, int32_t n_rows);
/* How long that step took, and how much CPU time the thread had that ran it. */
void thread_choice_done(struct thread_choice *c, int32_t n_rows, int64_t wall_us, int64_t cpu_us);

#endif
