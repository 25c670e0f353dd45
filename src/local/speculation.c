/*
 * speculation: see the header.
 */
#include "local/speculation.h"

/* Steps of so many tokens are measured; between them the line. */
static const int32_t sizes[SPECULATION_SIZES] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64};

#define FIRST_SLOPE 0.15 /* a token more, before anything was measured */
#define NEWS 0.125       /* what a measurement weighs */
#define NEWS_OF_DRAFTS 0.02
#define KNOWN 16
#define PLAIN_EVERY 64
#define FORGET_EVERY 4096 /* steps: what was measured may have been of another time */
#define FORGET 0.25
/* A gain below this may be none: times are noisy, and where steps of other sizes take turns, llama.cpp makes its graph
 * anew for each. */
#define WORTH 1.15
/* How much longer than without drafts a token may take a sequence. */
#define HELD_UP 1.5
/* A step of more than one token for each takes at most so long, unless it takes less than twice as long as one
 * without. */
#define LONGEST_US 100000
/* Of a draft that is verified in any case. */
#define MOST_ALWAYS 16

static double first_ratio(int32_t size)
{
    return 1 + FIRST_SLOPE * (sizes[size] - 1);
}

void step_costs_init(struct step_costs *c)
{
    *c = (struct step_costs){0};
    for (int32_t i = 0; i < SPECULATION_SIZES; i++)
        c->ratio[i] = first_ratio(i);
}

double step_costs_of(const struct step_costs *c, int32_t n_tokens)
{
    const int32_t last = SPECULATION_SIZES - 1;
    int32_t i = 1;
    double slope = 0;

    while (i < last && sizes[i] < n_tokens)
        i++;
    slope = (c->ratio[i] - c->ratio[i - 1]) / (sizes[i] - sizes[i - 1]);
    return c->ratio[i - 1] + slope * (n_tokens - sizes[i - 1]);
}

static void forget(struct step_costs *c)
{
    for (int32_t i = 1; i < SPECULATION_SIZES; i++) {
        c->ratio[i] += (first_ratio(i) - c->ratio[i]) * FORGET;
        c->known[i] /= 2;
    }
}

/* Between one token and as many as the step had, one after another. */
static double bounded(double ratio, int32_t n_tokens)
{
    return ratio < 1 ? 1 : ratio > n_tokens ? n_tokens : ratio;
}

static int32_t nearest(int32_t n_tokens)
{
    int32_t i = 0;

    while (i + 1 < SPECULATION_SIZES && sizes[i + 1] - n_tokens <= n_tokens - sizes[i])
        i++;
    return i;
}

/* The first measurements are more than a guess. */
static double weight(int32_t known)
{
    return 1.0 / (known + 2) > NEWS ? 1.0 / (known + 2) : NEWS;
}

/* Steps without drafts say how fast the machine is now, the others what more tokens cost; they say that too, a
 * little, once it is known what they cost. */
void step_costs_measured(struct step_costs *c, int32_t n_tokens, bool drafts, int64_t us)
{
    double expected = step_costs_of(c, n_tokens);
    int32_t i = nearest(n_tokens);
    double one = (double)us / expected;

    if (us <= 0 || n_tokens > SPECULATION_MOST)
        return;
    if (c->us <= 0)
        c->us = one;
    else if (i == 0 || c->known[i] >= KNOWN)
        c->us += (one - c->us) * (drafts ? NEWS_OF_DRAFTS : NEWS);
    if (i > 0) {
        c->ratio[i] += (bounded((double)us / c->us, n_tokens) - expected) * weight(c->known[i]);
        c->ratio[i] = bounded(c->ratio[i], sizes[i]);
    }
    c->known[i]++;
    c->since_plain = drafts ? c->since_plain + 1 : 0;
    if (++c->measured % FORGET_EVERY == 0)
        forget(c);
}

/* ------------------------------------------------------------------ the choice */

/* All rows with one token more: what is expected of them. */
static double expect(struct speculation_row *rows, int32_t n, int32_t n_tokens)
{
    double sum = 0;

    for (int32_t i = 0; i < n; i++) {
        struct speculation_row *r = &rows[i];

        if (n_tokens == 1)
            r->reached = r->expected = 1;
        else if (n_tokens - 1 <= r->n_draft) {
            r->reached *= lookup_chance(r->lookup, n_tokens - 2);
            r->expected += r->reached;
        }
        sum += r->expected;
    }
    return sum;
}

static bool holds_up(const struct speculation_row *rows, int32_t n, double slower)
{
    for (int32_t i = 0; i < n; i++)
        if (slower > HELD_UP * rows[i].expected)
            return true;
    return false;
}

static bool is_too_long(const struct step_costs *c, double cost, double slower)
{
    return slower > 2 && cost * c->us > LONGEST_US;
}

/* Now and then a step without drafts says what they are compared with. */
static bool knows_plain(const struct step_costs *c)
{
    return c->us > 0 && c->since_plain < PLAIN_EVERY;
}

static int32_t always(const struct speculation_row *rows, int32_t n)
{
    int32_t most = 1;

    for (int32_t i = 0; i < n; i++)
        if (rows[i].always && rows[i].n_draft >= most)
            most = rows[i].n_draft + 1;
    return most > MOST_ALWAYS + 1 ? MOST_ALWAYS + 1 : most;
}

int32_t speculation_tokens(const struct step_costs *c, struct speculation_row *rows, int32_t n,
                           int32_t most)
{
    double alone = step_costs_of(c, n);
    double best_rate = expect(rows, n, 1) / alone * WORTH;
    int32_t best = 1;
    int32_t least = always(rows, n);

    for (int32_t t = 2; t <= most && knows_plain(c); t++) {
        double sum = expect(rows, n, t);
        double cost = step_costs_of(c, n * t);

        if (sum / cost <= best_rate || holds_up(rows, n, cost / alone) ||
            is_too_long(c, cost, cost / alone))
            continue;
        best_rate = sum / cost;
        best = t;
    }
    least = least > most ? most : least;
    return best > least ? best : least;
}
