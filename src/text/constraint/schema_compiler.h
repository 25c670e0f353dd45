/*
 * schema_compiler: what the files that make a grammar of a JSON schema share: memory, the graph that is written,
 * errors with their place, and rules for what a value must obey. Of keywords it knows $ref.
 *
 * What a value must obey is a list of claims: schemas that hold, or with `negated` do not hold. Equal
 * lists are one rule of the grammar, so that a schema that leads back to itself is a rule that calls itself.
 *
 * Not thread-safe: one owner.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_COMPILER_H
#define INF_TEXT_CONSTRAINT_SCHEMA_COMPILER_H

#include "core/error.h"
#include "text/constraint/arena.h"
#include "text/constraint/grammar_graph.h"
#include "text/constraint/regex_set.h"

#include <jansson.h>

struct schema_claim {
    json_t *schema; /* an object, true or false */
    bool negated;
};

struct schema_claims {
    struct schema_claim *items;
    size_t n, cap; /* `items` is of the arena */
};

struct schema_rule {
    struct schema_claims claims; /* sorted, each once */
    int32_t rule;
    int32_t older; /* of its bucket, + 1 */
};

/* Claims that no value obeys, as it turned out. */
struct schema_dead {
    struct schema_claims claims;
    const struct schema_dead *next;
};

#define SCHEMA_BUCKETS 4096

/* Automata of single expressions, for looking at names and values. */
struct schema_pattern {
    const char *source;
    struct regex_automaton automaton;
    struct schema_pattern *next;
};

struct schema_compiler {
    json_t *root;
    inf_error *err;
    struct arena arena;
    struct grammar_graph b;
    struct schema_rule *rules;
    size_t n_rules, rules_cap;
    int32_t buckets[SCHEMA_BUCKETS]; /* of rules + 1 */
    const struct schema_dead *dead;
    struct schema_pattern *patterns;
    json_t *owned;  /* a list: values made here */
    int32_t space;  /* the rule of white space; NOWHERE: not yet */
    int32_t string; /* of any string */
    size_t work;    /* bounded */
    bool failed;    /* the error is set */
    json_t *empty;  /* the first schema that nothing obeys, for the message */
    const char *empty_why;
};

bool schema_compiler_begin(struct schema_compiler *c, json_t *root, inf_error *err);
void schema_compiler_end(struct schema_compiler *c);

/*
 * What nothing obeys shows only when all rules are written. Where something was counted on it (a number of
 * properties, say) the grammar is written again without it: `again` remembers the rules of a pruned grammar
 * that have no text, and is true when there are any; `restart` begins anew.
 */
bool schema_compiler_again(struct schema_compiler *c, const struct grammar *g);
bool schema_compiler_restart(struct schema_compiler *c);

/* All give false: the error is set, the first stays. `where`: the schema (found again by its address). */
bool schema_refuse(struct schema_compiler *c, const json_t *where, const char *key,
                   const char *why);
bool schema_no_memory(struct schema_compiler *c);
/* A step of work; false when there have been too many. */
bool schema_step(struct schema_compiler *c, size_t n);
/* Remembers why nothing obeys a schema, in case that is so of all of it. */
void schema_is_empty(struct schema_compiler *c, json_t *where, const char *why);

/* The arena's memory; NULL: the error is set. */
void *schema_alloc(struct schema_compiler *c, size_t size);

bool schema_claims_add(struct schema_compiler *c, struct schema_claims *claims, json_t *schema,
                       bool negated);
/* The rule of a value that obeys them all; written later. NOWHERE: none does, or the error is set. */
int32_t schema_rule_of(struct schema_compiler *c, struct schema_claims *claims);

/* Whether a text has a match of a regular expression (or matches the automaton of a format).
 * false: the error is set. */
bool schema_matches(struct schema_compiler *c, const json_t *where, const char *source,
                    const char *text, size_t n, bool *out);

/* `what` cannot be used in a pattern. */
bool schema_bad_pattern(struct schema_compiler *c, const json_t *where, const char *what);
/* The automaton of a set; *out is freed with regex_automaton_free, also after a failure. */
bool schema_finish_patterns(struct schema_compiler *c, const json_t *where, struct regex_set *set,
                            struct regex_automaton *out);

#endif
