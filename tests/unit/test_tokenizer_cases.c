/*
 * tokenizer: ids and texts that the tokenizers library recorded for a small tokenizer of every kind
 * (scripts/make_tokenizer_cases.py), or, with INFERENCE_TOKENIZER_CASES, those of another folder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/utf8.h"
#include "hf/tokenizer/tokenizer_parts.h"

static const char *cases_folder(void)
{
    const char *other = getenv("INFERENCE_TOKENIZER_CASES");

    return other ? other : TEST_SOURCE_DIR "/fixtures/tokenizers";
}

struct given {
    const char *kind;
    struct hf_tokenizer *t;
    json_t *json;
    inf_text text;
};

static void expect_ids(const struct given *g, const char *key, bool special, bool parse)
{
    json_t *want = json_object_get(g->json, json_object_get(g->json, key) ? key : "ids");
    int32_t *ids = NULL, n = 0;
    inf_error err = {0};

    if (hf_tokenizer_encode(g->t, g->text, special, parse, &ids, &n, &err) != INF_OK)
        fail_msg("%s: %s: %s", g->kind, key, err.message);
    for (int32_t i = 0; i < n && i < (int32_t)json_array_size(want); i++)
        if (ids[i] != json_integer_value(json_array_get(want, (size_t)i)))
            fail_msg("%s: \"%s\": %s[%d] is %d, not %d", g->kind, g->text.data, key, (int)i,
                     (int)ids[i], (int)json_integer_value(json_array_get(want, (size_t)i)));
    if (n != (int32_t)json_array_size(want))
        fail_msg("%s: \"%s\": %d %s, not %d", g->kind, g->text.data, (int)n, key,
                 (int)json_array_size(want));
    mem_free(ids);
}

/* Token for token, each chunk whole code points. */
static void expect_stream(const struct given *g, const int32_t *ids, size_t n, bool skip,
                          const struct buffer *want)
{
    struct hf_decoder *d = hf_decoder_create(g->t, skip);
    struct buffer out;

    buffer_init(&out, BUFFER_NO_LIMIT);
    for (size_t i = 0; i <= n; i++) {
        size_t before = out.len;

        assert_true(i < n ? hf_decoder_push(d, ids[i], &out) : hf_decoder_finish(d, &out));
        assert_true(utf8_valid(out.data ? out.data + before : "", out.len - before));
    }
    assert_int_equal(out.len, want->len);
    if (out.len)
        assert_memory_equal(out.data, want->data, out.len);
    buffer_free(&out);
    hf_decoder_free(d);
}

static void expect_text(const struct given *g, const char *key, bool skip)
{
    json_t *list = json_object_get(g->json,
                                   json_object_get(g->json, "special") ? "special" : "ids");
    json_t *want = json_object_get(g->json, json_object_get(g->json, key) ? key : "all");
    int32_t ids[1024];
    size_t n = json_array_size(list);
    struct buffer out;
    inf_error err = {0};

    assert_true(n <= 1024);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    buffer_init(&out, BUFFER_NO_LIMIT);
    assert_int_equal(hf_tokenizer_decode(g->t, ids, n, skip, &out, &err), INF_OK);
    if (out.len != json_string_length(want) ||
        (out.len && memcmp(out.data, json_string_value(want), out.len) != 0))
        fail_msg("%s: %s of \"%s\": \"%s\", not \"%s\"", g->kind, key, g->text.data,
                 out.data ? out.data : "", json_string_value(want));
    expect_stream(g, ids, n, skip, &out);
    buffer_free(&out);
}

static size_t check_cases(const char *kind, struct hf_tokenizer *t, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0, n = 0;

    assert_non_null(file);
    while (getline(&line, &cap, file) > 0) {
        struct given g = {.kind = kind, .t = t, .json = json_loads(line, JSON_ALLOW_NUL, NULL)};
        json_t *text = json_object_get(g.json, "text");

        assert_non_null(text);
        g.text = (inf_text){json_string_value(text), json_string_length(text)};
        expect_ids(&g, "ids", false, true);
        expect_ids(&g, "special", true, true);
        expect_ids(&g, "plain", false, false);
        expect_text(&g, "all", false);
        expect_text(&g, "shown", true);
        json_decref(g.json);
        n++;
    }
    free(line);
    fclose(file);
    return n;
}

static void expect_named(struct hf_tokenizer *t, const char *kind, const char *path)
{
    static const char *const names[] = {"bos", "eos", "unk", "sep", "pad", "cls", "mask"};
    json_t *want = json_load_file(path, 0, NULL);

    for (int i = 0; want && i < HF_NAMED_TOKENS; i++) {
        json_t *id = json_object_get(want, names[i]);
        const char *text = hf_tokenizer_named_text(t, (enum hf_named_token)i);
        int32_t got = text ? added_token_id(&t->added, text, strlen(text)) : -1;

        if (got != (json_is_integer(id) ? (int32_t)json_integer_value(id) : -1))
            fail_msg("%s: %s is %d", kind, names[i], (int)got);
    }
    json_decref(want);
}

static void test_tokenizers__recorded_cases__same_ids_and_texts(void **state)
{
    DIR *dir = opendir(cases_folder());
    size_t kinds = 0, cases = 0;

    (void)state;
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        struct hf_tokenizer *t = NULL;
        char path[4096];
        inf_error err = {0};

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", cases_folder(), entry->d_name);
        if (hf_tokenizer_open(&t, path, &err) != INF_OK)
            fail_msg("%s", err.message);
        snprintf(path, sizeof path, "%s/%s/cases.jsonl", cases_folder(), entry->d_name);
        cases += check_cases(entry->d_name, t, path);
        snprintf(path, sizeof path, "%s/%s/named.json", cases_folder(), entry->d_name);
        expect_named(t, entry->d_name, path);
        hf_tokenizer_free(t);
        kinds++;
    }
    closedir(dir);
    print_message("%zu tokenizers, %zu texts\n", kinds, cases);
    assert_true(kinds > 0 && cases > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizers__recorded_cases__same_ids_and_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
