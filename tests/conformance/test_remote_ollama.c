/* The Ollama provider against the fake servers: the conformance list, and what only Ollama does. */
#include "conformance.h"
#include "fake/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAT "/api/chat"
#define VERSION "/api/version"

static struct subject ollama = {.type = INF_PROVIDER_OLLAMA, .model = "smol"};
static struct fake server;

static int start(const char *kind)
{
    fake_start(&server, kind);
    ollama.base_url = server.url;
    subject = &ollama;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return start("ollama");
}

static int set_up_plain(void **state)
{
    (void)state;
    return start("plain");
}

static int tear_down(void **state)
{
    (void)state;
    fake_stop(&server);
    return 0;
}

static int64_t option_of(json_t *sent, const char *key)
{
    json_t *value = json_object_get(json_object_get(sent, "options"), key);

    assert_true(json_is_number(value));
    return (int64_t)(json_number_value(value) * 1000 + 0.5);
}

/* ------------------------------------------------------------------ the native route */

static void test_request__sampling_left_unset__is_what_v1_does(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    char *body = NULL;
    json_t *sent = NULL;

    (void)state;
    open_bench(&b, NULL);
    request.temperature = (inf_maybe_f32){0};
    inf_op_release(run(&b, &request));
    assert_int_equal(fake_requests(&server, CHAT, &body), 1);
    sent = json_loads(body, 0, NULL);
    assert_int_equal(option_of(sent, "temperature"), 1000);
    assert_int_equal(option_of(sent, "top_p"), 1000);
    assert_int_equal(option_of(sent, "num_predict"), 4000);
    assert_true(json_is_false(json_object_get(sent, "truncate")));
    assert_true(json_is_false(json_object_get(sent, "shift")));
    json_decref(sent);
    free(body);
    close_bench(&b);
}

static void test_request__options_that_v1_would_drop__are_sent(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    char *body = NULL;
    json_t *sent = NULL;

    (void)state;
    open_bench(&b, NULL);
    request.repetition_penalty = (inf_maybe_f32){true, 1.3f};
    request.top_k = (inf_maybe_i32){true, 7};
    request.min_p = (inf_maybe_f32){true, 0.25f};
    request.extra_json = inf_str("{\"options\":{\"num_ctx\":512},\"keep_alive\":\"1m\"}");
    inf_op_release(run(&b, &request));
    assert_int_equal(fake_requests(&server, CHAT, &body), 1);
    sent = json_loads(body, 0, NULL);
    assert_int_equal(option_of(sent, "repeat_penalty"), 1300);
    assert_int_equal(option_of(sent, "top_k"), 7000);
    assert_int_equal(option_of(sent, "min_p"), 250);
    assert_int_equal(option_of(sent, "num_ctx"), 512000);
    json_decref(sent);
    free(body);
    close_bench(&b);
}

static void expect_start_error(struct bench *b, const inf_request *request, int32_t code,
                               const char *says)
{
    inf_op *op = NULL;
    inf_error err;

    assert_int_equal(inf_generate_start(&op, b->provider, request, NULL, &err), code);
    if (!strstr(err.message, says))
        fail_msg("'%s' does not say '%s'", err.message, says);
}

static void test_request__what_ollama_takes_in_silence__is_refused_before_sending(void **state)
{
    static const inf_message stranger = {{"nobody", 6}, {"hi", 2}};
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);

    (void)state;
    open_bench(&b, NULL);
    request.ignore_eos = true;
    expect_start_error(&b, &request, INF_ERROR_UNSUPPORTED, "ignore_eos");
    request = greedy("hi", 4, NULL);
    request.grammar = inf_str("root ::= \"a\"");
    expect_start_error(&b, &request, INF_ERROR_UNSUPPORTED, "grammar");
    request = greedy("hi", 4, NULL);
    request.seed = (inf_maybe_u64){true, UINT64_C(1) << 40};
    expect_start_error(&b, &request, INF_ERROR_INVALID_ARGUMENT, "seed");
    request = greedy("hi", 4, NULL);
    request.prompt = (inf_text){NULL, 0};
    request.messages = &stranger;
    request.n_messages = 1;
    expect_start_error(&b, &request, INF_ERROR_INVALID_ARGUMENT, "nobody");
    request = greedy("hi", 0, NULL);
    expect_start_error(&b, &request, INF_ERROR_INVALID_ARGUMENT, "max_tokens");
    assert_int_equal(fake_requests(&server, CHAT, NULL), 0);
    close_bench(&b);
}

static void test_version__is_asked_once(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    inf_op *ops[5];
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(inf_generate_start(&ops[i], b.provider, &request, NULL, &err), INF_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(inf_op_wait(ops[i], -1, &err), INF_OK);
        inf_op_release(ops[i]);
    }
    inf_op_release(run(&b, &request));
    assert_int_equal(fake_requests(&server, VERSION, NULL), 1);
    close_bench(&b);
}

static void test_version__not_answered__requests_wait_can_be_cancelled_and_time_out(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    inf_op *cancelled = NULL, *late = NULL;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" VERSION "\",\"act\":\"wait\",\"seconds\":1.0}");
    open_bench(&b, NULL);
    assert_int_equal(inf_generate_start(&cancelled, b.provider, &request, NULL, &err), INF_OK);
    request.timeout_ms = 100;
    assert_int_equal(inf_generate_start(&late, b.provider, &request, NULL, &err), INF_OK);
    inf_op_cancel(cancelled);
    assert_int_equal(inf_op_wait(cancelled, -1, &err), INF_ERROR_CANCELLED);
    assert_int_equal(inf_op_wait(late, -1, &err), INF_ERROR_TIMEOUT);
    inf_op_release(cancelled);
    inf_op_release(late);
    close_bench(&b); /* while the question is still unanswered */
}

/* The Authorization header of the i-th request since the last look; its path is checked. */
static void expect_authorization(size_t i, const char *path, const char *expected)
{
    json_t *seen = fake_order(&server, "{\"do\":\"look\"}");
    json_t *r = json_array_get(json_object_get(seen, "requests"), i);
    const char *sent = json_string_value(
        json_object_get(json_object_get(r, "headers"), "authorization"));

    assert_string_equal(json_string_value(json_object_get(r, "path")), path);
    assert_string_equal(sent ? sent : "", expected);
    json_decref(seen);
}

static void test_version__is_asked_with_the_requests_own_headers(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"key\":\"sesame\"}");
    open_bench(&b, NULL);
    request.extra_headers = inf_str("Authorization: Bearer sesame");
    inf_op_release(run(&b, &request));
    expect_authorization(0, VERSION, "Bearer sesame");
    expect_authorization(1, CHAT, "Bearer sesame");
    close_bench(&b);
}

static void test_version__refused_to_one_request__is_asked_again_by_another(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    inf_op *without = NULL, *with = NULL, *wrong = NULL;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"key\":\"sesame\"}");
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" VERSION "\",\"act\":\"wait\",\"seconds\":0.5}");
    open_bench(&b, NULL);
    assert_int_equal(inf_generate_start(&without, b.provider, &request, NULL, &err), INF_OK);
    request.extra_headers = inf_str("Authorization: Bearer nonsense");
    assert_int_equal(inf_generate_start(&wrong, b.provider, &request, NULL, &err), INF_OK);
    request.extra_headers = inf_str("Authorization: Bearer sesame");
    assert_int_equal(inf_generate_start(&with, b.provider, &request, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(without, -1, &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 401);
    assert_int_equal(inf_op_wait(wrong, -1, &err), INF_ERROR_HTTP_STATUS);
    if (inf_op_wait(with, -1, &err) != INF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(fake_requests(&server, VERSION, NULL), 3);
    inf_op_release(without);
    inf_op_release(wrong);
    inf_op_release(with);
    close_bench(&b);
}

static void expect_config_refused(const inf_provider_config *config)
{
    inf_context *context = NULL;
    inf_provider *provider = NULL;
    inf_error err;

    assert_int_equal(inf_context_create(&context, NULL, &err), INF_OK);
    assert_int_equal(inf_provider_create(&provider, context, config, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "take one of them away"));
    assert_null(strstr(err.message, "sesame"));
    assert_int_equal(inf_context_close(context, &err), INF_OK);
}

static void test_url__user_and_password__are_sent_instead_of_the_key_nobody_set(void **state)
{
    inf_provider_config config = subject_config();
    inf_request request = greedy("hi", 4, NULL);
    struct bench b;
    char url[128];

    (void)state;
    snprintf(url, sizeof url, "http://ali:sesame@127.0.0.1:%d", server.port);
    config.base_url = url;
    open_bench(&b, &config);
    inf_op_release(run(&b, &request));
    expect_authorization(0, VERSION, "Basic YWxpOnNlc2FtZQ==");
    expect_authorization(1, CHAT, "Basic YWxpOnNlc2FtZQ==");
    close_bench(&b);
    config.api_key = "a key";
    expect_config_refused(&config);
}

static void test_unknown_model__says_how_to_get_it(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    request.model = inf_str("nobody");
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 404);
    assert_non_null(strstr(err.message, "ollama pull nobody"));
    inf_op_release(op);
    close_bench(&b);
}

static void test_request__logprobs__come_back(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 5, NULL);
    inf_op *op = NULL;
    inf_result r;

    (void)state;
    open_bench(&b, NULL);
    request.logprobs = (inf_maybe_i32){true, 0};
    op = run(&b, &request);
    r = result_of(op);
    assert_int_equal(r.n_logprobs, 5);
    assert_true(r.logprobs[0].logprob == -0.5f);
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ no adapters */

struct lines {
    char text[512];
    int n;
};

static void keep_line(void *user_data, int32_t level, const char *line)
{
    struct lines *lines = user_data;

    assert_int_equal(level, INF_LOG_WARNING);
    snprintf(lines->text, sizeof lines->text, "%s", line);
    lines->n++;
}

static void test_adapter_id__is_a_warning_and_the_result_says_none(void **state)
{
    struct lines lines = {.n = 0};
    inf_context_options options;
    struct bench b;
    inf_provider_config config = subject_config();
    inf_request request = greedy("hi", 4, "pirate");
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    inf_context_options_default(&options, sizeof options);
    options.log = keep_line;
    options.log_user_data = &lines;
    assert_int_equal(inf_context_create(&b.context, &options, &err), INF_OK);
    assert_int_equal(inf_provider_create(&b.provider, b.context, &config, &err), INF_OK);
    op = run(&b, &request);
    assert_null(result_of(op).adapter_id.data);
    assert_int_equal(lines.n, 1);
    assert_non_null(strstr(lines.text, "pirate"));
    inf_op_release(op);
    close_bench(&b);
}

static void test_adapters__are_unsupported_and_the_list_is_empty(void **state)
{
    struct bench b;
    inf_adapter_list *list = NULL;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(inf_adapter_load(b.provider, "a", "/x", NULL, &err), INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_adapter_unload(b.provider, "a", &err), INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_server_adapters_start(&op, b.provider, NULL, &err), INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_adapters(&list, b.provider, &err), INF_OK);
    assert_int_equal(inf_adapter_list_count(list), 0);
    inf_adapter_list_free(list);
    close_bench(&b);
}

/* ------------------------------------------------------------------ another server behind the URL */

static void test_plain__gets_v1_and_the_key(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    json_t *seen = NULL, *last = NULL;
    inf_op *op = NULL;

    (void)state;
    open_bench(&b, NULL);
    op = run(&b, &request);
    assert_int_equal(result_of(op).completion_tokens, 4);
    seen = fake_order(&server, "{\"do\":\"state\"}");
    last = json_array_get(json_object_get(seen, "requests"), 1);
    assert_string_equal(json_string_value(json_object_get(last, "path")), "/v1/chat/completions");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(last, "headers"), "authorization")),
        "Bearer ollama");
    json_decref(seen);
    inf_op_release(op);
    close_bench(&b);
}

static void answer_version(const char *status, const char *more)
{
    fake_do(&server,
            "{\"do\":\"next\",\"path\":\"" VERSION "\",\"act\":\"raw\",\"text\":\"HTTP/1.1 %s"
            "\\r\\nLocation: /login\\r\\nRetry-After: 0\\r\\nContent-Type: text/html\\r\\n\\r\\n"
            "<html>\"%s}",
            status, more);
}

static void test_version__any_other_answer__is_another_server(void **state)
{
    static const char *const answers[] = {
        "400 Bad Request",   "404 Not Found",       "405 Not Allowed", "410 Gone",  "418 Teapot",
        "422 Unprocessable", "501 Not Implemented", "302 Found",       "308 Moved", "200 OK"};
    inf_request request = greedy("hi", 4, NULL);
    struct bench b;

    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        answer_version(answers[i], "");
        open_bench(&b, NULL);
        inf_op_release(run(&b, &request));
        assert_int_equal(fake_requests(&server, "/v1/chat/completions", NULL), 1);
        close_bench(&b);
    }
    answer_version("200 OK", ",\"repeat\":200,\"piece\":\"<p>\",\"times\":200");
    open_bench(&b, NULL);
    inf_op_release(run(&b, &request));
    close_bench(&b);
}

static void test_version__locked_or_busy__is_an_error_and_asked_again_next_time(void **state)
{
    static const char *const answers[] = {"401 No",   "403 No", "407 No",          "408 Late",
                                          "429 Busy", "500 Oh", "502 Bad Gateway", "503 Busy"};
    inf_provider_config config = subject_config();
    inf_request request = greedy("hi", 4, NULL);
    struct bench b;

    (void)state;
    config.max_retries = 0;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        inf_op *op = NULL;
        inf_error err;

        answer_version(answers[i], "");
        open_bench(&b, &config);
        assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_HTTP_STATUS);
        assert_int_equal(err.http_status, atoi(answers[i]));
        inf_op_release(op);
        inf_op_release(run(&b, &request));
        close_bench(&b);
    }
    config.max_retries = 1; /* a question is sent again as a request is */
    answer_version("503 Busy", "");
    open_bench(&b, &config);
    inf_op_release(run(&b, &request));
    close_bench(&b);
}

static void test_plain__option_that_v1_would_drop__is_an_error(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    request.repetition_penalty = (inf_maybe_f32){true, 1.3f};
    /* known only after the first answer, and at once from then on */
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "repetition_penalty"));
    inf_op_release(op);
    expect_start_error(&b, &request, INF_ERROR_UNSUPPORTED, "repetition_penalty");
    close_bench(&b);
}

int main(void)
{
#define SERVED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define PLAIN(f) cmocka_unit_test_setup_teardown(f, set_up_plain, tear_down)
    const struct CMUnitTest tests[] = {
        SERVED(test_request__sampling_left_unset__is_what_v1_does),
        SERVED(test_request__options_that_v1_would_drop__are_sent),
        SERVED(test_request__what_ollama_takes_in_silence__is_refused_before_sending),
        SERVED(test_version__is_asked_once),
        SERVED(test_version__not_answered__requests_wait_can_be_cancelled_and_time_out),
        SERVED(test_version__is_asked_with_the_requests_own_headers),
        SERVED(test_version__refused_to_one_request__is_asked_again_by_another),
        SERVED(test_url__user_and_password__are_sent_instead_of_the_key_nobody_set),
        SERVED(test_unknown_model__says_how_to_get_it),
        SERVED(test_request__logprobs__come_back),
        SERVED(test_adapter_id__is_a_warning_and_the_result_says_none),
        SERVED(test_adapters__are_unsupported_and_the_list_is_empty),
        PLAIN(test_plain__gets_v1_and_the_key),
        PLAIN(test_version__any_other_answer__is_another_server),
        PLAIN(test_version__locked_or_busy__is_an_error_and_asked_again_next_time),
        PLAIN(test_plain__option_that_v1_would_drop__is_an_error),
    };
    struct CMUnitTest list[64], plain[64];
    int failed = 0;

    for (size_t i = 0; i < n_conformance_tests; i++) {
        list[i] = plain[i] = conformance_tests[i];
        list[i].setup_func = set_up;
        plain[i].setup_func = set_up_plain;
        list[i].teardown_func = plain[i].teardown_func = tear_down;
    }
    failed = _cmocka_run_group_tests("conformance: ollama", list, n_conformance_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("conformance: an Ollama URL with another server", plain,
                                      n_conformance_tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("ollama", tests, NULL, NULL);
}
