/*
 * Specification of gbnf_check: which GBNF grammars are taken, which are refused and in what words.
 * What is taken, llama.cpp's own parser must take too, and at once: each is compiled and matched.
 */
#include "grammar_match.h"

#include "core/clock.h"
#include "core/memory.h"
#include "llamacpp/gbnf_check.h"

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

    assert_int_equal(gbnf_check(grammar, NULL, NULL, &err), INF_ERROR_INVALID_ARGUMENT);
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

static void test_gbnf_check__texts_classes_and_alternatives__are_taken(void **state)
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

static void test_gbnf_check__repetitions__are_taken(void **state)
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

static void test_gbnf_check__rules_comments_and_lines__are_taken(void **state)
{
    (void)state;
    assert_takes("# first\n\nroot ::= a-1 b # then\n\na-1 ::= \"x\"\nb ::=\n  \"y\"\n", "xy");
    assert_takes("root ::= (\"a\"\n  | \"b\"\n) \"c\"\r\n", "bc");
    assert_takes("root ::= \"a\" |\n \"b\"", "b");
    assert_takes("root ::= \"a\" root | \"b\"", "aab");
    assert_takes("root ::= list\nlist ::= \"(\" list* \")\"", "(()(()))");
    assert_takes("root ::= e \"b\"\ne ::= \"a\" e |", "aab");
}

static void test_gbnf_check__tokens_by_number__are_taken(void **state)
{
    (void)state;
    assert_takes("root ::= <[104]> <[105]>", "hi");
    assert_takes("root ::= !<[104]>", "i");
    assert_leaves("root ::= !<[104]>", "h");
}

static bool only_think(void *arg, const char *text, size_t len)
{
    (void)arg;
    return len == 7 && memcmp(text, "<think>", 7) == 0;
}

static void test_gbnf_check__token_by_name__must_be_one_of_the_vocabulary(void **state)
{
    inf_error err = {0};

    (void)state;
    assert_int_equal(gbnf_check(inf_str("root ::= <think>"), only_think, NULL, &err), INF_OK);
    assert_int_equal(gbnf_check(inf_str("root ::= \"a\"\n <other>"), only_think, NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(gbnf_check(inf_str("root ::= <other>"), only_think, NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "not one token of the model"));
    assert_int_equal(grammar_match(inf_str("root ::= <no-such>"), inf_str(""), &err),
                     MATCH_REFUSED);
    assert_non_null(strstr(err.message, "not one token of the model"));
}

/* ------------------------------------------------------------------ what is refused: syntax */

static void test_gbnf_check__wrong_syntax__is_refused_with_its_line(void **state)
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

static void test_gbnf_check__rules_that_are_missing__are_named(void **state)
{
    (void)state;
    assert_refuses("", "no rule 'root'");
    assert_refuses("# nothing", "no rule 'root'");
    assert_refuses("start ::= \"a\"", "no rule 'root'");
    assert_refuses("root ::= digit+", "the rule 'digit' is not defined");
}

static void test_gbnf_check__not_utf8_or_nul__is_refused(void **state)
{
    (void)state;
    assert_refuses("root ::= \"\xff\"", "UTF-8");
    assert_refuses("root ::= \"\xc0\xa2\"", "UTF-8");
    assert_refuses_text((inf_text){"root ::= \"a\"\0", 13}, "NUL");
}

/* ------------------------------------------------------------------ what is refused: hostile */

static void test_gbnf_check__minimum_above_maximum__is_refused(void **state)
{
    (void)state;
    assert_refuses("root ::= \"a\"{5,2}", "minimum is above its maximum");
}

static void test_gbnf_check__huge_counts__are_refused(void **state)
{
    (void)state;
    assert_refuses("root ::= \"a\"{2001}", "more than 2000");
    assert_refuses("root ::= \"a\"{0,99999999999999999999999}", "more than 2000");
    assert_refuses("root ::= (\"a\"{0,100}){100}", "more than 2000 together");
    assert_refuses("root ::= \"a\"{100}{100}", "more than 2000 together");
}

static void test_gbnf_check__deep_brackets__are_refused(void **state)
{
    char *open = repeated("root ::= ", "(", 200000, "");
    char *both = repeated("root ::= ", "(", 101, "\"a\"");

    (void)state;
    assert_refuses(open, "deeper than 100");
    assert_refuses(both, "deeper than 100");
    free(open);
    free(both);
}

static void test_gbnf_check__deep_brackets_within_the_limit__are_taken(void **state)
{
    char *open = repeated("root ::= ", "(", 100, "\"a\"");
    char *all = repeated(open, ")", 100, "");

    (void)state;
    assert_takes(all, "a");
    free(open);
    free(all);
}

static void test_gbnf_check__left_recursion__is_refused(void **state)
{
    (void)state;
    assert_refuses("root ::= root \"a\" | \"b\"", "begins with itself");
    assert_refuses("root ::= a\na ::= b \"x\"\nb ::= a | \"y\"", "begins with itself");
    assert_refuses("root ::= (root)? \"a\"", "begins with itself");
    assert_refuses("root ::= \"a\"\nunused ::= unused \"b\"", "begins with itself");
}

static void test_gbnf_check__left_recursion_behind_what_may_be_empty__is_refused(void **state)
{
    (void)state;
    assert_refuses("root ::= e root \"a\" | \"b\"\ne ::= f\nf ::= g\ng ::= \"\"",
                   "begins with itself");
    assert_refuses("root ::= \"a\"? root \"b\"", "begins with itself");
    assert_refuses("root ::= \"a\"{0,3} root \"b\"", "begins with itself");
    assert_refuses("root ::= \"a\"{0} root", "begins with itself");
    assert_refuses("root ::= (\"a\" | ) (\"b\"*) root \"c\"", "begins with itself");
}

static void test_gbnf_check__endless_repetition_of_nothing__is_refused(void **state)
{
    (void)state;
    assert_refuses("root ::= \"a\"**", "endless repetition of what may be empty");
    assert_refuses("root ::= \"a\"?+", "endless repetition of what may be empty");
    assert_refuses("root ::= (\"a\" | )*", "endless repetition of what may be empty");
    assert_refuses("root ::= x{3,}\nx ::= | \"a\"", "endless repetition of what may be empty");
}

/* Each rule begins with the next in two ways: 2^n. */
static void test_gbnf_check__exponential_rules__are_refused_at_once(void **state)
{
    char grammar[8192] = "root ::= r0\n";
    size_t n = strlen(grammar);

    (void)state;
    for (int i = 0; i < 60; i++)
        n += (size_t)snprintf(grammar + n, sizeof grammar - n, "r%d ::= r%d \"x\" | r%d \"y\"\n", i,
                              i + 1, i + 1);
    snprintf(grammar + n, sizeof grammar - n, "r60 ::= \"a\"\n");
    assert_refuses(grammar, "more than 10000 ways");
}

/* Each copy of what may be empty is one more way: 2000^n. */
static void test_gbnf_check__repeated_empty_rules__are_refused_at_once(void **state)
{
    (void)state;
    assert_refuses("root ::= d\na ::= | \"a\"\nb ::= | a{0,2000}\nc ::= | b{0,2000}\n"
                   "d ::= | c{0,2000}\n",
                   "in a row");
    assert_refuses("root ::= c{9}\na ::= \"a\"?\nb ::= a{9}\nc ::= b{9}\n", "in a row");
}

/* One digit of [0-9]*{2000} may be that of any of the copies: 2000^3 steps for each. */
static void test_gbnf_check__long_rows_of_what_may_be_empty__are_refused(void **state)
{
    char *row = repeated("root ::= \"a\" ", "[0-9]* ", 257, "\"b\"");
    char *fits = repeated("root ::= \"a\" ", "[0-9]* ", 200, "\"b\"");

    (void)state;
    assert_refuses("root ::= [0-9]*{2000}?", "256 parts in a row");
    assert_refuses("root ::= \"a\" [0-9]*{2000}", "256 parts in a row");
    assert_refuses("root ::= \"a\" b{2000}\nb ::= [0-9]?", "256 parts in a row");
    assert_refuses("root ::= \"a\" b{20}\nb ::= c{20}\nc ::= [0-9]?", "256 parts in a row");
    assert_refuses(row, "256 parts in a row");
    assert_takes(fits, "a12b");
    assert_takes("root ::= \"a\" [0-9]{0,2000} \"b\"", "a1b");
    assert_takes("root ::= ws rest\nrest ::= | \",\" root\nws ::= \" \"*", " , ,");
    free(row);
    free(fits);
}

/* Each a may be that of either alternative: 2^n. The matcher stops. */
static void test_grammar__ambiguous_without_end__allows_nothing_in_the_end(void **state)
{
    char text[64];
    inf_error err = {0};
    int64_t before = clock_us();

    (void)state;
    memset(text, 'a', 60);
    strcpy(text + 60, "b");
    assert_takes("root ::= \"a\" root \"x\" | \"a\" root \"y\" | \"b\"", "aabxy");
    assert_int_equal(grammar_match(inf_str("root ::= \"a\" root \"x\" | \"a\" root \"y\" | \"b\""),
                                   inf_str(text), &err),
                     MATCH_NOT);
    assert_true(clock_us() - before < 90 * 1000000);
}

/* Many rules that nothing begins with, each with many ways: llama.cpp walks all of them. */
static void test_gbnf_check__many_rules_of_many_ways__are_refused(void **state)
{
    char *grammar = malloc(1 << 20);
    size_t n = (size_t)sprintf(grammar, "root ::= \"a\" t0\n");

    (void)state;
    for (int i = 0; i < 10; i++)
        n += (size_t)sprintf(grammar + n, "r%d ::= r%d \"x\" | r%d \"y\"\n", i, i + 1, i + 1);
    n += (size_t)sprintf(grammar + n, "r10 ::= \"a\"\n");
    for (int i = 0; i < 20000; i++)
        n += (size_t)sprintf(grammar + n, "t%d ::= r0 \"z\" \n", i);
    assert_refuses(grammar, "begin in too many ways");
    free(grammar);
}

static void test_gbnf_check__large_grammars__are_bounded(void **state)
{
    char *bytes = repeated("root ::= \"", "abcdefgh", (1 << 20) / 8, "\"");
    char *elements = repeated("root ::= ", "[a-z]{2000} ", 300, "");
    char *rules = repeated("root ::= ", "(\"a\")", 70000, "");
    char *taken = repeated("root ::= \"", "abcdefgh", 20000, "\"");

    (void)state;
    assert_refuses(bytes, "longer than");
    assert_refuses(elements, "too large");
    assert_refuses(rules, "too many rules");
    assert_leaves(taken, "abc");
    free(bytes);
    free(elements);
    free(rules);
    free(taken);
}

static void test_gbnf_check__out_of_memory__is_said_and_nothing_is_kept(void **state)
{
    inf_text grammar = inf_str("root ::= (\"a\" | b)* c\nb ::= \"b\"\nc ::= \"c\" (\"d\" | \"e\")");
    int64_t live = mem_live();
    inf_error err;

    (void)state;
    for (int64_t nth = 1;; nth++) {
        int32_t code = INF_OK;

        mem_fail_nth(nth);
        code = gbnf_check(grammar, NULL, NULL, &err);
        mem_fail_nth(0);
        assert_int_equal(mem_live(), live);
        if (code == INF_OK)
            break;
        assert_int_equal(code, INF_ERROR_NO_MEMORY);
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
        cmocka_unit_test(test_gbnf_check__texts_classes_and_alternatives__are_taken),
        cmocka_unit_test(test_gbnf_check__repetitions__are_taken),
        cmocka_unit_test(test_gbnf_check__rules_comments_and_lines__are_taken),
        cmocka_unit_test(test_gbnf_check__tokens_by_number__are_taken),
        cmocka_unit_test(test_gbnf_check__token_by_name__must_be_one_of_the_vocabulary),
        cmocka_unit_test(test_gbnf_check__wrong_syntax__is_refused_with_its_line),
        cmocka_unit_test(test_gbnf_check__rules_that_are_missing__are_named),
        cmocka_unit_test(test_gbnf_check__not_utf8_or_nul__is_refused),
        cmocka_unit_test(test_gbnf_check__minimum_above_maximum__is_refused),
        cmocka_unit_test(test_gbnf_check__huge_counts__are_refused),
        cmocka_unit_test(test_gbnf_check__deep_brackets__are_refused),
        cmocka_unit_test(test_gbnf_check__deep_brackets_within_the_limit__are_taken),
        cmocka_unit_test(test_gbnf_check__left_recursion__is_refused),
        cmocka_unit_test(test_gbnf_check__left_recursion_behind_what_may_be_empty__is_refused),
        cmocka_unit_test(test_gbnf_check__endless_repetition_of_nothing__is_refused),
        cmocka_unit_test(test_gbnf_check__exponential_rules__are_refused_at_once),
        cmocka_unit_test(test_gbnf_check__repeated_empty_rules__are_refused_at_once),
        cmocka_unit_test(test_gbnf_check__long_rows_of_what_may_be_empty__are_refused),
        cmocka_unit_test(test_gbnf_check__many_rules_of_many_ways__are_refused),
        cmocka_unit_test(test_grammar__ambiguous_without_end__allows_nothing_in_the_end),
        cmocka_unit_test(test_gbnf_check__large_grammars__are_bounded),
        cmocka_unit_test(test_gbnf_check__out_of_memory__is_said_and_nothing_is_kept),
        cmocka_unit_test(test_grammar__bytes_that_are_not_utf8__are_not_allowed),
    };

    return cmocka_run_group_tests(tests, grammar_match_open, grammar_match_close);
}
