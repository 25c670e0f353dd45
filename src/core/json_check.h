/*
 * json_check: JSON of one meaning. Readers differ in what they make of a key that stands twice in an object
 * (most take the last, some the first, some all) and of half a surrogate pair (an error, U+FFFD, three
 * bytes), and none says so. What somebody gives us to read or to pass on is refused for them, by line and
 * column. Pure functions; one pass, and sorting the keys.
 */
#ifndef INF_CORE_JSON_CHECK_H
#define INF_CORE_JSON_CHECK_H

#include <inference/inference.h>

/* INVALID_ARGUMENT with `field`, or NO_MEMORY. Text that is absent, or no JSON, is left to its reader. */
int32_t json_check(inf_text text, const char *field, inf_error *err);

#endif
