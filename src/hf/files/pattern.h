/*
 * pattern: the part of Python's regular expressions that adapter configurations use, matched in
 * linear time whatever the pattern (a set of states instead of backtracking).
 *
 * Supported: literals, `.`, classes [a-z] [^...], \d \w \s \D \W \S, escaped punctuation and
 * \a \f \n \r \t \v \xhh, groups (...) (?:...) (?P<name>...), alternation, * + ? {m} {m,} {,n}
 * {m,n} and their lazy forms, ^ $ \A \Z \b \B, lookahead (?=...) (?!...). ASCII patterns only.
 * Everything else of Python's (back references, lookbehind, flags, atomic and possessive forms,
 * conditionals) is refused by name. Only yes or no comes out, so greedy and lazy are the same.
 *
 * Threads: a pattern has its own scratch memory: one thread at a time.
 */
#ifndef INF_HF_FILES_PATTERN_H
#define INF_HF_FILES_PATTERN_H

#include "core/error.h"

enum { PATTERN_MAX_LENGTH = 16 * 1024 };

struct pattern;

/*
 * Errors: BAD_FORMAT (not a regular expression), UNSUPPORTED (a construct beyond the list, named; a
 * pattern too long or too large), NO_MEMORY.
 */
int32_t pattern_compile(struct pattern **out, const char *text, size_t len, inf_error *err);
void pattern_free(struct pattern *p); /* NULL is ignored */
/* Instructions of the compiled pattern: its memory and the cost of a step grow with them. */
int32_t pattern_size(const struct pattern *p);

/*
 * Python's re.fullmatch(pattern, text) is not None. *budget bounds the work and is lowered by the
 * steps taken; UNSUPPORTED when it is used up.
 */
int32_t pattern_fullmatch(bool *out, struct pattern *p, const char *text, size_t len,
                          int64_t *budget, inf_error *err);

#endif
