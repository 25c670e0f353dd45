/*
 * lexer: a template's source as tokens, as jinja2's lexer cuts it with trim_blocks and lstrip_blocks.
 * A failure is a token: it counts only when the parser gets there.
 */
#include "text/template/char_name.h"
#include "text/template/engine.h"
#include "text/template/unicode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS 300000
#define MAX_BALANCE 256

struct lexer {
    struct vm *vm;
    const char *s;
    size_t len;
    size_t pos;
    int line;
    struct token *items;
    size_t n;
    size_t cap;
    char balance[MAX_BALANCE];
    size_t n_balance;
    bool failed;
};

static const struct operator
{
    const char *text;
    enum token_type type;
}
OPERATORS[] = {
    {"//", T_FLOORDIV}, {"**", T_POW},   {"==", T_EQ},      {"!=", T_NE},      {">=", T_GTEQ},
    {"<=", T_LTEQ},     {"+", T_ADD},    {"-", T_SUB},      {"/", T_DIV},      {"*", T_MUL},
    {"%", T_MOD},       {"~", T_TILDE},  {"[", T_LBRACKET}, {"]", T_RBRACKET}, {"(", T_LPAREN},
    {")", T_RPAREN},    {"{", T_LBRACE}, {"}", T_RBRACE},   {">", T_GT},       {"<", T_LT},
    {"=", T_ASSIGN},    {".", T_DOT},    {":", T_COLON},    {"|", T_PIPE},     {",", T_COMMA},
    {";", T_SEMICOLON},
};
#define N_OPERATORS (sizeof OPERATORS / sizeof *OPERATORS)

const char *token_name(enum token_type type)
{
    static const char *const NAMES[] = {
        [T_EOF] = "end of template",
        [T_DATA] = "template data / text",
        [T_VARIABLE_BEGIN] = "begin of print statement",
        [T_VARIABLE_END] = "end of print statement",
        [T_BLOCK_BEGIN] = "begin of statement block",
        [T_BLOCK_END] = "end of statement block",
        [T_NAME] = "name",
        [T_STRING] = "string",
        [T_INTEGER] = "integer",
        [T_FLOAT] = "float",
    };

    for (size_t i = 0; i < N_OPERATORS; i++)
        if (OPERATORS[i].type == type)
            return OPERATORS[i].text;
    return NAMES[type];
}

/* ------------------------------------------------------------------ tokens */

static struct token *emit(struct lexer *x, enum token_type type, struct text *text)
{
    if (x->n == MAX_TOKENS)
        vm_throw(x->vm, E_LIMIT, "it has more than %d tokens", MAX_TOKENS);
    if (x->n == x->cap)
        VM_GROW(x->vm, x->items, x->n, x->cap, 256);
    x->items[x->n] = (struct token){.type = type, .line = x->line, .text = text};
    return &x->items[x->n++];
}

static void fail(struct lexer *x, struct text *message)
{
    emit(x, T_ERROR, message);
    x->failed = true;
}

/* Goes on to `to`, counting lines. */
static void advance(struct lexer *x, size_t to)
{
    for (; x->pos < to; x->pos++)
        x->line += x->s[x->pos] == '\n';
}

static bool at(const struct lexer *x, size_t pos, const char *what)
{
    size_t n = strlen(what);

    return x->len - pos >= n && pos <= x->len && memcmp(x->s + pos, what, n) == 0;
}

static size_t skip_space(const struct lexer *x, size_t pos)
{
    while (pos < x->len) {
        size_t next = pos;

        if (!unicode_space(utf8_step(x->s, &next)))
            break;
        pos = next;
    }
    return pos;
}

/* ------------------------------------------------------------------ text between tags */

static size_t strip_right(const char *s, size_t from, size_t end)
{
    while (end > from) {
        size_t back = utf8_back(s, end);
        size_t next = back;

        if (!unicode_space(utf8_step(s, &next)))
            break;
        end = back;
    }
    return end;
}

/* Only blanks between the start of the line and the tag: they are cut (lstrip_blocks). */
static size_t strip_line(const struct lexer *x, size_t from, size_t end)
{
    size_t start = end;
    bool line_start = from == 0 || x->s[from - 1] == '\n';

    while (start > from && x->s[start - 1] != '\n')
        start--;
    if (start == from && !line_start)
        return end;
    return skip_space(x, start) >= end ? start : end;
}

/* The text from pos to `end`, where a tag with this sign starts. */
static void emit_data(struct lexer *x, size_t end, char sign, bool variable)
{
    size_t cut = end;

    if (sign == '-')
        cut = strip_right(x->s, x->pos, end);
    else if (sign != '+' && !variable)
        cut = strip_line(x, x->pos, end);
    if (cut > x->pos)
        emit(x, T_DATA, text_new(x->vm, x->s + x->pos, cut - x->pos));
    advance(x, end);
}

/* "%}" and its kin at pos, with a sign: where it ends; 0: it is not there. */
static size_t tag_end(const struct lexer *x, size_t pos, const char *end, bool plus)
{
    if (plus && at(x, pos, "+") && at(x, pos + 1, end))
        return pos + 3;
    if (at(x, pos, "-") && at(x, pos + 1, end))
        return skip_space(x, pos + 3);
    if (!at(x, pos, end))
        return 0;
    return plus && at(x, pos + 2, "\n") ? pos + 3 : pos + 2;
}

static void lex_comment(struct lexer *x)
{
    if (x->pos == x->len)
        return;
    for (size_t i = x->pos; i < x->len; i++) {
        size_t end = tag_end(x, i, "#}", true);

        if (end) {
            advance(x, end);
            return;
        }
    }
    fail(x, text_of(x->vm, "Missing end of comment tag"));
}

static size_t word(const struct lexer *x, size_t pos, const char *name)
{
    pos = skip_space(x, pos);
    return at(x, pos, name) ? skip_space(x, pos + strlen(name)) : 0;
}

/* {% raw %} at pos: where it ends, 0: it is none. */
static size_t raw_begin(const struct lexer *x, size_t pos)
{
    size_t p = pos + 2;

    if (at(x, p, "-") || at(x, p, "+"))
        p++;
    p = word(x, p, "raw");
    return p ? tag_end(x, p, "%}", false) : 0;
}

static void lex_raw(struct lexer *x)
{
    if (x->pos == x->len)
        return;
    for (size_t i = x->pos; i < x->len; i++) {
        char sign = 0;
        size_t p = i + 2;

        if (!at(x, i, "{%"))
            continue;
        if (at(x, p, "-") || at(x, p, "+"))
            sign = x->s[p++];
        p = word(x, p, "endraw");
        p = p ? tag_end(x, p, "%}", true) : 0;
        if (p) {
            emit_data(x, i, sign, false);
            advance(x, p);
            return;
        }
    }
    fail(x, text_of(x->vm, "Missing end of raw directive"));
}

/* ------------------------------------------------------------------ literals */

static bool is_digit(const struct lexer *x, size_t pos)
{
    return pos < x->len && x->s[pos] >= '0' && x->s[pos] <= '9';
}

/* (\d+_)*\d+ */
static size_t digits(const struct lexer *x, size_t pos)
{
    if (!is_digit(x, pos))
        return pos;
    for (;;) {
        while (is_digit(x, pos))
            pos++;
        if (!at(x, pos, "_") || !is_digit(x, pos + 1))
            return pos;
        pos++;
    }
}

static size_t float_end(const struct lexer *x)
{
    size_t whole = digits(x, x->pos);
    size_t end = whole;
    bool fraction = false;
    size_t p;

    if (whole == x->pos || (x->pos > 0 && x->s[x->pos - 1] == '.'))
        return 0;
    if (at(x, end, ".") && is_digit(x, end + 1)) {
        end = digits(x, end + 1);
        fraction = true;
    }
    if (at(x, end, "e") || at(x, end, "E")) {
        p = end + 1;
        if (at(x, p, "+") || at(x, p, "-"))
            p++;
        if (is_digit(x, p))
            return digits(x, p);
    }
    return fraction ? end : 0;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

static bool is_digit_of(const struct lexer *x, size_t pos, int base)
{
    return pos < x->len && digit_value(x->s[pos]) < base;
}

/* (_?digit)* */
static size_t more_digits(const struct lexer *x, size_t pos, int base)
{
    for (;;) {
        size_t p = at(x, pos, "_") ? pos + 1 : pos;

        if (!is_digit_of(x, p, base))
            return pos;
        pos = p + 1;
    }
}

static size_t integer_end(const struct lexer *x, int *base, size_t *first)
{
    static const char PREFIXES[] = "bBoOxX";
    static const int BASES[] = {2, 2, 8, 8, 16, 16};
    const char *p;

    *base = 10;
    *first = x->pos;
    if (x->s[x->pos] != '0')
        return more_digits(x, x->pos + 1, 10);
    p = x->pos + 1 < x->len ? strchr(PREFIXES, x->s[x->pos + 1]) : NULL;
    if (p && *p) {
        size_t end = more_digits(x, x->pos + 2, BASES[p - PREFIXES]);

        if (end > x->pos + 2) {
            *base = BASES[p - PREFIXES];
            *first = x->pos + 2;
            return end;
        }
    }
    return more_digits(x, x->pos + 1, 1);
}

static void lex_integer(struct lexer *x)
{
    int base;
    size_t first;
    size_t end = integer_end(x, &base, &first);
    int64_t value = 0;

    for (size_t i = first; i < end; i++) {
        if (x->s[i] == '_')
            continue;
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_sub_overflow(value, digit_value(x->s[i]), &value)) {
            fail(x, text_of(x->vm, "an integer has more than 64 bits"));
            return;
        }
    }
    emit(x, T_INTEGER, text_new(x->vm, x->s + x->pos, end - x->pos))->negative = value;
    x->pos = end;
}

static void lex_float(struct lexer *x, size_t end)
{
    char *copy = vm_alloc(x->vm, end - x->pos + 1);
    size_t n = 0;

    for (size_t i = x->pos; i < end; i++)
        if (x->s[i] != '_')
            copy[n++] = x->s[i];
    copy[n] = 0;
    emit(x, T_FLOAT, text_wrap(x->vm, copy, n))->number = strtod(copy, NULL);
    x->pos = end;
}

static void lex_name(struct lexer *x)
{
    size_t end = x->pos;
    bool ok = true;

    while (end < x->len) {
        size_t next = end;
        uint32_t c = utf8_step(x->s, &next);
        unsigned flags = unicode_flags(c);

        if (c != '_' && !(flags & (U_ALNUM | U_NAME)))
            break;
        ok = ok && (flags & (end == x->pos ? U_NAME_START : U_NAME));
        end = next;
    }
    if (!ok) {
        fail(x, text_of(x->vm, "Invalid character in identifier"));
        return;
    }
    emit(x, T_NAME, text_new(x->vm, x->s + x->pos, end - x->pos));
    x->pos = end;
}

/* ------------------------------------------------------------------ strings */

static bool escape_hex(struct builder *b, const char *s, size_t len, size_t *i, int n)
{
    uint32_t c = 0;

    for (int k = 0; k < n; k++, ++*i) {
        int digit = *i < len ? digit_value(s[*i]) : 99;

        if (digit > 15)
            return false;
        c = c << 4 | (uint32_t)digit;
    }
    if (c > 0x10ffff)
        return false;
    build_char(b, c);
    return true;
}

static void escape_octal(struct builder *b, const char *s, size_t len, size_t *i)
{
    uint32_t c = 0;

    for (int k = 0; k < 3 && *i < len && s[*i] >= '0' && s[*i] <= '7'; k++, ++*i)
        c = c << 3 | (uint32_t)(s[*i] - '0');
    build_char(b, c);
}

/* Python first writes what is not ASCII as an escape, so that a backslash before it escapes that
 * one's backslash. */
static void escape_other(struct builder *b, const char *s, size_t *i)
{
    char text[16];
    uint32_t c = utf8_step(s, i);

    build_char(b, '\\');
    if (c < 0x80) {
        build_char(b, c);
        return;
    }
    snprintf(text, sizeof text, c < 0x100 ? "x%02x" : c < 0x10000 ? "u%04x" : "U%08x", c);
    build_str(b, text);
}

/* \N{NAME}, from the N on; NULL, or Python's complaint. */
static const char *escape_name(struct builder *b, const char *s, size_t len, size_t *i)
{
    const char *name = s + *i + 2;
    const char *end = NULL;
    uint32_t c = 0;

    if (len - *i > 2 && s[*i + 1] == '{')
        end = memchr(name, '}', len - *i - 2);
    if (!end || end == name)
        return "malformed \\N character escape";
    if (!char_by_name(&c, name, (size_t)(end - name)))
        return "unknown Unicode character name";
    build_char(b, c);
    *i = (size_t)(end + 1 - s);
    return NULL;
}

/* An escape after its backslash; NULL, or Python's complaint. */
static const char *escape(struct builder *b, const char *s, size_t len, size_t *i)
{
    static const char FROM[] = "abfnrtv\\'\"";
    static const char TO[] = "\a\b\f\n\r\t\v\\'\"";
    const char *p = strchr(FROM, s[*i]);

    if (s[*i] == '\n') {
        ++*i;
    } else if (p && *p) {
        build_char(b, (unsigned char)TO[p - FROM]);
        ++*i;
    } else if (s[*i] >= '0' && s[*i] <= '7') {
        escape_octal(b, s, len, i);
    } else if (s[*i] == 'x') {
        ++*i;
        return escape_hex(b, s, len, i, 2) ? NULL : "truncated \\xXX escape";
    } else if (s[*i] == 'u') {
        ++*i;
        return escape_hex(b, s, len, i, 4) ? NULL : "truncated \\uXXXX escape";
    } else if (s[*i] == 'U') {
        ++*i;
        return escape_hex(b, s, len, i, 8) ? NULL : "illegal Unicode character";
    } else if (s[*i] == 'N') {
        return escape_name(b, s, len, i);
    } else {
        escape_other(b, s, i);
    }
    return NULL;
}

/* Where the string that starts at `start` has its other quote; x->len: nowhere. */
static size_t string_end(const struct lexer *x, size_t start)
{
    size_t i = start + 1;

    while (i < x->len && x->s[i] != x->s[start])
        i += x->s[i] == '\\' ? 2 : 1;
    return i < x->len ? i : x->len;
}

static void lex_string(struct lexer *x)
{
    size_t end = string_end(x, x->pos);
    const char *why = NULL;
    struct builder b;
    size_t i = x->pos + 1;

    if (end == x->len) {
        fail(x, text_printf(x->vm, "unexpected char %s at %zu",
                            x->s[x->pos] == '"' ? "'\"'" : "\"'\"", utf8_count(x->s, x->pos)));
        return;
    }
    build_init(&b, x->vm);
    while (i < end && !why) {
        if (x->s[i] == '\\') {
            i++;
            why = escape(&b, x->s, end, &i);
        } else {
            build_add(&b, x->s + i, 1);
            i++;
        }
    }
    if (why) {
        fail(x, text_of(x->vm, why));
        return;
    }
    emit(x, T_STRING, build_done(&b));
    advance(x, end + 1);
}

/* ------------------------------------------------------------------ within tags */

static bool unbalanced(struct lexer *x, char c)
{
    char expected;

    if (c == '{' || c == '(' || c == '[') {
        if (x->n_balance == MAX_BALANCE)
            vm_throw(x->vm, E_LIMIT, "its brackets are nested more than %d deep", MAX_BALANCE);
        x->balance[x->n_balance++] = c == '{' ? '}' : c == '(' ? ')' : ']';
        return false;
    }
    if (c != '}' && c != ')' && c != ']')
        return false;
    if (x->n_balance == 0) {
        fail(x, text_printf(x->vm, "unexpected '%c'", c));
        return true;
    }
    expected = x->balance[--x->n_balance];
    if (expected == c)
        return false;
    fail(x, text_printf(x->vm, "unexpected '%c', expected '%c'", c, expected));
    return true;
}

static void lex_operator(struct lexer *x)
{
    struct builder b;
    size_t next = x->pos;

    for (size_t i = 0; i < N_OPERATORS; i++) {
        if (!at(x, x->pos, OPERATORS[i].text))
            continue;
        if (unbalanced(x, x->s[x->pos]))
            return;
        emit(x, OPERATORS[i].type, NULL);
        x->pos += strlen(OPERATORS[i].text);
        return;
    }
    build_init(&b, x->vm);
    utf8_step(x->s, &next);
    build_str(&b, "unexpected char ");
    repr_text(&b, text_wrap(x->vm, x->s + x->pos, next - x->pos));
    build_text(&b, text_printf(x->vm, " at %zu", utf8_count(x->s, x->pos)));
    fail(x, build_done(&b));
}

static void lex_token(struct lexer *x)
{
    size_t next = x->pos;
    uint32_t c = utf8_step(x->s, &next);
    size_t end;

    if (unicode_space(c)) {
        advance(x, skip_space(x, x->pos));
    } else if (c >= '0' && c <= '9') {
        end = float_end(x);
        if (end)
            lex_float(x, end);
        else
            lex_integer(x);
    } else if (c == '_' || unicode_flags(c) & (U_ALNUM | U_NAME)) {
        lex_name(x);
    } else if (c == '\'' || c == '"') {
        lex_string(x);
    } else {
        lex_operator(x);
    }
}

static void lex_tag(struct lexer *x, bool block)
{
    x->n_balance = 0;
    while (x->pos < x->len && !x->failed) {
        size_t end = x->n_balance ? 0 : tag_end(x, x->pos, block ? "%}" : "}}", block);

        if (end) {
            emit(x, block ? T_BLOCK_END : T_VARIABLE_END, NULL);
            advance(x, end);
            return;
        }
        lex_token(x);
    }
}

/* ------------------------------------------------------------------ the whole */

static size_t find_tag(const struct lexer *x)
{
    for (size_t i = x->pos; i + 1 < x->len; i++) {
        const char *p = memchr(x->s + i, '{', x->len - 1 - i);

        if (!p)
            break;
        i = (size_t)(p - x->s);
        if (p[1] == '{' || p[1] == '%' || p[1] == '#')
            return i;
    }
    return x->len;
}

static void lex_next(struct lexer *x)
{
    size_t start = find_tag(x);
    char kind = start < x->len ? x->s[start + 1] : 0;
    char sign = start + 2 < x->len ? x->s[start + 2] : 0;
    size_t raw = kind == '%' ? raw_begin(x, start) : 0;

    if (!kind) {
        emit(x, T_DATA, text_new(x->vm, x->s + x->pos, x->len - x->pos));
        advance(x, x->len);
        return;
    }
    emit_data(x, start, sign, kind == '{');
    if (raw) {
        advance(x, raw);
        lex_raw(x);
        return;
    }
    if (kind != '#')
        emit(x, kind == '%' ? T_BLOCK_BEGIN : T_VARIABLE_BEGIN, NULL);
    advance(x, start + (sign == '-' || sign == '+' ? 3 : 2));
    if (kind == '#')
        lex_comment(x);
    else
        lex_tag(x, kind == '%');
}

/* All line ends as "\n", the last one cut. */
static void prepare(struct lexer *x, const char *source, size_t len)
{
    char *copy = vm_alloc(x->vm, len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (source[i] == '\r' && i + 1 < len && source[i + 1] == '\n')
            continue;
        copy[n++] = source[i] == '\r' ? '\n' : source[i];
    }
    if (n && copy[n - 1] == '\n')
        n--;
    copy[n] = 0;
    x->s = copy;
    x->len = n;
}

struct tokens template_lex(struct vm *vm, const char *source, size_t len)
{
    struct lexer *x = VM_NEW(vm, struct lexer);

    memset(x, 0, sizeof *x);
    x->vm = vm;
    x->line = 1;
    prepare(x, source, len);
    while (x->pos < x->len && !x->failed)
        lex_next(x);
    if (!x->failed) {
        x->line = x->n ? x->items[x->n - 1].line : 1;
        emit(x, T_EOF, NULL);
    }
    return (struct tokens){.items = x->items, .n = x->n};
}
