/*
 * thread_choice: see the header.
 */
#include "engine/thread_choice.h"

#define MS INT64_C(1000)

#define LOOK_EVERY (100 * MS)
#define VISIT (50 * MS)
#define VISIT_LONGEST (150 * MS) /* of less than two steps */
#define TRIAL_LONGEST (3000 * MS)
#define PAUSE_SHORTEST (1000 * MS)
#define PAUSE_LONGEST (30000 * MS)

/* CPU time of the clock's: below the one a core is shared, above the other it is not. */
#define SHARED 0.85
#define NOT_SHARED 0.95
/* What is won with a challenger must be more than noise. */
#define FASTER 0.95
#define MUCH_FASTER 0.67

void thread_choice_init(struct thread_choice *c, int32_t max)
{
    *c = (struct thread_choice){.max = max, .current = max, .given = 1};
}

int32_t thread_choice_next(const struct thread_choice *c, int32_t n_rows)
{
    bool challengers_turn = c->challenger && c->visit % 2 != 0 && n_rows == c->n_rows;

    if (c->in_turn)
        return 1 + c->turns;
    return challengers_turn ? c->challenger : c->current;
}

static void add(struct step_times *t, const struct step_times *more)
{
    t->wall_us += more->wall_us;
    t->cpu_us += more->cpu_us;
    t->steps += more->steps;
}

/* How much of the time its core was this thread's. */
static double given(const struct step_times *t)
{
    return (double)t->cpu_us / (double)t->wall_us;
}

static double step_of(const struct step_times *t)
{
    return (double)t->wall_us / (double)t->steps;
}

/* ------------------------------------------------------------------ who is tried */

/* Whether n threads, were they given their cores, could be faster than what is in use. The work is not
 * known, only what one thread did of it; of fewer, each may do it in half the time (memory, siblings). */
static bool may_be_faster(const struct thread_choice *c, int32_t n)
{
    return n > 0.5 * c->given * c->current;
}

/* The next number worth a trial, 0 when the round is over. Half first: much is won soon. */
static int32_t next_challenger(struct thread_choice *c)
{
    const int32_t now = c->current;
    const int32_t numbers[] = {now / 2, now - 1, now + 1, now * 2, 1};
    const int32_t n = sizeof numbers / sizeof *numbers;

    if (!c->contended)
        return c->candidate++ == 0 && now < c->max ? c->max : 0;
    while (c->candidate < n) {
        int32_t i = c->candidate++;
        bool seen = numbers[i] < 1 || numbers[i] > c->max || numbers[i] == now;

        for (int32_t k = 0; k < i; k++)
            seen = seen || numbers[k] == numbers[i];
        if (!seen && may_be_faster(c, numbers[i]))
            return numbers[i];
    }
    return 0;
}

/* A new round begins at once, unless the last one has only just ended. */
static void hurry(struct thread_choice *c)
{
    int64_t waited = c->pause_us - c->left_us;

    c->candidate = 0;
    c->left_us = waited < PAUSE_SHORTEST && c->pause_us ? PAUSE_SHORTEST - waited : 0;
    c->pause_us = c->left_us ? PAUSE_SHORTEST : 0;
}

static void end_round(struct thread_choice *c)
{
    int64_t longer = c->pause_us * 2;

    c->candidate = 0;
    c->pause_us = longer < PAUSE_SHORTEST  ? PAUSE_SHORTEST
                  : longer > PAUSE_LONGEST ? PAUSE_LONGEST
                                           : longer;
    c->left_us = c->pause_us;
}

static void begin_trial(struct thread_choice *c, int32_t n_rows)
{
    c->challenger = next_challenger(c);
    if (!c->challenger) {
        end_round(c);
        return;
    }
    c->n_rows = n_rows;
    c->trial_us = 0;
    c->visit = 0;
    c->turn = c->tried[0] = c->tried[1] = (struct step_times){0};
}

/* ------------------------------------------------------------------ the trial */

static void end_trial(struct thread_choice *c, bool won)
{
    if (won) {
        c->current = c->challenger;
        c->candidate = 0; /* from here on, perhaps further */
        c->pause_us = 0;
        c->recent = (struct step_times){0};
    }
    c->challenger = 0;
}

/* Against `current`; a machine on which all threads have their cores is idle again: then no noise may
 * keep some of them away. */
static bool is_better(const struct thread_choice *c, double ratio)
{
    return ratio < FASTER ||
           (!c->contended && ratio < 1 / FASTER && given(&c->tried[1]) >= NOT_SHARED);
}

static void end_visit(struct thread_choice *c)
{
    double ratio = 0;

    add(&c->tried[c->visit % 2], &c->turn);
    c->turn = (struct step_times){0};
    c->visit++;
    if (c->visit % 2 != 0)
        return;
    ratio = step_of(&c->tried[1]) / step_of(&c->tried[0]);
    if (c->visit == 4 || ratio < MUCH_FASTER || ratio > 1 / MUCH_FASTER)
        end_trial(c, is_better(c, ratio));
}

static void count_in_trial(struct thread_choice *c, int32_t n_rows, const struct step_times *step)
{
    c->trial_us += step->wall_us;
    if (n_rows == c->n_rows) {
        add(&c->turn, step);
        if (c->turn.wall_us >= (c->turn.steps < 2 ? VISIT_LONGEST : VISIT))
            end_visit(c);
    } else if (c->trial_us > TRIAL_LONGEST) {
        end_trial(c, false);
    }
}

/* ------------------------------------------------------------------ whether to try */

static void look(struct thread_choice *c)
{
    bool contended = false;

    c->given = given(&c->recent);
    contended = c->given < (c->contended ? NOT_SHARED : SHARED);
    c->recent = (struct step_times){0};
    if (contended != c->contended) {
        c->contended = contended;
        hurry(c);
    }
}

void thread_choice_done(struct thread_choice *c, int32_t n_rows, int64_t wall_us, int64_t cpu_us)
{
    const struct step_times step = {wall_us, cpu_us, 1};

    if (c->max == 1)
        return;
    if (c->in_turn) {
        c->turns = (c->turns + 1) % c->max;
        return;
    }
    if (c->challenger) {
        count_in_trial(c, n_rows, &step);
        return;
    }
    add(&c->recent, &step);
    if (c->recent.wall_us >= LOOK_EVERY)
        look(c);
    c->left_us = c->left_us > wall_us ? c->left_us - wall_us : 0;
    if (c->left_us == 0 && (c->contended || c->current < c->max))
        begin_trial(c, n_rows);
}
