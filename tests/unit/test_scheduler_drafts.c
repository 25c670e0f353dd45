/*
 * scheduler: steps that verify drafts, on the engine that costs nothing. Whatever is drafted, the answer is the
 * one without; what was computed for drafts that did not come true is gone from the slot.
 */
#include "scheduler_house.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define PROMPT "A: the cat sat on the mat. "

/* ------------------------------------------------------------------ what comes true */

static void test_repeated_text__takes_few_steps(void **state)
{
    const struct guest g = {.prompt = PROMPT, .max_tokens = 100, .drafts = DRAFTS_ALWAYS};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 2);
    free_engine_script(&h.e, PROMPT, "the cat sat on the mat!");
    op = submit(&h, &g);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_text(op, "the cat sat on the mat!");
    assert_int_equal(result_of(op).completion_tokens, 24);
    assert_true(result_of(op).steps < 10);
    assert_in_range(result_of(op).accepted_tokens, 15, result_of(op).drafted_tokens);
    /* A token a step, the drafts that came true, and no other. */
    assert_int_equal(result_of(op).steps + result_of(op).accepted_tokens, 24);
    inf_op_release(op);
    close_house(&h);
}

static void test_reference__is_drafted_from(void **state)
{
    struct guest g = {.prompt = "A: ", .max_tokens = 100, .drafts = DRAFTS_ALWAYS};
    int64_t steps[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct house h;
        inf_op *op = NULL;

        g.reference = i ? "int main(void) { return 0; }" : NULL;
        open_house(&h, 2);
        free_engine_script(&h.e, "A: ", "int main(void) { return 1; }");
        op = submit(&h, &g);
        assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
        assert_text(op, "int main(void) { return 1; }");
        steps[i] = result_of(op).steps;
        inf_op_release(op);
        close_house(&h);
    }
    assert_true(steps[1] < steps[0] / 2);
}

/* The answer is cut where it is without drafts, and so is what the slot holds. */
static void check_end(const char *script, int32_t max_tokens, const char *stop, const char *text,
                      int32_t finish, int64_t n)
{
    struct guest g = {.prompt = PROMPT, .max_tokens = max_tokens, .drafts = DRAFTS_ALWAYS};
    inf_text stops[] = {inf_str(stop)};
    inf_request r = request_of(&g);
    struct house h;
    inf_op *op = NULL;

    open_house(&h, 2);
    free_engine_script(&h.e, PROMPT, script);
    r.stop = stops;
    r.n_stop = stop != NULL;
    op = try_to_submit(&h, &r, &g);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_text(op, text);
    assert_int_equal(result_of(op).finish, finish);
    assert_int_equal(result_of(op).completion_tokens, n);
    inf_op_release(op);
    drain(&h);
    /* All but the last token, which nothing was computed of. */
    assert_int_equal(h.e.slots[0].n, (int64_t)strlen(PROMPT) + n - 1);
    close_house(&h);
}

static void test_end__among_drafts__is_the_end(void **state)
{
    const char *again = "the cat sat on the mat. the cat sat";

    (void)state;
    for (int32_t n = 1; n < 30; n++) {
        char text[40];

        snprintf(text, sizeof text, "%.*s", n, again);
        check_end(again, n, NULL, text, INF_FINISH_LENGTH, n);
        check_end(text, 100, NULL, text, INF_FINISH_STOP, n + 1);
    }
    check_end(again, 100, "sat", "the cat ", INF_FINISH_STOP, 11);
    check_end(again, 100, "mat. the", "the cat sat on the ", INF_FINISH_STOP, 27);
}

/* ------------------------------------------------------------------ what does not */

/* The engine's texts are letters at random: two of them stood before in many places. */
static void test_random_text__is_the_one_without(void **state)
{
    struct guest g = {.prompt = "Ann", .max_tokens = 900, .drafts = DRAFTS_ALWAYS};
    struct house h;
    inf_op *op = NULL;
    inf_result r;

    (void)state;
    open_house(&h, 2);
    op = submit(&h, &g);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    r = result_of(op);
    assert_right_text(&h, op, &g, 900);
    assert_true(r.drafted_tokens > 1000);
    assert_true(r.accepted_tokens < r.drafted_tokens / 2);
    inf_op_release(op);
    drain(&h);
    assert_true(count_calls(&h, FREE_TRUNCATE) > 100);
    assert_int_equal(count_calls(&h, FREE_SCRUB), 0);
    close_house(&h);
}

static void test_company__each_its_own_text__whoever_drafts(void **state)
{
    const struct guest guests[] = {
        {.prompt = "Ann", .max_tokens = 300, .adapter = "poet", .drafts = DRAFTS_ALWAYS},
        {.prompt = "Bob", .max_tokens = 200, .adapter = "pirate", .scale = 2},
        {.prompt = "Cat", .max_tokens = 250, .drafts = DRAFTS_ALWAYS},
        {.prompt = "Dan", .max_tokens = 10, .adapter = "poet", .second = "pirate"},
        {.prompt = "Eve",
         .max_tokens = 150,
         .adapter = "poet",
         .second = "poet",
         .drafts = DRAFTS_ALWAYS,
         .reference = "abcdefghijklmnopqrstuvwxyz"},
        {.prompt = "Flo", .max_tokens = 120, .drafts = DRAFTS_WHERE_IT_PAYS}};
    enum { N = sizeof guests / sizeof *guests };
    inf_op *ops[N];
    struct house h;

    (void)state;
    open_house(&h, 4); /* two wait */
    h.e.call_us = 1000;
    h.e.token_us = 10;
    add_adapter(&h, "poet", NULL);
    add_adapter(&h, "pirate", NULL);
    hold(&h);
    for (int i = 0; i < N; i++)
        ops[i] = submit(&h, &guests[i]);
    let_go(&h);
    for (int i = 0; i < N; i++)
        assert_ends(&h, ops[i], &guests[i], INF_OK);
    close_house(&h);
}

static void test_calls__keep_to_the_budget(void **state)
{
    inf_op *ops[16];
    struct house h;
    int32_t most = 0;

    (void)state;
    open_house(&h, 16);
    hold(&h);
    for (int i = 0; i < 16; i++) {
        char prompt[] = {(char)('A' + i), 'n', 'n', '\0'};

        ops[i] = submit(
            &h, &(struct guest){.prompt = prompt, .max_tokens = 200 + i, .drafts = DRAFTS_ALWAYS});
    }
    let_go(&h);
    for (int i = 0; i < 16; i++) {
        char prompt[] = {(char)('A' + i), 'n', 'n', '\0'};

        assert_answered(&h, ops[i], prompt, 200 + i);
    }
    drain(&h);
    for (size_t i = 0; i < h.e.n_calls; i++) {
        const struct free_call *c = &h.e.calls[i];

        if (c->kind == FREE_DECODE && c->rows[0].first_logits == 0) {
            assert_true(c->n_rows * c->n_tokens <= SPECULATION_MOST);
            most = c->n_tokens > most ? c->n_tokens : most;
        }
    }
    assert_true(most > 4);
    close_house(&h);
}

/* ------------------------------------------------------------------ whether it pays */

static int64_t steps_of(int32_t call_us, int32_t token_us, const char *script)
{
    const struct guest g = {.prompt = PROMPT, .max_tokens = 1700, .drafts = DRAFTS_WHERE_IT_PAYS};
    struct house h;
    inf_op *op = NULL;
    int64_t steps = 0;

    open_house(&h, 2);
    h.e.call_us = call_us;
    h.e.token_us = token_us;
    if (script)
        free_engine_script(&h.e, PROMPT, script);
    op = submit(&h, &g);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    if (!script)
        assert_int_equal(result_of(op).completion_tokens, 1700);
    steps = result_of(op).completion_tokens - result_of(op).steps;
    inf_op_release(op);
    close_house(&h);
    return steps; /* that were spared */
}

static void test_auto__drafts_where_it_pays(void **state)
{
    char script[1650] = "";

    (void)state;
    while (strlen(script) < 1600)
        strcat(script, "the cat sat on the mat. ");
    assert_true(steps_of(1000, 10, script) > 1200); /* a token more is nearly free */
    assert_true(steps_of(1000, 400, NULL) < 50);    /* and hardly any comes true */
}

/* ------------------------------------------------------------------ what goes wrong */

static void cancel_at(void *arg, const struct free_call *call)
{
    struct house *h = arg;

    if (number_of(h, call) == h->at)
        inf_op_cancel(h->op);
}

static void test_cancel__in_a_step_of_drafts__leaves_with_its_text(void **state)
{
    struct guest g = {.prompt = "Bob", .max_tokens = 500, .drafts = DRAFTS_ALWAYS};

    (void)state;
    for (int32_t at = 0; at < 400; at += 37) {
        struct house h;
        inf_op *other = NULL;

        open_house(&h, 2);
        h.at = at;
        h.e.on_call = cancel_at;
        hold(&h);
        h.op = submit(&h, &g);
        other = submit(&h, &(struct guest){.prompt = "Ann", .max_tokens = 400});
        let_go(&h);
        assert_ends(&h, h.op, &g, INF_ERROR_CANCELLED);
        assert_answered(&h, other, "Ann", 400);
        close_house(&h);
    }
}

static void test_slot_that_cannot_go_back__nothing_is_drafted(void **state)
{
    struct guest g = {.prompt = "Ann", .max_tokens = 300, .drafts = DRAFTS_ALWAYS};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 2);
    h.e.refuses_truncate = true;
    op = submit(&h, &g);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(result_of(op).drafted_tokens, 0);
    assert_int_equal(result_of(op).steps, 300);
    assert_ends(&h, op, &g, INF_OK);
    close_house(&h);
}

static void test_taking_back_fails__the_slot_is_computed_again(void **state)
{
    struct guest g = {.prompt = "Ann", .max_tokens = 300, .drafts = DRAFTS_ALWAYS};

    (void)state;
    for (int32_t nth = 2; nth < 60; nth += 7) {
        struct house h;

        open_house(&h, 2);
        h.e.fail_nth[FREE_TRUNCATE] = nth;
        assert_ends(&h, submit(&h, &g), &g, INF_OK);
        close_house(&h);
    }
}

static void test_failed_step__ends_its_requests__others_go_on(void **state)
{
    struct guest g = {.prompt = "Ann", .max_tokens = 300, .drafts = DRAFTS_ALWAYS};
    struct house h;

    (void)state;
    open_house(&h, 2);
    h.e.fail_nth[FREE_DECODE] = 150;
    assert_ends(&h, submit(&h, &g), &g, INF_ERROR_BACKEND);
    assert_ends(&h, submit(&h, &g), &g, INF_OK); /* from the prefix that it left */
    close_house(&h);
}

/* Once drafts were taken back they may be the cause: it is computed again, without any. */
static void overflow_at(void *arg, const struct free_call *call)
{
    struct house *h = arg;

    if (number_of(h, call) == h->at)
        h->e.nan_rows['A'] = 1;
}

static void test_overflow__after_drafts__the_slot_is_scrubbed_and_the_text_right(void **state)
{
    struct guest g = {.prompt = "Ann", .max_tokens = 400, .drafts = DRAFTS_ALWAYS};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 2);
    h.at = 200; /* by then some drafts were taken back */
    h.e.on_call = overflow_at;
    op = submit(&h, &g);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_ends(&h, op, &g, INF_OK);
    drain(&h);
    assert_int_equal(count_calls(&h, FREE_SCRUB), 1);
    close_house(&h);
}

static void test_same_prompt_again__starts_from_what_drafts_left(void **state)
{
    struct guest g = {.prompt = "Ann", .max_tokens = 300, .drafts = DRAFTS_ALWAYS};
    char prompt[MAX_TEXT] = "Ann";
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 2);
    assert_ends(&h, submit(&h, &g), &g, INF_OK);
    free_expect("Ann", 0, 300, prompt + 3);
    g.prompt = prompt;
    g.max_tokens = 50;
    op = submit(&h, &g);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(result_of(op).prefix_tokens, 302);
    assert_ends(&h, op, &g, INF_OK);
    close_house(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated_text__takes_few_steps),
        cmocka_unit_test(test_reference__is_drafted_from),
        cmocka_unit_test(test_end__among_drafts__is_the_end),
        cmocka_unit_test(test_random_text__is_the_one_without),
        cmocka_unit_test(test_company__each_its_own_text__whoever_drafts),
        cmocka_unit_test(test_calls__keep_to_the_budget),
        cmocka_unit_test(test_auto__drafts_where_it_pays),
        cmocka_unit_test(test_cancel__in_a_step_of_drafts__leaves_with_its_text),
        cmocka_unit_test(test_slot_that_cannot_go_back__nothing_is_drafted),
        cmocka_unit_test(test_taking_back_fails__the_slot_is_computed_again),
        cmocka_unit_test(test_failed_step__ends_its_requests__others_go_on),
        cmocka_unit_test(test_overflow__after_drafts__the_slot_is_scrubbed_and_the_text_right),
        cmocka_unit_test(test_same_prompt_again__starts_from_what_drafts_left),
    };

    return cmocka_run_group_tests_name("scheduler_drafts", tests, NULL, NULL);
}
