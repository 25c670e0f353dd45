/*
 * chat_stream: the objects of a chat answer, one at a time, made into text, reasoning, tool calls,
 * log-probabilities, counts and a finish reason. Three shapes come in:
 * - a chunk of /v1/chat/completions (the data of one server-sent event),
 * - a whole answer of it (from a server that does not stream),
 * - a line of Ollama's native /api/chat.
 *
 * It knows nothing of HTTP: its owner splits the bytes. Text goes out as it comes, whole code
 * points, through the sink; everything else is kept until the end. An error object in the stream
 * ends it, a refusal ends in one. Counts come from what the server says, never from the number of
 * chunks.
 *
 * Not thread-safe: one owner. Every buffer has a cap.
 */
#ifndef INF_REMOTE_CHAT_STREAM_H
#define INF_REMOTE_CHAT_STREAM_H

#include "core/buffer.h"
#include "core/op.h"
#include "core/json_scan.h"
#include "remote/text_join.h"

enum {
    CHAT_EVENT_MAX = 10 * 1024 * 1024, /* bytes of one event or line, for the owner's splitter */
    CHAT_TEXT_MAX = 64 * 1024 * 1024,  /* of text and reasoning together */
    CHAT_TOOLS_MAX = 10 * 1024 * 1024, /* of tool calls together */
    CHAT_TOOL_CALLS_MAX = 128,
    CHAT_LOGPROBS_MAX = 4 * 1024 * 1024 /* entries, and bytes of their pieces times 16 */
};

enum chat_dialect { CHAT_COMPLETIONS = 0, CHAT_OLLAMA = 1 };

/* Both get whole code points and the completion's tokens so far (0: not told). An error ends the
 * stream with it. */
struct chat_sink {
    int32_t (*text)(void *owner, const char *text, size_t len, int64_t n_tokens, inf_error *err);
    int32_t (*reasoning)(void *owner, const char *text, size_t len, inf_error *err);
};

struct tool_call {
    int64_t index;
    struct buffer id, name, arguments;
};

struct logprob_entry {
    bool alternative; /* to the last entry that is none */
    float logprob;
    size_t offset, len; /* of its piece */
};

struct chat_stream {
    int32_t dialect;
    const struct chat_sink *sink;
    void *owner;

    struct text_join text_join, reasoning_join;
    struct buffer scratch;      /* a string as it is read */
    struct buffer refusal;      /* why the model refused, so far; the beginning of it */
    struct buffer joined;       /* the code points of it */
    struct buffer frame;        /* of the last chunk that was nothing but text; empty: none */
    size_t frame_before;        /* of its bytes, those before the text */
    struct json_span only_text; /* the text of the chunk being read, while it says nothing else */
    size_t text_len;            /* bytes given out, reasoning too */

    bool finished; /* the finish reason came */
    bool done;     /* [DONE], or the native line that says so: nothing follows */
    bool refused;
    int64_t prompt_tokens, completion_tokens; /* -1: not told */
    int64_t text_chunks; /* chunks that held something: a lower bound of the tokens */
    int32_t finish;      /* enum inf_finish */
    char finish_reason[64];

    struct tool_call *tool_calls;
    size_t n_tool_calls;
    struct logprob_entry *logprobs; /* each token, its alternatives behind it */
    size_t n_logprobs, logprob_capacity;
    struct buffer pieces; /* their bytes */
};

void chat_stream_init(struct chat_stream *s, int32_t dialect, const struct chat_sink *sink,
                      void *owner);
void chat_stream_free(struct chat_stream *s);

/*
 * One event's data, or one line. Errors: PROTOCOL (no JSON, nested too deeply, no chunk), BACKEND
 * (an error object: the message has its words; http_status when it names one), CONTEXT_FULL (one
 * that says so), LIMIT (a cap), NO_MEMORY, and what the sink returned. After an error only
 * chat_stream_fill and chat_stream_free are allowed.
 */
int32_t chat_stream_event(struct chat_stream *s, const char *data, size_t len, inf_error *err);

/* The body has ended. PROTOCOL when the finish reason has not come; BACKEND when the model refused
 * (the message has its words). */
int32_t chat_stream_end(struct chat_stream *s, inf_error *err);

/* What has come so far, into the operation's output; after an error too. Of a finished answer a count
 * that the server did not tell is -1; of one that was cut short it is what came at least. wants_logprobs:
 * the request asked for them. Errors: NO_MEMORY, UNSUPPORTED (asked for and not one came with the
 * text). */
int32_t chat_stream_fill(struct chat_stream *s, struct op_output *out, bool wants_logprobs,
                         inf_error *err);

/* chat_logprobs.c: keeps the entries of an array of {"token","logprob","bytes","top_logprobs"}. */
int32_t chat_logprobs_add(struct chat_stream *s, struct json_span entries, inf_error *err);
int32_t chat_logprobs_fill(const struct chat_stream *s, struct op_output *out, inf_error *err);
void chat_logprobs_free(struct chat_stream *s);

/* chat_tools.c: what an array of tool calls, or of pieces of them, says. */
int32_t chat_tools_add(struct chat_stream *s, struct json_span calls, inf_error *err);
/* The one call of the older form, a piece of {"name","arguments"}. */
int32_t chat_tools_add_function(struct chat_stream *s, struct json_span function, inf_error *err);
/* All of them as a JSON array in the form of /v1/chat/completions, whichever dialect they came in; a
 * call without an id gets one. NULL when there are none. From mem_*. */
int32_t chat_tools_json(char **out, const struct chat_stream *s, inf_error *err);
void chat_tools_free(struct chat_stream *s);

#endif
