/*
 * Tool calls and reasoning in process, on the real model with chat templates of published formats put into its
 * file: calls that have to come, their results, their streams, and what leaves the text alone.
 */
#include <inference/inference.h>

#include "../unit/call_pieces.h"
#include "../unit/gguf_edit.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define CHATML                                                                                     \
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"     \
    "{% if add_generation_prompt %}<|im_start|>assistant\n"

/* {"name": ..., "arguments": ...} in tags; parameters; behind a thought that the prompt opens. */
#define HERMES                                                                                     \
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}\nCall: <tool_call>\n"           \
    "{\"name\": ..., \"arguments\": ...}\n</tool_call><|im_end|>\n{% endif %}" CHATML              \
    "{% endif %}"
#define CODER                                                                                      \
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}\nCall: <tool_call>\n"           \
    "<function=NAME><|im_end|>\n{% endif %}" CHATML "{% endif %}"
#define THINKER CHATML "<think>\n{% endif %}{# </think> <tool_call> #}"

static const char tools[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"set_light\", \"parameters\": {\"type\": "
    "\"object\", "
    "\"properties\": {\"room\": {\"enum\": [\"kitchen\", \"hall\"]}, \"on\": {\"type\": "
    "\"boolean\"}}, "
    "\"required\": [\"room\", \"on\"], \"additionalProperties\": false}}}, {\"type\": "
    "\"function\", \"function\": "
    "{\"name\": \"now\", \"parameters\": {\"type\": \"object\", \"properties\": {}}}}]";

static char folder[] = "/tmp/test-tools-XXXXXX";
static struct bytes file;
static inf_context *context;

/* ------------------------------------------------------------------ models */

static int open_all(void **state)
{
    FILE *f = fopen(getenv("INFERENCE_TEST_MODEL"), "rb");

    (void)state;
    assert_non_null(f);
    assert_non_null(mkdtemp(folder));
    fseek(f, 0, SEEK_END);
    file.len = (size_t)ftell(f);
    file.data = malloc(file.len);
    rewind(f);
    assert_int_equal(fread(file.data, 1, file.len, f), file.len);
    fclose(f);
    return inf_context_create(&context, NULL, NULL);
}

static int close_all(void **state)
{
    (void)state;
    free(file.data);
    rmdir(folder);
    return inf_context_close(context, NULL);
}

static inf_provider *open_model(const char *template, char path[64])
{
    struct document *d = document_read(file.data, file.len);
    struct bytes changed;
    inf_provider *model = NULL;
    FILE *f = NULL;

    document_set_text(d, "tokenizer.chat_template", template);
    changed = document_write(d);
    snprintf(path, 64, "%s/model.gguf", folder);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(changed.data, 1, changed.len, f), changed.len);
    fclose(f);
    free(changed.data);
    document_free(d);
    assert_int_equal(inf_provider_get(&model, context, "llamacpp", path, NULL, NULL), INF_OK);
    return model;
}

static void close_model(inf_provider *model, const char *path)
{
    inf_provider_evict(model, NULL);
    inf_provider_release(model);
    unlink(path);
}

/* ------------------------------------------------------------------ asking */

struct heard {
    char text[8192], reasoning[8192];
    size_t text_len, reasoning_len;
    json_t *calls; /* put together from their pieces */
    size_t n_pieces;
    int64_t n_tokens;
};

static void hear(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    struct heard *h = user_data;

    (void)op;
    if (h->text_len + chunk->text.len < sizeof h->text)
        memcpy(h->text + h->text_len, chunk->text.data, chunk->text.len);
    if (h->reasoning_len + chunk->reasoning.len < sizeof h->reasoning)
        memcpy(h->reasoning + h->reasoning_len, chunk->reasoning.data, chunk->reasoning.len);
    for (size_t i = 0; i < chunk->n_tool_calls; i++)
        call_pieces_add(h->calls, &chunk->tool_calls[i]);
    h->n_pieces += chunk->n_tool_calls;
    h->text_len += chunk->text.len;
    h->reasoning_len += chunk->reasoning.len;
    h->n_tokens = chunk->n_tokens;
}

static inf_request ask(const char *question)
{
    static inf_message message;
    inf_request r;

    message = (inf_message){inf_str("user"), inf_str(question)};
    inf_request_default(&r, sizeof r);
    r.messages = &message;
    r.n_messages = 1;
    r.temperature = (inf_maybe_f32){true, 0};
    r.max_tokens = (inf_maybe_i32){true, 120};
    r.tools = inf_str(tools);
    return r;
}

/* Streamed; what was heard is what the result has. */
static inf_op *answer(inf_provider *model, const inf_request *r)
{
    struct heard heard = {.calls = json_array()};
    json_t *calls = NULL;
    inf_callbacks callbacks;
    inf_op *op = NULL;
    inf_result result;
    inf_error err;

    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = hear;
    callbacks.user_data = &heard;
    if (inf_generate_start(&op, model, r, &callbacks, &err) != INF_OK ||
        inf_op_wait(op, -1, &err) != INF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(inf_op_result(op, &result, sizeof result), INF_OK);
    assert_int_equal(heard.text_len, result.text.len);
    assert_memory_equal(heard.text, result.text.data, result.text.len);
    assert_int_equal(heard.reasoning_len, result.reasoning.len);
    if (result.reasoning.len)
        assert_memory_equal(heard.reasoning, result.reasoning.data, result.reasoning.len);
    calls = result.tool_calls.data
                ? json_loadb(result.tool_calls.data, result.tool_calls.len, 0, NULL)
                : json_array();
    assert_true(json_equal(heard.calls, calls));
    assert_true(heard.n_pieces >= json_array_size(calls));
    json_decref(calls);
    json_decref(heard.calls);
    return op;
}

static inf_result result_of(const inf_op *op)
{
    inf_result r;

    assert_int_equal(inf_op_result(op, &r, sizeof r), INF_OK);
    return r;
}

static void assert_fails(inf_provider *model, const inf_request *r, int32_t code, const char *why)
{
    inf_op *op = NULL;
    inf_error err = {0};

    assert_int_equal(inf_generate(&op, model, r, &err), code);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not say \"%s\"", err.message, why);
    inf_op_release(op);
}

/* Every call is one of the tools, with arguments that its schema takes. How many there are. */
static size_t check_calls(const inf_result *r, const char *only)
{
    json_t *calls = r->tool_calls.data ? json_loadb(r->tool_calls.data, r->tool_calls.len, 0, NULL)
                                       : NULL;
    size_t n = json_array_size(calls);

    for (size_t i = 0; i < n; i++) {
        const json_t *call = json_array_get(calls, i);
        const json_t *function = json_object_get(call, "function");
        const char *name = json_string_value(json_object_get(function, "name"));
        json_t *arguments = json_loads(json_string_value(json_object_get(function, "arguments")), 0,
                                       NULL);
        const char *room = json_string_value(json_object_get(arguments, "room"));

        assert_true(json_string_length(json_object_get(call, "id")) > 8);
        assert_string_equal(json_string_value(json_object_get(call, "type")), "function");
        assert_true(json_is_object(arguments));
        assert_true(!only || strcmp(name, only) == 0);
        if (strcmp(name, "set_light") == 0) {
            assert_true(room && (strcmp(room, "kitchen") == 0 || strcmp(room, "hall") == 0));
            assert_true(json_is_boolean(json_object_get(arguments, "on")));
        } else {
            assert_string_equal(name, "now");
            assert_int_equal(json_object_size(arguments), 0);
        }
        json_decref(arguments);
    }
    json_decref(calls);
    return n;
}

/* ------------------------------------------------------------------ calls */

static void check_format(const char *template)
{
    char path[64];
    inf_provider *model = open_model(template, path);
    inf_request r = ask("Turn on the light in the kitchen.");
    inf_op *op = NULL;
    inf_result result;

    r.tool_choice = inf_str("required");
    op = answer(model, &r);
    result = result_of(op);
    if (result.finish == INF_FINISH_TOOL_CALLS) {
        assert_true(check_calls(&result, NULL) > 0);
        assert_int_equal(result.finish_reason.len, strlen("tool_calls"));
        assert_int_equal(result.text.len, 0);
    } else { /* a small model may call without end */
        assert_int_equal(result.finish, INF_FINISH_LENGTH);
        assert_true(check_calls(&result, NULL) > 1);
    }
    inf_op_release(op);

    r.tool_choice = inf_str("set_light");
    op = answer(model, &r);
    result = result_of(op);
    assert_int_equal(check_calls(&result, "set_light"), 1);
    assert_int_equal(result.finish, INF_FINISH_STOP);
    assert_int_equal(result.text.len, 0);
    assert_true(result.n_token_ids > 10);
    inf_op_release(op);

    r.plain_output = true;
    op = answer(model, &r);
    result = result_of(op);
    assert_null(result.tool_calls.data);
    assert_non_null(strstr(result.text.data, "<tool_call>"));
    assert_non_null(strstr(result.text.data, "</tool_call>"));
    assert_int_equal(result.finish, INF_FINISH_STOP);
    inf_op_release(op);
    close_model(model, path);
}

static void test_call_that_has_to_come__comes(void **state)
{
    (void)state;
    check_format(HERMES);
    check_format(CODER);
}

static void test_answers_without_calls__are_text(void **state)
{
    static const char *const choices[] = {NULL, "auto", "none"};
    char path[64];
    inf_provider *model = open_model(HERMES, path);

    (void)state;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        inf_request r = ask("What is the capital of France?");
        inf_op *op = NULL;
        inf_result result;

        r.tool_choice = inf_str(choices[i]);
        r.max_tokens.value = 20;
        op = answer(model, &r);
        result = result_of(op);
        assert_true(result.text.len + check_calls(&result, NULL) > 0);
        assert_null(result.reasoning.data);
        inf_op_release(op);
    }
    close_model(model, path);
}

static void test_tools__among_the_variables_count_too(void **state)
{
    char path[64];
    char variables[1024];
    inf_provider *model = open_model(HERMES, path);
    inf_request r = ask("Turn on the light.");
    inf_op *op = NULL;
    inf_result with_field, with_variable;
    inf_op *other = NULL;

    (void)state;
    r.tool_choice = inf_str("now");
    op = answer(model, &r);
    with_field = result_of(op);
    snprintf(variables, sizeof variables, "{\"tools\": %s}", tools);
    r.tools = inf_str(NULL);
    r.template_variables = inf_str(variables);
    other = answer(model, &r);
    with_variable = result_of(other);
    assert_int_equal(check_calls(&with_variable, "now"), 1);
    assert_int_equal(with_field.prompt_tokens, with_variable.prompt_tokens);
    inf_op_release(op);
    inf_op_release(other);
    r.tools = inf_str(tools);
    assert_fails(model, &r, INF_ERROR_INVALID_ARGUMENT, "tools: are given twice");
    close_model(model, path);
}

/* ------------------------------------------------------------------ reasoning */

static void test_thought_that_the_prompt_opens__is_reasoning(void **state)
{
    char path[64];
    inf_provider *model = open_model(THINKER, path);
    inf_request r = ask("What is two and two?");
    inf_op *op = NULL;
    inf_result result;

    (void)state;
    r.tools = inf_str(NULL);
    r.max_tokens.value = 12;
    r.ignore_eos = true;
    op = answer(model, &r);
    result = result_of(op);
    assert_int_equal(result.text.len, 0);
    assert_true(result.reasoning.len > 0);
    inf_op_release(op);

    r.plain_output = true;
    op = answer(model, &r);
    result = result_of(op);
    assert_null(result.reasoning.data);
    assert_true(result.text.len > 0);
    inf_op_release(op);

    r.plain_output = r.ignore_eos = false;
    r.json_schema = inf_str("{\"type\": \"boolean\"}");
    op = answer(model, &r);
    result = result_of(op);
    assert_null(result.reasoning.data);
    assert_true(result.text.len >= 4);
    inf_op_release(op);
    close_model(model, path);
}

static void test_message__is_gone_on_with(void **state)
{
    const inf_message messages[] = {{inf_str("user"), inf_str("What is the capital of France?")},
                                    {inf_str("assistant"), inf_str("The capital of France is")}};
    char path[64];
    inf_provider *model = open_model(HERMES, path);
    inf_request r = ask("");
    inf_op *op = NULL;
    inf_result result;

    (void)state;
    r.messages = messages;
    r.n_messages = 2;
    r.tools = inf_str(NULL);
    r.max_tokens.value = 4;
    r.continue_final_message = true;
    op = answer(model, &r);
    result = result_of(op);
    assert_memory_equal(result.text.data, " Paris", 6);
    inf_op_release(op);
    close_model(model, path);
}

/* ------------------------------------------------------------------ errors */

static void test_what_cannot_be__is_refused(void **state)
{
    char path[64];
    inf_provider *model = open_model(CHATML "{% endif %}", path);
    inf_request r = ask("Hi");

    (void)state;
    r.tool_choice = inf_str("required");
    assert_fails(model, &r, INF_ERROR_UNSUPPORTED, "no way to call a tool");
    r.tool_choice = inf_str("missing");
    assert_fails(model, &r, INF_ERROR_INVALID_ARGUMENT, "tool_choice: \"missing\" is none of");
    r.tool_choice = inf_str(NULL);
    r.tools = inf_str("[{}]");
    assert_fails(model, &r, INF_ERROR_INVALID_ARGUMENT, "tools[0]: ");
    r.tools = inf_str(tools);
    r.messages = NULL;
    r.n_messages = 0;
    r.prompt = inf_str("Hi");
    assert_fails(model, &r, INF_ERROR_INVALID_ARGUMENT, "tools: goes with messages");
    close_model(model, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_that_has_to_come__comes),
        cmocka_unit_test(test_answers_without_calls__are_text),
        cmocka_unit_test(test_tools__among_the_variables_count_too),
        cmocka_unit_test(test_thought_that_the_prompt_opens__is_reasoning),
        cmocka_unit_test(test_message__is_gone_on_with),
        cmocka_unit_test(test_what_cannot_be__is_refused),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
