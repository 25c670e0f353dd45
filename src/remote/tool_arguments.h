/*
 * tool_arguments: the arguments of one tool call, put together from the pieces of a text. Pure
 * functions over bytes; knows nothing of calls.
 *
 * They are one JSON value in pieces; but servers also send "{}" or "null" first and the value later,
 * or the value and then such a thing, or all of it once more, in one piece or several, or ever longer
 * ones that each hold the one before. Text that is no JSON is kept as it came: it is the model's.
 *
 * What is settled of them may be given out while more comes: they will begin with it.
 *
 * The pieces may cut code points. Not thread-safe: one owner.
 */
#ifndef INF_REMOTE_TOOL_ARGUMENTS_H
#define INF_REMOTE_TOOL_ARGUMENTS_H

#include "core/error.h"
#include "core/json.h"

enum { TOOL_CALL_BYTES_MAX = 10 * 1024 * 1024 };

/* How far a text is on its way to being one object or array. */
struct json_progress {
    struct json_place at;
    bool begun;
    bool hopeless; /* it is none, and no more text makes it one */
};

struct tool_arguments {
    struct buffer text;
    struct buffer again; /* what came behind a text that is whole */
    struct json_progress progress;
    size_t first, last; /* of text: the length of its first piece, where its last one begins */
    bool longer;        /* each piece of text begins with the one before; there are several */
    bool steps;         /* that does not hold */
    bool whole;         /* text is one object or array */
    bool closed;        /* its end was given out: nothing comes into it any more */
};

void tool_arguments_init(struct tool_arguments *a);
void tool_arguments_free(struct tool_arguments *a);

/* Errors of these: LIMIT, NO_MEMORY. */
int32_t tool_arguments_add(struct tool_arguments *a, const char *piece, size_t len, inf_error *err);
/* Whether the piece, a whole value, is what has come, but for spelling. */
int32_t tool_arguments_are(bool *same, const struct tool_arguments *a, const char *piece,
                           size_t len, inf_error *err);

/* Nothing came, or only what stands for nothing: white space, null, {} or []. */
bool tool_arguments_say_nothing(const struct tool_arguments *a);
bool tool_arguments_is_nothing(const char *text, size_t len);
/* It is one object or array. */
bool tool_arguments_is_whole(const char *text, size_t len);

/* The bytes of the text that whatever comes begins with. ended: nothing comes into it, of one that is whole. */
size_t tool_arguments_settled(struct tool_arguments *a, bool ended);

/* Appends what they are. */
bool tool_arguments_append(struct buffer *out, const struct tool_arguments *a);

#endif
