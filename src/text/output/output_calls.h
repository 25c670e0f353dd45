/*
 * output_calls: the tool calls of one answer, in the form of /v1/chat/completions. Knows no format.
 * Not thread-safe: one owner.
 */
#ifndef INF_TEXT_OUTPUT_OUTPUT_CALLS_H
#define INF_TEXT_OUTPUT_OUTPUT_CALLS_H

#include "core/json.h"
#include "text/output/output_tools.h"

enum { OUTPUT_CALLS_MAX = 128 };

struct output_calls {
    struct buffer json; /* of the calls, commas between them */
    size_t n;
    uint64_t seed; /* of the ids: whoever sends a call's result back must be able to name it */
    bool
        short_ids; /* nine letters and digits, which Mistral's templates insist on; else as vLLM makes them */
    bool failed;                      /* out of memory */
    const struct output_tools *tools; /* borrowed */
};

void output_calls_init(struct output_calls *c, const struct output_tools *tools, uint64_t seed);
void output_calls_free(struct output_calls *c);

/* arguments: a JSON text. id: absent (data NULL), a fresh one. false: too many, or out of memory. */
bool output_calls_add(struct output_calls *c, inf_text id, inf_text name, inf_text arguments);

/* {"name": ..., "arguments": {...}} ("parameters" will do); of /v1's {"function": {...}} what is in it. A text of
 * JSON may stand for the object of arguments, and without any there are none. false: it is no call. */
bool output_calls_add_object(struct output_calls *c, struct json_span object);

/* A JSON array, from mem_*; NULL: none, or out of memory (failed). */
char *output_calls_json(struct output_calls *c);

#endif
