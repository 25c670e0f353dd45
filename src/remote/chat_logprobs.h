/* chat_logprobs: the log-probabilities of a chat answer, the same in both dialects. */
#ifndef INF_REMOTE_CHAT_LOGPROBS_H
#define INF_REMOTE_CHAT_LOGPROBS_H

#include "core/json.h"
#include "core/op.h"

enum { LOGPROBS_MAX = 4 * 1024 * 1024 }; /* entries, and bytes of their pieces times 16 */

struct logprob_entry {
    bool alternative; /* to the last entry that is none */
    float logprob;
    size_t offset, len; /* of its piece */
};

struct logprobs {
    struct logprob_entry *items; /* each token, its alternatives behind it */
    size_t n, capacity;
    struct buffer pieces; /* their bytes */
};

void logprobs_init(struct logprobs *l);
void logprobs_free(struct logprobs *l);
/* The entries of an array of {"token","logprob","bytes","top_logprobs"}. Errors: PROTOCOL, LIMIT,
 * NO_MEMORY. */
int32_t logprobs_add(struct logprobs *l, struct json_span entries, inf_error *err);
/* Into the operation's output. NO_MEMORY. */
int32_t logprobs_fill(const struct logprobs *l, struct op_output *out, inf_error *err);

#endif
