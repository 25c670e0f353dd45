/*
 * output_calls: the tool calls of one answer, in the form of /v1/chat/completions, and the pieces in which they came.
 * Knows no format. Not thread-safe: one owner.
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

    bool open; /* a call has begun whose arguments are not all there: these are */
    struct buffer id, name, arguments;

    inf_tool_call_delta
        *pieces; /* that came lately; their texts (data: an offset) lie in piece_text */
    size_t n_pieces, pieces_room;
    struct buffer piece_text;
};

void output_calls_init(struct output_calls *c, const struct output_tools *tools, uint64_t seed);
void output_calls_free(struct output_calls *c);

/* A call of which more comes. id: empty, a fresh one. false: too many, or out of memory. */
bool output_calls_begin(struct output_calls *c, inf_text id, inf_text name);
/* More of the open call's arguments. false: out of memory. */
bool output_calls_more(struct output_calls *c, const char *text, size_t n);
/* So ends the open call. false: out of memory. */
bool output_calls_close(struct output_calls *c);

/* Forgets the pieces. */
void output_calls_clear_pieces(struct output_calls *c);
/* Texts in the place of offsets, until the next piece. */
void output_calls_settle_pieces(struct output_calls *c);

/* A whole call; of an open one the rest. arguments: a JSON text. id: empty, a fresh one. false: too many, arguments
 * that go on otherwise than they began, or out of memory. */
bool output_calls_add(struct output_calls *c, inf_text id, inf_text name, inf_text arguments);

/* {"name": ..., "arguments": {...}} ("parameters" will do); of /v1's {"function": {...}} what is in it. A text of
 * JSON may stand for the object of arguments, and without any there are none. false: it is no call. */
bool output_calls_add_object(struct output_calls *c, struct json_span object);

/* What a string means, as well-formed text at the end of an empty buffer; absent: out of memory (failed). */
inf_text output_calls_text(struct output_calls *c, struct buffer *scratch, struct json_span string);

/* A JSON array, from mem_*; NULL: none, or out of memory (failed). */
char *output_calls_json(struct output_calls *c);

#endif
