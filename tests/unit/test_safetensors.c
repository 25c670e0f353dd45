/* safetensors: what a file must be to be read, and one clear refusal for everything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "hf/files/safetensors.h"

/* A file in memory of exactly its size, so that a read behind its end is seen. */
struct file {
    uint8_t *bytes;
    size_t size;
};

/* `length`, then the header, then n_data bytes 0, 1, 2, ... */
static struct file make(uint64_t length, const char *header, size_t header_len, size_t n_data)
{
    struct file f = {malloc(8 + header_len + n_data), 8 + header_len + n_data};

    for (int i = 0; i < 8; i++)
        f.bytes[i] = (uint8_t)(length >> (8 * i));
    memcpy(f.bytes + 8, header, header_len);
    for (size_t i = 0; i < n_data; i++)
        f.bytes[8 + header_len + i] = (uint8_t)i;
    return f;
}

static struct file plain(const char *header, size_t n_data)
{
    return make(strlen(header), header, strlen(header), n_data);
}

/* Frees the file. */
static void refused(struct file f, const char *message)
{
    struct safetensors *st = NULL;
    inf_error err = {0};

    assert_int_equal(safetensors_from_memory(&st, f.bytes, f.size, &err), INF_ERROR_BAD_FORMAT);
    assert_null(st);
    assert_int_equal(err.code, INF_ERROR_BAD_FORMAT);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    free(f.bytes);
}

static struct safetensors *accepted(struct file f)
{
    struct safetensors *st = NULL;
    inf_error err = {0};

    if (safetensors_from_memory(&st, f.bytes, f.size, &err) != INF_OK)
        fail_msg("refused: %s", err.message);
    return st;
}

#define TWO                                                                                        \
    "{\"__metadata__\":{\"format\":\"pt\"},"                                                       \
    "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]},"                           \
    "\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}"

/* ---------------------------------------------------------------- good files */

static void check_two(const struct safetensors *st)
{
    const struct safetensors_tensor *a = safetensors_at(st, 0);
    const struct safetensors_tensor *b = safetensors_at(st, 1);
    uint8_t scratch[24];
    const void *data = NULL;

    assert_int_equal(safetensors_count(st), 2);
    assert_string_equal(a->name, "a");
    assert_int_equal(a->dtype, SAFETENSORS_BF16);
    assert_string_equal(a->dtype_name, "BF16");
    assert_int_equal(a->n_dims, 1);
    assert_int_equal(a->shape[0], 2);
    assert_int_equal(a->shape[1], 1);
    assert_int_equal(a->size, 4);
    assert_string_equal(b->name, "b");
    assert_int_equal(b->dtype, SAFETENSORS_F32);
    assert_int_equal(b->n_dims, 2);
    assert_int_equal(b->shape[0], 2);
    assert_int_equal(b->shape[1], 3);
    assert_int_equal(b->size, 24);
    assert_ptr_equal(safetensors_find(st, "b"), b);
    assert_null(safetensors_find(st, "c"));
    assert_null(safetensors_find(st, "__metadata__"));
    assert_int_equal(safetensors_data(&data, st, b, scratch, NULL), INF_OK);
    for (size_t i = 0; i < 24; i++)
        assert_int_equal(((const uint8_t *)data)[i], 4 + i);
}

static void test_safetensors__from_memory__reads_header_and_data(void **state)
{
    struct file f = plain(TWO, 28);
    struct safetensors *st = accepted(f);
    const void *data = NULL;

    (void)state;
    check_two(st);
    assert_int_equal(safetensors_file_size(st), f.size);
    assert_int_equal(safetensors_data(&data, st, safetensors_at(st, 0), NULL, NULL), INF_OK);
    assert_ptr_equal(data, f.bytes + f.size - 28); /* borrowed, not copied */
    safetensors_close(st);
    free(f.bytes);
}

static void test_safetensors__good_headers__of_every_form(void **state)
{
    static const struct {
        const char *header;
        size_t n_data, n_tensors;
    } cases[] = {
        {"{}", 0, 0},
        {"{} \n\t\r ", 0, 0},
        {"{\"__metadata__\":{}}", 0, 0},
        {"{ \"a\" : { \"data_offsets\" : [ 0 , 1 ] , \"shape\" : [ ] , \"dtype\" : \"U8\" } }", 1,
         1},
        {"{\"z\":{\"dtype\":\"I64\",\"shape\":[0,9223372036854775807],\"data_offsets\":[0,0]}}", 0,
         1},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1, 1},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,8]}}", 8, 1},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]},"
         "\"y\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"z\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file f = plain(cases[i].header, cases[i].n_data);
        struct safetensors *st = accepted(f);

        assert_int_equal(safetensors_count(st), cases[i].n_tensors);
        safetensors_close(st);
        free(f.bytes);
    }
}

/* A header changed at one or two places. */
static void mutate(char *text, uint32_t *random)
{
    static const char alphabet[] = "{}[]:,\"\\0123456789 \nabFnu-.\t\x7f\xc3\x01";

    for (int i = 0; i < 2; i++) {
        size_t at = (*random = *random * 1664525u + 1013904223u) >> 8;
        char c = alphabet[(*random = *random * 1664525u + 1013904223u) % (sizeof alphabet - 1)];

        at %= strlen(text);
        if (c == 'n')
            memmove(text + at, text + at + 1, strlen(text + at));
        else
            text[at] = c;
        if (*random >> 31)
            break;
    }
}

static struct safetensors *read_or_null(const char *header)
{
    struct file f = plain(header, 28);
    struct safetensors *st = NULL;

    safetensors_from_memory(&st, f.bytes, f.size, NULL);
    free(f.bytes); /* only the table is looked at */
    return st;
}

/* An escape in the metadata makes it the reader of any JSON that reads the rest. */
static void test_safetensors__both_readers_of_headers__say_the_same(void **state)
{
    static const char escaped[] = "{\"__metadata__\":{\"\\u0061\":\"\"},";
    uint32_t random = 3;
    int both = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char header[512] = TWO, other[600];
        struct safetensors *x = NULL, *y = NULL;

        mutate(header, &random);
        snprintf(other, sizeof other, "%s%s", escaped, header + 1);
        x = read_or_null(header);
        y = header[0] == '{' ? read_or_null(other) : NULL;
        if (!x != !y)
            fail_msg("one of two readers takes %s", header);
        for (size_t k = 0; x && k < safetensors_count(x); k++) {
            const struct safetensors_tensor *a = safetensors_at(x, k), *b = safetensors_at(y, k);

            assert_int_equal(safetensors_count(x), safetensors_count(y));
            assert_string_equal(a->name, b->name);
            assert_int_equal(a->dtype, b->dtype);
            assert_int_equal(a->size, b->size);
            assert_memory_equal(a->shape, b->shape, sizeof a->shape);
            assert_int_equal(b->offset - a->offset, strlen(escaped) - 1);
        }
        both += x != NULL;
        safetensors_close(x);
        safetensors_close(y);
    }
    assert_in_range(both, 500, 19500);
}

static void test_safetensors__names__are_unescaped(void **state)
{
    struct file f = plain("{\"\\u00e9\\ud83d\\ude00\\/\\\"\\\\\":"
                          "{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}",
                          1);
    struct safetensors *st = accepted(f);

    (void)state;
    assert_non_null(safetensors_find(st, "\xc3\xa9\xf0\x9f\x98\x80/\"\\"));
    safetensors_close(st);
    free(f.bytes);
}

/* ---------------------------------------------------------------- sizes that lie */

static void test_safetensors__file_without_a_header__is_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < 10; n++) {
        struct file f = plain("{}", 0);

        f.size = n < 9 ? n : 9;
        f.bytes = realloc(f.bytes, f.size > 0 ? f.size : 1);
        refused(f, "cut short");
    }
}

static void test_safetensors__header_length__must_fit_file_and_format(void **state)
{
    static const uint64_t lengths[] = {
        3,          100 * 1000 * 1000, 100 * 1000 * 1000 + 1, UINT32_MAX, (uint64_t)1 << 63,
        UINT64_MAX, UINT64_MAX - 7};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        refused(make(lengths[i], "{}", 2, 0), "its header would be");
    refused(make(0, "{}", 2, 0), "does not begin with {");
    refused(make(1, "{}", 2, 0), "");
}

/* A file that claims 100 MB is read no further than the claim is checked, and takes no memory. */
static void test_safetensors__huge_claim__allocates_nothing_for_it(void **state)
{
    struct file f = make(100 * 1000 * 1000, "{}", 2, 0);
    struct safetensors *st = NULL;

    (void)state;
    mem_fail_nth(0);
    assert_int_equal(safetensors_from_memory(&st, f.bytes, f.size, NULL), INF_ERROR_BAD_FORMAT);
    assert_true(mem_fail_nth(0) <= 1); /* the handle */
    free(f.bytes);
}

static void test_safetensors__cut_anywhere__is_refused(void **state)
{
    struct file good = plain(TWO, 28);

    (void)state;
    for (size_t n = 0; n < good.size; n++) {
        struct file f = {malloc(n > 0 ? n : 1), n};

        memcpy(f.bytes, good.bytes, n);
        refused(f, "");
    }
    free(good.bytes);
}

/* ---------------------------------------------------------------- offsets that lie */

/* Tensors "a" and "b" of bytes at these offsets, in 8 bytes of data. */
static struct file two_at(const char *a, const char *b)
{
    char header[400];

    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[%s]},"
             "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[%s]}}",
             a, b);
    return plain(header, 8);
}

static void test_safetensors__offsets__must_tile_the_data(void **state)
{
    struct file good = two_at("4,8", "0,4");

    (void)state;
    safetensors_close(accepted(good));
    free(good.bytes);
    refused(two_at("0,4", "0,4"), "overlaps");
    refused(two_at("0,4", "3,7"), "overlaps");
    refused(two_at("0,4", "5,9"), "outside the file");
    refused(two_at("1,5", "5,9"), "outside the file");
    refused(two_at("4,0", "4,8"), "outside the file");
    refused(two_at("0,4", "4,3"), "\"b\"");
    refused(two_at("0,5", "5,8"), "do not match");
    refused(two_at("0,4", "4,9223372036854775807"), "outside the file");
    refused(two_at("0,4", "4,9223372036854775808"), "too large");
    refused(two_at("-4,0", "0,4"), "whole number");
    refused(two_at("0,4", "4,8.0"), "");
    refused(two_at("0,4", "4"), "lacks");
    refused(two_at("0,4", ""), "lacks");
    refused(two_at("0,4", "4,8,8"), "more than two");
    refused(two_at("00,4", "4,8"), "no JSON");
}

static void test_safetensors__hole_or_rest__is_refused(void **state)
{
    static const char hole[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                               "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[6,10]}}";
    static const char late[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[1,5]}}";

    (void)state;
    refused(plain(hole, 10), "tensor \"b\" leaves a hole");
    refused(plain(late, 5), "tensor \"a\" leaves a hole");
    refused(plain(TWO, 29), "1 bytes follow the last tensor");
    refused(plain("{}", 1), "1 bytes follow");
}

/* ---------------------------------------------------------------- shapes and types */

static struct file one(const char *dtype, const char *shape, const char *offsets, size_t n_data)
{
    char header[500];

    snprintf(header, sizeof header,
             "{\"model.w\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}}", dtype, shape,
             offsets);
    return plain(header, n_data);
}

static void test_safetensors__shape_and_dtype__must_give_the_span(void **state)
{
    (void)state;
    refused(one("F32", "[3]", "[0,8]", 8), "do not match");
    refused(one("F16", "[]", "[0,4]", 4), "do not match");
    refused(one("F4", "[3]", "[0,1]", 1), "do not match");
    refused(one("F6_E2M3", "[1]", "[0,1]", 1), "do not match");
    /* products that wrap around to what the offsets say */
    refused(one("U8", "[4294967296,4294967296]", "[0,0]", 0), "do not match");
    refused(one("U8", "[4294967297,4294967297]", "[0,1]", 1), "do not match");
    refused(one("F32", "[4611686018427387905]", "[0,4]", 4), "do not match");
    refused(one("F64", "[2305843009213693952]", "[0,0]", 0), "do not match");
    refused(one("U8", "[9223372036854775807,2]", "[0,0]", 0), "do not match");
    refused(one("U8", "[9223372036854775808]", "[0,0]", 0), "too large");
    refused(one("U8", "[-1]", "[0,0]", 0), "whole number");
    refused(one("U8", "[1.5]", "[0,1]", 1), "");
    refused(one("U8", "[\"1\"]", "[0,1]", 1), "whole number");
    refused(one("U8", "[1,]", "[0,1]", 1), "no JSON");
    refused(one("U8", "[[1]]", "[0,1]", 1), "whole number");
    refused(one("U8", "1", "[0,1]", 1), "a list is missing");
    refused(one("U8", "null", "[0,1]", 1), "a list is missing");
    refused(one("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]", 1), "more than 8 dimensions");
    refused(one("F31", "[1]", "[0,4]", 4), "dtype is unknown");
    refused(one("f32", "[1]", "[0,4]", 4), "dtype is unknown");
    refused(one("", "[1]", "[0,4]", 4), "dtype is unknown");
}

static void test_safetensors__refusal__names_the_tensor(void **state)
{
    (void)state;
    refused(one("F31", "[1]", "[0,4]", 4), "\"model.w\"");
    refused(one("F32", "[3]", "[0,8]", 8), "\"model.w\"");
    refused(one("U8", "[4]", "[4,8]", 8), "\"model.w\"");
}

/* ---------------------------------------------------------------- JSON */

static void test_safetensors__header_that_is_no_such_json__is_refused(void **state)
{
#define ENTRY "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}"
    static const char *const headers[] = {
        " {}",
        "[]",
        "null",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":}",
        "{\"a\":1}",
        "{\"a\":null}",
        "{\"a\":{}}",
        "{\"a\":[]}",
        "{\"a\":" ENTRY,
        "{\"a\":" ENTRY ",}",
        "{\"a\":" ENTRY "}}",
        "{\"a\":" ENTRY "} x",
        "{\"a\" " ENTRY "}",
        "{a:" ENTRY "}",
        "{\"\\ud800\":" ENTRY "}",
        "{\"\\udc00\":" ENTRY "}",
        "{\"\\u0000\":" ENTRY "}",
        "{\"\\u00g0\":" ENTRY "}",
        "{\"\\x\":" ENTRY "}",
        "{\"\xff\":" ENTRY "}",
        "{\"\xc0\x80\":" ENTRY "}",
        "{\"\xed\xa0\x80\":" ENTRY "}",
        "{\"\n\":" ENTRY "}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}",
        "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}",
        "{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}",
        "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}",
        "{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}",
        "{\"__metadata__\":[]}",
        "{\"__metadata__\":{\"a\":1}}",
        "{\"__metadata__\":{\"a\":\"b\"}",
        "{\"__metadata__\":{\"a\"}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        refused(plain(headers[i], 1), "");
}

static void test_safetensors__duplicate_name__is_refused(void **state)
{
    static const char twice[] = "{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                                "\"\\u0077\":{\"dtype\":\"U8\",\"shape\":[1],"
                                "\"data_offsets\":[1,2]}}";

    (void)state;
    refused(plain(twice, 2), "tensor \"w\" stands in it twice");
}

/* Depth costs no stack: brackets are refused where the format has none. */
static void test_safetensors__deep_json__is_refused(void **state)
{
    static const char *const starts[] = {
        "", "{\"a\":", "{\"a\":{\"shape\":", "{\"__metadata__\":{\"a\":"};

    (void)state;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        for (int kind = 0; kind < 2; kind++) {
            size_t start = strlen(starts[i]);
            size_t n = 4 * 1024 * 1024;
            char *header = malloc(start + n);

            memcpy(header, starts[i], start);
            memset(header + start, kind == 0 ? '[' : '{', n);
            refused(make(start + n, header, start + n, 0), "");
            free(header);
        }
    }
}

/* ---------------------------------------------------------------- files */

static char dir[64];

static void path_of(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", dir, name);
}

static void write_file(const char *path, struct file f)
{
    FILE *to = fopen(path, "wb");

    assert_non_null(to);
    assert_int_equal(fwrite(f.bytes, 1, f.size, to), f.size);
    fclose(to);
}

static void open_fails(const char *path, int32_t code, const char *message)
{
    struct safetensors *st = NULL;
    inf_error err = {0};

    assert_int_equal(safetensors_open(&st, path, &err), code);
    assert_null(st);
    if (!strstr(err.message, message) || !strstr(err.message, path))
        fail_msg("\"%s\" does not say \"%s\" and the path", err.message, message);
}

static void test_safetensors__open__reads_the_same_as_memory(void **state)
{
    struct file f = plain(TWO, 28);
    struct safetensors *st = NULL;
    char path[128];

    (void)state;
    path_of(path, "good");
    write_file(path, f);
    assert_int_equal(safetensors_open(&st, path, NULL), INF_OK);
    check_two(st);
    safetensors_close(st);
    free(f.bytes);
}

static void test_safetensors__open__what_is_no_file__is_an_io_error(void **state)
{
    char path[128];

    (void)state;
    path_of(path, "missing");
    open_fails(path, INF_ERROR_IO, "");
    open_fails(dir, INF_ERROR_IO, "not a regular file");
    path_of(path, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    open_fails(path, INF_ERROR_IO, "not a regular file"); /* at once: a FIFO does not block */
}

static void test_safetensors__open__bad_file__names_it(void **state)
{
    struct file f = plain("", 0);
    char path[128];

    (void)state;
    path_of(path, "empty");
    f.size = 0;
    write_file(path, f);
    open_fails(path, INF_ERROR_BAD_FORMAT, "it has 0 bytes");
    free(f.bytes);
    f = plain("[1]", 0);
    write_file(path, f);
    open_fails(path, INF_ERROR_BAD_FORMAT, "begin with {");
    free(f.bytes);
    f = make(100 * 1000 * 1000, "{}", 2, 0);
    write_file(path, f);
    open_fails(path, INF_ERROR_BAD_FORMAT, "its header would be 100000000 bytes");
    free(f.bytes);
}

/* Cut short after it was opened: an error of the read, no signal. */
static void test_safetensors__data__of_a_file_that_shrank__is_an_io_error(void **state)
{
    struct file f = plain(TWO, 28);
    struct safetensors *st = NULL;
    uint8_t scratch[24];
    const void *data = NULL;
    inf_error err = {0};
    char path[128];

    (void)state;
    path_of(path, "shrinks");
    write_file(path, f);
    assert_int_equal(safetensors_open(&st, path, NULL), INF_OK);
    assert_int_equal(truncate(path, (off_t)f.size - 1), 0);
    assert_int_equal(safetensors_data(&data, st, safetensors_find(st, "b"), scratch, &err),
                     INF_ERROR_IO);
    assert_non_null(strstr(err.message, "shrank"));
    safetensors_close(st);
    free(f.bytes);
}

/* ---------------------------------------------------------------- memory */

static void test_safetensors__every_allocation__can_fail(void **state)
{
    struct file f = plain(TWO, 28);
    int64_t live = mem_live();
    char path[128];
    int32_t code = INF_ERROR_NO_MEMORY;

    (void)state;
    path_of(path, "memory");
    write_file(path, f);
    for (int nth = 1; code != INF_OK && nth < 50; nth++) {
        struct safetensors *st = NULL;

        mem_fail_nth(nth);
        code = safetensors_open(&st, path, NULL);
        mem_fail_nth(0);
        assert_true(code == INF_OK || code == INF_ERROR_NO_MEMORY);
        safetensors_close(st);
        assert_int_equal(mem_live(), live);
    }
    assert_int_equal(code, INF_OK);
    free(f.bytes);
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/safetensors-XXXXXX");
    return !mkdtemp(dir);
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"good", "fifo", "empty", "shrinks", "memory"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        path_of(path, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors__from_memory__reads_header_and_data),
        cmocka_unit_test(test_safetensors__good_headers__of_every_form),
        cmocka_unit_test(test_safetensors__both_readers_of_headers__say_the_same),
        cmocka_unit_test(test_safetensors__names__are_unescaped),
        cmocka_unit_test(test_safetensors__file_without_a_header__is_refused),
        cmocka_unit_test(test_safetensors__header_length__must_fit_file_and_format),
        cmocka_unit_test(test_safetensors__huge_claim__allocates_nothing_for_it),
        cmocka_unit_test(test_safetensors__cut_anywhere__is_refused),
        cmocka_unit_test(test_safetensors__offsets__must_tile_the_data),
        cmocka_unit_test(test_safetensors__hole_or_rest__is_refused),
        cmocka_unit_test(test_safetensors__shape_and_dtype__must_give_the_span),
        cmocka_unit_test(test_safetensors__refusal__names_the_tensor),
        cmocka_unit_test(test_safetensors__header_that_is_no_such_json__is_refused),
        cmocka_unit_test(test_safetensors__duplicate_name__is_refused),
        cmocka_unit_test(test_safetensors__deep_json__is_refused),
        cmocka_unit_test(test_safetensors__open__reads_the_same_as_memory),
        cmocka_unit_test(test_safetensors__open__what_is_no_file__is_an_io_error),
        cmocka_unit_test(test_safetensors__open__bad_file__names_it),
        cmocka_unit_test(test_safetensors__data__of_a_file_that_shrank__is_an_io_error),
        cmocka_unit_test(test_safetensors__every_allocation__can_fail),
    };

    return cmocka_run_group_tests_name("safetensors", tests, make_dir, remove_dir);
}
