/* gbnf_parts: what the files of the grammar's compiler share: gbnf_nodes.c writes nodes, gbnf_classes.c
 * characters as bytes, gbnf.c reads the text. Not for others. */
#ifndef INF_TEXT_CONSTRAINT_GBNF_PARTS_H
#define INF_TEXT_CONSTRAINT_GBNF_PARTS_H

#include "text/constraint/gbnf.h"
#include "text/constraint/grammar_graph.h"

#define MAX_BYTES ((size_t)1 << 20)
#define MAX_DEPTH 100   /* groups in groups: the parser recurses */
#define MAX_REPEAT 2000 /* of one repetition */
#define MAX_RANGES 4096 /* in one class */

/* What has been written for something: from its first node to the end of the list. */
struct block {
    size_t at;
    int32_t entry, exit; /* the exit is a jump to nowhere yet */
    bool empty;          /* nothing was written, and there is no entry */
};

struct rule_name {
    const char *name;
    size_t len;
    bool defined;
};

struct parser {
    const char *text, *at, *end;
    struct grammar_graph b;
    size_t names_cap;
    struct rule_name *names; /* beside the rules */
    int32_t *buckets;        /* by name, of rule numbers + 1 */
    size_t n_buckets;
    struct code_range *ranges; /* (MAX_RANGES) of the class that is read */
    size_t n_ranges;
    int32_t depth, root;
    gbnf_token_fn find_token;
    void *arg;
    inf_error *err;
};

/* false: the error is set. */
bool gbnf_bad(struct parser *p, const char *why);
bool gbnf_no_memory(struct parser *p);
bool gbnf_fault(struct parser *p, const char *too_large);
bool gbnf_named_rule(struct parser *p, const char *name, size_t len, int32_t *out);
bool gbnf_add(struct parser *p, struct grammar_node node, int32_t *out);
bool gbnf_add_jump(struct parser *p, int32_t *out);
bool gbnf_add_split(struct parser *p, int32_t first, int32_t second, int32_t *out);
void gbnf_lead(struct parser *p, int32_t from, int32_t to);
bool gbnf_single(struct parser *p, struct grammar_node node, struct block *out);
void gbnf_join(struct parser *p, struct block *a, const struct block *b);
bool gbnf_repeat(struct parser *p, struct block *b, int64_t min, int64_t max, bool endless);

/* Of the class that is read. */
bool gbnf_add_range(struct parser *p, uint32_t low, uint32_t high);
void gbnf_sort_ranges(struct parser *p);
bool gbnf_complement(struct parser *p);
bool gbnf_write_class(struct parser *p, struct block *out);

#endif
