/*
 * sse: server-sent events in every legal spelling, however the bytes are cut, and lines of NDJSON.
 */
#include "core/memory.h"
#include "http/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What was seen, as text: [type|data] an event, (line) a line. */
struct seen {
    char text[8192];
    size_t n;
    int events;
    int32_t answer; /* of the callback, from the second event on */
};

static int32_t see_event(void *owner, const struct sse_event *event, inf_error *err)
{
    struct seen *seen = owner;

    seen->n += (size_t)snprintf(seen->text + seen->n, sizeof seen->text - seen->n, "[%.*s|%.*s]",
                                (int)event->type_len, event->type, (int)event->data_len,
                                event->data);
    if (++seen->events < 2 || seen->answer == INF_OK)
        return INF_OK;
    return error_set(err, seen->answer, "no more");
}

static int32_t see_line(void *owner, const char *line, size_t len, inf_error *err)
{
    struct seen *seen = owner;

    (void)err;
    seen->n += (size_t)snprintf(seen->text + seen->n, sizeof seen->text - seen->n, "(%.*s)",
                                (int)len, line);
    return INF_OK;
}

/* Feeds a copy of exactly its size, so that the sanitizers see a byte read behind it. */
static int32_t feed(struct sse *s, const char *bytes, size_t n, inf_error *err)
{
    char *copy = malloc(n ? n : 1);
    int32_t code = INF_OK;

    memcpy(copy, bytes, n);
    code = sse_feed(s, copy, n, err);
    free(copy);
    return code;
}

/* The same whole, cut in two at every place, and byte by byte. */
static void expect_n(const char *bytes, size_t n, const char *expected)
{
    for (size_t cut = 0; cut <= n + 1; cut++) {
        struct seen seen = {0};
        struct sse s;
        inf_error err = {0};

        sse_init(&s, 1000, see_event, &seen);
        if (cut <= n) {
            assert_int_equal(feed(&s, bytes, cut, &err), INF_OK);
            assert_int_equal(feed(&s, bytes + cut, n - cut, &err), INF_OK);
        } else {
            for (size_t i = 0; i < n; i++)
                assert_int_equal(feed(&s, bytes + i, 1, &err), INF_OK);
        }
        assert_string_equal(seen.text, expected);
        sse_free(&s);
    }
    assert_int_equal(mem_live(), 0);
}

static void expect(const char *bytes, const char *expected)
{
    expect_n(bytes, strlen(bytes), expected);
}

static void test_sse__line_ends__lf_cr_and_crlf_are_the_same(void **state)
{
    (void)state;
    expect("data: a\n\ndata: b\n\n", "[message|a][message|b]");
    expect("data: a\r\rdata: b\r\r", "[message|a][message|b]");
    expect("data: a\r\n\r\ndata: b\r\n\r\n", "[message|a][message|b]");
    expect("data: a\r\n\ndata: b\n\r\n", "[message|a][message|b]");
    expect("data: a\r\n\rdata: b\r\n\r", "[message|a][message|b]");
}

static void test_sse__space_after_colon__one_is_dropped(void **state)
{
    (void)state;
    expect("data:a\n\ndata: b\n\ndata:  c\n\n", "[message|a][message|b][message| c]");
}

static void test_sse__several_data_fields__joined_by_lf(void **state)
{
    (void)state;
    expect("data: a\ndata: b\ndata:\ndata: c\n\n", "[message|a\nb\n\nc]");
}

static void test_sse__data_without_colon_or_value__is_empty_data(void **state)
{
    (void)state;
    expect("data\n\n", "[message|]");
    expect("data:\n\n", "[message|]");
    expect("data\ndata\n\n", "[message|\n]");
}

static void test_sse__no_data__is_no_event(void **state)
{
    (void)state;
    expect("\n\n\n", "");
    expect("event: x\n\ndata: a\n\n", "[message|a]");
    expect("id: 7\nretry: 10\n\n", "");
}

static void test_sse__event_field__is_the_type_of_that_event_alone(void **state)
{
    (void)state;
    expect("event: error\ndata: a\n\ndata: b\n\n", "[error|a][message|b]");
    expect("data: a\nevent: x\nevent: y\n\n", "[y|a]");
    expect("event:\ndata: a\n\n", "[message|a]");
}

static void test_sse__comments_and_unknown_fields__ignored(void **state)
{
    (void)state;
    expect(": ping\n\n:\ndata: a\n:x\nfoo: bar\nbar\n\n", "[message|a]");
    expect("DATA: no\n data: no\ndatax: no\n\n", "");
}

static void test_sse__bom__skipped_at_the_start_only(void **state)
{
    (void)state;
    expect("\xef\xbb\xbf"
           "data: a\n\n",
           "[message|a]");
    expect("data: a\n\n\xef\xbb\xbf"
           "data: b\n\n",
           "[message|a]");
    expect("\xef\xbb"
           "data: a\n\ndata: b\n\n",
           "[message|b]");
}

struct kept {
    char data[16];
    size_t len;
};

static int32_t keep_event(void *owner, const struct sse_event *event, inf_error *err)
{
    struct kept *kept = owner;

    (void)err;
    memcpy(kept->data, event->data, event->data_len);
    kept->len = event->data_len;
    return INF_OK;
}

static void test_sse__nul_in_data__kept(void **state)
{
    struct kept kept = {0};
    struct sse s;

    (void)state;
    sse_init(&s, 1000, keep_event, &kept);
    assert_int_equal(sse_feed(&s, "data: a\0b\n\n", 11, NULL), INF_OK);
    assert_int_equal(kept.len, 3);
    assert_memory_equal(kept.data, "a\0b", 3);
    sse_free(&s);
}

static int32_t see_cut(void *owner, const struct sse_event *event, inf_error *err)
{
    char *text = owner;
    size_t n = strlen(text);

    (void)err;
    snprintf(text + n, 64 - n, "%s%.*s", event->cut ? "|cut:" : "|", (int)event->data_len,
             event->data);
    return INF_OK;
}

static void test_sse__event_cut_by_the_end__is_given_and_marked(void **state)
{
    static const char stream[] = "data: a\n\ndata: b\ndata: c";
    size_t len = sizeof stream - 1;

    (void)state;
    for (size_t cut = 0; cut <= len; cut++) {
        char text[64] = "";
        struct sse s;

        sse_init(&s, 1000, see_cut, text);
        assert_int_equal(sse_feed(&s, stream, cut, NULL), INF_OK);
        assert_int_equal(sse_feed(&s, stream + cut, len - cut, NULL), INF_OK);
        assert_int_equal(sse_end(&s, NULL), INF_OK);
        assert_string_equal(text, "|a|cut:b\nc");
        assert_int_equal(sse_end(&s, NULL), INF_OK); /* nothing is left */
        assert_string_equal(text, "|a|cut:b\nc");
        sse_free(&s);
    }
}

static void test_sse__callback_says_no__the_feed_returns_it(void **state)
{
    struct seen seen = {.answer = INF_ERROR_PROTOCOL};
    struct sse s;
    inf_error err = {0};

    (void)state;
    sse_init(&s, 1000, see_event, &seen);
    assert_int_equal(sse_feed(&s, "data: a\n\ndata: b\n\ndata: c\n\n", 27, &err),
                     INF_ERROR_PROTOCOL);
    assert_string_equal(err.message, "no more");
    assert_int_equal(seen.events, 2);
    sse_free(&s);
}

static void expect_too_long(const char *start, char filler, size_t n, size_t piece)
{
    struct seen seen = {0};
    struct sse s;
    inf_error err = {0};
    char *bytes = malloc(n);
    int32_t code = INF_OK;
    size_t fed = 0;

    memset(bytes, filler, n);
    memcpy(bytes, start, strlen(start));
    sse_init(&s, 65536, see_event, &seen);
    while (code == INF_OK && fed < n) {
        size_t take = n - fed < piece ? n - fed : piece;

        code = sse_feed(&s, bytes + fed, take, &err);
        fed += take;
    }
    assert_int_equal(code, INF_ERROR_PROTOCOL);
    assert_int_equal(err.detail, 65536);
    assert_true(s.line.cap + s.data.cap <= 4 * 65536);
    sse_free(&s);
    free(bytes);
}

static void test_sse__line_of_ten_megabytes__protocol_error_in_bounded_memory(void **state)
{
    (void)state;
    expect_too_long("data: ", 'x', 10 << 20, 10 << 20);
    expect_too_long("data: ", 'x', 10 << 20, 1460);
    expect_too_long(":", 'x', 10 << 20, 16384);
}

static void test_sse__event_of_endless_lines__protocol_error(void **state)
{
    struct seen seen = {0};
    struct sse s;
    inf_error err = {0};
    int32_t code = INF_OK;
    int lines = 0;

    (void)state;
    sse_init(&s, 65536, see_event, &seen);
    while (code == INF_OK && lines++ < 1000000)
        code = sse_feed(&s, "data: abc\n", 10, &err);
    assert_int_equal(code, INF_ERROR_PROTOCOL);
    sse_free(&s);
}

static void test_sse__just_within_the_limit__given(void **state)
{
    struct seen seen = {0};
    struct sse s;
    char line[1000 + 2];

    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "data:", 5);
    line[1000] = line[1001] = '\n';
    sse_init(&s, 1000, see_event, &seen);
    assert_int_equal(sse_feed(&s, line, sizeof line, NULL), INF_OK);
    assert_int_equal(seen.events, 1);
    assert_int_equal(sse_feed(&s, line, 700, NULL), INF_OK);
    assert_int_equal(sse_feed(&s, line + 700, sizeof line - 700, NULL), INF_OK);
    assert_int_equal(seen.events, 2);
    sse_free(&s);
}

static void test_sse__whole_events_in_one_feed__nothing_allocated(void **state)
{
    struct seen seen = {0};
    struct sse s;
    static const char bytes[] = "data: {\"a\":1}\n\n: ping\n\ndata: [DONE]\n\n";

    (void)state;
    sse_init(&s, 1000, see_event, &seen);
    mem_fail_nth(0);
    assert_int_equal(sse_feed(&s, bytes, sizeof bytes - 1, NULL), INF_OK);
    assert_int_equal(mem_fail_nth(0), 0);
    assert_int_equal(seen.events, 2);
    sse_free(&s);
}

static void test_sse__out_of_memory__says_so(void **state)
{
    static const char bytes[] = "event: e\ndata: a\ndata: b\n\ndata: c";
    int32_t code = INF_ERROR_NO_MEMORY;

    (void)state;
    for (int64_t nth = 1; code == INF_ERROR_NO_MEMORY; nth++) {
        struct seen seen = {0};
        struct sse s;

        assert_true(nth < 20);
        sse_init(&s, 1000, see_event, &seen);
        mem_fail_nth(nth);
        code = sse_feed(&s, bytes, sizeof bytes - 1, NULL);
        mem_fail_nth(0);
        sse_free(&s);
        assert_int_equal(mem_live(), 0);
    }
    assert_int_equal(code, INF_OK);
}

static void test_lines__lf_and_crlf__given_without_empty_ones(void **state)
{
    static const char bytes[] = "{\"a\":1}\n\r\n\n{\"b\":2}\r\nlast";

    (void)state;
    for (size_t cut = 0; cut <= sizeof bytes - 1; cut++) {
        struct seen seen = {0};
        struct lines l;

        lines_init(&l, 100, see_line, &seen);
        assert_int_equal(lines_feed(&l, bytes, cut, NULL), INF_OK);
        assert_int_equal(lines_feed(&l, bytes + cut, sizeof bytes - 1 - cut, NULL), INF_OK);
        assert_string_equal(seen.text, "({\"a\":1})({\"b\":2})");
        assert_int_equal(lines_end(&l, NULL), INF_OK);
        assert_string_equal(seen.text, "({\"a\":1})({\"b\":2})(last)");
        lines_free(&l);
    }
}

static void test_lines__beyond_the_limit__protocol_error(void **state)
{
    struct seen seen = {0};
    struct lines l;
    inf_error err = {0};
    int32_t code = INF_OK;

    (void)state;
    lines_init(&l, 100, see_line, &seen);
    for (int i = 0; code == INF_OK && i < 1000; i++)
        code = lines_feed(&l, "xxxxxxxxxx", 10, &err);
    assert_int_equal(code, INF_ERROR_PROTOCOL);
    assert_int_equal(err.detail, 100);
    lines_free(&l);
}

static void test_sse__lines_that_are_no_field__go_to_who_wants_them(void **state)
{
    static const char text[] =
        ": comment\nid: 1\nretry: 5\n{\"error\":\"a: b\"}\ndata: x\nstray\n\n"
        "{\"last\":1}";
    struct sse s;

    (void)state;
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct seen seen = {.n = 0};

        sse_init(&s, 1000, see_event, &seen);
        s.stray = see_line;
        assert_int_equal(feed(&s, text, cut, NULL), INF_OK);
        assert_int_equal(feed(&s, text + cut, sizeof text - 1 - cut, NULL), INF_OK);
        assert_int_equal(sse_end(&s, NULL), INF_OK);
        sse_free(&s);
        assert_string_equal(seen.text, "({\"error\":\"a: b\"})(stray)[message|x]({\"last\":1})");
    }
    assert_int_equal(mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sse__lines_that_are_no_field__go_to_who_wants_them),
        cmocka_unit_test(test_sse__line_ends__lf_cr_and_crlf_are_the_same),
        cmocka_unit_test(test_sse__space_after_colon__one_is_dropped),
        cmocka_unit_test(test_sse__several_data_fields__joined_by_lf),
        cmocka_unit_test(test_sse__data_without_colon_or_value__is_empty_data),
        cmocka_unit_test(test_sse__no_data__is_no_event),
        cmocka_unit_test(test_sse__event_field__is_the_type_of_that_event_alone),
        cmocka_unit_test(test_sse__comments_and_unknown_fields__ignored),
        cmocka_unit_test(test_sse__bom__skipped_at_the_start_only),
        cmocka_unit_test(test_sse__nul_in_data__kept),
        cmocka_unit_test(test_sse__event_cut_by_the_end__is_given_and_marked),
        cmocka_unit_test(test_sse__callback_says_no__the_feed_returns_it),
        cmocka_unit_test(test_sse__line_of_ten_megabytes__protocol_error_in_bounded_memory),
        cmocka_unit_test(test_sse__event_of_endless_lines__protocol_error),
        cmocka_unit_test(test_sse__just_within_the_limit__given),
        cmocka_unit_test(test_sse__whole_events_in_one_feed__nothing_allocated),
        cmocka_unit_test(test_sse__out_of_memory__says_so),
        cmocka_unit_test(test_lines__lf_and_crlf__given_without_empty_ones),
        cmocka_unit_test(test_lines__beyond_the_limit__protocol_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
