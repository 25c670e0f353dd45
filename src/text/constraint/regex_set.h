/*
 * regex_set: which of several regular expressions a text matches, as one deterministic automaton over
 * its characters. Knows regular expressions, nothing of schemas, JSON or grammars.
 *
 * The expressions are those of JSON Schema (ECMA-262): they match anywhere unless anchored. Each has a
 * number from 0 to 63; a state of the automaton says which of them the text so far matches, so that "this
 * one and that one but not the third" is a look at a state.
 *
 * Where a class means more characters in one reader than in another (\d, \s, `.`), the expression takes
 * what every reader takes, and its opposite leaves out what any takes.
 *
 * Not thread-safe: one owner; a finished automaton is immutable.
 */
#ifndef INF_TEXT_CONSTRAINT_REGEX_SET_H
#define INF_TEXT_CONSTRAINT_REGEX_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct regex_edge {
    uint32_t low, high; /* code points */
    int32_t to;
};

struct regex_state {
    uint64_t matched;            /* bits of the patterns */
    int32_t first_edge, n_edges; /* sorted, without overlaps */
};

struct regex_automaton {
    struct regex_state *states; /* [0]: of the empty text */
    struct regex_edge *edges;
    size_t n_states, n_edges;
    size_t work; /* that it was to make, in steps of some ns */
    size_t states_cap, edges_cap;
};

struct regex_set;

struct regex_set *regex_set_create(void); /* NULL: out of memory */
void regex_set_free(struct regex_set *set);

/* s: n bytes of UTF-8. false: *why says what cannot be used, or is NULL when out of memory. */
bool regex_set_add(struct regex_set *set, int number, const char *s, size_t n, const char **why);
/* The text itself, as a whole; one number may have many. */
bool regex_set_add_text(struct regex_set *set, int number, const char *s, size_t n,
                        const char **why);

/* As above; freed with regex_automaton_free, also after a failure. */
bool regex_set_finish(struct regex_set *set, struct regex_automaton *out, const char **why);
void regex_automaton_free(struct regex_automaton *a);

/* The patterns that a text (UTF-8) matches. */
uint64_t regex_automaton_match(const struct regex_automaton *a, const char *s, size_t n);

#endif
