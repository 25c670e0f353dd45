/*
 * output_read: a tool call as a model writes it, at the beginning of a text that may not be all there yet. A
 * function a shape; each goes on from where it stopped, so that a long call is looked at once.
 * Knows nothing of streams, and not what stands around a call.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_READ_H
#define INF_TEXT_OUTPUT_OUTPUT_READ_H

#include "text/output/output_calls.h"
#include "text/output/output_format.h"

enum output_read {
    READ_MORE, /* it may become one */
    READ_CALL, /* one, or a list of them: added to calls */
    READ_NONE  /* no call, whatever follows; or out of memory (calls->failed) */
};

/* How far a text has been looked at; all zero: not at all. */
struct output_scan {
    size_t at;    /* of the JSON value that is being read, or of a search */
    size_t begin; /* where that value begins, 0: not known yet */
    size_t depth;
    bool in_string, escaped;
};

/* s begins with an opener of the format (OUTPUT_BARE: or with "{"). end: nothing follows. *used: the bytes of
 * the call, without what closes it. */
enum output_read output_read_call(const struct output_format *f, struct output_scan *scan,
                                  const char *s, size_t n, bool end, size_t *used,
                                  struct output_calls *calls);

/* The end of a JSON value that begins at scan->begin; 0: not there yet. *broken: it is none. */
size_t output_json_end(struct output_scan *scan, const char *s, size_t n, bool *broken);

/* At s[at] is the word: 1; some of its beginning, and the text ends there: 0; else -1. */
int output_match(const char *s, size_t n, size_t at, const char *word);
/* Behind white space. */
size_t output_skip_space(const char *s, size_t n, size_t at);
/* Where the word begins at or behind `at`; n: nowhere. */
size_t output_find(const char *s, size_t n, size_t at, const char *word);

#endif
