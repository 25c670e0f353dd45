/*
 * scheduler: continuous batching as scheduler.h promises it, on an engine that costs nothing and records
 * its calls. What happens "at the third step" is done inside the engine's third call, on the worker, so
 * that nothing here depends on time.
 */
#include "scheduler_house.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

/* ------------------------------------------------------------------ batching */

static void test_one_request__prefilled_then_a_token_a_step(void **state)
{
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 4);
    op = ask(&h, "Ann", 4);
    assert_answered(&h, op, "Ann", 4);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "A:3 A:1 A:1 A:1");
    close_house(&h);
}

static void test_prompt_of_one_token__is_decoded(void **state)
{
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 4);
    op = ask(&h, "A", 2);
    assert_answered(&h, op, "A", 2);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "A:1 A:1");
    close_house(&h);
}

/* Submits h->prompt in decode call number h->at. */
static void submit_at(void *arg, const struct free_call *call)
{
    struct house *h = arg;

    if (number_of(h, call) == h->at)
        h->op = ask(h, h->prompt, 3);
}

static void test_new_request__joins_at_the_next_step(void **state)
{
    struct house h;
    inf_op *a = NULL;

    (void)state;
    open_house(&h, 4);
    h.at = 2;
    h.prompt = "Bob";
    h.e.on_call = submit_at;
    a = ask(&h, "Ann", 6);
    assert_answered(&h, a, "Ann", 6);
    assert_answered(&h, h.op, "Bob", 3);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "A:3 A:1 A:1 B:3 AB:1 AB:1 A:1");
    close_house(&h);
}

static void test_different_adapters__share_every_step(void **state)
{
    const struct guest guests[] = {
        {.prompt = "Ann", .max_tokens = 3, .adapter = "poet"},
        {.prompt = "Bob", .max_tokens = 3, .adapter = "pirate", .scale = 2},
        {.prompt = "Cat", .max_tokens = 3},
        {.prompt = "Dan", .max_tokens = 3, .adapter = "poet", .second = "pirate"},
        {.prompt = "Eve", .max_tokens = 3, .adapter = "poet", .second = "poet"}};
    inf_op *ops[5];
    struct house h;

    (void)state;
    open_house(&h, 5);
    add_adapter(&h, "poet", NULL);
    add_adapter(&h, "pirate", NULL);
    hold(&h);
    for (int i = 0; i < 5; i++)
        ops[i] = submit(&h, &guests[i]);
    let_go(&h);
    for (int i = 0; i < 5; i++)
        assert_ends(&h, ops[i], &guests[i], INF_OK);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "ABCDE:3 ABCDE:1 ABCDE:1");
    close_house(&h);
}

static void test_long_prompt__is_prefilled_in_chunks__streams_go_on_each_step(void **state)
{
    char prompt[301];
    struct house h;
    inf_op *a = NULL;

    (void)state;
    fill_text(prompt, 'B', 300);
    open_house(&h, 4);
    h.at = 1;
    h.prompt = prompt;
    h.e.on_call = submit_at;
    a = ask(&h, "Ann", 8);
    assert_answered(&h, a, "Ann", 8);
    assert_answered(&h, h.op, prompt, 3);
    drain(&h);
    assert_string_equal(who_and_how_many(&h),
                        "A:3 A:1 B:64 A:1 B:64 A:1 B:64 A:1 B:108 AB:1 AB:1 A:1");
    close_house(&h);
}

/* The budget of a step is one, however many prompts wait. */
static void test_two_long_prompts__take_turns(void **state)
{
    char prompts[2][201];
    struct house h;
    inf_op *ops[3];

    (void)state;
    fill_text(prompts[0], 'B', 200);
    fill_text(prompts[1], 'C', 150);
    open_house(&h, 4);
    hold(&h);
    ops[0] = ask(&h, "A", 7);
    for (int i = 0; i < 2; i++)
        ops[i + 1] = ask(&h, prompts[i], 1);
    let_go(&h);
    assert_answered(&h, ops[0], "A", 7);
    for (int i = 0; i < 2; i++)
        assert_answered(&h, ops[i + 1], prompts[i], 1);
    drain(&h);
    assert_string_equal(who_and_how_many(&h),
                        "B:64 A:1 C:64 A:1 B:64 A:1 C:86 A:1 B:72 A:1 A:1 A:1");
    close_house(&h);
}

static void test_short_prompts__are_not_cut(void **state)
{
    char prompts[2][15];
    struct house h;
    inf_op *ops[3];

    (void)state;
    fill_text(prompts[0], 'B', 10);
    fill_text(prompts[1], 'C', 14);
    open_house(&h, 4);
    hold(&h);
    ops[0] = ask(&h, "A", 3);
    for (int i = 0; i < 2; i++)
        ops[i + 1] = ask(&h, prompts[i], 1);
    let_go(&h);
    assert_answered(&h, ops[0], "A", 3);
    for (int i = 0; i < 2; i++)
        assert_answered(&h, ops[i + 1], prompts[i], 1);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "B:10 C:14 A:1 A:1 A:1");
    close_house(&h);
}

/* A tenth of a second is 250 tokens, once the first block has shown it: 4 blocks. */
static void test_slow_engine__a_step_takes_a_tenth_of_a_second(void **state)
{
    char prompt[501];
    struct house h;
    inf_op *op = NULL;

    (void)state;
    fill_text(prompt, 'A', 500);
    open_house(&h, 4);
    h.e.token_us = 400;
    op = ask(&h, prompt, 2);
    assert_answered(&h, op, prompt, 2);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "A:64 A:256 A:180 A:1");
    close_house(&h);
}

/* The answers to prompts of all lengths, some of which share calls, while another decodes or not, by an
 * engine whose results depend on the cut. Into `text`; the calls into `calls`. */
static void answer_all_lengths(int32_t token_us, bool others_decode, char *text, char *calls)
{
    static const int32_t lengths[] = {2,   63,  64,  65,  127, 128, 129, 191,
                                      192, 193, 300, 300, 300, 512, 700, 1000};
    enum { N = sizeof lengths / sizeof *lengths };
    inf_op *ops[N];
    inf_op *other = NULL;
    struct house h;

    open_house(&h, 16);
    h.e.token_us = token_us;
    h.e.cuts_show = true;
    hold(&h);
    if (others_decode)
        other = ask(&h, "A", 200);
    for (int i = others_decode; i < N; i++) {
        char prompt[1001];

        fill_text(prompt, (char)('B' + i), lengths[i]);
        ops[i] = ask(&h, prompt, 8);
    }
    let_go(&h);
    for (int i = others_decode; i < N; i++) {
        assert_int_equal(inf_op_wait(ops[i], -1, NULL), INF_OK);
        assert_int_equal(result_of(ops[i]).text.len, 8);
        memcpy(text + i * 8, result_of(ops[i]).text.data, 8);
        inf_op_release(ops[i]);
    }
    inf_op_release(other);
    drain(&h);
    strcpy(calls, who_and_how_many(&h));
    close_house(&h);
}

static void test_results__do_not_depend_on_the_pace_or_the_company(void **state)
{
    static const int32_t paces[] = {0, 300, 500, 1000, 20000};
    enum { N_TEXT = 16 * 8, N_CALLS = 4096 };
    char expected[N_TEXT] = "";
    char before[N_CALLS] = "";

    (void)state;
    answer_all_lengths(0, false, expected, before);
    for (int i = 0; i < 10; i++) {
        char text[N_TEXT];
        char calls[N_CALLS] = "";

        memcpy(text, expected, sizeof text);
        answer_all_lengths(paces[i / 2], i % 2, text, calls);
        assert_memory_equal(text, expected, sizeof text);
        if (i % 2 == 0 && i > 0 && paces[i / 2] < 20000)
            assert_string_not_equal(calls, before); /* the pace had an effect */
        strcpy(before, calls);
    }
}

static void test_nobody_decodes__prompts_take_the_whole_call(void **state)
{
    char prompt[1001];
    struct house h;
    inf_op *op = NULL;

    (void)state;
    fill_text(prompt, 'A', 1000);
    open_house(&h, 4);
    op = ask(&h, prompt, 2);
    assert_answered(&h, op, prompt, 2);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "A:64 A:512 A:424 A:1");
    assert_int_equal(h.e.n_context, 1024); /* grown by doubling, once for each time it was needed */
    close_house(&h);
}

static void test_prompts_together__are_prefilled_in_one_call(void **state)
{
    struct house h;
    inf_op *ops[3];
    static const char *const prompts[] = {"Annabel", "Barbara", "Carolas"};

    (void)state;
    open_house(&h, 4);
    hold(&h);
    for (int i = 0; i < 3; i++)
        ops[i] = ask(&h, prompts[i], 2);
    let_go(&h);
    for (int i = 0; i < 3; i++)
        assert_answered(&h, ops[i], prompts[i], 2);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "ABC:7 ABC:1");
    close_house(&h);
}

static void test_full_house__the_rest_waits__in_order(void **state)
{
    static const char *const prompts[] = {"Ann", "Bob", "Cat", "Dan"};
    struct house h;
    inf_op *ops[4];

    (void)state;
    open_house(&h, 2);
    hold(&h);
    for (int i = 0; i < 4; i++)
        ops[i] = ask(&h, prompts[i], i == 0 ? 2 : 4);
    let_go(&h);
    for (int i = 0; i < 4; i++)
        assert_answered(&h, ops[i], prompts[i], i == 0 ? 2 : 4);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "AB:3 AB:1 C:3 BC:1 BC:1 D:3 CD:1 D:1 D:1");
    close_house(&h);
}

static void test_same_prompt_again__starts_from_what_was_left(void **state)
{
    const struct guest first = {.prompt = "A man walks into", .max_tokens = 2};
    const struct guest second = {.prompt = "A man walks in", .max_tokens = 2};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 4);
    assert_ends(&h, submit(&h, &first), &first, INF_OK);
    op = submit(&h, &second);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(result_of(op).prefix_tokens, 13);
    assert_ends(&h, op, &second, INF_OK);
    assert_int_equal(drain(&h).prefix_tokens, 13);
    close_house(&h);
}

static int64_t prefix_of(struct house *h, const struct guest *g)
{
    inf_op *op = submit(h, g);
    int64_t n = 0;

    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    n = result_of(op).prefix_tokens;
    assert_ends(h, op, g, INF_OK);
    return n;
}

static void test_several_adapters__their_prefix_is_theirs_and_outlives_them(void **state)
{
    const struct guest both = {
        .prompt = "A man walks into a bar", .max_tokens = 2, .adapter = "poet", .second = "pirate"};
    const struct guest turned = {
        .prompt = "A man walks into a bar", .max_tokens = 2, .adapter = "pirate", .second = "poet"};
    const struct guest one = {
        .prompt = "A man walks into a bar", .max_tokens = 2, .adapter = "poet"};
    struct free_adapter pirate = {0};
    struct house h;

    (void)state;
    open_house(&h, 4);
    add_adapter(&h, "poet", NULL);
    add_adapter(&h, "pirate", &pirate);
    assert_int_equal(prefix_of(&h, &both), 0);
    assert_int_equal(prefix_of(&h, &both), 21);
    assert_int_equal(prefix_of(&h, &turned), 0);
    assert_int_equal(prefix_of(&h, &one), 0);
    assert_int_equal(prefix_of(&h, &both), 21);
    assert_int_equal(registry_remove(h.adapters, "pirate", NULL, NULL, NULL), INF_OK);
    assert_true(pirate.destroyed); /* no slot holds it */
    add_adapter(&h, "pirate", NULL);
    assert_int_equal(prefix_of(&h, &both), 0); /* another generation */
    assert_int_equal(prefix_of(&h, &one), 21);
    close_house(&h);
}

/* The same id, loaded again, is another adapter. */
static void test_replaced_adapter__old_prefix_is_not_used(void **state)
{
    const struct guest g = {.prompt = "A man walks into", .max_tokens = 2, .adapter = "poet"};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 4);
    add_adapter(&h, "poet", NULL);
    assert_ends(&h, submit(&h, &g), &g, INF_OK);
    add_adapter(&h, "poet", NULL);
    op = submit(&h, &g);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(result_of(op).prefix_tokens, 0);
    assert_ends(&h, op, &g, INF_OK);
    close_house(&h);
}

/* ------------------------------------------------------------------ ends */

static void check_script(const char *text, int32_t max_tokens, const char *stop, const char *shown,
                         int32_t finish, int64_t completion)
{
    const struct guest g = {.prompt = "Ann", .max_tokens = max_tokens};
    inf_request r = request_of(&g);
    inf_text stop_text = inf_str(stop);
    struct house h;
    inf_op *op = NULL;

    r.stop = &stop_text;
    r.n_stop = stop ? 1 : 0;
    open_house(&h, 2);
    free_engine_script(&h.e, "Ann", text);
    op = try_to_submit(&h, &r, &g);
    assert_non_null(op);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_text(op, shown);
    assert_int_equal(result_of(op).finish, finish);
    assert_int_equal(result_of(op).completion_tokens, completion);
    inf_op_release(op);
    assert_int_equal(drain(&h).requests, 1);
    close_house(&h);
}

static void test_end__by_the_models_end_the_length_or_a_stop_string(void **state)
{
    (void)state;
    check_script("well", 10, NULL, "well", INF_FINISH_STOP, 5);
    check_script("well, well", 4, NULL, "well", INF_FINISH_LENGTH, 4);
    check_script("well, well", 10, ", ", "well", INF_FINISH_STOP, 6);
}

static void cancel_at(void *arg, const struct free_call *call)
{
    struct house *h = arg;

    if (number_of(h, call) == h->at)
        inf_op_cancel(h->op);
}

/* The others move together and go on in one call. */
static void test_cancel__running__leaves_at_the_next_step_with_its_text(void **state)
{
    const struct guest b = {.prompt = "Bob", .max_tokens = 100};
    struct house h;
    inf_op *a = NULL;
    inf_op *c = NULL;

    (void)state;
    open_house(&h, 4);
    h.at = 3;
    h.e.on_call = cancel_at;
    hold(&h);
    a = ask(&h, "Ann", 6);
    h.op = submit(&h, &b);
    c = ask(&h, "Cat", 6);
    let_go(&h);
    assert_answered(&h, a, "Ann", 6);
    assert_answered(&h, c, "Cat", 6);
    assert_int_equal(inf_op_wait(h.op, -1, NULL), INF_ERROR_CANCELLED);
    assert_int_equal(result_of(h.op).completion_tokens, 4); /* the step in progress is the last */
    assert_ends(&h, h.op, &b, INF_ERROR_CANCELLED);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "ABC:3 ABC:1 ABC:1 ABC:1 AC:1 AC:1");
    close_house(&h);
}

static void test_cancel__while_prefilling__computes_no_further_chunk(void **state)
{
    char prompt[1001];
    struct guest a = {.prompt = prompt, .max_tokens = 5};
    struct house h;

    (void)state;
    fill_text(prompt, 'A', 1000);
    open_house(&h, 4);
    h.at = 0;
    h.e.on_call = cancel_at;
    hold(&h);
    h.op = submit(&h, &a);
    let_go(&h);
    assert_ends(&h, h.op, &a, INF_ERROR_CANCELLED);
    drain(&h);
    assert_int_equal(count_calls(&h, FREE_DECODE), 1);
    close_house(&h);
}

/* A prompt of 40 s, cancelled in its third step. */
static void test_cancel__of_a_slow_prefill__ends_with_the_step(void **state)
{
    char prompt[1001];
    struct guest a = {.prompt = prompt, .max_tokens = 5};
    struct house h;

    (void)state;
    fill_text(prompt, 'A', 1000);
    open_house(&h, 4);
    h.e.token_us = 40000;
    h.at = 2;
    h.e.on_call = cancel_at;
    hold(&h);
    h.op = submit(&h, &a);
    let_go(&h);
    assert_ends(&h, h.op, &a, INF_ERROR_CANCELLED);
    drain(&h);
    assert_string_equal(who_and_how_many(&h), "A:64 A:64 A:64");
    close_house(&h);
}

static void test_cancel__waiting__is_never_computed_and_does_not_wait(void **state)
{
    const struct guest b = {.prompt = "Bob", .max_tokens = 5};
    struct house h;
    inf_op *a = NULL;

    (void)state;
    open_house(&h, 1);
    h.at = 2;
    h.e.on_call = cancel_at;
    hold(&h);
    a = ask(&h, "Ann", 500);
    h.op = submit(&h, &b);
    let_go(&h);
    assert_ends(&h, h.op, &b, INF_ERROR_CANCELLED);
    assert_answered(&h, a, "Ann", 500);
    drain(&h);
    assert_null(strchr(who_and_how_many(&h), 'B'));
    close_house(&h);
}

static void test_cancel__before_it_is_taken(void **state)
{
    const struct guest a = {.prompt = "Ann", .max_tokens = 5};
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 1);
    hold(&h);
    op = submit(&h, &a);
    inf_op_cancel(op);
    let_go(&h);
    assert_ends(&h, op, &a, INF_ERROR_CANCELLED);
    drain(&h);
    assert_int_equal(count_calls(&h, FREE_DECODE), 0);
    close_house(&h);
}

/* In decode call h->at the engine is so slow that the operation's time is over. */
static void outlast_at(void *arg, const struct free_call *call)
{
    struct house *h = arg;

    while (number_of(h, call) == h->at && op_stop_code(h->op) == INF_OK)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
}

static void test_timeout__running__ends_with_its_text(void **state)
{
    const struct guest a = {.prompt = "Ann", .max_tokens = 100, .timeout_ms = 10};
    struct house h;

    (void)state;
    open_house(&h, 1);
    h.at = 1;
    h.e.on_call = outlast_at;
    hold(&h);
    h.op = submit(&h, &a);
    let_go(&h);
    assert_int_equal(inf_op_wait(h.op, -1, NULL), INF_ERROR_TIMEOUT);
    assert_int_equal(result_of(h.op).completion_tokens, 2); /* the step in progress is the last */
    assert_ends(&h, h.op, &a, INF_ERROR_TIMEOUT);
    close_house(&h);
}

static void test_timeout__waiting__ends_while_others_run(void **state)
{
    const struct guest b = {.prompt = "Bob", .max_tokens = 100, .timeout_ms = 10};
    struct house h;
    inf_op *a = NULL;

    (void)state;
    open_house(&h, 1);
    h.at = 2;
    h.e.on_call = outlast_at;
    hold(&h);
    a = ask(&h, "Ann", 100);
    h.op = submit(&h, &b);
    op_ref(h.op); /* it ends while the engine still asks for its time */
    let_go(&h);
    assert_ends(&h, h.op, &b, INF_ERROR_TIMEOUT);
    assert_answered(&h, a, "Ann", 100);
    drain(&h);
    op_unref(h.op);
    assert_null(strchr(who_and_how_many(&h), 'B'));
    close_house(&h);
}

static void test_drain__lets_all_end_that_was_submitted(void **state)
{
    static const char *const prompts[] = {"Ann", "Bob", "Cat", "Dan", "Eve"};
    struct house h;
    inf_op *ops[5];
    struct scheduler_stats stats;

    (void)state;
    open_house(&h, 2);
    for (int i = 0; i < 5; i++)
        ops[i] = ask(&h, prompts[i], 50);
    stats = drain(&h);
    assert_int_equal(stats.requests, 5);
    assert_int_equal(stats.active, 0);
    assert_int_equal(stats.queued, 0);
    for (int i = 0; i < 5; i++)
        assert_answered(&h, ops[i], prompts[i], 50);
    close_house(&h);
}

struct order {
    struct scheduler_task task;
    struct house *h;
    int32_t steps_before;
};

static void note_order(struct scheduler_task *task)
{
    struct order *o = (struct order *)task;

    o->steps_before = count_calls(o->h, FREE_DECODE);
}

static struct order tasks[2];

static void run_tasks_at(void *arg, const struct free_call *call)
{
    struct house *h = arg;

    if (number_of(h, call) != h->at)
        return;
    for (int i = 0; i < 2; i++) {
        tasks[i] = (struct order){.task.run = note_order, .h = h};
        scheduler_run_task(h->s, &tasks[i].task);
    }
}

static void test_task__runs_before_the_next_step(void **state)
{
    struct house h;
    inf_op *op = NULL;

    (void)state;
    open_house(&h, 2);
    h.at = 4;
    h.e.on_call = run_tasks_at;
    op = ask(&h, "Ann", 20);
    assert_answered(&h, op, "Ann", 20);
    drain(&h);
    assert_int_equal(tasks[0].steps_before, 5);
    assert_int_equal(tasks[1].steps_before, 5);
    close_house(&h);
}

static void test_task__given_at_the_end__is_run(void **state)
{
    struct order o = {.task.run = note_order, .steps_before = -1};
    struct house h;

    (void)state;
    open_house(&h, 2);
    o.h = &h;
    scheduler_run_task(h.s, &o.task);
    drain(&h);
    assert_int_equal(o.steps_before, 0);
    close_house(&h);
}

static void *drain_elsewhere(void *arg)
{
    drain(arg);
    return NULL;
}

/* Holds the worker until it is being drained, which nobody can see: for long enough. */
static void wait_for_drain(struct scheduler_task *task)
{
    struct order *o = (struct order *)task;

    scheduler_run_task(o->h->s, &tasks[1].task);
    nanosleep(&(struct timespec){0, 20000000}, NULL);
}

static void test_task__given_while_draining__is_run(void **state)
{
    struct house h;
    pthread_t thread;

    (void)state;
    open_house(&h, 2);
    tasks[0] = (struct order){.task.run = wait_for_drain, .h = &h};
    tasks[1] = (struct order){.task.run = note_order, .h = &h, .steps_before = -1};
    scheduler_run_task(h.s, &tasks[0].task);
    assert_int_equal(pthread_create(&thread, NULL, drain_elsewhere, &h), 0);
    pthread_join(thread, NULL);
    assert_int_equal(tasks[1].steps_before, 0);
    close_house(&h);
}

/* ------------------------------------------------------------------ the pin */

static void count_unloaded(void *arg)
{
    ++*(int32_t *)arg;
}

static void prepare_cancel(struct house *h)
{
    h->e.on_call = cancel_at;
    h->at = 2;
}

static void prepare_timeout(struct house *h)
{
    h->e.on_call = outlast_at;
    h->at = 2;
}

static void prepare_decode_error(struct house *h)
{
    h->e.fail_nth[FREE_DECODE] = 2;
}

static void prepare_not_finite(struct house *h)
{
    h->e.nan_rows['A'] = -1;
}

static void prepare_no_room(struct house *h)
{
    h->e.fail_nth[FREE_RESERVE] = 1; /* the first 512 tokens are there */
}

static void prepare_script(struct house *h)
{
    free_engine_script(&h->e, h->prompt, "well");
}

static void prepare_nothing(struct house *h)
{
    (void)h;
}

/* However a request ends, its adapters can go at once. */
static void test_pin__is_released_on_every_path(void **state)
{
    static const struct {
        void (*prepare)(struct house *h);
        int32_t n_prompt, code;
    } paths[] = {{prepare_nothing, 20, INF_OK},
                 {prepare_script, 20, INF_OK},
                 {prepare_cancel, 20, INF_ERROR_CANCELLED},
                 {prepare_timeout, 20, INF_ERROR_TIMEOUT},
                 {prepare_decode_error, 20, INF_ERROR_BACKEND},
                 {prepare_not_finite, 20, INF_ERROR_NOT_FINITE},
                 {prepare_no_room, 600, INF_ERROR_BACKEND}};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct free_adapter natures[2] = {{0}};
        char prompt[1001];
        struct guest g = {
            .prompt = prompt, .max_tokens = 30, .adapter = "poet", .second = "pirate"};
        struct house h;
        int32_t unloaded = 0;

        fill_text(prompt, 'A', paths[i].n_prompt);
        open_house(&h, 2);
        h.prompt = prompt;
        g.timeout_ms = paths[i].code == INF_ERROR_TIMEOUT ? 20 : 0;
        add_adapter(&h, "poet", &natures[0]);
        add_adapter(&h, "pirate", &natures[1]);
        hold(&h);
        paths[i].prepare(&h);
        h.op = submit(&h, &g);
        for (int k = 0; k < 2; k++)
            assert_int_equal(
                registry_remove(h.adapters, k ? "pirate" : "poet", count_unloaded, &unloaded, NULL),
                INF_OK);
        assert_false(natures[0].destroyed || natures[1].destroyed);
        let_go(&h);
        assert_int_equal(inf_op_wait(h.op, -1, NULL), paths[i].code);
        assert_true(natures[0].destroyed && natures[1].destroyed);
        assert_int_equal(unloaded, 2);
        inf_op_release(h.op);
        close_house(&h);
    }
}

/* ------------------------------------------------------------------ statistics */

static void test_statistics__count_what_happened(void **state)
{
    const struct guest a = {.prompt = "Ann", .max_tokens = 3, .adapter = "poet"};
    const struct guest b = {.prompt = "Bob", .max_tokens = 5};
    struct house h;
    inf_op *ops[2];
    struct scheduler_stats stats;
    inf_result r;

    (void)state;
    open_house(&h, 2);
    add_adapter(&h, "poet", NULL);
    hold(&h);
    ops[0] = submit(&h, &a);
    ops[1] = submit(&h, &b);
    scheduler_get_stats(h.s, &stats);
    assert_int_equal(stats.queued, 2);
    assert_int_equal(stats.active, 0);
    let_go(&h);
    for (int i = 0; i < 2; i++)
        assert_int_equal(inf_op_wait(ops[i], -1, NULL), INF_OK);
    stats = drain(&h);
    assert_string_equal(who_and_how_many(&h), "AB:3 AB:1 AB:1 B:1 B:1");
    assert_int_equal(stats.steps, 5);
    assert_int_equal(stats.shared_steps, 3);
    assert_int_equal(stats.rows, 6 + 2 + 2 + 1 + 1);
    assert_int_equal(stats.requests, 2);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(stats.active, 0);
    r = result_of(ops[0]);
    assert_int_equal(r.steps, 3);
    assert_true(r.mean_rows == 2);
    assert_true(r.mean_adapters == 1);
    r = result_of(ops[1]);
    assert_int_equal(r.steps, 5);
    assert_true(r.mean_rows == 8.0 / 5);
    assert_true(r.mean_adapters == 3.0 / 5);
    inf_op_release(ops[0]);
    inf_op_release(ops[1]);
    close_house(&h);
}

/* The mean number of different ones in steps that five requests take together. */
static double different_adapters(const struct guest *uses)
{
    struct guest guests[5];
    struct house h;
    inf_op *ops[5];
    double mean = 0;

    open_house(&h, 8);
    add_adapter(&h, "poet", NULL);
    add_adapter(&h, "pirate", NULL);
    hold(&h);
    for (int i = 0; i < 5; i++) {
        static const char *const prompts[] = {"Ann", "Bob", "Cat", "Dan", "Eve"};

        guests[i] = uses[i];
        guests[i].prompt = prompts[i];
        guests[i].max_tokens = 4;
        ops[i] = submit(&h, &guests[i]);
    }
    let_go(&h);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(inf_op_wait(ops[i], -1, NULL), INF_OK);
        mean = result_of(ops[i]).mean_adapters;
        assert_ends(&h, ops[i], &guests[i], INF_OK);
    }
    close_house(&h);
    return mean;
}

static void test_statistics__equal_adapters_and_scales__count_once(void **state)
{
    static const struct guest singles[] = {{.adapter = "poet"},
                                           {.adapter = "pirate"},
                                           {.adapter = "poet", .scale = 1},
                                           {.adapter = "poet", .scale = 2},
                                           {.adapter = NULL}};
    static const struct guest several[] = {
        {.adapter = "poet", .second = "pirate"},
        {.adapter = "pirate", .second = "poet", .second_scale = 2},
        {.adapter = "poet", .second = "poet"},
        {.adapter = "pirate"},
        {.adapter = NULL}};
    static const struct guest alike[] = {{.adapter = "poet", .second = "poet"},
                                         {.adapter = "poet", .second = "poet"},
                                         {.adapter = "poet"},
                                         {.adapter = NULL},
                                         {.adapter = "poet", .second = "poet"}};

    (void)state;
    assert_true(different_adapters(singles) == 3);
    assert_true(different_adapters(several) == 3);
    assert_true(different_adapters(alike) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_request__prefilled_then_a_token_a_step),
        cmocka_unit_test(test_prompt_of_one_token__is_decoded),
        cmocka_unit_test(test_new_request__joins_at_the_next_step),
        cmocka_unit_test(test_different_adapters__share_every_step),
        cmocka_unit_test(test_long_prompt__is_prefilled_in_chunks__streams_go_on_each_step),
        cmocka_unit_test(test_two_long_prompts__take_turns),
        cmocka_unit_test(test_short_prompts__are_not_cut),
        cmocka_unit_test(test_slow_engine__a_step_takes_a_tenth_of_a_second),
        cmocka_unit_test(test_results__do_not_depend_on_the_pace_or_the_company),
        cmocka_unit_test(test_nobody_decodes__prompts_take_the_whole_call),
        cmocka_unit_test(test_prompts_together__are_prefilled_in_one_call),
        cmocka_unit_test(test_full_house__the_rest_waits__in_order),
        cmocka_unit_test(test_same_prompt_again__starts_from_what_was_left),
        cmocka_unit_test(test_several_adapters__their_prefix_is_theirs_and_outlives_them),
        cmocka_unit_test(test_replaced_adapter__old_prefix_is_not_used),
        cmocka_unit_test(test_end__by_the_models_end_the_length_or_a_stop_string),
        cmocka_unit_test(test_cancel__running__leaves_at_the_next_step_with_its_text),
        cmocka_unit_test(test_cancel__while_prefilling__computes_no_further_chunk),
        cmocka_unit_test(test_cancel__of_a_slow_prefill__ends_with_the_step),
        cmocka_unit_test(test_cancel__waiting__is_never_computed_and_does_not_wait),
        cmocka_unit_test(test_cancel__before_it_is_taken),
        cmocka_unit_test(test_timeout__running__ends_with_its_text),
        cmocka_unit_test(test_timeout__waiting__ends_while_others_run),
        cmocka_unit_test(test_drain__lets_all_end_that_was_submitted),
        cmocka_unit_test(test_task__runs_before_the_next_step),
        cmocka_unit_test(test_task__given_at_the_end__is_run),
        cmocka_unit_test(test_task__given_while_draining__is_run),
        cmocka_unit_test(test_pin__is_released_on_every_path),
        cmocka_unit_test(test_statistics__count_what_happened),
        cmocka_unit_test(test_statistics__equal_adapters_and_scales__count_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
