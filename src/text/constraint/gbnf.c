/*
 * gbnf: see the header. A recursive descent over the text writes nodes as it goes. What a symbol, a
 * sequence or a group made is a block of neighbouring nodes that point nowhere outside, with one
 * entry and one exit: it is repeated by copying it.
 */
#include "text/constraint/gbnf.h"

#include "core/ascii.h"
#include "core/growing.h"
#include "core/utf8.h"
#include "text/constraint/gbnf_parts.h"

#include <string.h>

/* ------------------------------------------------------------------ the syntax */

static bool more(const struct parser *p)
{
    return p->at < p->end;
}

static bool at(const struct parser *p, char c)
{
    return more(p) && *p->at == c;
}

static void skip_space(struct parser *p, bool newline_too)
{
    for (; more(p); p->at++) {
        char c = *p->at;

        if (c == '#')
            while (p->at + 1 < p->end && p->at[1] != '\n' && p->at[1] != '\r')
                p->at++;
        else if (c != ' ' && c != '\t' && !(newline_too && (c == '\n' || c == '\r')))
            return;
    }
}

static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '-';
}

static size_t skip_word(struct parser *p)
{
    const char *start = p->at;

    while (more(p) && is_word(*p->at))
        p->at++;
    return (size_t)(p->at - start);
}

static bool read_hex(struct parser *p, int digits, uint32_t *out)
{
    if (p->end - p->at < digits || !read_hex_digits(p->at, (size_t)digits, out))
        return gbnf_bad(p, "hexadecimal digits expected after the escape");
    p->at += digits;
    return *out <= LAST_CODE || gbnf_bad(p, "an escape beyond the last character, 10FFFF");
}

static bool read_escape(struct parser *p, uint32_t *out)
{
    char c = 0;

    if (!more(p))
        return gbnf_bad(p, "it ends within an escape");
    c = *p->at++;
    *out = (unsigned char)c;
    switch (c) {
    case 'x':
        return read_hex(p, 2, out);
    case 'u':
        return read_hex(p, 4, out);
    case 'U':
        return read_hex(p, 8, out);
    case 't':
        *out = '\t';
        return true;
    case 'r':
        *out = '\r';
        return true;
    case 'n':
        *out = '\n';
        return true;
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
        return true;
    default:
        p->at--;
        return gbnf_bad(p,
                        "unknown escape; known are \\x \\u \\U \\t \\r \\n \\\\ \\\" \\[ \\] \\-");
    }
}

/* The text is valid UTF-8. */
static bool read_character(struct parser *p, uint32_t *out)
{
    size_t n = 0;

    *out = utf8_step(p->at, &n);
    p->at += n;
    return *out != '\\' || read_escape(p, out);
}

static bool add_character(struct parser *p, uint32_t code, struct block *b)
{
    char bytes[4];
    size_t n = utf8_encode(bytes, code);

    if (code >= 0xD800 && code <= 0xDFFF)
        return gbnf_bad(p, "half of a surrogate pair is no character");
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        struct block next;

        if (!gbnf_single(p, (struct grammar_node){.kind = GRAMMAR_RANGE, .low = byte, .high = byte},
                         &next))
            return false;
        gbnf_join(p, b, &next);
    }
    return true;
}

static bool parse_text(struct parser *p, struct block *out)
{
    uint32_t code = 0;

    *out = (struct block){.at = p->b.g->n_nodes, .empty = true};
    for (p->at++; !at(p, '"');) {
        if (!more(p))
            return gbnf_bad(p, "a text without its closing \"");
        if (!read_character(p, &code) || !add_character(p, code, out))
            return false;
    }
    p->at++;
    return true;
}

/* a-z; a minus that stands last is itself. */
static bool parse_part(struct parser *p)
{
    uint32_t low = 0;
    uint32_t high = 0;

    if (!read_character(p, &low))
        return false;
    high = low;
    if (at(p, '-') && p->at + 1 < p->end && p->at[1] != ']') {
        p->at++;
        if (!read_character(p, &high))
            return false;
    }
    return low > high || gbnf_add_range(p, low, high); /* [z-a] is empty */
}

static bool parse_class(struct parser *p, struct block *out)
{
    bool negated = false;
    const char *first = NULL;

    p->at++;
    negated = at(p, '^');
    p->at += negated;
    p->n_ranges = 0;
    for (first = p->at; !at(p, ']');) {
        if (!more(p))
            return gbnf_bad(p, "a character class without its closing ]");
        if (!parse_part(p))
            return false;
    }
    if (p->at == first)
        return gbnf_bad(p, "an empty character class");
    p->at++;
    gbnf_sort_ranges(p);
    return (!negated || gbnf_complement(p)) && gbnf_write_class(p, out);
}

static bool any_character(struct parser *p, struct block *out)
{
    p->at++;
    p->n_ranges = 0;
    return gbnf_add_range(p, 0, LAST_CODE) && gbnf_write_class(p, out);
}

/* [id] after the <. */
static bool read_token_id(const char *s, size_t n, int32_t *out)
{
    size_t digits = 0;

    *out = 0;
    for (; digits + 1 < n && is_digit(s[1 + digits]) && digits < 9; digits++)
        *out = *out * 10 + (s[1 + digits] - '0');
    return digits > 0 && n == digits + 2 && s[n - 1] == ']';
}

/* <name>, <[id]>, each with ! before it for "any other". */
static bool parse_token(struct parser *p, struct block *out)
{
    struct grammar_node node = {.kind = GRAMMAR_TOKEN, .negate = at(p, '!')};
    const char *start = NULL;
    size_t len = 0;
    bool known = false;

    p->at += node.negate;
    if (!at(p, '<'))
        return gbnf_bad(p, "a token in angle brackets expected after !");
    for (start = p->at; !at(p, '>'); p->at++)
        if (!more(p) || *p->at == '\n')
            return gbnf_bad(p, "a token without its closing >");
    p->at++;
    len = (size_t)(p->at - start);
    if (start[1] == '[') {
        known = read_token_id(start + 1, len - 2, &node.value);
    } else {
        node.value = p->find_token ? p->find_token(p->arg, start, len) : -1;
        known = node.value >= 0;
    }
    if (!known)
        return gbnf_bad(
            p, "what stands in <> is not one token of the model; <[id]> names it by number");
    return gbnf_single(p, node, out);
}

static bool parse_alternatives(struct parser *p, struct block *out, bool in_group);

static bool parse_group(struct parser *p, struct block *out)
{
    if (++p->depth > MAX_DEPTH)
        return gbnf_bad(p, "groups nested deeper than 100");
    p->at++;
    skip_space(p, true);
    if (!parse_alternatives(p, out, true))
        return false;
    if (!at(p, ')'))
        return gbnf_bad(p, "( without )");
    p->at++;
    p->depth--;
    return true;
}

static bool parse_reference(struct parser *p, struct block *out)
{
    const char *name = p->at;
    size_t len = skip_word(p);
    struct grammar_node node = {.kind = GRAMMAR_CALL};

    return gbnf_named_rule(p, name, len, &node.value) && gbnf_single(p, node, out);
}

/* One symbol; *none when there is none here. */
static bool parse_symbol(struct parser *p, struct block *out, bool *none)
{
    char c = more(p) ? *p->at : '\0';

    *none = false;
    switch (c) {
    case '"':
        return parse_text(p, out);
    case '[':
        return parse_class(p, out);
    case '<':
    case '!':
        return parse_token(p, out);
    case '(':
        return parse_group(p, out);
    case '.':
        return any_character(p, out);
    default:
        break;
    }
    *none = !is_word(c);
    return *none || parse_reference(p, out);
}

/* ------------------------------------------------------------------ repetitions, read */

static bool at_repetition(const struct parser *p)
{
    return more(p) && *p->at != '\0' && strchr("*+?{", *p->at);
}

static bool parse_number(struct parser *p, int64_t *out)
{
    if (!more(p) || !is_digit(*p->at))
        return gbnf_bad(p, "a number expected in {}");
    for (*out = 0; more(p) && is_digit(*p->at); p->at++) {
        *out = *out * 10 + (*p->at - '0');
        if (*out > MAX_REPEAT)
            return gbnf_bad(p, "more than 2000 repetitions");
    }
    return true;
}

/* min and max of ?, *, + and {}; *endless: there is no max. */
static bool parse_times(struct parser *p, int64_t *min, int64_t *max, bool *endless)
{
    char c = *p->at++;

    *min = c == '+';
    *max = 1;
    *endless = c == '*' || c == '+';
    if (c != '{')
        return true;
    skip_space(p, false);
    if (!parse_number(p, min))
        return false;
    *max = *min;
    skip_space(p, false);
    if (at(p, ',')) {
        p->at++;
        skip_space(p, false);
        *endless = at(p, '}');
        if (!*endless && !parse_number(p, max))
            return false;
        skip_space(p, false);
    }
    if (!at(p, '}'))
        return gbnf_bad(p, "{ without }");
    p->at++;
    return *endless || *min <= *max ||
           gbnf_bad(p, "a repetition whose minimum is above its maximum");
}

static bool parse_repetitions(struct parser *p, struct block *b, bool in_group)
{
    skip_space(p, in_group);
    while (at_repetition(p)) {
        int64_t min = 0;
        int64_t max = 0;
        bool endless = false;

        if (b->empty)
            return gbnf_bad(p, "nothing before * + ? or {");
        if (!parse_times(p, &min, &max, &endless) || !gbnf_repeat(p, b, min, max, endless))
            return false;
        skip_space(p, in_group);
    }
    return true;
}

/* ------------------------------------------------------------------ sequences and rules */

static bool parse_sequence(struct parser *p, struct block *out, bool in_group)
{
    size_t start = p->b.g->n_nodes;

    *out = (struct block){.at = start, .empty = true};
    for (;;) {
        struct block b = {0};
        bool none = false;

        if (!parse_symbol(p, &b, &none))
            return false;
        if (none && at_repetition(p))
            return gbnf_bad(p, "nothing before * + ? or {");
        if (none)
            break;
        if (!parse_repetitions(p, &b, in_group))
            return false;
        gbnf_join(p, out, &b);
    }
    out->at = start;
    if (!out->empty)
        return true;
    out->empty = false; /* nothing at all is a way too */
    if (!gbnf_add_jump(p, &out->entry))
        return false;
    out->exit = out->entry;
    return true;
}

static bool parse_alternatives(struct parser *p, struct block *out, bool in_group)
{
    int32_t exit = 0;

    if (!parse_sequence(p, out, in_group))
        return false;
    if (!at(p, '|'))
        return true;
    if (!gbnf_add_jump(p, &exit))
        return false;
    gbnf_lead(p, out->exit, exit);
    while (at(p, '|')) {
        struct block b;

        p->at++;
        skip_space(p, true);
        if (!parse_sequence(p, &b, in_group))
            return false;
        gbnf_lead(p, b.exit, exit);
        if (!gbnf_add_split(p, out->entry, b.entry, &out->entry))
            return false;
    }
    out->exit = exit;
    return true;
}

static bool parse_rule(struct parser *p)
{
    const char *name = p->at;
    size_t len = skip_word(p);
    struct block b;
    int32_t rule = 0;
    int32_t end = 0;

    if (len == 0)
        return gbnf_bad(p, "the name of a rule expected");
    if (!gbnf_named_rule(p, name, len, &rule))
        return false;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): named_rule made it */
    if (p->names[rule].defined)
        return gbnf_bad(p, "this rule is defined twice");
    p->names[rule].defined = true;
    skip_space(p, false);
    if (p->end - p->at < 3 || memcmp(p->at, "::=", 3) != 0)
        return gbnf_bad(p, "::= expected after the name of a rule");
    p->at += 3;
    skip_space(p, true);
    if (!parse_alternatives(p, &b, false) ||
        !gbnf_add(p, (struct grammar_node){.kind = GRAMMAR_END, .next = NOWHERE}, &end))
        return false;
    gbnf_lead(p, b.exit, end);
    p->b.g->rules[rule] = b.entry;
    if (more(p) && *p->at != '\n' && *p->at != '\r')
        return gbnf_bad(p, "the end of the rule expected");
    skip_space(p, true);
    return true;
}

static bool check_defined(struct parser *p)
{
    for (size_t i = 0; p->names && i < p->b.g->n_rules; i++) {
        const struct rule_name *r = &p->names[i];

        if (!r->defined) {
            error_set(p->err, INF_ERROR_INVALID_ARGUMENT, "grammar: the rule '%.*s' is not defined",
                      (int)(r->len > 100 ? 100 : r->len), r->name);
            return false;
        }
    }
    if (!gbnf_named_rule(p, "root", 4, &p->root))
        return false;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): named_rule made it */
    if (!p->names[p->root].defined) {
        error_set(p->err, INF_ERROR_INVALID_ARGUMENT,
                  "grammar: no rule 'root'; the text begins with it");
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ all of it */

static bool compile(struct parser *p)
{
    p->n_buckets = (size_t)GRAMMAR_MAX_RULES * 2;
    p->buckets = mem_calloc(p->n_buckets, sizeof *p->buckets);
    p->ranges = mem_alloc(MAX_RANGES * sizeof *p->ranges);
    if (!p->buckets || !p->ranges)
        return gbnf_no_memory(p);
    skip_space(p, true);
    while (more(p))
        if (!parse_rule(p))
            return false;
    return check_defined(p);
}

int32_t gbnf_compile(struct grammar **out, inf_text grammar, gbnf_token_fn find_token, void *arg,
                     inf_error *err)
{
    inf_error mine = {0};
    struct parser p = {.text = grammar.data,
                       .at = grammar.data,
                       .find_token = find_token,
                       .arg = arg,
                       .err = &mine};

    *out = NULL;
    if (grammar.len > MAX_BYTES)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "grammar: longer than %zu bytes",
                         MAX_BYTES);
    if (memchr(grammar.data, 0, grammar.len) || !utf8_valid(grammar.data, grammar.len))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "grammar: not valid UTF-8, or with a NUL byte in it");
    p.end = grammar.data + grammar.len;
    if (graph_begin(&p.b) ? compile(&p) : gbnf_no_memory(&p))
        *out = graph_end(&p.b, p.root);
    graph_drop(&p.b);
    mem_free(p.names);
    mem_free(p.buckets);
    mem_free(p.ranges);
    if (*out)
        return error_none(err);
    if (err)
        *err = mine;
    return mine.code;
}
