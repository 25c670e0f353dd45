/* The GGUF reader on good files, on files of another kind, and on damage of every sort. */
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
#include "gguf_edit.h"
#include "gguf/file.h"

#define FIXTURE TEST_SOURCE_DIR "/parity/fixtures/llama/base.gguf"

static struct bytes good; /* the fixture */
static char folder[] = "/tmp/test-gguf-file-XXXXXX";

static struct document *fixture(void)
{
    return document_read(good.data, good.len);
}

/* Reads bytes that must be refused, with a message that says so. */
static void refused(const void *data, size_t size, int32_t code, const char *message)
{
    struct gguf_file *f = NULL;
    inf_error err = {0};

    assert_int_equal(gguf_file_from_memory(&f, data, size, &err), code);
    assert_null(f);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
}

static void document_refused(struct document *d, int32_t code, const char *message)
{
    struct bytes b = document_write(d);

    refused(b.data, b.len, code, message);
    free(b.data);
    document_free(d);
}

static void write_file(const char *name, const void *data, size_t n, char path[256])
{
    FILE *f = NULL;

    snprintf(path, 256, "%s/%s", folder, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

/* ---------------------------------------------------------------- good files */

static void test_gguf_file__good_file__answers_every_question(void **state)
{
    struct gguf_file *f = NULL;
    inf_error err = {0};
    inf_text text = {0};
    int64_t whole = 0;
    double number = 0;
    bool flag = false;
    size_t n = 0;
    int32_t kind = 0;
    int32_t item = 0;

    (void)state;
    assert_int_equal(gguf_file_open(&f, FIXTURE, &err), INF_OK);
    assert_int_equal(gguf_file_size(f), good.len);
    assert_int_equal(gguf_file_part_count(f), 1);
    assert_int_equal(gguf_file_alignment(f), 32);
    assert_true(gguf_get_text(f, "general.architecture", &text));
    assert_int_equal(text.len, 5);
    assert_memory_equal(text.data, "llama", 5);
    assert_true(gguf_get_int(f, "llama.block_count", &whole));
    assert_int_equal(whole, 2);
    assert_true(gguf_get_float(f, "llama.attention.layer_norm_rms_epsilon", &number));
    assert_true(number > 0 && number < 0.01);
    assert_true(gguf_get_array(f, "tokenizer.ggml.tokens", &n));
    assert_int_equal(n, 288);
    assert_true(gguf_get_kind(f, "tokenizer.ggml.tokens", &kind, &item));
    assert_true(kind == GGUF_ARRAY && item == GGUF_TEXT);
    assert_true(gguf_array_int(f, "tokenizer.ggml.token_type", 287, &whole));

    assert_false(gguf_get_text(f, "llama.block_count", &text));
    assert_false(gguf_get_int(f, "general.architecture", &whole));
    assert_false(gguf_get_float(f, "llama.block_count", &number));
    assert_false(gguf_get_bool(f, "llama.block_count", &flag));
    assert_false(gguf_get_int(f, "no such key", &whole));
    assert_false(gguf_array_text(f, "tokenizer.ggml.tokens", 288, &text));
    assert_false(gguf_array_int(f, "tokenizer.ggml.tokens", 0, &whole));
    assert_false(gguf_get_kind(f, "", &kind, &item));
    gguf_file_close(f);
}

static void test_gguf_file__text_array__by_index_and_by_walk(void **state)
{
    struct gguf_file *f = NULL;
    struct gguf_texts it = {0};
    inf_text a = {0};
    inf_text b = {0};
    size_t i = 0;

    (void)state;
    assert_int_equal(gguf_file_from_memory(&f, good.data, good.len, NULL), INF_OK);
    assert_true(gguf_texts_begin(f, "tokenizer.ggml.tokens", &it));
    for (; gguf_texts_next(&it, &a); i++) {
        assert_true(gguf_array_text(f, "tokenizer.ggml.tokens", i, &b));
        assert_ptr_equal(a.data, b.data);
        assert_int_equal(a.len, b.len);
    }
    assert_int_equal(i, 288);
    gguf_file_close(f);
}

static void test_gguf_file__tensors__lie_in_the_file(void **state)
{
    struct gguf_file *f = NULL;
    struct document *d = fixture();

    (void)state;
    assert_int_equal(gguf_file_from_memory(&f, good.data, good.len, NULL), INF_OK);
    assert_int_equal(gguf_file_tensor_count(f), d->n_tensors);
    for (size_t i = 0; i < d->n_tensors; i++) {
        const struct gguf_tensor *t = gguf_file_tensor(f, i);

        assert_memory_equal(t->name, d->tensors[i].name.data, d->tensors[i].name.len);
        assert_ptr_equal(gguf_file_find(f, t->name), t);
        assert_int_equal(t->n_dims, d->tensors[i].n_dims);
        assert_memory_equal(t->ne, d->tensors[i].ne, 8 * (size_t)t->n_dims);
        assert_true(t->size <= d->tensors[i].data.len);
        assert_memory_equal(t->data, d->tensors[i].data.data, t->size);
    }
    assert_null(gguf_file_tensor(f, d->n_tensors));
    assert_null(gguf_file_find(f, "blk.0.attn_q"));
    gguf_file_close(f);
    document_free(d);
}

static void test_gguf_file__integers__convert_when_they_fit(void **state)
{
    static const struct {
        uint32_t kind;
        uint64_t bits;
        size_t size;
        bool fits;
        int64_t value;
    } cases[] = {
        {GGUF_U8, 0xff, 1, true, 255},
        {GGUF_I8, 0xff, 1, true, -1},
        {GGUF_U16, 0xffff, 2, true, 65535},
        {GGUF_I16, 0x8000, 2, true, -32768},
        {GGUF_U32, 0xffffffff, 4, true, UINT32_MAX},
        {GGUF_I32, 0xffffffff, 4, true, -1},
        {GGUF_I64, UINT64_MAX, 8, true, -1},
        {GGUF_U64, INT64_MAX, 8, true, INT64_MAX},
        {GGUF_U64, UINT64_MAX, 8, false, 0},
        {GGUF_F32, 0, 4, false, 0},
        {GGUF_BOOL, 1, 1, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct document *d = fixture();
        struct bytes b = {0};
        struct gguf_file *f = NULL;
        int64_t v = 0;

        document_set(d, "x", cases[i].kind, &cases[i].bits, cases[i].size);
        b = document_write(d);
        assert_int_equal(gguf_file_from_memory(&f, b.data, b.len, NULL), INF_OK);
        assert_int_equal(gguf_get_int(f, "x", &v), cases[i].fits);
        assert_true(!cases[i].fits || v == cases[i].value);
        gguf_file_close(f);
        free(b.data);
        document_free(d);
    }
}

static void test_gguf_file__version_2__is_read(void **state)
{
    struct document *d = fixture();
    struct bytes b = {0};
    struct gguf_file *f = NULL;

    (void)state;
    d->version = 2;
    b = document_write(d);
    assert_int_equal(gguf_file_from_memory(&f, b.data, b.len, NULL), INF_OK);
    gguf_file_close(f);
    free(b.data);
    document_free(d);
}

/* ---------------------------------------------------------------- no GGUF files */

static void test_gguf_file__foreign_file__is_named(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *message;
    } cases[] = {
        {"", 0, "empty"},
        {"G", 1, "not a GGUF file"},
        {"GGUX....", 8, "damaged in its first bytes"},
        {"<!DOCTYPE html>", 15, "HTML"},
        {"<html>", 6, "HTML"},
        {"\x40\0\0\0\0\0\0\0{\"__metadata__\"", 24, "safetensors"},
        {"PK\x03\x04....", 8, "zip"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, "Git LFS"},
        {"lmgg\x01\0\0\0", 8, "before GGUF"},
        {"tjgg\x03\0\0\0", 8, "before GGUF"},
        {"{\"architectures\":[]}", 20, "JSON"},
        {"\x1f\x8b\x08\0", 4, "gzip"},
        {"\x80\x02\x8a\x0a", 4, "PyTorch"},
        {"hello world, this is text", 25, "not a GGUF file"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused(cases[i].bytes, cases[i].n, INF_ERROR_BAD_FORMAT, cases[i].message);
}

static void test_gguf_file__other_version__is_named(void **state)
{
    static const struct {
        uint32_t version;
        int32_t code;
        const char *message;
    } cases[] = {
        {0, INF_ERROR_BAD_FORMAT, "version is 0"},
        {1, INF_ERROR_UNSUPPORTED, "version 1"},
        {4, INF_ERROR_UNSUPPORTED, "newer"},
        {0x03000000, INF_ERROR_UNSUPPORTED, "big-endian"},
        {0x12345678, INF_ERROR_BAD_FORMAT, "damaged"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct document *d = fixture();

        d->version = cases[i].version;
        document_refused(d, cases[i].code, cases[i].message);
    }
}

static void test_gguf_file__path__that_is_no_file__is_an_io_error(void **state)
{
    struct gguf_file *f = NULL;
    inf_error err = {0};
    char fifo[256];

    (void)state;
    assert_int_equal(gguf_file_open(&f, "/no/such/file.gguf", &err), INF_ERROR_IO);
    assert_int_equal(err.detail, ENOENT);
    assert_non_null(strstr(err.message, "/no/such/file.gguf"));
    assert_int_equal(gguf_file_open(&f, folder, &err), INF_ERROR_IO);
    assert_non_null(strstr(err.message, "is a directory"));
    assert_int_equal(gguf_file_open(&f, "/dev/null", &err), INF_ERROR_IO);
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(gguf_file_open(&f, fifo, &err), INF_ERROR_IO); /* and does not block */
    unlink(fifo);
    assert_null(f);
}

static void test_gguf_file__bad_file__error_starts_with_its_path(void **state)
{
    struct gguf_file *f = NULL;
    inf_error err = {0};
    char path[256];

    (void)state;
    write_file("page.gguf", "<html>", 6, path);
    assert_int_equal(gguf_file_open(&f, path, &err), INF_ERROR_BAD_FORMAT);
    assert_memory_equal(err.message, path, strlen(path));
    write_file("empty.gguf", "", 0, path);
    assert_int_equal(gguf_file_open(&f, path, &err), INF_ERROR_BAD_FORMAT);
    assert_non_null(strstr(err.message, "empty"));
    unlink(path);
}

/* ---------------------------------------------------------------- damage */

static void test_gguf_file__cut_anywhere__is_refused(void **state)
{
    struct gguf_file *f = NULL;
    inf_error err = {0};
    uint8_t *copy = NULL;
    size_t header = 8192 < good.len ? 8192 : good.len;

    (void)state;
    for (size_t n = 0; n < good.len; n += n < header ? 1 : 509) {
        copy = malloc(n > 0 ? n : 1); /* so that a sanitizer sees a byte too many */
        memcpy(copy, good.data, n);
        assert_int_equal(gguf_file_from_memory(&f, copy, n, &err), INF_ERROR_BAD_FORMAT);
        assert_null(f);
        assert_null(strchr(err.message, '\n'));
        free(copy);
    }
}

static void test_gguf_file__counts_that_lie__are_refused(void **state)
{
    static const uint64_t lies[] = {UINT64_MAX, INT64_MAX, 1u << 31, 70000, 65536, 4000};
    uint8_t *copy = malloc(good.len);

    (void)state;
    for (size_t i = 0; i < 2 * sizeof lies / sizeof lies[0]; i++) {
        memcpy(copy, good.data, good.len);
        memcpy(copy + 8 + 8 * (i % 2), &lies[i / 2], 8);
        refused(copy, good.len, INF_ERROR_BAD_FORMAT, "");
    }
    free(copy);
}

static void test_gguf_file__bad_keys__are_refused(void **state)
{
    struct document *d = fixture();
    char *longest = malloc(70001);

    (void)state;
    bytes_replace(&d->pairs[1].key, d->pairs[0].key.data, d->pairs[0].key.len);
    document_refused(d, INF_ERROR_BAD_FORMAT, "comes twice");
    d = fixture();
    bytes_replace(&d->pairs[1].key, "", 0);
    document_refused(d, INF_ERROR_BAD_FORMAT, "no key name");
    d = fixture();
    bytes_replace(&d->pairs[1].key, "a\0b", 3);
    document_refused(d, INF_ERROR_BAD_FORMAT, "no key name");
    d = fixture();
    memset(longest, 'k', 70000);
    bytes_replace(&d->pairs[1].key, longest, 70000);
    document_refused(d, INF_ERROR_BAD_FORMAT, "no key name");
    d = fixture();
    d->pairs[1].kind = 13;
    document_refused(d, INF_ERROR_BAD_FORMAT, "unknown type 13");
    free(longest);
}

static void test_gguf_file__bad_arrays__are_refused(void **state)
{
    static const uint32_t kinds[] = {GGUF_ARRAY, 13, UINT32_MAX};
    static const uint64_t counts[] = {UINT64_MAX, (UINT64_C(1) << 61) + 1, UINT64_C(1) << 31,
                                      1000000};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct document *d = fixture();

        memcpy(document_find(d, "tokenizer.ggml.tokens")->value.data, &kinds[i], 4);
        document_refused(d, INF_ERROR_BAD_FORMAT, "has items of");
    }
    for (size_t i = 0; i < 8; i++) {
        struct document *d = fixture();
        const char *key = i % 2 ? "tokenizer.ggml.tokens" : "tokenizer.ggml.token_type";

        memcpy(document_find(d, key)->value.data + 4, &counts[i / 2], 8);
        document_refused(d, INF_ERROR_BAD_FORMAT, "");
    }
}

static void test_gguf_file__bad_names__are_refused(void **state)
{
    struct document *d = fixture();
    char longest[64];

    (void)state;
    bytes_replace(&d->tensors[1].name, d->tensors[0].name.data, d->tensors[0].name.len);
    document_refused(d, INF_ERROR_BAD_FORMAT, "comes twice");
    d = fixture();
    memset(longest, 'n', sizeof longest);
    bytes_replace(&d->tensors[1].name, longest, sizeof longest);
    document_refused(d, INF_ERROR_BAD_FORMAT, "tensor name");
    d = fixture();
    bytes_replace(&d->tensors[1].name, "", 0);
    document_refused(d, INF_ERROR_BAD_FORMAT, "tensor name");
    d = fixture();
    bytes_replace(&d->tensors[1].name, "a\0", 2);
    document_refused(d, INF_ERROR_BAD_FORMAT, "tensor name");
}

static void test_gguf_file__bad_shapes__are_refused(void **state)
{
    static const uint64_t sizes[] = {0, UINT64_MAX, INT64_MAX, UINT64_C(1) << 62,
                                     UINT64_C(1) << 40};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct document *d = fixture();

        document_tensor(d, "token_embd.weight")->ne[1] = sizes[i];
        document_refused(d, INF_ERROR_BAD_FORMAT, "token_embd.weight");
    }
    for (uint32_t n = 5; n < 8; n++) {
        struct document *d = fixture();

        document_tensor(d, "token_embd.weight")->n_dims = n;
        document_refused(d, INF_ERROR_BAD_FORMAT, "more than 4 dimensions");
    }
}

static void test_gguf_file__types_that_are_none__are_refused(void **state)
{
    static const uint32_t none[] = {4, 5, 31, 32, 33, 36, 37, 38, 43, 1000, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct document *d = fixture();

        document_tensor(d, "token_embd.weight")->type = none[i];
        document_refused(d, INF_ERROR_BAD_FORMAT, "unknown or was removed");
    }
}

static void test_gguf_file__rows_of_half_blocks__are_refused(void **state)
{
    struct document *d = fixture();
    struct tensor *t = document_tensor(d, "blk.0.attn_norm.weight");

    (void)state;
    t->type = 12; /* Q4_K: blocks of 256, here 32 */
    document_refused(d, INF_ERROR_BAD_FORMAT, "quantisation blocks");
}

static void test_gguf_file__offsets_that_lie__are_refused(void **state)
{
    struct document *d = fixture();
    const char *name = "output_norm.weight";
    uint8_t *copy = malloc(good.len);
    uint8_t *at = NULL;

    (void)state;
    memcpy(copy, good.data, good.len);
    at = memmem(copy, good.len, name, strlen(name));
    assert_non_null(at);
    at += strlen(name) + 4 + 8 + 4; /* one dimension, the type */
    for (int i = 0; i < 4; i++) {
        uint64_t offset = get_u64(at);

        offset += (const uint64_t[]){32, UINT64_MAX - 31, UINT64_C(1) << 40, 1}[i];
        memcpy(at, &offset, 8);
        refused(copy, good.len, INF_ERROR_BAD_FORMAT, "does not lie where the one before it ends");
        memcpy(copy, good.data, good.len);
    }
    free(copy);
    document_free(d);
}

static void test_gguf_file__bad_alignment__is_refused(void **state)
{
    static const uint32_t bad[] = {0, 1, 4, 24, 33, 1u << 31, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct document *d = fixture();

        document_set_u32(d, "general.alignment", bad[i]);
        document_refused(d, INF_ERROR_BAD_FORMAT, "alignment");
    }
}

static void test_gguf_file__every_allocation__can_fail(void **state)
{
    int64_t live = mem_live();
    int32_t code = INF_ERROR_NO_MEMORY;

    (void)state;
    for (int64_t n = 1; code != INF_OK; n++) {
        struct gguf_file *f = NULL;
        inf_error err = {0};

        mem_fail_nth(n);
        code = gguf_file_from_memory(&f, good.data, good.len, &err);
        mem_fail_nth(0);
        assert_true(code == INF_OK || (code == INF_ERROR_NO_MEMORY && !f));
        gguf_file_close(f);
        assert_int_equal(mem_live(), live);
    }
}

/* ---------------------------------------------------------------- split files */

#define PARTS 3

/* The fixture in three parts, as llama.cpp's splitter writes them: keys in the first. */
static struct document *part(int i, int claimed)
{
    struct document *d = fixture();
    size_t n = d->n_tensors;
    uint16_t no = (uint16_t)i;
    uint16_t count = PARTS;
    int32_t total = claimed >= 0 ? claimed : (int32_t)n;

    for (size_t t = n; t-- > 0;)
        if (t * PARTS / n != (size_t)i)
            document_remove_tensor(d, t);
    while (i > 0 && d->n_pairs > 0)
        document_remove(d, 0);
    document_set(d, "split.no", GGUF_U16, &no, 2);
    document_set(d, "split.count", GGUF_U16, &count, 2);
    document_set(d, "split.tensors.count", GGUF_I32, &total, 4);
    return d;
}

static void write_part(int i, struct document *d, char path[256])
{
    char name[64];
    struct bytes b = document_write(d);

    snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", i + 1, PARTS);
    write_file(name, b.data, b.len, path);
    free(b.data);
    document_free(d);
}

static void write_parts(char first[256])
{
    char other[256];

    write_part(0, part(0, -1), first);
    write_part(1, part(1, -1), other);
    write_part(2, part(2, -1), other);
}

static void test_gguf_file__split_file__is_one_model(void **state)
{
    struct gguf_file *f = NULL;
    struct gguf_file *whole = NULL;
    inf_error err = {0};
    char first[256];

    (void)state;
    write_parts(first);
    assert_int_equal(gguf_file_open(&f, first, &err), INF_OK);
    assert_int_equal(gguf_file_from_memory(&whole, good.data, good.len, NULL), INF_OK);
    assert_int_equal(gguf_file_part_count(f), PARTS);
    assert_int_equal(gguf_file_tensor_count(f), gguf_file_tensor_count(whole));
    for (size_t i = 0; i < gguf_file_tensor_count(whole); i++) {
        const struct gguf_tensor *a = gguf_file_tensor(whole, i);
        const struct gguf_tensor *b = gguf_file_find(f, a->name);

        assert_non_null(b);
        assert_ptr_equal(b, gguf_file_tensor(f, (size_t)(b - gguf_file_tensor(f, 0))));
        assert_int_equal(a->size, b->size);
        assert_memory_equal(a->data, b->data, a->size);
    }
    gguf_file_close(f);
    gguf_file_close(whole);
}

static void split_refused(const char *path, int32_t code, const char *message)
{
    struct gguf_file *f = NULL;
    inf_error err = {0};

    assert_int_equal(gguf_file_open(&f, path, &err), code);
    assert_null(f);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
}

static void test_gguf_file__split_file__missing_or_wrong_part__is_refused(void **state)
{
    char first[256];
    char second[256];
    char renamed[256];
    struct bytes b = {0};
    struct document *d = NULL;
    int32_t wide = 2;

    (void)state;
    write_parts(first);
    write_part(1, part(1, -1), second);
    split_refused(second, INF_ERROR_UNSUPPORTED, "part 2 of 3");
    write_part(1, part(2, -1), second);
    split_refused(first, INF_ERROR_BAD_FORMAT, ""); /* part 3 in its place */
    d = part(1, -1);
    document_set(d, "split.no", GGUF_I32, &wide, 4); /* llama.cpp would abort */
    write_part(1, d, second);
    split_refused(first, INF_ERROR_BAD_FORMAT, "is not part 2");
    write_file("m-00002-of-00003.gguf", "GGUF", 4, second);
    split_refused(first, INF_ERROR_BAD_FORMAT, "m-00002-of-00003.gguf");
    unlink(second);
    split_refused(first, INF_ERROR_IO, "is missing: the model has 3 parts");
    write_parts(first);
    write_part(0, part(0, 7), first);
    split_refused(first, INF_ERROR_BAD_FORMAT, "split.tensors.count");
    d = part(0, -1);
    b = document_write(d);
    write_file("other.gguf", b.data, b.len, renamed);
    split_refused(renamed, INF_ERROR_BAD_FORMAT, "give the parts their names back");
    refused(b.data, b.len, INF_ERROR_UNSUPPORTED, "not from memory");
    free(b.data);
    document_free(d);
}

/* ---------------------------------------------------------------- set-up */

static int read_fixture(void **state)
{
    FILE *f = fopen(FIXTURE, "rb");
    long size = 0;

    (void)state;
    if (!f || !mkdtemp(folder))
        return -1;
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    good.data = malloc((size_t)size);
    good.len = fread(good.data, 1, (size_t)size, f);
    fclose(f);
    return good.len == (size_t)size ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[300];

    (void)state;
    free(good.data);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf_file__good_file__answers_every_question),
        cmocka_unit_test(test_gguf_file__text_array__by_index_and_by_walk),
        cmocka_unit_test(test_gguf_file__tensors__lie_in_the_file),
        cmocka_unit_test(test_gguf_file__integers__convert_when_they_fit),
        cmocka_unit_test(test_gguf_file__version_2__is_read),
        cmocka_unit_test(test_gguf_file__foreign_file__is_named),
        cmocka_unit_test(test_gguf_file__other_version__is_named),
        cmocka_unit_test(test_gguf_file__path__that_is_no_file__is_an_io_error),
        cmocka_unit_test(test_gguf_file__bad_file__error_starts_with_its_path),
        cmocka_unit_test(test_gguf_file__cut_anywhere__is_refused),
        cmocka_unit_test(test_gguf_file__counts_that_lie__are_refused),
        cmocka_unit_test(test_gguf_file__bad_keys__are_refused),
        cmocka_unit_test(test_gguf_file__bad_arrays__are_refused),
        cmocka_unit_test(test_gguf_file__bad_names__are_refused),
        cmocka_unit_test(test_gguf_file__bad_shapes__are_refused),
        cmocka_unit_test(test_gguf_file__types_that_are_none__are_refused),
        cmocka_unit_test(test_gguf_file__rows_of_half_blocks__are_refused),
        cmocka_unit_test(test_gguf_file__offsets_that_lie__are_refused),
        cmocka_unit_test(test_gguf_file__bad_alignment__is_refused),
        cmocka_unit_test(test_gguf_file__every_allocation__can_fail),
        cmocka_unit_test(test_gguf_file__split_file__is_one_model),
        cmocka_unit_test(test_gguf_file__split_file__missing_or_wrong_part__is_refused),
    };

    return cmocka_run_group_tests_name("gguf_file", tests, read_fixture, remove_folder);
}
