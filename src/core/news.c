/*
 * news: see the header. op->lock guards what is read here; a copy is its reader's.
 */
#include "core/news.h"

#include "core/growing.h"
#include "core/op_state.h"

/* ------------------------------------------------------------------ copies */

void news_copy_init(struct news_copy *copy)
{
    *copy = (struct news_copy){.calls = NULL};
    buffer_init(&copy->text, BUFFER_NO_LIMIT);
}

void news_copy_clear(struct news_copy *copy)
{
    buffer_clear(&copy->text);
    copy->n_calls = 0;
}

void news_copy_free(struct news_copy *copy)
{
    buffer_free(&copy->text);
    mem_free(copy->calls);
}

/* The undelivered text; how much of it there is, and where it starts. */
static size_t take_text(const struct buffer *from, size_t *delivered, struct news_copy *copy,
                        size_t *at, bool *starved)
{
    size_t n = from->len - *delivered;

    *at = copy ? copy->text.len : *delivered;
    if (n && copy && !buffer_append(&copy->text, from->data + *delivered, n)) {
        *starved = true;
        return 0;
    }
    *delivered += n;
    return n;
}

/* ------------------------------------------------------------------ pieces of tool calls */

static bool has_pieces(const struct call_pieces *c)
{
    return c->id.len || c->name.len || c->arguments.len;
}

static inf_text offset(struct news_copy *copy, const struct buffer *piece)
{
    inf_text at = {(const char *)(uintptr_t)copy->text.len, piece->len};

    buffer_append(&copy->text, piece->data, piece->len); /* there is room */
    return at;
}

/* false: out of memory, and nothing has happened. */
static bool copy_call(struct news_copy *copy, struct call_pieces *c, int32_t index)
{
    inf_tool_call_delta *d = NULL;

    if (!GROW(copy->calls, copy->room, copy->n_calls + 1) ||
        !buffer_reserve(&copy->text, c->id.len + c->name.len + c->arguments.len))
        return false;
    d = &copy->calls[copy->n_calls++];
    *d = (inf_tool_call_delta){.index = index};
    d->id = offset(copy, &c->id);
    d->name = offset(copy, &c->name);
    d->arguments = offset(copy, &c->arguments);
    buffer_clear(&c->id);
    buffer_clear(&c->name);
    buffer_clear(&c->arguments);
    return true;
}

static inf_text whole(const struct buffer *b)
{
    return news_text(b, 0, b->len);
}

/* The last pieces, which stay where they are. */
static size_t point_at_calls(inf_op *op)
{
    size_t n = 0;

    for (size_t i = 0; i < op->n_calls; i++)
        if (has_pieces(&op->calls[i]))
            op->deltas[n++] = (inf_tool_call_delta){.index = (int32_t)i,
                                                    .id = whole(&op->calls[i].id),
                                                    .name = whole(&op->calls[i].name),
                                                    .arguments = whole(&op->calls[i].arguments)};
    return n;
}

static void take_calls(inf_op *op, struct news_copy *copy, struct news *news)
{
    bool ok = true;

    news->calls_at = copy ? copy->n_calls : 0;
    if (!op->call_news)
        return;
    for (size_t i = 0; copy && i < op->n_calls && ok; i++)
        ok = !has_pieces(&op->calls[i]) || copy_call(copy, &op->calls[i], (int32_t)i);
    news->n_calls = copy ? copy->n_calls - news->calls_at : point_at_calls(op);
    op->call_news = !ok;
    news->starved |= !ok;
}

void news_settle_calls(struct news_copy *copy)
{
    for (size_t i = 0; i < copy->n_calls; i++) {
        inf_text *texts[] = {&copy->calls[i].id, &copy->calls[i].name, &copy->calls[i].arguments};

        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
            *texts[t] = news_text(&copy->text, (size_t)(uintptr_t)texts[t]->data, texts[t]->len);
    }
}

/* ------------------------------------------------------------------ all of it */

struct news news_take(inf_op *op, struct news_copy *copy, size_t room, bool finished)
{
    struct news news = {0};

    pthread_mutex_lock(&op->lock);
    if (op->callbacks.only_done) {
        op->text_delivered = op->text.len;
        op->reasoning_delivered = op->reasoning.len;
    }
    news.progress = op->progress_pending;
    news.fraction = op->progress;
    op->progress_pending = false;
    room -= news.progress;
    if (room > 0) {
        news.text_len = take_text(&op->text, &op->text_delivered, copy, &news.text_at,
                                  &news.starved);
        news.reasoning_len = take_text(&op->reasoning, &op->reasoning_delivered, copy,
                                       &news.reasoning_at, &news.starved);
        take_calls(op, copy, &news);
        news.token = news.text_len || news.reasoning_len || news.n_calls;
        news.n_tokens = op->n_tokens;
        room -= news.token;
    }
    news.more = op->text_delivered < op->text.len || op->reasoning_delivered < op->reasoning.len ||
                op->call_news;
    news.done = finished && room > 0 && !news.more;
    news.more |= finished && !news.done;
    pthread_mutex_unlock(&op->lock);
    return news;
}

inf_text news_text(const struct buffer *b, size_t at, size_t len)
{
    return (inf_text){len ? b->data + at : "", len};
}
