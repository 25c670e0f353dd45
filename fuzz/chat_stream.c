/*
 * libFuzzer target: chat answers. Input: one line with the dialect's digit, then an event a line. The
 * promises: whatever comes, the text that goes out is UTF-8; an error says why; and what jansson
 * reads, our own scanner reads, with the same strings and counts (jansson refuses more: bytes
 * that are no UTF-8, lone surrogates, numbers too large); and the pieces in which tool calls go out, put
 * together, are the calls of the result.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/memory.h"
#include "core/utf8.h"
#include "remote/chat_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

/* What came of text, or of reasoning, is the same and whole. */
static void same_text(const struct buffer *a, const struct buffer *b)
{
    demand(a->len == b->len);
    demand(a->len == 0 || (memcmp(a->data, b->data, a->len) == 0 && utf8_valid(a->data, a->len)));
}

static void same_string(struct json_span ours, const json_t *theirs)
{
    struct buffer text;

    demand(scan_is_string(ours));
    buffer_init(&text, BUFFER_NO_LIMIT);
    demand(scan_unescape(&text, ours));
    demand(text.len == json_string_length(theirs));
    demand(text.len == 0 || memcmp(text.data, json_string_value(theirs), text.len) == 0);
    buffer_free(&text);
}

/* Both readings of a value say the same. */
static void same(struct json_span ours, json_t *theirs)
{
    struct json_walk w;
    struct json_span item, key;
    int64_t n = 0;
    size_t i = 0;

    switch (json_typeof(theirs)) {
    case JSON_STRING:
        same_string(ours, theirs);
        break;
    case JSON_INTEGER:
        if (scan_integer(ours, &n)) /* -2^63 alone is beyond ours */
            demand(n == json_integer_value(theirs));
        break;
    case JSON_ARRAY:
        demand(scan_array(&w, ours));
        while (scan_next_item(&w, &item))
            same(item, json_array_get(theirs, i++));
        demand(i == json_array_size(theirs));
        break;
    case JSON_OBJECT:
        demand(scan_object(&w, ours));
        while (scan_next_member(&w, &key, &item))
            i++;
        demand(i >= json_object_size(theirs));
        break;
    case JSON_REAL:
        demand(scan_is_number(ours));
        break;
    default:
        demand(scan_is_none(ours) == (json_typeof(theirs) == JSON_NULL));
        demand(scan_is_true(ours) == (json_typeof(theirs) == JSON_TRUE));
        break;
    }
}

static void compare(const char *line, size_t len)
{
    struct json_span ours;
    json_t *theirs = json_loadb(line, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

    if (theirs && scan_json(&ours, line, len)) /* deeper than ours goes */
        same(ours, theirs);
    json_decref(theirs);
}

/* ------------------------------------------------------------------ pieces of calls */

struct call {
    struct buffer texts[3]; /* id, name, arguments */
};

struct calls {
    struct call items[TOOL_CALLS_MAX];
    size_t n;
};

static int32_t take_piece(void *owner, const inf_tool_call_delta *piece, inf_error *err)
{
    struct calls *c = owner;
    const inf_text texts[3] = {piece->id, piece->name, piece->arguments};

    (void)err;
    demand(piece->index >= 0 && (size_t)piece->index <= c->n && piece->index < TOOL_CALLS_MAX);
    if ((size_t)piece->index == c->n)
        for (int i = 0; i < 3; i++)
            buffer_init(&c->items[c->n].texts[i], BUFFER_NO_LIMIT);
    c->n += (size_t)piece->index == c->n;
    for (int i = 0; i < 3; i++) {
        demand(texts[i].len == 0 || utf8_valid(texts[i].data, texts[i].len));
        demand(buffer_append(&c->items[piece->index].texts[i], texts[i].data, texts[i].len));
    }
    return INF_OK;
}

static void same_piece(const struct buffer *ours, const json_t *theirs)
{
    demand(ours->len == json_string_length(theirs));
    demand(memcmp(ours->data, json_string_value(theirs), ours->len) == 0);
}

static void compare_calls(struct calls *c, const char *json)
{
    json_t *calls = json ? json_loads(json, JSON_ALLOW_NUL, NULL) : json_array();

    demand(json_array_size(calls) == c->n);
    for (size_t i = 0; i < c->n; i++) {
        const json_t *call = json_array_get(calls, i);
        const json_t *function = json_object_get(call, "function");

        same_piece(&c->items[i].texts[0], json_object_get(call, "id"));
        same_piece(&c->items[i].texts[1], json_object_get(function, "name"));
        same_piece(&c->items[i].texts[2], json_object_get(function, "arguments"));
        for (int t = 0; t < 3; t++)
            buffer_free(&c->items[i].texts[t]);
    }
    json_decref(calls);
}

static void free_output(struct op_output *o)
{
    mem_free(o->finish_reason);
    mem_free(o->tool_calls);
    mem_free(o->logprobs);
    mem_free(o->logprobs_block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    const char *end = at + size;
    struct chat_stream stream, slow; /* the second reads every chunk as a whole */
    struct op_output out = {0};
    struct calls calls = {.n = 0};
    inf_error err = {0};
    int32_t code = INF_OK;

    if (size == 0)
        return 0;
    chat_stream_init(&stream, *at == '1' ? CHAT_OLLAMA : CHAT_COMPLETIONS);
    chat_stream_init(&slow, stream.dialect);
    for (at++; at < end && code == INF_OK; at++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop ? stop : end) - at);

        compare(at, len);
        code = chat_stream_event(&stream, at, len, &err);
        demand(tool_calls_give(&stream.tool_calls, false, take_piece, &calls, NULL) == INF_OK);
        buffer_clear(&slow.frame.around);
        demand(chat_stream_event(&slow, at, len, NULL) == code);
        same_text(&stream.text.out, &slow.text.out);
        same_text(&stream.reasoning.out, &slow.reasoning.out);
        demand(stream.finished == slow.finished && stream.text_chunks == slow.text_chunks &&
               stream.completion_tokens == slow.completion_tokens &&
               stream.logprobs.n == slow.logprobs.n);
        at += len;
    }
    if (code == INF_OK)
        code = chat_stream_end(&stream, &err);
    demand(code == INF_OK || (err.code == code && err.message[0] && !strchr(err.message, '\n')));
    demand(tool_calls_give(&stream.tool_calls, true, take_piece, &calls, NULL) == INF_OK);
    chat_stream_fill(&stream, &out, false, NULL);
    compare_calls(&calls, out.tool_calls);
    demand(out.prompt_tokens >= -1 && out.completion_tokens >= -1 &&
           out.prompt_tokens + out.completion_tokens <= INT32_MAX);
    demand(!out.tool_calls || utf8_valid(out.tool_calls, strlen(out.tool_calls)));
    free_output(&out);
    chat_stream_free(&stream);
    chat_stream_free(&slow);
    return 0;
}
