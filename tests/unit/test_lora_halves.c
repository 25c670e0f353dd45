/* lora_halves: an adapter whose file is its memory is, number by number, the one that is made of copies. */
#include "core/memory.h"
#include "lora/convert.h"
#include "lora/halves.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t state = 11;

static uint32_t next(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* Of magnitudes around 2^exponent. */
static uint16_t half_of(int32_t type, int exponent)
{
    float x = ldexpf((float)(int32_t)(next() % 2001) / 1000.0f - 1.0f, exponent);

    return type == NUMBER_F16 ? f16_of_f32(x) : (uint16_t)(bits_of_f32(x) >> 16);
}

/* One module, its matrices behind one another in a block, and nothing else in it. */
struct file {
    struct block *block;
    struct lora_plan_module module;
    struct lora_plan plan;
};

static struct lora_matrix matrix_at(const struct block *b, size_t at, size_t n, int32_t type)
{
    return (struct lora_matrix){
        .name = at ? "b" : "a", .type = type, .size = 2 * n, .data = b->data + at};
}

static void make_file(struct file *f, int32_t n_in, int32_t n_out, int32_t rank, int32_t type,
                      int exponent)
{
    size_t n_a = (size_t)(n_in * rank), n_b = (size_t)(n_out * rank);
    uint16_t *numbers = NULL;

    *f = (struct file){.block = block_take(2 * (n_a + n_b))};
    assert_non_null(f->block);
    numbers = (uint16_t *)(void *)f->block->data;
    for (size_t i = 0; i < n_a + n_b; i++)
        numbers[i] = half_of(type, exponent);
    f->module = (struct lora_plan_module){.base = {.name = "w", .n_in = n_in, .n_out = n_out},
                                          .a = matrix_at(f->block, 0, n_a, type),
                                          .b = matrix_at(f->block, 2 * n_a, n_b, type),
                                          .rank = rank,
                                          .scale = 1.5f};
    f->plan = (struct lora_plan){.modules = &f->module, .n = 1, .storage = f->block};
}

/* The same numbers elsewhere, where they cannot stay. */
static void copy_file(struct file *to, const struct file *from)
{
    *to = *from;
    to->block = block_take(from->block->size);
    assert_non_null(to->block);
    memcpy(to->block->data, from->block->data, from->block->size);
    to->module.a.data = to->block->data;
    to->module.b.data = to->block->data + from->module.a.size;
    to->plan.modules = &to->module;
    to->plan.storage = NULL;
}

static void same_matrix(const void *x, const void *y, int32_t type, int32_t rows, int32_t columns)
{
    for (size_t i = 0; i < (size_t)rows * (size_t)columns; i++)
        if (number_bits(x, type, i) != number_bits(y, type, i))
            fail_msg("number %zu differs", i);
}

static void same(const struct lora_weights *x, const struct lora_weights *y)
{
    const struct lora_module *a = x->modules, *b = y->modules;

    assert_int_equal(a->type, b->type);
    assert_true(a->gain == b->gain);
    assert_int_equal(a->padded_in, b->padded_in);
    assert_int_equal(a->padded_out, b->padded_out);
    same_matrix(a->a, b->a, a->type, a->rank, a->padded_in);
    same_matrix(a->bt, b->bt, a->type, a->rank, a->padded_out);
}

/* Both ways; `stays`: whether it is to be able to. */
static void check(struct file *f, bool stays)
{
    struct lora_weights *placed = NULL, *copied = NULL;
    struct file other;

    copy_file(&other, f);
    assert_int_equal(lora_weights_make(&copied, &other.plan, NULL, NULL), INF_OK);
    assert_null(copied->storage);
    assert_int_equal(lora_weights_make(&placed, &f->plan, NULL, NULL), INF_OK);
    assert_ptr_equal(placed->storage, stays ? f->block : NULL);
    assert_true(stays == (placed->modules[0].a == f->module.a.data));
    same(placed, copied);
    if (!stays)
        block_give(f->block);
    lora_weights_free(placed);
    lora_weights_free(copied);
    block_give(other.block);
    assert_int_equal(mem_live(), 0);
}

static void test_halves__any_shape__stay_where_rows_are_whole_vectors(void **unused)
{
    static const int32_t sizes[][2] = {{16, 16}, {64, 48}, {896, 128}, {64, 40}, {24, 64}};
    static const int32_t ranks[] = {1, 3, 8, 12, 16, 64};

    (void)unused;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t r = 0; r < sizeof ranks / sizeof ranks[0]; r++)
            for (int32_t type = NUMBER_F16; type <= NUMBER_BF16; type++) {
                struct file f;

                make_file(&f, sizes[s][0], sizes[s][1], ranks[r], type, -4);
                check(&f, sizes[s][0] % 16 == 0 && sizes[s][1] % 16 == 0);
            }
}

static void test_halves__other_orders__are_kept(void **unused)
{
    static const int32_t heads[] = {2, 16, 24, 32, 48};
    int32_t inputs[64], outputs[96];

    (void)unused;
    for (int32_t i = 0; i < 64; i++)
        inputs[i] = (i * 7 + 3) % 64;
    for (int32_t i = 0; i < 96; i++)
        outputs[i] = (i * 5 + 1) % 96;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct file f;

        make_file(&f, 64, 96, 8, NUMBER_BF16, 0);
        f.module.head_dim = heads[i];
        check(&f, true);
        make_file(&f, 64, 96, 12, NUMBER_BF16, 0);
        f.module.inputs = inputs;
        f.module.outputs = outputs;
        check(&f, true);
    }
}

static void test_halves__what_would_overflow__is_converted_where_it_lies(void **unused)
{
    static const int exponents[] = {-100, 90};

    (void)unused;
    for (size_t i = 0; i < 2; i++) {
        struct file f;

        make_file(&f, 64, 96, 8, NUMBER_BF16, exponents[i]);
        f.module.scale = ldexpf(1.0f, -exponents[i]);
        f.module.head_dim = 32;
        check(&f, true);
    }
}

static void test_halves__nan_or_infinity__are_refused_by_name(void **unused)
{
    static const uint16_t bad[] = {0x7f80, 0xff80, 0x7fc0};

    (void)unused;
    for (size_t i = 0; i < 2 * sizeof bad / sizeof bad[0]; i++) {
        struct lora_weights *w = NULL;
        struct file f;
        inf_error err = {0};
        uint16_t *numbers = NULL;

        make_file(&f, 64, 96, 8, NUMBER_BF16, 0);
        numbers = (uint16_t *)(void *)f.block->data;
        numbers[i % 2 ? 64 * 8 + 95 * 8 + 7 : 64 * 8 - 1] = bad[i / 2];
        assert_int_equal(lora_weights_make(&w, &f.plan, NULL, &err), INF_ERROR_NOT_FINITE);
        assert_non_null(strstr(err.message, i % 2 ? "\"b\"" : "\"a\""));
        assert_null(w);
        block_give(f.block);
        assert_int_equal(mem_live(), 0);
    }
}

static void test_halves__a_small_part_of_a_file__does_not_keep_it(void **unused)
{
    struct file f;
    struct block *large = NULL;

    (void)unused;
    make_file(&f, 64, 96, 8, NUMBER_BF16, 0);
    large = block_take(2 * f.block->size);
    assert_non_null(large);
    memcpy(large->data, f.block->data, f.block->size);
    f.module.a.data = large->data;
    f.module.b.data = large->data + f.module.a.size;
    f.plan.storage = large;
    block_give(f.block);
    f.block = large;
    check(&f, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves__any_shape__stay_where_rows_are_whole_vectors),
        cmocka_unit_test(test_halves__other_orders__are_kept),
        cmocka_unit_test(test_halves__what_would_overflow__is_converted_where_it_lies),
        cmocka_unit_test(test_halves__nan_or_infinity__are_refused_by_name),
        cmocka_unit_test(test_halves__a_small_part_of_a_file__does_not_keep_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
