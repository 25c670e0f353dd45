/* chat_body: the request as JSON, read back with jansson; and what is refused before it is sent. */
#include "core/buffer.h"
#include "remote/remote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static inf_request request(void)
{
    inf_request r;

    inf_request_default(&r, sizeof r);
    r.max_tokens.value = 4096; /* as core resolves it */
    r.prompt = inf_str("What is gravity?");
    r.max_tokens.value = 4096; /* what core's copy has where none is set */
    return r;
}

static json_t *write_as(const struct chat_form *form, const inf_request *r)
{
    struct buffer out;
    inf_error err;
    json_t *value = NULL;

    buffer_init(&out, BUFFER_NO_LIMIT);
    if (chat_body_write(&out, form, r, inf_str("smol"), true, &err) != INF_OK)
        fail_msg("%s", err.message);
    value = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (!value)
        fail_msg("no JSON: %s", out.data);
    buffer_free(&out);
    return value;
}

static void expect_json(const struct chat_form *form, const inf_request *r, const char *want)
{
    json_t *got = write_as(form, r);
    json_t *expected = json_loads(want, 0, NULL);

    assert_non_null(expected);
    if (!json_equal(got, expected))
        fail_msg("%s\ninstead of\n%s", json_dumps(got, JSON_SORT_KEYS),
                 json_dumps(expected, JSON_SORT_KEYS));
    json_decref(got);
    json_decref(expected);
}

static void refuse(const struct chat_form *form, const inf_request *r, int32_t code,
                   const char *says)
{
    struct buffer out;
    inf_error err = {0};

    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_int_equal(chat_body_write(&out, form, r, inf_str("smol"), true, &err), code);
    if (!strstr(err.message, says))
        fail_msg("'%s' does not say '%s'", err.message, says);
    buffer_free(&out);
}

static void test_vllm__sampling_left_unset__is_not_sent(void **state)
{
    inf_request r = request();

    (void)state;
    expect_json(&vllm_form, &r,
                "{\"model\":\"smol\",\"messages\":[{\"role\":\"user\",\"content\":\"What is "
                "gravity?\"}],\"stream\":true,\"stream_options\":{\"include_usage\":true,"
                "\"continuous_usage_stats\":true},\"max_tokens\":4096}");
}

static void test_vllm__everything__has_its_field(void **state)
{
    static const int32_t ids[] = {1, 2};
    inf_text stops[] = {inf_str("\n"), inf_str("END")};
    inf_request r = request();

    (void)state;
    r.system_prompt = inf_str("Be \"brief\".");
    r.max_tokens = (inf_maybe_i32){true, 7};
    r.temperature = (inf_maybe_f32){true, 0.7f};
    r.top_p = (inf_maybe_f32){true, 0.5f};
    r.top_k = (inf_maybe_i32){true, 0};
    r.min_p = (inf_maybe_f32){true, 0.25f};
    r.repetition_penalty = (inf_maybe_f32){true, 1.5f};
    r.frequency_penalty = (inf_maybe_f32){true, -0.5f};
    r.presence_penalty = (inf_maybe_f32){true, 0.5f};
    r.seed = (inf_maybe_u64){true, INT64_MAX};
    r.adapter_scale = (inf_maybe_f32){true, 1};
    r.stop = stops;
    r.n_stop = 2;
    r.stop_token_ids = ids;
    r.n_stop_token_ids = 2;
    r.logprobs = (inf_maybe_i32){true, 3};
    r.grammar = inf_str("root ::= \"a\"");
    r.extra_json = inf_str("{\"priority\": 1, \"x\": {\"y\": []}}");
    r.ignore_eos = true;
    expect_json(
        &vllm_form, &r,
        "{\"model\":\"smol\",\"messages\":[{\"role\":\"system\",\"content\":\"Be \\\"brief\\\".\"},"
        "{\"role\":\"user\",\"content\":\"What is gravity?\"}],\"stream\":true,\"stream_options\":{"
        "\"include_usage\":true,\"continuous_usage_stats\":true},\"max_tokens\":7,\"temperature\":"
        "0.7,"
        "\"top_p\":0.5,\"top_k\":-1,\"min_p\":0.25,\"repetition_penalty\":1.5,\"frequency_"
        "penalty\":"
        "-0.5,\"presence_penalty\":0.5,\"seed\":9223372036854775807,\"stop\":[\"\\n\",\"END\"],"
        "\"stop_token_ids\":[1,2],\"logprobs\":true,\"top_logprobs\":3,\"structured_outputs\":{"
        "\"grammar\":\"root ::= \\\"a\\\"\"},\"priority\":1,\"x\":{\"y\":[]},\"ignore_eos\":true}");
}

static void test_messages__system_prompt_comes_first_in_every_form(void **state)
{
    static const struct chat_form *const forms[] = {&vllm_form, &plain_form, &ollama_form};
    static const inf_message list[] = {{{"user", 4}, {"a", 1}}, {{"assistant", 9}, {"b", 1}}};
    const char *want =
        "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"a\"},"
        "{\"role\":\"assistant\",\"content\":\"b\"}]";
    inf_request r = request();

    (void)state;
    r.prompt = (inf_text){NULL, 0};
    r.system_prompt = inf_str("S");
    for (int json = 0; json < 2; json++) {
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
            json_t *got = NULL;
            json_t *expected = json_loads(want, 0, NULL);

            r.messages = json ? NULL : list;
            r.n_messages = json ? 0 : 2;
            r.messages_json = json ? inf_str("[{\"role\":\"user\",\"content\":\"a\"}, {\"role\":"
                                             "\"assistant\",\"content\":\"b\"}]")
                                   : (inf_text){NULL, 0};
            got = write_as(forms[i], &r);
            assert_true(json_equal(json_object_get(got, "messages"), expected));
            json_decref(got);
            json_decref(expected);
        }
    }
}

static void test_schema__is_response_format_or_format(void **state)
{
    inf_request r = request();
    json_t *got = NULL;

    (void)state;
    r.json_schema = inf_str("{\"type\":\"object\"}");
    got = write_as(&vllm_form, &r);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(got, "response_format"), "type")),
        "json_schema");
    json_decref(got);
    got = write_as(&ollama_form, &r);
    assert_string_equal(json_string_value(json_object_get(json_object_get(got, "format"), "type")),
                        "object");
    json_decref(got);
    r.json_schema = inf_str(" true"); /* of schemas that are no objects servers know nothing */
    got = write_as(&vllm_form, &r);
    assert_int_equal(
        json_object_size(json_object_get(
            json_object_get(json_object_get(got, "response_format"), "json_schema"), "schema")),
        0);
    assert_true(json_is_object(json_object_get(
        json_object_get(json_object_get(got, "response_format"), "json_schema"), "schema")));
    json_decref(got);
    r.json_schema = inf_str("false");
    refuse(&vllm_form, &r, INF_ERROR_INVALID_ARGUMENT, "no JSON text obeys false");
    refuse(&ollama_form, &r, INF_ERROR_INVALID_ARGUMENT, "no JSON text obeys false");
    r.json_schema = inf_str("not json");
    refuse(&vllm_form, &r, INF_ERROR_INVALID_ARGUMENT, "json_schema");
}

static void test_tools__are_sent_as_they_are(void **state)
{
    inf_request r = request();

    (void)state;
    r.tools = inf_str(" [{\"type\":\"function\",\"function\":{\"name\":\"f\"}}] ");
    r.tool_choice = inf_str("f");
    expect_json(
        &vllm_form, &r,
        "{\"model\":\"smol\",\"messages\":[{\"role\":\"user\",\"content\":\"What is gravity?\"}],"
        "\"stream\":true,\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":"
        "true},"
        "\"max_tokens\":4096,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
        "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}");
    refuse(&ollama_form, &r, INF_ERROR_UNSUPPORTED, "tool_choice: Ollama cannot do that");
    r.tool_choice = inf_str("required");
    expect_json(
        &vllm_form, &r,
        "{\"model\":\"smol\",\"messages\":[{\"role\":\"user\",\"content\":\"What is gravity?\"}],"
        "\"stream\":true,\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":"
        "true},"
        "\"max_tokens\":4096,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
        "\"tool_choice\":\"required\"}");
    r.tool_choice = inf_str("auto");
    expect_json(
        &ollama_form, &r,
        "{\"model\":\"smol\",\"messages\":[{\"role\":\"user\",\"content\":\"What is gravity?\"}],"
        "\"stream\":true,\"truncate\":false,\"shift\":false,\"options\":{\"temperature\":1,"
        "\"top_p\":1,\"num_predict\":4096},\"tools\":[{\"type\":\"function\",\"function\":"
        "{\"name\":\"f\"}}]}");
    r.extra_json = inf_str("{\"tools\":[]}");
    refuse(&vllm_form, &r, INF_ERROR_INVALID_ARGUMENT, "extra_json: \"tools\"");
    r.extra_json = inf_str(NULL);
    r.tools = inf_str("{}");
    refuse(&vllm_form, &r, INF_ERROR_INVALID_ARGUMENT, "tools: is not a JSON array");
    r.tools = inf_str("[]");
    r.tool_choice = inf_str("{");
    refuse(&vllm_form, &r, INF_ERROR_INVALID_ARGUMENT, "tool_choice: is not a JSON object");
}

static void test_last_message__is_continued_by_vllm_alone(void **state)
{
    inf_request r = request();

    (void)state;
    r.prompt = inf_str(NULL);
    r.messages_json = inf_str("[{\"role\":\"assistant\",\"content\":\"It is\"}]");
    r.continue_final_message = true;
    expect_json(
        &vllm_form, &r,
        "{\"model\":\"smol\",\"messages\":[{\"role\":\"assistant\",\"content\":\"It is\"}],"
        "\"stream\":true,\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":"
        "true},"
        "\"max_tokens\":4096,\"add_generation_prompt\":false,\"continue_final_message\":true}");
    refuse(&ollama_form, &r, INF_ERROR_UNSUPPORTED,
           "continue_final_message: Ollama cannot do that");
    refuse(&plain_form, &r, INF_ERROR_UNSUPPORTED, "continue_final_message: this server's /v1");
    r.extra_json = inf_str("{\"add_generation_prompt\":true}");
    refuse(&vllm_form, &r, INF_ERROR_INVALID_ARGUMENT, "extra_json: \"add_generation_prompt\"");
}

static void test_extra_json__may_not_contradict(void **state)
{
    static const struct {
        const char *extra;
        int32_t code;
    } cases[] = {{"{\"model\":\"other\"}", INF_ERROR_INVALID_ARGUMENT},
                 {"{\"temperature\":2}", INF_ERROR_INVALID_ARGUMENT},
                 {"{\"max_completion_tokens\":2}", INF_ERROR_INVALID_ARGUMENT},
                 {"{\"stre\\u0061m\":false}", INF_ERROR_INVALID_ARGUMENT},
                 {"{\"n\":2}", INF_ERROR_INVALID_ARGUMENT},
                 {"{\"a\":1,\"a\":2}", INF_ERROR_INVALID_ARGUMENT},
                 {"[1]", INF_ERROR_INVALID_ARGUMENT},
                 {"{\"a\":1", INF_ERROR_INVALID_ARGUMENT}};
    inf_request r = request();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r.extra_json = inf_str(cases[i].extra);
        refuse(&vllm_form, &r, cases[i].code, "extra_json");
        refuse(&ollama_form, &r, cases[i].code, "extra_json");
    }
    r.extra_json = inf_str("{\"response_format\":{\"type\":\"json_object\"}}");
    json_decref(write_as(&vllm_form, &r));
    r.json_schema = inf_str("{}");
    refuse(&vllm_form, &r, INF_ERROR_INVALID_ARGUMENT, "contradicts");
}

static void test_ollama__keys_it_would_ignore__are_refused(void **state)
{
    inf_request r = request();
    json_t *got = NULL;

    (void)state;
    r.extra_json = inf_str("{\"priority\":1}");
    refuse(&ollama_form, &r, INF_ERROR_UNSUPPORTED, "priority");
    r.extra_json = inf_str("{\"options\":{\"num_predicts\":1}}");
    refuse(&ollama_form, &r, INF_ERROR_UNSUPPORTED, "num_predicts");
    r.extra_json = inf_str("{\"options\":{\"num_predict\":1}}");
    refuse(&ollama_form, &r, INF_ERROR_INVALID_ARGUMENT, "num_predict");
    r.extra_json = inf_str("{\"reasoning_effort\":\"none\",\"truncate\":true,\"keep_alive\":-1,"
                           "\"response_format\":{\"type\":\"json_object\"}}");
    got = write_as(&ollama_form, &r);
    assert_true(json_is_false(json_object_get(got, "think")));
    assert_true(json_is_true(json_object_get(got, "truncate"))); /* asked for, so not in silence */
    assert_true(json_is_false(json_object_get(got, "shift")));
    assert_string_equal(json_string_value(json_object_get(got, "format")), "json");
    json_decref(got);
}

static void test_ollama__messages_of_v1__become_native(void **state)
{
    inf_request r = request();
    json_t *got = NULL;
    json_t *want = json_loads(
        "[{\"role\":\"user\",\"content\":\"see\\n\",\"images\":[\"QUJD\"]},{\"role\":\"assistant\","
        "\"tool_calls\":[{\"function\":{\"name\":\"look\",\"arguments\":{\"q\":\"x\"}}}]},"
        "{\"role\":\"tool\",\"content\":\"found\",\"tool_name\":\"look\"}]",
        0, NULL);

    (void)state;
    r.prompt = (inf_text){NULL, 0};
    r.messages_json = inf_str(
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\\n\"},{\"type\":"
        "\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,QUJD\"}}]},{\"role\":"
        "\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\","
        "\"function\":{\"name\":\"look\",\"arguments\":\"{\\\"q\\\":\\\"x\\\"}\"}}]},{\"role\":"
        "\"tool\","
        "\"tool_call_id\":\"c1\",\"content\":\"found\"}]");
    got = write_as(&ollama_form, &r);
    if (!json_equal(json_object_get(got, "messages"), want))
        fail_msg("%s", json_dumps(json_object_get(got, "messages"), 0));
    json_decref(got);
    json_decref(want);
    r.messages_json = inf_str(
        "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
        "{\"url\":\"http://h/x.png\"}}]}]");
    refuse(&ollama_form, &r, INF_ERROR_INVALID_ARGUMENT, "base64");
    r.messages_json = inf_str("[{\"role\":\"user\",\"content\":\"x\",\"mood\":1}]");
    refuse(&ollama_form, &r, INF_ERROR_INVALID_ARGUMENT, "ignore");
}

static void test_messages_json__wrong_forms__are_refused(void **state)
{
    static const char *const wrong[] = {"",          "{}", "[]", "[1]", "[{}]", "[{\"role\":1}]",
                                        "[{\"role\""};
    inf_request r = request();

    (void)state;
    r.prompt = (inf_text){NULL, 0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        r.messages_json = inf_str(wrong[i]);
        refuse(&vllm_form, &r, INF_ERROR_INVALID_ARGUMENT, "messages_json");
    }
}

static void test_plain__only_what_v1_of_ollama_takes(void **state)
{
    inf_request r = request();

    (void)state;
    expect_json(&plain_form, &r,
                "{\"model\":\"smol\",\"messages\":[{\"role\":\"user\",\"content\":\"What is "
                "gravity?\"}],\"stream\":true,\"stream_options\":{\"include_usage\":true},"
                "\"max_tokens\":4096}");
    r.top_k = (inf_maybe_i32){true, 5};
    refuse(&plain_form, &r, INF_ERROR_UNSUPPORTED, "top_k");
    r = request();
    r.template_variables = inf_str("{}");
    refuse(&plain_form, &r, INF_ERROR_UNSUPPORTED, "template_variables");
    r = request();
    r.extra_json = inf_str("{\"num_ctx\":5}");
    refuse(&plain_form, &r, INF_ERROR_UNSUPPORTED, "num_ctx");
}

static void test_prompt__nul_and_control_characters__survive(void **state)
{
    inf_request r = request();
    json_t *got = NULL;
    json_t *content = NULL;

    (void)state;
    r.prompt = (inf_text){"a\0b\x02\"\\é", 8};
    got = write_as(&vllm_form, &r);
    content = json_object_get(json_array_get(json_object_get(got, "messages"), 0), "content");
    assert_int_equal(json_string_length(content), 8);
    assert_memory_equal(json_string_value(content), r.prompt.data, 8);
    json_decref(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vllm__sampling_left_unset__is_not_sent),
        cmocka_unit_test(test_vllm__everything__has_its_field),
        cmocka_unit_test(test_messages__system_prompt_comes_first_in_every_form),
        cmocka_unit_test(test_schema__is_response_format_or_format),
        cmocka_unit_test(test_tools__are_sent_as_they_are),
        cmocka_unit_test(test_last_message__is_continued_by_vllm_alone),
        cmocka_unit_test(test_extra_json__may_not_contradict),
        cmocka_unit_test(test_ollama__keys_it_would_ignore__are_refused),
        cmocka_unit_test(test_ollama__messages_of_v1__become_native),
        cmocka_unit_test(test_messages_json__wrong_forms__are_refused),
        cmocka_unit_test(test_plain__only_what_v1_of_ollama_takes),
        cmocka_unit_test(test_prompt__nul_and_control_characters__survive),
    };

    return cmocka_run_group_tests_name("remote: request bodies", tests, NULL, NULL);
}
