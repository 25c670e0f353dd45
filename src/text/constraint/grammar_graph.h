/*
 * grammar_graph: writes the nodes of a grammar. Knows bytes, characters and the graph's kinds of nodes,
 * nothing of a syntax.
 *
 * What is written for something leads on to what was written before it: each function takes the node
 * that follows and gives the one to begin with. NOWHERE is no way at all, and what leads only there is
 * not written. What fails (memory, a graph that grows too large) is kept as the builder's fault, and
 * everything after it gives NOWHERE: whoever builds looks at the fault at the end.
 *
 * Not thread-safe: one owner.
 */
#ifndef INF_TEXT_CONSTRAINT_GRAMMAR_GRAPH_H
#define INF_TEXT_CONSTRAINT_GRAMMAR_GRAPH_H

#include "text/constraint/grammar.h"

#define NOWHERE (-1)
#define LAST_CODE 0x10FFFFu
#define GRAMMAR_MAX_NODES 500000
#define GRAMMAR_MAX_RULES 65536

enum graph_fault { GRAPH_FINE, GRAPH_NO_MEMORY, GRAPH_TOO_LARGE };

struct code_range {
    uint32_t low, high;
};

struct grammar_graph {
    struct grammar *g;
    size_t nodes_cap, sets_cap, spans_cap, rules_cap;
    enum graph_fault fault;
};

bool graph_begin(struct grammar_graph *b); /* false: out of memory */
/* The grammar, now the caller's; NULL: a fault. */
struct grammar *graph_end(struct grammar_graph *b, int32_t root);
/* The same without what leads to no whole text; NULL also when there is none at all. */
struct grammar *graph_end_pruned(struct grammar_graph *b, int32_t root);
void graph_drop(struct grammar_graph *b); /* also after graph_end */

/* A rule to call, without a way through it yet; set with graph_define. */
int32_t graph_rule(struct grammar_graph *b);
void graph_define(struct grammar_graph *b, int32_t rule, int32_t entry);

int32_t graph_node(struct grammar_graph *b, struct grammar_node node);
int32_t graph_finish(struct grammar_graph *b); /* the end of a rule */
/* A node to be led on later, for what comes back to itself. */
int32_t graph_jump(struct grammar_graph *b);
void graph_lead(struct grammar_graph *b, int32_t jump, int32_t to);

int32_t graph_split(struct grammar_graph *b, int32_t first, int32_t second);
int32_t graph_byte(struct grammar_graph *b, int low, int high, int32_t next);
int32_t graph_text(struct grammar_graph *b, const char *text, size_t n, int32_t next);
int32_t graph_set(struct grammar_graph *b, const struct grammar_set *set, int32_t next);
int32_t graph_call(struct grammar_graph *b, int32_t rule, int32_t next);

/* A token by its number, then next. */
int32_t graph_token(struct grammar_graph *b, int32_t token, int32_t next);
/* A finished grammar as a rule to call; it is copied. */
int32_t graph_embed(struct grammar_graph *b, const struct grammar *g);

/*
 * Text up to a word of ASCII, which is its end and part of it; no other place in it holds the word. It leads
 * to `next`, and where the word is a token of its own (token, else -1) that leads there too.
 */
int32_t graph_until(struct grammar_graph *b, const char *word, int32_t token, int32_t next);

/* A character of sorted ranges without overlaps (surrogates are left out). */
int32_t graph_class(struct grammar_graph *b, const struct code_range *ranges, size_t n,
                    int32_t next);
/* The same for those beyond ASCII only. */
int32_t graph_beyond_ascii(struct grammar_graph *b, const struct code_range *ranges, size_t n,
                           int32_t next);

int32_t graph_count(struct grammar_graph *b, int32_t most, int32_t next);
int32_t graph_check(struct grammar_graph *b, int32_t low, int32_t high, int32_t next);
int32_t graph_check_members(struct grammar_graph *b, int32_t low, int32_t high, int32_t next);
/* kind: ADD or HAS. */
int32_t graph_member(struct grammar_graph *b, enum grammar_kind kind, int32_t member, bool negate,
                     int32_t next);

#endif
