/* chat_body_parts: what the files that write a chat request share. Not for others. */
#ifndef INF_REMOTE_CHAT_BODY_PARTS_H
#define INF_REMOTE_CHAT_BODY_PARTS_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/json.h"

/* A request's JSON texts, scanned; absent when it has none. */
struct chat_body_parts {
    inf_text model;
    bool with_max_tokens;
    const char *stream_options;
    struct json_span messages, extra, schema, variables, tools;
};

/* These append; what fails is seen in out->failed, at the end. `key` is what stands before the value:
 * ",\"seed\":". */
void chat_body_span(struct buffer *out, const char *key, struct json_span value);
void chat_body_text(struct buffer *out, const char *key, inf_text text);
void chat_body_i64(struct buffer *out, const char *key, int64_t value);
void chat_body_float(struct buffer *out, const char *key, inf_maybe_f32 value); /* when set */
void chat_body_stops(struct buffer *out, const inf_request *r);
/* "tools" and "tool_choice", where the request has them. */
void chat_body_tools(struct buffer *out, const inf_request *r, const struct chat_body_parts *p);
/* The choice is there and not "auto", which is what servers do anyway. */
bool chat_body_has_choice(const inf_request *r);
/* The items of the array of messages; the system prompt comes first. */
void chat_body_messages(struct buffer *out, const inf_request *r, const struct chat_body_parts *p);
/* A member of extra_json, behind others. */
void chat_body_member(struct buffer *out, struct json_span key, struct json_span value);

/* The key is one of these, NULL behind them. */
bool chat_body_is_one_of(struct json_span key, const char *const *names);
/* INVALID_ARGUMENT for a key that the request, or the library, has for itself. */
int32_t chat_body_check_key(struct json_span key, inf_error *err);

#endif
