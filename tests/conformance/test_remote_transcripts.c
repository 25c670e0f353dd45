/*
 * Every chat answer that was recorded from the real servers, byte for byte as it came, through the
 * provider: text, finish reason, counts and log-probabilities are what another parser finds in it,
 * and a refusal is an error with its status.
 */
#include "conformance.h"
#include "fake/fake.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRANSCRIPTS TEST_SOURCE_DIR "/live/transcripts/"

static struct subject served = {.model = "smol"};
static struct fake server;

static const char *string_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void compare(const char *file, const inf_result *r, const json_t *want)
{
    const json_t *text = json_object_get(want, "text");

    if (r->text.len != json_string_length(text) ||
        memcmp(r->text.data, json_string_value(text), r->text.len) != 0)
        fail_msg("%s: '%.*s' instead of '%s'", file, (int)r->text.len, r->text.data,
                 json_string_value(text));
    assert_string_equal(r->finish_reason.data, string_of(want, "finish"));
    assert_int_equal(r->prompt_tokens, number_of(want, "prompt"));
    assert_int_equal(r->completion_tokens, number_of(want, "completion"));
    assert_int_equal(r->n_logprobs, number_of(want, "logprobs"));
}

/* One recorded answer. */
static void replay(struct bench *b, const char *file, const json_t *want)
{
    inf_request request = greedy("What is gravity?", 8, NULL);
    int64_t status = number_of(want, "status");
    inf_op *op = NULL;
    inf_error err;
    int32_t code = inf_generate(&op, b->provider, &request, &err);
    inf_result r;

    assert_non_null(op);
    r = result_of(op);
    if (status != 200) {
        if (code != INF_ERROR_HTTP_STATUS && code != INF_ERROR_CONTEXT_FULL)
            fail_msg("%s: %d %s", file, code, err.message);
        assert_int_equal(err.http_status, status);
        assert_true(inf_op_error_body(op).len > 0);
    } else if (json_is_true(json_object_get(want, "error"))) { /* in the middle of a stream */
        assert_int_equal(code, INF_ERROR_BACKEND);
        assert_int_equal(r.text.len, strlen(string_of(want, "text")));
    } else if (!json_is_string(
                   json_object_get(want, "finish"))) { /* what Ollama's /v1 makes of it */
        assert_int_equal(code, INF_ERROR_PROTOCOL);
        assert_int_equal(r.text.len, strlen(string_of(want, "text")));
    } else if (number_of(want, "choices") > 1) {
        assert_int_equal(code, INF_ERROR_PROTOCOL); /* nobody asked for two */
    } else {
        if (code != INF_OK)
            fail_msg("%s: %s", file, err.message);
        compare(file, &r, want);
    }
    inf_op_release(op);
}

static int replay_file(struct bench *b, const char *path)
{
    int n = 0;

    for (int i = 0;; i++) {
        json_t *told = fake_order(&server, "{\"do\":\"replay\",\"file\":\"%s\",\"index\":%d}", path,
                                  i);
        bool last = json_is_true(json_object_get(told, "last"));
        json_t *want = json_object_get(told, "expected");

        if (json_is_object(want)) {
            replay(b, path, want);
            n++;
        }
        json_decref(told);
        if (last)
            return n;
    }
}

static int replay_all(const char *kind, int32_t type, const char *fake)
{
    inf_provider_config config;
    struct bench b;
    char folder[1024], path[2048];
    const struct dirent *entry = NULL;
    DIR *dir = NULL;
    int n = 0;

    fake_start(&server, fake);
    served.type = type;
    served.base_url = server.url;
    subject = &served;
    config = subject_config();
    config.max_retries = 0; /* a recorded 500 stands */
    open_bench(&b, &config);
    snprintf(folder, sizeof folder, TRANSCRIPTS "%s", kind);
    dir = opendir(folder);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        /* each dialect to the provider that speaks it */
        if (strstr(entry->d_name, ".json") &&
            (strncmp(entry->d_name, "v1-", 3) == 0) == (strcmp(fake, "plain") == 0))
            n += replay_file(&b, path);
    }
    closedir(dir);
    close_bench(&b);
    fake_stop(&server);
    return n;
}

static void test_vllm__every_recorded_answer(void **state)
{
    (void)state;
    assert_true(replay_all("vllm", INF_PROVIDER_VLLM, "vllm") > 20);
}

static void test_ollama__every_recorded_answer_of_the_native_route(void **state)
{
    (void)state;
    assert_true(replay_all("ollama", INF_PROVIDER_OLLAMA, "ollama") > 20);
}

static void test_ollama__every_recorded_answer_of_v1(void **state)
{
    (void)state;
    assert_true(replay_all("ollama", INF_PROVIDER_OLLAMA, "plain") > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vllm__every_recorded_answer),
        cmocka_unit_test(test_ollama__every_recorded_answer_of_the_native_route),
        cmocka_unit_test(test_ollama__every_recorded_answer_of_v1),
    };

    return cmocka_run_group_tests_name("recorded answers", tests, NULL, NULL);
}
