/*
 * chat_tools: the tool calls of a chat answer. /v1 sends them in pieces, each with its index, and the
 * arguments as a text; Ollama's native route sends them whole, the arguments as an object.
 *
 * Servers differ in how they do it: all calls under one index, told apart by id, or by nothing but
 * their arguments; no index at all, or one in some pieces only; the name in every piece, or ever more of
 * it; all calls once more, whole, in a message behind the pieces. How the arguments of one call come
 * is tool_arguments' to know.
 */
#ifndef INF_REMOTE_CHAT_TOOLS_H
#define INF_REMOTE_CHAT_TOOLS_H

#include "remote/text_join.h"
#include "remote/tool_arguments.h"

#include <inference/inference.h>

enum { TOOL_CALLS_MAX = 128 };

enum tool_form {
    TOOL_PIECES,  /* of a delta */
    TOOL_MESSAGE, /* of a whole message: the calls, or once more those that came in pieces */
    TOOL_NATIVE   /* Ollama's: each is a call of its own, whatever number it has */
};

struct tool_call {
    int64_t index; /* negative: none */
    struct buffer id, name;
    struct tool_arguments arguments;
    uint64_t list; /* the number of the list that the last piece stood in */

    int64_t shown; /* its index among those given out; -1: none was */
    size_t id_shown, name_shown, arguments_shown; /* bytes of each that were */
    struct text_join id_join, name_join, join;
};

struct tool_calls {
    struct tool_call *items;
    size_t n, capacity;
    size_t recent;  /* the item that the last piece was of */
    uint64_t lists; /* that came */
    int64_t n_shown;
};

void tool_calls_free(struct tool_calls *t);
/* An array of calls, or of pieces of them. Errors of these: PROTOCOL, LIMIT, NO_MEMORY. */
int32_t tool_calls_add(struct tool_calls *t, struct json_span calls, enum tool_form form,
                       inf_error *err);
/* The one call of the older form, a piece of {"name","arguments"}. */
int32_t tool_calls_add_function(struct tool_calls *t, struct json_span function, inf_error *err);
/* Takes a piece; its texts are valid during the call. */
typedef int32_t (*tool_piece_fn)(void *owner, const inf_tool_call_delta *piece, inf_error *err);
/* Gives out what is new and settled of the calls, those that began first first. end: all that there is, ids for those
 * without one too. Errors: what the function returns, NO_MEMORY. */
int32_t tool_calls_give(struct tool_calls *t, bool end, tool_piece_fn give, void *owner,
                        inf_error *err);

/* All of them as a JSON array in the form of /v1/chat/completions, from mem_*; a call without an id
 * gets one. What has neither a name nor arguments is none, and the older form of a call that came in
 * the newer one too is that one. NULL when there are none. */
int32_t tool_calls_json(char **out, struct tool_calls *t, inf_error *err);

#endif
