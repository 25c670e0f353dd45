/*
 * output_plan: what is to be taken out of a request's answer: reasoning, and calls of the tools that the request
 * has; and whether a call has to come. Of a chat alone; a prompt's answer is text.
 * Threads: its preparation's.
 */
#ifndef INF_LOCAL_OUTPUT_PLAN_H
#define INF_LOCAL_OUTPUT_PLAN_H

#include "local/render.h"
#include "text/output/output_parser.h"

struct output_plan {
    const struct output_format *format; /* the template's */
    struct output_tools tools;
    enum output_choice choice;
    const struct output_tool *named;
    bool in_reasoning;
    bool parses; /* else the text is the answer */
};

/* INVALID_ARGUMENT (tools that are none, a choice that there is not), NO_MEMORY. */
int32_t output_plan_read(struct output_plan *out, const inf_request *r,
                         const struct rendered *rendered, inf_error *err);
void output_plan_free(struct output_plan *plan);

/* Whether a call has to come. */
bool output_plan_wants_call(const struct output_plan *plan);

/* NULL and INF_OK: there is nothing to take out. Takes the plan's tools over. NO_MEMORY. */
int32_t output_plan_parser(struct output_parser **out, struct output_plan *plan, uint64_t seed,
                           inf_error *err);

#endif
