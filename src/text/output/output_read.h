/*
 * output_read: a tool call as a model writes it, at the beginning of a text that may not be all there yet. A
 * function a shape; each goes on from where it stopped, so that a long call is looked at once.
 *
 * From its name and the beginning of its arguments on, in the order in which templates write them, it is a call: what
 * is there of it goes into calls as it comes, and where it breaks off it stays as far as it came. What is written
 * otherwise is one when all of it is there. Knows nothing of streams, and not what stands around a call.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_READ_H
#define INF_TEXT_OUTPUT_OUTPUT_READ_H

#include "text/output/output_calls.h"
#include "text/output/output_format.h"
#include "text/output/output_scan.h"

/* s begins with an opener of the format (OUTPUT_BARE: or with "{"). end: nothing follows. *used: the bytes of
 * the call, without what closes it. */
enum output_read output_read_call(const struct output_format *f, struct output_scan *scan,
                                  const char *s, size_t n, bool end, size_t *used,
                                  struct output_calls *calls);

/* The text breaks off, or goes on too long: what there was of an open call stays, and *used is where the text goes on.
 * false: there was nothing of one. */
bool output_read_stop(const struct output_scan *scan, size_t *used, struct output_calls *calls);

#endif
