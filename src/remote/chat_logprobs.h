/* chat_logprobs: the log-probabilities of a chat answer, the same in both dialects. */
#ifndef INF_REMOTE_CHAT_LOGPROBS_H
#define INF_REMOTE_CHAT_LOGPROBS_H

#include "core/json.h"
#include "core/logprob_list.h"

enum { LOGPROBS_MAX = 4 * 1024 * 1024 }; /* entries, and bytes of their pieces times 16 */

/* The entries of an array of {"token","logprob","bytes","top_logprobs"}. Errors: PROTOCOL, LIMIT,
 * NO_MEMORY. */
int32_t logprobs_add(struct logprob_list *l, struct json_span entries, inf_error *err);

#endif
