/*
 * output_python: tool calls that a model writes as a list of Python's calls, [name(key=value, ...), ...], with literals
 * for values. Pure functions, but for the calls that they add to.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_PYTHON_H
#define INF_TEXT_OUTPUT_OUTPUT_PYTHON_H

#include "text/output/output_calls.h"
#include "text/output/output_scan.h"

/* s[at]: "[". Each call is added once it is whole, those of the request's tools alone: any text may begin so. */
enum output_read output_read_python(struct output_scan *scan, const char *s, size_t n, size_t at,
                                    size_t *used, struct output_calls *calls);

#endif
