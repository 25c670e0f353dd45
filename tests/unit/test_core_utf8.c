/* utf8: code points to bytes and back, and what stands for bytes that are none. */
#include "core/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_utf8__every_code_point__is_encoded_and_read_back(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x110000; code++) {
        char bytes[4];
        size_t n = utf8_encode(bytes, code);
        bool half = code >= 0xd800 && code < 0xe000;
        size_t at = 0;

        assert_int_equal(n, code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
        assert_int_equal(utf8_decode(bytes, n), code);
        assert_int_equal(utf8_step(bytes, &at), code);
        assert_int_equal(at, n);
        assert_int_equal(utf8_back(bytes, n), 0);
        assert_int_equal(utf8_count(bytes, n), 1);
        assert_int_equal(utf8_sequence(bytes, n), half ? 0 : n);
        for (size_t cut = 1; cut < n && !half; cut++) {
            size_t len = 0;

            assert_int_equal(utf8_next(bytes, cut, &len), UTF8_CUT);
            assert_int_equal(len, cut);
        }
    }
}

static void appends(const char *bytes, const char *want, size_t want_cut)
{
    struct buffer out;
    size_t cut = 0;

    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_true(utf8_append(&out, bytes, strlen(bytes), &cut));
    assert_int_equal(cut, want_cut);
    assert_string_equal(out.data, want);
    buffer_free(&out);
}

static void test_utf8_append__bytes_that_are_none__become_replacements(void **state)
{
    struct buffer out;

    (void)state;
    appends("h\xc3\xa9!", "h\xc3\xa9!", 0);
    appends("a\xffz", "a" UTF8_REPLACEMENT "z", 0);
    appends("a\xc0\x80", "a" UTF8_REPLACEMENT UTF8_REPLACEMENT, 0);
    appends("\xf0\x9f\x41", UTF8_REPLACEMENT "A", 0); /* as many bytes as could begin one */
    appends("\xed\xa0\x80x", UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT "x", 0);
    appends("a\xe2\x82", "a", 2);
    appends("a\xf0\x9f\xa6", "a", 3);
    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_true(utf8_append(&out, "a\xe2\x82", 3, NULL));
    assert_string_equal(out.data, "a" UTF8_REPLACEMENT);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8__every_code_point__is_encoded_and_read_back),
        cmocka_unit_test(test_utf8_append__bytes_that_are_none__become_replacements),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
