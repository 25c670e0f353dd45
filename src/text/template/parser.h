/*
 * parser: what its files share: tokens (parse_tokens.c), expressions (parse_expression.c) and statements
 * (parser.c).
 */
#ifndef INF_TEXT_TEMPLATE_PARSER_H
#define INF_TEXT_TEMPLATE_PARSER_H

#include "text/template/engine.h"

#define MAX_END_TAGS 4

/* The tags that may end an open block. */
struct ends {
    const char *names[MAX_END_TAGS];
    const struct ends *outer;
};

struct parser {
    struct vm *vm;
    struct tokens tokens;
    size_t at;
    const struct ends *ends;
    struct text **tags; /* of the open statements */
    size_t n_tags;
    size_t cap_tags;
    int depth; /* of open statements */
};

static inline const struct token *current(const struct parser *p)
{
    return &p->tokens.items[p->at];
}
static inline bool is(const struct parser *p, enum token_type type)
{
    return current(p)->type == type;
}
/* Throws where the lexer failed. */
void check_lexed(struct parser *p);
/* The next token, checked; the old one is returned. */
const struct token *advance(struct parser *p);
bool is_name(const struct parser *p, const char *name);
bool next_is(const struct parser *p, enum token_type type);
bool next_is_name(const struct parser *p, const char *name);
bool skip_name(struct parser *p, const char *name);
bool skip(struct parser *p, enum token_type type);
const struct token *expect(struct parser *p, enum token_type type);
const struct token *expect_name(struct parser *p, const char *name);
const char *describe(struct parser *p, const struct token *t); /* quoted */
struct node *node_new(struct parser *p, enum node_kind kind, int line);

struct node *parse_expression(struct parser *p, bool with_condition);
/* Expressions with commas. */
struct node *parse_tuple(struct parser *p, bool simple, bool with_condition, bool parentheses,
                         bool with_namespace);
/* node NULL: of a filter block. start: no '|' comes before the first. */
struct node *parse_filter(struct parser *p, struct node *node, bool start);
/* Names that are stored, or an error. */
struct node *parse_target(struct parser *p, bool with_namespace);
struct node *parse_target_name(struct parser *p);

#endif
