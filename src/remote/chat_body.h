/*
 * chat_body: a request as the JSON that a server takes, and which requests a server would answer
 * while ignoring a part of them: those are refused here, before anything is sent. Pure functions.
 *
 * CHAT_BODY_VLLM     /v1/chat/completions of vLLM
 * CHAT_BODY_PLAIN    /v1/chat/completions of an unknown server behind an Ollama URL: only the
 *                    fields that Ollama's /v1 takes
 * CHAT_BODY_OLLAMA   Ollama's native /api/chat
 */
#ifndef INF_REMOTE_CHAT_BODY_H
#define INF_REMOTE_CHAT_BODY_H

#include "core/buffer.h"
#include "core/error.h"

enum chat_body_kind { CHAT_BODY_VLLM, CHAT_BODY_PLAIN, CHAT_BODY_OLLAMA };

enum { CHAT_BODY_MAX = 256 * 1024 * 1024 };

/*
 * model: the name to send. with_max_tokens false leaves the field out (the server's own limit
 * holds). Appends to out. Errors: INVALID_ARGUMENT (a text that is no JSON, a field of extra_json
 * that contradicts), UNSUPPORTED (what this server cannot do, by the field's name), NO_MEMORY.
 */
int32_t chat_body_write(struct buffer *out, enum chat_body_kind kind, const inf_request *request,
                        inf_text model, bool with_max_tokens, inf_error *err);

#endif
