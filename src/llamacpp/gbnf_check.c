/*
 * gbnf_check: see the header. A recursive descent over the text makes a list of rules, groups being
 * rules of their own; two fixpoints over it find the rules that may be empty and what each may begin
 * with.
 */
#include "llamacpp/gbnf_check.h"

#include "core/memory.h"
#include "core/utf8.h"

#include <string.h>

#define MAX_BYTES ((size_t)1 << 20)
#define MAX_DEPTH 100       /* groups in groups */
#define MAX_REPEAT 2000     /* llama.cpp's own limit */
#define MAX_RULES 65536     /* with the groups */
#define MAX_ELEMENTS 500000 /* after repetitions are written out */
#define MAX_WAYS 10000      /* to begin a rule: each is a stack of the matcher */
#define MAX_IN_A_ROW 256 /* parts that may all be empty: the matcher's work grows with their cube */
#define MAX_VISITS 10000000 /* rules that llama.cpp enters while it looks for left recursion */

/* A reference to a rule, or something that matches at least one character (rule -1). */
struct item {
    int32_t rule;
    int32_t copies; /* that its repetitions make of it, 1 for none */
    int32_t serial; /* copies in a row that may be empty though the thing itself may not */
    bool optional;  /* ?, *, {0,n} */
    bool endless;   /* *, +, {n,} */
};

enum mark { NEW, ENTERED, DONE };

struct rule {
    const char *name;   /* in the text; of a group: where it opens */
    size_t name_len;    /* 0: a group */
    int64_t size;       /* elements */
    struct item *items; /* alternatives, each ended by rule -2 */
    size_t n_items, cap;
    bool defined, may_be_empty;
    bool plainly_empty; /* an alternative has nothing in it: all that llama.cpp looks at */
    enum mark mark;
    int64_t ways;     /* to begin it, and rules entered on the way; an upper bound */
    int64_t in_a_row; /* parts at its beginning that may all be empty */
};

struct parser {
    const char *text, *at, *end;
    struct rule *rules;
    size_t n_rules, cap;
    int32_t *buckets; /* by name, of rule numbers + 1 */
    size_t n_buckets;
    int64_t n_elements;
    int64_t n_symbols; /* rules as llama.cpp numbers them, with those it makes for repetitions */
    int32_t depth;
    bool (*is_token)(void *arg, const char *text, size_t len);
    void *arg;
    inf_error *err;
};

#define CHARACTER (-1)
#define END_OF_ALTERNATIVE (-2)

static bool bad(struct parser *p, const char *why)
{
    int line = 1;

    for (const char *c = p->text; c < p->at; c++)
        line += *c == '\n';
    error_set_detail(p->err, INF_ERROR_INVALID_ARGUMENT, line, "grammar, line %d: %s", line, why);
    return false;
}

static bool no_memory(struct parser *p)
{
    error_no_memory(p->err);
    return false;
}

/* ------------------------------------------------------------------ the list of rules */

static uint32_t hash(const char *s, size_t n)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h;
}

/* Room for one more element of a growing array. */
static bool room(void **array, size_t n, size_t *cap, size_t size)
{
    size_t wanted = *cap ? *cap * 2 : 8;
    void *grown = NULL;

    if (n < *cap)
        return true;
    grown = mem_realloc(*array, wanted * size);
    if (!grown)
        return false;
    *array = grown;
    *cap = wanted;
    return true;
}

static bool new_rule(struct parser *p, const char *name, size_t name_len, int32_t *out)
{
    void *array = p->rules;
    bool ok = false;

    if (p->n_rules >= MAX_RULES)
        return bad(p, "too many rules and groups");
    ok = room(&array, p->n_rules, &p->cap, sizeof *p->rules);
    p->rules = array;
    if (!ok)
        return no_memory(p);
    *out = (int32_t)p->n_rules;
    p->n_symbols++;
    p->rules[p->n_rules++] = (struct rule){.name = name, .name_len = name_len};
    return true;
}

static bool named_rule(struct parser *p, const char *name, size_t len, int32_t *out)
{
    size_t b = hash(name, len) % p->n_buckets;

    for (; p->rules && p->buckets[b]; b = (b + 1) % p->n_buckets) {
        const struct rule *r = &p->rules[p->buckets[b] - 1];

        if (r->name_len == len && memcmp(r->name, name, len) == 0) {
            *out = p->buckets[b] - 1;
            return true;
        }
    }
    if (!new_rule(p, name, len, out))
        return false;
    p->buckets[b] = *out + 1;
    return true;
}

static bool add_item(struct parser *p, int32_t rule, struct item item)
{
    struct rule *r = &p->rules[rule];
    void *array = r->items;
    bool ok = room(&array, r->n_items, &r->cap, sizeof *r->items);

    r->items = array;
    if (!ok)
        return no_memory(p);
    r->items[r->n_items++] = item;
    return true;
}

static bool add_size(struct parser *p, int32_t rule, int64_t elements)
{
    p->rules[rule].size += elements;
    p->n_elements += elements;
    return p->n_elements <= MAX_ELEMENTS || bad(p, "its repetitions make it too large");
}

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

        if (c == '#') {
            while (p->at + 1 < p->end && p->at[1] != '\n' && p->at[1] != '\r')
                p->at++;
        } else if (c != ' ' && c != '\t' && !(newline_too && (c == '\n' || c == '\r'))) {
            return;
        }
    }
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

static size_t skip_word(struct parser *p)
{
    const char *start = p->at;

    while (more(p) && is_word(*p->at))
        p->at++;
    return (size_t)(p->at - start);
}

static bool skip_hex(struct parser *p, int digits)
{
    for (int i = 0; i < digits; i++, p->at++) {
        if (!more(p) || !strchr("0123456789abcdefABCDEF", *p->at) || *p->at == '\0')
            return bad(p, "hexadecimal digits expected after the escape");
    }
    return true;
}

static bool skip_character(struct parser *p)
{
    if (*p->at++ != '\\') {
        while (more(p) && ((unsigned char)*p->at & 0xC0) == 0x80)
            p->at++;
        return true;
    }
    if (!more(p))
        return bad(p, "it ends within an escape");
    switch (*p->at++) {
    case 'x':
        return skip_hex(p, 2);
    case 'u':
        return skip_hex(p, 4);
    case 'U':
        return skip_hex(p, 8);
    case 't':
    case 'r':
    case 'n':
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
        return true;
    default:
        p->at--;
        return bad(p, "unknown escape; known are \\x \\u \\U \\t \\r \\n \\\\ \\\" \\[ \\] \\-");
    }
}

/* What was read last, for a repetition that follows: its elements and how it may begin. */
struct last {
    int64_t size;
    int64_t weight; /* what llama.cpp limits together with the repetitions */
    int32_t rule;   /* CHARACTER, a rule, or END_OF_ALTERNATIVE for nothing */
    int32_t copies, serial;
    bool optional, endless;
};

static bool parse_quoted(struct parser *p, char closing, struct last *last)
{
    p->at++;
    *last = (struct last){0, 1, END_OF_ALTERNATIVE, 1, 1, false, false};
    if (closing == ']' && at(p, '^'))
        p->at++;
    while (!at(p, closing)) {
        if (!more(p))
            return bad(p, closing == '"' ? "a text without its closing \""
                                         : "a character class without its closing ]");
        if (!skip_character(p))
            return false;
        last->size++;
        last->rule = CHARACTER;
    }
    p->at++;
    return last->rule == CHARACTER || closing == '"' || bad(p, "an empty character class");
}

/* [id] after the <: nine digits at most fit llama.cpp's type. */
static bool is_token_id(const char *s, size_t n)
{
    size_t digits = 0;

    while (digits + 1 < n && s[1 + digits] >= '0' && s[1 + digits] <= '9')
        digits++;
    return digits > 0 && digits < 10 && n == digits + 2 && s[n - 1] == ']';
}

/* <name>, <[id]>, each with ! before it for "any other". */
static bool parse_token(struct parser *p, struct last *last)
{
    const char *start = NULL;
    size_t len = 0;

    if (at(p, '!'))
        p->at++;
    if (!at(p, '<'))
        return bad(p, "a token in angle brackets expected after !");
    for (start = p->at; !at(p, '>'); p->at++) {
        if (!more(p) || *p->at == '\n')
            return bad(p, "a token without its closing >");
    }
    p->at++;
    len = (size_t)(p->at - start);
    if (start[1] == '[' ? !is_token_id(start + 1, len - 2)
                        : p->is_token && !p->is_token(p->arg, start, len))
        return bad(p, "what stands in <> is not one token of the model; <[id]> names it by number");
    *last = (struct last){1, 1, CHARACTER, 1, 1, false, false};
    return true;
}

static bool parse_number(struct parser *p, int64_t *out)
{
    if (!more(p) || *p->at < '0' || *p->at > '9')
        return bad(p, "a number expected in {}");
    for (*out = 0; more(p) && *p->at >= '0' && *p->at <= '9'; p->at++) {
        *out = *out * 10 + (*p->at - '0');
        if (*out > MAX_REPEAT)
            return bad(p, "more than 2000 repetitions");
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
        return bad(p, "{ without }");
    p->at++;
    return *endless || *min <= *max || bad(p, "a repetition whose minimum is above its maximum");
}

/* llama.cpp writes S{m,n} out: m copies of S, and n - m rules with a copy each. */
static bool repeat(struct parser *p, int32_t rule, struct last *last)
{
    int64_t min = 0;
    int64_t max = 0;
    bool endless = false;
    int64_t copies = 0;
    int64_t times = 0;

    if (last->rule == END_OF_ALTERNATIVE)
        return bad(p, "nothing before * + ? or {");
    if (!parse_times(p, &min, &max, &endless))
        return false;
    if (endless && last->optional)
        return bad(p, "an endless repetition of what may be empty");
    copies = (endless ? min : max) + 1;
    if (last->optional)
        last->serial = (int32_t)(last->serial * copies < MAX_ELEMENTS ? last->serial * copies
                                                                      : MAX_ELEMENTS);
    times = !endless && max > 0 ? max : min > 0 ? min : 1;
    last->weight *= times;
    if (last->weight > MAX_REPEAT)
        return bad(p, "repetitions of repetitions: more than 2000 together");
    p->n_symbols += endless ? 1 : max - min;
    if (!add_size(p, rule, (last->size + 3) * copies))
        return false;
    last->size = last->size * min + 1;
    last->optional = last->optional || min == 0;
    last->endless = last->endless || endless;
    last->copies = (int32_t)(last->copies * copies < MAX_ELEMENTS ? last->copies * copies
                                                                  : MAX_ELEMENTS);
    if (!endless && max == 0) /* nothing is left of it */
        last->rule = END_OF_ALTERNATIVE;
    return true;
}

static bool parse_alternatives(struct parser *p, int32_t rule, bool in_group);

static bool parse_group(struct parser *p, struct last *last)
{
    int32_t group = 0;
    int64_t before = p->n_symbols;

    if (++p->depth > MAX_DEPTH)
        return bad(p, "groups nested deeper than 100");
    if (!new_rule(p, p->at, 0, &group))
        return false;
    p->rules[group].defined = true;
    p->at++;
    skip_space(p, true);
    if (!parse_alternatives(p, group, true))
        return false;
    if (!at(p, ')'))
        return bad(p, "( without )");
    p->at++;
    p->depth--;
    *last = (struct last){1, p->n_symbols - before, group, 1, 1, false, false};
    return true;
}

static bool parse_reference(struct parser *p, struct last *last)
{
    const char *name = p->at;
    size_t len = skip_word(p);

    *last = (struct last){1, 1, 0, 1, 1, false, false};
    return named_rule(p, name, len, &last->rule);
}

/* One symbol; *none when there is none here. */
static bool parse_symbol(struct parser *p, struct last *last, bool *none)
{
    char c = more(p) ? *p->at : '\0';

    *none = false;
    if (c == '"' || c == '[')
        return parse_quoted(p, c == '"' ? '"' : ']', last);
    if (c == '<' || c == '!')
        return parse_token(p, last);
    if (c == '(')
        return parse_group(p, last);
    if (c == '.') {
        p->at++;
        *last = (struct last){1, 1, CHARACTER, 1, 1, false, false};
        return true;
    }
    if (is_word(c))
        return parse_reference(p, last);
    *none = true;
    return true;
}

static bool parse_sequence(struct parser *p, int32_t rule, bool in_group)
{
    struct last last = {0, 1, END_OF_ALTERNATIVE, 1, 1, false, false};
    bool none = false;

    for (;;) {
        if (!parse_symbol(p, &last, &none))
            return false;
        if (none && more(p) && strchr("*+?{", *p->at) && *p->at != '\0')
            return bad(p, "nothing before * + ? or {");
        if (none)
            return add_item(p, rule, (struct item){END_OF_ALTERNATIVE, 1, 1, false, false}) &&
                   add_size(p, rule, 1);
        if (!add_size(p, rule, last.size))
            return false;
        skip_space(p, in_group);
        while (more(p) && strchr("*+?{", *p->at) && *p->at != '\0') {
            if (!repeat(p, rule, &last))
                return false;
            skip_space(p, in_group);
        }
        if (last.rule != END_OF_ALTERNATIVE &&
            !add_item(
                p, rule,
                (struct item){last.rule, last.copies, last.serial, last.optional, last.endless}))
            return false;
    }
}

static bool parse_alternatives(struct parser *p, int32_t rule, bool in_group)
{
    if (!parse_sequence(p, rule, in_group))
        return false;
    while (at(p, '|')) {
        p->at++;
        skip_space(p, true);
        if (!parse_sequence(p, rule, in_group))
            return false;
    }
    return true;
}

static bool parse_rule(struct parser *p)
{
    const char *name = p->at;
    size_t len = skip_word(p);
    int32_t rule = 0;

    if (len == 0)
        return bad(p, "the name of a rule expected");
    if (!named_rule(p, name, len, &rule))
        return false;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): named_rule made it */
    if (p->rules[rule].defined)
        return bad(p, "this rule is defined twice");
    p->rules[rule].defined = true;
    skip_space(p, false);
    if (p->end - p->at < 3 || memcmp(p->at, "::=", 3) != 0)
        return bad(p, "::= expected after the name of a rule");
    p->at += 3;
    skip_space(p, true);
    if (!parse_alternatives(p, rule, false))
        return false;
    if (more(p) && *p->at != '\n' && *p->at != '\r')
        return bad(p, "the end of the rule expected");
    skip_space(p, true);
    return true;
}

/* ------------------------------------------------------------------ what the rules mean */

static bool check_defined(struct parser *p)
{
    int32_t root = 0;

    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rules[i];

        if (!r->defined) {
            error_set(p->err, INF_ERROR_INVALID_ARGUMENT, "grammar: the rule '%.*s' is not defined",
                      (int)(r->name_len > 100 ? 100 : r->name_len), r->name);
            return false;
        }
    }
    if (!named_rule(p, "root", 4, &root))
        return false;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): named_rule made it */
    if (!p->rules[root].defined) {
        error_set(p->err, INF_ERROR_INVALID_ARGUMENT,
                  "grammar: no rule 'root'; the text begins with it");
        return false;
    }
    return true;
}

static bool item_may_be_empty(const struct parser *p, struct item item)
{
    return item.optional || (item.rule >= 0 && p->rules[item.rule].may_be_empty);
}

static bool rule_may_be_empty(const struct parser *p, const struct rule *r)
{
    bool empty = true;

    for (size_t i = 0; i < r->n_items; i++) {
        if (r->items[i].rule != END_OF_ALTERNATIVE)
            empty = empty && item_may_be_empty(p, r->items[i]);
        else if (empty)
            return true;
        else
            empty = true;
    }
    return false;
}

static bool is_plainly_empty(const struct rule *r)
{
    for (size_t i = 0; i < r->n_items; i++) {
        if (r->items[i].rule == END_OF_ALTERNATIVE &&
            (i == 0 || r->items[i - 1].rule == END_OF_ALTERNATIVE))
            return true;
    }
    return false;
}

static void find_empty_rules(struct parser *p)
{
    bool changed = true;

    for (size_t i = 0; i < p->n_rules; i++)
        p->rules[i].plainly_empty = is_plainly_empty(&p->rules[i]);
    while (changed) {
        changed = false;
        for (size_t i = p->n_rules; i-- > 0;) { /* groups come after the rule they are in */
            struct rule *r = &p->rules[i];

            if (!r->may_be_empty && rule_may_be_empty(p, r))
                r->may_be_empty = changed = true;
        }
    }
}

/* llama.cpp takes these for left recursion. */
static bool check_repetitions(struct parser *p)
{
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rules[i];

        for (size_t k = 0; k < r->n_items; k++) {
            struct item item = r->items[k];

            p->at = r->name;
            if (item.endless && item.rule >= 0 && p->rules[item.rule].plainly_empty)
                return bad(p, "an endless repetition of what may be empty");
        }
    }
    return true;
}

static bool left_recursive(struct parser *p, const struct rule *r)
{
    p->at = r->name;
    return bad(p, r->name_len ? "a rule that begins with itself (left recursion)"
                              : "a group that begins with itself (left recursion)");
}

/* A depth-first walk over what rules may begin with, on a stack of our own: the graph is as deep as
 * there are rules. */
struct frame {
    int32_t rule;
    size_t item;
    bool beginning; /* everything so far in this alternative may be empty */
};

/* The ways that an item adds to those of the rule that may begin with it: through each of its
 * copies, when one may be empty. */
static void add_ways(struct parser *p, struct rule *r, struct item item)
{
    const struct rule *begun = &p->rules[item.rule];

    r->ways += (begun->ways + 1) * (begun->may_be_empty ? item.copies : item.serial);
}

/* How many parts in a row the item is, as far as they may be empty. */
static int64_t parts(const struct parser *p, struct item item)
{
    const struct rule *r = item.rule >= 0 ? &p->rules[item.rule] : NULL;
    int64_t inside = r && r->in_a_row > 1 ? r->in_a_row : 1;

    return inside * (r && r->may_be_empty ? item.copies : item.serial);
}

/* The longest row from any item on, in `longest`; returns that from a beginning. */
static int64_t count_rows(const struct parser *p, const struct rule *r, int64_t *longest)
{
    int64_t row = 0;
    int64_t first = 0;

    *longest = 0;
    for (size_t i = r->n_items; i-- > 0;) {
        if (r->items[i].rule == END_OF_ALTERNATIVE) {
            first = row > first ? row : first; /* of the alternative behind */
            row = 0;
            continue;
        }
        row = parts(p, r->items[i]) + (item_may_be_empty(p, r->items[i]) ? row : 0);
        *longest = row > *longest ? row : *longest;
    }
    return row > first ? row : first;
}

static bool finish(struct parser *p, struct frame *stack, size_t *depth)
{
    struct rule *r = &p->rules[stack[--*depth].rule];
    int64_t longest = 0;

    r->mark = DONE;
    r->in_a_row = count_rows(p, r, &longest);
    p->at = r->name;
    if (r->in_a_row > MAX_IN_A_ROW)
        return bad(p, "more than 256 parts in a row that may all be empty");
    if (r->ways > MAX_WAYS)
        return bad(p, "more than 10000 ways to begin this rule");
    if (*depth > 0) { /* the item that led here is the one before */
        struct frame *f = &stack[*depth - 1];

        add_ways(p, &p->rules[f->rule], p->rules[f->rule].items[f->item - 1]);
    }
    return true;
}

static bool step(struct parser *p, struct frame *stack, size_t *depth)
{
    struct frame *f = &stack[*depth - 1];
    struct rule *r = &p->rules[f->rule];
    struct item item = {0};

    if (f->item == r->n_items)
        return finish(p, stack, depth);
    item = r->items[f->item++];
    if (item.rule < 0 || !f->beginning) {
        r->ways += f->beginning ? item.serial : 0; /* a character, or nothing */
        f->beginning = item.rule == END_OF_ALTERNATIVE || (f->beginning && item.optional);
        return true;
    }
    f->beginning = item_may_be_empty(p, item);
    if (p->rules[item.rule].mark == ENTERED)
        return left_recursive(p, &p->rules[item.rule]);
    if (p->rules[item.rule].mark == DONE) {
        add_ways(p, r, item);
    } else {
        p->rules[item.rule].mark = ENTERED;
        stack[(*depth)++] = (struct frame){item.rule, 0, true};
    }
    return true;
}

/* llama.cpp looks from rules that no other begins with, and from its own, one a copy. */
static bool check_visits(struct parser *p)
{
    int64_t visits = 0;

    for (size_t i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rules[i];
        int64_t longest = 0;

        p->at = r->name;
        count_rows(p, r, &longest);
        if (longest > MAX_IN_A_ROW)
            return bad(p, "more than 256 parts in a row that may all be empty");
        visits += r->ways;
        for (size_t k = 0; k < r->n_items; k++) {
            struct item item = r->items[k];

            if (item.rule >= 0 && (item.copies > 1 || item.optional))
                visits += item.copies * (p->rules[item.rule].ways + 1);
        }
        if (visits > MAX_VISITS)
            return bad(p, "the rules up to here begin in too many ways");
    }
    return true;
}

static bool check_beginnings(struct parser *p)
{
    struct frame *stack = mem_calloc(p->n_rules, sizeof *stack);
    bool ok = stack != NULL;

    if (!ok)
        return no_memory(p);
    for (size_t i = 0; ok && i < p->n_rules; i++) {
        size_t depth = 0;

        if (p->rules[i].mark != NEW)
            continue;
        p->rules[i].mark = ENTERED;
        stack[depth++] = (struct frame){(int32_t)i, 0, true};
        while (ok && depth > 0)
            ok = step(p, stack, &depth);
    }
    mem_free(stack);
    return ok;
}

/* ------------------------------------------------------------------ all of it */

static bool check(struct parser *p)
{
    p->n_buckets = (size_t)MAX_RULES * 2;
    p->buckets = mem_calloc(p->n_buckets, sizeof *p->buckets);
    if (!p->buckets)
        return no_memory(p);
    skip_space(p, true);
    while (more(p)) {
        if (!parse_rule(p))
            return false;
    }
    if (!check_defined(p))
        return false;
    find_empty_rules(p);
    return check_repetitions(p) && check_beginnings(p) && check_visits(p);
}

int32_t gbnf_check(inf_text grammar, bool (*is_token)(void *arg, const char *text, size_t len),
                   void *arg, inf_error *err)
{
    struct parser p = {
        .text = grammar.data, .at = grammar.data, .is_token = is_token, .arg = arg, .err = err};
    bool ok = false;

    if (grammar.len > MAX_BYTES)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "grammar: longer than %zu bytes",
                         MAX_BYTES);
    if (memchr(grammar.data, 0, grammar.len) || !utf8_valid(grammar.data, grammar.len))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "grammar: not valid UTF-8, or with a NUL byte in it");
    p.end = grammar.data + grammar.len;
    ok = check(&p);
    for (size_t i = 0; i < p.n_rules; i++)
        mem_free(p.rules[i].items);
    mem_free(p.rules);
    mem_free(p.buckets);
    return ok ? error_none(err) : err ? err->code : INF_ERROR_INVALID_ARGUMENT;
}
