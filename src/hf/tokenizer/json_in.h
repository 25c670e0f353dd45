/*
 * json_in: a large JSON text read once, front to back: what is wanted is asked for as it comes, the
 * rest is skipped. Strings are unescaped in place, so that they can be used without a copy.
 *
 * Why not core/json.h: it scans a value at each level that is walked, which a tokenizer.json of 30 MB
 * feels. Not thread-safe: its owner guards it.
 */
#ifndef INF_HF_TOKENIZER_JSON_IN_H
#define INF_HF_TOKENIZER_JSON_IN_H

#include "core/ascii.h"
#include "core/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_IN_DEPTH = 128 };

/* The text must be valid UTF-8 and writable; it is changed where strings have escapes. */
struct json_in {
    char *at, *end;
    const char *begin;  /* where the text began, for messages */
    const char *failed; /* what is wrong, or NULL; everything fails from then on */
};

void json_in_init(struct json_in *in, char *text, size_t len);

/* What the next value is: its first character ('{', '[', '"', 't', 'f', 'n', '0' for a number), or 0. */
char json_in_peek(struct json_in *in);

/* Into an object or an array; false: it is something else. */
bool json_in_open(struct json_in *in, char bracket);
/* At the next member (key read) or item. false: the end, which is behind us, or a failure. *first is
 * true before the first call. */
bool json_in_member(struct json_in *in, bool *first, struct json_span *key);
bool json_in_item(struct json_in *in, bool *first);

/* A string's meaning, without quotes. */
bool json_in_string(struct json_in *in, struct json_span *out);
/* A string that was read, or a key, is that text. */
static inline bool json_in_is(struct json_span string, const char *text)
{
    return text_equals(string.data, string.len, text);
}
/* A whole number from 0 on, at most UINT32_MAX. */
bool json_in_id(struct json_in *in, uint32_t *out);
bool json_in_real(struct json_in *in, double *out);
/* true, false, or null as `absent`. */
bool json_in_bool(struct json_in *in, bool *out, bool absent);
bool json_in_null(struct json_in *in); /* true: it was null and is behind us */
/* Behind the value, whose text (as it stands in the file) is *out. */
bool json_in_skip(struct json_in *in, struct json_span *out);
/* Nothing but white space is left. */
bool json_in_end(struct json_in *in);

/* Says what is wrong, unless something was before; false. */
bool json_in_fail(struct json_in *in, const char *what);

#endif
