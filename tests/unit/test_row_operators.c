/*
 * Our matmuls and attention in ggml's graphs: what they compute is what ggml computes, up to rounding,
 * for every type of weights, matrices in four dimensions and both numbers of threads; and a row's bits
 * are the same whoever is beside it and however many threads there are.
 */
#include "core/cpu_features.h"
#include "core/numbers.h"
#include "engine/cpu_operators.h"
#include "engine/row_operators.h"

#include <ggml-cpu.h>
#include <ggml.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const enum ggml_type types[] = {
    GGML_TYPE_F32,  GGML_TYPE_F16,  GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0,
    GGML_TYPE_Q4_1, GGML_TYPE_Q5_0, GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K};
enum { N_TYPES = sizeof types / sizeof *types };

static struct ggml_threadpool *ours, *exactly, *theirs;

static float wave(int i)
{
    return sinf((float)i * 0.37f) + cosf((float)(i % 1013) * 1.7f) / 2;
}

static void fill(struct ggml_tensor *t, int from)
{
    int64_t n = ggml_nelements(t);
    float *values = malloc(sizeof(float) * (size_t)n);

    for (int64_t i = 0; i < n; i++)
        values[i] = wave((int)i + from);
    if (t->type == GGML_TYPE_F32)
        memcpy(t->data, values, sizeof(float) * (size_t)n);
    else
        ggml_quantize_chunk(t->type, values, t->data, 0, ggml_nrows(t), t->ne[0], NULL);
    free(values);
}

static struct ggml_context *make_context(void)
{
    return ggml_init((struct ggml_init_params){.mem_size = 64 << 20});
}

/* The result of a node, by so many threads of a pool; of the caller's. */
static float *run(struct ggml_context *ggml, struct ggml_tensor *node, struct ggml_threadpool *pool,
                  int n_threads)
{
    struct ggml_cgraph *graph = ggml_new_graph(ggml);
    struct ggml_cplan plan;
    float *out = malloc(ggml_nbytes(node));

    ggml_build_forward_expand(graph, node);
    plan = ggml_graph_plan(graph, n_threads, pool);
    plan.work_data = malloc(plan.work_size + 1);
    assert_int_equal(ggml_graph_compute(graph, &plan), GGML_STATUS_SUCCESS);
    memcpy(out, node->data, ggml_nbytes(node));
    free(plan.work_data);
    return out;
}

static double distance(const float *a, const float *b, int64_t n)
{
    double difference = 0;
    double size = 0;

    for (int64_t i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    return sqrt(difference / size);
}

/* By one and by two threads. */
static float *run_ours(struct ggml_context *ggml, struct ggml_tensor *node)
{
    float *one = run(ggml, node, ours, 1);
    float *two = run(ggml, node, ours, 2);

    assert_memory_equal(one, two, ggml_nbytes(node));
    free(two);
    return one;
}

static void check_node(struct ggml_context *ggml, struct ggml_tensor *node, double tolerance)
{
    float *mine = run_ours(ggml, node);
    float *other = run(ggml, node, theirs, 2);
    double d = distance(mine, other, ggml_nelements(node));

    if (!(d < tolerance))
        fail_msg("%g from ggml's, %d x %d", d, (int)node->ne[0], (int)node->ne[1]);
    /* To the last bit it is not ggml's: ours has computed it. */
    assert_int_not_equal(memcmp(mine, other, ggml_nbytes(node)), 0);
    free(mine);
    free(other);
}

/* ------------------------------------------------------------------ matmuls */

static void test_matmul__of_every_type__is_ggmls(void **state)
{
    static const int rows[] = {1, 2, 5, 16, 65, 130};

    (void)state;
    for (int t = 0; t < N_TYPES; t++) {
        struct ggml_context *ggml = make_context();
        struct ggml_tensor *w = ggml_new_tensor_2d(ggml, types[t], 512, 77);

        fill(w, 0);
        for (int i = 0; i < 6; i++) {
            struct ggml_tensor *x = ggml_new_tensor_2d(ggml, GGML_TYPE_F32, 512, rows[i]);

            fill(x, 17);
            check_node(ggml, ggml_mul_mat(ggml, w, x), 0.02);
        }
        ggml_free(ggml);
    }
}

static void test_matmul__in_four_dimensions__is_ggmls(void **state)
{
    (void)state;
    for (int t = 0; t < N_TYPES; t++) {
        struct ggml_context *ggml = make_context();
        struct ggml_tensor *w = ggml_new_tensor_4d(ggml, types[t], 256, 33, 2, 2);
        struct ggml_tensor *x = ggml_new_tensor_4d(ggml, GGML_TYPE_F32, 256, 6, 5, 4);

        fill(w, 0);
        fill(x, 5);
        /* Rows that lie apart, in an order of their own; three heads share weights. */
        x = ggml_permute(ggml, x, 0, 2, 1, 3);
        check_node(ggml, ggml_mul_mat(ggml, w, x), 0.02);
        ggml_free(ggml);
    }
}

static void test_matmul__a_row__has_its_bits_alone(void **state)
{
    (void)state;
    for (int t = 0; t < N_TYPES; t++) {
        struct ggml_context *ggml = make_context();
        struct ggml_tensor *w = ggml_new_tensor_2d(ggml, types[t], 768, 200);
        struct ggml_tensor *x = ggml_new_tensor_2d(ggml, GGML_TYPE_F32, 768, 70);
        float *all = NULL;

        fill(w, 0);
        fill(x, 3);
        all = run_ours(ggml, ggml_mul_mat(ggml, w, x));
        for (int n = 1; n <= 66; n += n < 18 ? 1 : 16) {
            int first = 70 - n;
            struct ggml_tensor *some = ggml_view_2d(ggml, x, 768, n, x->nb[1],
                                                    (size_t)first * x->nb[1]);
            float *few = run_ours(ggml, ggml_mul_mat(ggml, w, some));

            assert_memory_equal(few, all + first * 200, sizeof(float) * 200 * (size_t)n);
            free(few);
        }
        free(all);
        ggml_free(ggml);
    }
}

/* The same numbers as floats give what is to come, to the last bit. */
static void test_matmul__of_bf16_where_it_is_to_be_exact__is_that_of_floats(void **state)
{
    struct ggml_context *ggml = make_context();
    struct ggml_tensor *w = ggml_new_tensor_2d(ggml, GGML_TYPE_BF16, 300, 40);
    struct ggml_tensor *floats = ggml_new_tensor_2d(ggml, GGML_TYPE_F32, 300, 40);
    struct ggml_tensor *x = ggml_new_tensor_2d(ggml, GGML_TYPE_F32, 300, 9);
    struct ggml_tensor *asks = ggml_mul_mat(ggml, w, x);
    float *wanted = NULL;
    float *in_pool = NULL;
    float *as_asked = NULL;

    (void)state;
    fill(w, 0);
    fill(x, 3);
    for (size_t i = 0; i < 300 * 40; i++)
        ((float *)floats->data)[i] = number_at(w->data, NUMBER_BF16, i);
    assert_true(ggml_prec_set_src(asks, GGML_PREC_F32, 1));
    wanted = run(ggml, ggml_mul_mat(ggml, floats, x), ours, 2);
    in_pool = run(ggml, ggml_mul_mat(ggml, w, x), exactly, 2);
    as_asked = run(ggml, asks, ours, 2);
    assert_memory_equal(in_pool, wanted, sizeof(float) * 9 * 40);
    assert_memory_equal(as_asked, wanted, sizeof(float) * 9 * 40);
    free(wanted);
    free(in_pool);
    free(as_asked);
    ggml_free(ggml);
}

/* ------------------------------------------------------------------ experts */

enum { EXPERTS = 7, EXPERT_IN = 256, EXPERT_OUT = 83 };

/* The rows of `n` tokens from `first` on, each under `used` of the experts; their activations one for each
 * row, or one for each token. Token t's experts depend on t alone. */
static struct ggml_tensor *mix(struct ggml_context *ggml, struct ggml_tensor *w,
                               const struct ggml_tensor *all, int first, int n, int used)
{
    struct ggml_tensor *x = ggml_view_3d(ggml, (struct ggml_tensor *)all, EXPERT_IN, all->ne[1], n,
                                         all->nb[1], all->nb[2], (size_t)first * all->nb[2]);
    struct ggml_tensor *ids = ggml_new_tensor_2d(ggml, GGML_TYPE_I32, used, n);

    for (int t = 0; t < n; t++)
        for (int slot = 0; slot < used; slot++)
            ((int32_t *)ids->data)[t * used + slot] = ((first + t) * (first + t) + 2 * slot) %
                                                      EXPERTS;
    return ggml_mul_mat_id(ggml, w, x, ids);
}

static void test_experts__of_every_type__are_ggmls_and_a_rows_bits_its_own(void **state)
{
    static const int used[] = {1, 2, 3};

    (void)state;
    for (int t = 0; t < N_TYPES; t++) {
        for (int u = 0; u < 3; u++) {
            struct ggml_context *ggml = make_context();
            int in_token = u == 1 ? used[u] : 1;
            struct ggml_tensor *w = ggml_new_tensor_3d(ggml, types[t], EXPERT_IN, EXPERT_OUT,
                                                       EXPERTS);
            struct ggml_tensor *x = ggml_new_tensor_3d(ggml, GGML_TYPE_F32, EXPERT_IN, in_token,
                                                       100);
            size_t token = sizeof(float) * EXPERT_OUT * (size_t)used[u];
            float *all = NULL;

            fill(w, 0);
            fill(x, 9);
            check_node(ggml, mix(ggml, w, x, 0, 100, used[u]), 0.02);
            check_node(ggml, mix(ggml, w, x, 3, 1, used[u]), 0.02);
            all = run_ours(ggml, mix(ggml, w, x, 0, 100, used[u]));
            for (int n = 1; n <= 64; n = n * 2 + n % 3) {
                float *some = run_ours(ggml, mix(ggml, w, x, 31, n, used[u]));

                assert_memory_equal(some, (const char *)all + 31 * token, token * (size_t)n);
                free(some);
            }
            free(all);
            ggml_free(ggml);
        }
    }
}

/* What no expert computes is not taken for a result; the other rows are. */
static void test_experts__one_that_is_not_there__spoils_its_row_alone(void **state)
{
    struct ggml_context *ggml = make_context();
    struct ggml_tensor *w = ggml_new_tensor_3d(ggml, GGML_TYPE_Q8_0, EXPERT_IN, EXPERT_OUT,
                                               EXPERTS);
    struct ggml_tensor *x = ggml_new_tensor_3d(ggml, GGML_TYPE_F32, EXPERT_IN, 1, 4);
    struct ggml_tensor *node = NULL;
    float *before = NULL;
    float *after = NULL;

    (void)state;
    fill(w, 0);
    fill(x, 9);
    node = mix(ggml, w, x, 0, 4, 2);
    before = run_ours(ggml, node);
    ((int32_t *)node->src[2]->data)[3] = EXPERTS;
    after = run_ours(ggml, node);
    for (int i = 0; i < EXPERT_OUT; i++)
        assert_true(isnan(after[3 * EXPERT_OUT + i]));
    assert_memory_equal(before, after, sizeof(float) * 3 * EXPERT_OUT);
    assert_memory_equal(before + 4 * EXPERT_OUT, after + 4 * EXPERT_OUT,
                        sizeof(float) * 4 * EXPERT_OUT);
    free(before);
    free(after);
    ggml_free(ggml);
}

/* ------------------------------------------------------------------ attention */

struct cache {
    struct ggml_context *ggml;
    struct ggml_tensor *k, *v, *sinks;
    int n_cells;
};
enum { HEAD = 64, HEADS = 6, KV_HEADS = 2, STREAMS = 3 };

/* As llama.cpp has it: cells of all heads of a stream lie together. */
static struct cache make_cache(int n_cells)
{
    struct cache c = {.ggml = make_context(), .n_cells = n_cells};

    c.k = ggml_new_tensor_4d(c.ggml, GGML_TYPE_F16, HEAD, KV_HEADS, n_cells, STREAMS);
    c.v = ggml_new_tensor_4d(c.ggml, GGML_TYPE_F16, HEAD, KV_HEADS, n_cells, STREAMS);
    fill(c.k, 0);
    fill(c.v, 1);
    c.k = ggml_permute(c.ggml, c.k, 0, 2, 1, 3);
    c.v = ggml_permute(c.ggml, c.v, 0, 2, 1, 3);
    c.sinks = ggml_new_tensor_1d(c.ggml, GGML_TYPE_F32, HEADS);
    fill(c.sinks, 2);
    return c;
}

/* Queries and mask of tokens at the end of what is seen, in some of the streams. */
static struct ggml_tensor *attend(const struct cache *c, int first, int n_streams, int n_tokens,
                                  float cap, bool has_sinks)
{
    struct ggml_tensor *q = ggml_new_tensor_4d(c->ggml, GGML_TYPE_F32, HEAD, HEADS, n_tokens,
                                               n_streams);
    struct ggml_tensor *mask = ggml_new_tensor_4d(c->ggml, GGML_TYPE_F16, c->n_cells, n_tokens, 1,
                                                  n_streams);
    struct ggml_tensor *k = ggml_view_4d(c->ggml, c->k, HEAD, c->n_cells, KV_HEADS, n_streams,
                                         c->k->nb[1], c->k->nb[2], c->k->nb[3],
                                         (size_t)first * c->k->nb[3]);
    struct ggml_tensor *v = ggml_view_4d(c->ggml, c->v, HEAD, c->n_cells, KV_HEADS, n_streams,
                                         c->v->nb[1], c->v->nb[2], c->v->nb[3],
                                         (size_t)first * c->v->nb[3]);
    struct ggml_tensor *result = NULL;
    uint16_t *m = mask->data;

    for (int s = 0; s < n_streams; s++) {
        for (int t = 0; t < n_tokens; t++) {
            int seen = c->n_cells - 20 * (first + s) - n_tokens + t + 1;

            for (int h = 0; h < HEADS; h++)
                for (int i = 0; i < HEAD; i++)
                    ((float *)q->data)[((s * n_tokens + t) * HEADS + h) * HEAD + i] = wave(
                        (((first + s) * 1000 - n_tokens + t) * HEADS + h) * HEAD + i + 100000);
            for (int i = 0; i < c->n_cells; i++)
                *m++ = i < seen ? 0 : 0xfc00;
        }
    }
    q = ggml_permute(c->ggml, q, 0, 2, 1, 3);
    result = ggml_flash_attn_ext(c->ggml, q, k, v, mask, 0.125f, 0, cap);
    if (has_sinks)
        ggml_flash_attn_ext_add_sinks(result, c->sinks);
    ggml_prec_set_acc(result, GGML_PREC_F32);
    return result;
}

/* ggml adds values up as half floats. */
static void test_attention__over_short_and_long_caches__is_ggmls(void **state)
{
    static const int cells[] = {256, 512, 1792};
    static const int tokens[] = {1, 2, 9, 70};

    (void)state;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 4; j++) {
            struct cache c = make_cache(cells[i]);

            check_node(c.ggml, attend(&c, 0, 1, tokens[j], 0, false), 0.02);
            check_node(c.ggml, attend(&c, 0, STREAMS, tokens[j], 0, true), 0.02);
            check_node(c.ggml, attend(&c, 1, 2, tokens[j], 20, false), 0.02);
            ggml_free(c.ggml);
        }
    }
}

/* The last token of the last stream is the same one in all of these. */
static void test_attention__a_token__has_its_bits_alone(void **state)
{
    static const int cells[] = {256, 1024, 1792};
    const size_t token = (size_t)HEAD * HEADS;

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct cache c = make_cache(cells[i]);
        float *alone = run_ours(c.ggml, attend(&c, 2, 1, 1, 0, false));

        for (int streams = 1; streams <= STREAMS; streams++) {
            for (int tokens = 1; tokens <= 81; tokens += 20) {
                struct ggml_tensor *node = attend(&c, STREAMS - streams, streams, tokens, 0, false);
                float *all = run_ours(c.ggml, node);

                assert_memory_equal(alone, all + (size_t)ggml_nelements(node) - token,
                                    sizeof(float) * token);
                free(all);
            }
        }
        free(alone);
        ggml_free(c.ggml);
    }
}

static struct ggml_threadpool *make_pool(void)
{
    struct ggml_threadpool_params params = ggml_threadpool_params_default(2);
    struct ggml_threadpool *pool = ggml_threadpool_new(&params);

    assert_non_null(pool);
    return pool;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul__of_every_type__is_ggmls),
        cmocka_unit_test(test_matmul__in_four_dimensions__is_ggmls),
        cmocka_unit_test(test_matmul__a_row__has_its_bits_alone),
        cmocka_unit_test(test_matmul__of_bf16_where_it_is_to_be_exact__is_that_of_floats),
        cmocka_unit_test(test_experts__of_every_type__are_ggmls_and_a_rows_bits_its_own),
        cmocka_unit_test(test_experts__one_that_is_not_there__spoils_its_row_alone),
        cmocka_unit_test(test_attention__over_short_and_long_caches__is_ggmls),
        cmocka_unit_test(test_attention__a_token__has_its_bits_alone),
    };
    struct cpu_operators *operators = NULL;
    struct cpu_operators *exact = NULL;
    int failed = 0;

    if (!cpu_has_avx2()) /* nothing is chosen there */
        setenv("INFERENCE_KERNELS", "portable", 0);
    ggml_cpu_init();
    cpu_operators_install(row_operators());
    ours = make_pool();
    exactly = make_pool();
    theirs = make_pool();
    assert_int_equal(cpu_operators_open(&operators, ours, false, NULL, NULL, NULL), INF_OK);
    assert_int_equal(cpu_operators_open(&exact, exactly, true, NULL, NULL, NULL), INF_OK);
    failed = cmocka_run_group_tests_name("row operators", tests, NULL, NULL);
    cpu_operators_close(operators);
    cpu_operators_close(exact);
    ggml_threadpool_free(ours);
    ggml_threadpool_free(exactly);
    ggml_threadpool_free(theirs);
    return failed;
}
