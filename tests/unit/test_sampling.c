/* Sampling: llama.cpp's meaning of each option, on distributions whose outcome is known. */
#include "local/logit_scan.h"
#include "local/sampling.h"
#include "sampling_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { N = 1000 };

static struct sampling_options plain(void)
{
    return (struct sampling_options){.temperature = 1,
                                     .top_p = 1,
                                     .repetition_penalty = 1,
                                     .penalty_last_n = 64,
                                     .seed = 7,
                                     .n_vocab = N};
}

static struct sampler *make(struct sampling_options o, const struct sampling_constraint *c)
{
    struct sampler *s = NULL;
    inf_error err;

    assert_int_equal(sampler_create(&s, &o, c, &err), INF_OK);
    return s;
}

/* Counts what `draws` samples give. */
static void count(struct sampler *s, const float *logits, int draws, int *counts)
{
    memset(counts, 0, N * sizeof *counts);
    for (int i = 0; i < draws; i++) {
        int32_t token = sampler_sample(s, logits);

        assert_in_range(token, 0, N - 1);
        counts[token]++;
    }
}

/* All others far below. */
static void fill(float *logits, float low)
{
    for (int i = 0; i < N; i++)
        logits[i] = low;
}

static void test_greedy__takes_the_largest__first_of_equals(void **state)
{
    struct sampling_options o = plain();
    struct sampler *s = NULL;
    float x[N];

    (void)state;
    o.temperature = 0;
    s = make(o, NULL);
    for (int at = 0; at < N; at += 37) {
        fill(x, -1);
        x[at] = 3;
        if (at + 300 < N)
            x[at + 300] = 3;
        assert_int_equal(sampler_sample(s, x), at);
    }
    sampler_free(s);
}

static void test_logits_not_finite__are_noticed_wherever_they_are(void **state)
{
    struct sampling_options o = plain();
    const float bad[] = {NAN, INFINITY, -NAN};
    float x[N];

    (void)state;
    for (int greedy = 0; greedy < 2; greedy++) {
        for (int penalties = 0; penalties < 2; penalties++) {
            struct sampler *s = NULL;

            o.temperature = greedy ? 0 : 1;
            o.repetition_penalty = penalties ? 1.5f : 1;
            s = make(o, NULL);
            for (int i = 0; i < 3 * N; i++) {
                fill(x, 0);
                x[i % N] = bad[i / N];
                assert_int_equal(sampler_sample(s, x), SAMPLER_NOT_FINITE);
                assert_false(logits_are_usable(x, N));
            }
            fill(x, -INFINITY);
            assert_int_equal(sampler_sample(s, x), SAMPLER_NOT_FINITE);
            x[5] = 1;
            assert_int_equal(sampler_sample(s, x), 5);
            assert_true(logits_are_usable(x, N));
            sampler_free(s);
        }
    }
}

static void test_draws__follow_the_probabilities(void **state)
{
    struct sampler *s = make(plain(), NULL);
    float x[N];
    int counts[N];

    (void)state;
    fill(x, -INFINITY);
    x[10] = logf(0.5f);
    x[500] = logf(0.3f);
    x[999] = logf(0.2f);
    count(s, x, 20000, counts);
    assert_in_range(counts[10], 9700, 10300);
    assert_in_range(counts[500], 5700, 6300);
    assert_in_range(counts[999], 3700, 4300);
    sampler_free(s);
}

static void test_temperature__sharpens_and_flattens(void **state)
{
    struct sampling_options o = plain();
    float x[N];
    int counts[N];
    struct sampler *s = NULL;

    (void)state;
    fill(x, -INFINITY);
    x[1] = logf(0.8f);
    x[2] = logf(0.2f);
    o.temperature = 0.5f; /* 16 : 1 */
    s = make(o, NULL);
    count(s, x, 17000, counts);
    assert_in_range(counts[2], 850, 1150);
    sampler_free(s);
    o.temperature = 2; /* 2 : 1 */
    s = make(o, NULL);
    count(s, x, 15000, counts);
    assert_in_range(counts[2], 4750, 5250);
    sampler_free(s);
}

static void test_top_k__leaves_the_k_largest(void **state)
{
    struct sampling_options o = plain();
    float x[N];
    int counts[N];
    struct sampler *s = NULL;

    (void)state;
    o.top_k = 3;
    s = make(o, NULL);
    for (int i = 0; i < N; i++)
        x[i] = (float)(i % 100) / 1000;
    x[7] = 1;
    x[300] = 1;
    x[998] = 1;
    count(s, x, 3000, counts);
    assert_int_equal(counts[7] + counts[300] + counts[998], 3000);
    assert_true(counts[7] > 850 && counts[300] > 850 && counts[998] > 850);
    sampler_free(s);
}

static void test_top_p__leaves_the_fewest_that_cover_p(void **state)
{
    struct sampling_options o = plain();
    float x[N];
    int counts[N];

    (void)state;
    fill(x, -INFINITY);
    x[1] = logf(0.5f);
    x[2] = logf(0.3f);
    x[3] = logf(0.15f);
    x[4] = logf(0.05f);
    for (int k = 0; k <= 3; k += 3) { /* from all, and from the top three */
        struct sampler *s = NULL;

        o.top_k = k ? 4 : 0;
        o.top_p = 0.75f;
        s = make(o, NULL);
        count(s, x, 2000, counts);
        assert_int_equal(counts[1] + counts[2], 2000);
        assert_in_range(counts[1], 1150, 1350); /* 5 : 3 */
        sampler_free(s);
        o.top_p = 0.01f;
        s = make(o, NULL);
        count(s, x, 100, counts);
        assert_int_equal(counts[1], 100);
        sampler_free(s);
    }
}

static void test_top_p__of_a_flat_distribution__covers_its_share(void **state)
{
    struct sampling_options o = plain();
    float x[N];
    int counts[N];
    int different = 0;
    struct sampler *s = NULL;

    (void)state;
    o.top_p = 0.5f;
    s = make(o, NULL);
    for (int i = 0; i < N; i++)
        x[i] = -(float)i * 1e-6f;
    count(s, x, 20000, counts);
    for (int i = 0; i < N; i++) {
        different += counts[i] > 0;
        assert_true(i <= 501 || counts[i] == 0);
    }
    assert_in_range(different, 490, 502);
    sampler_free(s);
}

static void test_min_p__leaves_what_is_near_the_best(void **state)
{
    struct sampling_options o = plain();
    float x[N];
    int counts[N];

    (void)state;
    fill(x, -INFINITY);
    x[1] = logf(0.6f);
    x[2] = logf(0.36f);
    x[3] = logf(0.04f);
    o.min_p = 0.1f;
    for (int k = 0; k < 2; k++) {
        struct sampler *s = NULL;

        o.top_k = k ? 10 : 0;
        s = make(o, NULL);
        count(s, x, 3000, counts);
        assert_int_equal(counts[3], 0);
        assert_in_range(counts[1], 1750, 2000); /* 5 : 3 */
        sampler_free(s);
    }
}

static void test_repetition_penalty__divides_positive_and_multiplies_negative_logits(void **state)
{
    struct sampling_options o = plain();
    float x[N];
    struct sampler *s = NULL;

    (void)state;
    o.temperature = 0;
    o.repetition_penalty = 2;
    s = make(o, NULL);
    fill(x, -10);
    x[1] = 3;
    x[2] = 1.6f;
    assert_true(sampler_accept(s, 1, false)); /* 3 / 2 is less than 1.6 */
    assert_int_equal(sampler_sample(s, x), 2);
    fill(x, -10);
    x[1] = -1;
    x[2] = -1.9f; /* above -1 * 2 */
    assert_int_equal(sampler_sample(s, x), 2);
    sampler_free(s);
}

static void test_penalties__look_back_as_far_as_they_should(void **state)
{
    struct sampling_options o = plain();
    float x[N];

    (void)state;
    o.temperature = 0;
    o.presence_penalty = 2;
    for (int window = -1; window <= 64; window += 65) {
        struct sampler *s = NULL;

        o.penalty_last_n = window;
        s = make(o, NULL);
        fill(x, -10);
        x[1] = 3;
        x[2] = 2;
        assert_true(sampler_accept(s, 1, false));
        for (int i = 0; i < 63; i++)
            assert_true(sampler_accept(s, 900, false));
        assert_int_equal(sampler_sample(s, x), 2); /* the 64th from the end */
        assert_true(sampler_accept(s, 901, true));
        assert_int_equal(sampler_sample(s, x), window < 0 ? 2 : 1);
        for (int i = 0; i < 1000; i++)
            assert_true(sampler_accept(s, 900, true));
        assert_int_equal(sampler_sample(s, x), window < 0 ? 2 : 1);
        sampler_free(s);
    }
}

static void test_frequency_penalty__grows_with_the_count(void **state)
{
    struct sampling_options o = plain();
    float x[N];
    struct sampler *s = NULL;

    (void)state;
    o.temperature = 0;
    o.frequency_penalty = 0.5f;
    s = make(o, NULL);
    fill(x, -10);
    x[1] = 3;
    x[2] = 2.2f;
    assert_true(sampler_accept(s, 1, true));
    assert_int_equal(sampler_sample(s, x), 1);
    assert_true(sampler_accept(s, 1, true));
    assert_int_equal(sampler_sample(s, x), 2);
    sampler_free(s);
}

static void test_extreme_penalty__fails_no_sound_row(void **state)
{
    struct sampling_options o = plain();
    float x[N];
    struct sampler *s = NULL;

    (void)state;
    o.repetition_penalty = 1e-40f;
    s = make(o, NULL);
    fill(x, 1);
    assert_true(sampler_accept(s, 3, true));
    assert_int_equal(sampler_sample(s, x), 3);
    sampler_free(s);
}

static void test_seed__decides_the_draws(void **state)
{
    struct sampling_options o = plain();
    struct sampler *a = make(o, NULL);
    struct sampler *b = make(o, NULL);
    struct sampler *c = NULL;
    float x[N];
    int same = 0;

    (void)state;
    o.seed++;
    c = make(o, NULL);
    fill(x, 0);
    for (int i = 0; i < 200; i++) {
        int32_t token = sampler_sample(a, x);

        assert_int_equal(token, sampler_sample(b, x));
        same += token == sampler_sample(c, x);
    }
    assert_true(same < 20);
    sampler_free(a);
    sampler_free(b);
    sampler_free(c);
}

/* ------------------------------------------------------------------ constraints */

struct multiples { /* allows multiples of `of`; 0: nothing */
    int32_t of;
    int accepted, masked, destroyed;
};

static bool allows(void *state, int32_t token)
{
    struct multiples *m = state;

    return m->of && token % m->of == 0;
}

static void apply(void *state, float *logits, int32_t n)
{
    ((struct multiples *)state)->masked++;
    for (int32_t i = 0; i < n; i++)
        if (!allows(state, i))
            logits[i] = -INFINITY;
}

static bool accept(void *state, int32_t token)
{
    assert_true(allows(state, token));
    ((struct multiples *)state)->accepted++;
    return true;
}

static void destroy(void *state)
{
    ((struct multiples *)state)->destroyed++;
}

static void test_constraint__only_allowed_tokens_come(void **state)
{
    struct multiples m = {.of = 10};
    struct sampling_constraint c = {&m, apply, allows, accept, destroy, NULL, NULL};
    struct sampler *s = make(plain(), &c);
    float x[N];

    (void)state;
    fill(x, 0);
    for (int i = 0; i < 200; i++) {
        int32_t token = sampler_sample(s, x);

        assert_int_equal(token % 10, 0);
        assert_true(sampler_accept(s, token, true));
    }
    assert_int_equal(m.accepted, 200);
    assert_true(m.masked > 100 && m.masked <= 200); /* not when the free choice is allowed */
    sampler_free(s);
    assert_int_equal(m.destroyed, 1);
}

static void test_constraint__that_allows_nothing__is_told_apart_from_a_failed_row(void **state)
{
    struct multiples m = {.of = 0};
    struct sampling_constraint c = {&m, apply, allows, accept, destroy, NULL, NULL};
    struct sampler *s = make(plain(), &c);
    float x[N];

    (void)state;
    fill(x, 0);
    assert_int_equal(sampler_sample(s, x), SAMPLER_NO_CHOICE);
    x[0] = NAN;
    assert_int_equal(sampler_sample(s, x), SAMPLER_NOT_FINITE);
    sampler_free(s);
}

/* ------------------------------------------------------------------ log-probabilities */

/* ------------------------------------------------------------------ transformers' order */

static struct sampling_options as_transformers(void)
{
    struct sampling_options o = plain();

    o.order = SAMPLING_AS_TRANSFORMERS;
    o.penalty_last_n = -1;
    return o;
}

static void test_transformers__top_p__of_shares_at_the_temperature(void **state)
{
    struct sampling_options o = as_transformers();
    struct sampler *s = NULL;
    float x[N];
    int counts[N];

    (void)state;
    fill(x, -INFINITY);
    x[1] = logf(0.64f);
    x[2] = logf(0.32f); /* at temperature 2 the shares go as 0.8 : 0.57 : 0.2, 0.51 for the first */
    x[3] = logf(0.04f);
    o.top_p = 0.6f;
    s = make(o, NULL);
    count(s, x, 1000, counts);
    assert_int_equal(counts[1], 1000); /* 0.64 covers it */
    sampler_free(s);
    o.temperature = 2;
    s = make(o, NULL);
    count(s, x, 1000, counts);
    assert_in_range(counts[2], 300, 530);
    assert_int_equal(counts[3], 0);
    sampler_free(s);
    o.top_k = 50; /* the same after a top-k that keeps all */
    s = make(o, NULL);
    count(s, x, 1000, counts);
    assert_in_range(counts[2], 300, 530);
    assert_int_equal(counts[3], 0);
    sampler_free(s);
}

static void test_transformers__min_p__of_shares_at_the_temperature(void **state)
{
    struct sampling_options o = as_transformers();
    struct sampler *s = NULL;
    float x[N];
    int counts[N];

    (void)state;
    fill(x, -INFINITY);
    x[1] = logf(0.9f);
    x[2] = logf(0.1f); /* a third of the best at temperature 2, a ninth at 1 */
    o.min_p = 0.2f;
    s = make(o, NULL);
    count(s, x, 1000, counts);
    assert_int_equal(counts[1], 1000);
    sampler_free(s);
    o.temperature = 2;
    s = make(o, NULL);
    count(s, x, 1000, counts);
    assert_in_range(counts[2], 180, 320);
    sampler_free(s);
}

static void test_transformers__ties__all_kept_by_top_k_the_higher_ids_by_top_p(void **state)
{
    struct sampling_options o = as_transformers();
    struct sampler *s = NULL;
    float x[N];
    int counts[N];

    (void)state;
    fill(x, -5);
    x[5] = 2;
    x[7] = x[300] = x[999] = 1;
    o.top_k = 2;
    s = make(o, NULL);
    count(s, x, 2000, counts);
    assert_true(counts[7] > 100 && counts[300] > 100 && counts[999] > 100);
    assert_int_equal(counts[5] + counts[7] + counts[300] + counts[999], 2000);
    sampler_free(s);
    fill(x, -INFINITY);
    x[1] = x[2] = x[3] = 1;
    o.top_k = 0;
    o.top_p = 0.6f;
    s = make(o, NULL);
    count(s, x, 2000, counts);
    assert_int_equal(counts[1], 0);
    assert_true(counts[2] > 800 && counts[3] > 800);
    sampler_free(s);
}

enum { FEW = 100 };

/* Temperature, top-p and min-p as their definitions read, over all tokens. */
static void expect(double *share, const float *x, const struct sampling_options *o)
{
    double sum = 0;
    double covered = 0;

    for (int i = 0; i < FEW; i++)
        sum += share[i] = exp((double)x[i] / (double)o->temperature);
    for (int i = 0; i < FEW; i++) { /* x falls, so that the first are the best */
        bool kept = covered < (double)o->top_p * sum && share[i] >= (double)o->min_p * share[0];

        covered += share[i];
        share[i] = kept ? share[i] : 0;
    }
    sum = 0;
    for (int i = 0; i < FEW; i++)
        sum += share[i];
    for (int i = 0; i < FEW; i++)
        share[i] /= sum;
}

static void test_transformers__draws__follow_a_plain_computation(void **state)
{
    struct sampling_options o = as_transformers();
    struct sampler *s = NULL;
    double share[FEW];
    float x[FEW];
    int counts[N];

    (void)state;
    for (int i = 0; i < FEW; i++)
        x[i] = -0.05f * (float)i;
    o.n_vocab = FEW;
    o.temperature = 1.7f;
    o.top_p = 0.8f;
    o.min_p = 0.3f;
    s = make(o, NULL);
    count(s, x, 100000, counts);
    expect(share, x, &o);
    for (int i = 0; i < FEW; i++) {
        double wanted = share[i] * 100000;

        assert_true(fabs(counts[i] - wanted) <= 5 * sqrt(wanted + 1));
        assert_int_equal(counts[i] > 0, share[i] > 0);
    }
    sampler_free(s);
}

/* As scripts/make_sampling_cases.py has them. */
static void case_logits(float *x, uint32_t number)
{
    uint32_t random = 1000 + number;

    for (int i = 0; i < CASE_TOKENS; i++) {
        random = random * 1664525u + 1013904223u;
        x[i] = (float)((int32_t)((random >> 8) % 12000000) - 6000000) / 1048576.0f;
    }
}

static struct sampler *make_case(const struct sampling_case *c, uint64_t seed)
{
    struct sampling_options o = as_transformers();
    struct sampler *s = NULL;

    o.n_vocab = CASE_TOKENS;
    o.seed = seed;
    o.temperature = c->temperature;
    o.top_k = c->top_k;
    o.top_p = c->top_p;
    o.min_p = c->min_p;
    o.repetition_penalty = c->penalty;
    o.penalty_last_n = -1;
    s = make(o, NULL);
    for (int i = 0; i < c->n_before; i++)
        assert_true(sampler_accept(s, c->before[i], i % 2));
    return s;
}

/* Pearson's sum over the tokens of a case is chi-squared, with as many degrees of freedom but one: that it is
 * above this has a chance of less than one in 10^6. */
static void check_counts(const struct sampling_case *c, const int *counts, double draws)
{
    double sum = 0, freedom = c->n_left - 1, drawn = 0;

    for (int i = 0; i < c->n_left; i++) {
        double wanted = c->left[i].share * draws, off = counts[c->left[i].token] - wanted;

        drawn += counts[c->left[i].token];
        sum += wanted >= 1 ? off * off / wanted : fabs(off) > 20 ? 1e9 : 0;
    }
    assert_true(drawn == draws); /* no other token */
    assert_true(sum <= freedom + 8 * sqrt(2 * freedom) + 20);
}

static void test_transformers__draws__have_the_shares_of_its_own_processors(void **state)
{
    enum { DRAWS = 100000 };

    (void)state;
    for (uint32_t i = 0; i < sizeof sampling_cases / sizeof sampling_cases[0]; i++) {
        struct sampler *s = make_case(&sampling_cases[i], 11 + i);
        float x[CASE_TOKENS];
        int counts[N];

        case_logits(x, i);
        count(s, x, DRAWS, counts);
        check_counts(&sampling_cases[i], counts, DRAWS);
        sampler_free(s);
    }
}

static void test_logprobs__are_those_of_softmax(void **state)
{
    float x[N];
    float logprobs[3];
    int32_t ids[3];

    (void)state;
    fill(x, -INFINITY);
    x[4] = 100 + logf(0.5f);
    x[700] = 100 + logf(0.25f);
    x[30] = 100 + logf(0.25f);
    logits_top_logprobs(x, N, 3, ids, logprobs);
    assert_int_equal(ids[0], 4);
    assert_int_equal(ids[1], 30); /* equal ones by id */
    assert_int_equal(ids[2], 700);
    assert_true(fabsf(logprobs[0] - logf(0.5f)) < 1e-4f);
    assert_true(fabsf(logprobs[2] - logf(0.25f)) < 1e-4f);
    assert_true(fabsf(logits_logprob(x, N, 4) - logf(0.5f)) < 1e-4f);
}

static void test_top__of_all__is_the_sorted_vocabulary(void **state)
{
    float x[N];
    float values[N];
    int32_t ids[N];

    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = (float)((i * 7919) % N);
    logits_top_logprobs(x, N, N, ids, values);
    for (int i = 0; i < N; i++)
        assert_true(x[ids[i]] == (float)(N - 1 - i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy__takes_the_largest__first_of_equals),
        cmocka_unit_test(test_logits_not_finite__are_noticed_wherever_they_are),
        cmocka_unit_test(test_draws__follow_the_probabilities),
        cmocka_unit_test(test_temperature__sharpens_and_flattens),
        cmocka_unit_test(test_top_k__leaves_the_k_largest),
        cmocka_unit_test(test_top_p__leaves_the_fewest_that_cover_p),
        cmocka_unit_test(test_top_p__of_a_flat_distribution__covers_its_share),
        cmocka_unit_test(test_min_p__leaves_what_is_near_the_best),
        cmocka_unit_test(test_repetition_penalty__divides_positive_and_multiplies_negative_logits),
        cmocka_unit_test(test_penalties__look_back_as_far_as_they_should),
        cmocka_unit_test(test_frequency_penalty__grows_with_the_count),
        cmocka_unit_test(test_extreme_penalty__fails_no_sound_row),
        cmocka_unit_test(test_seed__decides_the_draws),
        cmocka_unit_test(test_constraint__only_allowed_tokens_come),
        cmocka_unit_test(test_constraint__that_allows_nothing__is_told_apart_from_a_failed_row),
        cmocka_unit_test(test_transformers__top_p__of_shares_at_the_temperature),
        cmocka_unit_test(test_transformers__min_p__of_shares_at_the_temperature),
        cmocka_unit_test(test_transformers__ties__all_kept_by_top_k_the_higher_ids_by_top_p),
        cmocka_unit_test(test_transformers__draws__follow_a_plain_computation),
        cmocka_unit_test(test_transformers__draws__have_the_shares_of_its_own_processors),
        cmocka_unit_test(test_logprobs__are_those_of_softmax),
        cmocka_unit_test(test_top__of_all__is_the_sorted_vocabulary),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
