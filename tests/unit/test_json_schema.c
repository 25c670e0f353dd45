/*
 * Specification of json_schema: which texts the grammar of a schema takes, which schemas are refused and in
 * what words. Nothing that disobeys the schema is taken.
 */
#include "grammar_match.h"

#include "core/clock.h"
#include "core/memory.h"
#include "text/constraint/json_schema.h"

#include <jansson.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ------------------------------------------------------------------ helpers */

static enum match match(const char *schema, const char *text)
{
    inf_error err = {0};
    enum match found = schema_match(inf_str(schema), inf_str(text), &err);

    if (found == MATCH_REFUSED)
        fail_msg("%s\nis refused: %s", schema, err.message);
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

/* All of the text but its last byte may come. */
static void assert_is_cut_at_end(const char *schema, const char *text)
{
    size_t n = strlen(text) - 1;
    char *some = calloc(1, n + 1);

    assert_non_null(some);
    memcpy(some, text, n);
    if (match(schema, some) == MATCH_NOT)
        fail_msg("%s\nleaves %s", schema, some);
    if (match(schema, text) != MATCH_NOT)
        fail_msg("%s\ngoes on with %s", schema, text);
    free(some);
}

static void assert_refuses_text(inf_text schema, const char *why)
{
    struct grammar *grammar = NULL;
    inf_error err = {0};
    int64_t live = mem_live();
    int64_t before = clock_us();

    if (json_schema_compile(&grammar, schema, &err) != INF_ERROR_INVALID_ARGUMENT)
        fail_msg("%.300s\nis not refused", schema.data);
    if (!strstr(err.message, why) || strncmp(err.message, "json_schema", 11) != 0)
        fail_msg("%.300s\nis refused with: %s\nand not: %s", schema.data, err.message, why);
    assert_null(grammar);
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

static void test_json_schema__annotations__say_nothing(void **state)
{
    (void)state;
    assert_takes(
        "{\"type\":\"null\",\"title\":\"T\",\"description\":\"d\",\"default\":1,\"examples\":[1],"
        "\"example\":1,\"$comment\":\"c\",\"deprecated\":true,\"readOnly\":true,"
        "\"discriminator\":{\"propertyName\":\"a\"},\"contentEncoding\":\"base64\","
        "\"externalDocs\":{},\"x-anything\":[1]}",
        "null");
    assert_takes("{\"type\":\"string\",\"nullable\":true,\"enum\":[\"a\"],\"enumNames\":[\"A\"],"
                 "\"enumDescriptions\":[\"first\"],\"markdownDescription\":\"*d*\"}",
                 "\"a\"");
    assert_leaves("{\"type\":\"string\",\"nullable\":true}", "null");
}

/* As OpenAPI's tools and pydantic have them. */
static void test_json_schema__formats_of_others__bound_what_they_bound(void **state)
{
    (void)state;
    assert_takes("{\"type\":\"integer\",\"format\":\"int32\"}", "-2147483648");
    assert_leaves("{\"type\":\"integer\",\"format\":\"int32\"}", "2147483648");
    assert_takes("{\"type\":\"integer\",\"format\":\"int64\"}", "9223372036854775807");
    assert_leaves("{\"type\":\"integer\",\"format\":\"int64\"}", "9223372036854775808");
    assert_leaves("{\"type\":\"integer\",\"format\":\"uint32\"}", "-1");
    assert_takes("{\"type\":\"integer\",\"format\":\"uint8\"}", "255");
    assert_leaves("{\"type\":\"integer\",\"format\":\"uint8\"}", "256");
    assert_leaves("{\"type\":[\"integer\",\"null\"],\"format\":\"uint\",\"minimum\":0}", "-1");
    assert_takes("{\"type\":\"number\",\"format\":\"double\"}", "1.5e3");
    assert_takes("{\"type\":\"string\",\"format\":\"password\"}", "\"\\n x\"");
    assert_takes("{\"type\":\"string\",\"format\":\"byte\"}", "\"aGk=\"");
    assert_leaves("{\"type\":\"string\",\"format\":\"byte\"}", "\"aGk\"");
    assert_refuses("{\"type\":\"string\",\"format\":\"datetime\"}", "format can be enforced for");
}

/* As zod writes e-mail addresses. */
static void test_json_schema__look_ahead_at_the_beginning__is_enforced(void **state)
{
    static const char email[] =
        "{\"type\":\"string\",\"format\":\"email\",\"pattern\":\"^(?!\\\\.)(?!.*\\\\.\\\\.)"
        "([A-Za-z0-9_'+\\\\-\\\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\\\-]*\\\\.)+[A-Za-z]{2,}"
        "$\"}";

    (void)state;
    assert_takes(email, "\"a.b@c.de\"");
    assert_leaves(email, "\"a..b@c.de\"");
    assert_leaves(email, "\".b@c.de\"");
    assert_takes("{\"type\":\"string\",\"pattern\":\"^(?=.*[0-9])(?=[a-z(])(?!ab)\"}", "\"b-7\"");
    assert_leaves("{\"type\":\"string\",\"pattern\":\"^(?=.*[0-9])(?=[a-z(])(?!ab)\"}", "\"ab7\"");
    assert_leaves("{\"type\":\"string\",\"pattern\":\"^(?=.*[0-9])(?=[a-z(])(?!ab)\"}", "\"b-\"");
    assert_takes("{\"type\":\"string\",\"pattern\":\"^(?![)(|]x)[^a]$\"}", "\"b\"");
    assert_refuses("{\"type\":\"string\",\"pattern\":\"^(?!a)b|c\"}", "a group (?...)");
    assert_refuses("{\"type\":\"string\",\"pattern\":\"^a(?!b)\"}", "a group (?...)");
    assert_refuses("{\"type\":\"string\",\"pattern\":\"^(?!a\"}", "pattern");
    assert_refuses("{\"type\":\"string\",\"pattern\":\"^(?!a)*b\"}", "a group (?...)");
}

/* As pydantic and zod write maps of names. */
static void test_json_schema__names_by_type_or_reference__are_enforced(void **state)
{
    static const char by_reference[] =
        "{\"type\":\"object\",\"propertyNames\":{\"$ref\":\"#/$defs/c\"},\"additionalProperties\":"
        "{\"type\":\"integer\"},\"$defs\":{\"c\":{\"title\":\"C\",\"type\":\"string\",\"enum\":["
        "\"r\",\"b\"]}}}";
    static const char by_type[] = "{\"type\":\"object\",\"propertyNames\":{\"type\":\"string\"},"
                                  "\"additionalProperties\":{\"type\":\"integer\"}}";

    (void)state;
    assert_takes(by_reference, "{\"b\":1}");
    assert_leaves(by_reference, "{\"x\":1}");
    assert_takes(by_type, "{\"x\":1}");
    assert_leaves(by_type, "{\"x\":null}");
    assert_refuses("{\"type\":\"object\",\"propertyNames\":{\"type\":\"integer\"},"
                   "\"additionalProperties\":{}}",
                   "propertyNames");
}

/* fixtures/locale/comma: LC_NUMERIC with decimal_point ",", by localedef. */
static void test_json_schema__program_with_a_comma__numbers_have_dots(void **state)
{
    (void)state;
    assert_int_equal(setenv("LOCPATH", TEST_SOURCE_DIR "/fixtures/locale", 1), 0);
    assert_non_null(setlocale(LC_NUMERIC, "comma"));
    assert_takes("{\"enum\":[0.1]}", "0.1");
    assert_takes("{\"type\":\"number\",\"minimum\":0.25,\"maximum\":0.75}", "0.5");
    assert_leaves("{\"type\":\"number\",\"minimum\":0.25,\"maximum\":0.75}", "0.76");
    setlocale(LC_NUMERIC, "C");
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
    assert_takes(schema, "{ \"a\":1, \"b\" : \"x\", \"c\":null }");
    assert_leaves(schema, "{\"b\":\"x\",\"a\":1}"); /* not as they are listed */
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

static void test_json_schema__one_of__takes_what_exactly_one_of_them_takes(void **state)
{
    const char *overlap =
        "{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\",\"minimum\":2}]}";
    const char *kinds = "{\"oneOf\":[{\"properties\":{\"kind\":{\"const\":\"a\"},\"x\":{\"type\":"
                        "\"null\"}},\"required\":[\"kind\"]},{\"properties\":{\"kind\":{\"const\":"
                        "\"b\"},\"y\":{\"type\":\"null\"}},\"required\":[\"kind\"]}],"
                        "\"discriminator\":{\"propertyName\":\"kind\"}}";

    (void)state;
    assert_takes(overlap, "1");
    assert_takes(overlap, "2.5");
    assert_leaves(overlap, "3");
    assert_leaves(overlap, "1.5");
    assert_takes(kinds, "{\"kind\":\"a\",\"x\":null}");
    assert_takes(kinds, "{\"kind\":\"b\",\"y\":null}");
    assert_leaves(kinds, "{\"kind\":\"b\",\"x\":null}");
}

static void test_json_schema__all_of__is_everything_together(void **state)
{
    (void)state;
    assert_takes("{\"allOf\":[{\"type\":[\"string\",\"null\"]},{\"minLength\":2}]}", "\"ab\"");
    assert_leaves("{\"allOf\":[{\"type\":[\"string\",\"null\"]},{\"minLength\":2}]}", "\"a\"");
    assert_takes("{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"}}},{\"properties\":"
                 "{\"a\":{\"minimum\":3}}}]}",
                 "{\"a\":3}");
    assert_leaves("{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"}}},{\"properties\":"
                  "{\"a\":{\"minimum\":3}}}]}",
                  "{\"a\":2}");
    assert_refuses("{\"allOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]}",
                   "no JSON text obeys it");
}

static void test_json_schema__fixed_values__obey_everything_beside_them(void **state)
{
    const char *schema =
        "{\"enum\":[1,2,3,\"a\",\"ab\",[1],{\"x\":1}],\"minimum\":2,\"maxLength\":1,"
        "\"not\":{\"type\":\"array\"},\"properties\":{\"x\":{\"type\":\"null\"}}}";

    (void)state;
    assert_takes(schema, "3");
    assert_takes(schema, "\"a\"");
    assert_leaves(schema, "1");
    assert_leaves(schema, "\"ab\"");
    assert_leaves(schema, "[1]");
    assert_leaves(schema, "{\"x\":1}");
    assert_takes("{\"const\":1,\"enum\":[1,2]}", "1");
    assert_takes("{\"format\":\"date\",\"enum\":[\"2024-01-31\"]}", "\"2024-01-31\"");
    /* for a reader to whom a format is an annotation both of them take it */
    assert_refuses("{\"oneOf\":[{\"enum\":[\"a\"]},{\"type\":\"string\",\"format\":\"date\"}],"
                   "\"const\":\"a\"}",
                   "whether its fixed values obey");
}

static void test_json_schema__fixed_numbers__have_the_digits_of_the_schema(void **state)
{
    const char *schema =
        "{\"enum\":[0.1,48.137154,1e-7,{\"x\":[0.7,0.30000000000000004,{}]},1.0,[]]}";

    (void)state;
    assert_takes(schema, "0.1");
    assert_takes(schema, "48.137154");
    assert_takes(schema, "1e-7");
    assert_takes(schema, "{\"x\":[0.7,0.30000000000000004,{}]}");
    assert_takes(schema, "1.0");
    assert_takes(schema, "[]");
    assert_leaves(schema, "0.10000000000000001");
    assert_leaves(schema, "{\"x\":[0.7,0.3,{}]}");
}

static void test_json_schema__what_cannot_be_denied__is_said_with_its_place(void **state)
{
    (void)state;
    assert_refuses("{\"oneOf\":[{\"type\":\"integer\",\"multipleOf\":3},"
                   "{\"type\":\"integer\",\"multipleOf\":5}]}",
                   "at #/oneOf/1: what it says cannot be denied");
    assert_refuses("{\"type\":\"integer\",\"not\":{\"multipleOf\":5}}",
                   "at #/not: what it says cannot be denied");
    assert_refuses(
        "{\"properties\":{\"a/b~c\":{\"uniqueItems\":true,\"items\":{\"type\":\"string\"}}}}",
        "at #/properties/a~1b~0c: uniqueItems");
}

static void test_json_schema__true_and_false__are_schemas(void **state)
{
    (void)state;
    assert_takes("true", "{\"a\":[1,null]}");
    assert_refuses("false", "no JSON text obeys it");
    assert_refuses("5", "a schema (an object, true or false) expected");
}

static void test_json_schema__not__denies_values_types_and_keywords(void **state)
{
    const char *no_zero =
        "{\"type\":\"integer\",\"minimum\":-3,\"maximum\":3,\"not\":{\"const\":0}}";
    const char *words = "{\"type\":\"string\",\"not\":{\"enum\":[\"yes\",\"no\"]}}";

    (void)state;
    assert_leaves(no_zero, "0");
    assert_takes(no_zero, "-1");
    assert_takes(no_zero, "3");
    assert_takes("{\"type\":\"number\",\"not\":{\"const\":0.5}}", "0.51");
    assert_leaves("{\"type\":\"number\",\"not\":{\"const\":0.5}}", "0.5");
    assert_leaves("{\"type\":\"number\",\"not\":{\"const\":0.5}}", "0.50");
    assert_leaves(words, "\"no\"");
    assert_takes(words, "\"not\"");
    assert_takes(words, "\"n\"");
    assert_takes("{\"not\":{\"type\":[\"object\",\"array\"]}}", "1");
    assert_leaves("{\"not\":{\"type\":[\"object\",\"array\"]}}", "[]");
    assert_leaves("{\"type\":[\"boolean\",\"null\"],\"not\":{\"const\":null}}", "null");
    assert_takes("{\"type\":\"integer\",\"not\":{\"minimum\":5}}", "4");
    assert_leaves("{\"type\":\"integer\",\"not\":{\"minimum\":5}}", "5");
    assert_leaves("{\"type\":\"array\",\"not\":{\"const\":[]}}", "[]");
}

static void test_json_schema__if_then_else__is_followed(void **state)
{
    const char *schema =
        "{\"type\":\"object\",\"properties\":{\"country\":{\"enum\":[\"US\",\"NL\"]},\"code\":"
        "{\"type\":\"string\"}},\"required\":[\"country\",\"code\"],\"if\":{\"properties\":{"
        "\"country\":{\"const\":\"US\"}}},\"then\":{\"properties\":{\"code\":{\"pattern\":"
        "\"^[0-9]{5}$\"}}},\"else\":{\"properties\":{\"code\":{\"pattern\":\"^[0-9]{4} "
        "[A-Z]{2}$\"}}}}";

    (void)state;
    assert_takes(schema, "{\"country\":\"US\",\"code\":\"12345\"}");
    assert_takes(schema, "{\"country\":\"NL\",\"code\":\"1234 AB\"}");
    assert_leaves(schema, "{\"country\":\"US\",\"code\":\"1234 AB\"}");
    assert_leaves(schema, "{\"country\":\"NL\",\"code\":\"12345\"}");
}

/* ------------------------------------------------------------------ properties */

static void test_json_schema__x_order_any__takes_each_property_once_in_any_order(void **state)
{
    const char *schema = "{\"x-order\":\"any\",\"properties\":{\"a\":{\"type\":\"integer\"},"
                         "\"b\":{\"type\":\"string\"},\"c\":{\"type\":\"null\"}},"
                         "\"required\":[\"b\"]}";

    (void)state;
    assert_takes(schema, "{\"b\":\"x\"}");
    assert_takes(schema, "{\"c\":null,\"b\":\"x\",\"a\":1}");
    assert_leaves(schema, "{\"c\":null,\"a\":1}");
    assert_is_cut_at_end(schema, "{\"a\":1,\"a");
    assert_is_cut_at_end(schema, "{\"a\":1,\"b\":\"\",\"c\":null,"); /* nothing is left to come */
    assert_takes("{\"x-order\":\"any\",\"properties\":{\"a\":{\"type\":\"null\"}},"
                 "\"additionalProperties\":{\"type\":\"integer\"}}",
                 "{\"z\":1,\"a\":null,\"y\":2}");
    assert_leaves("{\"x-order\":\"any\",\"properties\":{\"a\":false,\"b\":{}}}", "{\"a\":1}");
    assert_is_cut_at_end("{\"x-order\":\"any\",\"properties\":{\"a\":{\"not\":{}},\"b\":{}}}",
                         "{\"b\":1,"); /* a has no value */
}

static void test_json_schema__other_properties__come_behind_and_obey(void **state)
{
    const char *schema = "{\"properties\":{\"a\":{\"type\":\"null\"},\"ab\":{\"type\":\"null\"}},"
                         "\"additionalProperties\":{\"type\":\"integer\"}}";
    const char *patterns = "{\"patternProperties\":{\"^n_\":{\"type\":\"integer\"},\"_s$\":"
                           "{\"maximum\":9}},\"additionalProperties\":false}";

    (void)state;
    assert_takes(schema, "{\"a\":null,\"x\":1,\"abc\":2}");
    assert_takes(schema, "{\"\":1}");
    assert_leaves(schema, "{\"x\":null}");
    assert_leaves(schema, "{\"x\":1,\"a\":1}");
    assert_leaves(schema, "{\"x\":1,\"\\u0061\":1}"); /* the same name */
    assert_takes("{\"properties\":{\"a\":{\"type\":\"null\"}},\"additionalProperties\":true}",
                 "{\"a\":null,\"b\":[1]}");
    assert_takes(patterns, "{\"n_a\":12}");
    assert_takes(patterns, "{\"a_s\":1.5}");
    assert_takes(patterns, "{\"n_s\":7}");
    assert_leaves(patterns, "{\"n_s\":12}");
    assert_leaves(patterns, "{\"n_s\":1.5}");
    assert_leaves(patterns, "{\"x\":1}");
    assert_takes("{\"propertyNames\":{\"pattern\":\"^[a-z]+$\"},\"type\":\"object\"}", "{\"a\":1}");
    assert_leaves("{\"propertyNames\":{\"pattern\":\"^[a-z]+$\"},\"type\":\"object\"}",
                  "{\"A\":1}");
    assert_takes("{\"propertyNames\":{\"enum\":[\"a\",\"b\"]},\"additionalProperties\":{\"type\":"
                 "\"integer\"}}",
                 "{\"a\":1,\"b\":2}");
    assert_leaves("{\"propertyNames\":{\"enum\":[\"a\",\"b\"]},\"type\":\"object\"}", "{\"c\":1}");
}

static void test_json_schema__required_names_that_are_not_listed__may_hold_anything(void **state)
{
    (void)state;
    assert_takes("{\"properties\":{\"a\":{\"type\":\"null\"}},\"required\":[\"b\"]}",
                 "{\"a\":null,\"b\":[1]}");
    assert_leaves("{\"properties\":{\"a\":{\"type\":\"null\"}},\"required\":[\"b\"]}",
                  "{\"a\":null}");
    assert_refuses(
        "{\"properties\":{\"a\":{}},\"required\":[\"b\"],\"additionalProperties\":false}",
        "no JSON text obeys");
}

static void test_json_schema__dependent_properties__come_with_what_they_need(void **state)
{
    const char *schema = "{\"properties\":{\"card\":{\"type\":\"integer\"},\"address\":{\"type\":"
                         "\"string\"}},\"dependentRequired\":{\"card\":[\"address\"]}}";
    const char *schemas =
        "{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{}},"
        "\"dependentSchemas\":{\"a\":{\"properties\":{\"b\":{\"type\":\"null\"}}}}}";

    (void)state;
    assert_takes(schema, "{}");
    assert_takes(schema, "{\"address\":\"x\"}");
    assert_takes(schema, "{\"card\":1,\"address\":\"x\"}");
    assert_leaves(schema, "{\"card\":1}");
    assert_takes(schemas, "{\"b\":1}");
    assert_takes(schemas, "{\"a\":null,\"b\":null}");
    assert_leaves(schemas, "{\"a\":null,\"b\":1}");
}

static void test_json_schema__numbers_of_properties__are_enforced(void **state)
{
    const char *two = "{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"},\"c\":"
                      "{\"type\":\"null\"}},\"minProperties\":2,\"maxProperties\":2}";

    (void)state;
    assert_takes(two, "{\"a\":null,\"c\":null}");
    assert_takes(two, "{\"b\":null,\"c\":null}");
    assert_leaves(two, "{\"a\":null}");
    assert_is_cut_at_end(two, "{\"c"); /* one would be missing */
    assert_is_cut_at_end(two, "{\"a\":null,\"b\":null,");
    assert_takes("{\"type\":\"object\",\"minProperties\":1}", "{\"x\":1}");
    assert_leaves("{\"type\":\"object\",\"minProperties\":1}", "{}");
    assert_leaves("{\"type\":\"object\",\"maxProperties\":1}", "{\"x\":1,\"y\":1}");
}

static void test_json_schema__unevaluated_properties_false__leaves_what_is_spoken_of(void **state)
{
    const char *schema = "{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}}],\"properties\":"
                         "{\"b\":{\"type\":\"null\"}},\"unevaluatedProperties\":false}";

    (void)state;
    assert_takes(schema, "{\"b\":null,\"a\":null}");
    assert_leaves(schema, "{\"c\":null}");
}

/* ------------------------------------------------------------------ counts */

static void test_json_schema__large_counts__need_no_copies(void **state)
{
    const char *schema = "{\"type\":\"string\",\"minLength\":4000,\"maxLength\":100000}";
    const char *array = "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":3000,"
                        "\"maxItems\":3001}";
    char *text = malloc(100010);
    size_t n = 0;

    (void)state;
    assert_non_null(text);
    text[0] = '"';
    memset(text + 1, 'x', 100002);
    strcpy(text + 4001, "\"");
    assert_takes(schema, text);
    strcpy(text + 4000, "\"");
    assert_leaves(schema, text);
    n = (size_t)sprintf(text, "[0");
    for (int i = 1; i < 3001; i++)
        n += (size_t)sprintf(text + n, ",%d", i % 10);
    strcpy(text + n, "]");
    assert_takes(array, text);
    strcpy(text + n, ",");
    assert_is_cut_at_end(array, text);
    free(text);
}

static void test_json_schema__items_of_an_enum__can_be_unique(void **state)
{
    const char *schema = "{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",\"c\"]},"
                         "\"uniqueItems\":true,\"minItems\":2}";

    (void)state;
    assert_takes(schema, "[\"c\",\"a\"]");
    assert_takes(schema, "[\"b\", \"a\", \"c\"]");
    assert_leaves(schema, "[\"b\"]");
    assert_leaves(schema, "[\"b\",\"b\"]");
    assert_is_cut_at_end(schema, "[\"b\",\"a\",\"c\",");
}

static void test_json_schema__contains__is_one_item_at_least(void **state)
{
    const char *schema = "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"contains\":"
                         "{\"minimum\":5},\"maxItems\":3}";

    (void)state;
    assert_takes(schema, "[1,2,7]");
    assert_takes(schema, "[5]");
    assert_leaves(schema, "[]");
    assert_leaves(schema, "[1,2]");
    assert_leaves(schema, "[1,2,3]");
    assert_leaves(schema, "[1,2,3,5]");
}

static void test_json_schema__first_items_then_others__have_schemas_of_their_own(void **state)
{
    const char *schema =
        "{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"items\":"
        "{\"type\":\"null\"},\"minItems\":1,\"maxItems\":3}";

    (void)state;
    assert_takes(schema, "[1]");
    assert_takes(schema, "[1,\"a\",null]");
    assert_leaves(schema, "[1,\"a\",null,null]");
    assert_leaves(schema, "[1,null]");
    assert_leaves(schema, "[]");
    assert_refuses("{\"prefixItems\":[{}],\"items\":{\"type\":\"null\",\"not\":{}},\"minItems\":2}",
                   "no JSON text obeys it");
    assert_takes("{\"prefixItems\":[{}],\"items\":{\"type\":\"null\",\"not\":{}}}", "[1]");
    assert_is_cut_at_end(
        "{\"x-order\":\"any\",\"properties\":{\"a\":{\"allOf\":[{\"type\":\"null\"},"
        "{\"type\":\"array\"}]},\"b\":{},\"c\":{}},\"minProperties\":2}",
        "{\"b\":1}");
}

/* ------------------------------------------------------------------ integers */

/* Every bound of few digits against every number around. */
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
    assert_refuses("{\"type\":\"integer\",\"minimum\":1e300}", "no integer");
    assert_refuses("{\"type\":\"number\",\"minimum\":3,\"exclusiveMaximum\":3}", "no number");
    assert_refuses("{\"type\":\"integer\",\"minimum\":\"5\"}", "minimum must be a number");
    assert_refuses("{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "no text has a length");
    assert_refuses("{\"type\":\"array\",\"minItems\":3,\"maxItems\":2}", "no array has a length");
    assert_refuses("{\"type\":\"array\",\"minItems\":-1}", "minItems must be");
    assert_refuses("{\"type\":\"array\",\"maxItems\":1.5}", "maxItems must be");
}

static void test_json_schema__bounds_of_both_kinds_and_any_size__are_exact(void **state)
{
    const char *both = "{\"type\":\"integer\",\"minimum\":1,\"exclusiveMinimum\":1}";
    const char *largest = "{\"type\":\"integer\",\"maximum\":9223372036854775807,\"minimum\":0}";

    (void)state;
    assert_leaves(both, "1");
    assert_takes(both, "2");
    assert_takes("{\"type\":\"integer\",\"minimum\":1e15}", "1000000000000000");
    assert_leaves("{\"type\":\"integer\",\"minimum\":1e15}", "999999999999999");
    assert_takes(largest, "9223372036854775807");
    assert_leaves(largest, "9223372036854775808");
    assert_leaves(largest, "-1");
}

/* ------------------------------------------------------------------ numbers */

static void test_json_schema__number_bounds__are_met_digit_by_digit(void **state)
{
    const char *unit = "{\"type\":\"number\",\"minimum\":0,\"maximum\":1}";
    const char *open = "{\"type\":\"number\",\"exclusiveMinimum\":0.1,\"exclusiveMaximum\":2.5}";
    const char *below = "{\"type\":\"number\",\"maximum\":-0.25}";

    (void)state;
    assert_takes(unit, "0");
    assert_takes(unit, "0.5");
    assert_takes(unit, "1.0");
    assert_is_cut_at_end(unit, "1.01");
    assert_leaves(unit, "-0.5");
    assert_leaves(open, "0.1");
    assert_leaves(open, "0.10");
    assert_takes(open, "0.100001");
    assert_takes(open, "2.49999");
    assert_leaves(open, "2.5");
    assert_leaves(open, "2.50");
    assert_takes(below, "-0.25");
    assert_takes(below, "-7");
    assert_leaves(below, "-0.2");
    assert_leaves(below, "0");
    assert_takes("{\"type\":\"number\",\"minimum\":1e-7}", "0.0000001");
    assert_leaves("{\"type\":\"number\",\"minimum\":1e-7}", "0");
}

/* Every decimal of two places from -3 to 3 against bounds among them. */
static void test_json_schema__number_bounds__agree_with_arithmetic(void **state)
{
    static const int bounds[] = {-250, -200, -105, -10, -1, 0, 1, 10, 99, 100, 101, 250};
    enum { N = sizeof bounds / sizeof *bounds };
    static const char *const keys[] = {"minimum", "exclusiveMinimum", "maximum",
                                       "exclusiveMaximum"};

    (void)state;
    for (int i = 0; i < N * 4; i++) {
        int bound = bounds[i / 4];
        char schema[80];

        snprintf(schema, sizeof schema, "{\"type\":\"number\",\"%s\":%.2f}", keys[i % 4],
                 bound / 100.0);
        for (int x = -300; x <= 300; x += 7) {
            bool obeys = i % 4 == 0   ? x >= bound
                         : i % 4 == 1 ? x > bound
                         : i % 4 == 2 ? x <= bound
                                      : x < bound;
            char text[16];

            if (x == 0)
                continue; /* -0.00 is not written */
            snprintf(text, sizeof text, "%.2f", x / 100.0);
            if ((match(schema, text) == MATCH_WHOLE) != obeys)
                fail_msg("%s and %s", schema, text);
        }
    }
}

static void test_json_schema__multiple_of__is_enforced_for_whole_numbers(void **state)
{
    (void)state;
    for (int m = 1; m <= 30; m++) {
        char schema[100];

        snprintf(schema, sizeof schema,
                 "{\"type\":\"integer\",\"multipleOf\":%d,\"minimum\":-40,\"maximum\":210}", m);
        for (int x = -60; x <= 220; x++) {
            char text[16];

            snprintf(text, sizeof text, "%d", x);
            if ((match(schema, text) == MATCH_WHOLE) != (x % m == 0 && x >= -40 && x <= 210))
                fail_msg("%s and %s", schema, text);
        }
    }
    assert_takes("{\"type\":\"integer\",\"multipleOf\":100}", "12300");
    assert_takes("{\"type\":\"number\",\"multipleOf\":5}", "15");
    assert_takes("{\"multipleOf\":4,\"allOf\":[{\"multipleOf\":6}]}", "12");
    assert_leaves("{\"multipleOf\":4,\"allOf\":[{\"multipleOf\":6}]}", "18");
    assert_takes("{\"type\":\"integer\",\"multipleOf\":0.5}", "3");
    assert_refuses("{\"type\":\"number\",\"multipleOf\":0.01}",
                   "multipleOf can be enforced for whole");
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

/* Not of all of `ab.`, nor of the second byte of a letter. */
static void test_json_schema__repetition__is_of_one_character(void **state)
{
    (void)state;
    pattern_is("^ab\\.*$", "\"ab...\"", true);
    pattern_is("^ab\\.*$", "\"ab.ab.\"", false);
    pattern_is("^x\u00e9+$", "\"x\u00e9\u00e9\"", true);
    pattern_is("^x\u00e9+$", "\"x\u00e9x\u00e9\"", false);
}

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
    refuse_pattern("a\\", "a \\ at its end");
    refuse_pattern("^\\bword$", "an escape other than");
    refuse_pattern("^\\p{L}$", "an escape other than");
    refuse_pattern("^(a)\\1$", "an escape other than");
    refuse_pattern("^\\x4$", "an escape without its digits");
    refuse_pattern("^b(?=a)$", "a group (?...)");
    refuse_pattern("^(?<!a)b$", "a group (?...)");
    refuse_pattern("^a**$", "a double repetition");
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
    refuse_pattern("^[b-a]$", "a range in [] that is none");
    refuse_pattern("^[\\d-z]$", "a range in [] that is none");
    refuse_pattern("(a.{30}){30}b.{900}c", "too many ways to match");
    refuse_pattern("^[]$", "no JSON text obeys");
    refuse_pattern("^a^b$", "no JSON text obeys");
    assert_refuses("{\"pattern\":1}", "pattern must be a text");
    memset(deep, '(', 800);
    refuse_pattern(deep, "groups nested deeper");
    free(deep);
}

static void test_json_schema__patterns_without_anchors__match_anywhere(void **state)
{
    (void)state;
    pattern_is("foo", "\"a foo b\"", true);
    pattern_is("foo", "\"fo\"", false);
    pattern_is("^foo", "\"foo and more\"", true);
    pattern_is("^foo", "\"a foo\"", false);
    pattern_is("foo$", "\"a foo\"", true);
    pattern_is("foo$", "\"foo.\"", false);
    pattern_is("", "\"anything\"", true);
    pattern_is("^a$|^b", "\"bc\"", true);
    pattern_is("^a$|^b", "\"ac\"", false);
    pattern_is("^(?<year>\\d{4})-(?:a|b)+?$", "\"2024-ab\"", true);
}

/* One way to write each character: as itself, or by the escape that it needs. */
static void test_json_schema__patterns__write_what_needs_an_escape_as_one(void **state)
{
    (void)state;
    pattern_is("^\"$", "\"\\\"\"", true);
    pattern_is("^\\\\$", "\"\\\\\"", true);
    pattern_is("^\\n$", "\"\\n\"", true);
    pattern_is("^\\x01$", "\"\\u0001\"", true);
    pattern_is("^\\x1f$", "\"\\u001F\"", true);
    pattern_is("^\\x1f$", "\"\\u001e\"", false);
    pattern_is("^.$", "\"\\n\"", false);
    pattern_is("^.$", "\"\\t\"", true);
    pattern_is("^\\W$", "\"\\\"\"", true);
}

static void test_json_schema__patterns_lengths_and_formats__hold_together(void **state)
{
    const char *schema = "{\"type\":\"string\",\"pattern\":\"^a+b*$\",\"minLength\":2,"
                         "\"maxLength\":3,\"allOf\":[{\"pattern\":\"b\"}]}";

    (void)state;
    assert_takes(schema, "\"ab\"");
    assert_takes(schema, "\"aab\"");
    assert_leaves(schema, "\"aaa\"");
    assert_is_cut_at_end(schema, "\"aaa"); /* no b would find room */
    assert_takes("{\"format\":\"date\",\"pattern\":\"^20\"}", "\"2024-01-31\"");
    assert_leaves("{\"format\":\"date\",\"pattern\":\"^20\"}", "\"1924-01-31\"");
    assert_takes("{\"type\":\"string\",\"not\":{\"pattern\":\"x\"}}", "\"abc\"");
    assert_leaves("{\"type\":\"string\",\"not\":{\"pattern\":\"x\"}}", "\"axc\"");
    assert_refuses("{\"pattern\":\"^(ab|c)+$\",\"maxLength\":100000}", "so large a length");
}

static void format_is(const char *format, const char *text, bool taken)
{
    json_t *schema = json_pack("{s:s, s:s}", "type", "string", "format", format);
    char *dumped = json_dumps(schema, 0);
    char *quoted = malloc(strlen(text) + 3);

    assert_non_null(dumped);
    assert_non_null(quoted);
    sprintf(quoted, "\"%s\"", text);
    if (taken)
        assert_takes(dumped, quoted);
    else
        assert_leaves(dumped, quoted);
    free(quoted);
    free(dumped);
    json_decref(schema);
}

static void test_json_schema__formats__are_enforced(void **state)
{
    (void)state;
    format_is("date", "2024-02-29", true);
    format_is("date", "2023-02-29", false);
    format_is("date", "1900-02-29", false);
    format_is("date", "2000-02-29", true);
    format_is("date", "2024-04-31", false);
    format_is("time", "23:59:59.5+02:00", true);
    format_is("time", "24:00:00Z", false);
    format_is("date-time", "2024-02-29T10:00:00Z", true);
    format_is("duration", "P1Y2M3DT4H", true);
    format_is("duration", "P4W", true);
    format_is("duration", "P1YT", false);
    format_is("email", "first.last@example.co.uk", true);
    format_is("email", "first..last@example.com", false);
    format_is("email", "nobody", false);
    format_is("hostname", "a-b.example.com", true);
    format_is("hostname", "-a.example.com", false);
    format_is("ipv4", "192.168.0.255", true);
    format_is("ipv4", "192.168.0.256", false);
    format_is("ipv4", "192.168.00.1", false);
    format_is("ipv6", "2001:db8::8a2e:370:7334", true);
    format_is("ipv6", "::", true);
    format_is("ipv6", "::ffff:10.0.0.1", true);
    format_is("ipv6", "1::2::3", false);
    format_is("uri", "https://example.com:8080/a/b?c=d&e=%20#f", true);
    format_is("uri", "urn:isbn:0451450523", true);
    format_is("uri", "no scheme", false);
    format_is("json-pointer", "/a~1b/0", true);
    format_is("json-pointer", "a", false);
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
    assert_refuses("{\"$ref\":7}", "$ref must be a text");
    assert_refuses("{\"$ref\":\"#/required\",\"required\":[]}", "leads to no schema");
    assert_refuses(
        "{\"items\":{\"$id\":\"http://a/b\",\"$ref\":\"#/$defs/a\"},\"$defs\":{\"a\":{}}}",
        "at #/items: $id within a document");
}

/* What a $ref leads to is a schema, wherever it stands. */
static void test_json_schema__refs_into_annotations__are_checked_too(void **state)
{
    (void)state;
    assert_refuses("{\"properties\":{\"a\":{\"$ref\":\"#/default\"}},"
                   "\"default\":{\"wrong\":3}}",
                   "at #/default: wrong cannot be enforced");
    assert_refuses(
        "{\"properties\":{\"a\":{\"$ref\":\"#/default\"}},\"default\":{\"$ref\":\"#/x\"}}",
        "leads to no schema");
}

/* A definition in a circle with no text between: it is what its other ways are. */
static void test_json_schema__circle_through_any_of__is_what_the_others_are(void **state)
{
    const char *schema = "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":"
                         "\"#/$defs/a\"},{\"type\":\"null\"}]}}}";

    (void)state;
    assert_takes(schema, "null");
    assert_leaves(schema, "true");
    assert_refuses("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"allOf\":[{\"$ref\":"
                   "\"#/$defs/a\"}]}}}",
                   "no JSON text obeys");
}

static void test_json_schema__refs_beside_keywords_by_anchor_or_id__are_followed(void **state)
{
    (void)state;
    assert_takes("{\"$ref\":\"#/$defs/a\",\"minimum\":1,\"$defs\":{\"a\":{\"type\":\"integer\"}}}",
                 "1");
    assert_leaves("{\"$ref\":\"#/$defs/a\",\"minimum\":1,\"$defs\":{\"a\":{\"type\":\"integer\"}}}",
                  "0");
    assert_takes("{\"$ref\":\"#a\",\"$defs\":{\"x\":{\"$anchor\":\"a\",\"type\":\"null\"}}}",
                 "null");
    assert_takes("{\"$id\":\"http://a/b\",\"items\":{\"$ref\":\"http://a/b#/$defs/n\"},"
                 "\"$defs\":{\"n\":{\"type\":\"null\"}}}",
                 "[null]");
    assert_takes("{\"$ref\":\"#/$defs/a%25b\",\"$defs\":{\"a%b\":{\"type\":\"null\"}}}", "null");
}

/* ------------------------------------------------------------------ names */

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
    assert_refuses("{\"type\":\"array\",\"uniqueItems\":true}",
                   "at #: uniqueItems cannot be enforced");
    assert_refuses("{\"properties\":{\"a\":{\"items\":{\"requird\":true}}}}",
                   "at #/properties/a/items: requird cannot be enforced");
    assert_refuses("{\"unknown\":1}", "unknown cannot be enforced");
    assert_refuses("{\"$dynamicRef\":\"#a\"}", "$dynamicRef cannot be enforced");
    assert_refuses("{\"$defs\":{\"a\":{\"wrong\":1}}}", "at #/$defs/a: wrong cannot be enforced");
    assert_refuses("{\"type\":\"string\",\"format\":\"regex\"}", "format can be enforced for");
    assert_refuses("{\"type\":\"array\",\"contains\":{},\"minContains\":2}",
                   "contains can be enforced");
    assert_refuses("{\"type\":\"object\",\"minProperties\":2}",
                   "minProperties beside properties of any");
    assert_refuses("{\"type\":\"object\",\"propertyNames\":{\"maxLength\":3}}",
                   "propertyNames other");
    assert_refuses("{\"type\":\"array\",\"not\":{\"const\":[1]}}",
                   "not of a fixed array or object");
    assert_refuses("{\"unevaluatedProperties\":{\"type\":\"null\"}}",
                   "unevaluatedProperties other than");
    assert_refuses("{\"allOf\":[{\"unevaluatedProperties\":false}],\"properties\":{\"a\":{}}}",
                   "at #/allOf/0: unevaluatedProperties beside other schemas");
    assert_refuses("{\"x-order\":\"sorted\"}", "x-order");
}

static void test_json_schema__what_is_no_schema__is_refused(void **state)
{
    (void)state;
    assert_refuses("", "not JSON");
    assert_refuses("[]", "a schema (an object");
    assert_refuses("{\"type\":\"objekt\"}", "type is none of");
    assert_refuses("{\"type\":\" object\"}", "type is none of");
    assert_refuses("{\"type\":\"array string\"}", "type is none of");
    assert_refuses("{\"type\":\"null\\u0000\"}", "type is none of");
    assert_refuses("{\"type\":5}", "type must be a text");
    assert_refuses("{\"type\":[]}", "type must not be an empty list");
    assert_refuses("{\"type\":[\"null\",\"null\"]}", "the same type twice");
    assert_refuses("{\"enum\":[]}", "enum must be a list");
    assert_refuses("{\"enum\":1}", "enum must be a list");
    assert_refuses("{\"type\":\"string\",\"enum\":[1]}", "no JSON text obeys it");
    assert_refuses("{\"anyOf\":[]}", "anyOf must be a list of schemas");
    assert_refuses("{\"anyOf\":{}}", "anyOf must be a list of schemas");
    assert_refuses("{\"items\":[7]}", "items must be a schema");
    assert_refuses("{\"properties\":[]}", "properties must be an object of schemas");
    assert_refuses("{\"properties\":{\"a\":1}}", "properties must be an object of schemas");
    assert_refuses("{\"properties\":{\"a\":{}},\"required\":\"a\"}", "required must be a list");
    assert_refuses("{\"uniqueItems\":1}", "uniqueItems must be true or false");
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
    for (int i = 0; i < 1001; i++)
        n += (size_t)sprintf(wide + n, "%s\"p%d\":{}", i ? "," : "", i);
    strcpy(wide + n, "}}");
    assert_refuses(wide, "more than 1000 properties");
    memset(wide, ' ', 299999);
    wide[299999] = '\0';
    assert_refuses(wide, "longer than");
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

/* Equal claims are one rule, however many ways lead there; what really multiplies is refused in time. */
static void test_json_schema__what_multiplies__is_bounded(void **state)
{
    char *many = copies(12);
    char *ways = malloc(20000);
    size_t n = (size_t)sprintf(ways, "{\"allOf\":[");

    (void)state;
    assert_takes(many, "{\"p3\":{\"p0\":{}}}");
    assert_takes("{\"$ref\":\"#/$defs/o\",\"$defs\":{\"o\":{\"properties\":{\"a\":{\"allOf\":"
                 "[{\"$ref\":\"#/$defs/o\"}]}}}}}",
                 "{\"a\":{\"a\":{}}}");
    for (int i = 0; i < 30; i++)
        n += (size_t)sprintf(ways + n,
                             "%s{\"anyOf\":[{\"required\":[\"a%d\"]},{\"required\":[\"b%d\"]}]}",
                             i ? "," : "", i, i);
    strcpy(ways + n, "]}");
    assert_refuses(ways, "combine in too many ways");
    assert_refuses("{\"type\":\"string\",\"pattern\":\"^([a-z]{0,99}[0-9]{0,99}){0,99}$\","
                   "\"maxLength\":1000}",
                   "pattern");
    free(many);
    free(ways);
}

static void test_json_schema__many_optional_properties__are_taken(void **state)
{
    char *schema = malloc(20000);
    size_t n = (size_t)sprintf(schema, "{\"properties\":{");

    (void)state;
    for (int i = 0; i < 300; i++)
        n += (size_t)sprintf(schema + n, "%s\"p%d\":{\"type\":\"null\"}", i ? "," : "", i);
    strcpy(schema + n, "}}");
    assert_takes(schema, "{\"p3\":null,\"p99\":null}");
    assert_leaves(schema, "{\"p3\":null,\"p3\":null}");
    free(schema);
}

static void test_json_schema__out_of_memory__is_said_and_nothing_is_kept(void **state)
{
    inf_text schema = inf_str("{\"properties\":{\"a\":{\"pattern\":\"^[a-z]+$\"},\"b\":{\"$ref\":"
                              "\"#/$defs/b\"},\"c\":false,\"d\":{\"enum\":[\"x\",{}]}},"
                              "\"patternProperties\":{\"^x\":{\"not\":{\"const\":\"y\"}}},"
                              "\"$defs\":{\"b\":{\"type\":\"integer\"}}}");
    int64_t live = mem_live();

    (void)state;
    for (int64_t nth = 1;; nth++) {
        struct grammar *grammar = NULL;
        inf_error err = {0};
        int32_t code = INF_OK;

        mem_fail_nth(nth);
        code = json_schema_compile(&grammar, schema, &err);
        mem_fail_nth(0);
        grammar_free(grammar);
        assert_int_equal(mem_live(), live);
        if (code == INF_OK)
            break;
        assert_int_equal(code, INF_ERROR_NO_MEMORY);
        assert_true(nth < 5000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_schema__scalars__are_enforced),
        cmocka_unit_test(
            test_json_schema__half_a_surrogate_pair_or_an_endless_number__cannot_come_out),
        cmocka_unit_test(test_json_schema__annotations__say_nothing),
        cmocka_unit_test(test_json_schema__formats_of_others__bound_what_they_bound),
        cmocka_unit_test(test_json_schema__look_ahead_at_the_beginning__is_enforced),
        cmocka_unit_test(test_json_schema__names_by_type_or_reference__are_enforced),
        cmocka_unit_test(test_json_schema__program_with_a_comma__numbers_have_dots),
        cmocka_unit_test(test_json_schema__const_and_enum__are_enforced),
        cmocka_unit_test(test_json_schema__objects__have_what_is_required_and_nothing_else),
        cmocka_unit_test(test_json_schema__arrays__have_their_counts),
        cmocka_unit_test(test_json_schema__lengths_and_formats__are_enforced),
        cmocka_unit_test(test_json_schema__any_of_and_one_of__take_each_alternative),
        cmocka_unit_test(test_json_schema__one_of__takes_what_exactly_one_of_them_takes),
        cmocka_unit_test(test_json_schema__all_of__is_everything_together),
        cmocka_unit_test(test_json_schema__fixed_values__obey_everything_beside_them),
        cmocka_unit_test(test_json_schema__fixed_numbers__have_the_digits_of_the_schema),
        cmocka_unit_test(test_json_schema__what_cannot_be_denied__is_said_with_its_place),
        cmocka_unit_test(test_json_schema__true_and_false__are_schemas),
        cmocka_unit_test(test_json_schema__not__denies_values_types_and_keywords),
        cmocka_unit_test(test_json_schema__if_then_else__is_followed),
        cmocka_unit_test(test_json_schema__x_order_any__takes_each_property_once_in_any_order),
        cmocka_unit_test(test_json_schema__other_properties__come_behind_and_obey),
        cmocka_unit_test(test_json_schema__required_names_that_are_not_listed__may_hold_anything),
        cmocka_unit_test(test_json_schema__dependent_properties__come_with_what_they_need),
        cmocka_unit_test(test_json_schema__numbers_of_properties__are_enforced),
        cmocka_unit_test(test_json_schema__unevaluated_properties_false__leaves_what_is_spoken_of),
        cmocka_unit_test(test_json_schema__large_counts__need_no_copies),
        cmocka_unit_test(test_json_schema__items_of_an_enum__can_be_unique),
        cmocka_unit_test(test_json_schema__contains__is_one_item_at_least),
        cmocka_unit_test(test_json_schema__first_items_then_others__have_schemas_of_their_own),
        cmocka_unit_test(test_json_schema__integer_bounds__are_exact),
        cmocka_unit_test(test_json_schema__two_integer_bounds__are_exact),
        cmocka_unit_test(test_json_schema__integers__have_no_leading_zero),
        cmocka_unit_test(test_json_schema__bounds_that_cannot_be__are_refused),
        cmocka_unit_test(test_json_schema__bounds_of_both_kinds_and_any_size__are_exact),
        cmocka_unit_test(test_json_schema__number_bounds__are_met_digit_by_digit),
        cmocka_unit_test(test_json_schema__number_bounds__agree_with_arithmetic),
        cmocka_unit_test(test_json_schema__multiple_of__is_enforced_for_whole_numbers),
        cmocka_unit_test(test_json_schema__patterns__are_enforced),
        cmocka_unit_test(test_json_schema__repetition__is_of_one_character),
        cmocka_unit_test(test_json_schema__patterns__never_take_a_bare_quote_or_backslash),
        cmocka_unit_test(test_json_schema__patterns_that_cannot_be_enforced__are_refused),
        cmocka_unit_test(test_json_schema__patterns_without_anchors__match_anywhere),
        cmocka_unit_test(test_json_schema__patterns__write_what_needs_an_escape_as_one),
        cmocka_unit_test(test_json_schema__patterns_lengths_and_formats__hold_together),
        cmocka_unit_test(test_json_schema__formats__are_enforced),
        cmocka_unit_test(test_json_schema__refs__are_followed),
        cmocka_unit_test(test_json_schema__refs_that_lead_nowhere_or_in_a_circle__are_refused),
        cmocka_unit_test(test_json_schema__refs_into_annotations__are_checked_too),
        cmocka_unit_test(test_json_schema__circle_through_any_of__is_what_the_others_are),
        cmocka_unit_test(test_json_schema__refs_beside_keywords_by_anchor_or_id__are_followed),
        cmocka_unit_test(test_json_schema__names_that_could_be_rules_of_others__are_kept_apart),
        cmocka_unit_test(test_json_schema__keywords_that_cannot_be_enforced__are_refused_by_place),
        cmocka_unit_test(test_json_schema__what_is_no_schema__is_refused),
        cmocka_unit_test(test_json_schema__deep_or_large_schemas__are_bounded),
        cmocka_unit_test(test_json_schema__what_multiplies__is_bounded),
        cmocka_unit_test(test_json_schema__many_optional_properties__are_taken),
        cmocka_unit_test(test_json_schema__out_of_memory__is_said_and_nothing_is_kept),
    };

    return cmocka_run_group_tests(tests, grammar_match_open, grammar_match_close);
}
