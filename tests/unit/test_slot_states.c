/*
 * slot_states: what a prompt finds of others before it on a model with a recurrent state, which can go back
 * only to where its state was kept. The free engine complains when a state is not that of the tokens
 * before it, and answers rightly only to a slot that holds all of them.
 */
#include "scheduler_house.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { MOST = 900 };

/* A prompt of n bytes, of which the first n_shared are those of every other with the same first byte. */
static void fill_prompt(char *text, char first, int32_t n_shared, int32_t n, unsigned seed)
{
    for (int32_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = (char)(i < n_shared ? 'a' + (i * 7 + first) % 26
                                      : 'A' + (int32_t)(seed >> 16) % 26);
    }
    text[0] = first;
    text[n] = '\0';
}

/* Prefix tokens that the guest finds; its answer is checked. */
static int64_t prefix_of(struct house *h, const struct guest *g)
{
    inf_op *op = submit(h, g);
    int64_t n = 0;

    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    n = result_of(op).prefix_tokens;
    assert_ends(h, op, g, INF_OK);
    return n;
}

static int64_t prefix_of_prompt(struct house *h, const char *prompt)
{
    const struct guest g = {.prompt = prompt, .max_tokens = 3};

    return prefix_of(h, &g);
}

static void test_same_prompt_again__starts_at_the_last_boundary_before_its_end(void **state)
{
    char prompt[MOST + 1];
    struct house h;

    (void)state;
    open_house_of_states(&h, 4, 100);
    fill_prompt(prompt, 'q', 0, 300, 1);
    assert_int_equal(prefix_of_prompt(&h, prompt), 0);
    assert_int_equal(prefix_of_prompt(&h, prompt), 192); /* 108 are computed: whole blocks of 64 */
    assert_int_equal(prefix_of_prompt(&h, prompt), 192);
    close_house(&h);
}

static void test_prompt_of_less_than_two_blocks__is_computed_whole(void **state)
{
    char prompt[MOST + 1];
    struct house h;

    (void)state;
    open_house_of_states(&h, 4, 100);
    fill_prompt(prompt, 'q', 0, 127, 1);
    assert_int_equal(prefix_of_prompt(&h, prompt), 0);
    assert_int_equal(prefix_of_prompt(&h, prompt), 0);
    drain(&h);
    assert_int_equal(count_calls(&h, FREE_SAVE), 0);
    close_house(&h);
}

static void test_chat_that_goes_on__starts_where_it_was_left(void **state)
{
    char prompt[MOST + 1];
    struct house h;

    (void)state;
    open_house_of_states(&h, 4, 100);
    fill_prompt(prompt, 'q', 0, 100, 1);
    assert_int_equal(prefix_of_prompt(&h, prompt), 0);
    free_expect(prompt, 0, 3, prompt + 100);
    memcpy(prompt + 103, " and then?", 11);
    assert_int_equal(prefix_of_prompt(&h, prompt), 102); /* the third token was not computed */
    close_house(&h);
}

static void test_prompts_that_part_from_each_other__third_one_starts_there(void **state)
{
    char prompt[MOST + 1];
    struct house h;

    (void)state;
    open_house_of_states(&h, 4, 100);
    for (unsigned i = 0; i < 4; i++) {
        fill_prompt(prompt, 'q', 200, 500 + (int32_t)i, i);
        assert_int_equal(prefix_of_prompt(&h, prompt), i < 2 ? 0 : 192);
    }
    close_house(&h);
}

static void test_long_prompt__states_are_kept_on_the_way(void **state)
{
    char prompt[MOST + 1];
    struct house h;

    (void)state;
    open_house_of_states(&h, 4, 100);
    h.e.token_us = 100000 / 64; /* a step has time for a block */
    fill_prompt(prompt, 'q', 700, 800, 1);
    assert_int_equal(prefix_of_prompt(&h, prompt), 0);
    fill_prompt(prompt, 'q', 700, 800, 2);
    assert_int_equal(prefix_of_prompt(&h, prompt), 512); /* 256, 512 and 704 were kept */
    fill_prompt(prompt, 'q', 300, 800, 3);
    assert_int_equal(prefix_of_prompt(&h, prompt), 256);
    close_house(&h);
}

static void ask_again_while_it_decodes(void *arg, const struct free_call *call)
{
    struct house *h = arg;
    const struct guest again = {.prompt = h->prompt, .max_tokens = 3};

    if (call->kind == FREE_DECODE && call->n_tokens == 1 && !h->op)
        h->op = submit(h, &again);
}

static void test_prefix_in_a_busy_slot__is_copied_with_its_states(void **state)
{
    char prompt[MOST + 1];
    const struct guest first = {.prompt = prompt, .max_tokens = 50};
    const struct guest again = {.prompt = prompt, .max_tokens = 3};
    struct house h;

    (void)state;
    fill_prompt(prompt, 'q', 0, 300, 1);
    open_house_of_states(&h, 4, 100);
    h.prompt = prompt;
    h.e.on_call = ask_again_while_it_decodes;
    assert_ends(&h, submit(&h, &first), &first, INF_OK);
    assert_int_equal(result_of(h.op).prefix_tokens, 192);
    assert_ends(&h, h.op, &again, INF_OK);
    drain(&h);
    assert_int_equal(count_calls(&h, FREE_COPY), 1);
    close_house(&h);
}

static void test_other_adapter__finds_nothing(void **state)
{
    char prompt[MOST + 1];
    const struct guest poet = {.prompt = prompt, .max_tokens = 3, .adapter = "poet"};
    struct house h;

    (void)state;
    fill_prompt(prompt, 'q', 0, 300, 1);
    open_house_of_states(&h, 4, 100);
    add_adapter(&h, "poet", NULL);
    assert_int_equal(prefix_of_prompt(&h, prompt), 0);
    assert_int_equal(prefix_of(&h, &poet), 0);
    assert_int_equal(prefix_of(&h, &poet), 192);
    close_house(&h);
}

static void test_room_for_one_state__the_last_prompt_has_it(void **state)
{
    char a[MOST + 1];
    char b[MOST + 1];
    struct house h;

    (void)state;
    fill_prompt(a, 'a', 0, 300, 1);
    fill_prompt(b, 'b', 0, 300, 2);
    open_house_of_states(&h, 4, 1);
    assert_int_equal(prefix_of_prompt(&h, a), 0);
    assert_int_equal(prefix_of_prompt(&h, a), 192);
    assert_int_equal(prefix_of_prompt(&h, b), 0);
    assert_int_equal(prefix_of_prompt(&h, b), 192);
    assert_int_equal(prefix_of_prompt(&h, a), 0);
    close_house(&h);
}

static void test_state_cannot_be_saved__prompt_is_computed_whole(void **state)
{
    char prompt[MOST + 1];
    struct house h;

    (void)state;
    fill_prompt(prompt, 'q', 0, 300, 1);
    open_house_of_states(&h, 4, 100);
    h.e.fail_nth[FREE_SAVE] = 1;
    assert_int_equal(prefix_of_prompt(&h, prompt), 0);
    assert_int_equal(prefix_of_prompt(&h, prompt), 0);
    assert_int_equal(prefix_of_prompt(&h, prompt), 192);
    close_house(&h);
}

static void test_state_cannot_be_restored__prompt_is_computed_whole(void **state)
{
    char prompt[MOST + 1];
    struct house h;

    (void)state;
    fill_prompt(prompt, 'q', 0, 300, 1);
    open_house_of_states(&h, 4, 100);
    assert_int_equal(prefix_of_prompt(&h, prompt), 0);
    h.e.fail_nth[FREE_RESTORE] = 1;
    assert_int_equal(prefix_of_prompt(&h, prompt), 0);
    assert_int_equal(prefix_of_prompt(&h, prompt), 192);
    close_house(&h);
}

static void test_overflow__its_states_go_with_it(void **state)
{
    char prompt[MOST + 1];
    const struct guest bad = {.prompt = prompt, .max_tokens = 3, .adapter = "bad"};
    struct free_adapter overflows = {.overflows = true};
    struct house h;

    (void)state;
    fill_prompt(prompt, 'q', 0, 300, 1);
    open_house_of_states(&h, 4, 100);
    add_adapter(&h, "bad", &overflows);
    assert_ends(&h, submit(&h, &bad), &bad, INF_ERROR_NOT_FINITE);
    assert_ends(&h, submit(&h, &bad), &bad, INF_ERROR_NOT_FINITE);
    drain(&h);
    assert_int_equal(count_calls(&h, FREE_RESTORE), 0);
    assert_int_equal(h.e.n_states, 0);
    close_house(&h);
}

/* Many at once, whose prompts share one of three beginnings; few states. Whatever is kept, given up, moved
 * and copied, every answer is that of the request alone. */
static void test_many_prompts__every_answer_is_right(void **state)
{
    static char prompts[24][MOST + 1];
    struct guest guests[24];
    inf_op *ops[24];
    int64_t found = 0;
    struct house h;

    (void)state;
    open_house_of_states(&h, 5, 12);
    h.e.token_us = 100000 / 128;
    add_adapter(&h, "poet", NULL);
    for (unsigned round = 0; round < 8; round++) {
        hold(&h);
        for (unsigned i = 0; i < 24; i++) {
            unsigned seed = (round * 24 + i) * 2654435761u;
            int32_t shared = 100 + (int32_t)(seed >> 8) % 400;

            fill_prompt(prompts[i], (char)('x' + seed % 3), shared,
                        shared + (int32_t)(seed >> 17) % 300 + 1, seed);
            guests[i] = (struct guest){.prompt = prompts[i],
                                       .max_tokens = 1 + (int32_t)(seed >> 5) % 20,
                                       .adapter = seed >> 12 & 1 ? "poet" : NULL};
            ops[i] = submit(&h, &guests[i]);
        }
        let_go(&h);
        for (int i = 0; i < 24; i++)
            assert_ends(&h, ops[i], &guests[i], INF_OK);
    }
    found = drain(&h).prefix_tokens;
    assert_true(found > 2000);
    assert_true(count_calls(&h, FREE_RESTORE) > 5);
    close_house(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_prompt_again__starts_at_the_last_boundary_before_its_end),
        cmocka_unit_test(test_prompt_of_less_than_two_blocks__is_computed_whole),
        cmocka_unit_test(test_chat_that_goes_on__starts_where_it_was_left),
        cmocka_unit_test(test_prompts_that_part_from_each_other__third_one_starts_there),
        cmocka_unit_test(test_long_prompt__states_are_kept_on_the_way),
        cmocka_unit_test(test_prefix_in_a_busy_slot__is_copied_with_its_states),
        cmocka_unit_test(test_other_adapter__finds_nothing),
        cmocka_unit_test(test_room_for_one_state__the_last_prompt_has_it),
        cmocka_unit_test(test_state_cannot_be_saved__prompt_is_computed_whole),
        cmocka_unit_test(test_state_cannot_be_restored__prompt_is_computed_whole),
        cmocka_unit_test(test_overflow__its_states_go_with_it),
        cmocka_unit_test(test_many_prompts__every_answer_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
