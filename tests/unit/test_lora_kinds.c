/* lora_kinds: what adapters do beside plain LoRA, against sums in double: DoRA, biases, matrices and rows in
 * the place of the model's, embeddings, stacks of experts; and a row's independence of its neighbours. */
#include "core/memory.h"
#include "lora/dora.h"
#include "lora/replace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IN = 37, OUT = 53, RANK = 5, VOCAB = 41, EXPERTS = 3, ROWS = 7 };

static uint32_t state = 7;

static float random_float(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)state / 2147483648.0f;
}

static float *random_floats(size_t n)
{
    float *x = malloc(n * sizeof *x);

    for (size_t i = 0; i < n; i++)
        x[i] = random_float();
    return x;
}

static void near(double got, double want)
{
    if (fabs(got - want) > 2e-5 * (1 + fabs(want)))
        fail_msg("%.9g is not %.9g", got, want);
}

/* ------------------------------------------------------------------ an adapter of one module */

struct made {
    float *a, *b, *bias, *magnitude, *whole;
    struct lora_weights *weights;
    struct lora_module *m;
};

static struct lora_matrix matrix(const float *data, size_t n)
{
    return data ? (struct lora_matrix){.name = "t",
                                       .type = NUMBER_F32,
                                       .size = n * sizeof(float),
                                       .data = data}
                : (struct lora_matrix){.name = NULL};
}

/* Of module: kind, base sizes, rank, experts, rows. */
static void make(struct made *out, struct lora_plan_module module, size_t n_a, size_t n_b,
                 size_t n_whole)
{
    struct lora_plan plan = {.modules = &module, .n = 1};
    size_t n_out = (size_t)module.base.n_out;

    out->a = n_a ? random_floats(n_a) : NULL;
    out->b = n_b ? random_floats(n_b) : NULL;
    out->whole = n_whole ? random_floats(n_whole) : NULL;
    out->bias = random_floats(n_out);
    out->magnitude = random_floats(n_out);
    module.base.name = "w";
    module.base.is_f32 = true;
    module.scale = 1.75f;
    module.a = matrix(out->a, n_a);
    module.b = matrix(out->b, n_b);
    module.whole = matrix(out->whole, n_whole);
    if (module.bias.name)
        module.bias = matrix(out->bias, n_out);
    if (module.magnitude.name)
        module.magnitude = matrix(out->magnitude, n_out);
    assert_int_equal(lora_weights_make(&out->weights, &plan, NULL, NULL), INF_OK);
    out->m = &out->weights->modules[0];
}

static void unmake(struct made *made)
{
    lora_weights_free(made->weights);
    free(made->a);
    free(made->b);
    free(made->bias);
    free(made->magnitude);
    free(made->whole);
}

static const struct lora_matrix wanted = {.name = "wanted"};

/* ------------------------------------------------------------------ DoRA */

/* scale · BA of output o and input i. */
static double delta_at(const struct made *made, double scale, int32_t o, int32_t i)
{
    double sum = 0;

    for (int32_t r = 0; r < RANK; r++)
        sum += (double)made->b[o * RANK + r] * made->a[r * made->m->n_in + i];
    return sum * 1.75 * scale;
}

/* w (n_out, n_in), or its transpose where inputs are looked up. */
static double factor_of(const struct made *made, const float *w, bool transposed, double scale,
                        int32_t o)
{
    double length = 0;

    for (int32_t i = 0; i < made->m->n_in; i++) {
        double x = w[transposed ? i * made->m->n_out + o : o * made->m->n_in + i] +
                   delta_at(made, scale, o, i);

        length += x * x;
    }
    return made->magnitude[o] / sqrt(length);
}

static void give_rows(struct made *made, float *w, int32_t rows, int32_t columns)
{
    struct dora_sums *sums = NULL;
    struct lora_rows first = {w, (size_t)columns, rows / 2};
    struct lora_rows rest = {w + (size_t)(rows / 2) * (size_t)columns, (size_t)columns,
                             rows - rows / 2};

    assert_int_equal(dora_begin(&sums, made->m, NULL), INF_OK);
    dora_rows(sums, &first);
    dora_rows(sums, &rest);
    dora_end(sums);
}

static void test_dora__any_scale__is_the_length_of_the_changed_row(void **unused)
{
    static const float scales[] = {1, 0, 0.5f, -1.25f, 3};
    struct made made;
    float *w = random_floats(OUT * IN);

    (void)unused;
    make(&made,
         (struct lora_plan_module){
             .base = {.n_in = IN, .n_out = OUT}, .rank = RANK, .magnitude = wanted},
         RANK * IN, OUT * RANK, 0);
    give_rows(&made, w, OUT, IN);
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        float y[OUT];
        struct lora_rows rows = {y, OUT, 1};

        for (int32_t o = 0; o < OUT; o++)
            y[o] = 2;
        dora_apply(made.m, scales[k], 16, OUT - 16, &rows);
        dora_apply(made.m, scales[k], 0, 16, &rows);
        for (int32_t o = 0; o < OUT; o++)
            near(y[o], 2 * factor_of(&made, w, false, scales[k], o));
    }
    free(w);
    unmake(&made);
}

static void test_dora__an_embedding__has_lengths_of_columns(void **unused)
{
    struct made made;
    float *w = random_floats(VOCAB * OUT);

    (void)unused;
    make(&made,
         (struct lora_plan_module){.kind = LORA_LOOKUP,
                                   .base = {.n_in = VOCAB, .n_out = OUT},
                                   .rank = RANK,
                                   .magnitude = wanted},
         RANK * VOCAB, OUT * RANK, 0);
    give_rows(&made, w, VOCAB, OUT);
    for (int32_t token = 0; token < VOCAB; token += VOCAB - 1) {
        float y[OUT];

        memcpy(y, w + token * OUT, sizeof y);
        lora_look_up(made.m, -0.5f, token, y);
        for (int32_t o = 0; o < OUT; o++)
            near(y[o], factor_of(&made, w, true, -0.5, o) *
                           (w[token * OUT + o] + delta_at(&made, -0.5, o, token)));
    }
    free(w);
    unmake(&made);
}

static void test_bias__is_scaled_as_the_rest(void **unused)
{
    struct made made;
    float y[ROWS][OUT];
    struct lora_rows rows = {y[0], OUT, ROWS};

    (void)unused;
    make(
        &made,
        (struct lora_plan_module){.base = {.n_in = IN, .n_out = OUT}, .rank = RANK, .bias = wanted},
        RANK * IN, OUT * RANK, 0);
    memset(y, 0, sizeof y);
    lora_add_bias(made.m, 0.5f, 16, OUT - 16, &rows);
    for (int32_t r = 0; r < ROWS; r++)
        for (int32_t o = 0; o < OUT; o++)
            near(y[r][o], o < 16 ? 0 : 0.5 * 1.75 * made.bias[o]);
    unmake(&made);
}

/* ------------------------------------------------------------------ in the place of the model's */

static void *as_type(const float *x, size_t n, int32_t type)
{
    char *out = malloc(n * number_size(type) + 1);

    for (size_t i = 0; i < n; i++) {
        uint32_t bits = bits_of_f32(x[i]);
        uint16_t half = type == NUMBER_F16 ? f16_of_f32(x[i]) : (uint16_t)(bits >> 16);

        if (type == NUMBER_F32)
            memcpy(out + 1 + 4 * i, &bits, 4); /* aligned to nothing */
        else
            memcpy(out + 1 + 2 * i, &half, 2);
    }
    return out;
}

static void check_whole(int32_t type, int32_t n_in)
{
    float *w = random_floats((size_t)OUT * (size_t)n_in);
    float *x = random_floats((size_t)ROWS * (size_t)n_in);
    char *raw = as_type(w, (size_t)OUT * (size_t)n_in, type);
    struct lora_module m = {
        .kind = LORA_WHOLE, .n_in = n_in, .n_out = OUT, .whole = raw + 1, .whole_type = type};
    float all[ROWS][OUT];
    float one[OUT];
    struct lora_rows in = {x, (size_t)n_in, ROWS};
    struct lora_rows out = {all[0], OUT, ROWS};

    lora_multiply_whole(&m, &in, 0, OUT, &out);
    for (int32_t r = 0; r < ROWS; r++) {
        struct lora_rows in_one = {x + r * n_in, 0, 1};
        struct lora_rows out_one = {one, 0, 1};

        lora_multiply_whole(&m, &in_one, 0, 20, &out_one);
        lora_multiply_whole(&m, &in_one, 20, OUT - 20, &out_one);
        assert_memory_equal(one, all[r], sizeof one); /* the same bits alone */
        lora_multiply_whole_portable(&m, &in_one, 0, OUT, &out_one);
        for (int32_t o = 0; o < OUT; o++) {
            double want = 0;

            for (int32_t i = 0; i < n_in; i++)
                want += (double)number_at(m.whole, type, (size_t)(o * n_in + i)) * x[r * n_in + i];
            near(all[r][o], want);
            near(one[o], want);
        }
    }
    free(raw);
    free(w);
    free(x);
}

static void test_whole__any_type_and_size__equals_doubles(void **unused)
{
    static const int32_t sizes[] = {1, 7, 8, 15, 16, 17, 31, 64, 100};

    (void)unused;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int32_t type = NUMBER_F32; type <= NUMBER_BF16; type++)
            check_whole(type, sizes[i]);
}

static int32_t *copy_rows(const int32_t *rows, size_t n)
{
    int32_t *copy = mem_alloc(n * sizeof *copy);

    memcpy(copy, rows, n * sizeof *copy);
    return copy;
}

static void test_rows__in_any_order__replace_those_and_no_others(void **unused)
{
    static const int32_t rows[] = {40, 3, 17};
    int32_t *ids = copy_rows(rows, 3);
    struct made made;
    float *x = random_floats(2 * IN);
    float y[2][VOCAB];
    struct lora_rows in = {x, IN, 2};
    struct lora_rows out = {y[0], VOCAB, 2};

    (void)unused;
    make(&made,
         (struct lora_plan_module){
             .kind = LORA_ROWS, .base = {.n_in = IN, .n_out = VOCAB}, .rows = ids, .n_rows = 3},
         0, 0, 3 * IN);
    memset(y, 0, sizeof y);
    lora_multiply_rows(made.m, &in, 0, 16, &out);
    lora_multiply_rows(made.m, &in, 16, VOCAB - 16, &out);
    for (int32_t r = 0; r < 2; r++) {
        for (int32_t o = 0; o < VOCAB; o++) {
            double want = 0;

            for (int32_t k = 0; k < 3; k++)
                for (int32_t i = 0; i < IN && rows[k] == o; i++)
                    want += (double)made.whole[k * IN + i] * x[r * IN + i];
            near(y[r][o], want);
        }
    }
    mem_free(ids);
    free(x);
    unmake(&made);
}

static void test_rows__looked_up__replace_their_tokens_alone(void **unused)
{
    static const int32_t rows[] = {40, 3, 17};
    int32_t *ids = copy_rows(rows, 3);
    struct made made;

    (void)unused;
    make(&made,
         (struct lora_plan_module){.kind = LORA_ROWS_LOOKUP,
                                   .base = {.n_in = VOCAB, .n_out = OUT},
                                   .rows = ids,
                                   .n_rows = 3},
         0, 0, 3 * OUT);
    for (int32_t token = 0; token < VOCAB; token++) {
        float y[OUT];
        const float *want = NULL;

        for (int32_t k = 0; k < 3; k++)
            want = rows[k] == token ? made.whole + k * OUT : want;
        memset(y, 0, sizeof y);
        lora_look_up(made.m, 1, token, y);
        for (int32_t o = 0; o < OUT; o++)
            assert_true(y[o] == (want ? want[o] : 0));
    }
    mem_free(ids);
    unmake(&made);
}

static void test_rows__twice_the_same__are_refused(void **unused)
{
    static const int32_t rows[] = {3, 17, 3};
    int32_t *ids = copy_rows(rows, 3);
    float *whole = random_floats(3 * IN);
    struct lora_plan_module module = {.kind = LORA_ROWS,
                                      .base = {.name = "w", .n_in = IN, .n_out = VOCAB},
                                      .whole = matrix(whole, 3 * IN),
                                      .rows = ids,
                                      .n_rows = 3};
    struct lora_plan plan = {.modules = &module, .n = 1};
    struct lora_weights *weights = NULL;
    inf_error err = {0};

    (void)unused;
    assert_int_equal(lora_weights_make(&weights, &plan, NULL, &err), INF_ERROR_BAD_FORMAT);
    assert_non_null(strstr(err.message, "token 3"));
    mem_free(ids);
    free(whole);
}

static float plus_two(float x)
{
    return x + 2;
}

static void test_vector__is_changed_as_its_family_says(void **unused)
{
    struct made made;

    (void)unused;
    make(&made,
         (struct lora_plan_module){
             .kind = LORA_VECTOR, .base = {.n_in = 1, .n_out = OUT}, .change = plus_two},
         0, 0, OUT);
    for (int32_t o = 0; o < OUT; o++)
        assert_true(((const float *)made.m->whole)[o] == made.whole[o] + 2);
    unmake(&made);
}

/* ------------------------------------------------------------------ experts */

/* A lies expert by expert, B rank by rank; the second half of B's rows is another weight's. */
static void test_experts__each_has_its_own_matrices(void **unused)
{
    struct made made;
    int32_t total = EXPERTS * RANK;

    (void)unused;
    make(&made,
         (struct lora_plan_module){.kind = LORA_EXPERTS,
                                   .base = {.n_in = IN, .n_out = OUT},
                                   .rank = RANK,
                                   .n_experts = EXPERTS,
                                   .b_row = OUT},
         EXPERTS * RANK * IN, 2 * OUT * EXPERTS * RANK, 0);
    assert_int_equal(made.weights->max_width, total);
    assert_int_equal(made.weights->max_rank, RANK);
    for (int32_t e = 0; e < EXPERTS; e++)
        for (int32_t r = 0; r < RANK; r++) {
            size_t row = (size_t)(e * RANK + r);

            for (int32_t i = 0; i < IN; i++)
                assert_true(
                    number_at(made.m->a, NUMBER_F32, row * (size_t)made.m->padded_in + (size_t)i) ==
                    made.a[row * IN + (size_t)i]);
            for (int32_t o = 0; o < OUT; o++)
                assert_true(number_at(made.m->bt, NUMBER_F32,
                                      row * (size_t)made.m->padded_out + (size_t)o) ==
                            made.b[(OUT + o) * total + r * EXPERTS + e]);
        }
    unmake(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dora__any_scale__is_the_length_of_the_changed_row),
        cmocka_unit_test(test_dora__an_embedding__has_lengths_of_columns),
        cmocka_unit_test(test_bias__is_scaled_as_the_rest),
        cmocka_unit_test(test_whole__any_type_and_size__equals_doubles),
        cmocka_unit_test(test_rows__in_any_order__replace_those_and_no_others),
        cmocka_unit_test(test_rows__looked_up__replace_their_tokens_alone),
        cmocka_unit_test(test_rows__twice_the_same__are_refused),
        cmocka_unit_test(test_vector__is_changed_as_its_family_says),
        cmocka_unit_test(test_experts__each_has_its_own_matrices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
