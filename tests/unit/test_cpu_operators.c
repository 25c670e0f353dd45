/*
 * The place for operators among ggml's threads: a matmul is offered to the operator of its pool, on
 * each thread, and to nobody else's; what the operator leaves, ggml computes. It is ggml-cpu's internal
 * interface: where a new llama.cpp changes it, these fail.
 */
#include "engine/cpu_operators.h"

#include <ggml-cpu.h>
#include <ggml.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_IN = 64, N_OUT = 96, N_ROWS = 5, N_THREADS = 2 };

struct counted {
    atomic_int asked, threads[N_THREADS];
    bool computes;
    float adds;
};

/* ggml's matmul, then each thread adds to its share of the columns. */
static bool compute(void *owner, const struct cpu_thread *thread, struct ggml_tensor *node)
{
    struct counted *c = owner;
    int64_t first = node->ne[0] * thread->index / thread->n;
    int64_t end = node->ne[0] * (thread->index + 1) / thread->n;

    atomic_fetch_add(&c->asked, 1);
    atomic_fetch_add(&c->threads[thread->index], 1);
    if (!c->computes)
        return false;
    cpu_operators_matmul(thread, node, NULL);
    cpu_operators_barrier(thread);
    for (int64_t row = 0; row < node->ne[1]; row++)
        for (int64_t i = first; i < end; i++)
            ((float *)node->data)[row * node->ne[0] + i] += c->adds;
    return true;
}

struct graph {
    struct ggml_context *ggml;
    struct ggml_cgraph *graph;
    struct ggml_tensor *result;
};

static struct graph make_graph(enum ggml_type type)
{
    struct ggml_init_params params = {.mem_size = 1 << 20};
    struct graph g = {.ggml = ggml_init(params)};
    struct ggml_tensor *w = ggml_new_tensor_2d(g.ggml, type, N_IN, N_OUT);
    struct ggml_tensor *x = ggml_new_tensor_2d(g.ggml, GGML_TYPE_F32, N_IN, N_ROWS);
    float *values = malloc(sizeof(float) * N_IN * N_OUT);

    for (int i = 0; i < N_IN * N_OUT; i++)
        values[i] = (float)(i * 7 % 31 - 15) / 8;
    ggml_quantize_chunk(type, values, w->data, 0, N_OUT, N_IN, NULL);
    memcpy(x->data, values, sizeof(float) * N_IN * N_ROWS);
    free(values);
    g.result = ggml_mul_mat(g.ggml, w, x);
    g.graph = ggml_new_graph(g.ggml);
    ggml_build_forward_expand(g.graph, g.result);
    return g;
}

static void run(const struct graph *g, struct ggml_threadpool *pool, float *out)
{
    struct ggml_cplan plan = ggml_graph_plan(g->graph, N_THREADS, pool);

    plan.work_data = malloc(plan.work_size + 1);
    assert_int_equal(ggml_graph_compute(g->graph, &plan), GGML_STATUS_SUCCESS);
    free(plan.work_data);
    memcpy(out, g->result->data, sizeof(float) * N_OUT * N_ROWS);
}

static struct ggml_threadpool *make_pool(void)
{
    struct ggml_threadpool_params params = ggml_threadpool_params_default(N_THREADS);
    struct ggml_threadpool *pool = ggml_threadpool_new(&params);

    assert_non_null(pool);
    return pool;
}

static struct cpu_operators *opened(struct ggml_threadpool *pool, struct counted *c)
{
    struct cpu_operators *operators = NULL;

    assert_int_equal(cpu_operators_open(&operators, pool, false, compute, c, NULL), INF_OK);
    return operators;
}

static void check_pools(enum ggml_type type)
{
    float base[N_OUT * N_ROWS];
    float mine[N_OUT * N_ROWS];
    struct graph g = make_graph(type);
    struct ggml_threadpool *pools[] = {make_pool(), make_pool(), make_pool()};
    struct counted one = {.computes = true, .adds = 2};
    struct counted other = {.computes = false};
    struct cpu_operators *operators[] = {opened(pools[0], &one), opened(pools[1], &other)};

    run(&g, pools[2], base); /* another program's: nobody is asked */
    assert_int_equal(one.asked + other.asked, 0);
    run(&g, pools[1], mine); /* asked, left to ggml */
    assert_memory_equal(base, mine, sizeof base);
    assert_int_equal(other.asked, N_THREADS);
    run(&g, pools[0], mine);
    for (int i = 0; i < N_OUT * N_ROWS; i++)
        assert_true(mine[i] == base[i] + 2);
    for (int t = 0; t < N_THREADS; t++)
        assert_int_equal(one.threads[t], 1);

    cpu_operators_close(operators[0]);
    run(&g, pools[0], mine);
    assert_int_equal(one.asked, N_THREADS);
    assert_memory_equal(base, mine, sizeof base);

    operators[0] = opened(pools[0], &one); /* again */
    run(&g, pools[0], mine);
    assert_int_equal(one.asked, 2 * N_THREADS);
    for (int i = 0; i < 2; i++)
        cpu_operators_close(operators[i]);
    for (int i = 0; i < 3; i++)
        ggml_threadpool_free(pools[i]);
    ggml_free(g.ggml);
}

static void test_cpu_operators__matmul__is_offered_to_its_own_pool_alone(void **unused)
{
    (void)unused;
    check_pools(GGML_TYPE_F32);
    check_pools(GGML_TYPE_F16);
    check_pools(GGML_TYPE_BF16);
    check_pools(GGML_TYPE_Q8_0);
    check_pools(GGML_TYPE_Q4_0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_operators__matmul__is_offered_to_its_own_pool_alone),
    };

    cpu_operators_install(NULL);
    ggml_cpu_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
