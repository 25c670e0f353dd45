/*
 * sampling: options and logits in, a token out.
 *
 * A vocabulary has 50,000 to 260,000 entries and a step a few milliseconds, so that passes over all
 * logits are kept few and simple enough for the compiler to vectorise: one for the check and the
 * maximum of each block, after which only blocks that can hold a candidate are looked into.
 */
#include "local/sampling.h"

#include "core/memory.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ passes over logits */

#define LANES 16
#define BLOCK 256

/* The largest of n values; *bad gets a non-zero bit where one is NaN or +inf. */
static float scan(const float *x, int32_t n, int32_t *bad)
{
    float best[LANES];
    int32_t odd[LANES] = {0};
    int32_t i = 0;

    for (int32_t k = 0; k < LANES; k++)
        best[k] = -INFINITY;
    for (; i + LANES <= n; i += LANES) {
        for (int32_t k = 0; k < LANES; k++) {
            best[k] = x[i + k] > best[k] ? x[i + k] : best[k];
            odd[k] |= !(x[i + k] <= FLT_MAX);
        }
    }
    for (; i < n; i++) {
        best[0] = x[i] > best[0] ? x[i] : best[0];
        odd[0] |= !(x[i] <= FLT_MAX);
    }
    for (int32_t k = 0; k < LANES; k++) {
        best[0] = best[k] > best[0] ? best[k] : best[0];
        *bad |= odd[k];
    }
    return best[0];
}

bool logits_are_usable(const float *logits, int32_t n_vocab)
{
    int32_t bad = 0;

    return scan(logits, n_vocab, &bad) > -INFINITY && bad == 0;
}

static int32_t block_length(int32_t at, int32_t n)
{
    return n - at < BLOCK ? n - at : BLOCK;
}

/* The first largest logit, or SAMPLER_NOT_FINITE. */
static int32_t arg_max(const float *logits, int32_t n)
{
    float best = -INFINITY;
    int32_t block = -1;
    int32_t bad = 0;

    for (int32_t at = 0; at < n; at += BLOCK) {
        float m = scan(logits + at, block_length(at, n), &bad);

        if (m > best) {
            best = m;
            block = at;
        }
    }
    if (bad || block < 0)
        return SAMPLER_NOT_FINITE;
    while (logits[block] != best)
        block++;
    return block;
}

/* The n largest so far as a heap, the least of them on top; of equal ones the higher id is less, or,
 * with high_first, the lower. */
struct top {
    int32_t *ids;
    float *values;
    int32_t n, capacity;
    bool high_first;
};

static bool is_less(const struct top *t, int32_t a, int32_t b)
{
    if (t->values[a] != t->values[b])
        return t->values[a] < t->values[b];
    return (t->ids[a] > t->ids[b]) != t->high_first;
}

static void exchange(struct top *t, int32_t a, int32_t b)
{
    int32_t id = t->ids[a];
    float value = t->values[a];

    t->ids[a] = t->ids[b];
    t->values[a] = t->values[b];
    t->ids[b] = id;
    t->values[b] = value;
}

static void sift_down(struct top *t, int32_t at, int32_t n)
{
    for (;;) {
        int32_t least = at;

        for (int32_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < n && is_less(t, child, least))
                least = child;
        if (least == at)
            return;
        exchange(t, at, least);
        at = least;
    }
}

static void sift_up(struct top *t, int32_t at)
{
    while (at > 0 && is_less(t, at, (at - 1) / 2)) {
        exchange(t, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void top_add(struct top *t, int32_t id, float value)
{
    if (t->n < t->capacity) {
        t->ids[t->n] = id;
        t->values[t->n] = value;
        sift_up(t, t->n++);
    } else if (value > t->values[0] || (t->high_first && value >= t->values[0])) {
        t->ids[0] = id;
        t->values[0] = value;
        sift_down(t, 0, t->n);
    }
}

/* Fills an empty `top` from logits, which are usable, and sorts it, largest first. */
static void top_select(struct top *t, const float *logits, int32_t n)
{
    int32_t bad = 0;

    for (int32_t at = 0; at < n; at += BLOCK) {
        int32_t length = block_length(at, n);

        if (t->n == t->capacity &&
            !(scan(logits + at, length, &bad) >
              (t->high_first ? nextafterf(t->values[0], -INFINITY) : t->values[0])))
            continue;
        for (int32_t i = at; i < at + length; i++)
            top_add(t, i, logits[i]);
    }
    for (int32_t last = t->n - 1; last > 0; last--) {
        exchange(t, 0, last);
        sift_down(t, 0, last);
    }
}

/* log(sum(exp(scale (x - max)))) + scale max over all. */
static double log_sum_exp_of(const float *logits, int32_t n, float max, float scale)
{
    double sum = 0;

    for (int32_t at = 0; at < n; at += BLOCK) {
        float part = 0;

        for (int32_t i = at; i < at + block_length(at, n); i++)
            part += expf((logits[i] - max) * scale);
        sum += (double)part;
    }
    return log(sum) + (double)max * (double)scale;
}

static double log_sum_exp(const float *logits, int32_t n, float max)
{
    return log_sum_exp_of(logits, n, max, 1);
}

static float largest(const float *logits, int32_t n)
{
    int32_t bad = 0;

    return scan(logits, n, &bad);
}

float logits_logprob(const float *logits, int32_t n_vocab, int32_t token)
{
    return (float)((double)logits[token] - log_sum_exp(logits, n_vocab, largest(logits, n_vocab)));
}

void logits_top(const float *logits, int32_t n_vocab, int32_t n, int32_t *ids, float *logprobs)
{
    struct top t = {.ids = ids, .values = logprobs, .capacity = n};
    double total = 0;

    top_select(&t, logits, n_vocab);
    total = t.n ? log_sum_exp(logits, n_vocab, logprobs[0]) : 0;
    for (int32_t i = 0; i < t.n; i++)
        logprobs[i] = (float)((double)logprobs[i] - total);
}

/* ------------------------------------------------------------------ the generator */

/* xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021),
 * its state filled by splitmix64 as they advise. */
struct generator {
    uint64_t state[4];
};

static void generator_seed(struct generator *g, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9E3779B97F4A7C15u;

        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        g->state[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* Uniform in [0, 1). */
static double generator_next(struct generator *g)
{
    uint64_t *s = g->state;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

/* ------------------------------------------------------------------ the sampler */

struct sampler {
    struct sampling_options options;
    struct sampling_constraint constraint; /* apply NULL: none */
    struct generator generator;

    /* penalties: the tokens looked back at, a ring unless penalty_last_n is -1 */
    int32_t *recent;
    int32_t n_recent, recent_capacity, recent_at;
    int32_t *counts; /* (n_vocab) of the tokens in recent; NULL: no penalties */

    float *adjusted; /* (n_vocab) penalised and constrained logits; made when needed */
    struct top candidates;
    double scale; /* of logits where shares of probability are looked at */
};

static bool has_penalties(const struct sampling_options *o)
{
    return o->penalty_last_n != 0 && (o->repetition_penalty != 1.0f ||
                                      o->frequency_penalty != 0.0f || o->presence_penalty != 0.0f);
}

static bool alloc_penalties(struct sampler *s)
{
    int32_t n = s->options.penalty_last_n;

    s->recent_capacity = n > 0 ? n : 256;
    s->recent = mem_alloc((size_t)s->recent_capacity * sizeof *s->recent);
    s->counts = mem_calloc((size_t)s->options.n_vocab, sizeof *s->counts);
    return s->recent && s->counts;
}

static bool alloc_candidates(struct sampler *s)
{
    int32_t k = s->options.top_k;
    bool ties = s->options.order ==
                SAMPLING_AS_TRANSFORMERS; /* may be as many as there are tokens */
    size_t n = (size_t)(k > 0 && k < s->options.n_vocab && !ties ? k : s->options.n_vocab);

    s->candidates.capacity = (int32_t)n;
    s->candidates.ids = mem_alloc(n * sizeof *s->candidates.ids);
    s->candidates.values = mem_alloc(n * sizeof *s->candidates.values);
    return s->candidates.ids && s->candidates.values;
}

int32_t sampler_create(struct sampler **out, const struct sampling_options *options,
                       const struct sampling_constraint *constraint, inf_error *err)
{
    struct sampler *s = mem_calloc(1, sizeof *s);
    bool adjusts = constraint || has_penalties(options);

    *out = NULL;
    if (!s) {
        if (constraint)
            constraint->destroy(constraint->state);
        return error_no_memory(err);
    }
    s->options = *options;
    s->candidates.high_first = options->order == SAMPLING_AS_TRANSFORMERS;
    s->scale = options->order == SAMPLING_AS_TRANSFORMERS && options->temperature > 0
                   ? 1 / (double)options->temperature
                   : 1;
    if (constraint)
        s->constraint = *constraint;
    generator_seed(&s->generator, options->seed);
    if (adjusts)
        s->adjusted = mem_alloc((size_t)options->n_vocab * sizeof *s->adjusted);
    if ((adjusts && !s->adjusted) || (has_penalties(options) && !alloc_penalties(s)) ||
        (options->temperature > 0 && !alloc_candidates(s))) {
        sampler_free(s);
        return error_no_memory(err);
    }
    *out = s;
    return INF_OK;
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    if (s->constraint.destroy)
        s->constraint.destroy(s->constraint.state);
    mem_free(s->recent);
    mem_free(s->counts);
    mem_free(s->adjusted);
    mem_free(s->candidates.ids);
    mem_free(s->candidates.values);
    mem_free(s);
}

/* ------------------------------------------------------------------ penalties */

static bool make_room(struct sampler *s)
{
    int32_t capacity = s->recent_capacity * 2;
    int32_t *recent = NULL;

    if (s->options.penalty_last_n > 0 || s->n_recent < s->recent_capacity)
        return true;
    recent = mem_realloc(s->recent, (size_t)capacity * sizeof *recent);
    if (!recent)
        return false;
    s->recent = recent;
    s->recent_capacity = capacity;
    s->recent_at = s->n_recent;
    return true;
}

static bool remember(struct sampler *s, int32_t token)
{
    if (!make_room(s))
        return false;
    if (s->n_recent == s->recent_capacity)
        s->counts[s->recent[s->recent_at]]--;
    else
        s->n_recent++;
    s->recent[s->recent_at] = token;
    s->recent_at = (s->recent_at + 1) % s->recent_capacity;
    s->counts[token]++;
    return true;
}

bool sampler_accept(struct sampler *s, int32_t token, bool generated)
{
    if (generated && s->constraint.accept && !s->constraint.accept(s->constraint.state, token))
        return false;
    return !s->counts || remember(s, token);
}

bool sampler_is_complete(const struct sampler *s)
{
    return s->constraint.complete && s->constraint.complete(s->constraint.state);
}

static float penalised(const struct sampling_options *o, float logit, int32_t count)
{
    float value = logit <= 0 ? logit * o->repetition_penalty : logit / o->repetition_penalty;

    value -= (float)count * o->frequency_penalty + o->presence_penalty;
    /* An extreme penalty of a sound logit is a choice, not a failure. */
    return value > FLT_MAX ? FLT_MAX : value < -FLT_MAX && logit >= -FLT_MAX ? -FLT_MAX : value;
}

/* Each token once, however often it is in `recent`: a count done is negative until the second
 * loop. */
static void penalise(struct sampler *s, float *logits)
{
    for (int32_t i = 0; i < s->n_recent; i++) {
        int32_t token = s->recent[i];

        if (s->counts[token] > 0) {
            logits[token] = penalised(&s->options, logits[token], s->counts[token]);
            s->counts[token] = -s->counts[token];
        }
    }
    for (int32_t i = 0; i < s->n_recent; i++) {
        int32_t *count = &s->counts[s->recent[i]];

        *count = *count < 0 ? -*count : *count;
    }
}

/* ------------------------------------------------------------------ the choice */

/* Grows the sorted candidates until they cover `share` of all probability (total: the logarithm
 * of the sum of exponentials). Few are needed but for flat distributions. */
static void select_nucleus(struct sampler *s, const float *logits, double total, double share)
{
    struct top *c = &s->candidates;
    int32_t capacity = c->capacity;
    double covered = 0;

    for (int32_t n = 128; covered < share; n *= 16) {
        c->n = 0;
        c->capacity = n < capacity / 16 ? n : capacity;
        top_select(c, logits, s->options.n_vocab);
        covered = 0;
        for (int32_t i = 0; i < c->n; i++)
            covered += exp((double)c->values[i] * s->scale - total);
        if (c->capacity == capacity)
            break;
    }
    c->capacity = capacity;
}

/* The least logit that min_p leaves, where the best is `max`. */
static float least_of(const struct sampler *s, float max)
{
    return s->options.min_p > 0 ? max + logf(s->options.min_p) / (float)s->scale : -FLT_MAX;
}

/* Tokens not less probable than min_p of the best, unsorted. */
static void select_above(struct sampler *s, const float *logits, float max)
{
    struct top *c = &s->candidates;
    float least = least_of(s, max);

    c->n = 0;
    for (int32_t i = 0; i < s->options.n_vocab; i++) {
        if (logits[i] >= least) {
            c->ids[c->n] = i;
            c->values[c->n++] = logits[i];
        }
    }
}

/* How many of the sorted candidates top-p and min-p leave, at least one. */
static int32_t count_kept(const struct sampler *s, double total)
{
    const struct sampling_options *o = &s->options;
    const struct top *c = &s->candidates;
    float least = least_of(s, c->values[0]);
    double covered = 0;
    int32_t n = 0;

    while (n < c->n && c->values[n] >= least && (o->top_p >= 1 || covered < (double)o->top_p)) {
        covered += exp((double)c->values[n] * s->scale - total);
        n++;
    }
    return n ? n : 1;
}

/* Sorted, the k best; where ties count, all that equal the last of them too. */
static void select_top_k(struct sampler *s, const float *logits)
{
    struct top *c = &s->candidates;
    int32_t capacity = c->capacity;
    float last = 0;
    int32_t n = 0;

    c->n = 0;
    c->capacity = s->options.top_k;
    top_select(c, logits, s->options.n_vocab);
    c->capacity = capacity;
    if (s->options.order != SAMPLING_AS_TRANSFORMERS || c->n == 0)
        return;
    last = c->values[c->n - 1];
    for (n = c->n; n > 0 && c->values[n - 1] <= last; n--)
        ;
    for (int32_t i = s->options.n_vocab - 1; i >= 0; i--) /* the higher ids first */
        if (logits[i] <= last && logits[i] >= last) {
            c->ids[n] = i;
            c->values[n++] = last;
        }
    c->n = n;
}

static void select_candidates(struct sampler *s, const float *logits, float max)
{
    const struct sampling_options *o = &s->options;
    struct top *c = &s->candidates;
    double total = 0;

    if (o->top_k > 0 && o->top_k < o->n_vocab) {
        select_top_k(s, logits);
        total = o->top_p < 1 ? log_sum_exp_of(c->values, c->n, max, (float)s->scale) : 0;
    } else if (o->top_p < 1) {
        total = log_sum_exp_of(logits, o->n_vocab, max, (float)s->scale);
        select_nucleus(s, logits, total, (double)o->top_p);
    } else {
        select_above(s, logits, max);
        return;
    }
    c->n = count_kept(s, total);
}

/* One of the candidates, by its probability at the temperature. */
static int32_t draw(struct sampler *s, float max)
{
    const struct top *c = &s->candidates;
    double scale = 1.0 / (double)s->options.temperature;
    double sum = 0;
    double left = 0;
    int32_t last = -1;

    for (int32_t i = 0; i < c->n; i++)
        sum += exp(((double)c->values[i] - (double)max) * scale);
    left = generator_next(&s->generator) * sum;
    for (int32_t i = 0; i < c->n; i++) {
        double weight = exp(((double)c->values[i] - (double)max) * scale);

        if (weight > 0)
            last = i;
        left -= weight;
        if (left < 0)
            break;
    }
    return c->ids[last];
}

static int32_t choose(struct sampler *s, const float *logits)
{
    int32_t best = arg_max(logits, s->options.n_vocab);

    if (best < 0 || s->options.temperature <= 0)
        return best;
    select_candidates(s, logits, logits[best]);
    return draw(s, logits[best]);
}

int32_t sampler_sample(struct sampler *s, const float *logits)
{
    const struct sampling_constraint *c = &s->constraint;
    size_t bytes = (size_t)s->options.n_vocab * sizeof *logits;
    const float *x = logits;
    int32_t token = 0;

    if (s->counts) {
        if (!logits_are_usable(logits, s->options.n_vocab))
            return SAMPLER_NOT_FINITE;
        memcpy(s->adjusted, logits, bytes);
        penalise(s, s->adjusted);
        x = s->adjusted;
    }
    token = choose(s, x);
    if (token < 0 || !c->apply || c->allows(c->state, token))
        return token;
    if (x == logits)
        memcpy(s->adjusted, logits, bytes);
    c->apply(c->state, s->adjusted, s->options.n_vocab);
    token = choose(s, s->adjusted);
    return token == SAMPLER_NOT_FINITE ? SAMPLER_NO_CHOICE : token;
}

int32_t sampler_allows_run(const struct sampler *s, const int32_t *tokens, int32_t n)
{
    return s->constraint.allows_run ? s->constraint.allows_run(s->constraint.state, tokens, n) : n;
}
