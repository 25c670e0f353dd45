/*
 * Specification of template: what jinja2 renders in transformers' environment is rendered byte for
 * byte, and where jinja2 raises an error there is an error. The expectations were recorded from the
 * real ones (scripts/make_template_cases.py); with arguments, files of such lines are compared, and the lines that
 * differ are written to the file that TEMPLATE_DIFFERENT names, if any.
 */
#include "text/chat_template.h"
#include "text/template/template.h"
#include "text/template/value.h"

#include "core/memory.h"

#include <jansson.h>

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIXTURES TEST_SOURCE_DIR "/fixtures/templates/"
#define NOW 1750000000

/* ------------------------------------------------------------------ files */

static const struct chat_token TOKENS[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};

static char *load(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    struct buffer b;
    char block[65536];
    size_t n;

    if (!file)
        fail_msg("%s cannot be read", path);
    buffer_init(&b, BUFFER_NO_LIMIT);
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        assert_true(buffer_append(&b, block, n));
    fclose(file);
    *len = b.len;
    return b.data;
}

static inf_text text_of_json(const json_t *json)
{
    return (inf_text){json_string_value(json), json_string_length(json)};
}

/* ------------------------------------------------------------------ comparing */

struct found {
    int32_t code;
    inf_error err;
    struct buffer text;
};

/* With arguments: files of cases, compared. */
static char **further_files;

static size_t n_cases;
static size_t n_different;
static size_t
    n_beyond; /* of further files: integers of more than 64 bits and complex numbers, where Python goes on */

static FILE *different;

static void keep(const json_t *line)
{
    char *text = different ? json_dumps(line, JSON_COMPACT) : NULL;

    if (text)
        fprintf(different, "%s\n", text);
    free(text);
}

static void report(const char *what, const char *expected, const struct found *found)
{
    if (n_different++ < 20)
        print_error("%s\n  expected: %s\n  rendered: %s\n", what, expected,
                    found->code == INF_OK ? (found->text.data ? found->text.data : "")
                                          : found->err.message);
}

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static void compare(const json_t *line, const char *what, const struct found *found)
{
    const json_t *text = json_object_get(line, "text");
    const char *error = json_string_value(json_object_get(line, "error"));
    inf_text expected = text_of_json(text);
    size_t before = n_different;

    n_cases++;
    if (further_files && found->code != INF_OK &&
        (strstr(found->err.message, "64 bits") || strstr(found->err.message, "complex number"))) {
        n_beyond++;
        return;
    }
    if (text && (found->code != INF_OK || found->text.len != expected.len ||
                 (expected.len && memcmp(found->text.data, expected.data, expected.len) != 0)))
        report(what, expected.data, found);
    if (!text && found->code == INF_OK)
        report(what, error ? error : "an error", found);
    /* Beginnings: a message of ours is one line of bounded length. */
    if (!text && error && found->code != INF_OK && is_one_line(error) && strlen(error) < 300 &&
        !strstr(found->err.message, error))
        report(what, error, found);
    if (n_different > before)
        keep(line);
}

/* ------------------------------------------------------------------ templates alone */

static void fill_variables(struct vm *vm, struct dict *variables, void *arg)
{
    const inf_text *json = arg;
    struct value all = json_parse(vm, json->data, json->len, "variables");

    for (size_t i = 0; i < all.d->len; i++)
        dict_set(vm, variables, all.d->entries[i].key, all.d->entries[i].value);
}

static struct found render_alone(inf_text source, inf_text variables)
{
    struct template_input input = {.fill = fill_variables, .arg = &variables, .now = NOW};
    struct found found = {0};
    struct template *t = NULL;

    buffer_init(&found.text, BUFFER_NO_LIMIT);
    found.code = template_compile(&t, source, &found.err);
    if (t)
        found.code = template_render(t, &input, &found.text, &found.err);
    template_free(t);
    return found;
}

static void compare_alone(const json_t *line, inf_text variables)
{
    inf_text source = text_of_json(json_object_get(line, "template"));
    struct found found = render_alone(source, variables);

    compare(line, source.data, &found);
    buffer_free(&found.text);
}

/* ------------------------------------------------------------------ chats */

/* A case has its chat and its tools, or says where in the fixtures they are. */
static json_t *chat_of(const json_t *line, const char *chats)
{
    json_t *chat = json_object_get(line, "chat");
    json_t *all;

    if (json_is_array(chat))
        return json_incref(chat);
    all = json_loads(chats, 0, NULL);
    chat = json_incref(json_array_get(all, (size_t)json_integer_value(chat)));
    json_decref(all);
    return chat;
}

static json_t *tools_of(const json_t *line, const char *tools)
{
    json_t *given = json_object_get(line, "tools");

    if (json_is_array(given))
        return json_incref(given);
    return json_is_true(given) ? json_loads(tools, 0, NULL) : json_null();
}

static char *chat_variables(const json_t *line, const char *chats, const char *tools)
{
    json_t *input = json_pack("{s:o,s:o}", "messages", chat_of(line, chats), "tools",
                              tools_of(line, tools));
    json_t *further = json_object_get(line, "further");
    char *text;

    if (further)
        assert_int_equal(json_object_update(input, further), 0);
    text = json_dumps(input, JSON_REAL_PRECISION(17));
    assert_non_null(text);
    json_decref(input);
    return text;
}

static void compare_chat(const json_t *line, const char *chats, const char *tools)
{
    const char *file = json_string_value(json_object_get(line, "file"));
    char *messages = chat_variables(line, chats, tools);
    struct chat_input input = {
        .messages_json = inf_str(messages),
        .add_generation_prompt = json_is_true(json_object_get(line, "prompt")),
        .now = NOW,
        .continue_final_message = json_is_true(json_object_get(line, "continue")),
    };
    struct found found = {0};
    struct chat_template *t = NULL;
    char path[1024];
    char what[1200];
    size_t len;
    char *source;

    snprintf(path, sizeof path, "%s%s", file[0] == '/' ? "" : FIXTURES, file);
    source = load(path, &len);
    buffer_init(&found.text, BUFFER_NO_LIMIT);
    found.code = chat_template_compile(&t, (inf_text){source, len}, TOKENS, 2, &found.err);
    if (t)
        found.code = chat_template_render(t, &input, &found.text, &found.err);
    chat_template_free(t);
    snprintf(what, sizeof what, "%s with %s", path, messages);
    compare(line, what, &found);
    buffer_free(&found.text);
    mem_free(source);
    free(messages);
}

/* ------------------------------------------------------------------ files of cases */

static void compare_file(const char *path)
{
    size_t len;
    char *cases = load(path, &len);
    size_t n_variables;
    char *variables = load(FIXTURES "variables.json", &n_variables);
    char *chats = load(FIXTURES "chats.json", &len);
    char *tools = load(FIXTURES "tools.json", &len);

    for (char *at = cases; *at;) {
        char *end = strchr(at, '\n');
        json_t *line = json_loadb(at, (size_t)(end - at), JSON_ALLOW_NUL, NULL);

        assert_non_null(line);
        if (json_object_get(line, "file"))
            compare_chat(line, chats, tools);
        else
            compare_alone(line, (inf_text){variables, n_variables});
        json_decref(line);
        at = end + 1;
    }
    mem_free(cases);
    mem_free(variables);
    mem_free(chats);
    mem_free(tools);
    assert_true(n_cases > 0);
}

static void compare_fixture(const char *path)
{
    n_cases = 0;
    n_different = 0;
    compare_file(path);
    if (n_different)
        fail_msg("%s: %zu of %zu are different", path, n_different, n_cases);
}

static void test_template__constructs__are_rendered_as_jinja2_does(void **state)
{
    (void)state;
    compare_fixture(FIXTURES "constructs.jsonl");
}

static void test_template__attributes_of_every_type__are_those_of_python(void **state)
{
    (void)state;
    compare_fixture(FIXTURES "attributes.jsonl");
}

static void test_template__random_templates__are_rendered_as_jinja2_does(void **state)
{
    (void)state;
    compare_fixture(FIXTURES "random.jsonl");
}

static void test_template__chats__are_rendered_as_transformers_does(void **state)
{
    (void)state;
    compare_fixture(FIXTURES "chats.jsonl");
}

/* ------------------------------------------------------------------ what is not there */

static void assert_error(const char *source, const char *message)
{
    struct found found = render_alone(inf_str(source), inf_str("{}"));

    if (found.code != INF_ERROR_TEMPLATE || !strstr(found.err.message, message))
        fail_msg("%.60s: %d \"%s\" does not say \"%s\"", source, (int)found.code, found.err.message,
                 message);
    buffer_free(&found.text);
}

static void test_template__unsupported_names__are_refused_when_parsed(void **state)
{
    (void)state;
    assert_error("a\n{% if false %}{{ lipsum() }}{% endif %}", "line 2: lipsum() is not supported");
    assert_error("{% if false %}{{ x | random }}{% endif %}",
                 "the filter 'random' is not supported");
    assert_error("{{ x | urlize }}", "the filter 'urlize' is not supported");
    assert_error("{{ x | xmlattr }}", "the filter 'xmlattr' is not supported");
    assert_error("{% if false %}{{ x.encode() }}{% endif %}", "encode() is not supported");
    assert_error("{% if false %}{{ x.to_bytes() }}{% endif %}", "to_bytes() is not supported");
    assert_error("{{ 'a'['encode'] }}", "encode() is not supported");
    assert_error("{{ 5 | attr('to_bytes') }}", "to_bytes() is not supported");
}

static void test_template__integers_beyond_64_bits__are_errors(void **state)
{
    (void)state;
    assert_error("{{ 9223372036854775808 }}", "64 bits");
    assert_error("{{ 9223372036854775807 + 1 }}", "64 bits");
    assert_error("{{ 3037000500 * 3037000500 }}", "64 bits");
    assert_error("{{ 2 ** 63 }}", "64 bits");
    assert_error("{{ 1e30 | int }}", "64 bits");
}

/* fixtures/locale/comma: LC_NUMERIC with decimal_point ",", by localedef. */
static void test_template__program_with_a_comma__numbers_have_dots(void **state)
{
    static const char source[] =
        "{{ 0.5 + 1.25 }} {{ '%.2f' % 2.5 }} {{ '3.5'|float }} {{ [0.1]|tojson }} "
        "{{ x }} {{ 2.567|round(1) }}";
    struct found found;
    char comma[8];

    (void)state;
    assert_int_equal(setenv("LOCPATH", TEST_SOURCE_DIR "/fixtures/locale", 1), 0);
    assert_non_null(setlocale(LC_NUMERIC, "comma"));
    found = render_alone(inf_str(source), inf_str("{\"x\":7.25}"));
    snprintf(comma, sizeof comma, "%.1f", 0.5);
    setlocale(LC_NUMERIC, "C");
    assert_string_equal(comma, "0,5"); /* it is there, and is the program's again */
    assert_int_equal(found.code, INF_OK);
    assert_memory_equal(found.text.data, "1.75 2.50 3.5 [0.1] 7.25 2.6", found.text.len);
    buffer_free(&found.text);
}

static void every_allocation_may_fail(void **state)
{
    static const char source[] =
        "{% macro m(a) %}{{ a|upper }}{{ caller() }}{% endmacro %}{% for k, v in {'a': 1.5, 'b': "
        "[1, 2]}.items() %}{% call m(k) %}{{ v|tojson }}{% endcall %}{% endfor %}"
        "{{ range(2000)|map('string')|join(',')|length }}";
    int32_t code = INF_ERROR_NO_MEMORY;
    int64_t n = 0;

    (void)state;
    while (code != INF_OK) {
        struct found found;

        mem_fail_nth(++n);
        found = render_alone(inf_str(source), inf_str("{}"));
        mem_fail_nth(0);
        code = found.code;
        assert_true(code == INF_OK || code == INF_ERROR_NO_MEMORY);
        buffer_free(&found.text);
        assert_true(n < 1000);
    }
    assert_true(n > 5);
}

static void compare_further_files(void **state)
{
    const char *path = getenv("TEMPLATE_DIFFERENT");

    (void)state;
    different = path ? fopen(path, "w") : NULL;
    for (char **file = further_files; *file; file++)
        compare_file(*file);
    if (different)
        fclose(different);
    print_message("%zu compared, %zu different, %zu beyond 64 bits\n", n_cases, n_different,
                  n_beyond);
    assert_int_equal(n_different, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest further[] = {cmocka_unit_test(compare_further_files)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template__constructs__are_rendered_as_jinja2_does),
        cmocka_unit_test(test_template__attributes_of_every_type__are_those_of_python),
        cmocka_unit_test(test_template__random_templates__are_rendered_as_jinja2_does),
        cmocka_unit_test(test_template__chats__are_rendered_as_transformers_does),
        cmocka_unit_test(test_template__unsupported_names__are_refused_when_parsed),
        cmocka_unit_test(test_template__integers_beyond_64_bits__are_errors),
        cmocka_unit_test(test_template__program_with_a_comma__numbers_have_dots),
        cmocka_unit_test(every_allocation_may_fail),
    };

    further_files = argv + 1;
    return argc > 1 ? cmocka_run_group_tests(further, NULL, NULL)
                    : cmocka_run_group_tests(tests, NULL, NULL);
}
