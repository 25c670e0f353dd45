/*
 * The ollama provider on a real Ollama: the conformance list without adapters, which Ollama has
 * not, and what only a real server can show.
 */
#include "live.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct subject ollama = {.type = INF_PROVIDER_OLLAMA};

/* ------------------------------------------------------------------ cancelling */

struct first {
    double begun, seconds;
};

static void note_first(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    struct first *f = user_data;

    (void)op;
    if (f->seconds == 0 && chunk->text.len)
        f->seconds = live_seconds() - f->begun;
}

static double first_token_seconds(struct bench *b)
{
    struct first f = {live_seconds(), 0};
    inf_request request = live_chat("What is gravity?", 4, NULL);
    inf_callbacks callbacks;
    inf_op *op = NULL;
    inf_error err;

    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = note_first;
    callbacks.user_data = &f;
    assert_int_equal(inf_generate_start(&op, b->provider, &request, &callbacks, &err), INF_OK);
    if (inf_op_wait(op, -1, &err) != INF_OK)
        fail_msg("%s", err.message);
    inf_op_release(op);
    assert_true(f.seconds > 0);
    return f.seconds;
}

/* Each of the 100 would compute for minutes: were they not gone, the next would wait for them. */
static void test_cancel__100_streams__leave_the_server_idle(void **state)
{
    enum { N = 100 };
    static struct first firsts[N];
    struct bench b;
    inf_op *ops[N];
    inf_callbacks callbacks;
    inf_error err;
    double before = 0, after = 0, start = 0;
    int streaming = 0;

    (void)state;
    open_bench(&b, NULL);
    first_token_seconds(&b); /* loads the model */
    before = first_token_seconds(&b);
    memset(firsts, 0, sizeof firsts);
    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = note_first;
    for (int i = 0; i < N; i++) {
        inf_request request = greedy("Tell me a long story about the sea.", 900, NULL);

        request.ignore_eos = false;
        callbacks.user_data = &firsts[i];
        firsts[i].begun = live_seconds();
        assert_int_equal(inf_generate_start(&ops[i], b.provider, &request, &callbacks, &err),
                         INF_OK);
    }
    for (start = live_seconds(); live_seconds() - start < 60 && streaming == 0; usleep(100000))
        for (int i = 0; i < N; i++)
            streaming += firsts[i].seconds > 0;
    assert_true(streaming > 0);
    for (int i = 0; i < N; i++)
        inf_op_cancel(ops[i]);
    for (int i = 0; i < N; i++) {
        assert_int_equal(inf_op_wait(ops[i], -1, &err), INF_ERROR_CANCELLED);
        inf_op_release(ops[i]);
    }
    after = first_token_seconds(&b);
    print_message("first token: %.2f s before, %.2f s after 100 cancelled streams\n", before,
                  after);
    assert_true(after < 10 * before + 10);
    close_bench(&b);
}

/* ------------------------------------------------------------------ nothing in silence */

static void test_window__prompt_beyond_it__is_context_full_not_cut(void **state)
{
    struct bench b;
    static char prompt[30000];
    inf_request request;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    for (size_t i = 0; i + 5 < sizeof prompt; i += 4)
        memcpy(prompt + i, "cat ", 5);
    request = live_chat(prompt, 8, NULL);
    open_bench(&b, NULL);
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_CONTEXT_FULL);
    inf_op_release(op);
    close_bench(&b);
}

static void test_generate__unknown_model__is_404_and_says_what_to_do(void **state)
{
    struct bench b;
    inf_request request = live_chat("hi", 4, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    request.model = inf_str("nobody");
    open_bench(&b, NULL);
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 404);
    assert_non_null(strstr(err.message, "ollama pull nobody"));
    inf_op_release(op);
    close_bench(&b);
}

static char *answer_of(struct bench *b, const inf_request *request)
{
    inf_op *op = run(b, request);
    inf_result r = result_of(op);
    char *text = strndup(r.text.data, r.text.len);

    inf_op_release(op);
    return text;
}

static void test_options__repetition_penalty__reaches_the_server(void **state)
{
    struct bench b;
    inf_request request = live_chat("Repeat: la la la la la la la la", 24, NULL);
    char *plain = NULL;
    char *penalized = NULL;

    (void)state;
    open_bench(&b, NULL);
    request.repetition_penalty = (inf_maybe_f32){true, 1.0f};
    plain = answer_of(&b, &request);
    request.repetition_penalty = (inf_maybe_f32){true, 1.8f};
    penalized = answer_of(&b, &request);
    assert_string_not_equal(plain, penalized);
    free(plain);
    free(penalized);
    close_bench(&b);
}

static void test_options__json_schema__constrains_the_text(void **state)
{
    static const char want[] = "na\xc3\xafve \xf0\x9f\x99\x82 \xe6\x97\xa5";
    struct bench b;
    inf_request request = live_chat("Who are you?", 60, NULL);
    char *text = NULL;

    (void)state;
    request.json_schema = inf_str(
        "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\",\"enum\":"
        "[\"na\xc3\xafve \xf0\x9f\x99\x82 \xe6\x97\xa5\"]}},\"required\":[\"text\"],"
        "\"additionalProperties\":false}");
    open_bench(&b, NULL);
    text = answer_of(&b, &request);
    assert_non_null(strstr(text, want));
    free(text);
    close_bench(&b);
}

static void test_options__logprobs__belong_to_the_text(void **state)
{
    struct bench b;
    inf_request request = live_chat("What is gravity?", 8, NULL);
    char text[512];
    size_t len = 0;
    inf_op *op = NULL;
    inf_result r;

    (void)state;
    request.logprobs = (inf_maybe_i32){true, 2};
    open_bench(&b, NULL);
    op = run(&b, &request);
    r = result_of(op);
    assert_int_equal(r.n_logprobs, 8);
    for (size_t i = 0; i < r.n_logprobs; i++) {
        const inf_logprob *p = &r.logprobs[i];

        assert_true(p->logprob <= 0);
        assert_int_equal(p->n_top, 2);
        assert_true(len + p->piece.len < sizeof text);
        memcpy(text + len, p->piece.data, p->piece.len);
        len += p->piece.len;
    }
    assert_int_equal(len, r.text.len);
    assert_memory_equal(text, r.text.data, len);
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ no adapters */

static int warnings;

static void count_warnings(void *user_data, int32_t level, const char *line)
{
    (void)user_data;
    if (level == INF_LOG_WARNING && strstr(line, "pirate"))
        __atomic_add_fetch(&warnings, 1, __ATOMIC_SEQ_CST);
}

static void test_adapters__an_id__is_ignored_with_a_warning_and_the_result_has_none(void **state)
{
    struct bench b;
    inf_request request = live_chat("What is gravity?", 8, "pirate");
    inf_context_options options;
    inf_provider_config config = subject_config();
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    inf_context_options_default(&options, sizeof options);
    options.log = count_warnings;
    warnings = 0;
    assert_int_equal(inf_context_create(&b.context, &options, &err), INF_OK);
    assert_int_equal(inf_provider_create(&b.provider, b.context, &config, &err), INF_OK);
    op = run(&b, &request);
    assert_null(result_of(op).adapter_id.data);
    assert_true(result_of(op).text.len > 0);
    assert_true(__atomic_load_n(&warnings, __ATOMIC_SEQ_CST) >= 1);
    inf_op_release(op);
    close_bench(&b);
}

static void test_adapters__load_and_unload__are_unsupported_and_the_list_is_empty(void **state)
{
    struct bench b;
    inf_adapter_list *list = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    assert_int_equal(inf_adapter_load(b.provider, "a", live_adapter("r0"), NULL, &err),
                     INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_adapter_unload(b.provider, "a", &err), INF_ERROR_UNSUPPORTED);
    assert_int_equal(inf_adapters(&list, b.provider, &err), INF_OK);
    assert_int_equal(inf_adapter_list_count(list), 0);
    inf_adapter_list_free(list);
    close_bench(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel__100_streams__leave_the_server_idle),
        cmocka_unit_test(test_window__prompt_beyond_it__is_context_full_not_cut),
        cmocka_unit_test(test_generate__unknown_model__is_404_and_says_what_to_do),
        cmocka_unit_test(test_options__repetition_penalty__reaches_the_server),
        cmocka_unit_test(test_options__json_schema__constrains_the_text),
        cmocka_unit_test(test_options__logprobs__belong_to_the_text),
        cmocka_unit_test(test_adapters__an_id__is_ignored_with_a_warning_and_the_result_has_none),
        cmocka_unit_test(test_adapters__load_and_unload__are_unsupported_and_the_list_is_empty),
    };

    ollama.base_url = live_env("INF_LIVE_OLLAMA_URL");
    ollama.model = live_env("INF_LIVE_MODEL");
    subject = &ollama;
    return live_run("ollama", tests, sizeof tests / sizeof *tests, NULL);
}
