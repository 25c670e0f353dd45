/*
 * split_scan: see the header. The alternatives are tried in the order of the patterns; where a regular
 * expression would go back, it is said what that comes to.
 */
#include "hf/tokenizer/split_scan.h"

#include "core/utf8.h"
#include "hf/tokenizer/char_kind.h"

#include <stdbool.h>
#include <string.h>

enum { WORD_OR_SPACE = CHAR_LETTER | CHAR_NUMBER | CHAR_SPACE };

/* The classes of the character at s[at], and its width. */
static inline unsigned look(const char *s, size_t at, size_t *width)
{
    *width = utf8_width(s[at]);
    return char_classes(utf8_decode(s + at, *width));
}

/* Behind the characters from `at` that have one of these classes. */
static inline size_t run_of(const char *s, size_t n, size_t at, unsigned classes)
{
    size_t width = 0;

    while (at < n && look(s, at, &width) & classes)
        at += width;
    return at;
}

/* And that have none of them. */
static inline size_t run_without(const char *s, size_t n, size_t at, unsigned classes)
{
    size_t width = 0;

    while (at < n && !(look(s, at, &width) & classes))
        at += width;
    return at;
}

static inline bool is_newline(char c)
{
    return c == '\r' || c == '\n';
}

/* Behind 's 't 're 've 'm 'll 'd at s[at]; `at`: there is none. In any case also the long s. */
static size_t contraction(const char *s, size_t n, size_t at, bool any_case)
{
    char fold = any_case ? 0x20 : 0;
    char first = 0, second = 0;

    if (n - at < 2 || s[at] != '\'')
        return at;
    first = (char)(s[at + 1] | fold);
    second = n - at > 2 ? (char)(s[at + 2] | fold) : 0;
    if (first == 's' || first == 't' || first == 'm' || first == 'd')
        return at + 2;
    if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
        (first == 'l' && second == 'l'))
        return at + 3;
    return any_case && n - at > 2 && memcmp(s + at + 1, "\xc5\xbf", 2) == 0 ? at + 3 : at;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ where white space begins; newlines: without the first of these. */
static size_t white_space(const char *s, size_t n, bool newlines)
{
    size_t end = 0, last = 0, after_newline = 0, width = 0;

    while (end < n && look(s, end, &width) & CHAR_SPACE) {
        if (newlines && is_newline(s[end]))
            after_newline = end + 1;
        last = end;
        end += width;
    }
    if (after_newline > 0)
        return after_newline;
    return end == n || last == 0 ? end : last; /* the last one goes with what follows */
}

/* [^\r\n\p{L}\p{N}]?[word]+; 0: no match. Only a mark can be both that sign and of a word. */
static inline size_t signed_word(const char *s, size_t n, unsigned classes, unsigned word,
                                 size_t width)
{
    size_t end = 0;

    if (classes & CHAR_LETTER)
        return run_of(s, n, width, word);
    if (classes & CHAR_NUMBER || is_newline(*s))
        return 0;
    end = run_of(s, n, width, word);
    if (end > width)
        return end;
    return classes & word ? width : 0;
}

static inline size_t some_numbers(const char *s, size_t n, int most)
{
    size_t at = 0, width = 0;

    for (int i = 0; i < most && at < n && look(s, at, &width) & CHAR_NUMBER; i++)
        at += width;
    return at;
}

/*  ?[^\s...]+ and what may follow; 0: no match. */
static inline size_t signs(const char *s, size_t n, unsigned others, bool newlines, bool slash)
{
    size_t begin = *s == ' ';
    size_t end = run_without(s, n, begin, others);

    if (end == begin)
        return 0;
    while (newlines && end < n && (is_newline(s[end]) || (slash && s[end] == '/')))
        end++;
    return end;
}

/* ------------------------------------------------------------------ GPT-2 */

static size_t scan_gpt2(const char *s, size_t n)
{
    size_t width = 0, begin = *s == ' ';
    size_t end = contraction(s, n, 0, false);
    unsigned classes = 0;

    if (end > 0)
        return end;
    if (begin == n)
        return n;
    classes = look(s, begin, &width);
    if (classes & CHAR_LETTER)
        return run_of(s, n, begin, CHAR_LETTER);
    if (classes & CHAR_NUMBER)
        return run_of(s, n, begin, CHAR_NUMBER);
    if (!(classes & CHAR_SPACE))
        return run_without(s, n, begin, WORD_OR_SPACE);
    return white_space(s, n, false);
}

/* ------------------------------------------------------------------ Llama 3, Qwen 2 and 3.5 */

static inline size_t scan_gpt4(const char *s, size_t n, unsigned word, int numbers)
{
    size_t width = 0;
    unsigned classes = look(s, 0, &width);
    size_t end = contraction(s, n, 0, true);

    if (end == 0)
        end = signed_word(s, n, classes, word, width);
    if (end == 0)
        end = some_numbers(s, n, numbers);
    if (end == 0)
        end = signs(s, n, WORD_OR_SPACE | word, true, false);
    return end ? end : white_space(s, n, true);
}

static size_t scan_llama3(const char *s, size_t n)
{
    return scan_gpt4(s, n, CHAR_LETTER, 3);
}

static size_t scan_qwen2(const char *s, size_t n)
{
    return scan_gpt4(s, n, CHAR_LETTER, 1);
}

static size_t scan_qwen3_5(const char *s, size_t n)
{
    return scan_gpt4(s, n, CHAR_LETTER | CHAR_MARK, 1);
}

/* ------------------------------------------------------------------ o200k */

/* A: Lu Lt Lm Lo M */
static inline bool may_be_upper(unsigned classes)
{
    return (classes & CHAR_MARK) || ((classes & CHAR_LETTER) && !(classes & CHAR_LOWER));
}

/* B: Ll Lm Lo M */
static inline bool may_be_lower(unsigned classes)
{
    return (classes & CHAR_MARK) || ((classes & CHAR_LETTER) && !(classes & CHAR_UPPER));
}

/* A*B+, and A+B* where that fails, from `at`; `at`: neither. */
static size_t cased_word(const char *s, size_t n, size_t at)
{
    size_t end = at, both = at, width = 0, uppers = 0;

    for (; end < n; end += width) {
        unsigned classes = look(s, end, &width);

        if (!may_be_upper(classes))
            break;
        if (may_be_lower(classes))
            both = end + width; /* where A* can give one back to B+ */
    }
    uppers = end;
    for (; end < n && may_be_lower(look(s, end, &width)); end += width) {
    }
    if (end > uppers)
        return end;
    return both > at ? both : uppers;
}

/* The first alternative fails where no character of B is found; then the second is asked, with the
 * sign again before it. */
static size_t signed_cased_word(const char *s, size_t n)
{
    size_t width = 0;
    unsigned classes = look(s, 0, &width);
    bool sign = !(classes & (CHAR_LETTER | CHAR_NUMBER)) && !is_newline(*s);
    size_t begin = sign ? width : 0;
    size_t end = cased_word(s, n, begin);
    bool lower = false;

    if (!sign || !(classes & CHAR_MARK))
        return end > begin ? contraction(s, n, end, true) : 0;
    /* a mark may also be of the word: A*B+ with the sign, without it, then A+B* likewise */
    for (size_t at = begin, w = 0; at < end && !lower; at += w)
        lower = may_be_lower(look(s, at, &w));
    if (lower)
        return contraction(s, n, end, true);
    return contraction(s, n, width, true); /* the mark alone is A*B+ */
}

static size_t scan_o200k(const char *s, size_t n)
{
    size_t end = signed_cased_word(s, n);

    if (end == 0)
        end = some_numbers(s, n, 3);
    if (end == 0)
        end = signs(s, n, WORD_OR_SPACE, true, true);
    return end ? end : white_space(s, n, true);
}

/* ------------------------------------------------------------------ which pattern is whose */

#define GPT4(WORD, OTHERS, NUMBERS)                                                                \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?" WORD "+|" NUMBERS "| ?[^\\s" OTHERS      \
    "]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define O200K(UPPER, LOWER)                                                                        \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]" UPPER                             \
    "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]" LOWER "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"

static const struct {
    const char *pattern;
    text_scanner *scanner;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     scan_gpt2},
    {GPT4("\\p{L}", "\\p{L}\\p{N}", "\\p{N}{1,3}"), scan_llama3},
    {GPT4("\\p{L}", "\\p{L}\\p{N}", "\\p{N}"), scan_qwen2},
    {GPT4("[\\p{L}\\p{M}]", "\\p{L}\\p{M}\\p{N}", "\\p{N}"), scan_qwen3_5},
    {O200K("*", "+") O200K("+", "*") "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|"
                                     "\\s+(?!\\S)|\\s+",
     scan_o200k},
};

text_scanner *split_scanner(const char *pattern, size_t n)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].pattern) == n && memcmp(known[i].pattern, pattern, n) == 0)
            return known[i].scanner;
    return NULL;
}
