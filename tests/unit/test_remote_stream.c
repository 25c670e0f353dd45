/*
 * chat_stream: every shape of chunk of both dialects. The framing (HTTP, server-sent events) is
 * tested with the client.
 */
#include "core/memory.h"
#include "core/op.h"
#include "core/utf8.h"
#include "remote/chat_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct chat_stream stream;
static inf_error err;

static void begin(int32_t dialect)
{
    memset(&err, 0, sizeof err);
    chat_stream_init(&stream, dialect);
}

/* What came so far. */
static const char *text_of(const struct buffer *b)
{
    return b->data ? b->data : "";
}

static const char *heard(void)
{
    return text_of(&stream.text.out);
}

static int32_t event(const char *data)
{
    return chat_stream_event(&stream, data, strlen(data), &err);
}

static void good(const char *data)
{
    if (event(data) != INF_OK)
        fail_msg("%s: %s", data, err.message);
}

static void free_output(struct op_output *o)
{
    mem_free(o->finish_reason);
    mem_free(o->tool_calls);
    mem_free(o->logprobs);
    mem_free(o->logprobs_block);
}

#define DELTA(members)                                                                             \
    "{\"choices\":[{\"index\":0,\"delta\":{" members "},\"finish_reason\":null}]}"
#define FINISH(word) "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" word "\"}]}"
#define USAGE "{\"choices\":[],\"usage\":{\"prompt_tokens\":34,\"completion_tokens\":5}}"

/* ------------------------------------------------------------------ /v1 */

static void test_completions__an_answer_of_vllm__text_counts_and_finish(void **state)
{
    struct op_output out = {0};

    (void)state;
    begin(CHAT_COMPLETIONS);
    good("{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":"
         "{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}],"
         "\"usage\":{\"prompt_tokens\":34,\"total_tokens\":34,\"completion_tokens\":0}}");
    good("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gravity "
         "is\"},\"finish_reason\":null}],"
         "\"usage\":{\"prompt_tokens\":34,\"completion_tokens\":3}}");
    assert_int_equal(stream.completion_tokens,
                     3); /* a chunk of several tokens, counted by the server */
    good(
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\" a\\n\"},\"finish_reason\":\"length\","
        "\"stop_reason\":null}]}");
    good(USAGE);
    good("[DONE]");
    assert_true(stream.done);
    assert_int_equal(chat_stream_end(&stream, &err), INF_OK);
    assert_string_equal(heard(), "Gravity is a\n");
    assert_int_equal(chat_stream_fill(&stream, &out, false, &err), INF_OK);
    assert_int_equal(out.prompt_tokens, 34);
    assert_int_equal(out.completion_tokens, 5);
    assert_int_equal(out.finish, INF_FINISH_LENGTH);
    assert_string_equal(out.finish_reason, "length");
    free_output(&out);
    chat_stream_free(&stream);
}

static void expect_finish(const char *word, int32_t finish)
{
    char text[256];
    struct op_output out = {0};

    snprintf(text, sizeof text, FINISH("%s"), word);
    begin(CHAT_COMPLETIONS);
    good(text);
    good("[DONE]");
    assert_int_equal(chat_stream_end(&stream, &err), INF_OK);
    assert_int_equal(chat_stream_fill(&stream, &out, false, &err), INF_OK);
    assert_int_equal(out.finish, finish);
    assert_string_equal(out.finish_reason, word);
    free_output(&out);
    chat_stream_free(&stream);
}

static void test_completions__finish_reasons__are_mapped(void **state)
{
    (void)state;
    expect_finish("stop", INF_FINISH_STOP);
    expect_finish("length", INF_FINISH_LENGTH);
    expect_finish("tool_calls", INF_FINISH_TOOL_CALLS);
    expect_finish("function_call", INF_FINISH_TOOL_CALLS);
    expect_finish("content_filter", INF_FINISH_CONTENT_FILTER);
    expect_finish("repetition", INF_FINISH_OTHER);
}

static void test_completions__a_long_finish_reason__is_cut_between_code_points(void **state)
{
    struct op_output out = {0};
    char text[1024] = "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"x";

    (void)state;
    for (int i = 0; i < 100; i++)
        strcat(text, i % 2 ? "é" : "\xff");
    strcat(text, "\"}]}");
    begin(CHAT_COMPLETIONS);
    good(text);
    good("[DONE]");
    assert_int_equal(chat_stream_fill(&stream, &out, false, &err), INF_OK);
    assert_true(strlen(out.finish_reason) >= 60 && strlen(out.finish_reason) < 64);
    assert_true(utf8_valid(out.finish_reason, strlen(out.finish_reason)));
    free_output(&out);
    chat_stream_free(&stream);
}

static void test_completions__abort_and_error__are_no_success(void **state)
{
    (void)state;
    begin(CHAT_COMPLETIONS);
    assert_int_equal(event(FINISH("abort")), INF_ERROR_BACKEND);
    chat_stream_free(&stream);
    begin(CHAT_COMPLETIONS);
    assert_int_equal(event(FINISH("error")), INF_ERROR_BACKEND);
    chat_stream_free(&stream);
}

static void test_completions__reasoning__under_both_names_and_once(void **state)
{
    (void)state;
    begin(CHAT_COMPLETIONS);
    good(DELTA("\"reasoning_content\":\"hm\""));
    good(DELTA("\"reasoning\":\", so\",\"reasoning_content\":\", so\""));
    good(DELTA("\"reasoning\":null,\"content\":\"Yes\""));
    assert_string_equal(text_of(&stream.reasoning.out), "hm, so");
    assert_string_equal(heard(), "Yes");
    chat_stream_free(&stream);
}

static void test_completions__tool_calls__are_put_together_by_index(void **state)
{
    struct op_output out = {0};

    (void)state;
    begin(CHAT_COMPLETIONS);
    good(DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"a1\",\"type\":\"function\",\"function\":"
               "{\"name\":\"look\",\"arguments\":\"\"}}]"));
    good(DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"q\\\":\"}}]"));
    good(
        DELTA("\"tool_calls\":[{\"index\":1,\"id\":\"b2\",\"function\":{\"name\":\"go\","
              "\"arguments\":\"{}\"}},{\"index\":0,\"function\":{\"arguments\":\"\\\"x\\\"}\"}}]"));
    good(FINISH("tool_calls"));
    good(USAGE);
    assert_int_equal(chat_stream_end(&stream, &err), INF_OK);
    assert_int_equal(chat_stream_fill(&stream, &out, false, &err), INF_OK);
    assert_string_equal(out.tool_calls,
                        "[{\"id\":\"a1\",\"type\":\"function\",\"function\":{\"name\":\"look\","
                        "\"arguments\":\"{\\\"q\\\":\\\"x\\\"}\"}},{\"id\":\"b2\",\"type\":"
                        "\"function\",\"function\":{\"name\":\"go\",\"arguments\":\"{}\"}}]");
    assert_string_equal(heard(), ""); /* never mixed in */
    free_output(&out);
    chat_stream_free(&stream);
}

static void test_completions__logprobs__with_bytes_and_alternatives(void **state)
{
    struct op_output out = {0};

    (void)state;
    begin(CHAT_COMPLETIONS);
    good("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"vity -\"},\"logprobs\":{\"content\":["
         "{\"token\":\"vity\",\"logprob\":-0.5,\"bytes\":[118,105,116,121],\"top_logprobs\":["
         "{\"token\":\"vity\",\"logprob\":-0.5,\"bytes\":[118,105,116,121]},"
         "{\"token\":\"v\",\"logprob\":-7.25,\"bytes\":[118]}]},"
         "{\"token\":\" -\",\"logprob\":-3.5,\"bytes\":null,\"top_logprobs\":[]}]},"
         "\"finish_reason\":\"stop\"}]}");
    good(USAGE);
    assert_int_equal(chat_stream_end(&stream, &err), INF_OK);
    assert_int_equal(chat_stream_fill(&stream, &out, true, &err), INF_OK);
    assert_int_equal(out.n_logprobs, 2);
    assert_int_equal(out.logprobs[0].piece.len, 4);
    assert_memory_equal(out.logprobs[0].piece.data, "vity", 4);
    assert_int_equal(out.logprobs[0].n_top, 2);
    assert_true(out.logprobs[0].top[1].logprob == -7.25f);
    assert_int_equal(out.logprobs[0].top[1].token_id, -1);
    assert_int_equal(out.logprobs[1].n_top, 0);
    assert_memory_equal(out.logprobs[1].piece.data, " -", 2);
    free_output(&out);
    chat_stream_free(&stream);
}

static void test_logprobs__asked_for_and_not_sent__is_unsupported(void **state)
{
    struct op_output out = {0};

    (void)state;
    begin(CHAT_COMPLETIONS);
    good(DELTA("\"content\":\"x\""));
    good(FINISH("stop"));
    good(USAGE);
    assert_int_equal(chat_stream_fill(&stream, &out, true, &err), INF_ERROR_UNSUPPORTED);
    free_output(&out);
    chat_stream_free(&stream);
}

static void test_completions__error_objects__in_every_dialect(void **state)
{
    static const struct {
        const char *data, *says;
        int32_t code, status;
    } errors[] = {
        {"{\"error\":\"boom\"}", "boom", INF_ERROR_BACKEND, 0},
        {"{\"error\":{\"message\":\"dead\",\"type\":\"x\",\"code\":500}}", "dead",
         INF_ERROR_BACKEND, 500},
        {"{\"error\":{\"message\":\"dead\",\"code\":null}}", "dead", INF_ERROR_BACKEND, 0},
        {"{\"error\":{\"message\":\"dead\",\"code\":\"overloaded\"}}", "dead", INF_ERROR_BACKEND,
         0},
        {"{\"object\":\"error\",\"message\":\"old\",\"code\":400}", "old", INF_ERROR_BACKEND, 400},
        {"{\"detail\":\"gone\"}", "gone", INF_ERROR_BACKEND, 0},
        {"{\"error\":\"the input length exceeds the context length\"}", "does not fit",
         INF_ERROR_CONTEXT_FULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        begin(CHAT_COMPLETIONS);
        good(DELTA("\"content\":\"so far\""));
        assert_int_equal(event(errors[i].data), errors[i].code);
        assert_int_equal(err.http_status, errors[i].status);
        assert_non_null(strstr(err.message, errors[i].says));
        assert_string_equal(heard(), "so far");
        chat_stream_free(&stream);
    }
}

static void test_completions__wrong_shapes__are_protocol_errors(void **state)
{
    static const char *const wrong[] = {
        "x",
        "[]",
        "17",
        "{\"choices\":[1]}",
        "{\"choices\":{}}",
        "{\"choices\":[{\"delta\":{\"content\":[{\"type\":\"image_url\"}]}}]}",
        "{\"choices\":[{\"delta\":7}]}",
        "{\"choices\":[{\"delta\":{\"content\":{}}}]}",
        "{\"choices\":[{\"finish_reason\":1}]}",
        "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"second\"}}]}",
        "{\"choices\":[],\"usage\":[]}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":\"x\"}}",
        "{\"choices\":[],\"usage\":{\"completion_tokens\":-1}}",
        "{\"choices\":[{\"delta\":{\"tool_calls\":{}}}]}",
        "{\"choices\":[{\"delta\":{\"tool_calls\":[1]}}]}",
        "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":-1}]}}]}",
        "{\"choices\":[{\"delta\":{\"function_call\":\"x\"}}]}",
        "{\"choices\":[{\"delta\":{\"refusal\":{}}}]}",
        "{\"choices\":[{\"delta\":{},\"logprobs\":1}]}",
        "{\"choices\":[{\"delta\":{},\"logprobs\":{\"content\":[{\"token\":\"x\"}]}}]}"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        begin(CHAT_COMPLETIONS);
        if (event(wrong[i]) != INF_ERROR_PROTOCOL)
            fail_msg("%s: %d", wrong[i], err.code);
        assert_true(err.message[0] && !strchr(err.message, '\n'));
        chat_stream_free(&stream);
    }
}

static void test_completions__a_whole_answer_that_is_none__is_a_protocol_error(void **state)
{
    (void)state;
    begin(CHAT_COMPLETIONS);
    stream.whole = true;
    assert_int_equal(event("{\"what\":1}"), INF_ERROR_PROTOCOL);
    assert_non_null(strstr(err.message, "neither a chunk nor an error"));
    chat_stream_free(&stream);
}

/* ------------------------------------------------------------------ counts */

static void expect_counts(int64_t prompt, int64_t completion)
{
    struct op_output out = {0};

    assert_int_equal(chat_stream_end(&stream, &err), INF_OK);
    assert_int_equal(chat_stream_fill(&stream, &out, false, &err), INF_OK);
    assert_int_equal(out.prompt_tokens, prompt);
    assert_int_equal(out.completion_tokens, completion);
    free_output(&out);
    chat_stream_free(&stream);
}

static void test_counts__not_told__are_minus_one_however_the_answer_ends(void **state)
{
    (void)state;
    begin(CHAT_COMPLETIONS);
    good(DELTA("\"content\":\"x\""));
    good(FINISH("stop"));
    good("[DONE]");
    expect_counts(-1, -1);
    begin(CHAT_COMPLETIONS); /* no [DONE] */
    good(FINISH("stop"));
    expect_counts(-1, -1);
    begin(CHAT_COMPLETIONS);
    good(FINISH("stop"));
    good("{\"choices\":[],\"usage\":{\"completion_tokens\":7}}");
    expect_counts(-1, 7);
    begin(CHAT_OLLAMA);
    good("{\"message\":{\"content\":\"x\"},\"done\":true,\"done_reason\":\"stop\"}");
    expect_counts(-1, -1);
    begin(CHAT_OLLAMA);
    good("{\"message\":{\"content\":\"x\"},\"done\":true,\"done_reason\":\"stop\","
         "\"eval_count\":1}");
    expect_counts(-1, 1);
}

static void test_counts__no_number_of_tokens__are_protocol_errors(void **state)
{
    static const char *const counts[] = {"-1",
                                         "2147483648",
                                         "9223372036854775807",
                                         "99999999999999999999",
                                         "-9223372036854775808",
                                         "1.5",
                                         "\"7\"",
                                         "1e3",
                                         "[]"};
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        snprintf(text, sizeof text, "{\"choices\":[],\"usage\":{\"prompt_tokens\":%s}}", counts[i]);
        begin(CHAT_COMPLETIONS);
        assert_int_equal(event(text), INF_ERROR_PROTOCOL);
        assert_non_null(strstr(err.message, "token count"));
        chat_stream_free(&stream);
        snprintf(text, sizeof text,
                 "{\"message\":{},\"done\":true,\"done_reason\":\"stop\",\"eval_count\":%s}",
                 counts[i]);
        begin(CHAT_OLLAMA);
        assert_int_equal(event(text), INF_ERROR_PROTOCOL);
        chat_stream_free(&stream);
    }
    begin(CHAT_COMPLETIONS); /* each for itself would do */
    assert_int_equal(event("{\"choices\":[],\"usage\":{\"prompt_tokens\":2147483647,"
                           "\"completion_tokens\":1}}"),
                     INF_ERROR_PROTOCOL);
    chat_stream_free(&stream);
    begin(CHAT_COMPLETIONS);
    good(FINISH("stop"));
    good("{\"choices\":[],\"usage\":{\"prompt_tokens\":2147483646,\"completion_tokens\":1}}");
    expect_counts(2147483646, 1);
}

/* ------------------------------------------------------------------ nothing is dropped */

static void test_refusal__is_an_error_with_its_words(void **state)
{
    (void)state;
    begin(CHAT_COMPLETIONS);
    good(DELTA("\"refusal\":null,\"content\":\"\""));
    good(DELTA("\"refusal\":\"I cannot \""));
    good(DELTA("\"refusal\":\"help \\ud83e\""));
    good(DELTA("\"refusal\":\"\\udd8a.\""));
    good(FINISH("stop"));
    good(USAGE);
    assert_int_equal(event("[DONE]"), INF_ERROR_BACKEND);
    assert_non_null(strstr(err.message, "refused to answer: I cannot help 🦊."));
    assert_string_equal(heard(), "");
    chat_stream_free(&stream);
    begin(CHAT_COMPLETIONS); /* a whole answer, and no [DONE] */
    good("{\"choices\":[{\"index\":0,\"message\":{\"content\":null,\"refusal\":\"No.\"},"
         "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}");
    assert_int_equal(chat_stream_end(&stream, &err), INF_ERROR_BACKEND);
    assert_non_null(strstr(err.message, "No."));
    chat_stream_free(&stream);
}

static void test_refusal__however_long__is_one_line(void **state)
{
    char text[1200] = "{\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"";

    (void)state;
    for (int i = 0; i < 300; i++)
        strcat(text, "\\n\xff");
    strcat(text, "\"}}]}");
    begin(CHAT_COMPLETIONS);
    for (int i = 0; i < 50; i++)
        good(text);
    good(FINISH("stop"));
    assert_int_equal(event("[DONE]"), INF_ERROR_BACKEND);
    assert_null(strchr(err.message, '\n'));
    assert_true(utf8_valid(err.message, strlen(err.message)));
    chat_stream_free(&stream);
}

static void test_function_call__the_older_form__is_a_tool_call(void **state)
{
    struct op_output out = {0};

    (void)state;
    begin(CHAT_COMPLETIONS);
    good(DELTA("\"function_call\":{\"name\":\"look\",\"arguments\":\"\"}"));
    good(DELTA("\"function_call\":{\"name\":\"look\",\"arguments\":\"{\\\"q\\\":1}\"}"));
    good(FINISH("function_call"));
    good(USAGE);
    assert_int_equal(chat_stream_end(&stream, &err), INF_OK);
    assert_int_equal(chat_stream_fill(&stream, &out, false, &err), INF_OK);
    assert_non_null(strstr(out.tool_calls, "\"function\":{\"name\":\"look\",\"arguments\":"
                                           "\"{\\\"q\\\":1}\"}}]"));
    assert_int_equal(out.finish, INF_FINISH_TOOL_CALLS);
    free_output(&out);
    chat_stream_free(&stream);
}

static void test_choices__two_in_a_chunk__are_a_protocol_error_whatever_their_index(void **state)
{
    (void)state;
    begin(CHAT_COMPLETIONS);
    assert_int_equal(event("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}},"
                           "{\"index\":0,\"delta\":{\"content\":\"b\"}}]}"),
                     INF_ERROR_PROTOCOL);
    assert_non_null(strstr(err.message, "more answers"));
    assert_string_equal(heard(), "a");
    chat_stream_free(&stream);
}

static void test_end__without_finish__is_a_protocol_error(void **state)
{
    (void)state;
    begin(CHAT_COMPLETIONS);
    good(DELTA("\"content\":\"x\""));
    assert_int_equal(chat_stream_end(&stream, &err), INF_ERROR_PROTOCOL);
    chat_stream_free(&stream);
    begin(CHAT_COMPLETIONS); /* the words of an object that may have been alive, or an error */
    good("{\"message\":\"out of \\n cards\"}");
    assert_int_equal(chat_stream_end(&stream, &err), INF_ERROR_PROTOCOL);
    assert_non_null(strstr(err.message, "its finish reason; the text so far is kept; the server's "
                                        "last words: out of "));
    assert_null(strchr(err.message, '\n'));
    chat_stream_free(&stream);
    begin(CHAT_COMPLETIONS); /* what Ollama makes of an error in the middle of /v1 */
    good(DELTA("\"content\":\"\""));
    assert_int_equal(chat_stream_end(&stream, &err), INF_ERROR_PROTOCOL);
    chat_stream_free(&stream);
}

static void test_text__one_escape_at_a_time__every_split_of_a_pair(void **state)
{
    (void)state;
    begin(CHAT_COMPLETIONS);
    good(DELTA("\"content\":\"\\ud83e\""));
    assert_string_equal(heard(), ""); /* held until the other half is there */
    good(DELTA("\"content\":\"\\udd8a \\ud800\""));
    good(FINISH("stop"));
    good(USAGE);
    assert_int_equal(chat_stream_end(&stream, &err), INF_OK);
    assert_string_equal(heard(), "🦊 \xef\xbf\xbd");
    chat_stream_free(&stream);
}

static void test_completions__a_whole_answer__is_taken_too(void **state)
{
    (void)state;
    begin(CHAT_COMPLETIONS);
    good("{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hi.\","
         "\"refusal\":null,\"tool_calls\":null},\"finish_reason\":\"stop\"}],\"usage\":"
         "{\"prompt_tokens\":3,\"completion_tokens\":2}}");
    assert_int_equal(chat_stream_end(&stream, &err), INF_OK);
    assert_string_equal(heard(), "Hi.");
    chat_stream_free(&stream);
}

/* ------------------------------------------------------------------ Ollama */

static void test_ollama__an_answer__text_thinking_counts_and_finish(void **state)
{
    struct op_output out = {0};

    (void)state;
    begin(CHAT_OLLAMA);
    good("{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":"
         "\"hm\"},"
         "\"done\":false}");
    good("{\"message\":{\"role\":\"assistant\",\"content\":\"Gra\"},\"done\":false,\"logprobs\":["
         "{\"token\":\"Gra\",\"logprob\":-0.5,\"bytes\":[71,114,97]}]}");
    good("{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"length\","
         "\"prompt_eval_count\":13,\"eval_count\":4}");
    assert_true(stream.done);
    assert_int_equal(chat_stream_end(&stream, &err), INF_OK);
    assert_string_equal(heard(), "Gra");
    assert_string_equal(text_of(&stream.reasoning.out), "hm");
    assert_int_equal(chat_stream_fill(&stream, &out, true, &err), INF_OK);
    assert_int_equal(out.prompt_tokens, 13);
    assert_int_equal(out.completion_tokens, 4);
    assert_int_equal(out.finish, INF_FINISH_LENGTH);
    assert_int_equal(out.n_logprobs, 1);
    free_output(&out);
    chat_stream_free(&stream);
}

static void test_ollama__tool_calls_without_ids__get_different_ones(void **state)
{
    struct op_output out = {0};
    char seen[4][32] = {""};
    int n = 0;

    (void)state;
    for (int answer = 0; answer < 2; answer++) {
        const char *at = NULL;

        begin(CHAT_OLLAMA);
        good("{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"a\","
             "\"arguments\":{}}},{\"function\":{\"name\":\"b\",\"arguments\":{}}}]},"
             "\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":3,\"eval_count\":4}");
        assert_int_equal(chat_stream_fill(&stream, &out, false, &err), INF_OK);
        for (at = out.tool_calls; n < 4 && (at = strstr(at, "call_")); at++)
            snprintf(seen[n++], 32, "%.21s", at);
        free_output(&out);
        out = (struct op_output){0};
        chat_stream_free(&stream);
    }
    assert_int_equal(n, 4);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(seen[i], seen[k]);
}

static void test_ollama__tool_calls__have_the_form_of_v1(void **state)
{
    struct op_output out = {0};
    char *id = NULL;

    (void)state;
    begin(CHAT_OLLAMA);
    good("{\"message\":{\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"index\":0,"
         "\"name\":\"look\",\"arguments\":{\"q\": \"x\"}}},{\"function\":{\"name\":\"go\","
         "\"arguments\":{}}}]},\"done\":false}");
    good(
        "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"eval_count\":4}");
    assert_int_equal(chat_stream_fill(&stream, &out, false, &err), INF_OK);
    id = strstr(out.tool_calls, "{\"id\":\"call_");
    assert_non_null(id); /* of its own: the server gave none */
    assert_int_equal(strspn(id + strlen("{\"id\":\"call_"), "0123456789abcdef"), 16);
    memcpy(id + strlen("{\"id\":\"call_"), "0123456789abcdef", 16);
    assert_string_equal(out.tool_calls,
                        "[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"look\","
                        "\"arguments\":\"{\\\"q\\\": \\\"x\\\"}\"}},{\"id\":"
                        "\"call_0123456789abcdef\",\"type\":"
                        "\"function\",\"function\":{\"name\":\"go\",\"arguments\":\"{}\"}}]");
    assert_int_equal(out.finish, INF_FINISH_TOOL_CALLS); /* as /v1 says it */
    free_output(&out);
    chat_stream_free(&stream);
}

static void test_ollama__interrupted__counts_its_chunks(void **state)
{
    struct op_output out = {0};

    (void)state;
    begin(CHAT_OLLAMA);
    good("{\"message\":{\"content\":\"a\"},\"done\":false}");
    good("{\"message\":{\"content\":\"b\"},\"done\":false}");
    assert_int_equal(chat_stream_end(&stream, &err), INF_ERROR_PROTOCOL);
    assert_int_equal(chat_stream_fill(&stream, &out, false, &err), INF_OK);
    assert_int_equal(out.completion_tokens, 2);
    free_output(&out);
    chat_stream_free(&stream);
}

static void test_ollama__errors_and_wrong_shapes(void **state)
{
    (void)state;
    begin(CHAT_OLLAMA);
    assert_int_equal(event("{\"error\":\"llama runner has died\"}"), INF_ERROR_BACKEND);
    chat_stream_free(&stream);
    begin(CHAT_OLLAMA);
    assert_int_equal(event("{\"message\":{\"content\":\"x\"},\"done\":true}"), INF_ERROR_PROTOCOL);
    chat_stream_free(&stream);
    begin(CHAT_OLLAMA);
    assert_int_equal(event("{\"message\":[],\"done\":false}"), INF_ERROR_PROTOCOL);
    chat_stream_free(&stream);
    begin(CHAT_OLLAMA);
    assert_int_equal(event("[DONE]"), INF_ERROR_PROTOCOL); /* not of this dialect */
    chat_stream_free(&stream);
}

/* ------------------------------------------------------------------ memory */

static void test_memory__every_allocation_fails_once__nothing_leaks(void **state)
{
    static const char *const data[] = {
        DELTA("\"content\":\"\\ud83e\""),
        DELTA("\"content\":\"\\udd8a\""),
        DELTA(
            "\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"n\",\"arguments\":"
            "\"{}\"}}]"),
        DELTA(
            "\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"n\",\"arguments\":"
            "\"{\\\"q\\\":\"}}]"),
        DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]"),
        "{\"choices\":[{\"message\":{\"content\":\"\\ud83e\\udd8a!\",\"tool_calls\":[{\"function\":"
        "{"
        "\"name\":\"n\",\"arguments\":\"{\\\"\\\\u0071\\\":1}\"}}]}}]}",
        "{\"choices\":[{\"delta\":{},\"logprobs\":{\"content\":[{\"token\":\"x\",\"logprob\":-1}]},"
        "\"finish_reason\":\"stop\"}]}",
        USAGE};
    bool failed = true;

    (void)state;
    for (int64_t nth = 1; failed && nth < 200; nth++) {
        int64_t live = mem_live();
        struct op_output out = {0};
        int32_t code = INF_OK;

        begin(CHAT_COMPLETIONS);
        mem_fail_nth(nth);
        for (size_t i = 0; i < sizeof data / sizeof *data && code == INF_OK; i++)
            code = event(data[i]);
        if (code == INF_OK)
            code = chat_stream_end(&stream, &err);
        if (code == INF_OK)
            code = chat_stream_fill(&stream, &out, true, &err);
        mem_fail_nth(0);
        failed = code != INF_OK;
        if (failed)
            assert_int_equal(code, INF_ERROR_NO_MEMORY);
        free_output(&out);
        chat_stream_free(&stream);
        assert_int_equal(mem_live(), live);
    }
    assert_false(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completions__an_answer_of_vllm__text_counts_and_finish),
        cmocka_unit_test(test_completions__finish_reasons__are_mapped),
        cmocka_unit_test(test_completions__a_long_finish_reason__is_cut_between_code_points),
        cmocka_unit_test(test_completions__abort_and_error__are_no_success),
        cmocka_unit_test(test_completions__reasoning__under_both_names_and_once),
        cmocka_unit_test(test_completions__tool_calls__are_put_together_by_index),
        cmocka_unit_test(test_completions__logprobs__with_bytes_and_alternatives),
        cmocka_unit_test(test_logprobs__asked_for_and_not_sent__is_unsupported),
        cmocka_unit_test(test_completions__error_objects__in_every_dialect),
        cmocka_unit_test(test_completions__wrong_shapes__are_protocol_errors),
        cmocka_unit_test(test_completions__a_whole_answer_that_is_none__is_a_protocol_error),
        cmocka_unit_test(test_counts__not_told__are_minus_one_however_the_answer_ends),
        cmocka_unit_test(test_counts__no_number_of_tokens__are_protocol_errors),
        cmocka_unit_test(test_refusal__is_an_error_with_its_words),
        cmocka_unit_test(test_refusal__however_long__is_one_line),
        cmocka_unit_test(test_function_call__the_older_form__is_a_tool_call),
        cmocka_unit_test(test_choices__two_in_a_chunk__are_a_protocol_error_whatever_their_index),
        cmocka_unit_test(test_end__without_finish__is_a_protocol_error),
        cmocka_unit_test(test_text__one_escape_at_a_time__every_split_of_a_pair),
        cmocka_unit_test(test_completions__a_whole_answer__is_taken_too),
        cmocka_unit_test(test_ollama__an_answer__text_thinking_counts_and_finish),
        cmocka_unit_test(test_ollama__tool_calls__have_the_form_of_v1),
        cmocka_unit_test(test_ollama__tool_calls_without_ids__get_different_ones),
        cmocka_unit_test(test_ollama__interrupted__counts_its_chunks),
        cmocka_unit_test(test_ollama__errors_and_wrong_shapes),
        cmocka_unit_test(test_memory__every_allocation_fails_once__nothing_leaks),
    };

    return cmocka_run_group_tests_name("remote: chat streams", tests, NULL, NULL);
}
