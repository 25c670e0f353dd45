/*
 * regex_syntax: see the header. White space and word characters are Unicode's there and something
 * else in PCRE2, . ^ $ and the flag m differ, and \h and \v; sets inside sets have no counterpart.
 */
#include "hf/tokenizer/regex_syntax.h"

#include "core/ascii.h"
#include "hf/tokenizer/char_kind.h"
#include "hf/tokenizer/char_tables.h"

#include <string.h>

#define SPACES                                                                                     \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"    \
    "\\x{205f}\\x{3000}"
/* Those of Unicode 15 and 16, which PCRE2 may be too old for. */
#define NEWER_DIGITS                                                                               \
    "\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11f50}-\\x{11f59}"         \
    "\\x{16130}-\\x{16139}\\x{16d70}-\\x{16d79}\\x{1ccf0}-\\x{1ccf9}\\x{1e4f0}-\\x{1e4f9}"         \
    "\\x{1e5f1}-\\x{1e5fa}"
#define DIGITS "\\p{Nd}" NEWER_DIGITS
#define NEWER '~' /* stands for the letters and marks that PCRE2 may be too old for */
#define WORDS_IN_SET "~\\p{Alphabetic}\\p{M}\\p{Pc}" DIGITS
/* Outside of a set with the superscripts and fractions of Latin-1, and no others. */
#define WORDS WORDS_IN_SET "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

struct writing {
    struct buffer *out;
    const char *at, *end;
    const char *begin;
    inf_error *err;
    int32_t code;
};

static bool refuse(struct writing *w, const char *what)
{
    w->code = error_set(w->err, INF_ERROR_UNSUPPORTED,
                        "a regular expression with %s, which is not supported", what);
    return false;
}

static bool put(struct writing *w, const char *s, size_t n)
{
    if (buffer_append(w->out, s, n))
        return true;
    w->code = error_no_memory(w->err);
    return false;
}

static bool put_str(struct writing *w, const char *s)
{
    return put(w, s, strlen(s));
}

/* The n next bytes as they are. */
static bool copy(struct writing *w, size_t n)
{
    size_t left = (size_t)(w->end - w->at);

    n = n < left ? n : left;
    w->at += n;
    return put(w, w->at - n, n);
}

/* What a class stands for, outside a set and inside one. */
static const struct {
    char letter;
    const char *outside, *inside; /* NULL: not there */
} classes[] = {
    {'s', "[" SPACES "]", SPACES},
    {'S', "[^" SPACES "]", "\\S\\x{180e}"},
    {'d', "[" DIGITS "]", DIGITS},
    {'D', "[^" DIGITS "]", "\\P{Nd}"},
    {'w', "[" WORDS "]", WORDS_IN_SET},
    {'W', "[^" WORDS "]", NULL},
    {'h', "[0-9A-Fa-f]", "0-9A-Fa-f"},
    {'H', "[^0-9A-Fa-f]", NULL},
    {'v', "\\x{b}", "\\x{b}"},
    {'b', "(?:(?<=[" WORDS "])(?![" WORDS "])|(?<![" WORDS "])(?=[" WORDS "]))", "\\x{8}"},
    {'B', "(?:(?<=[" WORDS "])(?=[" WORDS "])|(?<![" WORDS "])(?![" WORDS "]))", NULL},
    {'r', "\\r", "\\r"},
    {'n', "\\n", "\\n"},
    {'t', "\\t", "\\t"},
    {'f', "\\f", "\\f"},
    {'a', "\\a", "\\a"},
    {'e', "\\e", "\\e"},
    {'A', "\\A", NULL},
    {'z', "\\z", NULL},
    {'Z', "\\Z", NULL},
    {'G', "\\G", NULL},
    {'R', "\\R", NULL},
};

/* A run is of a category; its bits that `value` has say so. */
static const struct {
    const char *name;
    unsigned mask, value;
} categories[] = {{"L", CHAR_LETTER, CHAR_LETTER},
                  {"N", CHAR_NUMBER, CHAR_NUMBER},
                  {"M", CHAR_MARK, CHAR_MARK},
                  {"P", CHAR_PUNCT, CHAR_PUNCT},
                  {"S", CHAR_SYMBOL, CHAR_SYMBOL},
                  {"Lu", CHAR_UPPER, CHAR_UPPER},
                  {"Ll", CHAR_LOWER, CHAR_LOWER},
                  {"Lm", RUN_MODIFIER, RUN_MODIFIER},
                  {"Lo", CHAR_LETTER | CHAR_UPPER | CHAR_LOWER | RUN_MODIFIER, CHAR_LETTER}};

/* The characters that PCRE2 may be too old for, of those runs whose bits in `mask` are `value`. */
static bool put_newer(struct writing *w, unsigned mask, unsigned value)
{
    for (size_t i = 0; i < char_runs_n; i++) {
        struct char_run run = char_run_at(char_runs, char_runs_n, i);

        if ((run.kind & RUN_NEWER) && (run.kind & mask) == value &&
            !buffer_printf(w->out, "\\x{%x}-\\x{%x}", (unsigned)run.first, (unsigned)run.end - 1)) {
            w->code = error_no_memory(w->err);
            return false;
        }
    }
    return true;
}

static bool put_newer_of_category(struct writing *w, const char *name, size_t len)
{
    for (size_t c = 0; c < sizeof categories / sizeof categories[0]; c++)
        if (strlen(categories[c].name) == len && memcmp(categories[c].name, name, len) == 0)
            return put_newer(w, categories[c].mask, categories[c].value);
    return len != 2 || memcmp(name, "Nd", 2) != 0 || put_str(w, NEWER_DIGITS);
}

/* What stands in the table of classes. */
static bool put_class(struct writing *w, const char *text)
{
    for (const char *mark; (mark = strchr(text, NEWER)); text = mark + 1)
        if (!put(w, text, (size_t)(mark - text)) || !put_newer(w, CHAR_LETTER, CHAR_LETTER) ||
            !put_newer(w, CHAR_MARK, CHAR_MARK))
            return false;
    return put_str(w, text);
}

/* Names that PCRE2 has otherwise; the length of the one that it has. */
static const char *property_name(const char *name, size_t *len)
{
    static const char *const names[][2] = {
        {"Alpha", "Alphabetic"},
        {"Letter", "L"},
        {"Mark", "M"},
        {"Number", "N"},
        {"Punctuation", "P"},
        {"Symbol", "S"},
        {"Separator", "Z"},
        {"Digit", "Nd"},
        {"Upper", "Uppercase"},
        {"Lower", "Lowercase"},
        {"Other", "C"},
        /* of scripts PCRE2 takes the extensions too where nothing else is said */
        {"Han", "sc:Han"},
        {"Hiragana", "sc:Hiragana"},
        {"Katakana", "sc:Katakana"},
        {"Hangul", "sc:Hangul"},
        {"Latin", "sc:Latin"},
        {"Greek", "sc:Greek"},
        {"Cyrillic", "sc:Cyrillic"},
        {"Arabic", "sc:Arabic"},
        {"Hebrew", "sc:Hebrew"},
        {"Devanagari", "sc:Devanagari"},
        {"Bengali", "sc:Bengali"},
        {"Thai", "sc:Thai"},
        {"Tamil", "sc:Tamil"},
        {"Telugu", "sc:Telugu"},
        {"Georgian", "sc:Georgian"},
        {"Armenian", "sc:Armenian"}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i][0]) == *len && memcmp(names[i][0], name, *len) == 0) {
            *len = strlen(names[i][1]);
            return names[i][1];
        }
    return name;
}

/* \p{Name}, \P{Name}, \p{^Name}: a set, with what is newer; inside a set only the first can be one. */
static bool write_property(struct writing *w, bool inside)
{
    const char *brace = w->end - w->at > 3 && w->at[2] == '{'
                            ? memchr(w->at, '}', (size_t)(w->end - w->at))
                            : NULL;
    bool negated = w->at[1] == 'P';
    const char *name = w->at + 3;
    size_t len = 0;
    bool ok = true;

    if (!brace)
        return refuse(w, "\\p without a name in braces");
    if (*name == '^') {
        negated = !negated;
        name++;
    }
    len = (size_t)(brace - name);
    name = property_name(name, &len);
    w->at = brace + 1;
    if (!inside)
        ok = put_str(w, negated ? "[^" : "[");
    ok = ok && put_str(w, inside && negated ? "\\P{" : "\\p{") && put(w, name, len) &&
         put_str(w, "}") && ((inside && negated) || put_newer_of_category(w, name, len));
    return ok && (inside || put_str(w, "]"));
}

static bool is_hex(const char *s, size_t n)
{
    uint32_t value = 0;

    return read_hex_digits(s, n, &value);
}

/* \uHHHH, \xHH below 0x80, \x{...} */
static bool write_code(struct writing *w)
{
    size_t left = (size_t)(w->end - w->at);

    if (w->at[1] == 'u') {
        if (left < 6 || !is_hex(w->at + 2, 4))
            return refuse(w, "a damaged \\u");
        if (!put_str(w, "\\x{") || !put(w, w->at + 2, 4) || !put_str(w, "}"))
            return false;
        w->at += 6;
        return true;
    }
    if (left > 2 && w->at[2] == '{')
        return copy(w, 3);
    if (left < 4 || !is_hex(w->at + 2, 2) || w->at[2] > '7')
        return refuse(w, "\\x of a byte that is no ASCII");
    return copy(w, 4);
}

static bool write_escape(struct writing *w, bool inside)
{
    char c = w->end - w->at > 1 ? w->at[1] : '\0';

    if (c == 'p' || c == 'P')
        return write_property(w, inside);
    if (c == 'u' || c == 'x')
        return write_code(w);
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (classes[i].letter == c) {
            const char *text = inside ? classes[i].inside : classes[i].outside;

            w->at += 2;
            return text ? put_class(w, text)
                        : refuse(w, "a class in a set that cannot stand there");
        }
    if (c == '\0' || is_letter(c) || (is_digit(c) && (inside || c == '0')))
        return refuse(w, "an escape that is not known");
    return copy(w, 2);
}

/* From [ to its ]. */
static bool write_set(struct writing *w)
{
    if (!copy(w, w->end - w->at > 1 && w->at[1] == '^' ? 2 : 1))
        return false;
    for (bool first = true; w->at < w->end && (first || *w->at != ']'); first = false) {
        bool ok = true;

        if (*w->at == '[')
            return refuse(w, "a set inside a set");
        if (*w->at == '&' && w->end - w->at > 1 && w->at[1] == '&')
            return refuse(w, "an intersection of sets");
        ok = *w->at == '\\' ? write_escape(w, true) : copy(w, 1);
        if (!ok)
            return false;
    }
    return copy(w, 1);
}

/* The flags of (?i) (?i:...) (?m-i:...); at: behind the question mark. */
static bool write_flags(struct writing *w)
{
    bool first = w->at == w->begin + 2;

    for (; w->at < w->end && *w->at != ':' && *w->at != ')'; w->at++) {
        if (*w->at != 'i' && *w->at != 'm' && *w->at != '-')
            return refuse(w, "a group of a kind that is not known");
        if (!put(w, *w->at == 'm' ? "s" : w->at, 1))
            return false;
    }
    if (w->at < w->end && *w->at == ')' && !first)
        return refuse(w, "flags that change in the middle");
    return copy(w, 1);
}

static bool write_group(struct writing *w)
{
    static const char *const plain[] = {"?:", "?=", "?!", "?<=", "?<!", "?>"};
    size_t left = (size_t)(w->end - w->at);

    if (left > 1 && w->at[1] == '*')
        return refuse(w, "a verb");
    if (left < 2 || w->at[1] != '?')
        return copy(w, 1);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (left > strlen(plain[i]) && memcmp(w->at + 1, plain[i], strlen(plain[i])) == 0)
            return copy(w, 1 + strlen(plain[i]));
    if (left > 2 && w->at[2] == '<')
        return copy(w, 3); /* a name */
    return copy(w, 2) && write_flags(w);
}

/* {n} {n,} {,m} {n,m}; a brace that is none of these stands for itself in both. */
static bool write_counts(struct writing *w)
{
    const char *brace = memchr(w->at, '}', (size_t)(w->end - w->at));
    bool comma = false;

    for (const char *at = w->at + 1; brace && at < brace; at++) {
        comma = comma || *at == ',';
        if (!is_digit(*at) && *at != ',')
            return put_str(w, "\\{") && (w->at++, true);
    }
    if (!brace || brace == w->at + 1 || (comma && brace == w->at + 2))
        return put_str(w, "\\{") && (w->at++, true);
    if (brace + 1 < w->end && (brace[1] == '+' || (brace[1] == '?' && !comma)))
        return refuse(w, "{...} with a sign behind it that Ruby reads otherwise");
    if (w->at[1] == ',' && (!put_str(w, "{0") || !(w->at++, true)))
        return false;
    return copy(w, (size_t)(brace + 1 - w->at));
}

int32_t regex_syntax_write(struct buffer *out, const char *pattern, size_t n, inf_error *err)
{
    struct writing w = {out, pattern, pattern + n, pattern, err, INF_OK};
    bool ok = true;

    while (ok && w.at < w.end) {
        switch (*w.at) {
        case '\\':
            ok = write_escape(&w, false);
            break;
        case '[':
            ok = write_set(&w);
            break;
        case '(':
            ok = write_group(&w);
            break;
        case '{':
            ok = write_counts(&w);
            break;
        default:
            ok = copy(&w, 1);
        }
    }
    return w.code;
}
