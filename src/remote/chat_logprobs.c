/* chat_logprobs: the log-probabilities of a chat answer, the same in both dialects. */
#include "remote/chat_stream.h"

#include "core/error.h"
#include "core/memory.h"

#include <string.h>

static int32_t broken(inf_error *err)
{
    return error_set(err, INF_ERROR_PROTOCOL,
                     "the server's answer breaks the protocol: log-probabilities of an unknown "
                     "form");
}

void chat_logprobs_free(struct chat_stream *s)
{
    mem_free(s->logprobs);
    s->logprobs = NULL;
    s->n_logprobs = s->logprob_capacity = 0;
    buffer_free(&s->pieces);
}

static int32_t add_entry(struct chat_stream *s, const struct logprob_entry *e, inf_error *err)
{
    if (s->n_logprobs == CHAT_LOGPROBS_MAX)
        return error_set_detail(err, INF_ERROR_LIMIT, CHAT_LOGPROBS_MAX,
                                "the server sent more than %d log-probabilities",
                                CHAT_LOGPROBS_MAX);
    if (s->n_logprobs == s->logprob_capacity) {
        size_t capacity = s->logprob_capacity ? s->logprob_capacity * 2 : 32;
        struct logprob_entry *grown = mem_realloc(s->logprobs, capacity * sizeof *grown);

        if (!grown)
            return error_no_memory(err);
        s->logprobs = grown;
        s->logprob_capacity = capacity;
    }
    s->logprobs[s->n_logprobs++] = *e;
    return INF_OK;
}

/* The token's bytes: "bytes" has them exactly, "token" is a text made of them. */
static int32_t add_piece(struct chat_stream *s, struct json_span bytes, struct json_span token,
                         inf_error *err)
{
    struct json_span item;
    struct json_walk w;
    int64_t value = 0;

    if (!scan_array(&w, bytes)) {
        if (!scan_is_string(token))
            return broken(err);
        return scan_unescape(&s->pieces, token) ? INF_OK : error_no_memory(err);
    }
    while (scan_next_item(&w, &item)) {
        char byte = 0;

        if (!scan_integer(item, &value) || value < 0 || value > 255)
            return broken(err);
        byte = (char)(unsigned char)value;
        if (!buffer_append(&s->pieces, &byte, 1))
            return error_no_memory(err);
    }
    return INF_OK;
}

static int32_t add_token(struct chat_stream *s, struct json_span entry, bool alternative,
                         inf_error *err)
{
    struct logprob_entry e = {.alternative = alternative, .offset = s->pieces.len};
    double logprob = 0;
    int32_t code = INF_OK;

    if (!scan_is_object(entry) || !scan_real(scan_member(entry, "logprob"), &logprob))
        return broken(err);
    code = add_piece(s, scan_member(entry, "bytes"), scan_member(entry, "token"), err);
    if (code != INF_OK)
        return code;
    e.len = s->pieces.len - e.offset;
    e.logprob = (float)logprob;
    return add_entry(s, &e, err);
}

int32_t chat_logprobs_add(struct chat_stream *s, struct json_span entries, inf_error *err)
{
    struct json_span entry, other;
    struct json_walk w, tops;
    int32_t code = INF_OK;

    if (!scan_array(&w, entries))
        return broken(err);
    while (code == INF_OK && scan_next_item(&w, &entry)) {
        code = add_token(s, entry, false, err);
        scan_array(&tops, scan_member(entry, "top_logprobs"));
        while (code == INF_OK && scan_next_item(&tops, &other))
            code = add_token(s, other, true, err);
    }
    return code;
}

int32_t chat_logprobs_fill(const struct chat_stream *s, struct op_output *out, inf_error *err)
{
    size_t alternatives = 0;
    size_t n = 0;
    inf_logprob *items = NULL;
    inf_alternative *top = NULL;
    char *pieces = NULL;
    char *block = NULL;

    for (size_t i = 0; i < s->n_logprobs; i++)
        alternatives += s->logprobs[i].alternative;
    items = mem_calloc(s->n_logprobs - alternatives, sizeof *items);
    block = mem_alloc(alternatives * sizeof *top + s->pieces.len);
    if (!items || !block) {
        mem_free(items);
        mem_free(block);
        return error_no_memory(err);
    }
    top = (inf_alternative *)(void *)block;
    pieces = block + alternatives * sizeof *top;
    if (s->pieces.len)
        memcpy(pieces, s->pieces.data, s->pieces.len);
    for (size_t i = 0; i < s->n_logprobs; i++) {
        const struct logprob_entry *e = &s->logprobs[i];
        inf_text piece = {pieces + e->offset, e->len};

        if (e->alternative) {
            *top++ = (inf_alternative){-1, e->logprob, piece};
            items[n - 1].n_top++;
        } else {
            items[n++] = (inf_logprob){
                .token_id = -1, .logprob = e->logprob, .piece = piece, .top = top};
        }
    }
    out->logprobs = items;
    out->n_logprobs = n;
    out->logprobs_block = block;
    return INF_OK;
}
