/*
 * Fuzz target: a model's output taken apart. The input's first byte picks a format and what is asked for, the rest is
 * the output. Whatever it is, the same comes out of one piece and of many, nothing that is no call is lost, and
 * the calls are JSON.
 */
#include "core/memory.h"
#include "core/utf8.h"
#include "text/output/output_parser.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *const signs[] = {
    "<tool_call> </think>",
    "<tool_call> <function=",
    "<tool_call> <arg_key>",
    "<|start_header_id|> \"parameters\": ",
    "[TOOL_CALLS] [THINK]",
    "[TOOL_CALLS] [ARGS]",
    "<\xef\xbd\x9ctool\xe2\x96\x81"
    "call\xe2\x96\x81"
    "begin\xef\xbd\x9c> </think>",
    "<|channel|><|message|><|start|>",
    "[func_name1(",
};
static const char tools_json[] =
    "[{\"name\":\"get_weather\",\"parameters\":{\"properties\":{\"city\":{\"type\":\"string\"},"
    "\"days\":{\"type\":"
    "\"integer\"}}}},{\"name\":\"now\"},{\"name\":\"note\",\"parameters\":{\"properties\":{"
    "\"text\":{\"anyOf\":[{"
    "\"type\":\"null\"},{\"type\":\"object\"},{\"type\":\"boolean\"}]}}}}]";

struct outcome {
    struct buffer text, reasoning;
    struct buffer pieces; /* names and arguments of the calls, as they came */
    char *calls;
};

static void expect(int holds)
{
    if (!holds)
        abort();
}

static void take(struct outcome *o, const struct output_parser *p)
{
    inf_text text = output_parser_text(p);
    inf_text reasoning = output_parser_reasoning(p);

    size_t n = 0;
    const inf_tool_call_delta *pieces = output_parser_call_pieces(p, &n);

    expect(buffer_append(&o->text, text.data, text.len) &&
           buffer_append(&o->reasoning, reasoning.data, reasoning.len));
    for (size_t i = 0; i < n; i++)
        expect(buffer_append(&o->pieces, pieces[i].name.data, pieces[i].name.len) &&
               buffer_append(&o->pieces, pieces[i].arguments.data, pieces[i].arguments.len));
}

static struct outcome parse(unsigned how, const struct buffer *output, size_t step)
{
    struct output_format format;
    struct output_tools tools;
    struct output_parser_options o = {&format, !(how & 8), how & 16, 7};
    struct output_parser *p = NULL;
    struct outcome out = {.calls = NULL};

    buffer_init(&out.text, BUFFER_NO_LIMIT);
    buffer_init(&out.reasoning, BUFFER_NO_LIMIT);
    buffer_init(&out.pieces, BUFFER_NO_LIMIT);
    output_format_of(&format, inf_str(signs[how % (sizeof signs / sizeof *signs)]));
    expect(output_tools_read(&tools, inf_str(tools_json), NULL) == INF_OK);
    p = output_parser_create(&o, &tools);
    expect(p != NULL);
    for (size_t at = 0; at < output->len; at += step) {
        expect(output_parser_push(p, output->data + at,
                                  output->len - at < step ? output->len - at : step));
        take(&out, p);
    }
    expect(output_parser_finish(p));
    take(&out, p);
    expect(output_parser_calls(p, &out.calls));
    output_parser_free(p);
    return out;
}

static int same(const struct buffer *a, const struct buffer *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* The pieces put together are the calls. */
static void expect_same_calls(json_t *calls, const struct buffer *pieces)
{
    static const char *const members[] = {"name", "arguments"};
    size_t at = 0;

    for (size_t i = 0; i < json_array_size(calls); i++)
        for (size_t m = 0; m < 2; m++) {
            const json_t *text = json_object_get(
                json_object_get(json_array_get(calls, i), "function"), members[m]);
            size_t n = json_string_length(text);

            expect(n <= pieces->len - at &&
                   memcmp(pieces->data + at, json_string_value(text), n) == 0);
            at += n;
        }
    expect(at == pieces->len);
}

static void release(struct outcome *o)
{
    buffer_free(&o->text);
    buffer_free(&o->reasoning);
    buffer_free(&o->pieces);
    mem_free(o->calls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer output;
    struct outcome whole, pieces;
    unsigned how = size ? data[0] : 0;
    json_t *calls = NULL;

    if (size < 2)
        return 0;
    buffer_init(&output, BUFFER_NO_LIMIT);
    expect(utf8_append(&output, (const char *)data + 1, size - 1, NULL));
    whole = parse(how, &output, output.len ? output.len : 1);
    pieces = parse(how, &output, 1 + how / 32);
    expect(same(&whole.pieces, &pieces.pieces));
    expect(same(&whole.text, &pieces.text) && same(&whole.reasoning, &pieces.reasoning));
    expect(!whole.calls == !pieces.calls);
    expect(!whole.calls || strcmp(whole.calls, pieces.calls) == 0);
    if (whole.calls) {
        calls = json_loads(whole.calls, JSON_ALLOW_NUL, NULL);
        expect(json_array_size(calls) > 0);
        expect_same_calls(calls, &pieces.pieces);
        json_decref(calls);
    }
    release(&whole);
    release(&pieces);
    buffer_free(&output);
    return 0;
}
