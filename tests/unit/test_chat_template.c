/*
 * Specification of chat_template: published templates render as Hugging Face documents them, and
 * any template, however hostile, gives text or an error in bounded time.
 */
#include "text/chat_template.h"

#include "core/memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CORPUS TEST_SOURCE_DIR "/../fuzz/corpus/chat_template/"
#define TWO "[{\"role\":\"user\",\"content\":\"Hello\"}]"
#define FOUR                                                                                       \
    "[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"Hello\"},"  \
    "{\"role\":\"assistant\",\"content\":\"Hi!\"},{\"role\":\"user\",\"content\":\"Bye\"}]"
#define NO_TEXT ((inf_text){NULL, 0})

/* ------------------------------------------------------------------ helpers */

struct outcome {
    int32_t code;
    inf_error err;
    struct buffer text;
};

static const struct chat_token TOKENS[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};

static void release(struct outcome *o)
{
    buffer_free(&o->text);
}

static struct outcome render_all(inf_text source, inf_text messages, const char *system,
                                 const char *variables, bool prompt)
{
    struct chat_input input = {.messages_json = messages,
                               .system_prompt = inf_str(system),
                               .variables_json = inf_str(variables),
                               .add_generation_prompt = prompt};
    struct outcome o = {0};
    struct chat_template *t = NULL;

    buffer_init(&o.text, BUFFER_NO_LIMIT);
    o.code = chat_template_compile(&t, source, TOKENS, 2, &o.err);
    if (o.code == INF_OK)
        o.code = chat_template_render(t, &input, &o.text, &o.err);
    chat_template_free(t);
    return o;
}

static void assert_renders(const char *source, const char *messages, const char *expected)
{
    struct outcome o = render_all(inf_str(source), inf_str(messages), NULL, NULL, true);

    if (o.code != INF_OK)
        fail_msg("%.60s: %s", source, o.err.message);
    assert_non_null(o.text.data ? o.text.data : "");
    assert_string_equal(o.text.data ? o.text.data : "", expected);
    release(&o);
}

/* A template that cannot be rendered, and what the message says. */
static void assert_template_error(const char *source, const char *message)
{
    struct outcome o = render_all(inf_str(source), inf_str(TWO), NULL, NULL, true);

    if (o.code != INF_ERROR_TEMPLATE)
        fail_msg("%.60s: %d %s", source, (int)o.code, o.err.message);
    if (!strstr(o.err.message, message))
        fail_msg("%.60s: \"%s\" does not say \"%s\"", source, o.err.message, message);
    assert_int_equal(o.text.len, 0);
    release(&o);
}

static void assert_messages_refused(inf_text messages, const char *message)
{
    struct outcome o = render_all(inf_str("{{ messages[0].content }}"), messages, NULL, NULL, true);

    assert_int_equal(o.code, INF_ERROR_INVALID_ARGUMENT);
    if (!strstr(o.err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", o.err.message, message);
    release(&o);
}

/* `before` n times, then `middle`, then `after` n times. */
static char *nested(const char *before, size_t n, const char *middle, const char *after)
{
    struct buffer b;

    buffer_init(&b, BUFFER_NO_LIMIT);
    for (size_t i = 0; i < n; i++)
        assert_true(buffer_append_str(&b, before));
    assert_true(buffer_append_str(&b, middle));
    for (size_t i = 0; i < n; i++)
        assert_true(buffer_append_str(&b, after));
    return b.data;
}

static char *load(const char *name)
{
    char path[1024];
    struct buffer b;
    char block[4096];
    size_t n = 0;
    FILE *file = NULL;

    snprintf(path, sizeof path, "%s%s", CORPUS, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    buffer_init(&b, BUFFER_NO_LIMIT);
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        assert_true(buffer_append(&b, block, n));
    fclose(file);
    return b.data;
}

static void assert_published(const char *name, const char *messages, const char *system,
                             bool prompt, const char *expected)
{
    char *source = load(name);
    struct outcome o = render_all(inf_str(source), inf_str(messages), system, NULL, prompt);

    if (o.code != INF_OK)
        fail_msg("%s: %s", name, o.err.message);
    assert_string_equal(o.text.data, expected);
    release(&o);
    mem_free(source);
}

/* ------------------------------------------------------------------ published templates */

static void smollm2_puts_its_own_system_message_first(void **state)
{
    (void)state;
    assert_published("smollm2", TWO, NULL, true,
                     "<|im_start|>system\n"
                     "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
                     "<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
}

static void smollm2_takes_the_system_message_given(void **state)
{
    (void)state;
    assert_published("smollm2", FOUR, NULL, false,
                     "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
                     "<|im_start|>assistant\nHi!<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n");
}

static void the_system_prompt_comes_before_the_messages(void **state)
{
    (void)state;
    assert_published("smollm2", TWO, "You are \"terse\".\n", true,
                     "<|im_start|>system\nYou are \"terse\".\n<|im_end|>\n<|im_start|>user\nHello"
                     "<|im_end|>\n<|im_start|>assistant\n");
}

static void qwen3_is_chatml_and_can_think(void **state)
{
    (void)state;
    assert_published("qwen3", FOUR, NULL, true,
                     "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
                     "<|im_start|>assistant\nHi!<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
                     "<|im_start|>assistant\n");
}

static void qwen3_without_thinking_gets_an_empty_thought(void **state)
{
    char *source = load("qwen3");
    struct outcome o = render_all(inf_str(source), inf_str(TWO), NULL,
                                  "{\"enable_thinking\":false}", true);

    (void)state;
    assert_int_equal(o.code, INF_OK);
    assert_string_equal(o.text.data, "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
                                     "<think>\n\n</think>\n\n");
    release(&o);
    mem_free(source);
}

static void qwen3_lists_the_tools_in_the_system_message(void **state)
{
    char *source = load("qwen3");
    struct outcome o = render_all(
        inf_str(source), inf_str(TWO), NULL,
        "{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"n\":2}}]}", true);

    (void)state;
    assert_int_equal(o.code, INF_OK);
    assert_non_null(strstr(o.text.data, "<|im_start|>system\n# Tools\n\nYou may call one or more"));
    assert_non_null(strstr(o.text.data, "<tools>\n{\"type\": \"function\", \"function\": "
                                        "{\"name\": \"add\", \"n\": 2}}\n</tools>"));
    release(&o);
    mem_free(source);
}

static void llama31_dates_its_system_header(void **state)
{
    (void)state;
    assert_published("llama-3.1", FOUR, NULL, true,
                     "<s><|start_header_id|>system<|end_header_id|>\n\n"
                     "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\nBe brief."
                     "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
                     "<|start_header_id|>assistant<|end_header_id|>\n\nHi!<|eot_id|>"
                     "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
                     "<|start_header_id|>assistant<|end_header_id|>\n\n");
}

static void gemma_calls_the_assistant_model(void **state)
{
    (void)state;
    assert_published(
        "gemma-2",
        "[{\"role\":\"user\",\"content\":\" Hello \"},"
        "{\"role\":\"assistant\",\"content\":\"Hi!\"},"
        "{\"role\":\"user\",\"content\":\"Bye\"}]",
        NULL, true,
        "<s><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\nHi!"
        "<end_of_turn>\n<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n");
}

static void gemma_says_that_it_takes_no_system_message(void **state)
{
    char *source = load("gemma-2");
    struct outcome o = render_all(inf_str(source), inf_str(FOUR), NULL, NULL, true);

    (void)state;
    assert_int_equal(o.code, INF_ERROR_TEMPLATE);
    assert_string_equal(o.err.message,
                        "the chat template refuses the messages: System role not supported");
    release(&o);
    mem_free(source);
}

static void mistral_puts_the_system_message_into_the_last_turn(void **state)
{
    (void)state;
    assert_published("mistral-nemo", FOUR, NULL, true,
                     "<s>[INST]Hello[/INST]Hi!</s>[INST]Be brief.\n\nBye[/INST]");
}

static void phi3_closes_each_turn(void **state)
{
    (void)state;
    assert_published("phi-3.5", FOUR, NULL, true,
                     "<|system|>\nBe brief.<|end|>\n<|user|>\nHello<|end|>\n<|assistant|>\nHi!"
                     "<|end|>\n<|user|>\nBye<|end|>\n<|assistant|>\n");
    assert_published("phi-3.5", TWO, NULL, false, "<|user|>\nHello<|end|>\n</s>");
}

/* ------------------------------------------------------------------ the language */

static void blocks_trim_as_transformers_sets_them_up(void **state)
{
    (void)state;
    assert_renders("{% if true %}\n  a\n  {% endif %}\nb\r\n{# c #}\nd", TWO, "  a\nb\nd");
    assert_renders("a{% if true %}b{% endif %}", TWO, "ab");
    assert_renders("\n{% if true %}b{% endif %}", TWO, "\nb");
    assert_renders("  {% if true %}b{% endif %}", TWO, "b");
    assert_renders("a  {%- if true -%}  b  {%- endif -%}  c\n", TWO, "abc");
}

static void what_transformers_passes_is_there(void **state)
{
    (void)state;
    assert_renders("{{ bos_token }}{{ eos_token }}{{ add_generation_prompt }}"
                   "{{ tools is none }}{{ documents is none }}{{ nothing is defined }}",
                   TWO, "<s></s>TrueTrueTrueFalse");
    assert_renders("{{ strftime_now('%%') }}", TWO, "%");
}

static void variables_come_with_the_messages_or_beside_them(void **state)
{
    struct outcome o = render_all(inf_str("{{ a }}{{ b }}{{ messages | length }}"),
                                  inf_str("{\"messages\":" TWO ",\"a\":1,\"b\":2}"), NULL,
                                  "{\"b\":[3,\"x\"]}", true);

    (void)state;
    assert_int_equal(o.code, INF_OK);
    assert_string_equal(o.text.data, "1[3, 'x']1");
    release(&o);
}

static void statements_and_expressions_work_under_guard(void **state)
{
    (void)state;
    assert_renders("{% for i in range(1, 8, 3) %}{{ i }}{{ ',' if not loop.last }}{% endfor %}",
                   TWO, "1,4,7");
    assert_renders("{% for i in range(3, 0, -1) if i != 2 %}{{ i }}{% else %}no{% endfor %}", TWO,
                   "31");
    assert_renders(
        "{% macro m(a, b='y') %}{{ a ~ b }}{% endmacro %}{{ m('x') }}{{ m('x', b='z') }}", TWO,
        "xyxz");
    assert_renders("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{% endcall %}",
                   TWO, "<in>");
    assert_renders("{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}"
                   "{% endfor %}{{ ns.n }}",
                   TWO, "3");
    assert_renders("{% set x %}a{% if true %}b{% endif %}{% endset %}{{ x | upper }}", TWO, "AB");
    assert_renders("{% filter upper %}a{{ 'b' }}{% endfilter %}", TWO, "AB");
    assert_renders("{{ {'a': 1, 'b': [true, none]} | tojson }}", TWO,
                   "{\"a\": 1, \"b\": [true, null]}");
    assert_renders("{{ 'a-b-c'.split('-')[::-1] | join('+') }}{{ 'abc'[1:] }}", TWO, "c+b+abc");
    assert_renders("{{ [3, 1, 2] | sort | join }}{{ ['b', 'a'] | sort | first }}", TWO, "123a");
    assert_renders("{{ 'aXbX' | replace('X', '--') }}{{ 7 % 4 }}{{ 4 is divisibleby 2 }}", TWO,
                   "a--b--3True");
    assert_renders("{{ 'ab' ~ 'cd' | capitalize }}{{ ('ab' ~ 'cd') | capitalize }}", TWO,
                   "abCdAbcd");
    assert_renders("{% for i in [1, 2, 3] %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}"
                   "{% endfor %}",
                   TWO, "13");
    assert_renders("", TWO, "");
}

static void an_error_names_its_line(void **state)
{
    (void)state;
    assert_template_error("a\nb\n{{ 1 1 }}",
                          "line 3: expected token 'end of print statement', got 'integer'");
    assert_template_error("a\n{{ none + 1 }}", "line 2: ");
    assert_template_error("\n\n{{ 'x' | nosuch }}", "line 3: No filter named 'nosuch'.");
    assert_template_error("{% nosuch %}", "Encountered unknown tag 'nosuch'.");
    assert_template_error("{{ raise_exception('no\nway') }}", "refuses the messages: no way");
    assert_template_error("{{ raise_exception(messages) }}",
                          "refuses the messages: [{'role': 'user', 'content': 'Hello'}]");
    assert_template_error("{{ raise_exception(none) }}", "refuses the messages: None");
    assert_template_error("{{ raise_exception(5) }}", "refuses the messages: 5");
    assert_template_error("\n{{ raise_exception() }}",
                          "line 2: raise_exception() is missing a required argument");
}

/* No names of C++ types and functions. */
static void errors_are_in_words(void **state)
{
    (void)state;
    assert_template_error("{{ range('x') }}", "'str' object cannot be interpreted as an integer");
    assert_template_error("{{ strftime_now(5) }}", "line 1: argument must be str, not int");
    assert_template_error("{{ 'x'.startswith(5) }}",
                          "startswith first arg must be str or a tuple of str, not int");
    assert_template_error("{{ messages[0].x.y }}", "'dict object' has no attribute 'x'");
    assert_template_error("a\n{{ 99999999999999999999999 }}",
                          "line 2: an integer has more than 64 bits");
    assert_template_error("{{ -9223372036854775809 }}", "more than 64 bits");
    assert_template_error("{{ 'a' + 5 }}", "can only concatenate str (not \"int\") to str");
}

static void tilde_joins_anything(void **state)
{
    (void)state;
    assert_renders("{{ 'a' ~ none }}|{{ none ~ 'a' }}|{{ none ~ none }}", TWO,
                   "aNone|Nonea|NoneNone");
    assert_renders("{{ 'a' ~ x }}|{{ x ~ 'a' }}|{{ x ~ y }}", TWO, "a|a|");
    assert_renders("{{ 1 ~ 2 }}|{{ 1.5 ~ true }}|{{ ['a', 1] ~ {'b': none} }}", TWO,
                   "12|1.5True|['a', 1]{'b': None}");
    assert_renders("{{ -9223372036854775808 }}|{{ '{}-{}'.format(1, 'x') }}", TWO,
                   "-9223372036854775808|1-x");
}

static void wrong_sums_are_errors(void **state)
{
    (void)state;
    assert_template_error("{{ 1 / 0 }}", "division by zero");
    assert_template_error("{{ 1 % 0.0 }}", "float modulo");
    assert_template_error("{{ 4 is divisibleby 0 }}", "by zero");
    assert_template_error("{{ [4] | select('divisibleby', 0) | list }}", "by zero");
    assert_template_error("{{ [9, '10a', 10] | sort }}", "'<' not supported between instances of");
    assert_renders("{{ 9007199254740993 * 3 }}|{{ 'é'[0] }}", TWO, "27021597764222979|é");
}

/* ------------------------------------------------------------------ hostile templates */

static void deep_nesting_is_an_error(void **state)
{
    static const struct {
        const char *before;
        const char *middle;
        const char *after;
    } deep[] = {
        {"(", "1", ")"},     {"[", "1", "]"},      {"{1:", "1", "}"}, {"f(", "1", ")"},
        {"x[", "1", "]"},    {"not ", "1", ""},    {"- ", "1", ""},   {"1 if 1 else ", "1", ""},
        {"", "x", "|upper"}, {"", "x", ".y"},      {"", "x", "()"},   {"", "1", "+1"},
        {"", "1", " and 1"}, {"", "1", " is odd"}, {"", "x", "[0]"},  {"(not [", "1", "])"},
        {"(", "", ""},       {"{", "", ""}};

    (void)state;
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        /* beyond the source's size, beyond a block's size, beyond the depth of the tree */
        static const size_t sizes[] = {200000, 15000, 2000, 450};

        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            char *inner = nested(deep[i].before, sizes[k], deep[i].middle, deep[i].after);
            struct buffer source;

            buffer_init(&source, BUFFER_NO_LIMIT);
            assert_true(buffer_printf(&source, "{{ %s }}", inner));
            assert_template_error(source.data, "cannot be used");
            buffer_free(&source);
            mem_free(inner);
        }
    }
}

/* The tree is as deep as they are long, though no bracket is open. */
static void chains_as_long_as_a_source_may_be_are_errors(void **state)
{
    static const char *const links[] = {".a", "|e", "()", "[0]", "+1", "**1", " or 1", " and 1"};

    (void)state;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        char *chain = nested("", 262000 / strlen(links[i]), "x", links[i]);
        struct buffer source;

        buffer_init(&source, BUFFER_NO_LIMIT);
        assert_true(buffer_printf(&source, "{{ %s }}", chain));
        assert_template_error(source.data, "cannot be used");
        buffer_free(&source);
        mem_free(chain);
    }
}

static void more_variables_than_are_found_at_once_are_an_error(void **state)
{
    struct buffer source;

    (void)state;
    buffer_init(&source, BUFFER_NO_LIMIT);
    for (int i = 0; i < 4001; i++)
        assert_true(buffer_printf(&source, "{%% set v%d = 1 %%}", i));
    assert_template_error(source.data, "more than 4000 variables");
    buffer_free(&source);
}

static void deep_blocks_are_errors(void **state)
{
    static const char *const deep[][2] = {
        {"{% if 1 %}", "{% endif %}"},
        {"{% for x in y %}", "{% endfor %}"},
        {"{% macro m() %}", "{% endmacro %}"},
        {"{% call m() %}", "{% endcall %}"},
        {"{% filter upper %}", "{% endfilter %}"},
        {"{% set x %}", "{% endset %}"},
        {"{% set x|f(a=1) %}", "{% endset %}"},
        {"{% if 1 %}{% elif 1 %}", "{% endif %}"},
        {"{% if 1 %}{% else %}", "{% endif %}"},
        {"{% if 1 %}", ""},
        {"{% set ", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        static const size_t sizes[] = {200000, 7000, 300};

        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            char *source = nested(deep[i][0], sizes[k], "x", deep[i][1]);

            assert_template_error(source, "cannot be used");
            mem_free(source);
        }
    }
}

static void a_chain_of_elif_is_no_nesting(void **state)
{
    char *chain = nested("{% elif 1 %}", 5000, "x", "");
    struct buffer source;

    (void)state;
    buffer_init(&source, BUFFER_NO_LIMIT);
    assert_true(buffer_printf(&source, "{%% if 0 %%}%s{%% endif %%}", chain));
    assert_renders(source.data, TWO, "");
    buffer_free(&source);
    mem_free(chain);
}

/* By the limit that `message` speaks of, or, on a slow machine, by that of time. */
static void assert_stops(const char *source, const char *message)
{
    struct outcome o = render_all(inf_str(source), inf_str(TWO), NULL, NULL, true);

    if (o.code != INF_ERROR_TEMPLATE)
        fail_msg("%.60s: %d %s", source, (int)o.code, o.err.message);
    if (!strstr(o.err.message, message) && !strstr(o.err.message, "CPU time is used up"))
        fail_msg("%.60s: \"%s\" does not say \"%s\"", source, o.err.message, message);
    release(&o);
}

static void endless_recursion_is_an_error(void **state)
{
    (void)state;
    assert_stops("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without end");
    assert_stops("{% macro m(x) %}{{ m([x]) }}{% endmacro %}{{ m(1) }}",
                 "calls itself without end");
    assert_stops("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}"
                 "{% endmacro %}{{ a() }}",
                 "calls itself without end");
    assert_stops("{% macro m() %}{% if false %}{{ caller() }}{% endif %}{% call m() %}{% endcall %}"
                 "{% endmacro %}{{ m() }}",
                 "calls itself without end");
    assert_stops("{% macro m() %}{{ caller() }}{% endmacro %}"
                 "{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}",
                 "calls itself without end");
}

/* Each asks the one before for its items. */
static void generators_of_generators_are_an_error(void **state)
{
    static const char *const filters[] = {
        "map('list')", "map(attribute='a')", "select",  "reject('none')", "selectattr('a')",
        "unique",      "batch(1)",           "slice(1)"};
    char source[256];

    (void)state;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        snprintf(source, sizeof source,
                 "{%% set ns = namespace(x=messages) %%}{%% for i in range(50000) %%}"
                 "{%% set ns.x = ns.x | %s %%}{%% endfor %%}{{ ns.x | first }}",
                 filters[i]);
        assert_stops(source, "nested too deeply");
    }
    assert_renders("{% set ns = namespace(x=['a']) %}{% for i in range(300) %}"
                   "{% set ns.x = ns.x | map('string') %}{% endfor %}{{ ns.x | first }}",
                   TWO, "a");
}

static void loops_end(void **state)
{
    (void)state;
    assert_stops("{% for a in range(1000000000) %}{% endfor %}", "Range too big");
    assert_stops("{% for a in range(-9223372036854775807, 9223372036854775807) %}{% endfor %}",
                 "Range too big");
    assert_stops("{% for a in range(0, 9223372036854775807, 9223372036854775806) %}{{ a }}"
                 "{% endfor %}{{ 1/0 }}",
                 "division");
    assert_stops("{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
                 "x{% endfor %}{% endfor %}{% endfor %}",
                 "it ");
}

/* Asked `left` times before it says yes. */
static bool stop_after(void *left)
{
    return (*(int *)left)-- <= 0;
}

/* ends: how the template ends when it is not asked often enough to be told. */
static void assert_stops_when_asked(const char *source, int32_t ends)
{
    for (int after = 0; after < 1000; after += 499) {
        int left = after;
        struct chat_input input = {.messages_json = inf_str(TWO), .stop = {stop_after, &left}};
        struct chat_template *t = NULL;
        struct outcome o = {0};

        buffer_init(&o.text, BUFFER_NO_LIMIT);
        assert_int_equal(chat_template_compile(&t, inf_str(source), NULL, 0, &o.err), INF_OK);
        o.code = chat_template_render(t, &input, &o.text, &o.err);
        assert_int_equal(o.code, left < 0 ? INF_ERROR_CANCELLED : ends);
        assert_true(left >= -1); /* not asked again */
        assert_true(o.code == INF_OK || o.text.len == 0);
        chat_template_free(t);
        release(&o);
    }
}

static void a_rendering_stops_when_asked(void **state)
{
    (void)state;
    assert_stops_when_asked("{% for x in range(100000) %}{% for y in range(100000) %}{% endfor %}"
                            "{% endfor %}",
                            INF_ERROR_TEMPLATE);
    assert_stops_when_asked("{% for x in range(600) %}{{ x }}{% endfor %}", INF_OK);
    assert_stops_when_asked("{{ messages[0].content }}", INF_OK);
}

static void texts_and_lists_do_not_grow_without_bound(void **state)
{
    (void)state;
    assert_stops("{% set ns = namespace(s='x') %}{% for i in range(40) %}"
                 "{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
                 "memory");
    assert_stops("{% set ns = namespace(s=['x']) %}{% for i in range(40) %}"
                 "{% set ns.s = ns.s + ns.s %}{% endfor %}",
                 "memory");
    assert_stops("{% set ns = namespace(s='x') %}{% for i in range(80) %}"
                 "{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
                 "memory");
    assert_stops("{% set ns = namespace(s='x') %}{% for i in range(1000) %}"
                 "{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s | tojson }}",
                 "nested too deeply");
    assert_stops("{{ 'x' * 1099511627776 }}", "memory");
    assert_stops("{{ 1099511627776 * 'x' }}", "memory");
    assert_stops("{{ 'x' | indent(8000000000, true) }}", "memory");
    assert_stops("{{ [1] | tojson(indent=2000000000) }}", "memory");
    assert_stops("{{ ('a' * 700000) | replace('a', 'bb' * 1000) }}", "memory");
    assert_stops("{% for i in range(99999) %}{{ 'x' * 100000 }}{% endfor %}", "longer than");
    assert_stops("{% set s = 'x' * 700000 %}{% for i in range(99999) %}{{ s is lower }}"
                 "{% endfor %}",
                 "steps");
    assert_renders("{{ 'abc'[0:9223372036854775807:9223372036854775807] }}", TWO, "a");
}

static void blank_parts_are_trimmed_in_linear_time(void **state)
{
    (void)state;
    assert_renders("{{ (' ' * 500000) | trim }}.", TWO, ".");
}

static void what_changes_a_value_is_refused(void **state)
{
    (void)state;
    assert_template_error("{% set l = [1] %}{% set _ = l.append(l) %}{{ l }}",
                          "access to attribute 'append' of 'list' object is unsafe.");
    assert_template_error("{{ messages.pop() }}", "unsafe");
    assert_template_error("{{ messages[0].update(a=1) }}", "unsafe");
    assert_template_error("{{ messages.__class__.mro() }}", "unsafe");
}

/* Only a namespace can. */
static void what_contains_itself_is_an_error(void **state)
{
    (void)state;
    assert_template_error("{% set n = namespace() %}{% set n.n = n %}{{ n | tojson }}",
                          "not JSON serializable");
    assert_template_error("{% set n = namespace() %}{% set n.n = {'a': [n]} %}{{ n }}",
                          "nested too deeply");
}

static void a_source_that_is_no_template_is_an_error(void **state)
{
    char *text = nested("x", 300000, "", "");
    struct outcome o;

    (void)state;
    assert_template_error(text, "longer than 262144 bytes");
    mem_free(text);
    assert_template_error("\xff\xfe{{ 1 }}", "not valid UTF-8");
    assert_template_error("{{ '\xc3' }}", "not valid UTF-8");
    assert_template_error("{{", "cannot be used");
    assert_template_error("{# ", "cannot be used");
    assert_template_error("{{ '\\", "cannot be used");
    assert_template_error("{{ 99999999999999999999 }}", "cannot be used");
    assert_template_error("{% break %}", "'break' outside loop");
    o = render_all((inf_text){"a\0b", 3}, inf_str(TWO), NULL, NULL, true);
    assert_int_equal(o.code, INF_OK);
    assert_int_equal(o.text.len, 3);
    release(&o);
}

static void many_variables_are_fine(void **state)
{
    struct buffer source;

    (void)state;
    buffer_init(&source, BUFFER_NO_LIMIT);
    for (int i = 0; i < 600; i++)
        assert_true(buffer_printf(&source, "{%% set v%d = %d %%}", i, i));
    assert_true(buffer_append_str(&source, "{{ v599 }}"));
    assert_renders(source.data, TWO, "599");
    buffer_free(&source);
}

/* ------------------------------------------------------------------ messages */

static void messages_that_are_not_messages_are_refused(void **state)
{
    char *deep = nested("[", 200000, "", "]");
    char *values = nested("1,", 600000, "", "");
    struct buffer all;

    (void)state;
    assert_messages_refused(inf_str(deep), "nested deeper than 128 at byte 128");
    buffer_init(&all, BUFFER_NO_LIMIT);
    assert_true(buffer_printf(&all, "[%s", values));
    assert_messages_refused(inf_str(all.data), "more than 500000 values");
    buffer_free(&all);
    mem_free(values);
    mem_free(deep);
    assert_messages_refused(inf_str(""), "not JSON");
    assert_messages_refused(inf_str("[]"), "an empty conversation");
    assert_messages_refused(inf_str("{\"messages\":[]}"), "an empty conversation");
    assert_messages_refused(NO_TEXT, "not JSON");
    assert_messages_refused(inf_str("[{]"), "line 1 column");
    assert_messages_refused(inf_str("[\"\xff\"]"), "not JSON");
    assert_messages_refused(inf_str("{\"a\":1}"), "array \"messages\"");
    assert_messages_refused(inf_str("[1]"), "messages[0] is not an object");
    assert_messages_refused(inf_str("[{\"role\":\"user\",\"content\":\"x\"},{\"content\":\"x\"}]"),
                            "messages[1] has no text \"role\"");
    assert_messages_refused(inf_str("[{\"role\":\"a\",\"n\":9223372036854775808}]"), "64 bits");
}

static void tools_and_documents_are_lists_of_objects(void **state)
{
    static const char *const wrong[] = {"\"x\"", "5",          "true", "{\"a\":1}",
                                        "[1]",   "[{},\"x\"]", "[[]]"};
    static const char *const names[] = {"tools", "documents"};
    char messages[128];
    char message[64];

    (void)state;
    for (size_t i = 0; i < 2 * sizeof wrong / sizeof *wrong; i++) {
        snprintf(messages, sizeof messages,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"%s\":%s}", names[i % 2],
                 wrong[i / 2]);
        snprintf(message, sizeof message, "%s: not a JSON array of objects", names[i % 2]);
        assert_messages_refused(inf_str(messages), message);
    }
}

/* ------------------------------------------------------------------ contents */

#define SAYS(role, content) "{\"role\":\"" role "\",\"content\":" content "}"
#define PART(text) "{\"type\":\"text\",\"text\":\"" text "\"}"

static void contents_that_are_none_are_refused(void **state)
{
    static const char *const neither[] = {"5",
                                          "1.5",
                                          "true",
                                          "false",
                                          "{}",
                                          "{\"a\":1}",
                                          "[5]",
                                          "[\"a\"]",
                                          "[null]",
                                          "[[]]",
                                          "[{}]",
                                          "[{\"type\":1}]",
                                          "[{\"text\":\"a\"}]"};
    char messages[200];

    (void)state;
    for (size_t i = 0; i < sizeof neither / sizeof *neither; i++) {
        snprintf(messages, sizeof messages, "[" SAYS("user", "\"a\"") "," SAYS("user", "%s") "]",
                 neither[i]);
        assert_messages_refused(inf_str(messages), "messages[1]: content is neither a text nor a "
                                                   "list of text parts");
    }
    assert_messages_refused(inf_str("[" SAYS("user", "[{\"type\":\"text\"}]") "]"),
                            "messages[0]: content has a text part without a text");
    assert_messages_refused(inf_str("[" SAYS("user", "null") "]"),
                            "messages[0]: content is missing");
    assert_messages_refused(inf_str("[" SAYS("assistant", "null") "]"), "content is missing");
    assert_messages_refused(inf_str("[{\"role\":\"user\"}]"), "messages[0]: content is missing");
    assert_messages_refused(inf_str("[{\"role\":\"assistant\",\"tool_calls\":[]}]"),
                            "content is missing");
    assert_messages_refused(inf_str("[{\"role\":\"user\",\"tool_calls\":[{}]}]"),
                            "content is missing");
}

static void parts_that_are_no_text_are_not_supported(void **state)
{
    struct outcome o = render_all(
        inf_str("{{ messages[0].content }}"),
        inf_str("[" SAYS("user", "[" PART("a") ",{\"type\":\"image_url\",\"image_url\":{}}]") "]"),
        NULL, NULL, true);

    (void)state;
    assert_int_equal(o.code, INF_ERROR_UNSUPPORTED);
    assert_string_equal(o.err.message,
                        "messages[0]: content has a part of type \"image_url\"; only "
                        "parts of type \"text\" can be given");
    release(&o);
}

static void tool_calls_go_without_a_content(void **state)
{
    const char *source = "{{ messages[0].content is none }}{{ messages[0].content is defined }}";

    (void)state;
    assert_renders(source, "[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{}]}]",
                   "FalseFalse");
    assert_renders(source, "[{\"role\":\"assistant\",\"tool_calls\":[{}]}]", "FalseFalse");
}

static void text_parts_become_one_text_for_templates_that_know_texts(void **state)
{
    static const char *const sources[] = {
        "{{ messages[0].content }}",
        "{{ '' + messages[0].content }}",
        "{{ messages[0]['content'] | trim }}",
        "{{ messages[0]['content'].strip() }}",
        "{% for m in messages %}{{ m.content if m.role else '' }}{% endfor %}",
        "{{ messages[0].content.split('</think>')[-1] }}",
        /* knows the first part, and would lose the second */
        "{% set c = messages[0].content %}{{ c if c is string else c[0].text }}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        assert_renders(sources[i], "[" SAYS("user", "[" PART("a") "," PART("b'\\u0000") "]") "]",
                       "ab'");
        assert_renders(sources[i], "[" SAYS("user", "[]") "]", "");
        assert_renders(sources[i], "[" SAYS("user", "\"c\"") "]", "c");
    }
    assert_renders("{{ messages[0].content | tojson }}", "[" SAYS("user", "[" PART("a") "]") "]",
                   "\"a\"");
    assert_renders("{{ messages[0].content }}", "[" SAYS("other", "[" PART("a") "]") "]", "a");
}

static void published_templates_take_text_parts_as_texts(void **state)
{
    static const char *const names[] = {"smollm2", "qwen3",        "llama-3.1",
                                        "gemma-2", "mistral-nemo", "phi-3.5"};
    static const char plain[] = "[" SAYS("user", "\"ab\"") "," SAYS("assistant", "\"cd\"") "," SAYS(
        "user", "\"e\"") "]";
    static const char parts[] = "[" SAYS("user", "[" PART("a") "," PART("b") "]") "," SAYS(
        "assistant", "[" PART("cd") "]") "," SAYS("user", "[" PART("e") "]") "]";

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *source = load(names[i]);
        struct outcome a = render_all(inf_str(source), inf_str(plain), NULL, NULL, true);
        struct outcome b = render_all(inf_str(source), inf_str(parts), NULL, NULL, true);

        assert_int_equal(a.code, INF_OK);
        if (b.code != INF_OK)
            fail_msg("%s: %s", names[i], b.err.message);
        assert_string_equal(a.text.data, b.text.data);
        release(&a);
        release(&b);
        mem_free(source);
    }
}

static void a_template_that_knows_lists_gets_them_as_given(void **state)
{
    const char *source = "{% for m in messages %}{% if m.content is string %}{{ m.content }}"
                         "{% else %}{% for p in m.content %}<{{ p.text }}{{ p.extra }}>{% endfor %}"
                         "{% endif %}{% endfor %}";
    /* as Llama 3.2 has it: lists from users only */
    const char *users =
        "{% for m in messages %}{% if m.role == 'user' and m.content is not string %}"
        "{% for p in m.content %}<{{ p.text }}>{% endfor %}{% else %}"
        "{{ m.content | trim }}{% endif %}{% endfor %}";
    const char *messages = "[" SAYS("system", "[" PART("s") "," PART("t") "]") "," SAYS(
        "user", "[" PART("a") "," PART("b") "]") "," SAYS("user", "\"c\"") "]";

    (void)state;
    assert_renders(source, messages, "<s><t><a><b>c");
    assert_renders(users, messages, "st<a><b>c");
    assert_renders(source, "[" SAYS("user", "[{\"type\":\"text\",\"text\":\"a\",\"extra\":1}]") "]",
                   "<a1>");
}

static void a_template_that_knows_lists_only_gets_lists(void **state)
{
    const char *source = "{% for m in messages %}{{ m.role }}:{% for p in m['content'] %}"
                         "{% if p['type'] == 'text' %}{{ p['text'] }}{% endif %}{% endfor %} "
                         "{% endfor %}";
    struct outcome o = render_all(inf_str(source), inf_str(FOUR), "Now.", NULL, true);

    (void)state;
    assert_int_equal(o.code, INF_OK);
    assert_string_equal(o.text.data,
                        "system:Now. system:Be brief. user:Hello assistant:Hi! user:Bye ");
    release(&o);
    assert_renders("{{ messages[0].role }}", TWO, "user"); /* shows neither */
}

static void a_template_that_refuses_the_markers_gets_texts(void **state)
{
    const char *source = "{% if messages | length < 4 %}{{ raise_exception('few') }}{% endif %}"
                         "{% for m in messages %}{{ m.content }}{% endfor %}";

    (void)state;
    assert_renders(source,
                   "[" SAYS("user", "[" PART("a") "]") "," SAYS("user", "\"b\"") "," SAYS(
                       "user", "\"c\"") "," SAYS("user", "\"d\"") "]",
                   "abcd");
    assert_template_error(source, "refuses the messages: few");
}

static void bad_variables_are_refused(void **state)
{
    struct outcome o = render_all(inf_str("x"), inf_str(TWO), NULL, "[1]", true);

    (void)state;
    assert_int_equal(o.code, INF_ERROR_INVALID_ARGUMENT);
    release(&o);
    o = render_all(inf_str("x"), inf_str(TWO), "\xff", NULL, true);
    assert_int_equal(o.code, INF_ERROR_INVALID_ARGUMENT);
    release(&o);
    o = render_all(inf_str("x"), inf_str(TWO), NULL, "{\"messages\":[]}", true);
    assert_int_equal(o.code, INF_ERROR_INVALID_ARGUMENT);
    release(&o);
    o = render_all(inf_str("x"), inf_str(TWO), NULL, "{\"add_generation_prompt\":true}", true);
    assert_int_equal(o.code, INF_ERROR_INVALID_ARGUMENT);
    release(&o);
}

static void messages_become_json(void **state)
{
    inf_message messages[] = {
        {{"user", 4}, {"a\"\\\n\x01\xc3\xa9\0z", 9}},
        {{"assistant", 9}, {"", 0}},
    };
    inf_message bad = {{"user", 4}, {"\xff", 1}};
    struct buffer out;
    inf_error err;

    (void)state;
    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_int_equal(chat_messages_to_json(messages, 2, &out, &err), INF_OK);
    assert_string_equal(out.data,
                        "[{\"role\":\"user\",\"content\":\"a\\\"\\\\\\n\\u0001\xc3\xa9\\u0000z\"},"
                        "{\"role\":\"assistant\",\"content\":\"\"}]");
    assert_int_equal(chat_messages_to_json(&bad, 1, &out, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_string_equal(err.message, "messages[0]: the content is not valid UTF-8");
    buffer_clear(&out);
    assert_int_equal(chat_messages_to_json(NULL, 0, &out, &err), INF_OK);
    assert_string_equal(out.data, "[]");
    buffer_free(&out);
}

static void every_allocation_of_the_json_may_fail(void **state)
{
    inf_message message = {{"user", 4}, {"hello", 5}};
    int32_t code = INF_ERROR_NO_MEMORY;

    (void)state;
    for (int64_t n = 1; code != INF_OK; n++) {
        struct buffer out;
        inf_error err;

        buffer_init(&out, BUFFER_NO_LIMIT);
        mem_fail_nth(n);
        code = chat_messages_to_json(&message, 1, &out, &err);
        mem_fail_nth(0);
        assert_true(code == INF_OK || code == INF_ERROR_NO_MEMORY);
        assert_true(code == INF_OK || out.len == 0);
        assert_true(n < 100);
        buffer_free(&out);
    }
}

/* ------------------------------------------------------------------ threads */

static void *render_many(void *arg)
{
    const struct chat_template *t = arg;
    struct chat_input input = {.messages_json = inf_str(TWO), .add_generation_prompt = true};
    size_t right = 0;

    for (int i = 0; i < 20; i++) {
        struct buffer out;

        buffer_init(&out, BUFFER_NO_LIMIT);
        if (chat_template_render(t, &input, &out, NULL) == INF_OK)
            right += strcmp(out.data, "user:Hello 1") == 0;
        buffer_free(&out);
    }
    return (void *)right;
}

static void one_template_renders_on_several_threads(void **state)
{
    struct chat_template *t = NULL;
    pthread_t threads[4];

    (void)state;
    assert_int_equal(chat_template_compile(&t,
                                           inf_str("{% set ns = namespace(n=0) %}"
                                                   "{% for m in messages %}{{ m.role }}:"
                                                   "{{ m.content }}{% set ns.n = ns.n + 1 %}"
                                                   "{% endfor %} {{ ns.n }}"),
                                           NULL, 0, NULL),
                     INF_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, render_many, t), 0);
    for (int i = 0; i < 4; i++) {
        void *right = NULL;

        pthread_join(threads[i], &right);
        assert_int_equal((size_t)right, 20);
    }
    chat_template_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_puts_its_own_system_message_first),
        cmocka_unit_test(smollm2_takes_the_system_message_given),
        cmocka_unit_test(the_system_prompt_comes_before_the_messages),
        cmocka_unit_test(qwen3_is_chatml_and_can_think),
        cmocka_unit_test(qwen3_without_thinking_gets_an_empty_thought),
        cmocka_unit_test(qwen3_lists_the_tools_in_the_system_message),
        cmocka_unit_test(llama31_dates_its_system_header),
        cmocka_unit_test(gemma_calls_the_assistant_model),
        cmocka_unit_test(gemma_says_that_it_takes_no_system_message),
        cmocka_unit_test(mistral_puts_the_system_message_into_the_last_turn),
        cmocka_unit_test(phi3_closes_each_turn),
        cmocka_unit_test(blocks_trim_as_transformers_sets_them_up),
        cmocka_unit_test(what_transformers_passes_is_there),
        cmocka_unit_test(variables_come_with_the_messages_or_beside_them),
        cmocka_unit_test(statements_and_expressions_work_under_guard),
        cmocka_unit_test(an_error_names_its_line),
        cmocka_unit_test(errors_are_in_words),
        cmocka_unit_test(tilde_joins_anything),
        cmocka_unit_test(wrong_sums_are_errors),
        cmocka_unit_test(deep_nesting_is_an_error),
        cmocka_unit_test(chains_as_long_as_a_source_may_be_are_errors),
        cmocka_unit_test(more_variables_than_are_found_at_once_are_an_error),
        cmocka_unit_test(deep_blocks_are_errors),
        cmocka_unit_test(a_chain_of_elif_is_no_nesting),
        cmocka_unit_test(endless_recursion_is_an_error),
        cmocka_unit_test(generators_of_generators_are_an_error),
        cmocka_unit_test(loops_end),
        cmocka_unit_test(a_rendering_stops_when_asked),
        cmocka_unit_test(texts_and_lists_do_not_grow_without_bound),
        cmocka_unit_test(blank_parts_are_trimmed_in_linear_time),
        cmocka_unit_test(what_changes_a_value_is_refused),
        cmocka_unit_test(what_contains_itself_is_an_error),
        cmocka_unit_test(a_source_that_is_no_template_is_an_error),
        cmocka_unit_test(many_variables_are_fine),
        cmocka_unit_test(messages_that_are_not_messages_are_refused),
        cmocka_unit_test(tools_and_documents_are_lists_of_objects),
        cmocka_unit_test(contents_that_are_none_are_refused),
        cmocka_unit_test(parts_that_are_no_text_are_not_supported),
        cmocka_unit_test(tool_calls_go_without_a_content),
        cmocka_unit_test(text_parts_become_one_text_for_templates_that_know_texts),
        cmocka_unit_test(published_templates_take_text_parts_as_texts),
        cmocka_unit_test(a_template_that_knows_lists_gets_them_as_given),
        cmocka_unit_test(a_template_that_knows_lists_only_gets_lists),
        cmocka_unit_test(a_template_that_refuses_the_markers_gets_texts),
        cmocka_unit_test(bad_variables_are_refused),
        cmocka_unit_test(messages_become_json),
        cmocka_unit_test(every_allocation_of_the_json_may_fail),
        cmocka_unit_test(one_template_renders_on_several_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
