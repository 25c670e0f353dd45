/*
 * parser: tokens into a tree: statements; expressions are in parse_expression.c.
 */
#include "text/template/limits.h"
#include "text/template/parser.h"

#include <string.h>

/* ------------------------------------------------------------------ unknown and missing tags */

static bool expected_anywhere(const struct ends *ends, const struct text *name)
{
    for (; ends; ends = ends->outer) {
        for (size_t i = 0; i < MAX_END_TAGS && ends->names[i]; i++)
            if (text_is(name, ends->names[i]))
                return true;
    }
    return false;
}

static void build_looking_for(struct builder *b, const struct ends *ends)
{
    for (size_t i = 0; i < MAX_END_TAGS && ends->names[i]; i++) {
        build_str(b, i ? " or '" : "'");
        build_str(b, ends->names[i]);
        build_char(b, '\'');
    }
}

/* name NULL: the template has ended. */
static _Noreturn void fail_tag(struct parser *p, const struct text *name, int line)
{
    struct builder b;

    build_init(&b, p->vm);
    if (name) {
        build_str(&b, "Encountered unknown tag ");
        repr_text(&b, name);
        build_char(&b, '.');
    } else {
        build_str(&b, "Unexpected end of template.");
    }
    if (p->ends) {
        build_str(&b,
                  name && expected_anywhere(p->ends, name)
                      ? " You probably made a nesting mistake. Jinja is expecting this tag, but "
                        "currently looking for "
                      : " Jinja was looking for the following tags: ");
        build_looking_for(&b, p->ends);
        build_char(&b, '.');
    }
    if (p->n_tags) {
        build_str(&b, " The innermost block that needs to be closed is ");
        repr_text(&b, p->tags[p->n_tags - 1]);
        build_char(&b, '.');
    }
    syntax_error(p->vm, line, "%.*s", (int)(b.len < 800 ? b.len : 800), b.data);
}

static void push_tag(struct parser *p, struct text *name)
{
    if (p->n_tags == p->cap_tags)
        VM_GROW(p->vm, p->tags, p->n_tags, p->cap_tags, 16);
    p->tags[p->n_tags++] = name;
}

/* ------------------------------------------------------------------ bodies */

static struct node *parse_statement(struct parser *p);

static bool at_end_tag(const struct parser *p, const struct ends *ends)
{
    for (size_t i = 0; ends && i < MAX_END_TAGS && ends->names[i]; i++)
        if (is_name(p, ends->names[i]))
            return true;
    return false;
}

static void add_output(struct parser *p, struct nodes *body, struct node **output, struct node *n)
{
    if (!*output) {
        *output = node_new(p, N_OUTPUT, n->line);
        nodes_add(p->vm, body, *output);
    }
    nodes_add(p->vm, &(*output)->list, n);
}

/* Until one of the end tags, which is then current; or the template's end. */
static struct nodes parse_body(struct parser *p, const struct ends *ends)
{
    struct nodes body = {NULL, 0, 0};
    struct node *output = NULL;
    struct node *n;

    while (!is(p, T_EOF)) {
        const struct token *t = advance(p);

        switch (t->type) {
        case T_DATA:
            n = node_new(p, N_DATA, t->line);
            n->value = v_str(t->text);
            add_output(p, &body, &output, n);
            break;
        case T_VARIABLE_BEGIN:
            add_output(p, &body, &output, parse_tuple(p, false, true, false, false));
            expect(p, T_VARIABLE_END);
            break;
        default: /* T_BLOCK_BEGIN: tags follow one another */
            output = NULL;
            if (at_end_tag(p, ends))
                return body;
            nodes_add(p->vm, &body, parse_statement(p));
            expect(p, T_BLOCK_END);
        }
    }
    return body;
}

/* A statement's body, from the end of its tag to its end tag (current then, or passed). */
static struct nodes parse_block(struct parser *p, struct ends ends, bool pass)
{
    struct nodes body;

    skip(p, T_COLON);
    expect(p, T_BLOCK_END);
    ends.outer = p->ends;
    p->ends = &ends;
    if (++p->depth > MAX_BLOCK_DEPTH)
        syntax_error(p->vm, current(p)->line, "its blocks are nested deeper than %d",
                     MAX_BLOCK_DEPTH);
    body = parse_body(p, &ends);
    p->depth--;
    if (is(p, T_EOF))
        fail_tag(p, NULL, current(p)->line);
    p->ends = ends.outer;
    if (pass)
        advance(p);
    return body;
}

/* ------------------------------------------------------------------ statements */

static struct node *parse_set(struct parser *p)
{
    struct node *n = node_new(p, N_ASSIGN, advance(p)->line);

    n->a = parse_target(p, true);
    if (skip(p, T_ASSIGN)) {
        n->b = parse_tuple(p, false, true, false, false);
        return n;
    }
    n->kind = N_ASSIGNBLOCK;
    n->b = parse_filter(p, NULL, false);
    n->list = parse_block(p, (struct ends){.names = {"endset"}}, true);
    return n;
}

static struct node *parse_for(struct parser *p)
{
    struct node *n = node_new(p, N_FOR, advance(p)->line);

    n->a = parse_target(p, false);
    expect_name(p, "in");
    n->b = parse_tuple(p, false, false, false, false);
    if (skip_name(p, "if"))
        n->c = parse_expression(p, true);
    n->flag = skip_name(p, "recursive");
    n->list = parse_block(p, (struct ends){.names = {"endfor", "else"}}, false);
    if (text_is(advance(p)->text, "else"))
        n->list2 = parse_block(p, (struct ends){.names = {"endfor"}}, true);
    return n;
}

/* list: the branches, each a node with a test in a and a body in list; list2: the else. */
static struct node *parse_if(struct parser *p)
{
    struct node *n = node_new(p, N_IF, current(p)->line);

    do {
        struct node *branch = node_new(p, N_IF, advance(p)->line);

        branch->a = parse_tuple(p, false, false, false, false);
        branch->list = parse_block(p, (struct ends){.names = {"elif", "else", "endif"}}, false);
        nodes_add(p->vm, &n->list, branch);
    } while (is_name(p, "elif"));
    if (text_is(advance(p)->text, "else"))
        n->list2 = parse_block(p, (struct ends){.names = {"endif"}}, true);
    return n;
}

static struct node *parse_with(struct parser *p)
{
    struct node *n = node_new(p, N_WITH, advance(p)->line);
    struct nodes targets = {NULL, 0, 0};
    struct nodes values = {NULL, 0, 0};

    while (!is(p, T_BLOCK_END)) {
        if (targets.n)
            expect(p, T_COMMA);
        nodes_add(p->vm, &targets, parse_target(p, false));
        expect(p, T_ASSIGN);
        nodes_add(p->vm, &values, parse_expression(p, true));
    }
    n->list2 = targets;
    n->a = node_new(p, N_LIST, n->line);
    n->a->list = values;
    n->list = parse_block(p, (struct ends){.names = {"endwith"}}, true);
    return n;
}

static struct node *parse_autoescape(struct parser *p)
{
    struct node *n = node_new(p, N_AUTOESCAPE, advance(p)->line);

    n->a = parse_expression(p, true);
    n->list = parse_block(p, (struct ends){.names = {"endautoescape"}}, true);
    return n;
}

static bool only_blanks(struct vm *vm, const struct node *output)
{
    for (size_t i = 0; i < output->list.n; i++) {
        const struct node *n = output->list.items[i];

        if (n->kind != N_DATA || text_strip(vm, n->value.s, NULL, true, true)->len)
            return false;
    }
    return true;
}

static struct node *parse_named_block(struct parser *p)
{
    struct node *n = node_new(p, N_BLOCK, advance(p)->line);

    n->name = expect(p, T_NAME)->text;
    text_hash(n->name);
    n->flag = skip_name(p, "scoped");
    n->flag2 = skip_name(p, "required");
    if (is(p, T_SUB))
        syntax_error(p->vm, current(p)->line,
                     "Block names in Jinja have to be valid Python identifiers and may not contain "
                     "hyphens, use an underscore instead.");
    n->list = parse_block(p, (struct ends){.names = {"endblock"}}, true);
    for (size_t i = 0; n->flag2 && i < n->list.n; i++) {
        const struct node *child = n->list.items[i];

        if (child->kind != N_OUTPUT || !only_blanks(p->vm, child))
            syntax_error(p->vm, current(p)->line,
                         "Required blocks can only contain comments or whitespace");
    }
    if (is(p, T_NAME) && text_equal(current(p)->text, n->name))
        advance(p);
    return n;
}

/* extends, include, import, from: taken apart for their errors; to execute one is another. */
static struct node *parse_loader(struct parser *p)
{
    const struct token *t = advance(p);
    struct node *n = node_new(p, N_LOADER, t->line);

    n->name = t->text;
    n->a = parse_expression(p, true);
    if (text_is(n->name, "import")) {
        expect_name(p, "as");
        n->b = parse_target_name(p);
    } else if (text_is(n->name, "from")) {
        expect_name(p, "import");
        do {
            struct node *target;

            if (is_name(p, "with") || is_name(p, "without"))
                break;
            target = parse_target_name(p);
            if (skip_name(p, "as"))
                target = parse_target_name(p);
            nodes_add(p->vm, &n->list, target);
        } while (skip(p, T_COMMA));
    } else if (is_name(p, "ignore") && next_is_name(p, "missing")) {
        advance(p);
        advance(p);
    }
    if ((is_name(p, "with") || is_name(p, "without")) && next_is_name(p, "context")) {
        advance(p);
        advance(p);
    }
    return n;
}

/* (a, b=1): names into list, defaults into list2. */
static void parse_signature(struct parser *p, struct node *n)
{
    expect(p, T_LPAREN);
    while (!is(p, T_RPAREN)) {
        struct node *arg;

        if (n->list2.n)
            expect(p, T_COMMA);
        arg = parse_target_name(p);
        if (skip(p, T_ASSIGN))
            arg->a = parse_expression(p, true);
        else if (n->list2.n && n->list2.items[n->list2.n - 1]->a)
            syntax_error(p->vm, current(p)->line, "non-default argument follows default argument");
        nodes_add(p->vm, &n->list2, arg);
    }
    expect(p, T_RPAREN);
}

static struct node *parse_macro(struct parser *p)
{
    struct node *n = node_new(p, N_MACRO, advance(p)->line);

    n->name = parse_target_name(p)->name;
    parse_signature(p, n);
    n->list = parse_block(p, (struct ends){.names = {"endmacro"}}, true);
    return n;
}

static struct node *parse_call_block(struct parser *p)
{
    struct node *n = node_new(p, N_CALLBLOCK, advance(p)->line);

    if (is(p, T_LPAREN))
        parse_signature(p, n);
    n->a = parse_expression(p, true);
    if (n->a->kind != N_CALL)
        syntax_error(p->vm, n->line, "expected call");
    n->list = parse_block(p, (struct ends){.names = {"endcall"}}, true);
    return n;
}

static struct node *parse_generation(struct parser *p)
{
    struct node *n = node_new(p, N_GENERATION, advance(p)->line);

    n->list = parse_block(p, (struct ends){.names = {"endgeneration"}}, true);
    return n;
}

static struct node *parse_filter_block(struct parser *p)
{
    struct node *n = node_new(p, N_FILTERBLOCK, advance(p)->line);

    n->a = parse_filter(p, NULL, true);
    n->list = parse_block(p, (struct ends){.names = {"endfilter"}}, true);
    return n;
}

static struct node *parse_print(struct parser *p)
{
    struct node *n = node_new(p, N_OUTPUT, advance(p)->line);

    while (!is(p, T_BLOCK_END)) {
        if (n->list.n)
            expect(p, T_COMMA);
        nodes_add(p->vm, &n->list, parse_expression(p, true));
    }
    return n;
}

static struct node *parse_break(struct parser *p)
{
    const struct token *t = advance(p);

    return node_new(p, text_is(t->text, "break") ? N_BREAK : N_CONTINUE, t->line);
}

static const struct statement {
    const char *name;
    struct node *(*parse)(struct parser *p);
} STATEMENTS[] = {
    {"if", parse_if},
    {"set", parse_set},
    {"for", parse_for},
    {"macro", parse_macro},
    {"call", parse_call_block},
    {"filter", parse_filter_block},
    {"with", parse_with},
    {"print", parse_print},
    {"block", parse_named_block},
    {"autoescape", parse_autoescape},
    {"generation", parse_generation},
    {"break", parse_break},
    {"continue", parse_break},
    {"extends", parse_loader},
    {"include", parse_loader},
    {"import", parse_loader},
    {"from", parse_loader},
};

static struct node *parse_statement(struct parser *p)
{
    const struct token *t = current(p);
    struct node *n;

    if (t->type != T_NAME)
        syntax_error(p->vm, t->line, "tag name expected");
    for (size_t i = 0; i < sizeof STATEMENTS / sizeof *STATEMENTS; i++) {
        if (!text_is(t->text, STATEMENTS[i].name))
            continue;
        push_tag(p, t->text);
        n = STATEMENTS[i].parse(p);
        p->n_tags--;
        return n;
    }
    fail_tag(p, t->text, t->line);
}

struct tree *template_parse(struct vm *vm, struct tokens tokens)
{
    struct parser p = {.vm = vm, .tokens = tokens};
    struct tree *tree = VM_NEW(vm, struct tree);

    memset(tree, 0, sizeof *tree);
    check_lexed(&p);
    tree->body = parse_body(&p, NULL);
    return tree;
}
