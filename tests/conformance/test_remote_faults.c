/*
 * What goes wrong on the wire: each fault ends in the right error or the right result, within its
 * timeout. Both providers share the dialect, so that most run on vLLM's alone.
 */
#include "conformance.h"
#include "fake/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHAT "/v1/chat/completions"
#define HEAD "HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n"

static struct subject vllm = {.type = INF_PROVIDER_VLLM, .model = "smol"};
static struct subject ollama = {.type = INF_PROVIDER_OLLAMA, .model = "smol"};
static struct fake server;

static int set_up(void **state)
{
    (void)state;
    fake_start(&server, "vllm");
    vllm.base_url = server.url;
    subject = &vllm;
    return 0;
}

static int set_up_ollama(void **state)
{
    (void)state;
    fake_start(&server, "ollama");
    ollama.base_url = server.url;
    subject = &ollama;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_stop(&server);
    return 0;
}

/* The next chat is answered with these bytes (JSON escapes doubled), then closed. */
static void answer(const char *path, const char *bytes, const char *more)
{
    fake_do(&server, "{\"do\":\"next\",\"path\":\"%s\",\"act\":\"raw\",\"text\":\"%s\"%s}", path,
            bytes, more);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct ended {
    inf_error err;
    char text[4096];
    int64_t ms, prompt, completion, tokens;
    int32_t finish;
};

/* One request; quick timeouts, no second try. */
static struct ended request_once(int32_t retries, int64_t silence_ms, int64_t timeout_ms)
{
    inf_provider_config config = subject_config();
    inf_request request = greedy("hi", 8, NULL);
    struct ended e = {.ms = now_ms()};
    struct bench b;
    inf_op *op = NULL;
    inf_result r;

    config.max_retries = retries;
    config.silence_timeout_ms = silence_ms;
    request.timeout_ms = timeout_ms;
    open_bench(&b, &config);
    inf_generate(&op, b.provider, &request, &e.err);
    e.ms = now_ms() - e.ms;
    assert_non_null(op);
    r = result_of(op);
    snprintf(e.text, sizeof e.text, "%.*s", (int)r.text.len, r.text.data);
    e.finish = r.finish;
    e.prompt = r.prompt_tokens;
    e.completion = r.completion_tokens;
    e.tokens = r.token_count;
    inf_op_release(op);
    close_bench(&b);
    return e;
}

static void expect(const char *bytes, const char *more, int32_t code, const char *says,
                   const char *text)
{
    const char *path = subject->type == INF_PROVIDER_OLLAMA ? "/api/chat" : CHAT;
    struct ended e;

    answer(path, bytes, more);
    e = request_once(0, 60000, 20000);
    if (e.err.code != code || !strstr(e.err.message, says))
        fail_msg("%d '%s' instead of %d '%s'", e.err.code, e.err.message, code, says);
    assert_string_equal(e.text, text);
    assert_int_equal(strchr(e.err.message, '\n') != NULL, 0);
}

#define CHUNK(content)                                                                             \
    "data: {\\\"choices\\\":[{\\\"index\\\":0,\\\"delta\\\":{\\\"content\\\":\\\"" content         \
    "\\\"},\\\"finish_reason\\\":null}]}\\n\\n"
#define LAST                                                                                       \
    "data: "                                                                                       \
    "{\\\"choices\\\":[{\\\"index\\\":0,\\\"delta\\\":{},\\\"finish_reason\\\":\\\"stop\\\"}]}"    \
    "\\n\\n"
#define USAGE                                                                                      \
    "data: "                                                                                       \
    "{\\\"choices\\\":[],\\\"usage\\\":{\\\"prompt_tokens\\\":3,\\\"completion_tokens\\\":2}}"     \
    "\\n\\n"                                                                                       \
    "data: [DONE]\\n\\n"

/* ------------------------------------------------------------------ tool calls as they come */

struct calls {
    char name[2][64], arguments[2][256];
    char id[2][64];
};

static void append(char *to, size_t size, inf_text piece)
{
    size_t n = strlen(to);

    assert_true(n + piece.len < size);
    memcpy(to + n, piece.data, piece.len);
    to[n + piece.len] = '\0';
}

static void hear_calls(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    struct calls *c = user_data;

    (void)op;
    for (size_t i = 0; i < chunk->n_tool_calls; i++) {
        const inf_tool_call_delta *d = &chunk->tool_calls[i];

        assert_in_range(d->index, 0, 1);
        append(c->id[d->index], sizeof c->id[0], d->id);
        append(c->name[d->index], sizeof c->name[0], d->name);
        append(c->arguments[d->index], sizeof c->arguments[0], d->arguments);
    }
}

#define DELTA(index, members, arguments)                                                           \
    "data: "                                                                                       \
    "{\\\"choices\\\":[{\\\"index\\\":0,\\\"delta\\\":{\\\"tool_calls\\\":[{\\\"index\\\":" index  \
    "," members "\\\"function\\\":{" arguments "}}]}}]}\\n\\n"
#define CALLED                                                                                     \
    DELTA("0", "\\\"id\\\":\\\"a\\\",", "\\\"name\\\":\\\"f\\\",\\\"arguments\\\":\\\"\\\"")       \
    DELTA("0", "", "\\\"arguments\\\":\\\"[1,\\\"") DELTA("0", "", "\\\"arguments\\\":\\\"2]\\\"")

/* Of a stream that is cut, what came. */
static void expect_calls(const char *bytes, int32_t code, const char *arguments, const char *json)
{
    inf_request request = greedy("hi", 8, NULL);
    struct calls heard = {.name = {""}};
    inf_callbacks callbacks;
    struct bench b;
    inf_op *op = NULL;

    answer(CHAT, bytes, "");
    open_bench(&b, NULL);
    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = hear_calls;
    callbacks.user_data = &heard;
    assert_int_equal(inf_generate_start(&op, b.provider, &request, &callbacks, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), code);
    assert_string_equal(heard.id[0], "a");
    assert_string_equal(heard.name[0], "f");
    assert_string_equal(heard.arguments[0], arguments);
    assert_string_equal(result_of(op).tool_calls.data, json);
    inf_op_release(op);
    close_bench(&b);
}

#define JSON(arguments)                                                                            \
    "[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"" arguments \
    "\"}}]"

static void test_tool_calls__come_in_pieces_that_are_the_result_put_together(void **state)
{
    (void)state;
    expect_calls(HEAD "\\r\\n" CALLED LAST USAGE, INF_OK, "[1,2]", JSON("[1,2]"));
    expect_calls(HEAD "\\r\\n" CALLED DELTA("0", "", "\\\"arguments\\\":\\\"[1,2]\\\"") LAST USAGE,
                 INF_OK, "[1,2]", JSON("[1,2]"));
    expect_calls(HEAD "\\r\\n" DELTA("0", "\\\"id\\\":\\\"a\\\",",
                                     "\\\"name\\\":\\\"f\\\",\\\"arguments\\\":\\\"[1,\\\""),
                 INF_ERROR_PROTOCOL, "[1,", JSON("[1,"));
}

/* ------------------------------------------------------------------ streams that end badly */

static void test_stream__ends_before_the_finish_reason__is_a_protocol_error_with_the_text(
    void **state)
{
    (void)state;
    expect(HEAD "\\r\\n" CHUNK("Hello") CHUNK(" you"), "", INF_ERROR_PROTOCOL,
           "before its finish reason", "Hello you");
    expect(HEAD "\\r\\n" CHUNK("Hello") "data: [DONE]\\n\\n", "", INF_ERROR_PROTOCOL,
           "before its finish reason", "Hello");
}

static struct ended expect_counted(const char *bytes, int32_t code)
{
    struct ended e;

    answer(subject->type == INF_PROVIDER_OLLAMA ? "/api/chat" : CHAT, bytes, "");
    e = request_once(0, 60000, 20000);
    if (e.err.code != code)
        fail_msg("%d '%s' instead of %d", e.err.code, e.err.message, code);
    assert_string_equal(e.text, "Hello");
    return e;
}

#define COUNTS(prompt, completion)                                                                 \
    "data: {\\\"choices\\\":[],\\\"usage\\\":{\\\"prompt_tokens\\\":" prompt                       \
    ",\\\"completion_tokens\\\":" completion "}}\\n\\ndata: [DONE]\\n\\n"

static void test_counts__not_told__are_minus_one_and_the_answer_is_good(void **state)
{
    struct ended e = expect_counted(HEAD "\\r\\n" CHUNK("Hello") LAST, INF_OK);

    (void)state;
    assert_true(e.prompt == -1 && e.completion == -1 && e.tokens == -1);
    e = expect_counted(HEAD "\\r\\n" CHUNK("Hello") LAST "data: [DONE]\\n\\n", INF_OK);
    assert_true(e.prompt == -1 && e.completion == -1 && e.tokens == -1);
    e = expect_counted(HEAD "\\r\\n" CHUNK("Hello") LAST COUNTS("null", "2"), INF_OK);
    assert_true(e.prompt == -1 && e.completion == 2 && e.tokens == -1);
    /* an interrupted answer's are what came, at least */
    e = expect_counted(HEAD "\\r\\n" CHUNK("Hel") CHUNK("lo"), INF_ERROR_PROTOCOL);
    assert_true(e.prompt == 0 && e.completion == 2 && e.tokens == 2);
}

static void test_counts__hostile__are_a_protocol_error(void **state)
{
    (void)state;
    expect_counted(HEAD "\\r\\n" CHUNK("Hello") LAST COUNTS("9223372036854775807", "1"),
                   INF_ERROR_PROTOCOL);
    expect_counted(HEAD "\\r\\n" CHUNK("Hello") LAST COUNTS("2147483647", "2147483647"),
                   INF_ERROR_PROTOCOL);
    expect_counted(HEAD "\\r\\n" CHUNK("Hello") LAST COUNTS("1", "-1"), INF_ERROR_PROTOCOL);
}

static void test_stream__reset_or_cut__is_a_connection_or_protocol_error_with_the_text(void **state)
{
    (void)state;
    expect(HEAD "\\r\\n" CHUNK("Hello"), ",\"then\":\"reset\"", INF_ERROR_CONNECTION, "", "Hello");
    expect(HEAD "Content-Length: 100000\\r\\n\\r\\n" CHUNK("Hello"), "", INF_ERROR_PROTOCOL, "",
           "Hello");
    expect("HTTP/1.1 200 OK\\r\\nContent-Ty", ",\"then\":\"reset\"", INF_ERROR_CONNECTION, "", "");
}

static void test_stream__error_object_inside__is_a_backend_error_with_its_words(void **state)
{
    (void)state;
    expect(HEAD "\\r\\n" CHUNK("Hello") "data: {\\\"error\\\":\\\"boom\\\"}\\n\\n", "",
           INF_ERROR_BACKEND, "boom", "Hello");
    expect(HEAD "\\r\\n" CHUNK("Hello") "data: {\\\"error\\\":{\\\"message\\\":\\\"EngineCore "
                                        "died\\\",\\\"code\\\":500}}\\n\\n",
           "", INF_ERROR_BACKEND, "EngineCore died", "Hello");
    expect(HEAD "\\r\\n" CHUNK("Hello") "data: {\\\"choices\\\":[{\\\"index\\\":0,\\\"delta\\\":{},"
                                        "\\\"finish_reason\\\":\\\"abort\\\"}]}\\n\\n",
           "", INF_ERROR_BACKEND, "abort", "Hello");
}

static void test_stream__that_is_a_json_object__is_read_as_one(void **state)
{
    (void)state;
    expect(HEAD "\\r\\n{\\\"error\\\":{\\\"message\\\":\\\"no GPU left\\\",\\\"code\\\":500}}", "",
           INF_ERROR_BACKEND, "no GPU left", "");
    expect(HEAD "\\r\\n\\r\\n {\\n  \\\"error\\\":\\n  \\\"no GPU left\\\"\\n}\\n", "",
           INF_ERROR_BACKEND, "no GPU left", "");
    expect(HEAD "\\r\\n{\\\"choices\\\":[{\\\"index\\\":0,\\\"message\\\":{\\\"content\\\":"
                "\\\"Hi.\\\"},\\\"finish_reason\\\":\\\"stop\\\"}]}",
           "", INF_OK, "", "Hi.");
}

static void test_stream__error_on_a_line_that_is_no_event__is_told(void **state)
{
    (void)state;
    expect(HEAD "\\r\\n" CHUNK("Hello") "{\\\"error\\\":\\\"boom\\\"}\\n\\n", "", INF_ERROR_BACKEND,
           "boom", "Hello");
    expect(HEAD "\\r\\n" CHUNK("Hello") "{\\\"error\\\":\\\"boom\\\"}", "", INF_ERROR_BACKEND,
           "boom", "Hello");
    /* what is neither is nothing, as the standard says */
    expect(HEAD "\\r\\n" CHUNK("Hello") "{\\\"note\\\":1}\\nevent\\n" LAST USAGE, "", INF_OK, "",
           "Hello");
}

static void test_stream__refusal_or_two_answers__are_no_success(void **state)
{
    (void)state;
    expect(HEAD "\\r\\ndata: {\\\"choices\\\":[{\\\"index\\\":0,\\\"delta\\\":{\\\"refusal\\\":"
                "\\\"I will not.\\\"}}]}\\n\\n" LAST USAGE,
           "", INF_ERROR_BACKEND, "I will not.", "");
    expect(HEAD "\\r\\ndata: {\\\"choices\\\":[{\\\"index\\\":0,\\\"delta\\\":{\\\"content\\\":"
                "\\\"a\\\"}},{\\\"index\\\":0,\\\"delta\\\":{\\\"content\\\":\\\"b\\\"}}]}\\n\\n",
           "", INF_ERROR_PROTOCOL, "more answers", "a");
}

static void test_stream__no_json__is_a_protocol_error(void **state)
{
    (void)state;
    expect(HEAD "\\r\\n" CHUNK("Hello") "data: {\\\"choices\\\":[{\\\"ind\\n\\n", "",
           INF_ERROR_PROTOCOL, "no JSON", "Hello");
    expect(HEAD "\\r\\ndata: 17\\n\\n", "", INF_ERROR_PROTOCOL, "no JSON object", "");
    expect(HEAD "\\r\\ndata: ", ",\"repeat\":200,\"piece\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"",
           INF_ERROR_PROTOCOL, "", "");
}

static void test_stream__json_200000_levels_deep__is_a_protocol_error(void **state)
{
    (void)state;
    fake_do(&server,
            "{\"do\":\"next\",\"path\":\"" CHAT "\",\"act\":\"raw\",\"text\":\"" HEAD
            "\\r\\ndata: \",\"repeat\":1,\"times\":200001,\"piece\":\"[\",\"then\":\"close\"}");
    assert_int_equal(request_once(0, 60000, 20000).err.code, INF_ERROR_PROTOCOL);
}

static void test_stream__line_of_10_megabytes__is_an_error_and_not_memory(void **state)
{
    struct ended e;

    (void)state;
    fake_do(&server,
            "{\"do\":\"next\",\"path\":\"" CHAT "\",\"act\":\"raw\",\"text\":\"" HEAD
            "\\r\\ndata: {\\\"a\\\":\\\"\",\"repeat\":11,\"times\":1024,\"piece\":\"%01024d\"}",
            0);
    e = request_once(0, 60000, 20000);
    assert_int_equal(e.err.code, INF_ERROR_PROTOCOL);
    assert_true(e.err.detail >= 10 << 20);
}

/* ------------------------------------------------------------------ text that is none */

static void test_text__invalid_utf8_and_surrogates__end_as_replacements(void **state)
{
    (void)state;
    expect(HEAD "\\r\\n" CHUNK("a\\u00ffb") LAST USAGE, "", INF_OK, "",
           "a\xef\xbf\xbd"
           "b");
    expect(HEAD "\\r\\n" CHUNK("a\\\\ud800b") LAST USAGE, "", INF_OK, "",
           "a\xef\xbf\xbd"
           "b");
    /* a code point cut in two by the chunks, as bytes and as a pair */
    expect(HEAD "\\r\\n" CHUNK("\\u00e2\\u0082") CHUNK("\\u00ac.") LAST USAGE, "", INF_OK, "",
           "\xe2\x82\xac.");
    expect(HEAD "\\r\\n" CHUNK("\\\\ud83e") CHUNK("\\\\udd8a") LAST USAGE, "", INF_OK, "",
           "\xf0\x9f\xa6\x8a");
    expect(HEAD "\\r\\n" CHUNK("x\\\\ud83e") LAST USAGE, "", INF_OK, "", "x\xef\xbf\xbd");
}

static void test_text__reaches_the_result_when_the_stream_breaks_inside_a_code_point(void **state)
{
    (void)state;
    expect(HEAD "\\r\\n" CHUNK("ok \\u00e2\\u0082"), "", INF_ERROR_PROTOCOL, "finish reason",
           "ok \xef\xbf\xbd");
}

/* ------------------------------------------------------------------ time */

static void test_time__silence__is_a_timeout_within_its_time(void **state)
{
    struct ended e;

    (void)state;
    answer(CHAT, HEAD "\\r\\n" CHUNK("Hello"), ",\"then\":\"hang\",\"seconds\":5");
    e = request_once(0, 300, 20000);
    assert_int_equal(e.err.code, INF_ERROR_TIMEOUT);
    assert_string_equal(e.text, "Hello");
    assert_true(e.ms < 4500);
    answer(CHAT, "", ",\"then\":\"hang\",\"seconds\":5");
    e = request_once(0, 60000, 400);
    assert_int_equal(e.err.code, INF_ERROR_TIMEOUT);
    assert_true(e.ms < 4500);
}

/* One connection, which somebody else has for a second. */
static void test_time__waiting_for_a_connection__has_a_bound_of_its_own(void **state)
{
    inf_provider_config config = subject_config();
    inf_request request = greedy("hi", 8, NULL);
    inf_op *first = NULL, *short_of_time = NULL, *impatient = NULL, *cancelled = NULL;
    struct bench b;
    inf_error err;
    inf_result r;

    (void)state;
    config.max_connections = 1;
    open_bench(&b, &config);
    answer(CHAT, HEAD "\\r\\n" CHUNK("Hello"), ",\"then\":\"hang\",\"seconds\":1");
    assert_int_equal(inf_generate_start(&first, b.provider, &request, NULL, &err), INF_OK);
    request.timeout_ms = 700; /* less than it waits, and plenty for its work */
    assert_int_equal(inf_generate_start(&short_of_time, b.provider, &request, NULL, &err), INF_OK);
    request.queue_timeout_ms = 200;
    assert_int_equal(inf_generate_start(&impatient, b.provider, &request, NULL, &err), INF_OK);
    request.queue_timeout_ms = -1;
    assert_int_equal(inf_generate_start(&cancelled, b.provider, &request, NULL, &err), INF_OK);
    inf_op_cancel(cancelled);
    assert_int_equal(inf_op_wait(cancelled, -1, &err), INF_ERROR_CANCELLED);
    assert_int_equal(inf_op_wait(impatient, -1, &err), INF_ERROR_TIMEOUT);
    assert_non_null(strstr(err.message, "queue_timeout_ms"));
    assert_false(inf_op_poll(first));
    inf_op_wait(first, -1, NULL);
    assert_int_equal(inf_op_wait(short_of_time, -1, &err), INF_OK);
    r = result_of(short_of_time);
    assert_true(r.timings.queued_us > 700000);
    assert_true(r.timings.total_us > r.timings.queued_us);
    inf_op_release(first);
    inf_op_release(short_of_time);
    inf_op_release(impatient);
    inf_op_release(cancelled);
    close_bench(&b);
}

static void test_time__no_limit__is_minus_one(void **state)
{
    inf_provider_config config = subject_config();
    inf_request request = greedy("hi", 8, NULL);
    struct bench b;

    (void)state;
    config.connect_timeout_ms = config.silence_timeout_ms = -1;
    request.timeout_ms = -1;
    open_bench(&b, &config);
    inf_op_release(run(&b, &request));
    close_bench(&b);
}

static void test_time__a_byte_now_and_then__ends_with_the_operations_timeout(void **state)
{
    struct ended e;

    (void)state;
    answer(CHAT, HEAD "\\r\\n", ",\"repeat\":50,\"piece\":\":\",\"pause\":0.1");
    e = request_once(0, 60000, 600);
    assert_int_equal(e.err.code, INF_ERROR_TIMEOUT);
    assert_true(e.ms < 4500);
}

/* ------------------------------------------------------------------ statuses */

static void status(int code, const char *type, const char *body, const char *says)
{
    struct ended e;

    fake_do(&server,
            "{\"do\":\"next\",\"path\":\"" CHAT "\",\"act\":\"raw\",\"text\":\"HTTP/1.1 %d "
            "X\\r\\nContent-Type: %s\\r\\nContent-Length: %zu\\r\\n\\r\\n%s\"}",
            code, type, strlen(body), body);
    e = request_once(0, 60000, 20000);
    assert_int_equal(e.err.code, INF_ERROR_HTTP_STATUS);
    assert_int_equal(e.err.http_status, code);
    if (!strstr(e.err.message, says))
        fail_msg("'%s' does not say '%s'", e.err.message, says);
}

static void test_status__with_and_without_json__is_one_line_that_says_what(void **state)
{
    (void)state;
    status(401, "text/plain", "no", "VLLM_API_KEY");
    status(404, "text/html", "<html>not here</html>", "base URL");
    status(429, "text/plain", "", "busy");
    status(503, "text/plain", "draining", "draining");
    status(500, "application/json", "[1,2]", "500");
}

static void test_status__busy__is_tried_again_as_often_as_configured(void **state)
{
    const char *busy = "HTTP/1.1 503 X\\r\\nRetry-After: 0\\r\\nContent-Length: 0\\r\\n\\r\\n";
    struct ended e;

    (void)state;
    answer(CHAT, busy, ",\"then\":\"keep\"");
    answer(CHAT, busy, ",\"then\":\"keep\"");
    e = request_once(2, 60000, 20000);
    assert_int_equal(e.err.code, INF_OK);
    assert_int_equal(e.finish, INF_FINISH_LENGTH);
    assert_int_equal(fake_requests(&server, CHAT, NULL), 3);
}

static void test_status__a_redirect__is_an_error_that_says_where_to(void **state)
{
    struct ended e;

    (void)state;
    answer(CHAT,
           "HTTP/1.1 307 X\\r\\nLocation: http://elsewhere/v1\\r\\nContent-Length: 0\\r\\n\\r\\n",
           "");
    e = request_once(0, 60000, 20000);
    assert_int_equal(e.err.code, INF_ERROR_HTTP_STATUS);
    assert_int_equal(e.err.http_status, 307);
    assert_non_null(strstr(e.err.message, "http://elsewhere/v1"));
}

static void test_status__200_with_a_page__is_a_protocol_error(void **state)
{
    (void)state;
    expect("HTTP/1.1 200 OK\\r\\nContent-Type: text/html\\r\\nContent-Length: 6\\r\\n\\r\\n<html>",
           "", INF_ERROR_PROTOCOL, "text/html", "");
}

static void test_connection__refused__is_a_connection_error(void **state)
{
    struct ended e;

    (void)state;
    fake_do(&server, "{\"do\":\"die\"}");
    e = request_once(0, 60000, 20000);
    assert_int_equal(e.err.code, INF_ERROR_CONNECTION);
}

static void test_answer__not_streamed__is_taken_whole(void **state)
{
    (void)state;
    expect("HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\n\\r\\n"
           "{\\\"choices\\\":[{\\\"index\\\":0,\\\"message\\\":{\\\"role\\\":\\\"assistant\\\","
           "\\\"content\\\":\\\"Hi.\\\"},\\\"finish_reason\\\":\\\"stop\\\"}],\\\"usage\\\":"
           "{\\\"prompt_tokens\\\":3,\\\"completion_tokens\\\":2}}",
           "", INF_OK, "", "Hi.");
}

/* ------------------------------------------------------------------ Ollama's own dialect */

#define NDJSON "HTTP/1.1 200 OK\\r\\nContent-Type: application/x-ndjson\\r\\n\\r\\n"
#define LINE(text)                                                                                 \
    "{\\\"message\\\":{\\\"role\\\":\\\"assistant\\\",\\\"content\\\":\\\"" text                   \
    "\\\"},\\\"done\\\":false}\\n"

static void test_ollama__stream_ends_early_or_in_an_error__keeps_the_text(void **state)
{
    (void)state;
    expect(NDJSON LINE("Hello") LINE(" you"), "", INF_ERROR_PROTOCOL, "finish reason", "Hello you");
    expect(NDJSON LINE("Hello") "{\\\"error\\\":\\\"model runner has stopped\\\"}\\n", "",
           INF_ERROR_BACKEND, "model runner has stopped", "Hello");
    expect(NDJSON LINE("Hello") "{\\\"done\\\":true}\\n", "", INF_ERROR_PROTOCOL, "done_reason",
           "Hello");
    expect("HTTP/1.1 400 X\\r\\nContent-Type: application/json\\r\\n\\r\\n"
           "{\\\"error\\\":\\\"the input length exceeds the context length\\\"}",
           "", INF_ERROR_CONTEXT_FULL, "does not fit", "");
}

int main(void)
{
#define SERVED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SERVED(test_tool_calls__come_in_pieces_that_are_the_result_put_together),
        SERVED(test_stream__ends_before_the_finish_reason__is_a_protocol_error_with_the_text),
        SERVED(test_stream__reset_or_cut__is_a_connection_or_protocol_error_with_the_text),
        SERVED(test_stream__error_object_inside__is_a_backend_error_with_its_words),
        SERVED(test_counts__not_told__are_minus_one_and_the_answer_is_good),
        SERVED(test_counts__hostile__are_a_protocol_error),
        SERVED(test_stream__that_is_a_json_object__is_read_as_one),
        SERVED(test_stream__error_on_a_line_that_is_no_event__is_told),
        SERVED(test_stream__refusal_or_two_answers__are_no_success),
        SERVED(test_stream__no_json__is_a_protocol_error),
        SERVED(test_stream__json_200000_levels_deep__is_a_protocol_error),
        SERVED(test_stream__line_of_10_megabytes__is_an_error_and_not_memory),
        SERVED(test_text__invalid_utf8_and_surrogates__end_as_replacements),
        SERVED(test_text__reaches_the_result_when_the_stream_breaks_inside_a_code_point),
        SERVED(test_time__silence__is_a_timeout_within_its_time),
        SERVED(test_time__a_byte_now_and_then__ends_with_the_operations_timeout),
        SERVED(test_status__with_and_without_json__is_one_line_that_says_what),
        SERVED(test_status__busy__is_tried_again_as_often_as_configured),
        SERVED(test_status__a_redirect__is_an_error_that_says_where_to),
        SERVED(test_status__200_with_a_page__is_a_protocol_error),
        SERVED(test_time__waiting_for_a_connection__has_a_bound_of_its_own),
        SERVED(test_time__no_limit__is_minus_one),
        SERVED(test_connection__refused__is_a_connection_error),
        SERVED(test_answer__not_streamed__is_taken_whole),
        cmocka_unit_test_setup_teardown(
            test_ollama__stream_ends_early_or_in_an_error__keeps_the_text, set_up_ollama,
            tear_down),
    };

    return cmocka_run_group_tests_name("faults of servers", tests, NULL, NULL);
}
