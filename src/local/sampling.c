/*
 * sampling: options and logits in, a token out.
 */
#include "local/sampling.h"

#include "core/growing.h"
#include "local/generator.h"
#include "local/logit_scan.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct sampler {
    struct sampling_options options;
    struct sampling_constraint constraint; /* apply NULL: none */
    struct generator generator;

    /* penalties: the tokens looked back at, a ring unless penalty_last_n is -1 */
    int32_t *recent;
    int32_t n_recent, recent_at;
    size_t recent_capacity;
    int32_t *counts; /* (n_vocab) of the tokens in recent; NULL: no penalties */

    float *adjusted; /* (n_vocab) penalised and constrained logits; made when needed */
    struct logits_top candidates;
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
    bool ok = n < 0 || GROW(s->recent, s->recent_capacity, (size_t)n);

    s->counts = mem_calloc((size_t)s->options.n_vocab, sizeof *s->counts);
    return ok && s->counts;
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

static bool remember(struct sampler *s, int32_t token)
{
    int32_t last_n = s->options.penalty_last_n;

    if (last_n < 0 && !GROW(s->recent, s->recent_capacity, (size_t)s->n_recent + 1))
        return false;
    if (s->n_recent == last_n)
        s->counts[s->recent[s->recent_at]]--;
    else
        s->n_recent++;
    s->recent[s->recent_at++] = token;
    if (s->recent_at == last_n)
        s->recent_at = 0;
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
    struct logits_top *c = &s->candidates;
    int32_t capacity = c->capacity;
    double covered = 0;

    for (int32_t n = 128; covered < share; n *= 16) {
        c->n = 0;
        c->capacity = n < capacity / 16 ? n : capacity;
        logits_select(c, logits, s->options.n_vocab);
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
    struct logits_top *c = &s->candidates;
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
    const struct logits_top *c = &s->candidates;
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
    struct logits_top *c = &s->candidates;
    int32_t capacity = c->capacity;
    float last = 0;
    int32_t n = 0;

    c->n = 0;
    c->capacity = s->options.top_k;
    logits_select(c, logits, s->options.n_vocab);
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
    struct logits_top *c = &s->candidates;
    double total = 0;

    if (o->top_k > 0 && o->top_k < o->n_vocab) {
        select_top_k(s, logits);
        total = o->top_p < 1 ? logits_log_sum_exp(c->values, c->n, max, (float)s->scale) : 0;
    } else if (o->top_p < 1) {
        total = logits_log_sum_exp(logits, o->n_vocab, max, (float)s->scale);
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
    const struct logits_top *c = &s->candidates;
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
    int32_t best = logits_arg_max(logits, s->options.n_vocab);

    if (best < 0)
        return SAMPLER_NOT_FINITE;
    if (s->options.temperature <= 0)
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
