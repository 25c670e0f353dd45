/*
 * vllm_generate: a request to vLLM, from its start to the end of its operation. One attempt at a time;
 * an attempt that gave nothing to the operation may be followed by another: on another replica when one
 * is dead or busy, without max_tokens when only its default was too large, after loading an adapter
 * again that the server lost.
 *
 * An adapter is used on a server only when it was seen there in the server's present life
 * (replicas.h); else a look comes first.
 */
#ifndef INF_REMOTE_VLLM_GENERATE_H
#define INF_REMOTE_VLLM_GENERATE_H

#include "core/op.h"

/* The provider's slot. */
int32_t vllm_generate(void *impl, inf_op *op, inf_error *err);

#endif
