/*
 * chat_stream: the objects of a chat answer, one at a time, made into text, reasoning, tool calls,
 * log-probabilities, counts and a finish reason. Three shapes come in:
 * - a chunk of /v1/chat/completions (the data of one server-sent event),
 * - a whole answer of it (from a server that does not stream),
 * - a line of Ollama's native /api/chat.
 *
 * It knows nothing of HTTP: its owner splits the bytes. Text goes out as it comes, whole code
 * points, for the owner to take; everything else is kept until the end. An error object in the stream
 * ends it, a refusal ends in one. Counts come from what the server says, never from the number of
 * chunks.
 *
 * Not thread-safe: one owner. Every buffer has a cap.
 */
#ifndef INF_REMOTE_CHAT_STREAM_H
#define INF_REMOTE_CHAT_STREAM_H

#include "remote/chat_frame.h"
#include "remote/chat_logprobs.h"
#include "remote/chat_text.h"
#include "remote/chat_tools.h"

enum {
    CHAT_EVENT_MAX = 10 * 1024 * 1024, /* bytes of one event or line, for the owner's splitter */
    CHAT_TEXT_MAX = 64 * 1024 * 1024   /* of text and reasoning together */
};

enum chat_dialect { CHAT_COMPLETIONS = 0, CHAT_OLLAMA = 1 };

struct chat_stream {
    int32_t dialect;
    bool whole; /* what comes is one object, the whole answer: the owner's to say */
    struct chat_text text, reasoning;

    struct buffer scratch;      /* a string as it is read */
    struct buffer refusal;      /* why the model refused, so far; the beginning of it */
    struct chat_frame frame;    /* of the last chunk that was nothing but text */
    struct json_span only_text; /* the text of the chunk being read, while it says nothing else */

    bool finished; /* the finish reason came */
    bool done;     /* [DONE], or the native line that says so: nothing follows */
    bool refused;
    int64_t prompt_tokens, completion_tokens; /* -1: not told */
    int64_t text_chunks; /* chunks that held something: a lower bound of the tokens */
    int32_t finish;      /* enum inf_finish */
    char finish_reason[64];
    char said[160]; /* the last words of an object that is neither an answer nor an error */

    struct tool_calls tool_calls;
    struct logprob_list logprobs;
};

void chat_stream_init(struct chat_stream *s, int32_t dialect);
void chat_stream_free(struct chat_stream *s);

/*
 * One event's data, or one line. White space alone is nothing, and so are, but for a whole answer, null,
 * a word like "ping", and an object that holds neither an answer's fields nor an error: servers send
 * them to keep a connection alive. Errors: PROTOCOL (no JSON, nested too deeply, no chunk), BACKEND
 * (an error object: the message has its words; http_status when it names one), CONTEXT_FULL (one
 * that says so), LIMIT (a cap), NO_MEMORY. After an error only chat_stream_fill and chat_stream_free
 * are allowed, and taking the text that came before it.
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

#endif
