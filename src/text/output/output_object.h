/*
 * output_object: a call, or its arguments, that a model writes as a JSON object, as it comes. Knows not what stands
 * around it.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_OBJECT_H
#define INF_TEXT_OUTPUT_OUTPUT_OBJECT_H

#include "text/output/output_calls.h"
#include "text/output/output_scan.h"

/* s[at]: "{", of an object with a name and arguments. known: it is a call when it names a tool. */
enum output_read output_read_object(struct output_scan *scan, const char *s, size_t n, size_t at,
                                    bool known, size_t *used, struct output_calls *calls);

/* s[at]: "{", of the object of arguments that is all that follows of the call. */
enum output_read output_read_arguments(struct output_scan *scan, const char *s, size_t n, size_t at,
                                       inf_text id, inf_text name, size_t *used,
                                       struct output_calls *calls);

#endif
