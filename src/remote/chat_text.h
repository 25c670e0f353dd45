/*
 * chat_text: one text of an answer, put together of what servers send: pieces, or once more all of it.
 * Whole code points go out; of what did a hash is kept, by which a text that begins with it is known.
 * Not thread-safe: one owner.
 */
#ifndef INF_REMOTE_CHAT_TEXT_H
#define INF_REMOTE_CHAT_TEXT_H

#include "remote/text_join.h"

struct chat_text {
    struct buffer out; /* whole code points that came since the owner took them */
    struct text_join join;
    size_t len;     /* of all that was put out */
    uint64_t hash;  /* of the same */
    bool in_deltas; /* some of it came so: the owner's to say */
};

void chat_text_init(struct chat_text *t);
/* The next piece; that nothing follows. false: out of memory. */
bool chat_text_push(struct chat_text *t, const char *piece, size_t len);
bool chat_text_end(struct chat_text *t);

/* Whether a whole text begins with what was put out, if anything was; then its rest. */
bool chat_text_begins(const struct chat_text *t, const struct buffer *whole);
bool chat_text_push_rest(struct chat_text *t, const struct buffer *whole);

#endif
