/* The list that every provider must pass: see conformance.h. */
#include "conformance.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct subject *subject;

/* ------------------------------------------------------------------ tools */

inf_provider_config subject_config(void)
{
    inf_provider_config config;

    inf_provider_config_default(&config, sizeof config);
    config.type = subject->type;
    config.base_url = subject->base_url;
    if (subject->in_process)
        config.n_threads = 1; /* a tiny model on shared cores: spinning threads only wait */
    return config;
}

void open_bench(struct bench *b, const inf_provider_config *config)
{
    inf_provider_config own = subject_config();
    inf_error err;

    assert_int_equal(inf_context_create(&b->context, NULL, &err), INF_OK);
    if (inf_provider_create(&b->provider, b->context, config ? config : &own, &err) != INF_OK)
        fail_msg("%s", err.message);
}

void close_bench(struct bench *b)
{
    inf_error err;

    inf_provider_release(b->provider);
    assert_int_equal(inf_context_close(b->context, &err), INF_OK);
}

inf_request greedy(const char *prompt, int32_t n, const char *adapter)
{
    inf_request r;

    inf_request_default(&r, sizeof r);
    r.prompt = inf_str(prompt);
    r.model = inf_str(subject->model);
    r.max_tokens = (inf_maybe_i32){true, n};
    r.temperature = (inf_maybe_f32){true, 0};
    r.adapter_id = inf_str(adapter);
    r.ignore_eos = subject->type != INF_PROVIDER_OLLAMA; /* which cannot */
    return r;
}

/* Tokens that take long, and fit the window. */
static int32_t many_tokens(void)
{
    return subject->in_process ? 4000 : 1900;
}

inf_op *run(struct bench *b, const inf_request *request)
{
    inf_op *op = NULL;
    inf_error err;

    if (inf_generate(&op, b->provider, request, &err) != INF_OK)
        fail_msg("%s", err.message);
    return op;
}

inf_result result_of(const inf_op *op)
{
    inf_result r;

    assert_int_equal(inf_op_result(op, &r, sizeof r), INF_OK);
    return r;
}

void load(struct bench *b, const char *id, const char *path)
{
    inf_error err;

    if (inf_adapter_load(b->provider, id, path, NULL, &err) != INF_OK)
        fail_msg("%s", err.message);
}

inf_provider_stats stats_of(struct bench *b)
{
    inf_provider_stats s;
    inf_error err;

    assert_int_equal(inf_provider_get_stats(b->provider, &s, sizeof s, &err), INF_OK);
    return s;
}

static void assert_same_logprobs(const inf_logprob *p, const inf_logprob *q)
{
    assert_int_equal(p->token_id, q->token_id);
    assert_memory_equal(&p->logprob, &q->logprob, sizeof p->logprob);
    assert_int_equal(p->n_top, q->n_top);
    for (size_t k = 0; k < p->n_top; k++) {
        assert_int_equal(p->top[k].token_id, q->top[k].token_id);
        assert_memory_equal(&p->top[k].logprob, &q->top[k].logprob, sizeof(float));
    }
}

void assert_same_answer(const inf_op *a, const inf_op *b)
{
    inf_result x = result_of(a);
    inf_result y = result_of(b);

    assert_int_equal(x.n_token_ids, y.n_token_ids);
    assert_memory_equal(x.token_ids, y.token_ids, x.n_token_ids * sizeof *x.token_ids);
    assert_int_equal(x.text.len, y.text.len);
    assert_memory_equal(x.text.data, y.text.data, x.text.len);
    assert_int_equal(x.finish, y.finish);
    assert_int_equal(x.completion_tokens, y.completion_tokens);
    assert_int_equal(x.n_logprobs, y.n_logprobs);
    for (size_t i = 0; i < x.n_logprobs; i++)
        assert_same_logprobs(&x.logprobs[i], &y.logprobs[i]);
}

static void assert_same_text(const inf_result *a, const inf_result *b)
{
    assert_int_equal(a->text.len, b->text.len);
    assert_memory_equal(a->text.data, b->text.data, a->text.len);
}

static void assert_text_is(inf_text text, const char *want)
{
    assert_non_null(text.data);
    assert_int_equal(text.len, strlen(want));
    assert_memory_equal(text.data, want, text.len);
}

/* ------------------------------------------------------------------ generate */

static void test_generate__max_tokens__ends_with_length_and_counts_add_up(void **state)
{
    struct bench b;
    inf_request request = greedy("What is gravity?", 12, NULL);
    inf_op *op = NULL;
    inf_result r;

    (void)state;
    open_bench(&b, NULL);
    op = run(&b, &request);
    r = result_of(op);
    assert_text_is(r.finish_reason, "length");
    assert_int_equal(r.finish, INF_FINISH_LENGTH);
    assert_int_equal(r.completion_tokens, 12);
    assert_true(r.prompt_tokens > 0);
    assert_int_equal(r.token_count, r.prompt_tokens + r.completion_tokens);
    assert_null(r.adapter_id.data);
    assert_true(r.text.len > 0);
    if (subject->in_process) {
        assert_int_equal(r.n_token_ids, 12);
        assert_text_is(r.model, subject->base_url);
    } else {
        assert_text_is(r.model, subject->model);
    }
    inf_op_release(op);
    close_bench(&b);
}

struct collected {
    char text[1 << 16];
    size_t len;
    int chunks, done;
    int64_t last_count;
};

static void collect(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    struct collected *c = user_data;

    (void)op;
    assert_int_equal(c->done, 0);
    assert_true(c->len + chunk->text.len <= sizeof c->text);
    memcpy(c->text + c->len, chunk->text.data, chunk->text.len);
    c->len += chunk->text.len;
    c->chunks++;
    assert_true(chunk->n_tokens >= c->last_count);
    c->last_count = chunk->n_tokens;
}

static void count_done(void *user_data, inf_op *op)
{
    (void)op;
    ((struct collected *)user_data)->done++;
}

static inf_callbacks collecting(struct collected *c)
{
    inf_callbacks callbacks;

    memset(c, 0, sizeof *c);
    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = collect;
    callbacks.on_done = count_done;
    callbacks.user_data = c;
    return callbacks;
}

static void test_generate__streaming__chunks_put_together_are_the_text(void **state)
{
    static struct collected c;
    struct bench b;
    inf_request request = greedy("Tell me a story about a fox.", 40, NULL);
    inf_callbacks callbacks = collecting(&c);
    inf_op *op = NULL;
    inf_result r;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(inf_generate_start(&op, b.provider, &request, &callbacks, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_OK);
    r = result_of(op);
    assert_int_equal(c.done, 1);
    assert_true(c.chunks >= 1);
    assert_int_equal(c.len, r.text.len);
    assert_memory_equal(c.text, r.text.data, c.len);
    inf_op_release(op);
    close_bench(&b);
}

/* The first beginning of a code point at or after `at`. */
static size_t code_point_at(inf_text t, size_t at)
{
    while (at < t.len && ((unsigned char)t.data[at] & 0xc0) == 0x80)
        at++;
    return at;
}

static void test_generate__stop_string__ends_before_it(void **state)
{
    struct bench b;
    inf_request request = greedy("What is gravity?", 24, NULL);
    inf_text stop;
    inf_op *whole = NULL;
    inf_op *cut = NULL;
    inf_result a, r;
    size_t at = 0;

    (void)state;
    open_bench(&b, NULL);
    whole = run(&b, &request);
    a = result_of(whole);
    assert_true(a.text.len > 12);
    at = code_point_at(a.text, 9);
    stop = (inf_text){a.text.data + at, code_point_at(a.text, at + 3) - at};
    request.stop = &stop;
    request.n_stop = 1;
    cut = run(&b, &request);
    r = result_of(cut);
    assert_text_is(r.finish_reason, "stop");
    assert_true(r.text.len <= at);
    assert_memory_equal(r.text.data, a.text.data, r.text.len);
    assert_null(memmem(r.text.data, r.text.len, stop.data, stop.len));
    inf_op_release(whole);
    inf_op_release(cut);
    close_bench(&b);
}

static void test_generate__same_seed__same_text(void **state)
{
    struct bench b;
    inf_request request = greedy("Once upon a time", 16, NULL);
    inf_op *first = NULL;
    inf_op *second = NULL;
    inf_result a, r;

    (void)state;
    request.temperature.value = 1.2f;
    request.seed = (inf_maybe_u64){true, 7};
    open_bench(&b, NULL);
    first = run(&b, &request);
    second = run(&b, &request);
    a = result_of(first);
    r = result_of(second);
    assert_same_text(&a, &r);
    inf_op_release(first);
    inf_op_release(second);
    close_bench(&b);
}

static void test_generate__invalid_options__are_refused_at_the_start(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 0, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(inf_generate_start(&op, b.provider, &request, NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    request = greedy("hi", 4, NULL);
    request.temperature.value = -1;
    assert_int_equal(inf_generate_start(&op, b.provider, &request, NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    request = greedy("hi", 4, NULL);
    request.timeout_ms = 0;
    assert_int_equal(inf_generate_start(&op, b.provider, &request, NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_null(op);
    close_bench(&b);
}

static void cancel_after_three(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    collect(user_data, op, chunk);
    if (((struct collected *)user_data)->chunks == 3)
        inf_op_cancel(op);
}

static void test_cancel__while_streaming__ends_soon_and_keeps_the_text(void **state)
{
    static struct collected c;
    struct bench b;
    inf_request request = greedy("Count to a thousand.", 900, NULL);
    inf_callbacks callbacks = collecting(&c);
    inf_op *op = NULL;
    inf_result r;
    inf_error err;

    (void)state;
    callbacks.on_token = cancel_after_three;
    open_bench(&b, NULL);
    assert_int_equal(inf_generate_start(&op, b.provider, &request, &callbacks, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_CANCELLED);
    r = result_of(op);
    assert_int_equal(c.done, 1);
    assert_int_equal(c.len, r.text.len);
    assert_true(r.completion_tokens >= 3 && r.completion_tokens < 900);
    assert_null(r.finish_reason.data);
    inf_op_release(op);
    close_bench(&b);
}

static void test_timeout__while_generating__is_a_timeout_with_the_text_so_far(void **state)
{
    struct bench b;
    inf_request request = greedy("Count to a million.", many_tokens(), NULL);
    inf_request warm_up = greedy("hi", 1, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    inf_op_release(run(&b, &warm_up)); /* loads the model */
    request.timeout_ms = 150;
    assert_int_equal(inf_generate_start(&op, b.provider, &request, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_TIMEOUT);
    assert_int_not_equal(err.detail, INF_WAIT_EXPIRED);
    inf_op_release(op);
    close_bench(&b);
}

static void test_release__last_reference_in_flight__cancels(void **state)
{
    static struct collected c;
    struct bench b;
    inf_request request = greedy("Count to a million.", many_tokens(), NULL);
    inf_callbacks callbacks = collecting(&c);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(inf_generate_start(&op, b.provider, &request, &callbacks, &err), INF_OK);
    inf_op_release(op);
    close_bench(&b);
    assert_int_equal(c.done, 1);
}

static void test_generate__many_at_once__each_answer_is_that_of_the_request_alone(void **state)
{
    static const char *const prompts[] = {
        "What is gravity?",     "Name a colour.",  "Who wrote Hamlet?", "What is two plus two?",
        "Why is the sky blue?", "Tell me a joke.", "What is a river?",  "Say hello in French."};
    struct bench b;
    inf_op *alone[8];
    inf_op *together[8];
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    for (int i = 0; i < 8; i++) {
        inf_request request = greedy(prompts[i], 16, NULL);

        alone[i] = run(&b, &request);
    }
    for (int i = 0; i < 8; i++) {
        inf_request request = greedy(prompts[i], 16, NULL);

        assert_int_equal(inf_generate_start(&together[i], b.provider, &request, NULL, &err),
                         INF_OK);
    }
    for (int i = 0; i < 8; i++) {
        inf_result a = result_of(alone[i]);
        inf_result r;

        assert_int_equal(inf_op_wait(together[i], -1, &err), INF_OK);
        r = result_of(together[i]);
        assert_same_text(&a, &r);
        inf_op_release(alone[i]);
        inf_op_release(together[i]);
    }
    close_bench(&b);
}

/* ------------------------------------------------------------------ adapters */

static void test_generate__unknown_adapter__is_refused_by_name(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, "nobody");
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    if (!subject->in_process)
        return;
    open_bench(&b, NULL);
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "nobody"));
    inf_op_release(op);
    close_bench(&b);
}

static void test_adapters__load_list_generate_unload__round_trip(void **state)
{
    struct bench b;
    inf_request base = greedy("What is gravity?", 16, NULL);
    inf_request adapted = greedy("What is gravity?", 16, "b");
    inf_adapter_list *list = NULL;
    inf_op *plain = NULL;
    inf_op *styled = NULL;
    inf_result a, r;
    inf_error err;

    (void)state;
    if (!subject->has_adapters)
        return;
    open_bench(&b, NULL);
    load(&b, "b", subject->adapters[0]);
    load(&b, "a", subject->adapters[1]);
    assert_int_equal(inf_adapters(&list, b.provider, &err), INF_OK);
    assert_int_equal(inf_adapter_list_count(list), 2);
    assert_string_equal(inf_adapter_list_id(list, 0), "a");
    assert_string_equal(inf_adapter_list_id(list, 1), "b");
    assert_null(inf_adapter_list_id(list, 2));
    inf_adapter_list_free(list);
    plain = run(&b, &base);
    styled = run(&b, &adapted);
    a = result_of(plain);
    r = result_of(styled);
    assert_text_is(r.adapter_id, "b");
    assert_false(a.text.len == r.text.len && memcmp(a.text.data, r.text.data, a.text.len) == 0);
    assert_int_equal(inf_adapter_unload(b.provider, "a", &err), INF_OK);
    assert_int_equal(inf_adapter_unload(b.provider, "b", &err), INF_OK);
    assert_int_not_equal(inf_adapter_unload(b.provider, "b", &err), INF_OK);
    assert_int_equal(inf_adapters(&list, b.provider, &err), INF_OK);
    assert_int_equal(inf_adapter_list_count(list), 0);
    inf_adapter_list_free(list);
    inf_op_release(plain);
    inf_op_release(styled);
    close_bench(&b);
}

static void test_adapters__replaced__new_requests_get_the_new_one(void **state)
{
    struct bench b;
    inf_request request = greedy("What is gravity?", 16, "x");
    inf_op *old = NULL;
    inf_op *fresh = NULL;
    inf_op *replaced = NULL;
    inf_result a, n, r;

    (void)state;
    if (!subject->has_adapters)
        return;
    open_bench(&b, NULL);
    load(&b, "x", subject->adapters[0]);
    old = run(&b, &request);
    load(&b, "x", subject->adapters[1]);
    replaced = run(&b, &request);
    load(&b, "y", subject->adapters[1]);
    request.adapter_id = inf_str("y");
    fresh = run(&b, &request);
    a = result_of(old);
    r = result_of(replaced);
    n = result_of(fresh);
    assert_same_text(&r, &n);
    assert_false(a.text.len == r.text.len && memcmp(a.text.data, r.text.data, a.text.len) == 0);
    assert_true(r.adapter_generation > a.adapter_generation);
    inf_op_release(old);
    inf_op_release(fresh);
    inf_op_release(replaced);
    close_bench(&b);
}

static void test_adapters__failed_load__leaves_the_old_one_serving(void **state)
{
    struct bench b;
    inf_request request = greedy("What is gravity?", 8, "x");
    inf_op *before = NULL;
    inf_op *after = NULL;
    inf_result a, r;
    inf_error err;

    (void)state;
    if (!subject->has_adapters)
        return;
    open_bench(&b, NULL);
    load(&b, "x", subject->adapters[0]);
    before = run(&b, &request);
    assert_int_not_equal(inf_adapter_load(b.provider, "x", "/nonexistent/adapter", NULL, &err),
                         INF_OK);
    after = run(&b, &request);
    a = result_of(before);
    r = result_of(after);
    assert_same_text(&a, &r);
    inf_op_release(before);
    inf_op_release(after);
    close_bench(&b);
}

/* Eight requests at once, two for each adapter: each answer is that of `alone`. true: each of them
 * shared steps with others, and with other adapters. */
static bool run_together(struct bench *b, const char *const ids[4], inf_op *const alone[4])
{
    inf_op *together[8];
    inf_error err;
    bool shared = true;

    if (subject->in_process) /* so that all eight wait for the model, and then start together */
        assert_int_equal(inf_provider_unload(b->provider, &err), INF_OK);
    for (int i = 0; i < 8; i++) {
        inf_request request = greedy("What is gravity?", 24, ids[i % 4]);

        assert_int_equal(inf_generate_start(&together[i], b->provider, &request, NULL, &err),
                         INF_OK);
    }
    for (int i = 0; i < 8; i++) {
        inf_result a = result_of(alone[i % 4]);
        inf_result r;

        assert_int_equal(inf_op_wait(together[i], -1, &err), INF_OK);
        r = result_of(together[i]);
        assert_same_text(&a, &r);
        assert_text_is(r.adapter_id, ids[i % 4]);
        shared = shared && r.mean_rows > 1 && r.mean_adapters > 1;
        inf_op_release(together[i]);
    }
    return shared;
}

static void test_adapters__requests_with_four_adapters_at_once__each_as_alone(void **state)
{
    static const char *const ids[] = {"a0", "a1", "a2", "a3"};
    struct bench b;
    inf_op *alone[4];
    bool shared = false;

    (void)state;
    if (!subject->has_adapters)
        return;
    open_bench(&b, NULL);
    for (int i = 0; i < 4; i++) {
        inf_request request = greedy("What is gravity?", 24, ids[i]);

        load(&b, ids[i], subject->adapters[i]);
        alone[i] = run(&b, &request);
    }
    /* On a busy machine one may end before the next is ready: again, then. */
    for (int tries = 0; tries < 50 && !shared; tries++)
        shared = run_together(&b, ids, alone) || !subject->in_process;
    assert_true(shared);
    for (int i = 0; i < 4; i++)
        inf_op_release(alone[i]);
    close_bench(&b);
}

static void test_adapters__unload_in_flight__lets_the_request_finish(void **state)
{
    struct bench b;
    inf_request request = greedy("Tell me a story.", 60, "x");
    inf_op *op = NULL;
    inf_op *unload = NULL;
    inf_error err;

    (void)state;
    if (!subject->has_adapters)
        return;
    open_bench(&b, NULL);
    load(&b, "x", subject->adapters[0]);
    assert_int_equal(inf_generate_start(&op, b.provider, &request, NULL, &err), INF_OK);
    assert_int_equal(inf_adapter_unload_start(&unload, b.provider, "x", NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(unload, -1, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_OK);
    assert_int_equal(result_of(op).completion_tokens, 60);
    inf_op_release(op);
    inf_op_release(unload);
    close_bench(&b);
}

static inf_request under_two(void)
{
    static const inf_request_adapter two[] = {{{"a", 1}, {true, 0.5f}}, {{"b", 1}, {false, 0}}};
    inf_request r = greedy("Tell me a story.", 12, NULL);

    r.adapters = two;
    r.n_adapters = 2;
    return r;
}

static void assert_answers_under_two(struct bench *b, const inf_request *request)
{
    inf_op *op = NULL;
    inf_result r;

    load(b, "a", subject->adapters[0]);
    load(b, "b", subject->adapters[1]);
    op = run(b, request);
    r = result_of(op);
    assert_null(r.adapter_id.data);
    assert_int_equal(r.adapter_generation, 0);
    assert_int_equal(r.n_adapters, 2);
    assert_text_is(r.adapters[0].id, "a");
    assert_text_is(r.adapters[1].id, "b");
    assert_true(r.adapters[0].scale == 0.5f && r.adapters[1].scale == 1);
    inf_op_release(op);
}

static void test_adapters__several_on_a_request__add_up_in_process__else_are_refused(void **state)
{
    struct bench b;
    inf_request request = under_two();
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    if (subject->in_process) {
        assert_answers_under_two(&b, &request);
    } else {
        assert_int_equal(inf_generate_start(&op, b.provider, &request, NULL, &err),
                         INF_ERROR_UNSUPPORTED);
        assert_null(op);
        assert_non_null(strstr(err.message, "takes one a request, and 2 are given"));
    }
    close_bench(&b);
}

#define ADAPTER_TESTS                                                                              \
    cmocka_unit_test(test_generate__unknown_adapter__is_refused_by_name),                          \
        cmocka_unit_test(test_adapters__load_list_generate_unload__round_trip),                    \
        cmocka_unit_test(test_adapters__replaced__new_requests_get_the_new_one),                   \
        cmocka_unit_test(test_adapters__failed_load__leaves_the_old_one_serving),                  \
        cmocka_unit_test(test_adapters__requests_with_four_adapters_at_once__each_as_alone),       \
        cmocka_unit_test(test_adapters__unload_in_flight__lets_the_request_finish),                \
        cmocka_unit_test(test_adapters__several_on_a_request__add_up_in_process__else_are_refused)

const struct CMUnitTest conformance_tests[] = {
    cmocka_unit_test(test_generate__max_tokens__ends_with_length_and_counts_add_up),
    cmocka_unit_test(test_generate__streaming__chunks_put_together_are_the_text),
    cmocka_unit_test(test_generate__stop_string__ends_before_it),
    cmocka_unit_test(test_generate__same_seed__same_text),
    cmocka_unit_test(test_generate__invalid_options__are_refused_at_the_start),
    cmocka_unit_test(test_cancel__while_streaming__ends_soon_and_keeps_the_text),
    cmocka_unit_test(test_timeout__while_generating__is_a_timeout_with_the_text_so_far),
    cmocka_unit_test(test_release__last_reference_in_flight__cancels),
    cmocka_unit_test(test_generate__many_at_once__each_answer_is_that_of_the_request_alone),
    ADAPTER_TESTS,
};
const size_t n_conformance_tests = sizeof conformance_tests / sizeof *conformance_tests;
