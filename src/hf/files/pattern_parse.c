/* pattern_parse: a recursive descent over the text of a pattern, which makes nodes. */
#include "core/growing.h"
#include "hf/files/pattern_parts.h"

#include <string.h>

/* ---------------------------------------------------------------- building blocks */

int32_t pattern_fail(struct parser *s, int32_t code, const char *what)
{
    if (s->code == INF_OK)
        s->code = error_set_detail(s->err, code, s->text - s->start,
                                   "the pattern \"%.*s\" %s (at character %d)",
                                   (int)(s->end - s->start > 120 ? 120 : s->end - s->start),
                                   s->start, what, (int)(s->text - s->start) + 1);
    return -1;
}

static int32_t invalid(struct parser *s, const char *what)
{
    return pattern_fail(s, INF_ERROR_BAD_FORMAT, what);
}

int32_t pattern_no_memory(struct parser *s)
{
    if (s->code == INF_OK)
        s->code = error_no_memory(s->err);
    return -1;
}

/* `next` is for append_item. */
static int32_t new_node(struct parser *s, struct node node)
{
    struct pattern *p = s->p;

    if (s->code != INF_OK)
        return -1;
    if (!GROW(p->nodes, p->cap_nodes, (size_t)p->n_nodes + 1))
        return pattern_no_memory(s);
    node.next = -1;
    p->nodes[p->n_nodes] = node;
    return p->n_nodes++;
}

static int32_t new_set(struct parser *s, const struct set *set)
{
    struct pattern *p = s->p;

    if (!GROW(p->sets, p->cap_sets, (size_t)p->n_sets + 1))
        return pattern_no_memory(s);
    p->sets[p->n_sets] = *set;
    return new_node(s, (struct node){.type = NODE_SET, .first = -1, .detail = p->n_sets++});
}

static void set_add(struct set *set, unsigned c)
{
    set->bits[c / 32] |= 1u << (c % 32);
}

/* Adds what \d, \w or \s (or, in capitals, their complements) stands for; false for another. */
static bool set_add_category(struct set *set, char category)
{
    bool negative = category >= 'A' && category <= 'Z';
    char kind = (char)(category | 0x20);

    if (kind != 'd' && kind != 'w' && kind != 's')
        return false;
    for (unsigned c = 0; c < 256; c++) {
        bool in = kind == 'd'   ? is_digit((char)c)
                  : kind == 'w' ? pattern_is_word((unsigned char)c)
                                : c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);

        if (in != negative)
            set_add(set, c);
    }
    return true;
}

static bool at_end(const struct parser *s)
{
    return s->text >= s->end;
}

static bool take(struct parser *s, char c)
{
    if (at_end(s) || *s->text != c)
        return false;
    s->text++;
    return true;
}

/* ---------------------------------------------------------------- parser */

static int32_t parse_alternatives(struct parser *s);

/* The character after a backslash that stands for one character; -1 with the error set. */
static int32_t escaped_character(struct parser *s)
{
    static const char letters[] = "afnrtv";
    static const char values[] = "\a\f\n\r\t\v";
    char c = *s->text++;
    const char *at = strchr(letters, c);

    if (c && at)
        return values[at - letters];
    if (c == 'x') {
        uint32_t code = 0;

        if (s->end - s->text < 2 || !read_hex_digits(s->text, 2, &code))
            return invalid(s, "has a bad \\x escape");
        s->text += 2;
        if (code >= 0x80)
            return pattern_fail(s, INF_ERROR_UNSUPPORTED,
                                "is not plain ASCII, which is not supported");
        return (int32_t)code;
    }
    if (is_digit(c))
        return pattern_fail(s, INF_ERROR_UNSUPPORTED,
                            "has a back reference or octal escape, which is not supported");
    if (pattern_is_word((unsigned char)c) && c != '_')
        return pattern_fail(s, INF_ERROR_UNSUPPORTED, "has an escape that is not supported");
    return (unsigned char)c;
}

/* One member of a class: a category (returns 256), or a character; -1 with the error set. */
static int32_t class_member(struct parser *s, struct set *set)
{
    if (at_end(s))
        return invalid(s, "has a class [ that does not end");
    if (!take(s, '\\'))
        return (unsigned char)*s->text++;
    if (at_end(s))
        return invalid(s, "ends in a backslash");
    if (set_add_category(set, *s->text)) {
        s->text++;
        return 256;
    }
    return take(s, 'b') ? '\b' : escaped_character(s);
}

/* After "[". */
static int32_t parse_class(struct parser *s)
{
    struct set set = {{0}};
    bool negative = take(s, '^');

    for (bool first = true; first || at_end(s) || *s->text != ']'; first = false) {
        int32_t low = class_member(s, &set), high = low;

        if (low < 0)
            return -1;
        if (s->end - s->text >= 2 && s->text[0] == '-' && s->text[1] != ']') {
            s->text++;
            high = class_member(s, &set);
            if (high < 0 || low == 256 || high == 256 || high < low)
                return invalid(s, "has a bad range in a class");
        }
        for (int32_t c = low; c <= high && c < 256; c++)
            set_add(&set, (unsigned)c);
    }
    s->text++;
    for (int i = 0; negative && i < 8; i++)
        set.bits[i] = ~set.bits[i];
    return new_set(s, &set);
}

static int32_t parse_at(struct parser *s, int32_t what)
{
    return new_node(s, (struct node){.type = NODE_AT, .first = -1, .detail = what});
}

/* After a backslash, outside a class. */
static int32_t parse_escape(struct parser *s)
{
    static const char marks[] = "AZbB";
    static const int32_t meanings[] = {AT_START, AT_END, AT_WORD, AT_NOT_WORD};
    struct set set = {{0}};
    const char *mark = NULL;

    if (at_end(s))
        return invalid(s, "ends in a backslash");
    mark = *s->text ? strchr(marks, *s->text) : NULL;
    if (mark) {
        s->text++;
        return parse_at(s, meanings[mark - marks]);
    }
    if (set_add_category(&set, *s->text)) {
        s->text++;
    } else {
        int32_t c = escaped_character(s);

        if (c < 0)
            return -1;
        set_add(&set, (unsigned)c);
    }
    return new_set(s, &set);
}

/* What follows "(?P": a name. */
static bool take_group_name(struct parser *s)
{
    const char *first = NULL;

    if (!take(s, '<'))
        return false;
    first = s->text;
    while (!at_end(s) && pattern_is_word((unsigned char)*s->text))
        s->text++;
    return s->text > first && !is_digit(*first) && take(s, '>');
}

/* After "(". */
static int32_t parse_group(struct parser *s)
{
    bool negative = false, look = false;
    int32_t node = -1;

    if (take(s, '?')) {
        negative = take(s, '!');
        look = negative || take(s, '=');
        if (!look && !take(s, ':') && !(take(s, 'P') && take_group_name(s)))
            return pattern_fail(s, INF_ERROR_UNSUPPORTED,
                                "has a group (?... of a kind that is not supported");
    }
    if (s->depth == MAX_DEPTH || (look && s->looks == MAX_LOOK))
        return pattern_fail(s, INF_ERROR_UNSUPPORTED, "is nested too deeply");
    s->depth++;
    s->looks += look;
    node = parse_alternatives(s);
    s->depth--;
    s->looks -= look;
    if (node >= 0 && !take(s, ')'))
        return invalid(s, "has a group ( that does not end");
    return node < 0 || !look
               ? node
               : new_node(s, (struct node){.type = NODE_LOOK, .first = node, .detail = negative});
}

static bool take_braces(struct parser *s, int32_t *min, int32_t *max);

static int32_t parse_atom(struct parser *s)
{
    struct set set = {{0}};
    int32_t min = 0, max = 0;
    char c = '\0';

    if (take_braces(s, &min, &max))
        return invalid(s, "has a repetition of nothing");
    c = *s->text++;
    switch (c) {
    case '(':
        return parse_group(s);
    case '[':
        return parse_class(s);
    case '\\':
        return parse_escape(s);
    case '^':
        return parse_at(s, AT_START);
    case '$':
        return parse_at(s, AT_DOLLAR);
    case '*':
    case '+':
    case '?':
        s->text--;
        return invalid(s, "has a repetition of nothing");
    case '.':
        memset(&set, 0xff, sizeof set);
        set.bits['\n' / 32] &= ~(1u << ('\n' % 32));
        return new_set(s, &set);
    default:
        set_add(&set, (unsigned char)c);
        return new_set(s, &set);
    }
}

/* Digits to a count; `missing` when there are none. */
static int32_t take_count(struct parser *s, int32_t missing)
{
    int32_t n = missing;

    for (; !at_end(s) && is_digit(*s->text); s->text++) {
        n = (n < 0 || n == missing ? 0 : n) * 10 + (*s->text - '0');
        n = n > MAX_COUNT ? MAX_COUNT + 1 : n;
    }
    return n;
}

/* "{m,n}" and its short forms; false, and nothing taken, when the brace is a literal. */
static bool take_braces(struct parser *s, int32_t *min, int32_t *max)
{
    const char *before = s->text;
    bool counts = take(s, '{') && !at_end(s) && (is_digit(*s->text) || *s->text == ',');

    if (counts) {
        *min = *max = take_count(s, 0);
        if (take(s, ','))
            *max = take_count(s, UNBOUNDED);
        counts = take(s, '}');
    }
    s->text = counts ? s->text : before;
    return counts;
}

/* A quantifier, when there is one. */
static bool take_quantifier(struct parser *s, int32_t *min, int32_t *max)
{
    *min = 0;
    *max = UNBOUNDED;
    if (take(s, '*'))
        return true;
    if (take(s, '+')) {
        *min = 1;
        return true;
    }
    if (take(s, '?')) {
        *max = 1;
        return true;
    }
    return take_braces(s, min, max);
}

static int32_t parse_repeat(struct parser *s)
{
    int32_t min = 0, max = 0, ignored_min = 0, ignored_max = 0;
    int32_t node = parse_atom(s);

    if (node < 0 || !take_quantifier(s, &min, &max))
        return node;
    if (s->p->nodes[node].type == NODE_AT)
        return invalid(s, "has a repetition of nothing");
    if (min > MAX_COUNT || max > MAX_COUNT)
        return pattern_fail(s, INF_ERROR_UNSUPPORTED, "repeats more than 1000 times");
    if (max != UNBOUNDED && max < min)
        return invalid(s, "has a repetition {m,n} with m above n");
    take(s, '?'); /* lazy: the same language */
    if (!at_end(s) && *s->text == '+')
        return pattern_fail(s, INF_ERROR_UNSUPPORTED,
                            "has a possessive repetition, which is not supported");
    if (take_quantifier(s, &ignored_min, &ignored_max))
        return invalid(s, "has a repetition of a repetition");
    return new_node(s, (struct node){.type = NODE_REPEAT, .first = node, .min = min, .max = max});
}

/* A list node of `type` around item, linked behind `last` when there is one. */
static int32_t append_item(struct parser *s, int32_t type, int32_t item, int32_t last)
{
    int32_t node = item < 0 ? -1 : new_node(s, (struct node){.type = type, .first = item});

    if (node >= 0 && last >= 0)
        s->p->nodes[last].next = node;
    return node;
}

static int32_t parse_sequence(struct parser *s)
{
    int32_t head = -1, last = -1;

    while (!at_end(s) && *s->text != '|' && *s->text != ')') {
        last = append_item(s, NODE_CAT, parse_repeat(s), last);
        if (last < 0)
            return -1;
        head = head < 0 ? last : head;
    }
    return head < 0 ? new_node(s, (struct node){.type = NODE_EMPTY, .first = -1}) : head;
}

static int32_t parse_alternatives(struct parser *s)
{
    int32_t head = -1, last = -1;

    do {
        last = append_item(s, NODE_ALT, parse_sequence(s), last);
        if (last < 0)
            return -1;
        head = head < 0 ? last : head;
    } while (take(s, '|'));
    return head;
}

int32_t pattern_parse(struct parser *s)
{
    int32_t root = parse_alternatives(s);

    if (root >= 0 && !at_end(s))
        invalid(s, "has a ) too many");
    return root;
}
