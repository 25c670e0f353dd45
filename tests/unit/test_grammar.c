/*
 * Specification of grammars: which GBNF is taken, which is refused and in what words, which texts a
 * grammar lets through, and that no grammar, however ambiguous, takes long.
 */
#include "grammar_match.h"

#include "core/clock.h"
#include "core/memory.h"
#include "text/constraint/gbnf.h"
#include "text/constraint/grammar_matcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ------------------------------------------------------------------ helpers */

static void assert_takes(const char *grammar, const char *text)
{
    inf_error err = {0};

    if (grammar_match(inf_str(grammar), inf_str(text), &err) != MATCH_WHOLE)
        fail_msg("%s\ndoes not take '%s' %s", grammar, text, err.message);
}

static void assert_leaves(const char *grammar, const char *text)
{
    inf_error err = {0};
    enum match match = grammar_match(inf_str(grammar), inf_str(text), &err);

    if (match == MATCH_WHOLE || match == MATCH_REFUSED)
        fail_msg("%s\ntakes '%s' %s", grammar, text, err.message);
}

static void assert_refuses_text(inf_text grammar, const char *why)
{
    inf_error err = {0};
    int64_t before = clock_us();
    int64_t live = mem_live();

    struct grammar *g = NULL;

    assert_int_equal(gbnf_compile(&g, grammar, NULL, NULL, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_null(g);
    assert_int_equal(err.code, INF_ERROR_INVALID_ARGUMENT);
    if (!strstr(err.message, why) || strncmp(err.message, "grammar", 7) != 0)
        fail_msg("%.200s\nis refused with: %s\nand not: %s", grammar.data, err.message, why);
    assert_int_equal(mem_live(), live);
    assert_true(clock_us() - before < 20 * 1000000);
}

static void assert_refuses(const char *grammar, const char *why)
{
    assert_refuses_text(inf_str(grammar), why);
}

/* `piece` n times between the two others; free it. */
static char *repeated(const char *before, const char *piece, size_t n, const char *after)
{
    size_t len = strlen(piece);
    char *all = malloc(strlen(before) + n * len + strlen(after) + 1);
    char *at = all;

    assert_non_null(all);
    at += sprintf(at, "%s", before);
    for (size_t i = 0; i < n; i++, at += len)
        memcpy(at, piece, len);
    strcpy(at, after);
    return all;
}

/* ------------------------------------------------------------------ what is taken */

static void test_gbnf__texts_classes_and_alternatives__are_taken(void **state)
{
    (void)state;
    assert_takes("root ::= \"yes\" | \"no\"", "no");
    assert_leaves("root ::= \"yes\" | \"no\"", "maybe");
    assert_leaves("root ::= \"yes\" | \"no\"", "ye");
    assert_takes("root ::= [a-cx] [^0-9] .", "bx!");
    assert_leaves("root ::= [^0-9]", "5");
    assert_takes("root ::= \"\\x41\\u00e9\\U0001F600\\t\\n\\r\\\\\\\"\"",
                 "A\u00e9\U0001F600\t\n\r\\\"");
    assert_takes("root ::= [\\]\\[\\-\\\\]+", "]-[\\");
    assert_takes("root ::= [a-]+", "a-");
    assert_takes("root ::= \"\u00e9\"", "\u00e9");
    assert_takes("root ::= \"\"", "");
    assert_takes("root ::=", "");
}

static void test_gbnf__repetitions__are_taken(void **state)
{
    (void)state;
    assert_takes("root ::= \"a\"? \"b\"* \"c\"+ \"d\"{2} \"e\"{1,} \"f\"{0,3}", "bbcddef");
    assert_leaves("root ::= \"d\"{2}", "d");
    assert_leaves("root ::= \"d\"{0,2}", "ddd");
    assert_takes("root ::= \"d\"{ 0 , 2 }", "dd");
    assert_takes("root ::= \"ab\"{2}", "abab");
    assert_takes("root ::= (\"a\" | \"b\"){3} \"c\"", "abac");
    assert_takes("root ::= \"a\"{0} \"b\"", "b");
    assert_takes("root ::= [0-9]{2000}?", "");
    assert_takes("root ::= (\"a\"?)*", "aa");
}

static void test_gbnf__rules_comments_and_lines__are_taken(void **state)
{
    (void)state;
    assert_takes("# first\n\nroot ::= a-1 b # then\n\na-1 ::= \"x\"\nb ::=\n  \"y\"\n", "xy");
    assert_takes("root ::= (\"a\"\n  | \"b\"\n) \"c\"\r\n", "bc");
    assert_takes("root ::= \"a\" |\n \"b\"", "b");
    assert_takes("root ::= \"a\" root | \"b\"", "aab");
    assert_takes("root ::= list\nlist ::= \"(\" list* \")\"", "(()(()))");
    assert_takes("root ::= e \"b\"\ne ::= \"a\" e |", "aab");
}

static void test_gbnf__tokens_by_number__are_taken(void **state)
{
    (void)state;
    assert_takes("root ::= <[104]> <[105]>", "hi");
    assert_takes("root ::= !<[104]>", "i");
    assert_leaves("root ::= !<[104]>", "h");
}

static int32_t only_think(void *arg, const char *text, size_t len)
{
    (void)arg;
    return len == 7 && memcmp(text, "<think>", 7) == 0 ? 5 : -1;
}

static void test_gbnf__token_by_name__must_be_one_of_the_vocabulary(void **state)
{
    struct grammar *g = NULL;
    inf_error err = {0};

    (void)state;
    assert_int_equal(gbnf_compile(&g, inf_str("root ::= <think>"), only_think, NULL, &err), INF_OK);
    grammar_free(g);
    assert_int_equal(gbnf_compile(&g, inf_str("root ::= \"a\"\n <other>"), only_think, NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(gbnf_compile(&g, inf_str("root ::= <other>"), only_think, NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "not one token of the model"));
    assert_int_equal(grammar_match(inf_str("root ::= <no-such>"), inf_str(""), &err),
                     MATCH_REFUSED);
    assert_non_null(strstr(err.message, "not one token of the model"));
}

/* ------------------------------------------------------------------ what is refused: syntax */

static void test_gbnf__wrong_syntax__is_refused_with_its_line(void **state)
{
    (void)state;
    assert_refuses("root ::= \"a\nb\n", "line 3: a text without its closing \"");
    assert_refuses("root ::= [a", "a character class without its closing ]");
    assert_refuses("root ::= []", "an empty character class");
    assert_refuses("root ::= [^]", "an empty character class");
    assert_refuses("root ::= \"\\q\"", "unknown escape");
    assert_refuses("root ::= \"\\x4\"", "hexadecimal digits expected");
    assert_refuses("root ::= \"\\", "ends within an escape");
    assert_refuses("root ::= (\"a\"", "( without )");
    assert_refuses("root ::= \"a\")", "the end of the rule expected");
    assert_refuses("root ::= *", "nothing before");
    assert_refuses("root ::= \"\"*", "nothing before");
    assert_refuses("root ::= \"a\"{0}*", "nothing before");
    assert_refuses("root ::= \"a\"{,2}", "a number expected");
    assert_refuses("root ::= \"a\"{2", "{ without }");
    assert_refuses("root ::= \"a\"{2,3", "{ without }");
    assert_refuses("root = \"a\"", "::= expected");
    assert_refuses("::= \"a\"", "the name of a rule expected");
    assert_refuses("root ::= \"a\"\nroot ::= \"b\"", "defined twice");
    assert_refuses("root ::= \"a\" %", "the end of the rule expected");
    assert_refuses("root ::= !\"a\"", "a token in angle brackets expected");
    assert_refuses("root ::= <a", "without its closing >");
    assert_refuses("root ::= <[12>", "not one token");
    assert_refuses("root ::= <[99999999999]>", "not one token");
    assert_refuses("root ::= <[]>", "not one token");
}

static void test_gbnf__rules_that_are_missing__are_named(void **state)
{
    (void)state;
    assert_refuses("", "no rule 'root'");
    assert_refuses("# nothing", "no rule 'root'");
    assert_refuses("start ::= \"a\"", "no rule 'root'");
    assert_refuses("root ::= digit+", "the rule 'digit' is not defined");
}

static void test_gbnf__not_utf8_or_nul__is_refused(void **state)
{
    (void)state;
    assert_refuses("root ::= \"\xff\"", "UTF-8");
    assert_refuses("root ::= \"\xc0\xa2\"", "UTF-8");
    assert_refuses_text((inf_text){"root ::= \"a\"\0", 13}, "NUL");
}

/* ------------------------------------------------------------------ what is refused: hostile */

static void test_gbnf__minimum_above_maximum__is_refused(void **state)
{
    (void)state;
    assert_refuses("root ::= \"a\"{5,2}", "minimum is above its maximum");
}

static void test_gbnf__huge_counts__are_refused(void **state)
{
    (void)state;
    assert_refuses("root ::= \"a\"{2001}", "more than 2000");
    assert_refuses("root ::= \"a\"{0,99999999999999999999999}", "more than 2000");
    assert_takes("root ::= (\"a\"{0,100}){100}", "aaaa");
    assert_refuses("root ::= ((\"a\"{1000}){1000}){1000}", "too large");
}

static void test_gbnf__deep_brackets__are_refused(void **state)
{
    char *open = repeated("root ::= ", "(", 200000, "");
    char *both = repeated("root ::= ", "(", 101, "\"a\"");

    (void)state;
    assert_refuses(open, "deeper than 100");
    assert_refuses(both, "deeper than 100");
    free(open);
    free(both);
}

static void test_gbnf__deep_brackets_within_the_limit__are_taken(void **state)
{
    char *open = repeated("root ::= ", "(", 100, "\"a\"");
    char *all = repeated(open, ")", 100, "");

    (void)state;
    assert_takes(all, "a");
    free(open);
    free(all);
}

static void test_gbnf__left_recursion__is_followed(void **state)
{
    inf_error err = {0};

    (void)state;
    assert_takes("root ::= root \"a\" | \"b\"", "baa");
    assert_leaves("root ::= root \"a\" | \"b\"", "bab");
    assert_takes("root ::= a\na ::= b \"x\"\nb ::= a | \"y\"", "yxx");
    assert_takes("root ::= (root)? \"a\"", "aaa");
    assert_takes("root ::= \"a\"\nunused ::= unused \"b\"", "a");
    assert_takes("root ::= e root \"a\" | \"b\"\ne ::= f\nf ::= g\ng ::= \"\"", "baaa");
    assert_takes("root ::= \"a\"? root \"b\" | \"c\"", "aacbbb");
    assert_leaves("root ::= \"a\"? root \"b\" | \"c\"", "aacb");
    assert_int_equal(grammar_match(inf_str("root ::= root"), inf_str(""), &err), MATCH_REFUSED);
    assert_non_null(strstr(err.message, "no text that follows"));
    assert_takes("root ::= e \"+\" e | e\ne ::= e \"*\" e | [0-9]", "1*2*3+4");
}

static void test_gbnf__endless_repetition_of_nothing__is_the_repetition(void **state)
{
    (void)state;
    assert_takes("root ::= \"a\"**", "aaa");
    assert_takes("root ::= \"a\"?+ \"b\"", "aab");
    assert_takes("root ::= (\"a\" | )*", "");
    assert_takes("root ::= x{3,} \"b\"\nx ::= | \"a\"", "b");
    assert_takes("root ::= x{3,}\nx ::= | \"a\"", "aaaaa");
    assert_takes("root ::= ((\"a\"*)* (\"b\"*)*)*", "aabbab");
}

/* ------------------------------------------------------------------ ambiguous without end */

static void assert_is_quick(const char *grammar, const char *text, enum match match)
{
    int64_t before = clock_us();
    inf_error err = {0};
    enum match got = grammar_match(inf_str(grammar), inf_str(text), &err);

    if (got != match)
        fail_msg("%.300s\nmatches as %d, not %d: %s", grammar, (int)got, (int)match, err.message);
    assert_true(clock_us() - before < 20 * 1000000);
}

/* Each rule begins with the next in two ways: 2^60. */
static void test_grammar__exponentially_many_ways__are_one_step(void **state)
{
    char grammar[8192] = "root ::= r0\n";
    char text[64];
    size_t n = strlen(grammar);

    (void)state;
    for (int i = 0; i < 60; i++)
        n += (size_t)snprintf(grammar + n, sizeof grammar - n, "r%d ::= r%d \"x\" | r%d \"y\"\n", i,
                              i + 1, i + 1);
    snprintf(grammar + n, sizeof grammar - n, "r60 ::= \"a\"\n");
    memset(text, 'x', 61);
    text[0] = 'a';
    text[61] = '\0';
    assert_is_quick(grammar, text, MATCH_WHOLE);
    text[60] = '\0';
    assert_is_quick(grammar, text, MATCH_UNFINISHED);
}

/* Each a may be that of either alternative: 2^n. */
static void test_grammar__each_letter_in_two_ways__is_followed(void **state)
{
    const char *grammar = "root ::= \"a\" root \"x\" | \"a\" root \"y\" | \"b\"";
    char text[402];

    (void)state;
    memset(text, 'a', 200);
    text[200] = 'b';
    for (int i = 0; i < 200; i++)
        text[201 + i] = i % 3 ? 'x' : 'y';
    text[401] = '\0';
    assert_is_quick(grammar, text, MATCH_WHOLE);
    text[400] = '\0';
    assert_is_quick(grammar, text, MATCH_UNFINISHED);
    text[210] = 'b';
    assert_is_quick(grammar, text, MATCH_NOT);
}

static void test_grammar__rows_of_what_may_be_empty__are_followed(void **state)
{
    char *row = repeated("root ::= \"a\" ", "[0-9]* ", 1000, "\"b\"");
    char *optional = repeated("root ::= ", "[a-z]? ", 2000, "");

    (void)state;
    assert_is_quick(row, "a12345b", MATCH_WHOLE);
    assert_is_quick(optional, "thequickbrownfox", MATCH_WHOLE);
    assert_is_quick("root ::= [0-9]*{2000}?", "123", MATCH_WHOLE);
    assert_is_quick("root ::= d\na ::= | \"a\"\nb ::= | a{0,2000}\nc ::= | b{0,2000}\n"
                    "d ::= | c{0,2000}\n",
                    "aaa", MATCH_WHOLE);
    assert_is_quick("root ::= a a a a a a a a\na ::= [a-z ]* [a-z ]* [a-z ]* [a-z ]*",
                    "the quick brown fox jumps over the lazy dog", MATCH_WHOLE);
    assert_takes("root ::= ws rest\nrest ::= | \",\" root\nws ::= \" \"*", " , ,");
    free(row);
    free(optional);
}

/* What the text has left behind is thrown away: memory does not grow with it. */
static void test_grammar__long_text__needs_no_more_memory(void **state)
{
    struct grammar *g = NULL;
    struct grammar_matcher *m = NULL;
    int64_t early = 0;

    (void)state;
    assert_int_equal(gbnf_compile(&g,
                                  inf_str("root ::= item (\",\" item)*\nitem ::= \"[\" digit* \"]\""
                                          "\ndigit ::= [0-9]"),
                                  NULL, NULL, NULL),
                     INF_OK);
    m = grammar_matcher_create(g);
    assert_non_null(m);
    assert_true(grammar_matcher_accept(m, -1, "[1]", 3));
    for (int i = 0; i < 200000; i++) {
        assert_true(grammar_matcher_accept(m, -1, ",[12345]", 8));
        if (i == 20000)
            early = mem_live();
    }
    assert_true(grammar_matcher_may_end(m));
    assert_true(mem_live() <= early);
    assert_false(grammar_matcher_accept(m, -1, "x", 1));
    grammar_matcher_free(m);
    grammar_free(g);
}

static void test_gbnf__large_grammars__are_bounded(void **state)
{
    char *bytes = repeated("root ::= \"", "abcdefgh", (1 << 20) / 8, "\"");
    char *elements = repeated("root ::= ", "[a-z]{2000} ", 300, "");
    char *taken = repeated("root ::= \"", "abcdefgh", 20000, "\"");

    (void)state;
    assert_refuses(bytes, "longer than");
    assert_refuses(elements, "too large");
    assert_leaves(taken, "abc");
    free(bytes);
    free(elements);
    free(taken);
}

static void test_gbnf__out_of_memory__is_said_and_nothing_is_kept(void **state)
{
    inf_text grammar = inf_str(
        "root ::= (\"a\" | b)* c [^x]\nb ::= \"b\"\nc ::= \"c\" (\"d\" | \"e\")");
    int64_t live = mem_live();
    bool done = false;

    (void)state;
    for (int64_t nth = 1; !done; nth++) {
        struct grammar *g = NULL;
        struct grammar_matcher *m = NULL;
        inf_error err;

        mem_fail_nth(nth);
        if (gbnf_compile(&g, grammar, NULL, NULL, &err) == INF_OK) {
            m = grammar_matcher_create(g);
            done = m && grammar_matcher_accept(m, -1, "abcdz", 5) && grammar_matcher_may_end(m);
            if (m && !done)
                assert_true(grammar_matcher_gave_up(m));
        } else {
            assert_int_equal(err.code, INF_ERROR_NO_MEMORY);
        }
        mem_fail_nth(0);
        grammar_matcher_free(m);
        grammar_free(g);
        assert_int_equal(mem_live(), live);
        assert_true(nth < 1000);
    }
}

/* ------------------------------------------------------------------ the constraint */

static void test_grammar__bytes_that_are_not_utf8__are_not_allowed(void **state)
{
    const char *any = "root ::= [^\\x22]* \"\\x22\"";

    (void)state;
    assert_takes(any, "\u00e9\U0001F600\"");
    assert_leaves(any, "\xc0\xa2");
    assert_leaves(any, "\xe0\x80\xa2");
    assert_leaves(any, "\xed\xa0\x80");
    assert_leaves(any, "\xf4\x90\x80\x80");
    assert_leaves(any, "\xc3\"");
    assert_leaves(any, "\xff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gbnf__texts_classes_and_alternatives__are_taken),
        cmocka_unit_test(test_gbnf__repetitions__are_taken),
        cmocka_unit_test(test_gbnf__rules_comments_and_lines__are_taken),
        cmocka_unit_test(test_gbnf__tokens_by_number__are_taken),
        cmocka_unit_test(test_gbnf__token_by_name__must_be_one_of_the_vocabulary),
        cmocka_unit_test(test_gbnf__wrong_syntax__is_refused_with_its_line),
        cmocka_unit_test(test_gbnf__rules_that_are_missing__are_named),
        cmocka_unit_test(test_gbnf__not_utf8_or_nul__is_refused),
        cmocka_unit_test(test_gbnf__minimum_above_maximum__is_refused),
        cmocka_unit_test(test_gbnf__huge_counts__are_refused),
        cmocka_unit_test(test_gbnf__deep_brackets__are_refused),
        cmocka_unit_test(test_gbnf__deep_brackets_within_the_limit__are_taken),
        cmocka_unit_test(test_gbnf__left_recursion__is_followed),
        cmocka_unit_test(test_gbnf__endless_repetition_of_nothing__is_the_repetition),
        cmocka_unit_test(test_grammar__exponentially_many_ways__are_one_step),
        cmocka_unit_test(test_grammar__each_letter_in_two_ways__is_followed),
        cmocka_unit_test(test_grammar__rows_of_what_may_be_empty__are_followed),
        cmocka_unit_test(test_grammar__long_text__needs_no_more_memory),
        cmocka_unit_test(test_gbnf__large_grammars__are_bounded),
        cmocka_unit_test(test_gbnf__out_of_memory__is_said_and_nothing_is_kept),
        cmocka_unit_test(test_grammar__bytes_that_are_not_utf8__are_not_allowed),
    };

    return cmocka_run_group_tests(tests, grammar_match_open, grammar_match_close);
}
