/* split_scan: the scanners written by hand against the regular expressions they stand for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "hf/tokenizer/text_pattern.h"

#define GPT4_END "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD_BEGIN "[^\\r\\n\\p{L}\\p{N}]?"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"

static const char *const patterns[] = {
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    CONTRACTIONS "|" WORD_BEGIN "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" GPT4_END,
    CONTRACTIONS "|" WORD_BEGIN "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" GPT4_END,
    CONTRACTIONS "|" WORD_BEGIN
                 "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" GPT4_END,
    WORD_BEGIN UPPER "*" LOWER "+" CONTRACTIONS "?|" WORD_BEGIN UPPER "+" LOWER "*" CONTRACTIONS
                     "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" GPT4_END,
};

/* What the alternatives tell apart, and what they may be wrong about. */
static const char *const parts[] = {" ",
                                    " ",
                                    "  ",
                                    "\n",
                                    "\r\n",
                                    "\t",
                                    "'",
                                    "'s",
                                    "'S",
                                    "'re",
                                    "'LL",
                                    "'\xc5\xbf",
                                    "'d",
                                    "a",
                                    "b",
                                    "word",
                                    "A",
                                    "ABC",
                                    "Ab",
                                    "1",
                                    "22",
                                    "4444",
                                    ".",
                                    "!?",
                                    "/",
                                    "_",
                                    "-",
                                    "\xc3\xa9",
                                    "\xc3\x89",
                                    "e\xcc\x81",
                                    "\xcc\x81",
                                    "\xcc\x81\xcc\xa3",
                                    "\xca\xb0",
                                    "\xc7\x85",
                                    "\xe4\xb8\xad",
                                    "\xed\x95\x9c",
                                    "\xe0\xb8\x81\xe0\xb9\x89",
                                    "\xc2\xbd",
                                    "\xd9\xa3",
                                    "\xe2\x85\xa7",
                                    "\xc2\xa0",
                                    "\xe3\x80\x80",
                                    "\xe2\x80\xa8",
                                    "\xc2\x85",
                                    "\xe1\xa0\x8e",
                                    "\xe2\x80\x8b",
                                    "\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd",
                                    "\xf0\x9d\x94\x98",
                                    "\xf0\xa0\x80\x80",
                                    "\xe2\x80\x9c",
                                    "\xe2\x92\xb6",
                                    "\xcb\x88",
                                    "\xe0\xa4\xbf",
                                    "\xf0\xb1\x8d\x90" /* a letter of Unicode 15 */};

static uint32_t seed = 1;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void same_pieces(struct text_pattern *p, struct text_pattern_work *work, const char *s,
                        size_t n)
{
    struct text_matches m = {.pattern = p, .work = work, .s = s, .n = n};
    text_scanner *scan = text_pattern_scanner(p);
    int32_t code = INF_OK;
    inf_error err = {0};

    for (size_t at = 0; at < n;) {
        size_t len = scan(s + at, n - at);

        assert_true(text_matches_next(&m, &code, &err));
        if (m.begin != at || m.end != at + len)
            fail_msg("\"%.*s\": from %zu to %zu, not %zu to %zu", (int)n, s, at, at + len, m.begin,
                     m.end);
        at += len;
    }
    assert_false(text_matches_next(&m, &code, &err));
    assert_int_equal(code, INF_OK);
}

static void random_texts(struct text_pattern *p, struct text_pattern_work *work)
{
    char text[512];

    for (int round = 0; round < 4000; round++) {
        size_t n = 0;

        for (uint32_t left = 1 + random_below(20); left > 0; left--) {
            const char *part = parts[random_below(sizeof parts / sizeof parts[0])];

            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
        same_pieces(p, work, text, n);
    }
}

static void test_scanners__random_texts__pieces_of_the_pattern(void **state)
{
    struct text_pattern_work *work = text_pattern_work_create();

    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct text_pattern *p = NULL;
        inf_error err = {0};

        assert_int_equal(text_pattern_regex(&p, patterns[i], strlen(patterns[i]), &err), INF_OK);
        assert_non_null(text_pattern_scanner(p));
        random_texts(p, work);
        text_pattern_free(p);
    }
    text_pattern_work_free(work);
}

/* Whether a pattern matches a text from its beginning to its end. */
static bool matches(const char *pattern, const char *text)
{
    struct text_pattern_work *work = text_pattern_work_create();
    struct text_matches m = {.work = work, .s = text, .n = strlen(text)};
    struct text_pattern *p = NULL;
    int32_t code = INF_OK;
    inf_error err = {0};
    bool found = false;

    if (text_pattern_regex(&p, pattern, strlen(pattern), &err) != INF_OK)
        fail_msg("%s: %s", pattern, err.message);
    m.pattern = p;
    found = text_matches_next(&m, &code, &err) && m.begin == 0 && m.end == m.n;
    text_pattern_free(p);
    text_pattern_work_free(work);
    return found;
}

static void test_regex__what_oniguruma_means__matched(void **state)
{
    (void)state;
    assert_false(matches("\\s", "\xe1\xa0\x8e")); /* U+180E is no white space */
    assert_true(matches("[\\S]", "\xe1\xa0\x8e"));
    assert_true(matches("\\s+", "\xc2\x85\xe2\x80\xa8\x0b"));
    assert_true(matches("\\w+", "a\xcc\x81_1\xe2\x92\xb6"));
    assert_true(matches("\\w", "\xc2\xbd"));
    assert_false(matches("\\w", "\xe2\x85\x93"));
    assert_true(matches("\\h+", "0aF"));
    assert_true(matches("\\u4e00", "\xe4\xb8\x80"));
    assert_true(matches("[\\u4e00-\\u9fa5]+", "\xe4\xb8\x80\xe4\xb8\x81"));
    assert_true(matches("(?m:.)", "\n"));
    assert_false(matches(".", "\n"));
    assert_true(matches("a{,2}", "aa"));
    assert_true(matches("\\p{^L}", "1"));
    assert_false(matches("\\P{L}", "\xf0\xb1\x8d\x90")); /* of Unicode 15 */
    assert_true(matches("\\p{Lo}", "\xf0\xb1\x8d\x90"));
    assert_true(matches("x(?=y)|y", "y"));
    assert_true(matches("{", "{"));
}

static void test_regex__unknown_or_costly__one_line(void **state)
{
    static const char *const bad[][2] = {{"[a[b]]", "a set inside a set"},
                                         {"[a&&b]", "intersection"},
                                         {"a(?i)b", "flags"},
                                         {"\\y", "escape"},
                                         {"(*UTF)", "verb"},
                                         {"a{2}+", "sign behind"},
                                         {"(", "not a regular expression"},
                                         {"[\\W]", "class in a set"},
                                         {"\\p{Nope}", "not a regular"},
                                         {"(?x:a b)", "group"},
                                         {"\\xff", "ASCII"}};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct text_pattern *p = NULL;
        inf_error err = {0};

        assert_int_not_equal(text_pattern_regex(&p, bad[i][0], strlen(bad[i][0]), &err), INF_OK);
        assert_null(p);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], err.message);
    }
}

static void test_regex__backtracks_without_end__stopped(void **state)
{
    struct text_pattern_work *work = text_pattern_work_create();
    struct text_pattern *p = NULL;
    struct text_matches m;
    char text[4000];
    int32_t code = INF_OK;
    inf_error err = {0};

    (void)state;
    memset(text, 'a', sizeof text);
    text[3999] = 'b';
    assert_int_equal(text_pattern_regex(&p, "(?:a|a?)+$", 10, &err), INF_OK);
    m = (struct text_matches){.pattern = p, .work = work, .s = text, .n = sizeof text};
    assert_false(text_matches_next(&m, &code, &err));
    assert_int_equal(code, INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "too long"));
    text_pattern_free(p);
    text_pattern_work_free(work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scanners__random_texts__pieces_of_the_pattern),
        cmocka_unit_test(test_regex__what_oniguruma_means__matched),
        cmocka_unit_test(test_regex__unknown_or_costly__one_line),
        cmocka_unit_test(test_regex__backtracks_without_end__stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
