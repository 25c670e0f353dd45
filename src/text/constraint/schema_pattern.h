/*
 * schema_pattern: the regular expression of a JSON schema's "pattern", written so that llama.cpp's
 * converter gives the grammar it means. Knows regular expressions, nothing of schemas.
 *
 * The converter lets `.` and [^a] match a quote and so end the text, repeats all of ab\. in ab\.*,
 * and passes over what it does not know. Here every character becomes a class of explicit ranges,
 * without the characters that JSON writes as an escape, and the rest is refused.
 * Threads: any.
 */
#ifndef INF_TEXT_CONSTRAINT_SCHEMA_PATTERN_H
#define INF_TEXT_CONSTRAINT_SCHEMA_PATTERN_H

#include "core/buffer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* s: n bytes of UTF-8. Appends to out. false: *why says what cannot be used, or is NULL when out of
 * memory; out may then have a part. */
bool schema_pattern_rewrite(const char *s, size_t n, struct buffer *out, const char **why);

#ifdef __cplusplus
}
#endif

#endif
