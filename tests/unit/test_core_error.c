/* error: the table every language and the command rely on, and how messages are made. */
#include "core/error.h"
#include "core/utf8.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The public contract, written out a second time on purpose: a value that moves breaks callers. */
static const struct {
    int32_t code, value, exit_code;
    const char *name, *python;
} contract[] = {
    {INF_OK, 0, 0, "ok", ""},
    {INF_ERROR_INVALID_ARGUMENT, 1, 3, "invalid_argument", "ValueError"},
    {INF_ERROR_NOT_FOUND, 2, 4, "not_found", "NotFoundError"},
    {INF_ERROR_UNSUPPORTED, 3, 5, "unsupported", "UnsupportedOperationError"},
    {INF_ERROR_STATE, 4, 6, "state", "RuntimeError"},
    {INF_ERROR_NO_MEMORY, 5, 7, "no_memory", "MemoryError"},
    {INF_ERROR_IO, 6, 8, "io", "OSError"},
    {INF_ERROR_BAD_FORMAT, 7, 9, "bad_format", "BadFormatError"},
    {INF_ERROR_MISMATCH, 8, 10, "mismatch", "AdapterMismatchError"},
    {INF_ERROR_NOT_FINITE, 9, 11, "not_finite", "NotFiniteError"},
    {INF_ERROR_LIMIT, 10, 12, "limit", "LimitError"},
    {INF_ERROR_CONTEXT_FULL, 11, 13, "context_full", "ContextFullError"},
    {INF_ERROR_TEMPLATE, 12, 14, "template", "TemplateError"},
    {INF_ERROR_CANCELLED, 13, 15, "cancelled", "CancelledError"},
    {INF_ERROR_TIMEOUT, 14, 16, "timeout", "TimeoutError"},
    {INF_ERROR_CONNECTION, 15, 17, "connection", "ConnectionError"},
    {INF_ERROR_HTTP_STATUS, 16, 18, "http_status", "HTTPStatusError"},
    {INF_ERROR_PROTOCOL, 17, 19, "protocol", "ProtocolError"},
    {INF_ERROR_BACKEND, 18, 20, "backend", "BackendError"},
};

#define N_CONTRACT (sizeof contract / sizeof *contract)

static void values_never_change(void **state)
{
    size_t n = 0;

    (void)state;
#define COUNT(symbol, value, name, text, python, exit_code) n++;
    INF_ERROR_TABLE(COUNT)
#undef COUNT
    assert_int_equal(n, N_CONTRACT); /* a new code gets a line above */
    for (size_t i = 0; i < N_CONTRACT; i++) {
        assert_int_equal(contract[i].code, contract[i].value);
        assert_int_equal(inf_error_exit_code(contract[i].code), contract[i].exit_code);
        assert_string_equal(inf_error_name(contract[i].code), contract[i].name);
        assert_string_equal(inf_error_python(contract[i].code), contract[i].python);
    }
}

static void every_code_has_words_and_an_exit_code_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CONTRACT; i++) {
        int32_t a = contract[i].code;

        assert_true(strlen(inf_error_name(a)) > 0);
        assert_true(strlen(inf_error_text(a)) > 0);
        assert_true(a == INF_OK || strlen(inf_error_python(a)) > 0);
        assert_in_range(inf_error_exit_code(a), 0, 125);
        assert_true(inf_error_exit_code(a) != 1 && inf_error_exit_code(a) != 2);
        for (size_t j = 0; j < i; j++) {
            int32_t b = contract[j].code;

            assert_true(inf_error_exit_code(a) != inf_error_exit_code(b));
            assert_string_not_equal(inf_error_name(a), inf_error_name(b));
            assert_string_not_equal(inf_error_text(a), inf_error_text(b));
        }
    }
}

static void an_unknown_code_has_words_too(void **state)
{
    static const int32_t unknown[] = {-1, (int32_t)N_CONTRACT, INT32_MAX, INT32_MIN};

    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_string_equal(inf_error_name(unknown[i]), "unknown");
        assert_true(strlen(inf_error_text(unknown[i])) > 0);
        assert_true(strlen(inf_error_python(unknown[i])) > 0);
        assert_int_equal(inf_error_exit_code(unknown[i]), 1);
    }
}

static void set_fills_every_field(void **state)
{
    inf_error err;

    (void)state;
    memset(&err, 0xaa, sizeof err);
    assert_int_equal(error_set(&err, INF_ERROR_IO, "%s: %d", "x", 3), INF_ERROR_IO);
    assert_int_equal(err.code, INF_ERROR_IO);
    assert_int_equal(err.http_status, 0);
    assert_int_equal(err.detail, 0);
    assert_string_equal(err.message, "x: 3");
    assert_int_equal(error_set_detail(&err, INF_ERROR_LIMIT, 77, "full"), INF_ERROR_LIMIT);
    assert_int_equal(err.detail, 77);
    assert_int_equal(error_none(&err), INF_OK);
    assert_int_equal(err.code, INF_OK);
    assert_string_equal(err.message, "");
}

static void nobody_has_to_ask_for_the_error(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, INF_ERROR_IO, "%s", "x"), INF_ERROR_IO);
    assert_int_equal(error_set_detail(NULL, INF_ERROR_IO, 1, "x"), INF_ERROR_IO);
    assert_int_equal(error_set_errno(NULL, ENOENT, "open", "x"), INF_ERROR_IO);
    assert_int_equal(error_no_memory(NULL), INF_ERROR_NO_MEMORY);
    assert_int_equal(error_none(NULL), INF_OK);
}

static void an_errno_is_named(void **state)
{
    inf_error err;

    (void)state;
    assert_int_equal(error_set_errno(&err, ENOENT, "open", "model.gguf"), INF_ERROR_IO);
    assert_int_equal(err.detail, ENOENT);
    assert_string_equal(err.message, "cannot open model.gguf: No such file or directory");
    assert_int_equal(error_set_errno(&err, ENOMEM, "map", "x"), INF_ERROR_NO_MEMORY);
}

static void a_message_is_one_line_of_utf8(void **state)
{
    inf_error err;

    (void)state;
    error_set(&err, INF_ERROR_IO,
              "a\nb\tc\x7f"
              "d\x1b[0m");
    assert_string_equal(err.message, "a b c d [0m");
    error_set(&err, INF_ERROR_IO, "%s",
              "\xff"
              "a\xc3");
    assert_string_equal(err.message, "\xef\xbf\xbd"
                                     "a\xef\xbf\xbd");
}

/* Whatever the length and the alignment of the code points: whole ones, and "..." at the cut. */
static void a_long_message_is_cut_between_code_points(void **state)
{
    static const char *const letters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    (void)state;
    for (size_t l = 0; l < 4; l++) {
        for (int shift = 0; shift < 4; shift++) {
            char text[900] = "";
            inf_error err;
            size_t n = 0;

            for (int i = 0; i < shift; i++)
                strcat(text, "x");
            while (strlen(text) < 800)
                strcat(text, letters[l]);
            error_set(&err, INF_ERROR_IO, "%s", text);
            n = strlen(err.message);
            assert_true(n < sizeof err.message && n > sizeof err.message - 12);
            assert_true(utf8_valid(err.message, n));
            assert_string_equal(err.message + n - 3, "...");
            assert_memory_equal(err.message, text, n - 3);
        }
    }
}

static void a_message_that_fits_is_whole(void **state)
{
    char text[485];
    inf_error err;

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, INF_ERROR_IO, "%s", text);
    assert_string_equal(err.message, text);
}

static void a_prefix_goes_before_the_message(void **state)
{
    inf_error err;
    char deep[600];

    (void)state;
    error_set_detail(&err, INF_ERROR_BAD_FORMAT, 12, "bad magic");
    assert_int_equal(error_prefix(&err, "%s", "model.gguf"), INF_ERROR_BAD_FORMAT);
    assert_string_equal(err.message, "model.gguf: bad magic");
    assert_int_equal(err.detail, 12);
    memset(deep, 'd', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    error_prefix(&err, "%s", deep);
    assert_string_equal(err.message + strlen(err.message) - 3, "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_never_change),
        cmocka_unit_test(every_code_has_words_and_an_exit_code_of_its_own),
        cmocka_unit_test(an_unknown_code_has_words_too),
        cmocka_unit_test(set_fills_every_field),
        cmocka_unit_test(nobody_has_to_ask_for_the_error),
        cmocka_unit_test(an_errno_is_named),
        cmocka_unit_test(a_message_is_one_line_of_utf8),
        cmocka_unit_test(a_long_message_is_cut_between_code_points),
        cmocka_unit_test(a_message_that_fits_is_whole),
        cmocka_unit_test(a_prefix_goes_before_the_message),
    };

    return cmocka_run_group_tests_name("core: errors", tests, NULL, NULL);
}
