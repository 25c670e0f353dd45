/*
 * chat_tools: the tool calls of a chat answer. /v1 sends them in pieces, each with its index, and the
 * arguments as a text; Ollama's native route sends them whole, the arguments as an object.
 *
 * Servers differ in how they do it: all calls under one index, told apart by id; no index at all; the
 * name in every piece; the arguments once more, whole, behind their pieces.
 */
#ifndef INF_REMOTE_CHAT_TOOLS_H
#define INF_REMOTE_CHAT_TOOLS_H

#include "core/error.h"
#include "core/json.h"

enum { TOOL_CALLS_MAX = 128, TOOL_CALL_BYTES_MAX = 10 * 1024 * 1024 };

struct tool_call {
    int64_t index; /* negative: none */
    struct buffer id, name, arguments;
    size_t last; /* where the last piece of the arguments begins */
};

struct tool_calls {
    struct tool_call *items;
    size_t n, capacity;
};

void tool_calls_free(struct tool_calls *t);
/* An array of calls, or of pieces of them; whole: each is a call of its own, whatever number it has.
 * Errors of these: PROTOCOL, LIMIT, NO_MEMORY. */
int32_t tool_calls_add(struct tool_calls *t, struct json_span calls, bool whole, inf_error *err);
/* The one call of the older form, a piece of {"name","arguments"}. */
int32_t tool_calls_add_function(struct tool_calls *t, struct json_span function, inf_error *err);
/* All of them as a JSON array in the form of /v1/chat/completions, from mem_*; a call without an id
 * gets one. NULL when there are none. */
int32_t tool_calls_json(char **out, const struct tool_calls *t, inf_error *err);

#endif
