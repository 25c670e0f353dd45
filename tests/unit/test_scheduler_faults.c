/*
 * scheduler: what a failure costs, and whom: each function of the engine at each of its calls, each
 * allocation, values that are not finite, and everything at random.
 */
#include "scheduler_house.h"

#include "core/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ------------------------------------------------------------------ errors */

/* Submits h->prompt in decode call number h->at. */
static void submit_at(void *arg, const struct free_call *call)
{
    struct house *h = arg;

    if (number_of(h, call) == h->at)
        h->op = ask(h, h->prompt, 3);
}

static void test_decode_error__ends_the_rows_of_the_call__and_no_other(void **state)
{
    const struct guest a = {.prompt = "Ann", .max_tokens = 10};
    const struct guest b = {.prompt = "Bob", .max_tokens = 3};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 4);
    h.at = 2;
    h.prompt = "Bob";
    h.e.on_call = submit_at;
    h.e.fail_nth[FREE_DECODE] = 4; /* B's prefill */
    op = submit(&h, &a);
    assert_ends(&h, op, &a, INF_OK);
    assert_ends(&h, h.op, &b, INF_ERROR_BACKEND);
    close_house(&h);
}

static void test_decode_error__after_it__the_slot_is_used_again(void **state)
{
    const struct guest a = {.prompt = "Ann met a man who", .max_tokens = 10};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 1);
    hold(&h);
    h.e.fail_nth[FREE_DECODE] = 4;
    op = submit(&h, &a);
    let_go(&h);
    assert_ends(&h, op, &a, INF_ERROR_BACKEND);
    op = submit(&h, &a);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(result_of(op).prefix_tokens, 16); /* it holds what it held */
    assert_ends(&h, op, &a, INF_OK);
    close_house(&h);
}

/* From decode call h->at on, calls with the adapter h->prompt fail. */
static void break_adapter_at(void *arg, const struct free_call *call)
{
    struct house *h = arg;
    const struct adapter *adapter = NULL;

    if (number_of(h, call) != h->at)
        return;
    adapter = registry_pin(h->adapters, h->prompt, strlen(h->prompt));
    h->e.failing_generation = adapter->generation;
    registry_unpin(h->adapters, adapter);
}

/* Whom it is not about gets a token in every turn. */
static void test_decode_error__of_one_adapter__ends_its_rows_alone(void **state)
{
    static const char *const calls[] = {
        "ABCD:3 A:3 BCD:3 BC:3 D:3 A:1 D:1 AD:1 AD:1 AD:1",
        "ABCD:3 ABCD:1 A:1 BCD:1 BC:1 D:1 AD:1 AD:1 AD:1",
    };
    const struct guest guests[] = {{.prompt = "Ann", .max_tokens = 5},
                                   {.prompt = "Bob", .max_tokens = 5, .adapter = "bad"},
                                   {.prompt = "Cat", .max_tokens = 5, .adapter = "bad"},
                                   {.prompt = "Dan", .max_tokens = 5, .adapter = "good"}};

    (void)state;
    for (int at = 0; at < 2; at++) {
        inf_op *ops[4];
        struct house h;

        open_house(&h, 4);
        add_adapter(&h, "good", NULL);
        add_adapter(&h, "bad", NULL);
        h.at = at;
        h.prompt = "bad";
        h.e.on_call = break_adapter_at;
        hold(&h);
        for (int i = 0; i < 4; i++)
            ops[i] = submit(&h, &guests[i]);
        let_go(&h);
        for (int i = 0; i < 4; i++)
            assert_ends(&h, ops[i], &guests[i], i == 1 || i == 2 ? INF_ERROR_BACKEND : INF_OK);
        drain(&h);
        assert_string_equal(who_and_how_many(&h), calls[at]);
        close_house(&h);
    }
}

static void test_no_room_to_grow__ends_who_needs_it__others_go_on(void **state)
{
    char prompt[1001];
    struct guest b = {.prompt = prompt, .max_tokens = 3};
    struct house h;
    inf_op *a = NULL;

    (void)state;
    fill_text(prompt, 'B', 1000);
    open_house(&h, 2);
    hold(&h);
    h.e.fail_nth[FREE_RESERVE] = 1;
    a = ask(&h, "Ann", 100);
    h.op = submit(&h, &b);
    let_go(&h);
    assert_answered(&h, a, "Ann", 100);
    assert_ends(&h, h.op, &b, INF_ERROR_BACKEND);
    close_house(&h);
}

#define FIFTY "a quick brown fox jumps over the lazy dog, and so "
#define ALMOST_512 FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY

/* Everything that moves slots: prefixes that are exchanged and copied, holes, growing, an end by each
 * way. Tells how many of the requests failed; what came of each is right in any case. */
static int32_t run_all_kinds(struct house *h, int32_t error)
{
    static const struct guest guests[] = {
        {.prompt = "A quick brown fox jumps", .max_tokens = 4},
        {.prompt = "A quick brown fox sleeps", .max_tokens = 30},
        {.prompt = "A quick brown fox jumps", .max_tokens = 12, .adapter = "poet"},
        {.prompt = "A quick brown fox hides", .max_tokens = 20, .adapter = "poet"},
        {.prompt = "A quick brown fox jumps", .max_tokens = 9, .adapter = "poet", .scale = 2},
        {.prompt = "Be quick", .max_tokens = 3},
        {.prompt = ALMOST_512, .max_tokens = 30},
        {.prompt = "Can this be", .max_tokens = 1, .adapter = "dirty"},
        {.prompt = "A quick brown fox sleeps", .max_tokens = 8},
        {.prompt = "A quick brown fox hides", .max_tokens = 6, .adapter = "poet", .second = "poet"},
        {.prompt = "Do this", .max_tokens = 5}};
    enum { N = sizeof guests / sizeof *guests };
    inf_op *ops[N];
    int32_t failed = 0;

    hold(h);
    for (int i = 0; i < N; i++) {
        inf_request r = request_of(&guests[i]);

        ops[i] = try_to_submit(h, &r, &guests[i]);
        assert_true(ops[i] || error == INF_ERROR_NO_MEMORY);
    }
    let_go(h);
    for (int i = 0; i < N; i++) {
        bool fails = !ops[i] || inf_op_wait(ops[i], -1, NULL) != INF_OK;

        failed += fails;
        if (ops[i])
            assert_ends(h, ops[i], &guests[i], fails ? error : INF_OK);
    }
    return failed;
}

static void open_for_all_kinds(struct house *h)
{
    static struct free_adapter dirty;

    dirty = (struct free_adapter){.leaves_dirt = true};
    open_house(h, 3);
    add_adapter(h, "poet", NULL);
    add_adapter(h, "dirty", &dirty);
}

/* Those of states: test_slot_states. */
static void test_each_call_of_each_function_fails_once__others_are_right(void **state)
{
    (void)state;
    for (int32_t kind = 0; kind < FREE_SAVE; kind++) {
        for (int32_t nth = 1;; nth++) {
            struct house h;
            int32_t failed = 0;
            bool over = false;

            open_for_all_kinds(&h);
            h.e.fail_nth[kind] = nth;
            failed = run_all_kinds(&h, INF_ERROR_BACKEND);
            drain(&h);
            over = h.e.fail_nth[kind] > 0; /* there was no such call */
            close_house(&h);
            /* A decode fails all of its rows of one adapter; a move costs nobody his answer. */
            if (over || kind == FREE_TRUNCATE || kind == FREE_SWAP)
                assert_int_equal(failed, 0);
            else
                assert_in_range(failed, kind == FREE_DECODE ? 0 : 1, kind == FREE_DECODE ? 3 : 1);
            if (over) {
                assert_true(nth > 1); /* the scenario has such calls at all */
                break;
            }
        }
    }
}

static void test_each_allocation_fails_once__others_are_right(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth += 7) {
        struct house h;
        int64_t made = 0;

        open_for_all_kinds(&h);
        mem_fail_nth(nth);
        assert_in_range(run_all_kinds(&h, INF_ERROR_NO_MEMORY), 0, 1);
        drain(&h);
        made = mem_fail_nth(0);
        close_house(&h);
        if (made < nth)
            break;
    }
}

static void test_create__nothing_to_be_had__an_error_and_nothing_left(void **state)
{
    struct engine_limits limits = {
        .max_slots = 2, .max_context = 64, .max_tokens = 8, .n_vocab = FREE_N_VOCAB};
    struct free_engine e;
    struct scheduler *s = NULL;
    int64_t live = mem_live();
    inf_error err = {0};
    int32_t code = INF_ERROR_NO_MEMORY;

    (void)state;
    assert_true(free_engine_init(&e, &limits));
    for (int64_t nth = 1; code != INF_OK; nth++) {
        mem_fail_nth(nth);
        code = scheduler_create(&s, &e.engine, &house_options, &err);
        mem_fail_nth(0);
        assert_true(code == INF_OK ? s != NULL : !s && code == INF_ERROR_NO_MEMORY);
        scheduler_drain_and_free(s, NULL);
        assert_int_equal(mem_live(), live);
    }
    e.fail_nth[FREE_RESERVE] = 1;
    assert_int_equal(scheduler_create(&s, &e.engine, &house_options, &err), INF_ERROR_BACKEND);
    assert_null(s);
    assert_int_equal(mem_live(), live);
    free_engine_free(&e);
}

/* ------------------------------------------------------------------ values that are not finite */

static void test_not_finite__in_a_clean_slot__ends_alone(void **state)
{
    const struct guest a = {.prompt = "Ann", .max_tokens = 10};
    struct house h;
    inf_op *op = NULL;
    inf_op *b = NULL;
    inf_error err = {0};

    (void)state;
    open_house(&h, 2);
    hold(&h);
    h.e.nan_rows['A'] = 1;
    op = submit(&h, &a);
    b = ask(&h, "Bob", 10);
    let_go(&h);
    assert_answered(&h, b, "Bob", 10);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_NOT_FINITE);
    assert_non_null(strstr(err.message, "model file is damaged"));
    assert_ends(&h, op, &a, INF_ERROR_NOT_FINITE);
    drain(&h);
    assert_int_equal(count_calls(&h, FREE_SCRUB), 1);
    close_house(&h);
}

static void test_not_finite__adapter_overflows__is_named_and_its_slot_is_clean_after(void **state)
{
    struct free_adapter nature = {.overflows = true};
    const struct guest a = {.prompt = "Ann", .max_tokens = 10, .adapter = "poet"};
    struct house h;
    inf_op *op = NULL;
    inf_op *b = NULL;
    inf_error err = {0};

    (void)state;
    open_house(&h, 2);
    add_adapter(&h, "poet", &nature);
    hold(&h);
    op = submit(&h, &a);
    b = ask(&h, "Bob", 10);
    let_go(&h);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_NOT_FINITE);
    assert_non_null(strstr(err.message, "adapter 'poet' overflows"));
    inf_op_release(op);
    assert_answered(&h, b, "Bob", 10);
    assert_answered(&h, ask(&h, "Cat", 3), "Cat", 3);
    drain(&h);
    assert_false(h.e.slots[0].dirty);
    assert_false(h.e.slots[1].dirty);
    close_house(&h);
}

static void assert_blamed(const char *id, const char *message)
{
    const struct guest a = {.prompt = "Ann", .max_tokens = 10, .adapter = "poet", .second = id};
    struct free_adapter bad = {.overflows = true};
    struct house h;
    inf_op *op = NULL;
    inf_op *b = NULL;
    inf_error err = {0};

    open_house(&h, 2);
    add_adapter(&h, "poet", NULL);
    add_adapter(&h, id, &bad);
    hold(&h);
    op = submit(&h, &a);
    b = ask(&h, "Bob", 10);
    let_go(&h);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_NOT_FINITE);
    assert_non_null(strstr(err.message, message));
    inf_op_release(op);
    assert_answered(&h, b, "Bob", 10);
    close_house(&h);
}

static void test_not_finite__of_several_adapters__all_are_named(void **state)
{
    char long_id[400] = "";

    (void)state;
    assert_blamed("pirate", "the adapters 'poet', 'pirate' together overflow");
    memset(long_id, 'x', sizeof long_id - 1);
    assert_blamed(long_id, "the adapters 'poet', ... together overflow");
}

/* What an adapter left behind is not held against the one that comes after it. */
static void test_not_finite__where_an_adapter_was__is_computed_again_once(void **state)
{
    struct free_adapter nature = {.leaves_dirt = true};
    const struct guest a = {.prompt = "Ann", .max_tokens = 3, .adapter = "poet"};
    const struct guest b = {.prompt = "Bob", .max_tokens = 10};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 1);
    add_adapter(&h, "poet", &nature);
    assert_ends(&h, submit(&h, &a), &a, INF_OK);
    assert_ends(&h, submit(&h, &b), &b, INF_OK);
    hold(&h);
    h.e.nan_rows['C'] = 1; /* the slot was wiped, so this one's are its own */
    op = ask(&h, "Cat", 10);
    let_go(&h);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_ERROR_NOT_FINITE);
    inf_op_release(op);
    drain(&h);
    assert_int_equal(count_calls(&h, FREE_SCRUB), 2);
    close_house(&h);
}

static void test_not_finite__moved_to_where_an_adapter_was__is_computed_again(void **state)
{
    struct free_adapter nature = {.leaves_dirt = true};
    const struct guest a = {.prompt = "Ann", .max_tokens = 2, .adapter = "poet"};
    struct house h;
    inf_op *op = NULL;
    inf_op *b = NULL;

    (void)state;
    open_house(&h, 2);
    add_adapter(&h, "poet", &nature);
    hold(&h);
    op = submit(&h, &a);
    b = ask(&h, "Bob", 10);
    let_go(&h);
    assert_answered(&h, b, "Bob", 10);
    assert_ends(&h, op, &a, INF_OK);
    close_house(&h);
}

static void test_not_finite__twice__ends(void **state)
{
    struct free_adapter nature = {.leaves_dirt = true};
    const struct guest a = {.prompt = "Ann", .max_tokens = 3, .adapter = "poet"};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 1);
    add_adapter(&h, "poet", &nature);
    assert_ends(&h, submit(&h, &a), &a, INF_OK);
    hold(&h);
    h.e.nan_rows['B'] = -1;
    op = ask(&h, "Bob", 10);
    let_go(&h);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_ERROR_NOT_FINITE);
    assert_int_equal(result_of(op).completion_tokens, 0);
    inf_op_release(op);
    drain(&h);
    assert_int_equal(count_calls(&h, FREE_SCRUB), 2);
    close_house(&h);
}

static void test_not_finite__and_the_slot_cannot_be_wiped__says_so(void **state)
{
    const struct guest a = {.prompt = "Ann", .max_tokens = 10};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 2);
    hold(&h);
    h.e.nan_rows['A'] = 1;
    h.e.fail_nth[FREE_SCRUB] = 1;
    op = submit(&h, &a);
    let_go(&h);
    assert_ends(&h, op, &a, INF_ERROR_BACKEND);
    close_house(&h);
}

/* ------------------------------------------------------------------ at random */

enum { RANDOM_GUESTS = 64, RANDOM_OPERATIONS = 4000 };

struct visitor {
    struct guest guest;
    inf_op *op; /* NULL: none */
    bool cancelled;
};

/* What must hold of it, whoever came and went beside it and whatever failed: its text is right as far
 * as it goes, it is whole unless it was cancelled or a failure was asked for. */
struct crowd {
    struct house h;
    uint64_t random;
    struct visitor visitors[RANDOM_GUESTS];
    int32_t operations, n_ended, n_failed;
    int32_t failures_asked_for;
};

static struct crowd crowd;

static uint32_t dice(uint32_t sides)
{
    crowd.random = crowd.random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(crowd.random >> 33) % sides;
}

static void random_guest(struct guest *g, char *prompt)
{
    static const char *const stems[] = {"A quick brown fox jumps over", "A quick brown dog",
                                        "Be so kind as to tell me why", "C"};
    static const char *const adapters[] = {NULL, NULL, "poet", "pirate", "dirty", "bad"};
    int32_t n = 0;

    n = sprintf(prompt, "%s", stems[dice(4)]);
    if (dice(40) == 0) {
        memset(prompt + n, 'y', 500);
        n += 500;
    }
    sprintf(prompt + n, "%.*s", (int)dice(4), "xyz");
    *g = (struct guest){.prompt = prompt,
                        .max_tokens = (int32_t)(1 + dice(dice(8) ? 12 : 80)),
                        .adapter = adapters[dice(6)]};
    if (g->adapter && dice(3) == 0)
        g->scale = 0.5f;
    if (g->adapter && dice(2) == 0) {
        g->second = adapters[2 + dice(4)];
        g->second_scale = dice(2) ? 0 : 0.5f;
    }
}

static bool is_bad(const struct visitor *v)
{
    const struct guest *g = &v->guest;

    return (g->adapter && strcmp(g->adapter, "bad") == 0) ||
           (g->second && strcmp(g->second, "bad") == 0);
}

static void see_off(struct visitor *v)
{
    int32_t code = inf_op_error(v->op, NULL);
    int64_t n = result_of(v->op).completion_tokens;

    assert_right_text(&crowd.h, v->op, &v->guest, n);
    crowd.n_ended++;
    if (is_bad(v))
        assert_true(n == 0 && code != INF_OK);
    else if (code == INF_OK)
        assert_int_equal(n, v->guest.max_tokens);
    else if (code == INF_ERROR_BACKEND)
        crowd.n_failed++;
    else
        assert_true(code == INF_ERROR_CANCELLED && v->cancelled);
    inf_op_release(v->op);
    free((char *)(uintptr_t)v->guest.prompt);
    v->op = NULL;
}

static void come_or_go(struct visitor *v)
{
    if (!v->op) {
        char *prompt = malloc(MAX_TEXT);

        assert_non_null(prompt);
        random_guest(&v->guest, prompt);
        v->cancelled = false;
        v->op = submit(&crowd.h, &v->guest);
    } else if (inf_op_poll(v->op)) {
        see_off(v);
    } else if (dice(20) == 0) {
        v->cancelled = true;
        inf_op_cancel(v->op);
    }
}

/* In every call of the engine, on the worker, something may happen. */
static void at_random(void *arg, const struct free_call *call)
{
    struct free_engine *e = &crowd.h.e;

    (void)arg, (void)call;
    while (crowd.operations < RANDOM_OPERATIONS && dice(3)) {
        crowd.operations++;
        come_or_go(&crowd.visitors[dice(RANDOM_GUESTS)]);
    }
    if (dice(100) == 0) {
        e->fail_nth[dice(FREE_KINDS)] = 1 + (int32_t)dice(3);
        crowd.failures_asked_for++;
    }
    e->refuses_truncate = dice(30) == 0;
}

static void run_crowd(uint64_t seed)
{
    static struct free_adapter dirty;
    static struct free_adapter bad;
    struct scheduler_stats stats;

    dirty = (struct free_adapter){.leaves_dirt = true};
    bad = (struct free_adapter){.overflows = true};
    crowd = (struct crowd){.random = seed};
    open_house_of_states(&crowd.h, 6, seed % 2 ? 9 : 0);
    add_adapter(&crowd.h, "poet", NULL);
    add_adapter(&crowd.h, "pirate", NULL);
    add_adapter(&crowd.h, "dirty", &dirty);
    add_adapter(&crowd.h, "bad", &bad);
    hold(&crowd.h);
    crowd.h.e.on_call = at_random;
    for (int i = 0; i < RANDOM_GUESTS / 2; i++)
        come_or_go(&crowd.visitors[i]);
    let_go(&crowd.h);
    stats = drain(&crowd.h);
    for (int i = 0; i < RANDOM_GUESTS; i++)
        if (crowd.visitors[i].op)
            see_off(&crowd.visitors[i]);
    assert_int_equal(stats.requests, crowd.n_ended);
    assert_int_equal(stats.active, 0);
    assert_int_equal(stats.queued, 0);
    assert_true(crowd.n_failed <= crowd.failures_asked_for * 6);
    close_house(&crowd.h);
}

static void test_at_random__every_answer_is_right(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run_crowd(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_error__ends_the_rows_of_the_call__and_no_other),
        cmocka_unit_test(test_decode_error__after_it__the_slot_is_used_again),
        cmocka_unit_test(test_decode_error__of_one_adapter__ends_its_rows_alone),
        cmocka_unit_test(test_no_room_to_grow__ends_who_needs_it__others_go_on),
        cmocka_unit_test(test_each_call_of_each_function_fails_once__others_are_right),
        cmocka_unit_test(test_each_allocation_fails_once__others_are_right),
        cmocka_unit_test(test_create__nothing_to_be_had__an_error_and_nothing_left),
        cmocka_unit_test(test_not_finite__in_a_clean_slot__ends_alone),
        cmocka_unit_test(test_not_finite__adapter_overflows__is_named_and_its_slot_is_clean_after),
        cmocka_unit_test(test_not_finite__of_several_adapters__all_are_named),
        cmocka_unit_test(test_not_finite__where_an_adapter_was__is_computed_again_once),
        cmocka_unit_test(test_not_finite__moved_to_where_an_adapter_was__is_computed_again),
        cmocka_unit_test(test_not_finite__twice__ends),
        cmocka_unit_test(test_not_finite__and_the_slot_cannot_be_wiped__says_so),
        cmocka_unit_test(test_at_random__every_answer_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
