/* chat_logprobs: see the header. */
#include "remote/chat_logprobs.h"

#include "core/error.h"

static int32_t broken(inf_error *err)
{
    return error_set(err, INF_ERROR_PROTOCOL,
                     "the server's answer breaks the protocol: log-probabilities of an unknown "
                     "form");
}

/* The token's bytes: "bytes" has them exactly, "token" is a text made of them. */
static int32_t add_piece(struct logprob_list *l, struct json_span bytes, struct json_span token,
                         inf_error *err)
{
    struct json_span item;
    struct json_walk w;
    int64_t value = 0;

    if (!scan_array(&w, bytes)) {
        if (!scan_is_string(token))
            return broken(err);
        return scan_unescape(&l->pieces, token) ? INF_OK : error_no_memory(err);
    }
    while (scan_next_item(&w, &item)) {
        char byte = 0;

        if (!scan_integer(item, &value) || value < 0 || value > 255)
            return broken(err);
        byte = (char)(unsigned char)value;
        if (!buffer_append(&l->pieces, &byte, 1))
            return error_no_memory(err);
    }
    return INF_OK;
}

static int32_t add_token(struct logprob_list *l, struct json_span entry, bool alternative,
                         inf_error *err)
{
    struct logprob_entry e = {.token = -1, .alternative = alternative, .offset = l->pieces.len};
    double logprob = 0;
    int32_t code = INF_OK;

    if (!scan_is_object(entry) || !scan_real(scan_member(entry, "logprob"), &logprob))
        return broken(err);
    if (l->n == LOGPROBS_MAX)
        return error_set_detail(err, INF_ERROR_LIMIT, LOGPROBS_MAX,
                                "the server sent more than %d log-probabilities", LOGPROBS_MAX);
    code = add_piece(l, scan_member(entry, "bytes"), scan_member(entry, "token"), err);
    e.logprob = (float)logprob;
    return code != INF_OK || logprob_list_add(l, &e) ? code : error_no_memory(err);
}

int32_t logprobs_add(struct logprob_list *l, struct json_span entries, inf_error *err)
{
    struct json_span entry, other;
    struct json_walk w, tops;
    int32_t code = INF_OK;

    if (!scan_array(&w, entries))
        return broken(err);
    while (code == INF_OK && scan_next_item(&w, &entry)) {
        code = add_token(l, entry, false, err);
        scan_array(&tops, scan_member(entry, "top_logprobs"));
        while (code == INF_OK && scan_next_item(&tops, &other))
            code = add_token(l, other, true, err);
    }
    return code;
}
