/*
 * grammar_matcher: how far a text follows a grammar, byte by byte, and which bytes and tokens may come
 * next. Knows the compiled grammar (grammar.h), nothing of a vocabulary.
 *
 * Where the grammar stands is a set of places: a node, and the frame of the rule it is in. A frame is
 * one call of a rule at one point of the text, whoever called; its callers are edges to the places
 * that go on when the rule ends (a graph-structured stack: Tomita, "Efficient Parsing for Natural
 * Language", 1985; Scott and Johnstone, "GLL Parsing", 2010). So the ways through an ambiguous grammar
 * are never counted one by one, a rule may begin with itself, and a step's work is bounded by nodes
 * times frames; beyond a limit the matcher gives up rather than stall its thread.
 *
 * Not thread-safe: one owner.
 */
#ifndef INF_TEXT_CONSTRAINT_GRAMMAR_MATCHER_H
#define INF_TEXT_CONSTRAINT_GRAMMAR_MATCHER_H

#include "text/constraint/grammar.h"

struct grammar_matcher;

/* grammar: borrowed, must outlive it. NULL: out of memory. */
struct grammar_matcher *grammar_matcher_create(const struct grammar *grammar);
void grammar_matcher_free(struct grammar_matcher *m); /* NULL is ignored */

/* The text so far is a whole one. */
bool grammar_matcher_may_end(const struct grammar_matcher *m);
/* Nothing may come, and it may not end. */
bool grammar_matcher_is_stuck(const struct grammar_matcher *m);
/* Some node of the grammar stands at a token by number; then the two below matter. */
bool grammar_matcher_wants_token(const struct grammar_matcher *m);
/* The token may come next by its number. */
bool grammar_matcher_takes_token(const struct grammar_matcher *m, int32_t token);

/*
 * Trying bytes: a stack of them on top of the text. try_push is false when the byte cannot follow, and
 * then nothing was pushed; try_pop takes the last n back. try_work is what has been done for it since
 * the last try_begin: the owner stops when it is too much.
 */
void grammar_matcher_try_begin(struct grammar_matcher *m);
bool grammar_matcher_try_push(struct grammar_matcher *m, unsigned char byte);
void grammar_matcher_try_pop(struct grammar_matcher *m, size_t n);
int64_t grammar_matcher_try_work(const struct grammar_matcher *m);
/* try_pop of what need not come: when that was too much for the matcher, it has not given up. */
void grammar_matcher_try_drop(struct grammar_matcher *m, size_t n);
/* The bytes that may come next, of all texts (and not by a token's number). */
void grammar_matcher_next_bytes(const struct grammar_matcher *m, uint64_t bits[4]);

/* Texts of whole characters. */
struct grammar_bytes {
    uint64_t ascii[2];
    bool beyond_ascii; /* others too */
    int32_t longest;   /* in bytes */
};

/* Every text of these bytes may come next. false: perhaps not. */
bool grammar_matcher_takes_all(const struct grammar_matcher *m, const struct grammar_bytes *any);

/* The text goes on with a token, of these bytes (n may be 0) or by its number. false: it cannot, or
 * the matcher has given up, and takes nothing from then on. Nothing may be pushed. */
bool grammar_matcher_accept(struct grammar_matcher *m, int32_t token, const char *bytes, size_t n);

/* It ran into a limit or out of memory. */
bool grammar_matcher_gave_up(const struct grammar_matcher *m);

#endif
