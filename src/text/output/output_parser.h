/*
 * output_parser: a model's text as it comes, taken apart into text, reasoning and tool calls.
 *
 * What may become a marker or a call waits until that is told; what turns out to be none comes out as it was
 * written, nothing is lost. A call comes in pieces: from its name and the beginning of its arguments on it is one, and
 * where the model breaks it off it ends as far as it came. White space between calls, and between a text and a call, belongs to the format and
 * goes with the call. Memory and work are bounded. However the text is cut into pieces, the same comes out.
 *
 * Not thread-safe: its sequence's worker owns it.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_PARSER_H
#define INF_TEXT_OUTPUT_OUTPUT_PARSER_H

#include "text/output/output_format.h"
#include "text/output/output_tools.h"

#include "core/buffer.h"

struct output_parser;

struct output_parser_options {
    const struct output_format *format; /* copied */
    bool calls;                         /* are taken out; else they are text */
    bool in_reasoning;                  /* the prompt has opened it */
    uint64_t seed;                      /* of the calls' ids */
};

/* tools: taken over (they may be none), on failure too. NULL: out of memory. */
struct output_parser *output_parser_create(const struct output_parser_options *options,
                                           struct output_tools *tools);
void output_parser_free(struct output_parser *p); /* NULL is ignored */

/* Well-formed text, with the markers of the format in it. false: out of memory. */
bool output_parser_push(struct output_parser *p, const char *text, size_t n);
/* Nothing follows. */
bool output_parser_finish(struct output_parser *p);

/* What the last of these calls gave, until the next. */
inf_text output_parser_text(const struct output_parser *p);
inf_text output_parser_reasoning(const struct output_parser *p);
const inf_tool_call_delta *output_parser_call_pieces(const struct output_parser *p, size_t *n);

/* All of them so far as a JSON array, from mem_*; NULL: none. false: out of memory. */
bool output_parser_calls(struct output_parser *p, char **out);

/* A token that is not shown has this text, and it is to be pushed. */
bool output_parser_wants(const struct output_parser *p, const char *text, size_t n);

#endif
