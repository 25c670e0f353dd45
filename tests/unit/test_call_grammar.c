/*
 * Specification of call_grammar: the grammar of a format takes what its models write for calls of the tools, with
 * arguments that obey their schemas, and nothing else.
 */
#include "text/output/call_grammar.h"

#include "core/buffer.h"
#include "core/memory.h"
#include "text/constraint/grammar_matcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BAR "\xef\xbd\x9c"
#define BLOCK "\xe2\x96\x81"
#define TOKEN(name) "<" BAR name BAR ">"
#define CALLS_BEGIN TOKEN("tool" BLOCK "calls" BLOCK "begin")
#define CALL_BEGIN TOKEN("tool" BLOCK "call" BLOCK "begin")
#define SEP TOKEN("tool" BLOCK "sep")
#define CALL_END TOKEN("tool" BLOCK "call" BLOCK "end")
#define CALLS_END TOKEN("tool" BLOCK "calls" BLOCK "end")

static const char tools_json[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"look\", \"parameters\": {\"type\": "
    "\"object\", "
    "\"properties\": {\"city\": {\"type\": \"string\"}, \"days\": {\"$ref\": \"#/$defs/n\"}, "
    "\"unit\": {\"enum\": "
    "[\"c\", \"f\"]}}, \"required\": [\"city\"], \"additionalProperties\": false, "
    "\"$defs\": {\"n\": {\"type\": \"integer\"}}}}}, {\"name\": \"now\", \"parameters\": "
    "{\"type\": \"object\", "
    "\"properties\": {}}}]";

struct setting {
    const char *sign;
    const char *named; /* NULL: any */
    bool open;
    bool with_tokens; /* markers are: 1000 and their length */
};

static int32_t find_token(void *arg, const char *text, size_t len)
{
    (void)arg;
    return len > 2 && (*text == '<' || *text == '[') ? 1000 + (int32_t)len : -1;
}

static int32_t make(struct grammar **out, const struct setting *s, const char *json, inf_error *err)
{
    struct output_format format;
    struct output_tools tools = {0};
    struct call_grammar_options o = {.format = &format,
                                     .tools = &tools,
                                     .in_reasoning = s->open,
                                     .find_token = s->with_tokens ? find_token : NULL};
    int32_t code = output_tools_read(&tools, inf_str(json), err);

    *out = NULL;
    output_format_of(&format, inf_str(s->sign));
    if (code == INF_OK) {
        o.named = s->named ? output_tools_find(&tools, s->named, strlen(s->named)) : NULL;
        code = call_grammar_make(out, &o, err);
    }
    output_tools_free(&tools);
    return code;
}

static bool takes(const struct setting *s, const char *text)
{
    struct grammar *g = NULL;
    struct grammar_matcher *m = NULL;
    inf_error err = {0};
    bool ok = true;

    if (make(&g, s, tools_json, &err) != INF_OK)
        fail_msg("%s: %s", s->sign, err.message);
    m = grammar_matcher_create(g);
    assert_non_null(m);
    for (; *text && ok; text++)
        ok = grammar_matcher_accept(m, -1, text, 1);
    ok = ok && grammar_matcher_may_end(m);
    grammar_matcher_free(m);
    grammar_free(g);
    return ok;
}

static void assert_takes(const struct setting *s, const char *text)
{
    if (!takes(s, text))
        fail_msg("%s does not take: %s", s->sign, text);
}

static void assert_leaves(const struct setting *s, const char *text)
{
    if (takes(s, text))
        fail_msg("%s takes: %s", s->sign, text);
}

#define LOOK                                                                                       \
    "{\"name\": \"look\", \"arguments\": {\"city\": \"K\xc3\xb6ln\", \"days\": 2, \"unit\": "      \
    "\"c\"}}"
#define NOW "{\"name\": \"now\", \"arguments\": {}}"

static void test_calls__in_tags(void **state)
{
    struct setting any = {"<tool_call>", NULL, false, false};
    struct setting named = {"<tool_call>", "now", false, false};

    (void)state;
    assert_takes(&any, "<tool_call>\n" LOOK "\n</tool_call>");
    assert_takes(&any, "<tool_call>\n" NOW "\n</tool_call>\n<tool_call>\n" LOOK "\n</tool_call>");
    assert_leaves(&any, "");
    assert_leaves(&any, "text");
    assert_leaves(&any, "<tool_call>\n{\"name\": \"look\", \"arguments\": {}}\n</tool_call>");
    assert_leaves(&any,
                  "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"city\": 1}}\n</tool_call>");
    assert_leaves(&any, "<tool_call>\n{\"name\": \"other\", \"arguments\": {}}\n</tool_call>");
    assert_leaves(&any, "<tool_call>\n" NOW "\n</tool_call> and text");
    assert_takes(&named, "<tool_call>\n" NOW "\n</tool_call>");
    assert_leaves(&named, "<tool_call>\n" LOOK "\n</tool_call>");
    assert_leaves(&named, "<tool_call>\n" NOW "\n</tool_call>\n<tool_call>\n" NOW "\n</tool_call>");
}

static void test_calls__of_python(void **state)
{
    struct setting any = {"[func_name1(", NULL, false, false};
    struct setting named = {"[func_name1(", "now", false, false};
    struct grammar *g = NULL;
    inf_error err = {0};

    (void)state;
    assert_takes(&any, "[now()]");
    assert_takes(&any, "[look(city=\"a\", days=2, unit=\"c\"), now()]");
    assert_takes(&any, "[look(city=\"a\", unit=\"f\")]");
    assert_takes(&any, "[look(city=\"a\")]");
    assert_leaves(&any, "[look()]");
    assert_leaves(&any, "[look(city=1)]");
    assert_leaves(&any, "[look(, city=\"a\")]");
    assert_leaves(&any, "[look(days=2)]");
    assert_leaves(&any, "[other()]");
    assert_leaves(&any, "[]");
    assert_leaves(&any, "now()");
    assert_takes(&named, "[now()]");
    assert_leaves(&named, "[now(), now()]");
    assert_int_equal(make(&g, &any,
                          "[{\"name\": \"f\", \"parameters\": {\"properties\": {\"a-b\": {}}}}]",
                          &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "\"a-b\" is no name"));
}

static void test_calls__behind_a_thought(void **state)
{
    struct setting closed = {"<tool_call> </think>", NULL, false, false};
    struct setting open = {"<tool_call> </think>", NULL, true, false};

    (void)state;
    assert_takes(&closed, "<tool_call>\n" NOW "\n</tool_call>");
    assert_takes(&closed, "<think>\nHm </thin</think</b> \xe2\x82\xac</think>\n\n<tool_call>\n" NOW
                          "\n</tool_call>");
    assert_takes(&open, "a<<</think><tool_call>\n" NOW "\n</tool_call>");
    assert_leaves(&open, "<tool_call>\n" NOW "\n</tool_call>");
    assert_leaves(&open, "a</think>b</think><tool_call>\n" NOW "\n</tool_call>");
    assert_leaves(&closed, "text<think></think><tool_call>\n" NOW "\n</tool_call>");
}

static void test_calls__of_parameters(void **state)
{
    struct setting s = {"<tool_call> <function=", NULL, false, false};

    (void)state;
    assert_takes(&s, "<tool_call>\n<function=look>\n<parameter=city>\nK "
                     "<b>\n\n</parameter>\n<parameter=unit>\nf\n"
                     "</parameter>\n</function>\n</tool_call>");
    assert_takes(
        &s,
        "<tool_call>\n<function=look>\n<parameter=city>\nK\n</parameter>\n<parameter=days>\n-3\n"
        "</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=now>\n</function>\n</"
        "tool_call>");
    assert_leaves(&s, "<tool_call>\n<function=look>\n</function>\n</tool_call>");
    assert_leaves(
        &s, "<tool_call>\n<function=look>\n<parameter=city>\nK\n</parameter>\n<parameter=days>\nx\n"
            "</parameter>\n</function>\n</tool_call>");
    assert_leaves(
        &s, "<tool_call>\n<function=look>\n<parameter=city>\nK\n</parameter>\n<parameter=unit>\nx\n"
            "</parameter>\n</function>\n</tool_call>");
    s.sign = "<tool_call> <arg_key>";
    assert_takes(&s, "<tool_call>look\n<arg_key>city</arg_key>\n<arg_value>K</"
                     "arg_value>\n<arg_key>days</arg_key>\n"
                     "<arg_value>2</arg_value>\n</tool_call>");
    assert_leaves(&s, "<tool_call>look\n</tool_call>");
}

static void test_calls__of_the_other_formats(void **state)
{
    struct setting s = {"<|start_header_id|> \"parameters\": ", NULL, false, false};

    (void)state;
    assert_takes(&s, "{\"name\": \"look\", \"parameters\": {\"city\": \"K\"}}");
    assert_leaves(&s,
                  "{\"name\": \"now\", \"parameters\": {}}{\"name\": \"now\", \"parameters\": {}}");
    s.sign = "[TOOL_CALLS]";
    assert_takes(&s, "[TOOL_CALLS][" NOW "]");
    assert_takes(&s, "[TOOL_CALLS] [" NOW ", " LOOK "]");
    assert_leaves(&s, "[TOOL_CALLS][]");
    s.sign = "[TOOL_CALLS] [ARGS]";
    assert_takes(&s, "[TOOL_CALLS]now[ARGS]{}[TOOL_CALLS]look[ARGS]{\"city\": \"\"}");
    s.sign = CALL_BEGIN " ```json";
    assert_takes(&s,
                 CALLS_BEGIN CALL_BEGIN "function" SEP "now\n```json\n{}\n```" CALL_END CALLS_END);
    assert_takes(&s, CALLS_BEGIN CALL_BEGIN "function" SEP "now\n```json\n{}\n```" CALL_END
                                            "\n" CALL_BEGIN "function" SEP
                                            "now\n```json\n{}\n```" CALL_END CALLS_END);
    s.sign = CALL_BEGIN;
    assert_takes(&s, CALLS_BEGIN CALL_BEGIN "now" SEP "{}" CALL_END CALLS_END);
    s.sign = "<|channel|><|message|><|start|>";
    assert_takes(&s,
                 "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}<|call|>");
    assert_takes(&s,
                 "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary "
                 "to=functions.now <|constrain|>json<|message|>{}<|call|>");
    s.open = true;
    assert_takes(
        &s, "Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.now <|constrain|>json"
            "<|message|>{}<|call|>");
}

static bool accept_text(struct grammar_matcher *m, const char *text)
{
    return grammar_matcher_accept(m, -1, text, strlen(text));
}

static void test_markers__that_are_tokens__come_by_number(void **state)
{
    struct setting s = {"<tool_call> </think>", NULL, true, true};
    struct grammar *g = NULL;
    struct grammar_matcher *m = NULL;

    (void)state;
    assert_int_equal(make(&g, &s, tools_json, NULL), INF_OK);
    m = grammar_matcher_create(g);
    assert_non_null(m);
    assert_true(accept_text(m, "Hm. "));
    assert_true(grammar_matcher_accept(m, 1008, "", 0)); /* </think> */
    assert_false(grammar_matcher_takes_token(m, 1008));
    assert_true(grammar_matcher_accept(m, 1011, "<tool_call>", 11));
    assert_true(accept_text(m, "\n" NOW "\n"));
    assert_true(grammar_matcher_accept(m, 1012, "", 0));
    assert_true(grammar_matcher_may_end(m));
    grammar_matcher_free(m);
    grammar_free(g);
}

static void assert_refuses(const char *json, int32_t code, const char *sign, const char *why)
{
    struct setting s = {sign, NULL, false, false};
    struct grammar *g = NULL;
    inf_error err = {0};

    assert_int_equal(make(&g, &s, json, &err), code);
    assert_null(g);
    if (!strstr(err.message, why))
        fail_msg("%s", err.message);
}

static void test_calls__that_cannot_be_enforced__are_refused(void **state)
{
    (void)state;
    assert_refuses(tools_json, INF_ERROR_UNSUPPORTED, "{{ messages }}", "no way to call a tool");
    assert_refuses("[{\"name\": \"f\", \"parameters\": {\"properties\": {\"a\": {\"frob\": 1}}}}]",
                   INF_ERROR_INVALID_ARGUMENT, "<tool_call>",
                   "tools: f: json_schema, at #/properties/a: frob");
    assert_refuses(
        "[{\"name\": \"f\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": false}, "
        "\"required\": [\"a\"]}}]",
        INF_ERROR_INVALID_ARGUMENT, "<tool_call>", "tools: f: ");
}

static void test_tool__of_more_properties_than_can_be__is_refused(void **state)
{
    static const char *const signs[] = {"<tool_call> <function=", "[func_name1("};
    struct buffer json;

    (void)state;
    buffer_init(&json, BUFFER_NO_LIMIT);
    buffer_append_str(&json, "[{\"name\": \"f\", \"parameters\": {\"properties\": {");
    for (int i = 0; i <= OUTPUT_TOOLS_MAX; i++)
        buffer_printf(&json, "%s\"p%d\": {\"type\": \"string\"}", i ? ", " : "", i);
    buffer_append_str(&json, "}}}]");
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        assert_refuses(json.data, INF_ERROR_INVALID_ARGUMENT, signs[i], "more than 512 properties");
    buffer_free(&json);
}

static void test_want_of_memory__is_told_and_nothing_leaks(void **state)
{
    static const char *const signs[] = {
        "<tool_call> </think>", "<tool_call> <function=", "<|channel|><|message|><|start|>"};

    (void)state;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        struct setting s = {signs[i], NULL, false, false};
        struct grammar *g = NULL;

        for (int64_t nth = 1; !g; nth++) {
            int64_t live = mem_live();
            int32_t code = INF_OK;

            assert_true(nth < 5000);
            mem_fail_nth(nth);
            code = make(&g, &s, tools_json, NULL);
            mem_fail_nth(0);
            assert_true(g ? code == INF_OK : code == INF_ERROR_NO_MEMORY);
            grammar_free(g);
            assert_int_equal(mem_live(), live);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls__in_tags),
        cmocka_unit_test(test_calls__of_python),
        cmocka_unit_test(test_calls__behind_a_thought),
        cmocka_unit_test(test_calls__of_parameters),
        cmocka_unit_test(test_calls__of_the_other_formats),
        cmocka_unit_test(test_markers__that_are_tokens__come_by_number),
        cmocka_unit_test(test_calls__that_cannot_be_enforced__are_refused),
        cmocka_unit_test(test_tool__of_more_properties_than_can_be__is_refused),
        cmocka_unit_test(test_want_of_memory__is_told_and_nothing_leaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
