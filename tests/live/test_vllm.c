/*
 * The vllm provider on a real vLLM (on the CPU, float32): the conformance list, and what only a
 * real server can show. Each test begins with no adapter on the server.
 */
#include "live.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct subject vllm = {.type = INF_PROVIDER_VLLM, .has_adapters = true};
static const char *const random_ids[] = {"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"};

/* Long enough that its first part comes from the server's prefix cache the second time. */
static const char long_prompt[] =
    "A ship of six sailors left the harbour at dawn, with bread for nine days, water for twelve, "
    "and a chart on which the captain had drawn a small island that no one else had ever seen. On "
    "the third day the wind fell and the sea lay flat. The cook counted the loaves and said "
    "nothing. On the fourth day a bird came, white with a black cap, and sat on the rail until the "
    "evening. On the fifth the youngest of them saw smoke. Nobody believed him before the captain "
    "took the glass and looked for a long time. They rowed through the night, four at the oars and "
    "two asleep, and when the sun rose the island lay before them with a single tree and a hut of "
    "driftwood. An old woman stood at the door. She asked them one question. Write down what she "
    "asked, and what the youngest answered.";

static int fresh_server(void **state)
{
    (void)state;
    live_unload_all(subject->base_url);
    return 0;
}

static void assert_same(const inf_result *a, const inf_result *b)
{
    if (a->text.len != b->text.len || memcmp(a->text.data, b->text.data, a->text.len) != 0)
        fail_msg("\"%.*s\" is not \"%.*s\"", (int)a->text.len, a->text.data, (int)b->text.len,
                 b->text.data);
}

static bool differs(const inf_result *a, const inf_result *b)
{
    return a->text.len != b->text.len || memcmp(a->text.data, b->text.data, a->text.len) != 0;
}

/* ------------------------------------------------------------------ replacing */

/* The largest difference between the two answers' log-probabilities; INFINITY for other tokens. */
static double distance(const inf_result *a, const inf_result *b)
{
    double most = 0;

    if (a->n_logprobs != b->n_logprobs || a->n_logprobs == 0)
        return INFINITY;
    for (size_t i = 0; i < a->n_logprobs; i++) {
        const inf_logprob *x = &a->logprobs[i];
        const inf_logprob *y = &b->logprobs[i];

        if (x->piece.len != y->piece.len || memcmp(x->piece.data, y->piece.data, x->piece.len) != 0)
            return INFINITY;
        most = fmax(most, fabs((double)x->logprob - (double)y->logprob));
    }
    return most;
}

/* vLLM's prefix cache knows an adapter by name and path: with the same of both it answers from the
 * old one's keys and values. */
static void test_replace__new_bytes_at_the_same_path__answers_are_those_of_a_fresh_load(
    void **state)
{
    struct bench b;
    char *folder = live_copy("r0");
    char *elsewhere = live_copy("r1");
    inf_request request = live_chat(long_prompt, 12, "style");
    inf_op *old = NULL;
    inf_op *replaced = NULL;
    inf_op *fresh = NULL;
    inf_result o, r, f;

    (void)state;
    request.logprobs = (inf_maybe_i32){true, 0};
    open_bench(&b, NULL);
    load(&b, "style", folder);
    old = run(&b, &request);
    inf_op_release(old);
    old = run(&b, &request); /* the cache is warm now */
    live_overwrite(folder, "r1");
    load(&b, "style", folder);
    replaced = run(&b, &request);
    load(&b, "other", elsewhere);
    request.adapter_id = inf_str("other");
    fresh = run(&b, &request);
    o = result_of(old);
    r = result_of(replaced);
    f = result_of(fresh);
    print_message("log-probabilities: new to fresh %g, new to old %g\n", distance(&r, &f),
                  distance(&r, &o));
    assert_true(distance(&r, &f) < 1e-4);
    assert_true(distance(&r, &o) > 1e-2);
    assert_int_equal(r.adapter_id.len, strlen("style"));
    assert_true(r.adapter_generation > o.adapter_generation);
    inf_op_release(old);
    inf_op_release(replaced);
    inf_op_release(fresh);
    close_bench(&b);
    live_remove(folder);
    live_remove(elsewhere);
}

static void test_replace__unload_and_load_of_other_bytes__answers_are_those_of_a_fresh_load(
    void **state)
{
    struct bench b;
    char *folder = live_copy("r2");
    inf_request request = live_chat(long_prompt, 12, "style");
    inf_op *again = NULL;
    inf_op *fresh = NULL;
    inf_result r, f;
    inf_error err;

    (void)state;
    request.logprobs = (inf_maybe_i32){true, 0};
    open_bench(&b, NULL);
    load(&b, "style", folder);
    inf_op_release(run(&b, &request));
    assert_int_equal(inf_adapter_unload(b.provider, "style", &err), INF_OK);
    live_overwrite(folder, "r3");
    load(&b, "style", folder);
    again = run(&b, &request);
    load(&b, "other", live_adapter("r3"));
    request.adapter_id = inf_str("other");
    fresh = run(&b, &request);
    r = result_of(again);
    f = result_of(fresh);
    assert_true(distance(&r, &f) < 1e-4);
    inf_op_release(again);
    inf_op_release(fresh);
    close_bench(&b);
    live_remove(folder);
}

static void test_replace__old_generation__is_unloaded_on_the_server(void **state)
{
    struct bench b;
    inf_request request = live_chat("hi", 4, "style");
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "style", live_adapter("r0"));
    load(&b, "style", live_adapter("r1"));
    inf_op_release(run(&b, &request));
    for (int i = 0; i < 100 && live_serves(subject->base_url, "style"); i++)
        usleep(100000);
    assert_false(live_serves(subject->base_url, "style"));
    assert_true(live_serves(subject->base_url, "style@2"));
    assert_int_equal(inf_adapter_unload(b.provider, "style", &err), INF_OK);
    assert_false(live_serves(subject->base_url, "style@2"));
    close_bench(&b);
}

/* ------------------------------------------------------------------ a server that dies */

static void test_restart__between_load_and_generate__the_adapter_is_loaded_again(void **state)
{
    struct bench b;
    inf_request request = live_chat("What is gravity?", 16, "style");
    inf_op *before = NULL;
    inf_op *after = NULL;
    inf_adapter_list *list = NULL;
    inf_result a, r;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "style", live_adapter("r0"));
    before = run(&b, &request);
    live_servers("kill", "vllm");
    live_servers("start", "vllm");
    assert_false(live_serves(subject->base_url, "style"));
    assert_int_equal(inf_adapters(&list, b.provider, &err), INF_OK);
    assert_int_equal(inf_adapter_list_count(list), 1);
    inf_adapter_list_free(list);
    after = run(&b, &request);
    a = result_of(before);
    r = result_of(after);
    assert_same(&r, &a);
    inf_op_release(before);
    inf_op_release(after);
    close_bench(&b);
}

static void test_restart__the_folder_has_changed__the_request_fails_and_says_so(void **state)
{
    struct bench b;
    char *folder = live_copy("r0");
    inf_request request = live_chat("What is gravity?", 8, "style");
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "style", folder);
    /* For the provider it is the same as a restart: the server does not know the name. */
    live_unload_all(subject->base_url);
    live_overwrite(folder, "r1");
    assert_int_not_equal(inf_generate(&op, b.provider, &request, &err), INF_OK);
    print_message("%s\n", err.message);
    assert_non_null(strstr(err.message, "style"));
    assert_non_null(strstr(err.message, "changed"));
    inf_op_release(op);
    load(&b, "style", folder);
    inf_op_release(run(&b, &request));
    close_bench(&b);
    live_remove(folder);
}

/* ------------------------------------------------------------------ many at once */

static void test_together__32_requests_over_8_adapters__each_as_alone(void **state)
{
    enum { ADAPTERS = 8, PROMPTS = 4, N = ADAPTERS * PROMPTS };
    static const char *const prompts[PROMPTS] = {"What is gravity?", "Name a colour.",
                                                 "Tell me about the sea.", "Who wrote Hamlet?"};
    struct bench b;
    inf_op *alone[N];
    inf_op *together[N];
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    for (int i = 0; i < ADAPTERS; i++)
        load(&b, random_ids[i], live_adapter(random_ids[i]));
    for (int i = 0; i < N; i++) {
        inf_request request = live_chat(prompts[i / ADAPTERS], 16, random_ids[i % ADAPTERS]);

        alone[i] = run(&b, &request);
    }
    for (int i = 0; i < N; i++) {
        inf_request request = live_chat(prompts[i / ADAPTERS], 16, random_ids[i % ADAPTERS]);

        assert_int_equal(inf_generate_start(&together[i], b.provider, &request, NULL, &err),
                         INF_OK);
    }
    for (int i = 0; i < N; i++) {
        inf_result a = result_of(alone[i]);
        inf_result r;

        if (inf_op_wait(together[i], -1, &err) != INF_OK)
            fail_msg("%s", err.message);
        r = result_of(together[i]);
        assert_same(&r, &a);
        assert_memory_equal(r.adapter_id.data, random_ids[i % ADAPTERS], 2);
    }
    /* Else the above would say nothing. */
    for (int i = 1; i < ADAPTERS; i++) {
        inf_result first = result_of(alone[0]);
        inf_result other = result_of(alone[i]);

        assert_true(differs(&first, &other));
    }
    for (int i = 0; i < N; i++) {
        inf_op_release(alone[i]);
        inf_op_release(together[i]);
    }
    close_bench(&b);
}

static double busy(void)
{
    return live_metric(subject->base_url, "vllm:num_requests_running") +
           live_metric(subject->base_url, "vllm:num_requests_waiting");
}

static void note_first(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    (void)op;
    (void)chunk;
    *(volatile int *)user_data = 1;
}

static void test_cancel__100_streams__leave_the_server_idle(void **state)
{
    enum { N = 100 };
    static int begun[N];
    struct bench b;
    inf_op *ops[N];
    inf_callbacks callbacks;
    inf_error err;
    double start = 0;
    int streaming = 0;

    (void)state;
    memset(begun, 0, sizeof begun);
    open_bench(&b, NULL);
    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = note_first;
    for (int i = 0; i < N; i++) {
        inf_request request = greedy("Tell me a long story about the sea.", 1000, NULL);

        callbacks.user_data = &begun[i];
        assert_int_equal(inf_generate_start(&ops[i], b.provider, &request, &callbacks, &err),
                         INF_OK);
    }
    for (start = live_seconds(); live_seconds() - start < 60 && busy() < N;)
        usleep(100000);
    assert_true(busy() >= N);
    for (start = live_seconds(); live_seconds() - start < 60 && streaming == 0; usleep(100000))
        for (int i = 0; i < N; i++)
            streaming += begun[i];
    assert_true(streaming > 0);
    for (int i = 0; i < N; i++)
        inf_op_cancel(ops[i]);
    for (int i = 0; i < N; i++) {
        assert_int_equal(inf_op_wait(ops[i], -1, &err), INF_ERROR_CANCELLED);
        inf_op_release(ops[i]);
    }
    for (start = live_seconds(); live_seconds() - start < 60 && busy() > 0;)
        usleep(100000);
    print_message("100 streams cancelled; the server was idle %.1f s later\n",
                  live_seconds() - start);
    assert_true(busy() == 0);
    close_bench(&b);
}

/* ------------------------------------------------------------------ refusals */

static void refused(const char *adapter, int32_t code, const char *word)
{
    struct bench b;
    inf_request request = live_chat("What is gravity?", 4, NULL);
    inf_op *op = NULL;
    inf_error err;
    int32_t got = 0;

    open_bench(&b, NULL);
    got = inf_adapter_load(b.provider, "bad", live_adapter(adapter), NULL, &err);
    print_message("%s: %s\n", adapter, got == INF_OK ? "taken" : err.message);
    assert_int_equal(got, code);
    assert_non_null(strstr(err.message, word));
    assert_false(live_serves(subject->base_url, "bad"));
    op = run(&b, &request);
    assert_true(result_of(op).text.len > 0);
    inf_op_release(op);
    close_bench(&b);
}

static void test_load__rank_beyond_the_servers__says_what_to_set(void **state)
{
    (void)state;
    refused("rank64", INF_ERROR_HTTP_STATUS, "--max-lora-rank 64");
}

static void test_load__nan__is_refused_before_the_server_sees_it(void **state)
{
    (void)state;
    refused("nan", INF_ERROR_NOT_FINITE, "lora_B");
}

static void test_load__matches_nothing__is_refused_with_the_tensor(void **state)
{
    (void)state;
    refused("nomatch", INF_ERROR_MISMATCH, "other_attn");
}

static void test_load__wrong_shape__is_refused_with_the_tensor(void **state)
{
    (void)state;
    refused("shape", INF_ERROR_MISMATCH, "lora_A");
}

static void test_load__dora__is_the_servers_error_and_says_what_to_do(void **state)
{
    (void)state;
    refused("dora", INF_ERROR_HTTP_STATUS, "use_dora"); /* a later vLLM may take it */
}

static void test_load__a_name_that_another_program_loaded__is_refused_by_name(void **state)
{
    struct bench b;
    char body[700];
    inf_error err;

    (void)state;
    snprintf(body, sizeof body, "{\"lora_name\":\"theirs\",\"lora_path\":\"%s\"}",
             live_adapter("r0"));
    assert_int_equal(live_http(subject->base_url, "/v1/load_lora_adapter", body, NULL), 200);
    open_bench(&b, NULL);
    assert_int_not_equal(inf_adapter_load(b.provider, "theirs", live_adapter("r1"), NULL, &err),
                         INF_OK);
    print_message("%s\n", err.message);
    assert_non_null(strstr(err.message, "theirs"));
    assert_non_null(strstr(err.message, "unload"));
    close_bench(&b);
}

static void test_window__max_tokens_beyond_it__is_the_servers_error(void **state)
{
    struct bench b;
    inf_request request = live_chat("hi", 5000, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 400);
    assert_non_null(strstr(err.message, "max_tokens"));
    inf_op_release(op);
    close_bench(&b);
}

static void test_window__prompt_beyond_it__is_context_full(void **state)
{
    struct bench b;
    static char prompt[60000];
    inf_request request;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    for (size_t i = 0; i + 5 < sizeof prompt; i += 4)
        memcpy(prompt + i, "cat ", 5);
    request = live_chat(prompt, 8, NULL);
    open_bench(&b, NULL);
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_CONTEXT_FULL);
    inf_op_release(op);
    close_bench(&b);
}

static void test_generate__unknown_model__is_404(void **state)
{
    struct bench b;
    inf_request request = live_chat("hi", 4, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    request.model = inf_str("nobody");
    open_bench(&b, NULL);
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 404);
    assert_non_null(strstr(err.message, "nobody"));
    assert_true(inf_op_error_body(op).len > 0);
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ options */

static void test_options__json_schema__constrains_the_text(void **state)
{
    struct bench b;
    inf_request request = live_chat("Who are you?", 40, NULL);
    inf_op *op = NULL;
    inf_result r;

    (void)state;
    request.json_schema = inf_str(
        "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\",\"enum\":"
        "[\"na\xc3\xafve \xf0\x9f\x99\x82 \xe6\x97\xa5\"]}},\"required\":[\"text\"],"
        "\"additionalProperties\":false}");
    open_bench(&b, NULL);
    op = run(&b, &request);
    r = result_of(op);
    print_message("%.*s\n", (int)r.text.len, r.text.data);
    assert_non_null(memmem(r.text.data, r.text.len, "na", 2));
    assert_true(r.text.data[0] == '{' && r.text.data[r.text.len - 1] == '}');
    inf_op_release(op);
    close_bench(&b);
}

static void test_options__logprobs__belong_to_the_text(void **state)
{
    struct bench b;
    inf_request request = live_chat("What is gravity?", 8, NULL);
    char text[512];
    size_t len = 0;
    inf_op *op = NULL;
    inf_result r;

    (void)state;
    request.logprobs = (inf_maybe_i32){true, 3};
    open_bench(&b, NULL);
    op = run(&b, &request);
    r = result_of(op);
    assert_int_equal(r.n_logprobs, 8);
    for (size_t i = 0; i < r.n_logprobs; i++) {
        const inf_logprob *p = &r.logprobs[i];

        assert_int_equal(p->n_top, 3);
        assert_true(p->logprob <= 0 && p->top[0].logprob >= p->top[1].logprob);
        assert_true(fabsf(p->top[0].logprob - p->logprob) < 1e-4f); /* greedy */
        assert_true(len + p->piece.len < sizeof text);
        memcpy(text + len, p->piece.data, p->piece.len);
        len += p->piece.len;
    }
    assert_int_equal(len, r.text.len);
    assert_memory_equal(text, r.text.data, len);
    inf_op_release(op);
    close_bench(&b);
}

static void test_options__extra_json__reaches_the_server(void **state)
{
    struct bench b;
    inf_request request = live_chat("Say only: yes", 20, NULL);
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, NULL);
    op = run(&b, &request);
    assert_true(result_of(op).completion_tokens < 10);
    inf_op_release(op);
    request.extra_json = inf_str("{\"min_tokens\":12}");
    op = run(&b, &request);
    assert_true(result_of(op).completion_tokens >= 12);
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ another server */

static void open_locked(struct bench *b, const char *key)
{
    inf_provider_config config = subject_config();

    config.base_url = live_env("INF_LIVE_VLLM_LOCKED_URL");
    config.api_key = key;
    open_bench(b, &config);
}

static void test_locked__wrong_key__is_401_and_says_what_to_set(void **state)
{
    struct bench b;
    inf_request request = live_chat("hi", 4, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_locked(&b, "wrong");
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 401);
    assert_non_null(strstr(err.message, "VLLM_API_KEY"));
    inf_op_release(op);
    close_bench(&b);
}

static void test_locked__key__max_tokens_at_its_default_is_fitted(void **state)
{
    struct bench b;
    inf_request request = live_chat("Say only: yes", 1, NULL);
    inf_op *op = NULL;

    (void)state;
    request.max_tokens = (inf_maybe_i32){0}; /* 4096; the server's window is 2048 */
    open_locked(&b, live_env("INF_LIVE_API_KEY"));
    op = run(&b, &request);
    assert_true(result_of(op).completion_tokens > 0);
    inf_op_release(op);
    close_bench(&b);
}

static void test_locked__load__says_which_variable_to_set(void **state)
{
    struct bench b;
    inf_error err;

    (void)state;
    open_locked(&b, live_env("INF_LIVE_API_KEY"));
    assert_int_not_equal(inf_adapter_load(b.provider, "r0", live_adapter("r0"), NULL, &err),
                         INF_OK);
    assert_non_null(strstr(err.message, "VLLM_ALLOW_RUNTIME_LORA_UPDATING"));
    live_servers("stop", "vllm-locked");
    close_bench(&b);
}

/* ------------------------------------------------------------------ replicas */

static void test_replicas__one_dies_and_comes_back__requests_go_on_and_it_gets_the_adapter(
    void **state)
{
    const char *second = live_env("INF_LIVE_VLLM_REPLICA_URL");
    inf_provider_config config = subject_config();
    inf_request request = live_chat("What is gravity?", 12, "style");
    char urls[256];
    struct bench b;
    inf_op *first = NULL;
    inf_result a;
    double start = 0;

    (void)state;
    live_servers("start", "vllm-replica");
    snprintf(urls, sizeof urls, "%s,%s", subject->base_url, second);
    config.base_url = urls;
    open_bench(&b, &config);
    load(&b, "style", live_adapter("r0"));
    assert_true(live_serves(subject->base_url, "style") && live_serves(second, "style"));
    first = run(&b, &request);
    a = result_of(first);
    live_servers("kill", "vllm-replica");
    for (int i = 0; i < 6; i++) {
        inf_op *op = run(&b, &request);
        inf_result r = result_of(op);

        assert_same(&r, &a);
        inf_op_release(op);
    }
    live_servers("start", "vllm-replica");
    assert_false(live_serves(second, "style"));
    for (start = live_seconds(); live_seconds() - start < 120 && !live_serves(second, "style");) {
        inf_op *ops[4];
        inf_error err;

        for (int i = 0; i < 4; i++)
            assert_int_equal(inf_generate_start(&ops[i], b.provider, &request, NULL, &err), INF_OK);
        for (int i = 0; i < 4; i++) {
            inf_result r;

            if (inf_op_wait(ops[i], -1, &err) != INF_OK)
                fail_msg("%s", err.message);
            r = result_of(ops[i]);
            assert_same(&r, &a);
            inf_op_release(ops[i]);
        }
    }
    assert_true(live_serves(second, "style"));
    print_message("the replica had the adapter again %.1f s after it was up\n",
                  live_seconds() - start);
    inf_op_release(first);
    close_bench(&b);
    live_servers("stop", "vllm-replica");
}

/* ------------------------------------------------------------------ it dies, last of all */

static void kill_server(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    int *chunks = user_data;

    (void)op;
    (void)chunk;
    if (++*chunks == 5)
        live_servers("kill", "vllm");
}

static void test_server_killed__mid_stream__is_an_error_with_the_text_so_far(void **state)
{
    struct bench b;
    inf_request request = greedy("Tell me a long story.", 1000, NULL);
    inf_callbacks callbacks;
    inf_op *op = NULL;
    inf_error err;
    int chunks = 0;
    int32_t code = 0;

    (void)state;
    open_bench(&b, NULL);
    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = kill_server;
    callbacks.user_data = &chunks;
    assert_int_equal(inf_generate_start(&op, b.provider, &request, &callbacks, &err), INF_OK);
    code = inf_op_wait(op, -1, &err);
    print_message("%s\n", err.message);
    assert_true(code == INF_ERROR_CONNECTION || code == INF_ERROR_PROTOCOL);
    assert_true(result_of(op).text.len > 0);
    assert_null(result_of(op).finish_reason.data);
    inf_op_release(op);
    close_bench(&b);
    live_servers("start", "vllm");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_replace__new_bytes_at_the_same_path__answers_are_those_of_a_fresh_load),
        cmocka_unit_test(
            test_replace__unload_and_load_of_other_bytes__answers_are_those_of_a_fresh_load),
        cmocka_unit_test(test_replace__old_generation__is_unloaded_on_the_server),
        cmocka_unit_test(test_together__32_requests_over_8_adapters__each_as_alone),
        cmocka_unit_test(test_cancel__100_streams__leave_the_server_idle),
        cmocka_unit_test(test_load__rank_beyond_the_servers__says_what_to_set),
        cmocka_unit_test(test_load__nan__is_refused_before_the_server_sees_it),
        cmocka_unit_test(test_load__matches_nothing__is_refused_with_the_tensor),
        cmocka_unit_test(test_load__wrong_shape__is_refused_with_the_tensor),
        cmocka_unit_test(test_load__dora__is_the_servers_error_and_says_what_to_do),
        cmocka_unit_test(test_load__a_name_that_another_program_loaded__is_refused_by_name),
        cmocka_unit_test(test_window__max_tokens_beyond_it__is_the_servers_error),
        cmocka_unit_test(test_window__prompt_beyond_it__is_context_full),
        cmocka_unit_test(test_generate__unknown_model__is_404),
        cmocka_unit_test(test_options__json_schema__constrains_the_text),
        cmocka_unit_test(test_options__logprobs__belong_to_the_text),
        cmocka_unit_test(test_options__extra_json__reaches_the_server),
        cmocka_unit_test(test_restart__the_folder_has_changed__the_request_fails_and_says_so),
        cmocka_unit_test(test_restart__between_load_and_generate__the_adapter_is_loaded_again),
        cmocka_unit_test(test_server_killed__mid_stream__is_an_error_with_the_text_so_far),
        cmocka_unit_test(test_locked__wrong_key__is_401_and_says_what_to_set),
        cmocka_unit_test(test_locked__key__max_tokens_at_its_default_is_fitted),
        cmocka_unit_test(test_locked__load__says_which_variable_to_set),
        cmocka_unit_test(
            test_replicas__one_dies_and_comes_back__requests_go_on_and_it_gets_the_adapter),
    };

    vllm.base_url = live_env("INF_LIVE_VLLM_URL");
    vllm.model = live_env("INF_LIVE_MODEL");
    for (int i = 0; i < 4; i++)
        vllm.adapters[i] = strdup(live_adapter(random_ids[i]));
    subject = &vllm;
    return live_run("vllm", tests, sizeof tests / sizeof *tests, fresh_server);
}
