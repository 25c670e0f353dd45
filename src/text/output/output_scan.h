/*
 * output_scan: how far a text has been looked at, and looking for words in it: what the readers of calls share. Knows
 * no format. Pure functions.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_SCAN_H
#define INF_TEXT_OUTPUT_OUTPUT_SCAN_H

#include "core/json.h"

#include <inference/inference.h>

enum { OUTPUT_MAX_NAME = 256 };

enum output_read {
    READ_MORE, /* it may become one */
    READ_CALL, /* one, or a list of them: added to calls */
    READ_NONE  /* no call, whatever follows; or out of memory (calls->failed) */
};

static inline enum output_read output_added(bool ok)
{
    return ok ? READ_CALL : READ_NONE;
}

/* How far a JSON value has been looked at; all zero: not at all. */
struct output_json {
    size_t at;
    size_t begin; /* where the value begins, 0: not known yet */
    struct json_place place;
    size_t end;  /* behind it, 0: not known yet */
    bool broken; /* it is none */
    char quote;  /* of Python's: what ends the string; 0: outside of one */
};

/* How far a text has been looked at; all zero: not at all. */
struct output_scan {
    struct output_json value;     /* that is being read; at: of a search too */
    struct output_json arguments; /* the object within it */
    size_t item;                  /* where the value of a list begins, 0: not known yet */
    bool items;                   /* there were some */
    size_t shown;                 /* of an open call: behind what was given to it */
    size_t probe;                 /* no tag that tells where a value ends begins before it */
    bool plain; /* it does not begin like a call that can be told before its end */
};

/* At s[at] is the word: 1; some of its beginning, and the text ends there: 0; else -1. */
int output_match(const char *s, size_t n, size_t at, const char *word);
/* Behind white space. */
size_t output_skip_space(const char *s, size_t n, size_t at);
/* Where the word begins at or behind `at`; n: nowhere. */
size_t output_find(const char *s, size_t n, size_t at, const char *word);
/* Behind what a name may be made of. */
size_t output_name_end(const char *s, size_t n, size_t at);
/* s[from..to) without the white space around it. */
inf_text output_piece(const char *s, size_t from, size_t to);

#endif
