/*
 * Specification of the output parser: reasoning and tool calls are taken out of a model's text as vLLM's parsers
 * take them out (recorded: scripts/make_output_cases.py), the same however the text is cut into pieces, and
 * what is neither comes out as it was written.
 */
#include "text/output/output_parser.h"

#include "call_pieces.h"

#include "core/memory.h"
#include "core/utf8.h"

#include <jansson.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIXTURES TEST_SOURCE_DIR "/fixtures/outputs/"
#define BAR "\xef\xbd\x9c"
#define BLOCK "\xe2\x96\x81"
#define TOKEN(name) "<" BAR name BAR ">"

static char *tools_text;

/* ------------------------------------------------------------------ parsing in pieces */

struct parsed {
    bool ok;
    struct buffer text, reasoning;
    json_t *calls;  /* NULL: none */
    json_t *pieces; /* the same, put together from what came */
};

struct given {
    const char *sign; /* what the template shows */
    const char *output;
    size_t len;
    bool calls, open;
};

static struct output_parser *parser_of(const struct given *g)
{
    struct output_format format;
    struct output_tools tools = {0};
    struct output_parser_options options = {&format, g->calls, g->open, 42};

    output_format_of(&format, inf_str(g->sign));
    if (output_tools_read(&tools, inf_str(tools_text), NULL) != INF_OK)
        return NULL;
    return output_parser_create(&options, &tools);
}

/* The first piece of a call has its id and name, the others have none. */
static void take_piece(json_t *calls, const inf_tool_call_delta *piece)
{
    size_t n = json_array_size(calls);

    if ((size_t)piece->index == n) {
        assert_true(piece->id.len > 0 && piece->name.len > 0);
    } else {
        assert_int_equal(piece->id.len + piece->name.len, 0);
        assert_int_equal(piece->index, n - 1);
    }
    call_pieces_add(calls, piece);
}

static bool take(struct parsed *out, const struct output_parser *p)
{
    size_t n = 0;
    const inf_tool_call_delta *pieces = output_parser_call_pieces(p, &n);

    inf_text text = output_parser_text(p);
    inf_text reasoning = output_parser_reasoning(p);

    if (n && !out->pieces)
        out->pieces = json_array();
    for (size_t i = 0; i < n; i++)
        take_piece(out->pieces, &pieces[i]);
    return buffer_append(&out->text, text.data, text.len) &&
           buffer_append(&out->reasoning, reasoning.data, reasoning.len);
}

/* Pieces of `first` bytes, then of `step`. */
static struct parsed parse(const struct given *g, size_t first, size_t step)
{
    struct parsed out = {.ok = true};
    struct output_parser *p = parser_of(g);
    char *calls = NULL;

    buffer_init(&out.text, BUFFER_NO_LIMIT);
    buffer_init(&out.reasoning, BUFFER_NO_LIMIT);
    out.ok = p != NULL;
    for (size_t at = 0, n = first; at < g->len && out.ok; at += n, n = step) {
        n = n < g->len - at ? n : g->len - at;
        out.ok = output_parser_push(p, g->output + at, n) && take(&out, p);
    }
    out.ok = out.ok && output_parser_finish(p) && take(&out, p) && output_parser_calls(p, &calls);
    if (calls)
        out.calls = json_loads(calls, 0, NULL);
    mem_free(calls);
    output_parser_free(p);
    if (out.ok && utf8_valid(g->output, g->len) &&
        ((out.calls != NULL) != (out.pieces != NULL) ||
         (out.calls && !json_equal(out.calls, out.pieces))))
        fail_msg("the pieces of %s are %s, not %s", g->output, json_dumps(out.pieces, 0),
                 json_dumps(out.calls, 0));
    return out;
}

static void parsed_free(struct parsed *p)
{
    buffer_free(&p->text);
    buffer_free(&p->reasoning);
    json_decref(p->calls);
    json_decref(p->pieces);
}

static const char *text_of(const struct buffer *b)
{
    return b->data ? b->data : "";
}

static void assert_same(const struct given *g, const struct parsed *a, const struct parsed *b,
                        size_t first, size_t step)
{
    if (strcmp(text_of(&a->text), text_of(&b->text)) != 0 ||
        strcmp(text_of(&a->reasoning), text_of(&b->reasoning)) != 0 ||
        (a->calls != NULL) != (b->calls != NULL) || (a->calls && !json_equal(a->calls, b->calls)))
        fail_msg("pieces of %zu, then %zu bytes of: %s\n  text: %s\n  not: %s", first, step,
                 g->output, text_of(&b->text), text_of(&a->text));
}

/* Whole; checked to be the same from pieces of every length and with a cut at every byte. */
static struct parsed parse_all(const struct given *g)
{
    struct parsed whole = parse(g, g->len, g->len);

    assert_true(whole.ok);
    for (size_t n = 1; n < g->len; n++) {
        struct parsed steps = parse(g, n, n);
        struct parsed halves = parse(g, n, g->len);

        assert_same(g, &whole, &steps, n, n);
        assert_same(g, &whole, &halves, n, g->len);
        parsed_free(&steps);
        parsed_free(&halves);
    }
    return whole;
}

static const char *call_part(const struct parsed *p, size_t i, const char *name)
{
    const json_t *call = json_array_get(p->calls, i);
    const json_t *function = json_object_get(call, "function");

    return json_string_value(json_object_get(strcmp(name, "id") == 0 ? call : function, name));
}

/* ------------------------------------------------------------------ as vLLM */

static inf_text trimmed(const char *text)
{
    size_t n = 0;

    text += strspn(text, " \n");
    n = strlen(text);
    while (n && strchr(" \n", text[n - 1]))
        n--;
    return (inf_text){text, n};
}

/* White space around a text that stands beside calls is the format's. */
static void assert_trimmed(const char *what, const char *text, const char *expected)
{
    inf_text mine = trimmed(text);
    inf_text theirs = trimmed(expected);

    if (mine.len != theirs.len || memcmp(mine.data, theirs.data, mine.len) != 0)
        fail_msg("%s: the text is \"%s\", not \"%s\"", what, text, expected);
}

static void compare(const json_t *line)
{
    const char *name = json_string_value(json_object_get(line, "name"));
    const json_t *calls = json_object_get(line, "calls");
    const char *content = json_string_value(json_object_get(line, "content"));
    struct given g = {json_string_value(json_object_get(line, "format")),
                      json_string_value(json_object_get(line, "output")),
                      json_string_length(json_object_get(line, "output")), true,
                      json_is_true(json_object_get(line, "open"))};
    struct parsed p = parse_all(&g);

    assert_string_equal(text_of(&p.reasoning),
                        json_string_value(json_object_get(line, "reasoning")));
    if (json_array_size(calls))
        assert_trimmed(name, text_of(&p.text), content);
    else
        assert_string_equal(text_of(&p.text), content);
    if (json_array_size(p.calls) != json_array_size(calls))
        fail_msg("%s: %zu calls", name, json_array_size(p.calls));
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *expected = json_array_get(calls, i);
        json_t *mine = json_loads(call_part(&p, i, "arguments"), 0, NULL);
        json_t *theirs = json_loads(json_string_value(json_array_get(expected, 1)), 0, NULL);

        assert_string_equal(call_part(&p, i, "name"),
                            json_string_value(json_array_get(expected, 0)));
        if (!mine || !json_equal(mine, theirs))
            fail_msg("%s: the arguments are %s", name, call_part(&p, i, "arguments"));
        json_decref(mine);
        json_decref(theirs);
    }
    parsed_free(&p);
}

static void for_each_case(void (*fn)(const json_t *line))
{
    FILE *file = fopen(FIXTURES "vllm.jsonl", "rb");
    char line[16384];
    size_t n = 0;

    assert_non_null(file);
    for (; fgets(line, sizeof line, file); n++) {
        json_t *json = json_loads(line, 0, NULL);

        assert_non_null(json);
        fn(json);
        json_decref(json);
    }
    fclose(file);
    assert_true(n > 30);
}

static void test_output__is_taken_apart_as_vllm_does_it(void **state)
{
    (void)state;
    for_each_case(compare);
}

/* ------------------------------------------------------------------ nothing is lost */

/* The calls are those of the whole, the last one as far as it came. */
static void assert_begin_alike(const struct given *g, const struct parsed *p,
                               const struct parsed *whole)
{
    for (size_t i = 0; i < json_array_size(p->calls); i++) {
        const char *arguments = call_part(p, i, "arguments");
        const char *all = call_part(whole, i, "arguments");

        if (!all || strcmp(call_part(p, i, "name"), call_part(whole, i, "name")) != 0 ||
            strncmp(all, arguments, strlen(arguments)) != 0)
            fail_msg("of \"%.*s\" comes out %s", (int)g->len, g->output, arguments);
    }
}

static void compare_beginnings(const json_t *line)
{
    const char *output = json_string_value(json_object_get(line, "output"));
    struct given g = {json_string_value(json_object_get(line, "format")), output, strlen(output),
                      true, false};
    struct parsed whole;

    if (strstr(output, "think>"))
        return;
    whole = parse(&g, g.len, g.len);
    for (g.len = 0; g.len <= strlen(output); g.len++) {
        struct parsed p = {.ok = false};

        if (!utf8_valid(output, g.len))
            continue;
        p = parse(&g, 1, 1);
        if (!p.calls && (p.text.len != g.len || memcmp(text_of(&p.text), output, g.len) != 0))
            fail_msg("of \"%.*s\" comes out \"%s\"", (int)g.len, output, text_of(&p.text));
        assert_begin_alike(&g, &p, &whole);
        parsed_free(&p);
    }
    parsed_free(&whole);
}

static void test_output__that_breaks_off__is_text_or_the_call_so_far(void **state)
{
    (void)state;
    for_each_case(compare_beginnings);
}

static void compare_as_text(const json_t *line)
{
    struct given g = {json_string_value(json_object_get(line, "format")),
                      json_string_value(json_object_get(line, "output")),
                      json_string_length(json_object_get(line, "output")), false, false};
    struct parsed p;

    if (strstr(g.output, "think>"))
        return;
    p = parse_all(&g);
    assert_string_equal(text_of(&p.text), g.output);
    assert_null(p.calls);
    parsed_free(&p);
}

static void test_output__without_tools__is_text(void **state)
{
    (void)state;
    for_each_case(compare_as_text);
}

/* What the sign's format makes of it: text, reasoning, and of the calls "name(arguments) ...". */
static void assert_parses(const char *sign, bool open, const char *output, const char *text,
                          const char *reasoning, const char *calls)
{
    struct given g = {sign, output, strlen(output), true, open};
    struct parsed p = parse_all(&g);
    struct buffer all;

    buffer_init(&all, BUFFER_NO_LIMIT);
    assert_true(buffer_append_str(&all, ""));
    for (size_t i = 0; i < json_array_size(p.calls); i++)
        assert_true(buffer_printf(&all, "%s%s(%s)", i ? " " : "", call_part(&p, i, "name"),
                                  call_part(&p, i, "arguments")));
    assert_string_equal(text_of(&p.text), text);
    assert_string_equal(text_of(&p.reasoning), reasoning);
    assert_string_equal(text_of(&all), calls);
    buffer_free(&all);
    parsed_free(&p);
}

static void test_what_is_no_call__stays_text(void **state)
{
    static const struct {
        const char *sign, *output;
    } texts[] = {
        {"<tool_call>", "Use <tool_call> for it."},
        {"<tool_call>", "<tool_call>\n{\"name\": \"add\"]}\n</tool_call>"},
        {"<tool_call>", "<tool_call>{\"title\": 1}</tool_call>"},
        {"<tool_call>", "<tool_call>{\"name\": 1, \"arguments\": {}}</tool_call>"},
        {"<tool_call>", "<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>"},
        {"<tool_call>", "<tool_call>{\"name\": \"x\", \"arguments\": [1]}</tool_call>"},
        {"<tool_call> <function=", "<tool_call><function=f><b>x</b></function></tool_call>"},
        {"<tool_call> <function=", "<function=f"},
        {"<tool_call> <function=", "<function=>"},
        {"<tool_call> <arg_key>", "<tool_call>f<arg_key>x</tool_call>"},
        {"<|start_header_id|> \"parameters\": ", "{\"name\": \"Bob\", \"parameters\": {}}"},
        {"<|start_header_id|> \"parameters\": ", "{\"name\": \"add\"}"},
        {"<|start_header_id|> \"parameters\": ", "{\"a\": 1} and so on"},
        {"<|start_header_id|> \"parameters\": ", "{"},
        {"[TOOL_CALLS]", "[TOOL_CALLS][]"},
        {"[TOOL_CALLS]", "[TOOL_CALLS] and more"},
        {"[TOOL_CALLS] [ARGS]", "[TOOL_CALLS]add[ARGS]none"},
        {TOKEN("tool" BLOCK "call" BLOCK "begin"),
         TOKEN("tool" BLOCK "calls" BLOCK "begin") " none"},
        {"", "<tool_call>{\"name\": \"add\", \"arguments\": {}}</tool_call><think>[TOOL_CALLS]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_parses(texts[i].sign, false, texts[i].output, texts[i].output, "", "");
}

static void test_call_after_one_that_is_broken__is_found(void **state)
{
    (void)state;
    assert_parses("<tool_call>", false,
                  "<tool_call>{\"name\": \"now\", <tool_call>{\"name\": \"now\", \"arguments\": {}}"
                  "</tool_call>",
                  "<tool_call>{\"name\": \"now\",", "", "now({})");
}

static void test_call__that_breaks_off__is_one_as_far_as_it_came(void **state)
{
    static const struct {
        const char *sign, *output, *text, *calls;
    } outputs[] = {
        {"<tool_call>", "A\n<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": [1, ", "A",
         "now({\"a\": [1, )"},
        {"<tool_call>", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 'b'}}</tool_call>C",
         "'b'}}</tool_call>C", "f({\"a\": )"},
        {"<tool_call>", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": tru}}</tool_call>C",
         "C", "f({\"a\": tru})"},
        {"<tool_call>", "<tool_call>{\"name\": \"f\", \"arguments\": {}\n</tool_call>C", "C",
         "f({})"},
        {"<tool_call>",
         "<tool_call>{\"id\": \"x\", \"type\": \"function\", \"name\": \"f\", \"parameters\": {}",
         "", "f({})"},
        {"<tool_call> <function=",
         "<tool_call><function=f><parameter=a>1</parameter><parameter=b>2", "",
         "f({\"a\": \"1\", \"b\": \"2)"},
        {"<tool_call> <function=", "A\n<tool_call>\n<function=f>\n<parameter=a>\n1\n</para", "A",
         "f({\"a\": \"1)"},
        {"<tool_call> <function=", "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</f",
         "", "f({\"a\": \"1\")"},
        {"<tool_call> <function=",
         "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n<param", "",
         "f({\"a\": \"1\")"},
        {"<tool_call> <function=", "<tool_call>\n<function=f>\n<parameter=a", "", "f({)"},
        {"<tool_call> <function=", "<tool_call>\n<function=f>\n", "", "f({)"},
        {"<tool_call> <function=", "<tool_call>\n<function=f", "<tool_call>\n<function=f", ""},
        {"<tool_call> <function=",
         "<tool_call><function=get_weather><parameter=city>\nA "
         "\"b\"\nc\n</parameter><parameter=days>\n2",
         "", "get_weather({\"city\": \"A \\\"b\\\"\\nc\", \"days\": 2)"},
        {"<tool_call> <function=", "<tool_call><function=f>C", "<tool_call><function=f>C", ""},
        {"<tool_call> <arg_key>", "A<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1 <", "A",
         "f({\"a\": \"1 )"},
        {"<tool_call> <arg_key>",
         "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n<arg_key>b</arg", "",
         "f({\"a\": \"1\")"},
        {"<tool_call> <arg_key>",
         "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value></too", "",
         "f({\"a\": \"1\")"},
        {"<tool_call> <arg_key>", "<tool_call>f\n<arg_k", "", "f({)"},
        {"<tool_call> <arg_key>", "<tool_call>f", "<tool_call>f", ""},
        {"<tool_call> <arg_key>",
         "<tool_call>f\n<arg_key>a</arg_key><arg_value>1</arg_value><arg_key>b</tool_call>C",
         "<arg_key>b</tool_call>C", "f({\"a\": \"1\")"},
        {"<tool_call> <arg_key>",
         "<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value>\nC</tool_call>", "C</tool_call>",
         "f({\"a\": \"1\")"},
        {"<|start_header_id|> \"parameters\": ", "{\"name\": \"now\", \"parameters\": {\"a", "",
         "now({\"a)"},
        {"[TOOL_CALLS]", "[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {}}, 1]", ", 1]",
         "add({})"},
        {"[TOOL_CALLS]",
         "[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {}}, {\"name\": \"now\", \"arguments\": "
         "{",
         ", {\"name\": \"now\", \"arguments\": {", "add({})"},
        {"[TOOL_CALLS] [ARGS]", "[TOOL_CALLS]add[ARGS]{\"a\": \"", "", "add({\"a\": \")"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        assert_parses(outputs[i].sign, false, outputs[i].output, outputs[i].text, "",
                      outputs[i].calls);
}

static void test_text_behind_a_call__is_text(void **state)
{
    (void)state;
    assert_parses(
        "<tool_call>", false,
        "A <b>\n\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\nB <c",
        "A <b>\nB <c", "", "now({})");
    assert_parses("<tool_call>", false,
                  "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\nB", "B", "",
                  "now({})");
}

static void test_markers_within_arguments__belong_to_them(void **state)
{
    (void)state;
    assert_parses("<tool_call>", false,
                  "<tool_call>{\"name\": \"note\", \"arguments\": {\"text\": \"</tool_call> }\\\" "
                  "<tool_call>\"}}"
                  "</tool_call>",
                  "", "", "note({\"text\": \"</tool_call> }\\\" <tool_call>\"})");
    assert_parses("<tool_call> <function=", false,
                  "<tool_call>\n<function=note>\n<parameter=text>\na </parameter> b </function> c\n"
                  "</parameter>\n</function>\n</tool_call>",
                  "", "", "note({\"text\": \"a </parameter> b </function> c\"})");
}

static void test_types_behind_a_reference__count(void **state)
{
    char *before = tools_text;

    (void)state;
    tools_text =
        "[{\"name\": \"f\", \"parameters\": {\"properties\": {\"a\": {\"$ref\": \"#/$defs/n\"}, "
        "\"b\": {\"enum\": [true, 2]}, \"c\": {\"const\": 1}}, "
        "\"$defs\": {\"n\": {\"type\": [\"number\", \"null\"]}}}}]";
    assert_parses(
        "<tool_call> <function=", false,
        "<tool_call><function=f><parameter=a>\n-02\n</parameter><parameter=b>True</parameter>"
        "<parameter=c>x</parameter><parameter=d>1</parameter></function></tool_call>",
        "", "", "f({\"a\": -2, \"b\": true, \"c\": \"x\", \"d\": \"1\"})");
    tools_text = before;
}

#define PYTHON "[func_name1(params_name1=params_value1...), func_name2(params)]"

static void test_calls_as_python_has_them__are_calls(void **state)
{
    (void)state;
    assert_parses(PYTHON, false, "[get_weather(city='K\\'\\u00f6ln', days=2), now()]", "", "",
                  "get_weather({\"city\": \"K'\303\266ln\", \"days\": 2}) now({})");
    assert_parses(
        PYTHON, false,
        "<|python_start|>[note(text={'a': [1, -2.5e3, (True, None,)], \"b\": {}},)]<|python_end|>",
        "", "", "note({\"text\": {\"a\": [1, -2.5e3, [true, null]], \"b\": {}}})");
    assert_parses(PYTHON, false, "[note(text=\"\\ud83d\\ude00\\/\")]", "", "",
                  "note({\"text\": \"\360\237\230\200/\"})");
    assert_parses(PYTHON, false, "[now( ) , ]", "", "", "now({})");
    assert_parses(PYTHON, false, "[now(), note(text=')]'", ", note(text=')]'", "", "now({})");
    assert_parses(PYTHON, false, "[now(), other()]", ", other()]", "", "now({})");
    assert_parses(PYTHON, false, "[1, 2]", "[1, 2]", "", "");
    assert_parses(PYTHON, false, "[other(a=1)]", "[other(a=1)]", "", "");
    assert_parses(PYTHON, false, "[note(text=f(1))]", "[note(text=f(1))]", "", "");
    assert_parses(PYTHON, false, "[note('x')]", "[note('x')]", "", "");
    assert_parses(PYTHON, false, "[note(text='\\ud800')]", "[note(text='\\ud800')]", "", "");
    assert_parses(PYTHON, false, "[note(text=01)]", "[note(text=01)]", "", "");
    assert_parses(PYTHON, false, "[note(text='a", "[note(text='a", "", "");
    assert_parses(PYTHON, false, "Say [now()].", "Say [now()].", "", "");
}

static void test_mistral_thoughts__may_come_anywhere(void **state)
{
    (void)state;
    assert_parses("[TOOL_CALLS] [ARGS] [THINK]", false,
                  "A[THINK]b[/THINK]C[THINK]d[/THINK][TOOL_CALLS]now[ARGS]{}", "AC", "bd",
                  "now({})");
    assert_parses("[TOOL_CALLS] [ARGS]", false, "[TOOL_CALLS]now[CALL_ID]abcdefghi[ARGS]{}", "", "",
                  "now({})");
}

/* ------------------------------------------------------------------ channels */

#define CHANNELS "<|channel|><|message|><|start|>"

static void test_channels__are_taken_apart(void **state)
{
    (void)state;
    assert_parses(CHANNELS, false,
                  "<|channel|>analysis<|message|>Hm, 1 < "
                  "2.<|end|><|start|>assistant<|channel|>final<|message|>Two.",
                  "Two.", "Hm, 1 < 2.", "");
    assert_parses(
        CHANNELS, false,
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary "
        "to=functions.get_weather <|constrain|>json<|message|>{\"city\": \"<K>\"}<|call|>",
        "", "Hm.", "get_weather({\"city\": \"<K>\"})");
    assert_parses(CHANNELS, false, " to=functions.now<|channel|>commentary json<|message|>{}", "",
                  "", "now({})");
    assert_parses(
        CHANNELS, false,
        "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant "
        "to=functions.now<|channel|>"
        "commentary<|message|>{}<|call|><|start|>assistant<|channel|>commentary to=functions.note"
        "<|message|>{\"text\": \"x\"}<|call|>",
        "I look.", "", "now({}) note({\"text\": \"x\"})");
    assert_parses(CHANNELS, false, "Just text < text.", "Just text < text.", "", "");
    assert_parses(CHANNELS, true,
                  "Hm.<|end|><|start|>assistant<|channel|>final<|message|>Two.<|return|>", "Two.",
                  "Hm.", "");
}

static void test_channels__broken_off__lose_nothing(void **state)
{
    (void)state;
    assert_parses(CHANNELS, false, "<|channel|>commentary to=functions.now<|message|>{\"a\": ", "",
                  "", "now({\"a\":)");
    assert_parses(CHANNELS, false, "<|channel|>commentary to=functions.now<|message|>[1",
                  "<|channel|>commentary to=functions.now<|message|>[1", "", "");
    assert_parses(CHANNELS, false, "<|channel|>foo", "<|channel|>foo", "", "");
    assert_parses(CHANNELS, false, "<|channel|>final<|message|>Two<|end|><|start|>user and more",
                  "Two<|start|>user and more", "", "");
    assert_parses(CHANNELS, false, "<|channel|>final<|message|>Two<|en", "Two<|en", "", "");
}

/* Servers show nothing of it either. */
static void test_channels__cut_within_a_header__it_is_no_text(void **state)
{
    static const char thought[] = "<|channel|>analysis<|message|>Hm.";
    static const char *const headers[] = {
        "<|end|><|start|>",
        "<|end|><|start|>assistant",
        "<|end|><|start|>assistant<|channel|>",
        "<|end|><|start|>assistant<|channel|>comm",
        "<|end|><|start|>assistant<|channel|>commentary to=functions.no",
        "<|end|><|start|>assistant to=functions.now<|channel|>comm",
        "<|end|><|start|>assistant<|channel|>commentary to=functions.now <|constrain|>json",
        "<|end|><|start|>assistant<|channel|>commentary to=functions.now json<|message|>",
        "<|channel|>fin"};
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        snprintf(text, sizeof text, "%s%s", thought, headers[i]);
        assert_parses(CHANNELS, false, text, "", "Hm.", "");
    }
    assert_parses(CHANNELS, false, "<|channel|>comm", "", "", "");
}

/* ------------------------------------------------------------------ recognising */

static void assert_shape(const char *source, enum output_shape shape, bool thinks)
{
    struct output_format f;

    output_format_of(&f, inf_str(source));
    assert_int_equal(f.shape, shape);
    assert_int_equal(f.think_open != NULL, thinks);
}

static void test_format__is_told_by_the_template(void **state)
{
    (void)state;
    assert_shape("", OUTPUT_PLAIN, false);
    assert_shape("{{ messages }}", OUTPUT_PLAIN, false);
    assert_shape("<tool_call>\n{\\\"name\\\": <function-name>", OUTPUT_JSON, false);
    assert_shape("'<tool_call>\\n{\"name\": \"' ... '</think>'", OUTPUT_JSON, true);
    assert_shape("<tool_call> <invoke name=\"", OUTPUT_PLAIN, false); /* MiniMax M3 */
    assert_shape("<tool_call>\n<function=' + tool_call.name + '>\n", OUTPUT_XML, false);
    assert_shape("<tool_call> <arg_key>", OUTPUT_PAIRS, false);
    assert_shape("<|start_header_id|> {\"name\": function name, \"parameters\": ", OUTPUT_BARE,
                 false);
    assert_shape("<|start_header_id|> \"parameters\": [func_name1(params_name1=", OUTPUT_PYTHON,
                 false);
    assert_shape("<|start_header_id|>", OUTPUT_PLAIN, false);
    assert_shape("[TOOL_CALLS]", OUTPUT_BRACKETS, false);
    assert_shape("[TOOL_CALLS] [THINK]", OUTPUT_BRACKETS, true);
    assert_shape("<|start|>assistant<|channel|>final<|message|>", OUTPUT_CHANNELS, false);
    assert_shape(TOKEN("tool" BLOCK "call" BLOCK "begin") " </think>", OUTPUT_TOKENS, true);
}

/* ------------------------------------------------------------------ ids */

static void test_ids__are_of_their_own(void **state)
{
    const char *two = "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>"
                      "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>";
    struct given g = {"<tool_call>", two, strlen(two), true, false};
    struct parsed p = parse(&g, 1, 1);

    (void)state;
    assert_int_equal(json_array_size(p.calls), 2);
    assert_memory_equal(call_part(&p, 0, "id"), "chatcmpl-tool-", 14);
    assert_int_equal(strlen(call_part(&p, 0, "id")), 14 + 32);
    assert_string_not_equal(call_part(&p, 0, "id"), call_part(&p, 1, "id"));
    parsed_free(&p);
    g = (struct given){"[TOOL_CALLS] [ARGS]",
                       "[TOOL_CALLS]now[CALL_ID]a1b2c3d4e[ARGS]{}[TOOL_CALLS]now[ARGS]{}", 0, true,
                       false};
    g.len = strlen(g.output);
    p = parse(&g, 1, 1);
    assert_string_equal(call_part(&p, 0, "id"), "a1b2c3d4e");
    assert_int_equal(strlen(call_part(&p, 1, "id")), 9);
    parsed_free(&p);
}

/* ------------------------------------------------------------------ tools and choices */

static void assert_tools_fail(const char *json, const char *why)
{
    struct output_tools tools = {0};
    inf_error err = {0};

    assert_int_equal(output_tools_read(&tools, inf_str(json), &err), INF_ERROR_INVALID_ARGUMENT);
    if (!strstr(err.message, why))
        fail_msg("%s: %s", json, err.message);
}

static void test_tools__that_are_none__are_refused(void **state)
{
    (void)state;
    assert_tools_fail("{}", "not a JSON array");
    assert_tools_fail("[1]", "tools[0]: is no function");
    assert_tools_fail("[{\"function\": {}}]", "tools[0]: is no function");
    assert_tools_fail("[{\"name\": \"a\"}, {\"name\": \"b\", \"parameters\": 1}]",
                      "tools[1]: its \"parameters\"");
    assert_tools_fail("[{\"name\": \"a\"}, {\"name\": \"a\"}]", "that of another");
    assert_tools_fail("[", "not JSON");
}

static void test_choice__is_read(void **state)
{
    static const struct {
        const char *text;
        enum output_choice choice;
        const char *name;
    } choices[] = {
        {NULL, OUTPUT_AUTO, NULL},
        {"auto", OUTPUT_AUTO, NULL},
        {"none", OUTPUT_NONE, NULL},
        {"required", OUTPUT_REQUIRED, NULL},
        {"add", OUTPUT_NAMED, "add"},
        {"{\"type\": \"function\", \"function\": {\"name\": \"now\"}}", OUTPUT_NAMED, "now"}};
    static const char *const wrong[] = {"", "any", "{}", "{\"function\": {\"name\": \"x\"}}", "{"};
    struct output_tools tools = {0};
    struct output_tools no_tools = {0};
    const struct output_tool *named = NULL;
    enum output_choice choice = OUTPUT_AUTO;

    (void)state;
    assert_int_equal(output_tools_read(&tools, inf_str(tools_text), NULL), INF_OK);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        assert_int_equal(
            output_choice_read(&choice, &named, &tools, inf_str(choices[i].text), NULL), INF_OK);
        assert_int_equal(choice, choices[i].choice);
        assert_int_equal(named != NULL, choices[i].name != NULL);
        if (named)
            assert_string_equal(named->name, choices[i].name);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(output_choice_read(&choice, &named, &tools, inf_str(wrong[i]), NULL),
                         INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(output_choice_read(&choice, &named, &no_tools, inf_str("required"), NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    output_tools_free(&tools);
}

/* ------------------------------------------------------------------ memory */

static void fail_everywhere(const json_t *line)
{
    struct given g = {json_string_value(json_object_get(line, "format")),
                      json_string_value(json_object_get(line, "output")),
                      json_string_length(json_object_get(line, "output")), true,
                      json_is_true(json_object_get(line, "open"))};
    struct parsed p = {.ok = false};

    for (int64_t nth = 1; !p.ok; nth++) {
        int64_t live = mem_live();

        assert_true(nth < 1000);
        mem_fail_nth(nth);
        p = parse(&g, 7, 7);
        mem_fail_nth(0);
        parsed_free(&p);
        assert_int_equal(mem_live(), live);
    }
}

static void test_want_of_memory__is_told_and_nothing_leaks(void **state)
{
    (void)state;
    for_each_case(fail_everywhere);
}

/* ------------------------------------------------------------------ main */

static char *load(const char *path)
{
    static char text[16384];
    FILE *file = fopen(path, "rb");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;

    if (file)
        fclose(file);
    text[n] = '\0';
    return text;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output__is_taken_apart_as_vllm_does_it),
        cmocka_unit_test(test_output__that_breaks_off__is_text_or_the_call_so_far),
        cmocka_unit_test(test_output__without_tools__is_text),
        cmocka_unit_test(test_what_is_no_call__stays_text),
        cmocka_unit_test(test_call_after_one_that_is_broken__is_found),
        cmocka_unit_test(test_call__that_breaks_off__is_one_as_far_as_it_came),
        cmocka_unit_test(test_text_behind_a_call__is_text),
        cmocka_unit_test(test_markers_within_arguments__belong_to_them),
        cmocka_unit_test(test_types_behind_a_reference__count),
        cmocka_unit_test(test_calls_as_python_has_them__are_calls),
        cmocka_unit_test(test_mistral_thoughts__may_come_anywhere),
        cmocka_unit_test(test_channels__are_taken_apart),
        cmocka_unit_test(test_channels__broken_off__lose_nothing),
        cmocka_unit_test(test_channels__cut_within_a_header__it_is_no_text),
        cmocka_unit_test(test_format__is_told_by_the_template),
        cmocka_unit_test(test_ids__are_of_their_own),
        cmocka_unit_test(test_tools__that_are_none__are_refused),
        cmocka_unit_test(test_choice__is_read),
        cmocka_unit_test(test_want_of_memory__is_told_and_nothing_leaks),
    };

    tools_text = load(FIXTURES "tools.json");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
