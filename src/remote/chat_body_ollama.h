/*
 * chat_body_ollama: the body of Ollama's native /api/chat. Sampling left unset is what Ollama's own
 * /v1 makes of it, said explicitly; truncate and shift are false, so that a prompt or an answer too
 * long is an error or a finish reason and never cut in silence.
 *
 * Ollama ignores keys it does not know, so that extra_json may hold only those it knows. Messages in
 * the form of /v1 are made native ones: parts of content, images, tool calls.
 */
#ifndef INF_REMOTE_CHAT_BODY_OLLAMA_H
#define INF_REMOTE_CHAT_BODY_OLLAMA_H

#include "remote/chat_body_parts.h"

/* For struct chat_form. Errors: INVALID_ARGUMENT, UNSUPPORTED, NO_MEMORY. */
int32_t chat_body_write_ollama(struct buffer *out, const inf_request *r,
                               const struct chat_body_parts *p, inf_error *err);

#endif
