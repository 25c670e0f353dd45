/*
 * text_pattern: what Split and Replace look for: a string or a regular expression, as the tokenizers
 * library (Oniguruma) understands it. Compiled with PCRE2, whose syntax and classes differ: what
 * cannot be put over is refused by name. The patterns of the well-known tokenizers have scanners
 * written by hand, which give the same pieces.
 *
 * A pattern is immutable: any thread; its scratch memory belongs to one text at a time.
 */
#ifndef INF_HF_TOKENIZER_TEXT_PATTERN_H
#define INF_HF_TOKENIZER_TEXT_PATTERN_H

#include "core/error.h"
#include "core/json.h"
#include "hf/tokenizer/split_scan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_PATTERN_LONGEST = 64 * 1024 };

struct text_pattern;
struct text_pattern_work;

/* UNSUPPORTED: a construct that is not known, named; BAD_FORMAT: no pattern; NO_MEMORY. */
int32_t text_pattern_regex(struct text_pattern **out, const char *s, size_t n, inf_error *err);
/* {"String": s} or {"Regex": s}. */
int32_t text_pattern_read(struct text_pattern **out, struct json_span json, inf_error *err);
void text_pattern_free(struct text_pattern *p); /* NULL is ignored */

struct text_pattern_work *text_pattern_work_create(void); /* NULL: out of memory */
void text_pattern_work_free(struct text_pattern_work *w); /* NULL is ignored */

/* Matches in a text (well-formed UTF-8), one behind the other. */
struct text_matches {
    const struct text_pattern *pattern;
    struct text_pattern_work *work;
    const char *s;
    size_t n;
    size_t at;
    size_t begin, end; /* of the match */
    bool matched;      /* there was one before */
    uint32_t n_searches;
    int64_t deadline; /* of clock_us(); 0: not set yet */
};

/* false: no more, or *code is not INF_OK: UNSUPPORTED when it goes back and forth too long, NO_MEMORY. */
bool text_matches_next(struct text_matches *m, int32_t *code, inf_error *err);
/* The scanner of a well-known pattern; NULL: it has none. */

text_scanner *text_pattern_scanner(const struct text_pattern *p);

#endif
