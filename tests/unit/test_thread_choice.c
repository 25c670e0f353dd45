/*
 * thread_choice on machines that exist as a formula: how long a step takes with n threads, and how much
 * of it the thread that runs it computes.
 */
#include "engine/thread_choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct machine {
    int32_t cores, busy;
    double work_us; /* a step's, for one thread that has its core */
    double
        together; /* of two that share a core each gets half; of that so much, when all wait for all */
    uint32_t noise; /* state of a generator; 0: none */
};

/* As many programs as cores leave threads over share with the others. */
static double step_us(const struct machine *m, int32_t n)
{
    double alone = m->work_us / n;

    if (n + m->busy <= m->cores)
        return alone;
    if (n == 1) /* moves to where there is most room */
        return alone * (m->busy + 1) / m->cores;
    return alone * 2 / m->together;
}

static double given(const struct machine *m, int32_t n)
{
    return n + m->busy <= m->cores ? 0.99 : m->work_us / n / step_us(m, n);
}

/* 0.7 to 1.3. */
static double noise(struct machine *m)
{
    if (!m->noise)
        return 1;
    m->noise = m->noise * 1664525u + 1013904223u;
    return 0.7 + 0.6 * (m->noise >> 8) / (1 << 24);
}

struct course {
    double us; /* of all steps */
    int32_t steps;
    int32_t with[65]; /* steps with so many threads */
};

/* Steps over n_rows until so much time is over. */
static struct course run(struct thread_choice *c, struct machine *m, int32_t n_rows, double seconds)
{
    struct course r = {0};

    while (r.us < seconds * 1e6) {
        int32_t n = thread_choice_next(c, n_rows);
        double wall = step_us(m, n) * noise(m);

        assert_in_range(n, 1, c->max);
        thread_choice_done(c, n_rows, (int64_t)wall, (int64_t)(wall * given(m, n)));
        r.us += wall;
        r.steps++;
        r.with[n]++;
    }
    return r;
}

/* How much longer the steps took than with n threads throughout. */
static double against(const struct course *r, const struct machine *m, int32_t n)
{
    return r->us / (r->steps * step_us(m, n));
}

static void test_thread_choice__idle_machine__all_threads_in_every_step(void **state)
{
    struct machine m = {.cores = 8, .work_us = 60000, .together = 0.9, .noise = 1};
    struct thread_choice c;
    struct course r;

    (void)state;
    thread_choice_init(&c, 8);
    r = run(&c, &m, 1, 120);
    assert_int_equal(r.with[8], r.steps);
}

static void test_thread_choice__one_thread__is_all_there_is(void **state)
{
    struct machine m = {.cores = 2, .busy = 2, .work_us = 20000, .together = 0.1};
    struct thread_choice c;
    struct course r;

    (void)state;
    thread_choice_init(&c, 1);
    r = run(&c, &m, 1, 10);
    assert_int_equal(r.with[1], r.steps);
}

static void test_thread_choice__one_busy_program__one_thread_less(void **state)
{
    struct machine m = {.cores = 16, .busy = 1, .work_us = 160000, .together = 0.9};
    struct thread_choice c;
    struct course r;

    (void)state;
    thread_choice_init(&c, 16);
    run(&c, &m, 1, 2);
    r = run(&c, &m, 1, 60);
    assert_true(against(&r, &m, 15) < 1.1);
}

/* Two threads that hardly ever run at once. */
static void test_thread_choice__busy_machine_where_one_is_best__finds_it_within_a_second(
    void **state)
{
    struct machine m = {.cores = 2, .busy = 2, .work_us = 20000, .together = 0.3, .noise = 3};
    struct thread_choice c;
    struct course r;

    (void)state;
    thread_choice_init(&c, 2);
    run(&c, &m, 1, 1);
    assert_int_equal(c.current, 1);
    r = run(&c, &m, 1, 120);
    assert_true(against(&r, &m, 1) < 1.1);
}

static void test_thread_choice__busy_machine_where_all_are_best__keeps_them(void **state)
{
    struct machine m = {.cores = 8, .busy = 8, .work_us = 80000, .together = 0.9, .noise = 5};
    struct thread_choice c;
    struct course r;

    (void)state;
    thread_choice_init(&c, 8);
    r = run(&c, &m, 1, 120);
    assert_true(against(&r, &m, 8) < 1.05);
}

/* A barrier that collapses: 2 s a step where one thread takes 30 ms. */
static void test_thread_choice__collapse__left_at_once_and_seldom_tried_again(void **state)
{
    struct machine m = {.cores = 2, .busy = 2, .work_us = 20000, .together = 0.01};
    struct thread_choice c;
    struct course r;

    (void)state;
    thread_choice_init(&c, 2);
    r = run(&c, &m, 1, 5);
    assert_true(r.with[2] < 8);
    r = run(&c, &m, 1, 120);
    assert_true(r.with[2] < 15);
}

static void test_thread_choice__idle_again__all_threads_within_two_seconds(void **state)
{
    struct machine m = {.cores = 16, .busy = 16, .work_us = 160000, .together = 0.05, .noise = 9};
    struct thread_choice c;

    (void)state;
    for (int32_t round = 0; round < 20; round++) {
        thread_choice_init(&c, 16);
        m.busy = 16;
        run(&c, &m, 1, 10 + round);
        assert_true(c.current < 16);
        m.busy = 0;
        run(&c, &m, 1, 2);
        assert_int_equal(c.current, 16);
    }
}

/* Rows that change from step to step: no two turns can be compared, and nothing is spoiled by that. */
static void test_thread_choice__never_the_same_rows__stays_in_range(void **state)
{
    struct machine m = {.cores = 4, .busy = 4, .work_us = 20000, .together = 0.5, .noise = 11};
    struct thread_choice c;

    (void)state;
    thread_choice_init(&c, 4);
    for (int32_t i = 0; i < 3000; i++)
        run(&c, &m, 1 + i % 7 * (i % 3), 0.005);
    assert_in_range(c.current, 1, 4);
}

static void test_thread_choice__steps_without_time__change_nothing(void **state)
{
    struct thread_choice c;

    (void)state;
    thread_choice_init(&c, 4);
    for (int32_t i = 0; i < 1000; i++)
        thread_choice_done(&c, 1, 0, 0);
    assert_int_equal(thread_choice_next(&c, 1), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_choice__idle_machine__all_threads_in_every_step),
        cmocka_unit_test(test_thread_choice__one_thread__is_all_there_is),
        cmocka_unit_test(test_thread_choice__one_busy_program__one_thread_less),
        cmocka_unit_test(
            test_thread_choice__busy_machine_where_one_is_best__finds_it_within_a_second),
        cmocka_unit_test(test_thread_choice__busy_machine_where_all_are_best__keeps_them),
        cmocka_unit_test(test_thread_choice__collapse__left_at_once_and_seldom_tried_again),
        cmocka_unit_test(test_thread_choice__idle_again__all_threads_within_two_seconds),
        cmocka_unit_test(test_thread_choice__never_the_same_rows__stays_in_range),
        cmocka_unit_test(test_thread_choice__steps_without_time__change_nothing),
    };

    return cmocka_run_group_tests_name("thread_choice", tests, NULL, NULL);
}
