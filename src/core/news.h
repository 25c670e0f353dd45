/*
 * news: what an operation has to deliver now: its progress, the text, reasoning and pieces of tool calls that came
 * since the last time, its end. Text is copied out under op->lock, so that the owner may go on appending while the
 * user reads. Below op: it copies, and ends none.
 */
#ifndef INF_CORE_NEWS_H
#define INF_CORE_NEWS_H

#include "core/buffer.h"

#include <inference/inference.h>

/* Where a reader copies to what it is to deliver: texts, and pieces of tool calls whose texts (data: an offset) lie
 * there too, until they stand still. */
struct news_copy {
    struct buffer text;
    inf_tool_call_delta *calls;
    size_t n_calls, room;
};
void news_copy_init(struct news_copy *copy);
void news_copy_clear(struct news_copy *copy); /* keeps the memory */
void news_copy_free(struct news_copy *copy);

/* What an operation has to say now. Its text lies in a reader's copy, or in the operation's own
 * buffers when it was not copied. */
struct news {
    bool progress, token, done;
    bool more;    /* something had to stay: no room, or no memory */
    bool starved; /* no memory */
    float fraction;
    size_t text_at, text_len, reasoning_at, reasoning_len;
    size_t calls_at, n_calls; /* of the copy's, or of the operation's deltas */
    int64_t n_tokens;
};

/* At most `room` (1 or more) pieces of news, in order. copy NULL: nothing is copied, which only a finished operation
 * allows. */
struct news news_take(inf_op *op, struct news_copy *copy, size_t room, bool finished);
inf_text news_text(const struct buffer *b, size_t at, size_t len);
/* Once nothing more is copied: texts in the place of offsets. */
void news_settle_calls(struct news_copy *copy);

#endif
