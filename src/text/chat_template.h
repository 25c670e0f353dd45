/*
 * chat_template: a chat template applied to messages, as transformers' apply_chat_template does it,
 * by the engine in template/. Any template gives text or an error, in bounded time and memory, and on
 * the stack of the caller.
 * Threads: any; a compiled template is immutable and may render on several threads.
 */
#ifndef INF_TEXT_CHAT_TEMPLATE_H
#define INF_TEXT_CHAT_TEMPLATE_H

#include "core/buffer.h"
#include "core/error.h"
#include "text/output/output_format.h"

#ifdef __cplusplus
extern "C" {
#endif

struct chat_template;

/* Whether the work has lost its point: asked every fraction of a millisecond, on the thread that
 * renders. */
struct text_stop {
    bool (*requested)(void *arg);
    void *arg;
};

/* What is rendered. */
struct chat_input {
    inf_text messages_json;  /* an array of messages, or an object with "messages" and variables */
    inf_text system_prompt;  /* absent, or a system message put before the messages */
    inf_text variables_json; /* absent, or an object of further variables */
    bool add_generation_prompt;
    struct text_stop stop; /* requested may be NULL */
    int64_t now;           /* seconds since 1970 for strftime_now; 0: the clock */
    bool
        fold_system_prompt; /* before the first user message's text instead, an empty line between */
    inf_text tools_json;    /* absent, or an array: the variable "tools" */
    /* The text ends where that of the last message does, as transformers cuts it. Messages given as an object
     * may say so themselves ("continue_final_message"). Not with add_generation_prompt. */
    bool continue_final_message;
    size_t *continued; /* NULL, or set: how many bytes at the end are that message's */
};

/* A special token as the template finds it: "bos_token", ... */
struct chat_token {
    const char *name, *text; /* text NULL or "": there is none, and no such variable */
};

/* source: the template's text. tokens are copied.
 * Errors: TEMPLATE (with the line where it can be told), NO_MEMORY. */
int32_t chat_template_compile(struct chat_template **out, inf_text source,
                              const struct chat_token *tokens, size_t n_tokens, inf_error *err);
void chat_template_free(struct chat_template *t);

/* How the model writes reasoning and tool calls, as the template shows it; the template's own. */
const struct output_format *chat_template_output(const struct chat_template *t);

/*
 * Appends to `out`. "add_generation_prompt" is no variable: it is the member of that name.
 * Contents are given to the template in a form that it takes (chat_content.h).
 * Errors: INVALID_ARGUMENT (not such JSON: says where), UNSUPPORTED (a part of a message that is no
 * text), TEMPLATE (also raise_exception, limits, time; a last message that does not appear in the text), CANCELLED (a stop was requested), NO_MEMORY. `out` is then as it was.
 */
int32_t chat_template_render(const struct chat_template *t, const struct chat_input *input,
                             struct buffer *out, inf_error *err);

/* The JSON array of messages for a request's inf_message list. NO_MEMORY, INVALID_ARGUMENT (not
 * UTF-8). Written to `out`. */
int32_t chat_messages_to_json(const inf_message *messages, size_t n, struct buffer *out,
                              inf_error *err);

#ifdef __cplusplus
}
#endif

#endif
