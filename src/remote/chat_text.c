/* chat_text: see the header. */
#include "remote/chat_text.h"

#include "core/hash.h"

void chat_text_init(struct chat_text *t)
{
    *t = (struct chat_text){.hash = HASH_FNV_BEGIN};
    buffer_init(&t->out, BUFFER_NO_LIMIT);
}

/* What was added to it since it was `before` bytes long. */
static void note_added(struct chat_text *t, size_t before)
{
    size_t added = t->out.len - before;

    if (added)
        t->hash = hash_fnv_on(t->hash, t->out.data + before, added);
    t->len += added;
}

bool chat_text_push(struct chat_text *t, const char *piece, size_t len)
{
    size_t before = t->out.len;
    bool ok = text_join_push(&t->join, piece, len, &t->out);

    note_added(t, before);
    return ok;
}

bool chat_text_end(struct chat_text *t)
{
    size_t before = t->out.len;
    bool ok = text_join_end(&t->join, &t->out);

    note_added(t, before);
    return ok;
}

bool chat_text_begins(const struct chat_text *t, const struct buffer *whole)
{
    return t->len && whole->len >= t->len && hash_fnv(whole->data, t->len) == t->hash;
}

bool chat_text_push_rest(struct chat_text *t, const struct buffer *whole)
{
    t->join.n_held = 0; /* the rest has it */
    return whole->len == t->len || chat_text_push(t, whole->data + t->len, whole->len - t->len);
}
