/*
 * json: JSON read in place. A value is a span of the text it stands in; nothing is copied or
 * built until a string is asked for.
 *
 * Why not jansson: a stream brings a small object a token, and a server's bytes may hold what
 * jansson refuses whole: a lone surrogate, a byte sequence cut in two by the chunks. Here those are
 * kept as they are (surrogates as three bytes each, so that halves from two chunks can still be put
 * together) and text_join makes text of them.
 *
 * Pure functions; bounded nesting, no recursion. What json accepts is JSON, but for bytes that
 * are not UTF-8 and lone surrogates inside strings.
 */
#ifndef INF_CORE_JSON_H
#define INF_CORE_JSON_H

#include "core/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_MAX_DEPTH = 256 };

/* The text of a value; data NULL: absent. */
struct json_span {
    const char *data;
    size_t len;
};

/* *out is the one value that the text holds, white space around it; false when it holds something
 * else, or nests deeper than JSON_MAX_DEPTH. */
bool scan_json(struct json_span *out, const char *text, size_t len);

static inline bool scan_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
/* How many bytes at the beginning stand for themselves in a string: neither quote, backslash nor control
 * character. */
size_t scan_plain(const char *s, size_t n);
/* Behind the escape whose backslash stands at `at`, of both halves of a pair; NULL: it is none. *code: what it
 * means, which may be half of a pair that is alone. */
const char *scan_escape(const char *at, const char *end, uint32_t *code);
/* Behind the number that begins at `at`; NULL: none does. */
const char *scan_number_end(const char *at, const char *end);

/* Where a JSON text is, of which one byte after the other comes. */
struct json_place {
    size_t depth;
    bool in_string, escaped;
};
void json_step(struct json_place *p, char c);

/* A text without the white space around it. */
struct json_span scan_trim(const char *text, size_t len);

/* The members of a scanned object, or the items of a scanned array, one a call. */
struct json_walk {
    const char *at, *end;
};
/* Of something else than an object (array): a walk that is over at once, and false. */
bool scan_object(struct json_walk *w, struct json_span object);
bool scan_array(struct json_walk *w, struct json_span array);
bool scan_next_member(struct json_walk *w, struct json_span *key, struct json_span *value);
bool scan_next_item(struct json_walk *w, struct json_span *item);

/* The last member of that name; absent when there is none. */
struct json_span scan_member(struct json_span object, const char *name);

bool scan_is_object(struct json_span v);
bool scan_is_array(struct json_span v);
bool scan_is_string(struct json_span v);
bool scan_is_number(struct json_span v);
bool scan_is_true(struct json_span v);
bool scan_is_false(struct json_span v);
/* Absent or null. */
bool scan_is_none(struct json_span v);

/* Behind the string of a scanned text whose quote stands at `at`; NULL when it does not end before `end`. */
const char *scan_string_end(const char *at, const char *end);

/* The string (a scanned one, with its quotes) is that text. Compares what it means. */
bool scan_equals(struct json_span string, const char *text);

/* Appends what a scanned string means; surrogates that are alone become three bytes (ED Ax/Bx xx).
 * false: out of memory or beyond the buffer's limit. */
bool scan_unescape(struct buffer *out, struct json_span string);

/* A whole number of a scanned value; false for anything else, a fraction and what does not fit. */
bool scan_integer(struct json_span v, int64_t *out);
/* A number, whatever the locale; false for anything else. Huge ones are infinite. */
bool scan_real(struct json_span v, double *out);

/* ------------------------------------------------------------------ writing */

/* Appends text as a JSON string, quotes included. The text is UTF-8. */
bool write_json_string(struct buffer *out, const char *text, size_t len);
/* The shortest number that reads back as this float, whatever the locale. Finite. */
bool write_json_float(struct buffer *out, float value);

#endif
