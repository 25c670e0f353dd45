/* remote: the providers that are servers. */
#ifndef INF_REMOTE_REMOTE_H
#define INF_REMOTE_REMOTE_H

#include "core/provider.h"
#include "remote/chat_body.h"
#include "remote/server.h"

extern const struct provider_ops vllm_provider_ops;
extern const struct provider_ops ollama_provider_ops;
/* Theirs; tests look at them. */
extern const struct server_words vllm_words, ollama_words;
extern const struct chat_form vllm_form, ollama_form, plain_form;

#endif
