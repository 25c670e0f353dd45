/*
 * chat_reader: what servers, and proxies before them, make of a chat answer beyond what they document,
 * in both dialects. Every case is read whole, in two pieces cut at every byte, and byte by byte: it is
 * the same each time.
 */
#include "call_pieces.h"
#include "core/memory.h"
#include "remote/chat_reader.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EVENTS "text/event-stream"
#define LINES "application/x-ndjson"
#define EVENT(json) "data: " json "\n\n"
#define DELTA(members) EVENT("{\"choices\":[{\"index\":0,\"delta\":{" members "}}]}")
#define SAY(text) DELTA("\"content\":\"" text "\"")
#define STOP EVENT("{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}")
#define DONE EVENT("[DONE]")
#define CALL(more, name, arguments)                                                                \
    DELTA("\"tool_calls\":[{" more "\"function\":{\"name\":\"" name                                \
          "\",\"arguments\":\"" arguments "\"}}]")
#define TOOL(id, name, arguments)                                                                  \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name                      \
    "\",\"arguments\":\"" arguments "\"}}"
#define PART(more, name, arguments)                                                                \
    "{" more "\"function\":{\"name\":\"" name "\",\"arguments\":\"" arguments "\"}}"
#define LIST(calls) DELTA("\"tool_calls\":[" calls "]")
#define WHOLE(calls)                                                                               \
    EVENT("{\"choices\":[{\"message\":{\"tool_calls\":[" calls                                     \
          "]},\"finish_reason\":\"tool_calls\"}]}")
#define LINE(text) "{\"message\":{\"content\":\"" text "\"},\"done\":false}\n"
#define LAST "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n"

struct deviation {
    const char *what;
    const char *type, *body;
    const char *text, *tools; /* tools NULL: none; its id "*": one that we made */
    int32_t code;             /* 0: a whole answer */
};

/* What one reading of it gave. */
struct heard {
    int32_t code;
    struct buffer text;
    char *tools;
};

static int32_t feed(struct chat_reader *r, const char *bytes, size_t n, inf_error *err)
{
    char *copy = mem_alloc(n + 1); /* exactly so long: a sanitizer sees who looks beyond */
    int32_t code = INF_OK;

    memcpy(copy, bytes, n);
    code = r->stream.done || n == 0 ? INF_OK : chat_reader_feed(r, copy, n, err);
    mem_free(copy);
    return code;
}

/* "*" in place of the ids that we made. */
static void hide_ids(char *tools)
{
    static const char made[] = "\"call_";

    for (char *at = tools; at && (at = strstr(at, made));) {
        char *end = strchr(at + 1, '"');

        *++at = '*';
        memmove(at + 1, end, strlen(end) + 1);
    }
}

static int32_t put_piece(void *calls, const inf_tool_call_delta *piece, inf_error *err)
{
    (void)err;
    call_pieces_add(calls, piece);
    return INF_OK;
}

/* They are the calls of the result. */
static void check_pieces(const struct deviation *d, json_t *calls, const char *tools)
{
    char *pieces = json_dumps(calls, JSON_COMPACT);

    if (strcmp(pieces, tools ? tools : "[]") != 0)
        fail_msg("%s: the pieces are %s, not %s", d->what, pieces, tools);
    free(pieces);
    json_decref(calls);
}

/* In pieces of `step` bytes, the first of `first`. */
static struct heard read_it(const struct deviation *d, int32_t dialect, size_t first, size_t step)
{
    struct heard h = {.code = INF_OK};
    struct chat_reader r;
    struct op_output out = {0};
    inf_error err = {0};
    json_t *pieces = json_array();
    struct tool_calls *calls = &r.stream.tool_calls;
    size_t n = strlen(d->body);

    chat_reader_init(&r, dialect);
    chat_reader_head(&r, d->type);
    for (size_t at = 0, k = first; h.code == INF_OK && at < n; at += k, k = step) {
        k = k < n - at ? k : n - at;
        h.code = feed(&r, d->body + at, k, &err);
        assert_int_equal(tool_calls_give(calls, false, put_piece, pieces, NULL), INF_OK);
    }
    if (h.code == INF_OK)
        h.code = chat_reader_end(&r, &err);
    if (h.code != INF_OK && h.code != d->code)
        fail_msg("%s: %s", d->what, err.message);
    assert_int_equal(tool_calls_give(calls, true, put_piece, pieces, NULL), INF_OK);
    assert_int_equal(chat_stream_fill(&r.stream, &out, false, &err), INF_OK);
    check_pieces(d, pieces, out.tool_calls);
    h.text = r.stream.text.out;
    buffer_init(&r.stream.text.out, BUFFER_NO_LIMIT);
    h.tools = out.tool_calls;
    hide_ids(h.tools);
    mem_free(out.finish_reason);
    chat_reader_free(&r);
    return h;
}

static void expect(const struct deviation *d, int32_t dialect, size_t first, size_t step)
{
    struct heard h = read_it(d, dialect, first, step);

    if (h.code != d->code || strcmp(h.text.data ? h.text.data : "", d->text) != 0)
        fail_msg("%s, cut at %zu: %d and '%s'", d->what, first, h.code, h.text.data);
    if ((h.tools != NULL) != (d->tools != NULL) || (d->tools && strcmp(h.tools, d->tools) != 0))
        fail_msg("%s, cut at %zu: %s", d->what, first, h.tools);
    buffer_free(&h.text);
    mem_free(h.tools);
}

static void expect_all(const struct deviation *all, size_t n, int32_t dialect)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(all[i].body);

        expect(&all[i], dialect, len, len);
        expect(&all[i], dialect, 1, 1);
        for (size_t cut = 1; cut < len; cut++)
            expect(&all[i], dialect, cut, len);
    }
}
#define EXPECT_ALL(cases, dialect) expect_all(cases, sizeof(cases) / sizeof *(cases), dialect)

/* ------------------------------------------------------------------ /v1 */

#define REASON(text, word)                                                                         \
    EVENT("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text                              \
          "\"},\"finish_reason\":\"" word "\"}]}")

#define BARE_REASON(word)                                                                          \
    EVENT("{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":" word "}]}")

static void test_completions__no_finish_reason_in_words__is_none(void **state)
{
    static const struct deviation cases[] = {
        {"empty, then one", EVENTS, REASON("a", "") REASON("b", "") STOP DONE, "ab", NULL, INF_OK},
        {"null as a text", EVENTS, REASON("a", "null") REASON("b", "stop") DONE, "ab", NULL,
         INF_OK},
        {"None, as Python says it", EVENTS, REASON("a", "None") STOP, "a", NULL, INF_OK},
        {"empty, and cut", EVENTS, REASON("a", "") REASON("b", ""), "ab", NULL, INF_ERROR_PROTOCOL},
        {"null as a text, and cut", EVENTS, REASON("a", "null"), "a", NULL, INF_ERROR_PROTOCOL},
        {"empty, and the end all the same", EVENTS, REASON("a", "") DONE, "a", NULL,
         INF_ERROR_PROTOCOL},
        {"none, and cut", EVENTS, REASON("a", "none"), "a", NULL, INF_ERROR_PROTOCOL},
        {"NULL, and cut", EVENTS, REASON("a", "NULL"), "a", NULL, INF_ERROR_PROTOCOL},
        {"undefined, and cut", EVENTS, REASON("a", "undefined"), "a", NULL, INF_ERROR_PROTOCOL},
        {"null with an escape, and cut", EVENTS, REASON("a", "\\u006eull"), "a", NULL,
         INF_ERROR_PROTOCOL},
        {"a blank, and cut", EVENTS, REASON("a", " "), "a", NULL, INF_ERROR_PROTOCOL},
        {"no texts, then one", EVENTS, BARE_REASON("false") BARE_REASON("0") BARE_REASON("{}") STOP,
         "", NULL, INF_OK},
        {"false, and cut", EVENTS, BARE_REASON("false"), "", NULL, INF_ERROR_PROTOCOL},
        {"a number that is none of these", EVENTS, BARE_REASON("1") STOP, "", NULL,
         INF_ERROR_PROTOCOL},
    };

    (void)state;
    EXPECT_ALL(cases, CHAT_COMPLETIONS);
}

static void test_completions__what_keeps_a_connection_alive__is_nothing(void **state)
{
    static const struct deviation cases[] = {
        {"empty data", EVENTS, "data:\n\ndata: \n\n" SAY("a") "data:\n\n" STOP "data: \n\n" DONE,
         "a", NULL, INF_OK},
        {"comments, types, blank lines", EVENTS,
         ": ping\n\nevent: ping\ndata:\n\n\n\n" SAY("a") ":\r\n\r\nretry: 3\r\n" STOP, "a", NULL,
         INF_OK},
        {"an object with a type", EVENTS, EVENT("{\"type\":\"ping\"}") SAY("a") STOP, "a", NULL,
         INF_OK},
        {"an empty object", EVENTS, EVENT("{}") SAY("a") EVENT("{ }") STOP, "a", NULL, INF_OK},
        {"a chunk without choices", EVENTS,
         EVENT("{\"id\":\"c\",\"object\":\"chat.completion.chunk\"}") SAY("a") STOP, "a", NULL,
         INF_OK},
        {"choices null", EVENTS, EVENT("{\"choices\":null}") SAY("a") STOP, "a", NULL, INF_OK},
        {"choices empty", EVENTS, EVENT("{\"choices\":[]}") SAY("a") STOP, "a", NULL, INF_OK},
        {"choices null beside usage", EVENTS,
         SAY("a") STOP EVENT("{\"choices\":null,\"usage\":{\"prompt_tokens\":1}}") DONE, "a", NULL,
         INF_OK},
        {"an error that is none", EVENTS,
         EVENT("{\"error\":\"\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}")
             EVENT("{\"error\":{},\"choices\":[]}") EVENT("{\"error\":false}") STOP,
         "a", NULL, INF_OK},
        {"more errors that are none", EVENTS,
         EVENT("{\"error\":0}") EVENT("{\"error\":null}") EVENT("{\"error\":\"None\"}")
             EVENT("{\"error\":{\"message\":null,\"code\":null},\"choices\":[]}")
                 EVENT("{\"error\":{\"message\":\"\",\"code\":0},\"choices\":[{\"delta\":{"
                       "\"content\":\"a\"}}]}") STOP,
         "a", NULL, INF_OK},
        {"words of progress", EVENTS,
         EVENT("{\"message\":\"processing\"}") SAY("a")
             EVENT("{\"code\":200,\"message\":\"success\"}")
                 EVENT("{\"status\":\"processing\",\"message\":\"x\"}") STOP,
         "a", NULL, INF_OK},
        {"choices of nothing", EVENTS, EVENT("{\"choices\":[null]}") SAY("a") STOP, "a", NULL,
         INF_OK},
        {"words that are known", EVENTS,
         EVENT("null") EVENT("ping") SAY("a") EVENT("\"keep-alive\"") EVENT("KEEPALIVE")
             EVENT(": heartbeat") EVENT("\"\"") STOP DONE,
         "a", NULL, INF_OK},
        {"what may be left of a chunk", EVENTS, SAY("a") EVENT("lost\"}}]}") STOP DONE, "a", NULL,
         INF_ERROR_PROTOCOL},
        {"a list", EVENTS, SAY("a") EVENT("[]") STOP, "a", NULL, INF_ERROR_PROTOCOL},
        {"an end in other letters", EVENTS, SAY("a") STOP EVENT("\"[done]\""), "a", NULL, INF_OK},
        {"an error event of words", EVENTS, SAY("a") "event: error\ndata: boom\n\n", "a", NULL,
         INF_ERROR_BACKEND},
        {"a failing code", EVENTS, SAY("a") EVENT("{\"code\":500,\"message\":\"x\"}"), "a", NULL,
         INF_ERROR_BACKEND},
        {"a code in words", EVENTS, SAY("a") EVENT("{\"code\":\"Throttled\",\"message\":\"x\"}"),
         "a", NULL, INF_ERROR_BACKEND},
        {"an error without words", EVENTS, SAY("a") EVENT("{\"error\":500}") STOP, "a", NULL,
         INF_ERROR_BACKEND},
        {"nothing else", EVENTS, EVENT("{\"type\":\"ping\"}") "data:\n\n", "", NULL,
         INF_ERROR_PROTOCOL},
        {"an error that is one", EVENTS, SAY("a") EVENT("{\"error\":{\"message\":\"boom\"}}"), "a",
         NULL, INF_ERROR_BACKEND},
        {"an error in other words", EVENTS, SAY("a") EVENT("{\"detail\":\"boom\"}"), "a", NULL,
         INF_ERROR_BACKEND},
    };

    (void)state;
    EXPECT_ALL(cases, CHAT_COMPLETIONS);
}

static void test_completions__text_elsewhere__is_the_text(void **state)
{
    static const struct deviation cases[] = {
        {"text in place of a delta", EVENTS,
         EVENT("{\"choices\":[{\"index\":0,\"text\":\"a\\u00e9\"}]}")
             EVENT("{\"choices\":[{\"index\":0,\"text\":\"b\",\"finish_reason\":\"stop\"}]}"),
         "a\u00e9b", NULL, INF_OK},
        {"text beside a delta without content", EVENTS,
         EVENT("{\"choices\":[{\"delta\":{},\"text\":\"a\"}]}")
             EVENT("{\"choices\":[{\"delta\":null,\"text\":\"b\"}]}") STOP,
         "ab", NULL, INF_OK},
        {"text within a delta", EVENTS,
         EVENT("{\"choices\":[{\"delta\":{\"text\":\"a\"}}]}")
             EVENT("{\"choices\":[{\"delta\":{\"text\":\"b\",\"content\":null}}]}") STOP,
         "ab", NULL, INF_OK},
        {"text within a delta beside its content", EVENTS,
         EVENT("{\"choices\":[{\"delta\":{\"text\":\"a\",\"content\":\"a\"}}]}") STOP, "a", NULL,
         INF_OK},
        {"the same text twice in a chunk", EVENTS,
         EVENT("{\"choices\":[{\"delta\":{\"content\":\"a\"},\"text\":\"a\"}]}") STOP, "a", NULL,
         INF_OK},
        {"a message in place of a delta", EVENTS,
         EVENT("{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}"), "a",
         NULL, INF_OK},
        {"a message beside a delta", EVENTS,
         EVENT("{\"choices\":[{\"message\":{\"content\":\"a\"},\"delta\":{\"content\":\"a\"}}]}")
             STOP,
         "a", NULL, INF_OK},
        {"text beside an empty content", EVENTS,
         EVENT("{\"choices\":[{\"delta\":{\"content\":\"\"},\"text\":\"Hi\"}]}") STOP, "Hi", NULL,
         INF_OK},
        {"a message behind the deltas", EVENTS,
         SAY("Hel") SAY("lo") EVENT(
             "{\"choices\":[{\"message\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}"),
         "Hello", NULL, INF_OK},
        {"a longer one", EVENTS,
         SAY("Hel") SAY("l\u00f6")
             EVENT("{\"choices\":[{\"delta\":{},\"message\":{\"content\":[{\"text\":\"Hel\"},"
                   "\"l\u00f6!\"]},\"finish_reason\":\"stop\"}]}"),
         "Hell\u00f6!", NULL, INF_OK},
        {"a text behind the deltas", EVENTS,
         SAY("Hel") SAY("lo")
             EVENT("{\"choices\":[{\"delta\":{},\"text\":\"Hello\",\"finish_reason\":\"stop\"}]}"),
         "Hello", NULL, INF_OK},
        {"a text that goes on", EVENTS,
         SAY("Hel") EVENT("{\"choices\":[{\"text\":\"lo\",\"finish_reason\":\"stop\"}]}"), "Hello",
         NULL, INF_OK},
        {"the same text again and again, all in one form", EVENTS,
         EVENT("{\"choices\":[{\"text\":\"ha\"}]}")
             EVENT("{\"choices\":[{\"text\":\"ha\",\"finish_reason\":\"stop\"}]}"),
         "haha", NULL, INF_OK},
        {"deltas that say the same", EVENTS, SAY("ha") SAY("ha") SAY("haha") STOP, "hahahaha", NULL,
         INF_OK},
        {"content in parts", EVENTS,
         DELTA("\"content\":[{\"type\":\"text\",\"text\":\"a\"},\"b\",{\"text\":\"\"}]")
             DELTA("\"content\":[]") STOP,
         "ab", NULL, INF_OK},
        {"white space around everything", EVENTS,
         "data:   {\"choices\": [ {\"delta\": {\"content\": \"a\"} } ]}  \n\n" STOP
         "data:  [DONE] \n\n",
         "a", NULL, INF_OK},
    };

    (void)state;
    EXPECT_ALL(cases, CHAT_COMPLETIONS);
}

static void test_completions__tool_calls__however_they_are_cut(void **state)
{
    static const struct deviation cases[] = {
        {"another id under the same index", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{}")
             CALL("\"index\":0,\"id\":\"b\",", "g", "{\\\"q\\\"")
                 DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]") STOP,
         "", "[" TOOL("a", "f", "{}") "," TOOL("b", "g", "{\\\"q\\\":1}") "]", INF_OK},
        {"another id, the same function", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "") CALL("\"index\":0,\"id\":\"b\",", "f", "{}")
             STOP,
         "", "[" TOOL("a", "f", "") "," TOOL("b", "f", "{}") "]", INF_OK},
        {"pieces of two ids in turn", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{") CALL("\"index\":0,\"id\":\"b\",", "g", "{")
             CALL("\"index\":0,\"id\":\"a\",", "f", "}") CALL("\"index\":0,\"id\":\"b\",", "g", "}")
                 STOP,
         "", "[" TOOL("a", "f", "{}") "," TOOL("b", "g", "{}") "]", INF_OK},
        {"the id and the name in every piece", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "look", "{\\\"q\\\":")
             CALL("\"index\":0,\"id\":\"a\",", "look", "1}") STOP,
         "", "[" TOOL("a", "look", "{\\\"q\\\":1}") "]", INF_OK},
        {"an empty id and an empty name in later pieces", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "look", "{") CALL("\"index\":0,\"id\":\"\",", "", "}")
             STOP,
         "", "[" TOOL("a", "look", "{}") "]", INF_OK},
        {"the name in pieces", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "lo", "") CALL("\"index\":0,", "ok", "{}") STOP, "",
         "[" TOOL("a", "look", "{}") "]", INF_OK},
        {"the arguments in pieces, then whole", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":") CALL("\"index\":0,", "", "1}")
             CALL("\"index\":0,", "", "{\\\"q\\\":1}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"the arguments whole, twice", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":1}")
             CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":1}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"the arguments in pieces, then an object", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":1}")
             DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":{\"q\":1}}}]") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"ever longer arguments", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q") CALL("\"index\":0,", "", "{\\\"q\\\":1")
             CALL("\"index\":0,", "", "{\\\"q\\\":1}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"an object within the arguments that begins as they do", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"a\\\":")
             CALL("\"index\":0,", "", "{\\\"a\\\":1}") CALL("\"index\":0,", "", "}") STOP,
         "", "[" TOOL("a", "f", "{\\\"a\\\":{\\\"a\\\":1}}") "]", INF_OK},
        {"no index, whole calls", EVENTS,
         CALL("\"id\":\"a\",", "f", "{}") CALL("\"id\":\"b\",", "f", "{}") STOP, "",
         "[" TOOL("a", "f", "{}") "," TOOL("b", "f", "{}") "]", INF_OK},
        {"no index, one call in pieces", EVENTS,
         CALL("\"id\":\"a\",", "f", "{\\\"q\\\":")
             DELTA("\"tool_calls\":[{\"function\":{\"arguments\":\"1}\"}}]") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"two in a list, one index, no ids", EVENTS,
         LIST(PART("\"index\":0,\"id\":\"\",", "f", "{\\\"q\\\":1}") "," PART(
             "\"index\":0,\"id\":\"\",", "f", "{\\\"q\\\":2}")) STOP,
         "", "[" TOOL("*", "f", "{\\\"q\\\":1}") "," TOOL("*", "f", "{\\\"q\\\":2}") "]", INF_OK},
        {"two in a list, the same arguments", EVENTS,
         LIST(PART("\"index\":0,", "f", "{}") "," PART("\"index\":0,", "f", "{}")) STOP, "",
         "[" TOOL("*", "f", "{}") "," TOOL("*", "f", "{}") "]", INF_OK},
        {"two in two chunks, one index, no ids", EVENTS,
         CALL("\"index\":0,", "f", "{\\\"q\\\":1}") CALL("\"index\":0,", "f", "{\\\"q\\\":2}")
             CALL("\"index\":0,", "f", "{\\\"q\\\":") CALL("\"index\":0,", "", "3}") STOP,
         "",
         "[" TOOL("*", "f", "{\\\"q\\\":1}") "," TOOL("*", "f", "{\\\"q\\\":2}") "," TOOL(
             "*", "f", "{\\\"q\\\":3}") "]",
         INF_OK},
        {"one said again, one index, no ids", EVENTS,
         CALL("\"index\":0,", "f", "{\\\"q\\\":1}")
             CALL("\"index\":0,", "f", "{ \\\"\\\\u0071\\\": 1 }") STOP,
         "", "[" TOOL("*", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"whole once more, in the last message", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":") CALL("\"index\":0,", "", "1}")
             CALL("\"index\":1,\"id\":\"b\",", "f", "{\\\"q\\\":2}")
                 WHOLE(TOOL("a", "f", "{\\\"q\\\":1}") "," TOOL("b", "f", "{\\\"q\\\":2}")),
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "," TOOL("b", "f", "{\\\"q\\\":2}") "]", INF_OK},
        {"whole once more, without ids, and one that is new", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":1}")
             WHOLE(PART("", "f", "{\\\"q\\\": 1}") "," PART("\"id\":\"b\",", "f", "{\\\"q\\\":1}")),
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "," TOOL("b", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"whole, and then longer", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\": 1 }")
             CALL("\"index\":0,", "", "{\\\"q\\\":1,\\\"p\\\":2}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\": 1 ,\\\"p\\\":2}") "]", INF_OK},
        {"whole, and then another value in one piece", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":1}")
             CALL("\"index\":0,", "", "{\\\"q\\\":1.0}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"calls in a message alone", EVENTS,
         WHOLE(PART("", "f", "{}") "," PART("", "f", "{}") "," PART("", "g", "")), "",
         "[" TOOL("*", "f", "{}") "," TOOL("*", "f", "{}") "," TOOL("*", "g", "") "]", INF_OK},
        {"{} first", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{}") CALL("\"index\":0,", "", "{\\\"q\\\":")
             CALL("\"index\":0,", "", "1}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"{} first, and cut", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{}") CALL("\"index\":0,", "", "{\\\"q\\\":") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":") "]", INF_OK},
        {"null first", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "null") CALL("\"index\":0,", "", "{\\\"q\\\":1")
             CALL("\"index\":0,", "", "}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"{}, null and line ends behind", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":1}") CALL("\"index\":0,", "", "{}")
             CALL("\"index\":0,", "", "null") CALL("\"index\":0,", "", "\\n")
                 DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":{}}}]") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"pieces, whole, a line end", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":") CALL("\"index\":0,", "", "1}")
             CALL("\"index\":0,", "", "{\\\"q\\\":1}") CALL("\"index\":0,", "", "\\n") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"pieces, and the same pieces", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":") CALL("\"index\":0,", "", "1}")
             CALL("\"index\":0,", "", "{\\\"q\\\":") CALL("\"index\":0,", "", "1}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"two values that the model wrote", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":") CALL("\"index\":0,", "", "1}")
             CALL("\"index\":0,", "", "{\\\"p\\\":") CALL("\"index\":0,", "", "1}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}{\\\"p\\\":1}") "]", INF_OK},
        {"what is no JSON", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{q}") CALL("\"index\":0,", "", "{}") STOP, "",
         "[" TOOL("a", "f", "{q}{}") "]", INF_OK},
        {"a value within, and cut", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":")
             CALL("\"index\":0,", "", "{\\\"p\\\":1}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":{\\\"p\\\":1}") "]", INF_OK},
        {"a list in pieces, then whole", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "[1,") CALL("\"index\":0,", "", "2]")
             CALL("\"index\":0,", "", "[1,2]") CALL("\"index\":0,", "", "null") STOP,
         "", "[" TOOL("a", "f", "[1,2]") "]", INF_OK},
        {"null within", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":") CALL("\"index\":0,", "", "null")
             CALL("\"index\":0,", "", "}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":null}") "]", INF_OK},
        {"an index in the first piece only", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{\\\"q\\\":") CALL("", "", "1}") STOP, "",
         "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"an index in all pieces but the first", EVENTS,
         CALL("\"id\":\"a\",", "f", "{\\\"q\\\":") CALL("\"index\":0,", "", "1")
             CALL("\"index\":0,", "", "}") STOP,
         "", "[" TOOL("a", "f", "{\\\"q\\\":1}") "]", INF_OK},
        {"ever more of the name", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "get", "") CALL("\"index\":0,", "get_weather", "{}")
             STOP,
         "", "[" TOOL("a", "get_weather", "{}") "]", INF_OK},
        {"a new id for every piece", EVENTS,
         CALL("\"index\":0,\"id\":\"a\",", "f", "{") CALL("\"index\":0,\"id\":\"b\",", "", "}")
             STOP,
         "", "[" TOOL("a", "f", "{}") "]", INF_OK},
        {"the older form beside the newer", EVENTS,
         DELTA("\"tool_calls\":[" TOOL("a", "f", "{}") "],\"function_call\":{\"name\":\"f\","
                                                       "\"arguments\":\"{}\"}") STOP,
         "", "[" TOOL("a", "f", "{}") "]", INF_OK},
        {"calls that are none", EVENTS,
         DELTA("\"tool_calls\":[{}]") DELTA("\"function_call\":{}") DELTA("\"tool_calls\":[null]")
             DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":null}]") STOP,
         "", NULL, INF_OK},
        {"null and empty lists of calls", EVENTS,
         DELTA("\"tool_calls\":null") DELTA("\"tool_calls\":[],\"content\":\"a\"") STOP, "a", NULL,
         INF_OK},
    };

    (void)state;
    EXPECT_ALL(cases, CHAT_COMPLETIONS);
}

#define ANSWER                                                                                     \
    "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}"

#define CHUNK(text) "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}"
#define ENDING "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}"

static void test_completions__another_content_type__is_told_by_the_first_byte(void **state)
{
    static const struct deviation cases[] = {
        {"events as JSON", "application/json", SAY("a") STOP DONE, "a", NULL, INF_OK},
        {"events as text", "text/plain", ": hi\n\n" SAY("a") STOP DONE, "a", NULL, INF_OK},
        {"events as bytes", "application/octet-stream", "\n" SAY("a") STOP DONE, "a", NULL, INF_OK},
        {"events of no type", "", "event: x\n" SAY("a") STOP DONE, "a", NULL, INF_OK},
        {"events behind a byte order mark", EVENTS, "\xef\xbb\xbf" SAY("a") STOP, "a", NULL,
         INF_OK},
        {"a whole answer as events", EVENTS, " \r\n" ANSWER, "Hi", NULL, INF_OK},
        {"a whole answer as text", "text/plain", "\xef\xbb\xbf" ANSWER "\n", "Hi", NULL, INF_OK},
        {"chunks as lines, as JSON", "application/json", CHUNK("a") "\r\n\n" CHUNK("b") "\n" ENDING,
         "ab", NULL, INF_OK},
        {"chunks as lines, as events", EVENTS, CHUNK("a") "\n" CHUNK("b") "\n" ENDING "\n[DONE]\n",
         "ab", NULL, INF_OK},
        {"chunks as lines, cut", "text/plain", CHUNK("a") "\n" CHUNK("b") "\n", "ab", NULL,
         INF_ERROR_PROTOCOL},
        {"events as lines", LINES, SAY("a") STOP DONE, "a", NULL, INF_OK},
        {"a page", "text/html", "<html>data: x</html>", "", NULL, INF_ERROR_PROTOCOL},
        {"a page said to be JSON", "application/json", "<html></html>", "", NULL,
         INF_ERROR_PROTOCOL},
        {"words", "text/plain", "upstream timed out", "", NULL, INF_ERROR_PROTOCOL},
        {"nothing of no type", "", "", "", NULL, INF_ERROR_PROTOCOL},
        {"an object that is no answer", "application/json", "{\"status\":\"ok\"}", "", NULL,
         INF_ERROR_PROTOCOL},
    };

    (void)state;
    EXPECT_ALL(cases, CHAT_COMPLETIONS);
}

static void test_completions__an_end_without_its_blank_line__is_one(void **state)
{
    static const struct deviation cases[] = {
        {"the last event, without it", EVENTS,
         SAY("a") "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n", "a", NULL,
         INF_OK},
        {"without a line end too", EVENTS,
         SAY("a") "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}", "a", NULL,
         INF_OK},
        {"[DONE] without it", EVENTS, SAY("a") STOP "data: [DONE]", "a", NULL, INF_OK},
        {"cut in the middle of the last event", EVENTS,
         SAY("a") "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"", "a", NULL,
         INF_ERROR_PROTOCOL},
        {"cut behind the finish reason", EVENTS, SAY("a") STOP "data: [DO", "a", NULL, INF_OK},
        {"no blank lines at all", EVENTS,
         "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\ndata: {\"choices\":[{\"delta\":{"
         "\"content\":\"b\"},\"finish_reason\":\"stop\"}]}\ndata: [DONE]\n",
         "ab", NULL, INF_OK},
        {"one event of two lines", EVENTS,
         "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\ndata: "
         "\"finish_reason\":\"stop\"}]}\n\n",
         "a", NULL, INF_OK},
    };

    (void)state;
    EXPECT_ALL(cases, CHAT_COMPLETIONS);
}

/* ------------------------------------------------------------------ Ollama's native route */

static void test_ollama__lines__whatever_the_content_type_says(void **state)
{
    static const struct deviation cases[] = {
        {"as they are", LINES, LINE("a") LINE("\u00e9") LAST, "a\u00e9", NULL, INF_OK},
        {"as JSON", "application/json", LINE("a") LAST, "a", NULL, INF_OK},
        {"as events", EVENTS, LINE("a") LAST, "a", NULL, INF_OK},
        {"as text", "text/plain", LINE("a") "\r\n \r\n" LAST, "a", NULL, INF_OK},
        {"as a page", "text/html", LINE("a") LAST, "a", NULL, INF_OK},
        {"of no type", "", "\xef\xbb\xbf\n" LINE("a") LAST, "a", NULL, INF_OK},
        {"without the last line's end", "text/plain",
         LINE("a") "{\"done\":true,\"done_reason\":\"stop\"}", "a", NULL, INF_OK},
        {"a whole answer", "application/json",
         "{\"message\":{\"content\":\"a\"},\"done\":true,\"done_reason\":\"stop\"}", "a", NULL,
         INF_OK},
        {"as data, with comments", EVENTS,
         ":ping\n\ndata: " LINE("a") "\n: x\nevent: message\nid: 1\ndata:" LAST "\n", "a", NULL,
         INF_OK},
        {"as text, with comments", "text/plain", ":ping\n" LINE("a") ":ping\n" LAST, "a", NULL,
         INF_OK},
        {"as data of a text", "text/plain", "data: " LINE("a") "\ndata: " LAST, "a", NULL, INF_OK},
        {"a page that is one", "text/html", "<html>", "", NULL, INF_ERROR_PROTOCOL},
        {"as the route for prompts writes them", LINES,
         "{\"response\":\"a\",\"done\":false}\n"
         "{\"response\":\"b\",\"done\":true,\"done_reason\":\"stop\"}\n",
         "ab", NULL, INF_OK},
        {"cut", "text/plain", LINE("a"), "a", NULL, INF_ERROR_PROTOCOL},
    };

    (void)state;
    EXPECT_ALL(cases, CHAT_OLLAMA);
}

static void test_ollama__what_is_no_line_of_an_answer__is_nothing_or_an_error(void **state)
{
    static const struct deviation cases[] = {
        {"objects that say nothing", LINES,
         "{}\n{\"model\":\"m\"}\n" LINE("a") "{\"message\":null,\"done\":false}\n" LAST, "a", NULL,
         INF_OK},
        {"an error that is none", LINES,
         "{\"error\":\"\",\"message\":{\"content\":\"a\"}}\n{\"error\":null}\n" LAST, "a", NULL,
         INF_OK},
        {"what keeps a connection alive", LINES,
         "null\nping\n{\"message\":\"processing\"}\n{\"error\":0}\n" LINE("a") LAST, "a", NULL,
         INF_OK},
        {"a call once more, with its id", LINES,
         "{\"message\":{\"tool_calls\":[" TOOL(
             "a", "f",
             "{}") "]}}\n{\"message\":{\"tool_calls\":[" TOOL("a", "f",
                                                              "{}") "]},\"done\":true,\"done_"
                                                                    "reason\":\"stop\"}\n",
         "", "[" TOOL("a", "f", "{}") "]", INF_OK},
        {"an error that is one", LINES, LINE("a") "{\"error\":\"boom\"}\n", "a", NULL,
         INF_ERROR_BACKEND},
        {"an end without a reason", LINES, LINE("a") "{\"done\":true,\"done_reason\":\"\"}\n", "a",
         NULL, INF_ERROR_PROTOCOL},
        {"a reason before the end", LINES,
         "{\"message\":{\"content\":\"a\"},\"done\":false,\"done_reason\":\"\"}\n" LAST, "a", NULL,
         INF_OK},
        {"two calls with one index", LINES,
         "{\"message\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"index\":0,\"name\":\"f\","
         "\"arguments\":{}}},{\"id\":\"b\",\"index\":0,\"function\":{\"index\":0,\"name\":\"f\","
         "\"arguments\":\"{}\"}}]}}\n" LAST,
         "", "[" TOOL("a", "f", "{}") "," TOOL("b", "f", "{}") "]", INF_OK},
    };

    (void)state;
    EXPECT_ALL(cases, CHAT_OLLAMA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completions__no_finish_reason_in_words__is_none),
        cmocka_unit_test(test_completions__what_keeps_a_connection_alive__is_nothing),
        cmocka_unit_test(test_completions__text_elsewhere__is_the_text),
        cmocka_unit_test(test_completions__tool_calls__however_they_are_cut),
        cmocka_unit_test(test_completions__another_content_type__is_told_by_the_first_byte),
        cmocka_unit_test(test_completions__an_end_without_its_blank_line__is_one),
        cmocka_unit_test(test_ollama__lines__whatever_the_content_type_says),
        cmocka_unit_test(test_ollama__what_is_no_line_of_an_answer__is_nothing_or_an_error),
    };

    return cmocka_run_group_tests_name("remote: deviations", tests, NULL, NULL);
}
