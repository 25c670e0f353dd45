/*
 * chat_content: what messages contain, checked, and brought into the form that a template takes.
 *
 * A content is a text, or a list of parts as OpenAI has them: {"type": "text", "text": "..."}. Most
 * templates know texts only and would print a list with its brackets and keys; some know both; some
 * know lists only and lose a text without a word. Which it is, for each role, is found out by
 * rendering a marker, when it is first needed. Knows messages as values, and templates only as
 * something that renders them.
 * Threads: content_forms any; messages belong to the caller.
 */
#ifndef INF_TEXT_CHAT_CONTENT_H
#define INF_TEXT_CHAT_CONTENT_H

#include "core/buffer.h"
#include "text/template/value.h"

#include <stdatomic.h>

#define N_CONTENT_ROLES 5

/* Checks the content of messages[i], an object with a role. Throws E_ARGUMENT; E_UNSUPPORTED for
 * parts that are not text. */
void check_content(struct vm *vm, const struct dict *message, size_t i);

/* What one template takes: 0 unknown, else an answer. All zero: nothing is known yet. */
struct content_forms {
    atomic_int known[2][N_CONTENT_ROLES]; /* of texts, of lists */
};

/* Appends the messages as the template renders them; nothing when it does not. May throw. */
struct content_renderer {
    void (*render)(struct vm *vm, struct list *messages, struct buffer *out, void *arg);
    void *arg;
};

/* Changes the contents of `messages`, which are checked and belong to the caller. */
void content_forms_apply(struct content_forms *forms, struct vm *vm, struct list *messages,
                         const struct content_renderer *renderer);

#endif
