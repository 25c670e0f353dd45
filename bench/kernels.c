/*
 * kernels: matmuls by this library's kernels and by ggml's own code, in turn: for each type of weights and
 * each number of rows the time of a graph of matmuls whose weights together are larger than caches.
 *
 *     kernels [THREADS [N_IN [N_OUT [TYPE]]]]
 *
 * TYPE: F16, BF16, ...; all of them otherwise. A line each: microseconds a matmul, ours and ggml's, the median of the rounds with the lowest and the
 * highest, and the median of the rounds' ratios.
 */
#include "engine/cpu_operators.h"
#include "engine/row_operators.h"
#include "kernels/path.h"

#include <ggml-cpu.h>
#include <ggml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_ROUNDS = 7, MAX_ROWS = 256 };
#define WEIGHT_BYTES ((size_t)48 << 20)

static const struct {
    enum ggml_type type;
    const char *name;
} types[] = {{GGML_TYPE_F16, "F16"},   {GGML_TYPE_BF16, "BF16"}, {GGML_TYPE_Q8_0, "Q8_0"},
             {GGML_TYPE_Q4_0, "Q4_0"}, {GGML_TYPE_Q4_1, "Q4_1"}, {GGML_TYPE_Q5_0, "Q5_0"},
             {GGML_TYPE_Q4_K, "Q4_K"}, {GGML_TYPE_Q5_K, "Q5_K"}, {GGML_TYPE_Q6_K, "Q6_K"}};
static const int rows[] = {1, 2, 4, 8, 16, 64, MAX_ROWS};

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, N_ROUNDS, sizeof *values, by_value);
    return values[N_ROUNDS / 2];
}

static void fill(enum ggml_type type, void *out, int64_t n_rows, int64_t n_in)
{
    float *values = malloc(sizeof(float) * (size_t)(n_rows * n_in));
    uint32_t x = 1;

    for (int64_t i = 0; i < n_rows * n_in; i++) {
        x = x * 1664525u + 1013904223u;
        values[i] = (float)(x >> 16) / 32768 - 1;
    }
    if (type == GGML_TYPE_F32)
        memcpy(out, values, sizeof(float) * (size_t)(n_rows * n_in));
    else
        ggml_quantize_chunk(type, values, out, 0, n_rows, n_in, NULL);
    free(values);
}

struct sides {
    struct ggml_threadpool *pools[2]; /* ours, ggml's */
    int n_threads;
};

/* A graph's time; it has been planned. */
static double time_of(struct ggml_cgraph *graph, struct ggml_cplan *plan,
                      struct ggml_threadpool *pool)
{
    double begin = now_us();

    plan->threadpool = pool;
    if (ggml_graph_compute(graph, plan) != GGML_STATUS_SUCCESS)
        exit(1);
    return now_us() - begin;
}

static void measure(const struct sides *s, const char *name, struct ggml_cgraph *graph, int n_rows)
{
    int n = ggml_graph_n_nodes(graph);
    struct ggml_cplan plan = ggml_graph_plan(graph, s->n_threads, s->pools[0]);
    double times[2][N_ROUNDS];
    double ratios[N_ROUNDS];

    plan.work_data = malloc(plan.work_size + 1);
    time_of(graph, &plan, s->pools[0]);
    time_of(graph, &plan, s->pools[1]);
    for (int i = 0; i < N_ROUNDS; i++) {
        for (int k = 0; k < 2; k++)
            times[(i + k) % 2][i] = time_of(graph, &plan, s->pools[(i + k) % 2]) / n;
        ratios[i] = times[1][i] / times[0][i];
    }
    printf("%s, %d rows: %.0f us, ggml %.0f us, ratio %.2f", name, n_rows, median(times[0]),
           median(times[1]), median(ratios));
    printf(" (%.2f - %.2f)\n", ratios[0], ratios[N_ROUNDS - 1]);
    fflush(stdout);
    free(plan.work_data);
}

static void measure_type(const struct sides *s, int t, int64_t n_in, int64_t n_out)
{
    size_t size = ggml_row_size(types[t].type, n_in) * (size_t)n_out;
    int copies = (int)(WEIGHT_BYTES / size) + 1;
    size_t results = sizeof(float) * (size_t)(MAX_ROWS * (n_in + n_out * copies)) * 2;
    struct ggml_context *weights = ggml_init(
        (struct ggml_init_params){.mem_size = (size + 4096) * (size_t)copies});
    struct ggml_tensor **w = malloc(sizeof(struct ggml_tensor *) * (size_t)copies);

    for (int i = 0; i < copies; i++) {
        w[i] = ggml_new_tensor_2d(weights, types[t].type, n_in, n_out);
        if (i == 0)
            fill(types[t].type, w[i]->data, n_out, n_in);
        else
            memcpy(w[i]->data, w[0]->data, size);
    }
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct ggml_context *ggml = ggml_init(
            (struct ggml_init_params){.mem_size = results + (16 << 20)});
        struct ggml_cgraph *graph = ggml_new_graph(ggml);
        struct ggml_tensor *x = ggml_new_tensor_2d(ggml, GGML_TYPE_F32, n_in, rows[r]);
        int n = rows[r] >= 64 ? 2 : copies;

        fill(GGML_TYPE_F32, x->data, rows[r], n_in);
        for (int i = 0; i < n; i++)
            ggml_build_forward_expand(graph, ggml_mul_mat(ggml, w[i], x));
        measure(s, types[t].name, graph, rows[r]);
        ggml_free(ggml);
    }
    free(w);
    ggml_free(weights);
}

int main(int argc, char **argv)
{
    struct sides s = {.n_threads = argc > 1 ? atoi(argv[1]) : 2};
    int64_t n_in = argc > 2 ? atoi(argv[2]) : 1536;
    int64_t n_out = argc > 3 ? atoi(argv[3]) : 1536;
    const char *wanted = argc > 4 ? argv[4] : NULL;
    struct ggml_threadpool_params params = ggml_threadpool_params_default(s.n_threads);
    struct cpu_operators *operators = NULL;
    inf_error err;

    if (s.n_threads < 1 || n_in < 256 || n_in % 256 != 0 || n_out < 1) {
        fprintf(stderr, "usage: kernels [THREADS [N_IN, a multiple of 256 [N_OUT [TYPE]]]]\n");
        return 2;
    }
    if (kernel_path_check(&err) != INF_OK) {
        fprintf(stderr, "kernels: %s\n", err.message);
        return 2;
    }
    printf("kernels: %s\n", kernel_path_name(kernel_path()));
    ggml_cpu_init();
    cpu_operators_install(row_operators());
    for (int i = 0; i < 2; i++)
        s.pools[i] = ggml_threadpool_new(&params);
    if (cpu_operators_open(&operators, s.pools[0], false, NULL, NULL, NULL) != INF_OK)
        return 1;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        if (!wanted || strcmp(wanted, types[t].name) == 0)
            measure_type(&s, (int)t, n_in, n_out);
    cpu_operators_close(operators);
    for (int i = 0; i < 2; i++)
        ggml_threadpool_free(s.pools[i]);
    return 0;
}
