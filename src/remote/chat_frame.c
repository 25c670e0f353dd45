/* chat_frame: see the header. */
#include "remote/chat_frame.h"

#include <string.h>

void chat_frame_init(struct chat_frame *f)
{
    *f = (struct chat_frame){.before = 0};
    buffer_init(&f->around, CHAT_FRAME_MAX);
}

void chat_frame_learn(struct chat_frame *f, const char *chunk, size_t len, struct json_span text)
{
    size_t before = (size_t)(text.data + 1 - chunk);
    size_t after = (size_t)(chunk + len - (text.data + text.len - 1));

    buffer_clear(&f->around); /* without memory or room there is no frame */
    if (!memchr(text.data, '\\', text.len) && buffer_append(&f->around, chunk, before) &&
        buffer_append(&f->around, chunk + len - after, after))
        f->before = before;
    else
        buffer_clear(&f->around);
}

/* Needs no escape in JSON, and does not end the string. */
static bool is_bare(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == '"' || text[i] == '\\')
            return false;
    return true;
}

bool chat_frame_fits(const struct chat_frame *f, const char *chunk, size_t len,
                     struct json_span *text)
{
    const struct buffer *around = &f->around;
    size_t after = around->len - f->before;

    if (around->len == 0 || len < around->len ||
        memcmp(chunk + len - after, around->data + f->before, after) != 0 ||
        memcmp(chunk, around->data, f->before) != 0)
        return false;
    *text = (struct json_span){chunk + f->before - 1, len - around->len + 2};
    return is_bare(text->data + 1, text->len - 2);
}
