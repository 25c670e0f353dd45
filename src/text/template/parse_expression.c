/*
 * parse_expression: see parser.h. The grammar is jinja2's, precedences included.
 */
#include "text/template/parser.h"

#include <string.h>

static struct node *parse_primary(struct parser *p, bool with_namespace);

static struct node *binary(struct parser *p, enum node_kind kind, int op, struct node *a,
                           struct node *b, int line)
{
    struct node *n = node_new(p, kind, line);

    n->op = op;
    n->a = a;
    n->b = b;
    return n;
}

static struct node *constant(struct parser *p, struct value v, int line)
{
    struct node *n = node_new(p, N_CONST, line);

    n->value = v;
    if (v.type == V_STR)
        text_hash(v.s);
    return n;
}

static struct value integer(struct parser *p, const struct token *t)
{
    if (t->negative == INT64_MIN)
        syntax_error(p->vm, t->line, "an integer has more than 64 bits");
    return v_int(-t->negative);
}

/* ------------------------------------------------------------------ calls */

static void check_call(struct parser *p, bool ok, int line)
{
    if (!ok)
        syntax_error(p->vm, line, "invalid syntax for function call expression");
}

static void add_keyword(struct parser *p, struct node *call)
{
    const struct token *name = advance(p);
    struct node *keyword = node_new(p, N_KEYWORD, name->line);

    advance(p);
    keyword->name = name->text;
    text_hash(keyword->name);
    keyword->a = parse_expression(p, true);
    nodes_add(p->vm, &call->list2, keyword);
}

static void parse_argument(struct parser *p, struct node *call, int line)
{
    if (is(p, T_MUL)) {
        check_call(p, !call->b && !call->c, line);
        advance(p);
        call->b = parse_expression(p, true);
    } else if (is(p, T_POW)) {
        check_call(p, !call->c, line);
        advance(p);
        call->c = parse_expression(p, true);
    } else if (is(p, T_NAME) && next_is(p, T_ASSIGN)) {
        check_call(p, !call->c, line);
        add_keyword(p, call);
    } else {
        check_call(p, !call->b && !call->c && !call->list2.n, line);
        nodes_add(p->vm, &call->list, parse_expression(p, true));
    }
}

/* Arguments into call's list, list2, b (*args) and c (**kwargs). */
static void parse_arguments(struct parser *p, struct node *call)
{
    int line = expect(p, T_LPAREN)->line;
    bool comma = false;

    while (!is(p, T_RPAREN)) {
        if (comma) {
            expect(p, T_COMMA);
            if (is(p, T_RPAREN))
                break;
        }
        parse_argument(p, call, line);
        comma = true;
    }
    expect(p, T_RPAREN);
}

static struct node *parse_call(struct parser *p, struct node *callee)
{
    struct node *n = node_new(p, N_CALL, current(p)->line);

    n->a = callee;
    parse_arguments(p, n);
    return n;
}

/* ------------------------------------------------------------------ subscripts */

static struct node *parse_subscript_part(struct parser *p)
{
    struct node *n = node_new(p, N_SLICE, current(p)->line);

    if (!is(p, T_COLON)) {
        n->a = parse_expression(p, true);
        if (!is(p, T_COLON))
            return n->a;
    }
    advance(p);
    if (!is(p, T_COLON) && !is(p, T_RBRACKET) && !is(p, T_COMMA))
        n->b = parse_expression(p, true);
    if (skip(p, T_COLON) && !is(p, T_RBRACKET) && !is(p, T_COMMA))
        n->c = parse_expression(p, true);
    return n;
}

static struct node *parse_brackets(struct parser *p, struct node *of, int line)
{
    struct node *tuple = node_new(p, N_TUPLE, line);

    while (!is(p, T_RBRACKET)) {
        if (tuple->list.n)
            expect(p, T_COMMA);
        nodes_add(p->vm, &tuple->list, parse_subscript_part(p));
    }
    advance(p);
    return binary(p, N_GETITEM, 0, of, tuple->list.n == 1 ? tuple->list.items[0] : tuple, line);
}

static struct node *parse_subscript(struct parser *p, struct node *of)
{
    const struct token *token = advance(p);
    const struct token *name;
    struct node *n;

    if (token->type == T_LBRACKET)
        return parse_brackets(p, of, token->line);
    name = advance(p);
    if (name->type == T_NAME) {
        if (text_is(name->text, "encode") || text_is(name->text, "to_bytes"))
            syntax_error(p->vm, name->line, "%s() is not supported", name->text->data);
        n = node_new(p, N_GETATTR, token->line);
        n->a = of;
        n->name = name->text;
        n->flag = is_attribute_name(n->name);
        text_hash(n->name);
        return n;
    }
    if (name->type != T_INTEGER)
        syntax_error(p->vm, name->line, "expected name or number");
    return binary(p, N_GETITEM, 0, of, constant(p, integer(p, name), name->line), token->line);
}

static struct node *parse_postfix(struct parser *p, struct node *n)
{
    for (;;)
        if (is(p, T_DOT) || is(p, T_LBRACKET))
            n = parse_subscript(p, n);
        else if (is(p, T_LPAREN))
            n = parse_call(p, n);
        else
            return n;
}

/* ------------------------------------------------------------------ filters and tests */

/* name(.name)* */
static struct text *dotted_name(struct parser *p)
{
    struct text *name = expect(p, T_NAME)->text;

    while (skip(p, T_DOT)) {
        struct text *part = expect(p, T_NAME)->text;

        name = text_printf(p->vm, "%.*s.%.*s", (int)name->len, name->data, (int)part->len,
                           part->data);
    }
    return name;
}

struct node *parse_filter(struct parser *p, struct node *node, bool start)
{
    while (start || is(p, T_PIPE)) {
        struct node *n;

        if (!start)
            advance(p);
        start = false;
        n = node_new(p, N_FILTER, current(p)->line);
        n->name = dotted_name(p);
        n->a = node;
        if (refused_name(n->name))
            syntax_error(p->vm, n->line, "the filter '%.*s' is not supported", (int)n->name->len,
                         n->name->data);
        if (is(p, T_LPAREN))
            parse_arguments(p, n);
        node = n;
    }
    return node;
}

static bool starts_argument(const struct parser *p)
{
    switch (current(p)->type) {
    case T_NAME:
        return !is_name(p, "else") && !is_name(p, "or") && !is_name(p, "and");
    case T_STRING:
    case T_INTEGER:
    case T_FLOAT:
    case T_LBRACKET:
    case T_LBRACE:
        return true;
    default:
        return false;
    }
}

static struct node *parse_test(struct parser *p, struct node *of)
{
    struct node *n = node_new(p, N_TEST, advance(p)->line);
    struct node * not ;
    bool negated = skip_name(p, "not");

    n->a = of;
    n->name = dotted_name(p);
    if (is(p, T_LPAREN)) {
        parse_arguments(p, n);
    } else if (starts_argument(p)) {
        if (is_name(p, "is"))
            syntax_error(p->vm, current(p)->line, "You cannot chain multiple tests with is");
        nodes_add(p->vm, &n->list, parse_postfix(p, parse_primary(p, false)));
    }
    if (!negated)
        return n;
    not = node_new(p, N_NOT, n->line);
    not ->a = n;
    return not ;
}

static struct node *parse_filters(struct parser *p, struct node *n)
{
    for (;;)
        if (is(p, T_PIPE))
            n = parse_filter(p, n, false);
        else if (is_name(p, "is"))
            n = parse_test(p, n);
        else if (is(p, T_LPAREN))
            n = parse_call(p, n);
        else
            return n;
}

/* ------------------------------------------------------------------ primaries */

static struct node *parse_name(struct parser *p, bool with_namespace)
{
    const struct token *t = advance(p);
    struct node *n;

    if (text_is(t->text, "true") || text_is(t->text, "True"))
        return constant(p, v_bool(true), t->line);
    if (text_is(t->text, "false") || text_is(t->text, "False"))
        return constant(p, v_bool(false), t->line);
    if (text_is(t->text, "none") || text_is(t->text, "None"))
        return constant(p, v_none(), t->line);
    text_hash(t->text);
    n = node_new(p, N_NAME, t->line);
    n->name = t->text;
    if (with_namespace && skip(p, T_DOT)) {
        n->kind = N_NSREF;
        n->value = v_str(expect(p, T_NAME)->text);
        text_hash(n->value.s);
    }
    return n;
}

static struct node *parse_strings(struct parser *p)
{
    const struct token *t = advance(p);
    struct text *s = t->text;

    while (is(p, T_STRING))
        s = text_join2(p->vm, s, advance(p)->text);
    return constant(p, v_str(s), t->line);
}

static struct node *parse_list(struct parser *p)
{
    struct node *n = node_new(p, N_LIST, advance(p)->line);

    while (!is(p, T_RBRACKET)) {
        if (n->list.n)
            expect(p, T_COMMA);
        if (is(p, T_RBRACKET))
            break;
        nodes_add(p->vm, &n->list, parse_expression(p, true));
    }
    expect(p, T_RBRACKET);
    return n;
}

static struct node *parse_dict(struct parser *p)
{
    struct node *n = node_new(p, N_DICT, advance(p)->line);

    while (!is(p, T_RBRACE)) {
        if (n->list.n)
            expect(p, T_COMMA);
        if (is(p, T_RBRACE))
            break;
        nodes_add(p->vm, &n->list, parse_expression(p, true));
        expect(p, T_COLON);
        nodes_add(p->vm, &n->list2, parse_expression(p, true));
    }
    expect(p, T_RBRACE);
    return n;
}

static struct node *parse_primary(struct parser *p, bool with_namespace)
{
    const struct token *t = current(p);
    struct node *n;

    switch (t->type) {
    case T_NAME:
        return parse_name(p, with_namespace);
    case T_STRING:
        return parse_strings(p);
    case T_INTEGER:
        advance(p);
        return constant(p, integer(p, t), t->line);
    case T_FLOAT:
        advance(p);
        return constant(p, v_float(t->number), t->line);
    case T_LPAREN:
        advance(p);
        n = parse_tuple(p, false, true, true, false);
        expect(p, T_RPAREN);
        return n;
    case T_LBRACKET:
        return parse_list(p);
    case T_LBRACE:
        return parse_dict(p);
    default:
        syntax_error(p->vm, t->line, "unexpected %s", describe(p, t));
    }
}

/* jinja2 means "in" and "recursive" to end a tuple too, but compares them with nothing they can equal. */
static bool tuple_ends(const struct parser *p)
{
    return is(p, T_VARIABLE_END) || is(p, T_BLOCK_END) || is(p, T_RPAREN);
}

struct node *parse_tuple(struct parser *p, bool simple, bool with_condition, bool parentheses,
                         bool with_namespace)
{
    struct node *n = node_new(p, N_TUPLE, current(p)->line);
    bool is_tuple = false;

    for (;;) {
        if (n->list.n)
            expect(p, T_COMMA);
        if (tuple_ends(p))
            break;
        nodes_add(p->vm, &n->list,
                  simple ? parse_primary(p, with_namespace) : parse_expression(p, with_condition));
        if (!is(p, T_COMMA))
            break;
        is_tuple = true;
        n->line = current(p)->line;
    }
    if (!is_tuple) {
        if (n->list.n)
            return n->list.items[0];
        if (!parentheses)
            syntax_error(p->vm, current(p)->line, "Expected an expression, got %s",
                         describe(p, current(p)));
    }
    return n;
}

/* ------------------------------------------------------------------ operators */

static struct node *parse_unary(struct parser *p, bool with_filter)
{
    int op = (int)current(p)->type;
    struct node *n;

    vm_enter(p->vm);
    if (op == T_SUB && next_is(p, T_INTEGER) && p->tokens.items[p->at + 1].negative == INT64_MIN) {
        advance(p);
        n = constant(p, v_int(INT64_MIN), advance(p)->line);
    } else if (op == T_SUB || op == T_ADD) {
        n = node_new(p, N_UNARY, advance(p)->line);
        n->op = op;
        n->a = parse_unary(p, false);
    } else {
        n = parse_primary(p, false);
    }
    n = parse_postfix(p, n);
    if (with_filter)
        n = parse_filters(p, n);
    vm_leave(p->vm);
    return n;
}

static struct node *parse_pow(struct parser *p)
{
    int line = current(p)->line;
    struct node *left = parse_unary(p, true);

    while (skip(p, T_POW)) {
        left = binary(p, N_BINARY, T_POW, left, parse_unary(p, true), line);
        line = current(p)->line;
    }
    return left;
}

static struct node *parse_product(struct parser *p)
{
    int line = current(p)->line;
    struct node *left = parse_pow(p);

    while (is(p, T_MUL) || is(p, T_DIV) || is(p, T_FLOORDIV) || is(p, T_MOD)) {
        int op = (int)advance(p)->type;

        left = binary(p, N_BINARY, op, left, parse_pow(p), line);
        line = current(p)->line;
    }
    return left;
}

static struct node *parse_concat(struct parser *p)
{
    struct node *n = node_new(p, N_CONCAT, current(p)->line);
    struct node *first = parse_product(p);

    if (!is(p, T_TILDE))
        return first;
    nodes_add(p->vm, &n->list, first);
    while (skip(p, T_TILDE))
        nodes_add(p->vm, &n->list, parse_product(p));
    return n;
}

static struct node *parse_sum(struct parser *p)
{
    int line = current(p)->line;
    struct node *left = parse_concat(p);

    while (is(p, T_ADD) || is(p, T_SUB)) {
        int op = (int)advance(p)->type;

        left = binary(p, N_BINARY, op, left, parse_concat(p), line);
        line = current(p)->line;
    }
    return left;
}

/* A comparison's operator, passed; 0: none. */
static int comparison(struct parser *p)
{
    switch (current(p)->type) {
    case T_EQ:
    case T_NE:
    case T_LT:
    case T_LTEQ:
    case T_GT:
    case T_GTEQ:
        return (int)advance(p)->type;
    default:
        break;
    }
    if (skip_name(p, "in"))
        return 'i';
    if (is_name(p, "not") && next_is_name(p, "in")) {
        advance(p);
        advance(p);
        return 'n';
    }
    return 0;
}

static struct node *parse_compare(struct parser *p)
{
    struct node *n = node_new(p, N_COMPARE, current(p)->line);
    int op;

    n->a = parse_sum(p);
    while ((op = comparison(p)) != 0) {
        struct node *operand = node_new(p, N_OPERAND, current(p)->line);

        operand->op = op;
        operand->a = parse_sum(p);
        nodes_add(p->vm, &n->list, operand);
    }
    return n->list.n ? n : n->a;
}

static struct node *parse_not(struct parser *p)
{
    struct node *n;

    if (!is_name(p, "not"))
        return parse_compare(p);
    vm_enter(p->vm);
    n = node_new(p, N_NOT, advance(p)->line);
    n->a = parse_not(p);
    vm_leave(p->vm);
    return n;
}

static struct node *parse_and(struct parser *p)
{
    int line = current(p)->line;
    struct node *left = parse_not(p);

    while (skip_name(p, "and")) {
        left = binary(p, N_AND, 0, left, parse_not(p), line);
        line = current(p)->line;
    }
    return left;
}

static struct node *parse_or(struct parser *p)
{
    int line = current(p)->line;
    struct node *left = parse_and(p);

    while (skip_name(p, "or")) {
        left = binary(p, N_OR, 0, left, parse_and(p), line);
        line = current(p)->line;
    }
    return left;
}

static struct node *parse_condition(struct parser *p)
{
    int line = current(p)->line;
    struct node *n = parse_or(p);

    while (skip_name(p, "if")) {
        struct node *condition = node_new(p, N_COND, line);

        condition->b = n;
        condition->a = parse_or(p);
        if (skip_name(p, "else")) {
            vm_enter(p->vm);
            condition->c = parse_condition(p);
            vm_leave(p->vm);
        }
        n = condition;
        line = current(p)->line;
    }
    return n;
}

struct node *parse_expression(struct parser *p, bool with_condition)
{
    struct node *n;

    p->vm->depth += 4; /* it takes more of the stack than others */
    vm_enter(p->vm);
    n = with_condition ? parse_condition(p) : parse_or(p);
    vm_leave(p->vm);
    p->vm->depth -= 4;
    return n;
}

/* ------------------------------------------------------------------ targets */

static const char *kind_name(const struct node *n)
{
    switch (n->kind) {
    case N_CONST:
        return "const";
    case N_LIST:
        return "list";
    case N_DICT:
        return "dict";
    default:
        return "tuple";
    }
}

/* Python's True, true and so on became constants already. */
static bool can_assign(const struct node *n)
{
    bool ok = n->kind == N_NAME || n->kind == N_NSREF || n->kind == N_TUPLE;

    for (size_t i = 0; ok && n->kind == N_TUPLE && i < n->list.n; i++)
        ok = can_assign(n->list.items[i]);
    return ok;
}

static void mark_stored(struct node *n)
{
    n->flag = true;
    for (size_t i = 0; n->kind == N_TUPLE && i < n->list.n; i++)
        mark_stored(n->list.items[i]);
}

struct node *parse_target(struct parser *p, bool with_namespace)
{
    struct node *n = parse_tuple(p, true, true, false, with_namespace);

    if (!can_assign(n))
        syntax_error(p->vm, n->line, "can't assign to '%s'", kind_name(n));
    mark_stored(n);
    return n;
}

struct node *parse_target_name(struct parser *p)
{
    static const char *const CONSTANTS[] = {"true", "false", "none", "True", "False", "None"};
    const struct token *t = expect(p, T_NAME);
    struct node *n = node_new(p, N_NAME, t->line);

    for (size_t i = 0; i < sizeof CONSTANTS / sizeof *CONSTANTS; i++)
        if (text_is(t->text, CONSTANTS[i]))
            syntax_error(p->vm, t->line, "can't assign to 'name'");
    text_hash(t->text);
    n->name = t->text;
    n->flag = true;
    return n;
}
