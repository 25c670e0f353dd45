/* logit_scan: see the header. */
#include "local/logit_scan.h"

#include <float.h>
#include <math.h>

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

int32_t logits_arg_max(const float *logits, int32_t n)
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
        return -1;
    while (logits[block] != best)
        block++;
    return block;
}

static bool is_less(const struct logits_top *t, int32_t a, int32_t b)
{
    if (t->values[a] != t->values[b])
        return t->values[a] < t->values[b];
    return (t->ids[a] > t->ids[b]) != t->high_first;
}

static void exchange(struct logits_top *t, int32_t a, int32_t b)
{
    int32_t id = t->ids[a];
    float value = t->values[a];

    t->ids[a] = t->ids[b];
    t->values[a] = t->values[b];
    t->ids[b] = id;
    t->values[b] = value;
}

static void sift_down(struct logits_top *t, int32_t at, int32_t n)
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

static void sift_up(struct logits_top *t, int32_t at)
{
    while (at > 0 && is_less(t, at, (at - 1) / 2)) {
        exchange(t, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void top_add(struct logits_top *t, int32_t id, float value)
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

void logits_select(struct logits_top *t, const float *logits, int32_t n)
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

double logits_log_sum_exp(const float *logits, int32_t n, float max, float scale)
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

static float largest(const float *logits, int32_t n)
{
    int32_t bad = 0;

    return scan(logits, n, &bad);
}

float logits_logprob(const float *logits, int32_t n_vocab, int32_t token)
{
    return (float)((double)logits[token] -
                   logits_log_sum_exp(logits, n_vocab, largest(logits, n_vocab), 1));
}

void logits_top_logprobs(const float *logits, int32_t n_vocab, int32_t n, int32_t *ids,
                         float *logprobs)
{
    struct logits_top t = {.ids = ids, .values = logprobs, .capacity = n};
    double total = 0;

    logits_select(&t, logits, n_vocab);
    total = t.n ? logits_log_sum_exp(logits, n_vocab, logprobs[0], 1) : 0;
    for (int32_t i = 0; i < t.n; i++)
        logprobs[i] = (float)((double)logprobs[i] - total);
}
