/*
 * Specification of json_schema_to_grammar: which texts the grammar of a schema takes, which schemas
 * are refused and in what words. Every schema that is taken gives a grammar that is taken.
 */
#include "grammar_match.h"

#include "core/clock.h"
#include "core/memory.h"
#include "text/chat_template.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ------------------------------------------------------------------ helpers */

static enum match match(const char *schema, const char *text)
{
    struct buffer grammar;
    inf_error err = {0};
    enum match found = MATCH_REFUSED;

    buffer_init(&grammar, BUFFER_NO_LIMIT);
    if (json_schema_to_grammar(inf_str(schema), &grammar, &err) != INF_OK)
        fail_msg("%s\nis refused: %s", schema, err.message);
    found = grammar_match((inf_text){grammar.data, grammar.len}, inf_str(text), &err);
    if (found == MATCH_REFUSED)
        fail_msg("%s\nconverted to\n%s\nis refused: %s", schema, grammar.data, err.message);
    buffer_free(&grammar);
    return found;
}

static void assert_takes(const char *schema, const char *text)
{
    json_t *parsed = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(parsed);
    json_decref(parsed);
    if (match(schema, text) != MATCH_WHOLE)
        fail_msg("%s\ndoes not take %s", schema, text);
}

static void assert_leaves(const char *schema, const char *text)
{
    if (match(schema, text) == MATCH_WHOLE)
        fail_msg("%s\ntakes %s", schema, text);
}

static void assert_refuses_text(inf_text schema, const char *why)
{
    struct buffer grammar;
    inf_error err = {0};
    int64_t live = mem_live();
    int64_t before = clock_us();

    buffer_init(&grammar, BUFFER_NO_LIMIT);
    if (json_schema_to_grammar(schema, &grammar, &err) != INF_ERROR_INVALID_ARGUMENT)
        fail_msg("%.300s\nis not refused: %s", schema.data, grammar.data);
    if (!strstr(err.message, why) || strncmp(err.message, "json_schema", 11) != 0)
        fail_msg("%.300s\nis refused with: %s\nand not: %s", schema.data, err.message, why);
    assert_int_equal(grammar.len, 0);
    assert_int_equal(mem_live(), live);
    assert_true(clock_us() - before < 20 * 1000000);
}

static void assert_refuses(const char *schema, const char *why)
{
    assert_refuses_text(inf_str(schema), why);
}

/* ------------------------------------------------------------------ what is enforced */

static void test_json_schema__scalars__are_enforced(void **state)
{
    (void)state;
    assert_takes("{\"type\":\"string\"}", "\"a\\n\\u00e9\u00e9\"");
    assert_leaves("{\"type\":\"string\"}", "\"a\n\"");
    assert_leaves("{\"type\":\"string\"}", "1");
    assert_takes("{\"type\":\"number\"}", "-1.5e10");
    assert_leaves("{\"type\":\"number\"}", "01");
    assert_takes("{\"type\":\"integer\"}", "-120");
    assert_leaves("{\"type\":\"integer\"}", "1.0");
    assert_takes("{\"type\":\"boolean\"}", "true");
    assert_takes("{\"type\":\"null\"}", "null");
    assert_takes("{\"type\":[\"integer\",\"null\"]}", "null");
    assert_takes("{\"type\":[\"string\",\"integer\"]}", "7");
    assert_takes("{}", "[1,{\"a\":null}]");
    assert_takes(
        "{\"title\":\"T\",\"description\":\"d\",\"default\":{\"$ref\":1},\"type\":\"null\"}",
        "null");
}

/* A reader refuses these, though JSON's grammar has them. */
static void test_json_schema__half_a_surrogate_pair_or_an_endless_number__cannot_come_out(
    void **state)
{
    (void)state;
    assert_leaves("{\"type\":\"string\"}", "\"\\ud800\"");
    assert_leaves("{\"type\":\"string\",\"maxLength\":5}", "\"\\uDFFF\"");
    assert_takes("{\"type\":\"string\"}", "\"\\ud7ff\\uE000\"");
    assert_leaves("{\"type\":\"number\"}", "1e9999");
    assert_leaves("{}", "[1e9999,\"\\ud800\"]");
}

static void test_json_schema__const_and_enum__are_enforced(void **state)
{
    (void)state;
    assert_takes("{\"const\":\"a\\\"b\\\\\\n\"}", "\"a\\\"b\\\\\\n\"");
    assert_takes("{\"enum\":[\"a\",1,null,{\"b\":[true]}]}", "{\"b\":[true]}");
    assert_leaves("{\"enum\":[\"a\",1]}", "2");
    assert_takes("{\"type\":\"string\",\"enum\":[\"\u00e9\"]}", "\"\u00e9\"");
    assert_takes("{\"const\":{\"$ref\":\"#/nowhere\"}}", "{\"$ref\":\"#/nowhere\"}");
}

static void test_json_schema__objects__have_what_is_required_and_nothing_else(void **state)
{
    const char *schema = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},"
                         "\"b\":{\"type\":\"string\"},\"c\":{\"type\":\"null\"}},"
                         "\"required\":[\"b\"]}";

    (void)state;
    assert_takes(schema, "{\"b\":\"x\"}");
    assert_takes(schema, "{ \"b\" : \"x\", \"a\":1, \"c\":null }");
    assert_leaves(schema, "{\"a\":1}");
    assert_leaves(schema, "{\"b\":\"x\",\"d\":1}");
    assert_leaves(schema, "{\"b\":\"x\",\"a\":\"1\"}");
    assert_takes("{\"type\":\"object\"}", "{\"any\":[1]}");
    assert_takes("{\"type\":\"object\",\"additionalProperties\":false}", "{}");
    assert_leaves("{\"type\":\"object\",\"additionalProperties\":false}", "{\"a\":1}");
    assert_takes("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
                 "{\"any\":1}");
    assert_leaves("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
                  "{\"any\":null}");
    assert_takes("{\"properties\":{\"a b\\n\\\"\":{\"type\":\"null\"}}}", "{\"a b\\n\\\"\":null}");
    assert_takes("{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}},"
                 "{\"$ref\":\"#/$defs/b\"}],\"$defs\":{\"b\":{\"properties\":{\"b\":{\"type\":"
                 "\"null\"}}}}}",
                 "{\"a\":null,\"b\":null}");
}

static void test_json_schema__arrays__have_their_counts(void **state)
{
    const char *schema = "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,"
                         "\"maxItems\":3}";

    (void)state;
    assert_takes(schema, "[1, 2]");
    assert_leaves(schema, "[1]");
    assert_leaves(schema, "[1,2,3,4]");
    assert_takes("{\"type\":\"array\"}", "[]");
    assert_takes("{\"type\":\"array\",\"maxItems\":0,\"items\":{\"type\":\"null\"}}", "[]");
    assert_takes("{\"type\":\"array\",\"items\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}",
                 "[1,null]");
    assert_leaves(
        "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}", "[1]");
}

static void test_json_schema__lengths_and_formats__are_enforced(void **state)
{
    (void)state;
    assert_takes("{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"ab\"");
    assert_leaves("{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"a\"");
    assert_leaves("{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"abcd\"");
    assert_takes("{\"type\":\"string\",\"maxLength\":0}", "\"\"");
    assert_takes("{\"type\":\"string\",\"format\":\"date\"}", "\"2024-02-29\"");
    assert_leaves("{\"type\":\"string\",\"format\":\"date\"}", "\"2024-13-01\"");
    assert_takes("{\"type\":\"string\",\"format\":\"date-time\"}", "\"2024-02-29T10:00:00Z\"");
    assert_takes("{\"type\":\"string\",\"format\":\"uuid\"}",
                 "\"123e4567-e89b-12d3-a456-426614174000\"");
}

static void test_json_schema__any_of_and_one_of__take_each_alternative(void **state)
{
    (void)state;
    assert_takes("{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"integer\"}]}", "5");
    assert_takes("{\"oneOf\":[{\"type\":\"null\"},{\"type\":\"integer\"}]}", "null");
    assert_leaves("{\"oneOf\":[{\"type\":\"null\"},{\"type\":\"integer\"}]}", "\"a\"");
}

/* ------------------------------------------------------------------ integers */

/* A bound that the converter alone gets wrong: 100 takes 10, -5 takes -03. Every bound of few
 * digits against every number around. */
static void test_json_schema__integer_bounds__are_exact(void **state)
{
    static const int bounds[] = {-1050, -1000, -100, -99, -12, -10, -5,  -1,  0,   1,
                                 5,     9,     10,   19,  20,  100, 105, 999, 1000};
    enum { N = sizeof bounds / sizeof *bounds };

    (void)state;
    for (int i = 0; i < N; i++) {
        char low[80];
        char high[80];

        snprintf(low, sizeof low, "{\"type\":\"integer\",\"minimum\":%d}", bounds[i]);
        snprintf(high, sizeof high, "{\"type\":\"integer\",\"maximum\":%d}", bounds[i]);
        for (int k = 0; k < N; k++) {
            char text[16];

            snprintf(text, sizeof text, "%d", bounds[k]);
            assert_int_equal(match(low, text) == MATCH_WHOLE, bounds[k] >= bounds[i]);
            assert_int_equal(match(high, text) == MATCH_WHOLE, bounds[k] <= bounds[i]);
        }
    }
}

static void test_json_schema__two_integer_bounds__are_exact(void **state)
{
    static const int ranges[][2] = {{0, 9}, {3, 105}, {-7, 12}, {-120, -15}, {99, 1001}, {10, 10}};

    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        int low = ranges[i][0];
        int high = ranges[i][1];
        char schema[80];

        snprintf(schema, sizeof schema, "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}", low,
                 high);
        for (int x = low - 12; x <= high + 12; x++) {
            char text[16];

            snprintf(text, sizeof text, "%d", x);
            if ((match(schema, text) == MATCH_WHOLE) != (x >= low && x <= high))
                fail_msg("%s and %d", schema, x);
        }
    }
}

static void test_json_schema__integers__have_no_leading_zero(void **state)
{
    (void)state;
    assert_leaves("{\"type\":\"integer\",\"maximum\":-5}", "-012");
    assert_leaves("{\"type\":\"integer\",\"minimum\":5}", "012");
    assert_leaves("{\"type\":\"integer\",\"minimum\":-50,\"maximum\":50}", "-03");
    assert_takes("{\"type\":\"integer\",\"exclusiveMinimum\":5,\"exclusiveMaximum\":7.5}", "6");
    assert_leaves("{\"type\":\"integer\",\"exclusiveMinimum\":5}", "5");
    assert_takes("{\"type\":\"integer\",\"minimum\":100}", "999999999999999");
}

static void test_json_schema__bounds_that_cannot_be__are_refused(void **state)
{
    (void)state;
    assert_refuses("{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", "no integer lies between");
    assert_refuses("{\"type\":\"integer\",\"minimum\":4.2,\"maximum\":4.8}", "no integer");
    assert_refuses("{\"type\":\"integer\",\"minimum\":1e15}", "at most 15 digits");
    assert_refuses("{\"type\":\"integer\",\"minimum\":1e300}", "at most 15 digits");
    assert_refuses("{\"type\":\"integer\",\"minimum\":\"5\"}", "minimum must be a number");
    assert_refuses("{\"type\":\"integer\",\"minimum\":1,\"exclusiveMinimum\":1}", "together");
    assert_refuses("{\"type\":\"integer\",\"exclusiveMinimum\":999999999999999}", "no integer");
    assert_refuses("{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "maxLength must be");
    assert_refuses("{\"type\":\"string\",\"maxLength\":99999999}", "maxLength must be");
    assert_refuses("{\"type\":\"array\",\"minItems\":-1}", "minItems must be");
    assert_refuses("{\"type\":\"array\",\"maxItems\":1.5}", "maxItems must be");
}

/* ------------------------------------------------------------------ patterns */

static void pattern_is(const char *pattern, const char *text, bool taken)
{
    json_t *schema = json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
    char *dumped = json_dumps(schema, 0);

    assert_non_null(dumped);
    if (taken)
        assert_takes(dumped, text);
    else
        assert_leaves(dumped, text);
    free(dumped);
    json_decref(schema);
}

static void test_json_schema__patterns__are_enforced(void **state)
{
    (void)state;
    pattern_is("^[a-c]+[0-9]{2}$", "\"abc12\"", true);
    pattern_is("^[a-c]+[0-9]{2}$", "\"abc1\"", false);
    pattern_is("^(ab|c)?d$", "\"abd\"", true);
    pattern_is("^(?:ab){2,}$", "\"abab\"", true);
    pattern_is("^\\d{3}-\\d{4}$", "\"555-1234\"", true);
    pattern_is("^\\d$", "\"a\"", false);
    pattern_is("^\\w+\\s\\S$", "\"a_1 b\"", true);
    pattern_is("^[^\\d]$", "\"5\"", false);
    pattern_is("^[^\\d]$", "\"x\"", true);
    pattern_is("^[\\w-]+@[\\w.]+$", "\"a-b@c.d\"", true);
    pattern_is("^\\u00e9\u00e9*$", "\"\u00e9\u00e9\u00e9\"", true);
    pattern_is("^$", "\"\"", true);
    pattern_is("^a|b$", "\"b\"", true);
}

/* The converter alone repeats all of `ab.`, and half of a two-byte letter. */
static void test_json_schema__repetition__is_of_one_character(void **state)
{
    (void)state;
    pattern_is("^ab\\.*$", "\"ab...\"", true);
    pattern_is("^ab\\.*$", "\"ab.ab.\"", false);
    pattern_is("^x\u00e9+$", "\"x\u00e9\u00e9\"", true);
    pattern_is("^x\u00e9+$", "\"x\u00e9x\u00e9\"", false);
}

/* The converter alone lets these end the text in the middle. */
static void test_json_schema__patterns__never_take_a_bare_quote_or_backslash(void **state)
{
    (void)state;
    pattern_is("^.*$", "\"a\"b\"", false);
    pattern_is("^.*$", "\"a\\\"", false);
    pattern_is("^.*$", "\"a b\u00e9\"", true);
    pattern_is("^[^a]*$", "\"b\"b\"", false);
    pattern_is("^[ -~]*$", "\"a\"b\"", false);
    pattern_is("^[ -~]*$", "\"a b~\"", true);
    pattern_is("^\\W$", "\"\"\"", false);
    pattern_is("^\\s$", "\"\n\"", false);
}

static void refuse_pattern(const char *pattern, const char *why)
{
    json_t *schema = json_pack("{s:s}", "pattern", pattern);
    char *dumped = json_dumps(schema, 0);

    assert_refuses(dumped, why);
    free(dumped);
    json_decref(schema);
}

static void test_json_schema__patterns_that_cannot_be_enforced__are_refused(void **state)
{
    char *deep = calloc(1, 900);

    (void)state;
    refuse_pattern("abc", "no ^ at its beginning");
    refuse_pattern("^abc", "no $ at its end");
    refuse_pattern("^", "no ^ at its beginning");
    refuse_pattern("^a\\$", "a \\ at its end");
    refuse_pattern("^\\bword$", "an escape other than");
    refuse_pattern("^\\p{L}$", "an escape other than");
    refuse_pattern("^(a)\\1$", "an escape other than");
    refuse_pattern("^\\x4$", "an escape without its digits");
    refuse_pattern("^(?=a)b$", "a group (?...)");
    refuse_pattern("^(?<n>a)$", "a group (?...)");
    refuse_pattern("^a^b$", "an anchor within");
    refuse_pattern("^a*?$", "a lazy or a double repetition");
    refuse_pattern("^a**$", "a lazy or a double repetition");
    refuse_pattern("^*a$", "a repetition of nothing");
    refuse_pattern("^(*a)$", "a repetition of nothing");
    refuse_pattern("^a|*$", "a repetition of nothing");
    refuse_pattern("^a{5,2}$", "a { that is no repetition");
    refuse_pattern("^a{,2}$", "a { that is no repetition");
    refuse_pattern("^a{2001}$", "more than 2000 repetitions");
    refuse_pattern("^a{99999999999}$", "more than 2000 repetitions");
    refuse_pattern("^(a$", "a ( without its )");
    refuse_pattern("^a)$", "a ) that closes nothing");
    refuse_pattern("^a]$", "a ] or } that closes nothing");
    refuse_pattern("^[a$", "a [ without its ]");
    refuse_pattern("^[]$", "an empty []");
    refuse_pattern("^[b-a]$", "a range in [] that is none");
    refuse_pattern("^[\\d-z]$", "a range in [] that is none");
    refuse_pattern("^\"$", "only write as an escape");
    refuse_pattern("^\\\\$", "only write as an escape");
    refuse_pattern("^\\n$", "only write as an escape");
    assert_refuses("{\"pattern\":1}", "pattern must be a text");
    memset(deep, '(', 800);
    *deep = '^';
    deep[800] = '$';
    refuse_pattern(deep, "groups nested deeper");
    free(deep);
}

/* ------------------------------------------------------------------ $ref */

static void test_json_schema__refs__are_followed(void **state)
{
    const char *list = "{\"$ref\":\"#/$defs/node\",\"$defs\":{\"node\":{\"type\":\"object\","
                       "\"properties\":{\"next\":{\"anyOf\":[{\"type\":\"null\"},"
                       "{\"$ref\":\"#/$defs/node\"}]}},\"required\":[\"next\"]}}}";

    (void)state;
    assert_takes(list, "{\"next\":{\"next\":null}}");
    assert_leaves(list, "{\"next\":{\"next\":1}}");
    assert_takes("{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"$ref\":\"#/properties/a\"}},"
                 "\"required\":[\"a\",\"b\"]}",
                 "{\"a\":null,\"b\":null}");
    assert_takes("{\"properties\":{\"child\":{\"$ref\":\"#\"}}}", "{\"child\":{\"child\":{}}}");
    assert_takes(
        "{\"$ref\":\"#/definitions/a~1b~0\",\"definitions\":{\"a/b~\":{\"type\":\"null\"}}}",
        "null");
    assert_takes("{\"anyOf\":[{\"type\":\"null\"}],\"default\":0}", "null");
    assert_takes("{\"items\":[{\"type\":\"null\"},{\"$ref\":\"#/items/0\"}]}", "[null,null]");
}

static void test_json_schema__refs_that_lead_nowhere_or_in_a_circle__are_refused(void **state)
{
    (void)state;
    assert_refuses("{\"$ref\":\"#\"}", "circle");
    assert_refuses("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},"
                   "\"b\":{\"$ref\":\"#/$defs/a\"}}}",
                   "circle");
    assert_refuses("{\"$ref\":\"#/$defs/none\"}", "leads to no schema");
    assert_refuses("{\"$ref\":\"https://example.com/schema\"}", "leads to no schema");
    assert_refuses("{\"$ref\":\"\"}", "leads to no schema");
    assert_refuses("{\"$ref\":7}", "leads to no schema");
    assert_refuses("{\"$ref\":\"#/required\",\"required\":[]}", "required cannot be enforced");
    assert_refuses("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{}},\"minimum\":1}",
                   "minimum cannot be enforced");
}

/* What a $ref leads to is a schema, wherever it stands. */
static void test_json_schema__refs_into_annotations__are_checked_too(void **state)
{
    (void)state;
    assert_refuses("{\"properties\":{\"a\":{\"$ref\":\"#/default\"}},"
                   "\"default\":{\"multipleOf\":3}}",
                   "multipleOf cannot be enforced");
    assert_refuses(
        "{\"properties\":{\"a\":{\"$ref\":\"#/default\"}},\"default\":{\"$ref\":\"#/x\"}}",
        "leads to no schema");
}

/* A definition in a circle with no text between: the grammar begins with itself. */
static void test_json_schema__circle_through_any_of__is_what_the_others_are(void **state)
{
    const char *schema = "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":"
                         "\"#/$defs/a\"},{\"type\":\"null\"}]}}}";
    struct buffer grammar;
    inf_error err = {0};

    (void)state;
    buffer_init(&grammar, BUFFER_NO_LIMIT);
    assert_int_equal(json_schema_to_grammar(inf_str(schema), &grammar, &err), INF_OK);
    assert_int_equal(grammar_match((inf_text){grammar.data, grammar.len}, inf_str("null"), &err),
                     MATCH_WHOLE);
    assert_int_equal(grammar_match((inf_text){grammar.data, grammar.len}, inf_str("true"), &err),
                     MATCH_NOT);
    buffer_free(&grammar);
}

/* ------------------------------------------------------------------ names */

/* The converter alone takes the rule of a.b for the definition a-b, that of "date time" for dates,
 * and that of the property ref-defs-x for the definition x. */
static void test_json_schema__names_that_could_be_rules_of_others__are_kept_apart(void **state)
{
    (void)state;
    assert_takes(
        "{\"properties\":{\"p\":{\"$ref\":\"#/$defs/a\"},\"q\":{\"$ref\":\"#/$defs/a-b\"}},"
        "\"required\":[\"p\",\"q\"],\"$defs\":{\"a\":{\"properties\":{\"b\":{\"enum\":[1]}},"
        "\"required\":[\"b\"]},\"a-b\":{\"enum\":[\"x\"]}}}",
        "{\"p\":{\"b\":1},\"q\":\"x\"}");
    assert_takes("{\"properties\":{\"date time\":{\"enum\":[1]},\"t\":{\"format\":\"date-time\"}},"
                 "\"required\":[\"date time\",\"t\"]}",
                 "{\"date time\":1,\"t\":\"2024-02-29T10:00:00Z\"}");
    assert_takes("{\"properties\":{\"ref-defs-x\":{\"enum\":[1]},\"y\":{\"$ref\":\"#/$defs/x\"}},"
                 "\"required\":[\"ref-defs-x\",\"y\"],\"$defs\":{\"x\":{\"enum\":[\"x\"]}}}",
                 "{\"ref-defs-x\":1,\"y\":\"x\"}");
    assert_takes(
        "{\"properties\":{\"a-b\":{\"enum\":[1]},\"a_b\":{\"enum\":[2]},\"a b\":{\"enum\":[3]}},"
        "\"required\":[\"a-b\",\"a_b\",\"a b\"]}",
        "{\"a-b\":1,\"a_b\":2,\"a b\":3}");
    assert_takes("{\"properties\":{\"root\":{\"enum\":[1]},\"string\":{\"type\":\"string\"},"
                 "\"space\":{\"enum\":[2]},\"char\":{\"enum\":[3]}},"
                 "\"required\":[\"root\",\"string\",\"space\",\"char\"]}",
                 "{\"root\":1, \"string\":\"s\",\"space\":2,\"char\":3}");
    assert_takes(
        "{\"properties\":{\"a\":{\"properties\":{\"b\":{\"enum\":[1]}},\"required\":[\"b\"]},"
        "\"a-b\":{\"enum\":[2]},\"a-kv\":{\"enum\":[3]}},\"required\":[\"a\",\"a-b\",\"a-kv\"]}",
        "{\"a\":{\"b\":1},\"a-b\":2,\"a-kv\":3}");
    assert_takes("{\"$ref\":\"#/$defs/a b\",\"$defs\":{\"a b\":{\"anyOf\":[{\"enum\":[1]},"
                 "{\"$ref\":\"#/$defs/a-b\"}]},\"a-b\":{\"enum\":[2]}}}",
                 "2");
}

/* ------------------------------------------------------------------ what is refused */

static void test_json_schema__keywords_that_cannot_be_enforced__are_refused_by_place(void **state)
{
    (void)state;
    assert_refuses("{\"type\":\"number\",\"minimum\":1}", "at #: minimum cannot be enforced");
    assert_refuses("{\"type\":\"integer\",\"multipleOf\":2}", "multipleOf cannot be enforced");
    assert_refuses("{\"type\":\"array\",\"uniqueItems\":true}", "uniqueItems cannot be enforced");
    assert_refuses("{\"properties\":{\"a\":{\"items\":{\"not\":{}}}}}",
                   "at #/properties/a/items: not cannot be enforced");
    assert_refuses("{\"x-unknown\":1}", "x-unknown cannot be enforced");
    assert_refuses("{\"if\":{}}", "if cannot be enforced");
    assert_refuses("{\"patternProperties\":{}}", "patternProperties cannot be enforced");
    assert_refuses("{\"properties\":{},\"minProperties\":1}", "minProperties cannot be enforced");
    assert_refuses("{\"anyOf\":[{}],\"type\":\"object\"}", "type cannot be enforced");
    assert_refuses("{\"$defs\":{\"a\":{\"wrong\":1}}}", "at #/$defs/a: wrong cannot be enforced");
    assert_refuses("{\"type\":\"string\",\"format\":\"email\"}", "format can be enforced for");
    assert_refuses("{\"type\":\"string\",\"pattern\":\"^a$\",\"maxLength\":1}", "maxLength cannot");
    assert_refuses("{\"properties\":{\"a\":{}},\"additionalProperties\":true}",
                   "additionalProperties together with properties");
    assert_refuses("{\"properties\":{\"*\":{}}}", "a property named *");
    assert_refuses("{\"allOf\":[{\"properties\":{\"a\":{}}},{\"properties\":{\"a\":{}}}]}",
                   "a property in two of its parts");
    assert_refuses("{\"allOf\":[{\"type\":\"string\"}]}", "objects with properties only");
    assert_refuses("{\"items\":{},\"prefixItems\":[{}]}", "prefixItems together with items");
}

static void test_json_schema__what_is_no_schema__is_refused(void **state)
{
    (void)state;
    assert_refuses("", "not JSON");
    assert_refuses("[]", "a schema (an object) expected");
    assert_refuses("{\"type\":\"objekt\"}", "type is none of");
    assert_refuses("{\"type\":5}", "type must be a text");
    assert_refuses("{\"type\":[]}", "type must not be an empty list");
    assert_refuses("{\"type\":[\"null\",\"null\"]}", "the same type twice");
    assert_refuses("{\"enum\":[]}", "enum must be a list");
    assert_refuses("{\"enum\":1}", "enum must be a list");
    assert_refuses("{\"type\":\"string\",\"enum\":[1]}", "not of that type");
    assert_refuses("{\"const\":1,\"enum\":[1]}", "together with const");
    assert_refuses("{\"anyOf\":[]}", "a list of schemas expected");
    assert_refuses("{\"anyOf\":{}}", "a list of schemas expected");
    assert_refuses("{\"items\":[7]}", "a schema (an object) expected");
    assert_refuses("{\"properties\":[]}", "an object expected");
    assert_refuses("{\"properties\":{\"a\":true}}", "a schema (an object) expected");
    assert_refuses("{\"properties\":{\"a\":{}},\"required\":[\"b\"]}", "not among the properties");
    assert_refuses("{\"properties\":{\"a\":{}},\"required\":\"a\"}", "required must be a list");
    assert_refuses("{\"a\":1,\"a\":2}", "duplicate");
    assert_refuses_text((inf_text){"{\"a\0\":1}", 8}, "not JSON");
}

static char *nested(const char *open, size_t n, const char *inside, const char *close)
{
    char *all = calloc(1, n * (strlen(open) + strlen(close)) + strlen(inside) + 1);

    assert_non_null(all);
    for (size_t i = 0; i < n; i++)
        strcat(all, open);
    strcat(all, inside);
    for (size_t i = 0; i < n; i++)
        strcat(all, close);
    return all;
}

static void test_json_schema__deep_or_large_schemas__are_bounded(void **state)
{
    char *deep = nested("{\"items\":", 49, "{}", "}");
    char *fits = nested("{\"items\":", 20, "{\"type\":\"null\"}", "}");
    char *wide = malloc(300000);
    size_t n = (size_t)sprintf(wide, "{\"properties\":{");

    (void)state;
    assert_refuses(deep, "nested deeper than 48");
    assert_takes(fits, "[]");
    for (int i = 0; i < 129; i++)
        n += (size_t)sprintf(wide + n, "%s\"p%d\":{}", i ? "," : "", i);
    strcpy(wide + n, "}}");
    assert_refuses(wide, "more than 128 properties");
    memset(wide, ' ', 299999);
    wide[299999] = '\0';
    assert_refuses(wide, "longer than");
    snprintf(wide, 300, "{\"properties\":{\"%0250d\":{}}}", 0);
    assert_refuses(wide, "longer than 200 bytes");
    free(deep);
    free(fits);
    free(wide);
}

/* n definitions, each with 30 properties that are copies of the next. */
static char *copies(int n)
{
    char *s = malloc(100000);
    size_t at = (size_t)sprintf(s,
                                "{\"$ref\":\"#/$defs/d0\",\"$defs\":{\"d%d\":{\"properties\":{"
                                "\"x\":{}},\"required\":[\"x\"]}",
                                n);

    assert_non_null(s);
    for (int i = 0; i < n; i++) {
        at += (size_t)sprintf(s + at, ",\"d%d\":{\"properties\":{", i);
        for (int k = 0; k < 30; k++)
            at += (size_t)sprintf(s + at, "%s\"p%d\":{\"allOf\":[{\"$ref\":\"#/$defs/d%d\"}]}",
                                  k ? "," : "", k, i + 1);
        at += (size_t)sprintf(s + at, "}}");
    }
    strcpy(s + at, "}}");
    return s;
}

/* The converter copies what allOf refers to; assert_refuses bounds the time. */
static void test_json_schema__what_all_of_multiplies__is_bounded(void **state)
{
    char *few = copies(1);
    char *many = copies(12);

    (void)state;
    assert_takes(few, "{\"p3\":{\"x\":null},\"p29\":{\"x\":1}}");
    assert_refuses(many, "its grammar would be too large or without end");
    assert_refuses("{\"$ref\":\"#/$defs/o\",\"$defs\":{\"o\":{\"properties\":{\"a\":{\"allOf\":"
                   "[{\"$ref\":\"#/$defs/o\"}]}}}}}",
                   "without end");
    assert_refuses("{\"properties\":{\"a\":{\"items\":{\"allOf\":[{\"$ref\":\"#\"}]}}}}",
                   "without end");
    assert_takes("{\"$ref\":\"#/$defs/o\",\"$defs\":{\"o\":{\"properties\":{\"a\":{\"$ref\":"
                 "\"#/$defs/o\"}}}}}",
                 "{\"a\":{\"a\":{}}}");
    free(few);
    free(many);
}

static void test_json_schema__many_optional_properties__are_taken(void **state)
{
    char *schema = malloc(10000);
    size_t n = (size_t)sprintf(schema, "{\"properties\":{");

    (void)state;
    for (int i = 0; i < 100; i++)
        n += (size_t)sprintf(schema + n, "%s\"p%d\":{\"type\":\"null\"}", i ? "," : "", i);
    strcpy(schema + n, "}}");
    assert_takes(schema, "{\"p3\":null,\"p99\":null}");
    assert_leaves(schema, "{\"p3\":null,\"p3\":null}");
    free(schema);
}

static void test_json_schema__out_of_memory__is_said_and_nothing_is_kept(void **state)
{
    inf_text schema = inf_str("{\"properties\":{\"a\":{\"pattern\":\"^[a-z]+$\"},\"b\":{\"$ref\":"
                              "\"#/$defs/b\"}},\"$defs\":{\"b\":{\"type\":\"integer\"}}}");
    int64_t live = mem_live();

    (void)state;
    for (int64_t nth = 1;; nth++) {
        struct buffer grammar;
        inf_error err = {0};
        int32_t code = INF_OK;

        buffer_init(&grammar, BUFFER_NO_LIMIT);
        mem_fail_nth(nth);
        code = json_schema_to_grammar(schema, &grammar, &err);
        mem_fail_nth(0);
        buffer_free(&grammar);
        assert_int_equal(mem_live(), live);
        if (code == INF_OK)
            break;
        assert_int_equal(code, INF_ERROR_NO_MEMORY);
        assert_true(nth < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_schema__scalars__are_enforced),
        cmocka_unit_test(
            test_json_schema__half_a_surrogate_pair_or_an_endless_number__cannot_come_out),
        cmocka_unit_test(test_json_schema__const_and_enum__are_enforced),
        cmocka_unit_test(test_json_schema__objects__have_what_is_required_and_nothing_else),
        cmocka_unit_test(test_json_schema__arrays__have_their_counts),
        cmocka_unit_test(test_json_schema__lengths_and_formats__are_enforced),
        cmocka_unit_test(test_json_schema__any_of_and_one_of__take_each_alternative),
        cmocka_unit_test(test_json_schema__integer_bounds__are_exact),
        cmocka_unit_test(test_json_schema__two_integer_bounds__are_exact),
        cmocka_unit_test(test_json_schema__integers__have_no_leading_zero),
        cmocka_unit_test(test_json_schema__bounds_that_cannot_be__are_refused),
        cmocka_unit_test(test_json_schema__patterns__are_enforced),
        cmocka_unit_test(test_json_schema__repetition__is_of_one_character),
        cmocka_unit_test(test_json_schema__patterns__never_take_a_bare_quote_or_backslash),
        cmocka_unit_test(test_json_schema__patterns_that_cannot_be_enforced__are_refused),
        cmocka_unit_test(test_json_schema__refs__are_followed),
        cmocka_unit_test(test_json_schema__refs_that_lead_nowhere_or_in_a_circle__are_refused),
        cmocka_unit_test(test_json_schema__refs_into_annotations__are_checked_too),
        cmocka_unit_test(test_json_schema__circle_through_any_of__is_what_the_others_are),
        cmocka_unit_test(test_json_schema__names_that_could_be_rules_of_others__are_kept_apart),
        cmocka_unit_test(test_json_schema__keywords_that_cannot_be_enforced__are_refused_by_place),
        cmocka_unit_test(test_json_schema__what_is_no_schema__is_refused),
        cmocka_unit_test(test_json_schema__deep_or_large_schemas__are_bounded),
        cmocka_unit_test(test_json_schema__what_all_of_multiplies__is_bounded),
        cmocka_unit_test(test_json_schema__many_optional_properties__are_taken),
        cmocka_unit_test(test_json_schema__out_of_memory__is_said_and_nothing_is_kept),
    };

    return cmocka_run_group_tests(tests, grammar_match_open, grammar_match_close);
}
