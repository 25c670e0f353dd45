/* tokenizer: small ones written here, and one clear refusal for every damaged file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "hf/tokenizer/tokenizer_parts.h"

#define LETTERS                                                                                    \
    "\"a\":0,\"b\":1,\"c\":2,\"\xc4\xa0\":3,\"ab\":4,\"abc\":5,\"\xc4\xa0"                         \
    "a\":6"
#define MERGES "\"a b\",\"ab c\",\"\xc4\xa0 a\""
#define BYTE_LEVEL                                                                                 \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}"

static const char small[] =
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":7,\"content\":\"<s>\",\"special\":true,"
    "\"normalized\":false,\"single_word\":false,\"lstrip\":false,\"rstrip\":false}],"
    "\"normalizer\":null,\"pre_tokenizer\":" BYTE_LEVEL ",\"decoder\":" BYTE_LEVEL ","
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
    "\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
    "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[7],\"tokens\":[\"<s>\"]}}},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{" LETTERS "},\"merges\":[" MERGES "]}}";

static int32_t parse(struct hf_tokenizer **out, const char *json, size_t n, const char *config,
                     inf_error *err)
{
    char *copy = malloc(n + 1);
    struct hf_tokenizer_files files = {.json = copy,
                                       .len = n,
                                       .config = {config, config ? strlen(config) : 0},
                                       .names = {"tokenizer.json", "tokenizer_config.json",
                                                 "special_tokens_map.json", "added_tokens.json"}};
    int32_t code = INF_OK;

    assert_non_null(copy);
    memcpy(copy, json, n);
    code = hf_tokenizer_parse(out, &files, err);
    free(copy);
    return code;
}

static struct hf_tokenizer *accepted(const char *json, const char *config)
{
    struct hf_tokenizer *t = NULL;
    inf_error err = {0};

    if (parse(&t, json, strlen(json), config, &err) != INF_OK)
        fail_msg("%s", err.message);
    return t;
}

static void refused(const char *json, int32_t code, const char *message)
{
    struct hf_tokenizer *t = NULL;
    inf_error err = {0};

    assert_int_equal(parse(&t, json, strlen(json), NULL, &err), code);
    assert_null(t);
    if (!strstr(err.message, message) || strncmp(err.message, "tokenizer.json: ", 16) != 0)
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
}

/* `small` with one place replaced. */
static void edited_refused(const char *old, const char *with, int32_t code, const char *message)
{
    const char *at = strstr(small, old);
    char text[4096];

    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - small), small, with, at + strlen(old));
    refused(text, code, message);
}

static void expect(struct hf_tokenizer *t, const char *text, bool special, const int32_t *ids,
                   int32_t n)
{
    int32_t *got = NULL, n_got = 0;
    inf_error err = {0};

    assert_int_equal(
        hf_tokenizer_encode(t, (inf_text){text, strlen(text)}, special, true, &got, &n_got, &err),
        INF_OK);
    assert_int_equal(n_got, n);
    if (n > 0)
        assert_memory_equal(got, ids, (size_t)n * sizeof *ids);
    mem_free(got);
}

static void test_encode__small_bpe__ids_of_merges(void **state)
{
    struct hf_tokenizer *t = accepted(small, NULL);

    (void)state;
    expect(t, "abc ab", false, (int32_t[]){5, 3, 4}, 3);
    expect(t, "abc a", false, (int32_t[]){5, 6}, 2);
    expect(t, "abc<s>a", true, (int32_t[]){7, 5, 7, 0}, 4);
    expect(t, "", true, (int32_t[]){7}, 1);
    expect(t, "", false, NULL, 0);
    assert_int_equal(hf_tokenizer_size(t), 8);
    hf_tokenizer_free(t);
}

static int32_t id_of(const struct hf_tokenizer *t, const char *token)
{
    int32_t id = added_token_id(&t->added, token, strlen(token));

    return id >= 0 ? id : vocab_find(&t->model.vocab, token, strlen(token));
}

static void test_decode__special_skipped_or_not__text(void **state)
{
    struct hf_tokenizer *t = accepted(small, "{\"eos_token\":\"<s>\",\"pad_token\":\"[PAD]\"}");
    struct buffer out;
    inf_error err = {0};

    (void)state;
    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_int_equal(hf_tokenizer_decode(t, (int32_t[]){7, 5, 6, 99, -1}, 5, true, &out, &err),
                     INF_OK);
    assert_string_equal(out.data, "abc a");
    buffer_clear(&out);
    assert_int_equal(hf_tokenizer_decode(t, (int32_t[]){7, 5, 6}, 3, false, &out, &err), INF_OK);
    assert_string_equal(out.data, "<s>abc a");
    buffer_free(&out);
    assert_string_equal(hf_tokenizer_named_text(t, HF_TOKEN_EOS), "<s>");
    assert_string_equal(hf_tokenizer_named_text(t, HF_TOKEN_PAD), "[PAD]");
    assert_int_equal(id_of(t, "[PAD]"), 8);
    assert_null(hf_tokenizer_named_text(t, HF_TOKEN_BOS));
    assert_true(hf_tokenizer_is_special(t, 8));
    hf_tokenizer_free(t);
}

static void test_parse__damaged_file__one_line(void **state)
{
    (void)state;
    refused("", INF_ERROR_BAD_FORMAT, "");
    refused("{}", INF_ERROR_BAD_FORMAT, "no model");
    refused("\xff", INF_ERROR_BAD_FORMAT, "UTF-8");
    edited_refused("\"ab\":4", "\"ab\":3", INF_ERROR_BAD_FORMAT, "the id 3 twice");
    edited_refused("\"ab\":4", "\"a\":4", INF_ERROR_BAD_FORMAT, "\"a\" twice");
    edited_refused("\"ab\":4", "\"ab\":4000000000", INF_ERROR_BAD_FORMAT, "4000000000");
    edited_refused("\"ab\":4", "\"ab\":99999999999999999999", INF_ERROR_BAD_FORMAT, "too large");
    edited_refused("\"ab\":4", "\"ab\":-4", INF_ERROR_BAD_FORMAT, "whole number");
    edited_refused("\"ab\":4", "\"ab\":4.5", INF_ERROR_BAD_FORMAT, "whole number");
    edited_refused("\"ab\":4", "\"\\ud800\":4", INF_ERROR_BAD_FORMAT, "escape");
    edited_refused("\"ab c\"", "\"ab x\"", INF_ERROR_BAD_FORMAT, "merges[1]");
    edited_refused("\"ab c\"", "\"abc\"", INF_ERROR_BAD_FORMAT, "one space");
    edited_refused("\"ab c\"", "[\"ab\"]", INF_ERROR_BAD_FORMAT, "two tokens");
    edited_refused("\"BPE\"", "\"Other\"", INF_ERROR_UNSUPPORTED, "Other");
    edited_refused("\"BPE\"", "\"BPE\",\"dropout\":0.5", INF_ERROR_UNSUPPORTED, "dropout");
    edited_refused("\"version\":\"1.0\"", "\"version\":\"2.0\"", INF_ERROR_UNSUPPORTED, "version");
    edited_refused("\"normalizer\":null", "\"normalizer\":{\"type\":\"X\"}", INF_ERROR_UNSUPPORTED,
                   "\"X\"");
    edited_refused("\"ids\":[7]", "\"ids\":[-1]", INF_ERROR_BAD_FORMAT, "out of range");
}

static void expect_token(const struct hf_tokenizer *t, const char *token, const char *bytes)
{
    struct buffer out;
    int32_t id = id_of(t, token);

    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_true(id >= 0);
    assert_true(hf_tokenizer_token_text(t, id, &out));
    assert_string_equal(out.data, bytes);
    buffer_free(&out);
}

static struct hf_tokenizer *opened(const char *name)
{
    struct hf_tokenizer *t = NULL;
    char path[4096];
    inf_error err = {0};

    snprintf(path, sizeof path, "%s/fixtures/tokenizers/%s", TEST_SOURCE_DIR, name);
    if (hf_tokenizer_open(&t, path, &err) != INF_OK)
        fail_msg("%s", err.message);
    return t;
}

static void test_token_text__inside_a_text__its_bytes(void **state)
{
    struct hf_tokenizer *t = opened("gpt2");

    (void)state;
    expect_token(t, "\xc4\xa0wide", " wide");
    expect_token(t, "\xc3\xa9", "\xe9"); /* a part of a character */
    expect_token(t, "<s>", "<s>");
    hf_tokenizer_free(t);
    t = opened("llama2");
    expect_token(t, "<0x0A>", "\n");
    expect_token(t, "<0xE9>", "\xe9");
    expect_token(t, "\xe2\x96\x81", " ");
    hf_tokenizer_free(t);
    t = opened("bert");
    expect_token(t, "##e", "e");
    expect_token(t, "z", " z");
    hf_tokenizer_free(t);
}

static void test_open__no_such_folder__io(void **state)
{
    struct hf_tokenizer *t = NULL;
    inf_error err = {0};

    (void)state;
    assert_int_equal(hf_tokenizer_open(&t, "/nowhere/at/all", &err), INF_ERROR_IO);
    assert_null(t);
    assert_non_null(strstr(err.message, "/nowhere/at/all/tokenizer.json"));
}

enum { THREADS = 4, ROUNDS = 200 };

static const char shared_text[] = "Hello world, it's 1234 <s> na\xc3\xafve  \n\n caf\xc3\xa9";

/* Encodes and decodes the same text as all others; the ids' sum. */
static void *use_shared(void *tokenizer)
{
    struct hf_tokenizer *t = tokenizer;
    intptr_t sum = 0;

    for (int i = 0; i < ROUNDS; i++) {
        int32_t *ids = NULL, n = 0;
        struct buffer out;
        inf_error err = {0};

        buffer_init(&out, BUFFER_NO_LIMIT);
        if (hf_tokenizer_encode(t, (inf_text){shared_text, sizeof shared_text - 1}, false, true,
                                &ids, &n, &err) != INF_OK ||
            hf_tokenizer_decode(t, ids, (size_t)n, false, &out, &err) != INF_OK ||
            strcmp(out.data, shared_text) != 0)
            return NULL;
        for (int32_t k = 0; k < n; k++)
            sum += ids[k] * (k + 1);
        buffer_free(&out);
        mem_free(ids);
    }
    return (void *)sum;
}

static void test_encode__many_threads_at_once__same_ids(void **state)
{
    struct hf_tokenizer *t = opened("qwen2");
    pthread_t threads[THREADS];
    void *sums[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_shared, t), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], &sums[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_non_null(sums[i]);
        assert_ptr_equal(sums[i], sums[0]);
    }
    hf_tokenizer_free(t);
}

#define GROWING "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaa\"}"
#define FOUR(x) x "," x "," x "," x

static void test_encode__normalizer_that_grows_without_end__refused(void **state)
{
    struct hf_tokenizer *t = NULL;
    int32_t *ids = NULL, n = 0;
    inf_error err = {0};

    (void)state;
    t = accepted(
        "{\"version\":\"1.0\",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":"
        "[" FOUR(FOUR(GROWING)) "]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":"
                                "[" FOUR(FOUR(GROWING)) "]},"
                                                        "\"model\":{\"type\":\"BPE\",\"vocab\":"
                                                        "{\"a\":0},\"merges\":[]}}",
        NULL);
    assert_int_equal(hf_tokenizer_encode(t, (inf_text){"a", 1}, false, true, &ids, &n, &err),
                     INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "too long a text"));
    hf_tokenizer_free(t);
}

/* How many pieces "Z<character>Z" becomes: three where the character is one of its own, else one. */
static int32_t pieces(const char *pre_tokenizer, const char *character)
{
    static const int32_t ids[3][3] = {{1}, {0}, {0, 1, 0}};
    char json[600], text[16];
    struct hf_tokenizer *t = NULL;
    int32_t *got = NULL, n = 0;
    inf_error err = {0};

    snprintf(json, sizeof json,
             "{\"added_tokens\":[],\"pre_tokenizer\":%s,\"model\":{\"type\":\"WordLevel\","
             "\"unk_token\":\"<unk>\",\"vocab\":{\"Z\":0,\"<unk>\":1}}}",
             pre_tokenizer);
    snprintf(text, sizeof text, "Z%sZ", character);
    t = accepted(json, NULL);
    assert_int_equal(
        hf_tokenizer_encode(t, (inf_text){text, strlen(text)}, false, true, &got, &n, &err),
        INF_OK);
    assert_in_range(n, 1, 3);
    assert_memory_equal(got, ids[n - 1], (size_t)n * sizeof *got);
    mem_free(got);
    hf_tokenizer_free(t);
    return n;
}

#define SPLIT(regex)                                                                               \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex                                          \
    "\"},\"behavior\":\"Isolated\",\"invert\":false}"

/* As Oniguruma has them, whatever Unicode PCRE2 is of. */
static void test_encode__classes_of_expressions__the_librarys(void **state)
{
    static const char half[] = "\xc2\xbd",
                      newer[] = "\xf0\x90\x97\x80"; /* a letter of Unicode 16 */
    static const char garay[] = "\xf0\x90\xb5\x80"; /* a digit, of 16 */
    static const char stop[] = "\xef\xbd\xa1";      /* of Han by extension */

    (void)state;
    assert_int_equal(pieces(SPLIT("(?!Z)\\\\w"), half), 3);
    assert_int_equal(pieces(SPLIT("(?!Z)[\\\\w]"), half), 1);
    assert_int_equal(pieces(SPLIT("(?!Z)[^\\\\w]"), half), 3);
    assert_int_equal(pieces(SPLIT("(?!Z)\\\\w"), newer), 3);
    assert_int_equal(pieces(SPLIT("(?!Z)[\\\\w]"), newer), 3);
    assert_int_equal(pieces(SPLIT("\\\\W"), newer), 1);
    assert_int_equal(pieces(SPLIT("\\\\d"), garay), 3);
    assert_int_equal(pieces(SPLIT("[\\\\d]"), garay), 3);
    assert_int_equal(pieces(SPLIT("(?!Z)\\\\D"), garay), 1);
    assert_int_equal(pieces(SPLIT("\\\\p{Nd}"), garay), 3);
    assert_int_equal(pieces("{\"type\":\"Whitespace\"}", garay), 1);
    assert_int_equal(pieces("{\"type\":\"BertPreTokenizer\"}", "\xe2\x80\xbd"), 3); /* U+203D */
    assert_int_equal(pieces("{\"type\":\"BertPreTokenizer\"}", "\xe2\xb9\x83"),
                     1); /* U+2E43, of 9 */
    assert_int_equal(pieces("{\"type\":\"BertPreTokenizer\"}", "\xe1\x99\xad"),
                     3); /* U+166D, up to 11 */
    assert_int_equal(
        pieces("{\"type\":\"Digits\",\"individual_digits\":false}", "\xf0\x91\xb7\xa0"), 3);
    assert_int_equal(pieces(SPLIT("\\\\p{Han}"), stop), 1);
    assert_int_equal(pieces(SPLIT("\\\\p{Han}"), "\xe6\x97\xa5"), 3);
}

static void test_parse__cut_anywhere__refused(void **state)
{
    (void)state;
    for (size_t n = 0; n + 1 < sizeof small - 1; n++) {
        struct hf_tokenizer *t = NULL;
        inf_error err = {0};

        assert_int_not_equal(parse(&t, small, n, NULL, &err), INF_OK);
        assert_null(t);
    }
}

static void test_parse_and_encode__memory_runs_out__no_leak(void **state)
{
    bool done = false;

    (void)state;
    for (int64_t nth = 1; !done; nth++) {
        struct hf_tokenizer *t = NULL;
        int64_t live = mem_live();
        inf_error err = {0};
        int32_t *ids = NULL, n = 0;
        int32_t code = INF_OK;

        mem_fail_nth(nth);
        code = parse(&t, small, sizeof small - 1, NULL, &err);
        if (code == INF_OK)
            code = hf_tokenizer_encode(t, (inf_text){"abc <s> ab", 10}, true, true, &ids, &n, &err);
        mem_fail_nth(0);
        done = code == INF_OK;
        assert_true(done || code == INF_ERROR_NO_MEMORY);
        mem_free(ids);
        hf_tokenizer_free(t);
        assert_int_equal(mem_live(), live);
        assert_true(nth < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode__small_bpe__ids_of_merges),
        cmocka_unit_test(test_decode__special_skipped_or_not__text),
        cmocka_unit_test(test_token_text__inside_a_text__its_bytes),
        cmocka_unit_test(test_open__no_such_folder__io),
        cmocka_unit_test(test_encode__many_threads_at_once__same_ids),
        cmocka_unit_test(test_parse__damaged_file__one_line),
        cmocka_unit_test(test_encode__normalizer_that_grows_without_end__refused),
        cmocka_unit_test(test_encode__classes_of_expressions__the_librarys),
        cmocka_unit_test(test_parse__cut_anywhere__refused),
        cmocka_unit_test(test_parse_and_encode__memory_runs_out__no_leak),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
