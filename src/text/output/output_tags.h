/*
 * output_tags: calls whose arguments are bare texts between tags, as they come: <function=NAME><parameter=NAME>VALUE
 * and NAME<arg_key>NAME</arg_key><arg_value>VALUE. What a value is the tool's schema says. Knows not what stands around
 * a call.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_TAGS_H
#define INF_TEXT_OUTPUT_OUTPUT_TAGS_H

#include "text/output/output_calls.h"
#include "text/output/output_scan.h"

/* s[at]: "<function=". end: nothing follows. */
enum output_read output_read_function(struct output_scan *scan, const char *s, size_t n, size_t at,
                                      bool end, size_t *used, struct output_calls *calls);
/* s[at]: the name, and "</tool_call>" ends the pairs. */
enum output_read output_read_pairs(struct output_scan *scan, const char *s, size_t n, size_t at,
                                   size_t *used, struct output_calls *calls);

/* The text ends within such a call, which gets what there is of it. false: not within its tags and values. */
bool output_cut_function(struct output_scan *scan, const char *s, size_t n, size_t at,
                         struct output_calls *calls);
bool output_cut_pairs(struct output_scan *scan, const char *s, size_t n, size_t at,
                      struct output_calls *calls);

#endif
