/*
 * chat_body: a request as the JSON that a server takes, and which requests a server would answer
 * while ignoring a part of them: those are refused here, before anything is sent. Pure functions.
 */
#ifndef INF_REMOTE_CHAT_BODY_H
#define INF_REMOTE_CHAT_BODY_H

#include "remote/chat_body_parts.h"

enum { CHAT_BODY_MAX = 256 * 1024 * 1024 };

/* Fields of a request that not every server takes. */
enum chat_field {
    FIELD_TEMPLATE_VARIABLES = 1 << 0,
    FIELD_TOP_K = 1 << 1,
    FIELD_MIN_P = 1 << 2,
    FIELD_REPETITION_PENALTY = 1 << 3,
    FIELD_STOP_TOKEN_IDS = 1 << 4,
    FIELD_IGNORE_EOS = 1 << 5,
    FIELD_GRAMMAR = 1 << 6,
    FIELD_TOOL_CHOICE = 1 << 7, /* beside "auto" */
    FIELD_CONTINUE = 1 << 8
};

/* What one kind of server takes; each provider has its own. */
struct chat_form {
    /* Want of memory is seen in out->failed. */
    int32_t (*write)(struct buffer *out, const inf_request *r, const struct chat_body_parts *p,
                     inf_error *err);
    uint32_t takes;      /* enum chat_field */
    const char *why_not; /* the others */
    uint64_t seed_max;
    bool any_role; /* else system, user, assistant and tool */
    const char *const
        *ignored; /* keys of extra_json that it would ignore, NULL behind them; or NULL */
    const char *stream_options; /* of /v1 */
};

/*
 * model: the name to send. with_max_tokens false leaves the field out (the server's own limit
 * holds). Appends to out. Errors: INVALID_ARGUMENT (a text that is no JSON, a field of extra_json
 * that contradicts), UNSUPPORTED (what this server cannot do, by the field's name), NO_MEMORY.
 */
int32_t chat_body_write(struct buffer *out, const struct chat_form *form,
                        const inf_request *request, inf_text model, bool with_max_tokens,
                        inf_error *err);

/* For struct chat_form: the body of /v1/chat/completions, with every field that is set. */
int32_t chat_body_write_v1(struct buffer *out, const inf_request *r,
                           const struct chat_body_parts *p, inf_error *err);

#endif
