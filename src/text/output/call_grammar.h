/*
 * call_grammar: the answers that are tool calls, as a grammar: a format's way to write them, with arguments that
 * obey the tools' schemas, behind reasoning where the model reasons.
 *
 * In the formats that write a value as bare text (OUTPUT_XML, OUTPUT_PAIRS) a string is any text, or one of its
 * enum; its pattern, format and lengths are not looked at.
 * Threads: any.
 */
#ifndef INF_TEXT_OUTPUT_CALL_GRAMMAR_H
#define INF_TEXT_OUTPUT_CALL_GRAMMAR_H

#include "text/constraint/gbnf.h"
#include "text/output/output_format.h"
#include "text/output/output_tools.h"

struct call_grammar_options {
    const struct output_format *format;
    const struct output_tools *tools;
    const struct output_tool *named; /* one call of this one; NULL: of any, one or more */
    bool in_reasoning;               /* the prompt has opened it */
    gbnf_token_fn find_token;        /* markers may be tokens of their own */
    void *arg;
};

/* UNSUPPORTED (the format has no calls), INVALID_ARGUMENT (a schema that cannot be enforced: says which tool's and
 * where), NO_MEMORY. Freed with grammar_free. */
int32_t call_grammar_make(struct grammar **out, const struct call_grammar_options *options,
                          inf_error *err);

#endif
