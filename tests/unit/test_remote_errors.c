/* server_error: every dialect, and what each refusal tells to do. */
#include "remote/remote.h"
#include "remote/server_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct server server = {.words = &vllm_words, .shown = "http://h:8100/v1"};

static struct server_answer answer(int32_t route, int32_t status, const char *body)
{
    return (struct server_answer){.server = &server,
                                  .route = route,
                                  .status = status,
                                  .name = "pirate",
                                  .path = "/models/pirate",
                                  .body = body,
                                  .body_len = body ? strlen(body) : 0};
}

static void expect(const struct server_answer *a, int32_t code, const char *const *says)
{
    inf_error err = {0};

    assert_int_equal(server_error(a, &err), code);
    assert_int_equal(err.code, code);
    assert_int_equal(err.http_status, a->status);
    assert_null(strchr(err.message, '\n'));
    for (; *says; says++)
        if (!strstr(err.message, *says))
            fail_msg("'%s' does not say '%s'", err.message, *says);
}

#define EXPECT(route, status, body, ...)                                                           \
    do {                                                                                           \
        struct server_answer a_ = answer(route, status, body);                                     \
        expect(&a_, INF_ERROR_HTTP_STATUS, (const char *const[]){__VA_ARGS__, NULL});              \
    } while (0)

static void test_dialects__each_gives_its_words(void **state)
{
    (void)state;
    EXPECT(ROUTE_CHAT, 400,
           "{\"error\":{\"message\":\"bad one\",\"type\":\"t\",\"param\":null,"
           "\"code\":400}}",
           "bad one", "400", "http://h:8100/v1");
    EXPECT(ROUTE_CHAT, 400, "{\"error\":\"bad two\"}", "bad two");
    EXPECT(ROUTE_CHAT, 400, "{\"object\":\"error\",\"message\":\"bad three\",\"code\":400}",
           "bad three");
    EXPECT(ROUTE_CHAT, 422, "{\"detail\":\"bad four\"}", "bad four");
    EXPECT(ROUTE_CHAT, 422,
           "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\",\"model\"],"
           "\"msg\":\"Field required\"},{\"loc\":[],\"msg\":\"two\"}]}",
           "body: model: Field required; two");
    EXPECT(ROUTE_CHAT, 500, "{\"message\":\"bad five\"}", "bad five");
    EXPECT(ROUTE_CHAT, 500, "\"bad six\"", "bad six");
    EXPECT(ROUTE_CHAT, 502, "upstream is gone\r\n", "502: upstream is gone");
    EXPECT(ROUTE_CHAT, 502, "<html><body>502</body></html>", "a page of HTML");
    EXPECT(ROUTE_CHAT, 500, "", "500");
    EXPECT(ROUTE_CHAT, 500, NULL, "500");
    EXPECT(ROUTE_CHAT, 500, "{}", "500");
    EXPECT(ROUTE_CHAT, 500, "{\"error\":{\"type\":\"only_a_type\"}}", "only_a_type");
    EXPECT(ROUTE_CHAT, 400,
           "{\"error\":{\"message\":\"1 validation error:\\n  {'type': 'missing'}\","
           "\"param\":\"body.x\",\"code\":400}}",
           "1 validation error:");
}

static void test_hints__what_to_set_or_do(void **state)
{
    (void)state;
    EXPECT(ROUTE_CHAT, 401, "{\"error\":\"Unauthorized\"}", "Unauthorized", "VLLM_API_KEY");
    EXPECT(ROUTE_LOAD, 404, "{\"detail\":\"Not Found\"}", "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
           "--enable-lora");
    EXPECT(ROUTE_UNLOAD, 404, "404 page not found", "--enable-lora");
    EXPECT(ROUTE_LOAD, 404,
           "{\"error\":{\"message\":\"Loading lora pirate failed: No adapter found "
           "for <path>\",\"code\":404}}",
           "/models/pirate", "adapter_config.json");
    EXPECT(ROUTE_LOAD, 500,
           "{\"error\":{\"message\":\"Call to add_lora method failed: Worker failed "
           "with error 'LoRA rank 64 is greater than max_lora_rank 16.'\"}}",
           "--max-lora-rank 64");
    EXPECT(ROUTE_LOAD, 500, "{\"error\":{\"message\":\"vLLM does not yet support DoRA.\"}}",
           "use_dora");
    EXPECT(ROUTE_LOAD, 400,
           "{\"error\":{\"message\":\"The lora adapter 'pirate' has already been "
           "loaded.\"}}",
           "inference adapters unload -p vllm -u http://h:8100/v1 pirate");
    EXPECT(ROUTE_LOAD, 400,
           "{\"error\":{\"message\":\"The lora adapter 'smol' conflicts with a served "
           "base model.\"}}",
           "choose another id");
    EXPECT(ROUTE_LOAD, 400,
           "{\"error\":{\"message\":\"Local LoRA adapter paths require "
           "VLLM_RUNTIME_LORA_ALLOWED_PATH_PREFIXES to be configured.\"}}",
           "VLLM_RUNTIME_LORA_ALLOWED_PATH_PREFIXES set to", "/models/pirate");
    EXPECT(ROUTE_UNLOAD, 404,
           "{\"error\":{\"message\":\"The lora adapter 'pirate' cannot be found.\"}}", "pirate",
           "cannot be found");
    EXPECT(ROUTE_CHAT, 404, "{\"error\":{\"message\":\"The model `pirate` does not exist.\"}}",
           "has to be loaded first");
    EXPECT(ROUTE_CHAT, 404, "<h1>404</h1>", "base URL");
    EXPECT(ROUTE_CHAT, 404, "{\"detail\":\"Not Found\"}", "base URL");
    EXPECT(ROUTE_CHAT, 404, "404 page not found", "base URL", "/v1");
    EXPECT(ROUTE_CHAT, 429, "", "busy");
    EXPECT(ROUTE_CHAT, 503, "{\"error\":\"queue full\"}", "queue full", "busy");
}

static void test_ollama__has_hints_of_its_own(void **state)
{
    static const struct server ollama = {.words = &ollama_words, .shown = "http://h:11434/v1"};
    struct server_answer a = answer(ROUTE_CHAT, 404, "{\"error\":\"model 'pirate' not found\"}");
    struct server_answer foreign = answer(ROUTE_VERSION, 403, "");
    struct server_answer elsewhere = answer(ROUTE_CHAT, 404, "404 page not found");

    (void)state;
    a.server = foreign.server = elsewhere.server = &ollama;
    expect(&elsewhere, INF_ERROR_HTTP_STATUS, (const char *const[]){"without /api", NULL});
    expect(&a, INF_ERROR_HTTP_STATUS,
           (const char *const[]){"Ollama", "ollama pull pirate", "ollama create pirate", NULL});
    expect(&foreign, INF_ERROR_HTTP_STATUS, (const char *const[]){"OLLAMA_HOST", NULL});
}

/* What vLLM's Rust front end says, under whichever status. */
static void test_load__path_not_allowed__says_what_to_set_and_not_a_key(void **state)
{
    static const char *const bodies[] = {
        "{\"error\":{\"message\":\"Local LoRA adapter paths require "
        "VLLM_RUNTIME_LORA_ALLOWED_PATH_PREFIXES to be configured.\",\"param\":\"lora_path\"}}",
        "{\"error\":{\"message\":\"Local LoRA adapter paths must be absolute and under one of the "
        "prefixes configured by VLLM_RUNTIME_LORA_ALLOWED_PATH_PREFIXES.\"}}",
        "{\"error\":{\"message\":\"Local LoRA adapter path is outside the configured allowed "
        "prefixes.\",\"param\":\"lora_path\"}}",
        "{\"error\":\"the adapter path is not allowed\"}",
        "{\"detail\":\"Forbidden path: /models/pirate\"}"};
    static const int32_t statuses[] = {400, 403};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof bodies / sizeof *bodies; i++) {
        struct server_answer a = answer(ROUTE_LOAD, statuses[i % 2], bodies[i / 2]);
        inf_error err;

        expect(&a, INF_ERROR_HTTP_STATUS,
               (const char *const[]){"with VLLM_RUNTIME_LORA_ALLOWED_PATH_PREFIXES set to",
                                     "/models/pirate", NULL});
        server_error(&a, &err);
        assert_null(strstr(err.message, "KEY"));
    }
    EXPECT(
        ROUTE_LOAD, 500,
        "{\"error\":{\"message\":\"configured VLLM_RUNTIME_LORA_ALLOWED_PATH_PREFIXES path prefix "
        "must exist and be accessible\"}}",
        "names a directory that is not there");
    EXPECT(ROUTE_LOAD, 400,
           "{\"error\":{\"message\":\"Local LoRA adapter path must exist and be accessible.\"}}",
           "finds no adapter at /models/pirate");
}

static void test_forbidden__is_told_from_a_missing_key(void **state)
{
    (void)state;
    EXPECT(ROUTE_LOAD, 401, "{\"error\":\"Unauthorized\"}", "the key the server was started with");
    EXPECT(ROUTE_CHAT, 403, "{\"detail\":\"Forbidden\"}", "proxy", "VLLM_API_KEY");
    EXPECT(ROUTE_LOAD, 403, "", "proxy", "VLLM_API_KEY");
}

static void test_prompt_too_long__is_context_full_with_the_status(void **state)
{
    static const char *const bodies[] = {
        "{\"error\":\"the input length exceeds the context length\"}",
        "{\"error\":{\"message\":\"This model's maximum context length is 2048 tokens. However, "
        "your "
        "request has 3000 input tokens.\",\"param\":\"input_tokens\",\"code\":400}}",
        "{\"error\":{\"message\":\"The decoder prompt (length 3000) is longer than the maximum "
        "model "
        "length of 2048.\"}}"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct server_answer a = answer(ROUTE_CHAT, 400, bodies[i]);

        assert_false(server_error_is_max_tokens(&a));
        expect(&a, INF_ERROR_CONTEXT_FULL, (const char *const[]){"does not fit", NULL});
    }
}

static void test_max_tokens_too_large__is_told_from_a_long_prompt(void **state)
{
    static const char *const bodies[] = {
        "{\"error\":{\"message\":\"max_tokens=5000 cannot be greater than max_model_len=2048. "
        "Please "
        "request fewer output tokens. (parameter=max_tokens, "
        "value=5000)\",\"type\":\"BadRequestError\","
        "\"param\":\"max_tokens\",\"code\":400}}",
        "{\"error\":{\"message\":\"'max_tokens' or 'max_completion_tokens' is too large: 4096. "
        "This "
        "model's maximum context length is 2048 tokens and your request has 31 input tokens\"}}",
        "{\"object\":\"error\",\"message\":\"This model's maximum context length is 2048 tokens. "
        "However, "
        "you requested 4127 tokens (31 in the messages, 4096 in the completion).\"}"};
    struct server_answer other = answer(
        ROUTE_CHAT, 400,
        "{\"error\":{\"message\":\"max_tokens must be at least 1, got 0.\","
        "\"param\":\"max_tokens\"}}");

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct server_answer a = answer(ROUTE_CHAT, 400, bodies[i]);

        assert_true(server_error_is_max_tokens(&a));
        expect(&a, INF_ERROR_HTTP_STATUS, (const char *const[]){"lower max_tokens", NULL});
    }
    assert_false(server_error_is_max_tokens(&other));
}

static void test_questions__unknown_model_and_name_taken(void **state)
{
    struct server_answer gone = answer(
        ROUTE_CHAT, 404,
        "{\"error\":{\"message\":\"The model `x` does not exist.\",\"param\":"
        "\"model\",\"code\":404}}");
    struct server_answer lost = answer(ROUTE_CHAT, 404, "{\"detail\":\"Not Found\"}");
    struct server_answer taken = answer(
        ROUTE_LOAD, 400,
        "{\"error\":{\"message\":\"The lora adapter 'x' has already been "
        "loaded.\"}}");

    (void)state;
    assert_true(server_error_is_unknown_model(&gone));
    assert_false(server_error_is_unknown_model(&lost)); /* a wrong URL, not a lost adapter */
    assert_true(server_error_is_name_taken(taken.status, taken.body, taken.body_len));
    assert_false(server_error_is_name_taken(gone.status, gone.body, gone.body_len));
}

static void test_body__hostile_bytes__end_in_one_line_of_utf8(void **state)
{
    char *big = malloc(1 << 20);
    struct server_answer a = answer(ROUTE_CHAT, 500, "a\x01\xff\n\tb\xe2\x82");
    inf_error err;

    (void)state;
    server_error(&a, &err);
    assert_null(strpbrk(err.message, "\n\t\x01"));
    memset(big, '[', 1 << 20);
    a.body = big;
    a.body_len = 1 << 20;
    assert_int_equal(server_error(&a, &err), INF_ERROR_HTTP_STATUS);
    memset(big, 0xe2, 1 << 20);
    assert_int_equal(server_error(&a, &err), INF_ERROR_HTTP_STATUS);
    memset(big, ' ', 1 << 20);
    assert_int_equal(server_error(&a, &err), INF_ERROR_HTTP_STATUS);
    free(big);
}

static void test_proxy__what_is_its_answer_more_likely__names_it(void **state)
{
    static const int32_t statuses[] = {407, 502, 503, 504};
    static const char *const says[] = {"the proxy http://p:3128", NULL};
    struct server_answer direct = answer(ROUTE_CHAT, 502, "");
    struct server_answer other = answer(ROUTE_CHAT, 500, "");
    inf_error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct server_answer a = answer(i % 2 ? ROUTE_CHAT : ROUTE_LOAD, statuses[i], "<html>");

        a.proxy = "http://p:3128";
        expect(&a, INF_ERROR_HTTP_STATUS, says);
    }
    server_error(&direct, &err);
    assert_null(strstr(err.message, "proxy"));
    other.proxy = "http://p:3128";
    server_error(&other, &err);
    assert_null(strstr(err.message, "proxy")); /* the server's own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialects__each_gives_its_words),
        cmocka_unit_test(test_hints__what_to_set_or_do),
        cmocka_unit_test(test_ollama__has_hints_of_its_own),
        cmocka_unit_test(test_load__path_not_allowed__says_what_to_set_and_not_a_key),
        cmocka_unit_test(test_forbidden__is_told_from_a_missing_key),
        cmocka_unit_test(test_prompt_too_long__is_context_full_with_the_status),
        cmocka_unit_test(test_max_tokens_too_large__is_told_from_a_long_prompt),
        cmocka_unit_test(test_questions__unknown_model_and_name_taken),
        cmocka_unit_test(test_body__hostile_bytes__end_in_one_line_of_utf8),
        cmocka_unit_test(test_proxy__what_is_its_answer_more_likely__names_it),
    };

    return cmocka_run_group_tests_name("remote: what servers refuse", tests, NULL, NULL);
}
