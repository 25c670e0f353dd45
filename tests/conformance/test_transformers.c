/*
 * The transformers provider: the conformance list, and what only a checkpoint can show. The checkpoint has
 * the numbers of the llama.cpp provider's fixture (scripts/gguf_checkpoint.py), so that both must answer
 * the same. Its directory is $INFERENCE_TEST_CHECKPOINT.
 */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures/one-layer"

static struct subject transformers = {.type = INF_PROVIDER_TRANSFORMERS,
                                      .adapters = {FIXTURES "/adapter-0", FIXTURES "/adapter-1",
                                                   FIXTURES "/adapter-2", FIXTURES "/adapter-3"},
                                      .in_process = true,
                                      .has_adapters = true};

static const struct subject llamacpp = {.type = INF_PROVIDER_LLAMACPP,
                                        .base_url = FIXTURES "/base.gguf",
                                        .in_process = true,
                                        .has_adapters = true};

static char scratch[] = "/tmp/test-transformers-XXXXXX";

/* ------------------------------------------------------------------ tools */

/* A copy of some of the checkpoint's files, by a pattern of the shell. */
static const char *copy_of(const char *files)
{
    static char dir[128];
    static int count;
    char command[1024];

    snprintf(dir, sizeof dir, "%s/%d", scratch, count++);
    snprintf(command, sizeof command, "mkdir %s && cd '%s' && cp %s %s", dir, transformers.base_url,
             files, dir);
    assert_int_equal(system(command), 0);
    return dir;
}

static void add_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    FILE *f = NULL;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "ab");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

static void open_model(struct bench *b, const char *path)
{
    inf_provider_config config = subject_config();

    config.base_url = path;
    open_bench(b, &config);
}

static void expect_error(struct bench *b, const inf_request *request, int32_t code,
                         const char *message)
{
    inf_op *op = NULL;
    inf_error err = {0};

    assert_int_equal(inf_generate(&op, b->provider, request, &err), code);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    inf_op_release(op);
}

static void assert_same_tokens(inf_op *a, inf_op *b)
{
    inf_result x = result_of(a);
    inf_result y = result_of(b);

    assert_int_equal(x.n_token_ids, y.n_token_ids);
    assert_memory_equal(x.token_ids, y.token_ids, x.n_token_ids * sizeof *x.token_ids);
}

static void assert_same(inf_op *a, inf_op *b)
{
    inf_result x = result_of(a);
    inf_result y = result_of(b);

    assert_same_tokens(a, b);
    assert_int_equal(x.text.len, y.text.len);
    assert_memory_equal(x.text.data, y.text.data, x.text.len);
}

/* ------------------------------------------------------------------ both front doors */

static void test_answers__of_the_same_numbers__are_those_of_the_gguf(void **state)
{
    struct bench mine;
    struct bench theirs;

    (void)state;
    open_bench(&mine, NULL);
    subject = &llamacpp;
    open_bench(&theirs, NULL);
    subject = &transformers;
    for (int i = -1; i < 4; i++) {
        inf_request request = greedy("Hello, wide world!", 24, i < 0 ? NULL : "a");
        inf_op *a = NULL;
        inf_op *b = NULL;

        if (i >= 0) {
            load(&mine, "a", transformers.adapters[i]);
            load(&theirs, "a", transformers.adapters[i]);
        }
        a = run(&mine, &request);
        b = run(&theirs, &request);
        assert_same_tokens(a, b); /* bytes that are no UTF-8 are told otherwise */
        inf_op_release(a);
        inf_op_release(b);
    }
    close_bench(&theirs);
    close_bench(&mine);
}

static void test_quantised__q8_0__loads_and_answers(void **state)
{
    static const char *const dtypes[] = {"float16", "bfloat16", "q8_0", "q4_0", "q4_k"};

    (void)state;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        inf_provider_config config = subject_config();
        inf_request request = greedy("Hello", 8, NULL);
        struct bench b;
        inf_op *op = NULL;

        config.dtype = dtypes[i];
        open_bench(&b, &config);
        op = run(&b, &request);
        assert_int_equal(result_of(op).completion_tokens, 8);
        inf_op_release(op);
        close_bench(&b);
    }
}

/* ------------------------------------------------------------------ how it generates */

static void test_sampling__left_unset__is_greedy_or_what_the_file_says(void **state)
{
    struct bench b;
    inf_request request = greedy("Hello", 12, NULL);
    inf_op *first = NULL;
    inf_op *second = NULL;
    const char *dir = copy_of("*");

    (void)state;
    open_model(&b, dir);
    first = run(&b, &request);
    request.temperature = (inf_maybe_f32){false, 0};
    second = run(&b, &request);
    assert_same(first, second);
    close_bench(&b);
    inf_op_release(second);

    add_file(dir, "generation_config.json", "{\"do_sample\":true,\"temperature\":50.0}");
    open_model(&b, dir);
    second = run(&b, &request);
    assert_int_equal(result_of(second).completion_tokens, 12);
    assert_true(
        memcmp(result_of(first).token_ids, result_of(second).token_ids, 12 * sizeof(int32_t)) != 0);
    close_bench(&b);
    inf_op_release(first);
    inf_op_release(second);
}

/* The first token of the answer is made the end. */
static void test_end__of_generation_config__stops(void **state)
{
    struct bench b;
    inf_request request = greedy("Hello", 12, NULL);
    inf_op *op = NULL;
    const char *dir = copy_of("*");
    char text[80];
    int32_t third = 0;

    (void)state;
    open_model(&b, dir);
    op = run(&b, &request);
    third = result_of(op).token_ids[2];
    inf_op_release(op);
    close_bench(&b);
    snprintf(text, sizeof text, "{\"eos_token_id\":[3,%d]}", third);
    add_file(dir, "generation_config.json", text);
    open_model(&b, dir);
    request.ignore_eos = false;
    op = run(&b, &request);
    assert_true(result_of(op).completion_tokens <= 3);
    assert_int_equal(result_of(op).finish_reason.len, 4);
    assert_memory_equal(result_of(op).finish_reason.data, "stop", 4);
    inf_op_release(op);
    close_bench(&b);
}

static void test_system_prompt__with_a_template__is_a_message(void **state)
{
    struct bench b;
    inf_message messages[] = {{inf_str("system"), inf_str("Be brief.")},
                              {inf_str("user"), inf_str("Hello")}};
    inf_request prompt = greedy("Hello", 8, NULL);
    inf_request chat = greedy(NULL, 8, NULL);
    inf_op *a = NULL;
    inf_op *c = NULL;

    (void)state;
    prompt.system_prompt = inf_str("Be brief.");
    chat.messages = messages;
    chat.n_messages = 2;
    open_bench(&b, NULL);
    a = run(&b, &prompt);
    c = run(&b, &chat);
    assert_int_equal(result_of(a).prompt_tokens, result_of(c).prompt_tokens);
    assert_same(a, c);
    inf_op_release(a);
    inf_op_release(c);
    close_bench(&b);
}

/* A template that raises over the role finds it in the user's message. */
static void test_system_prompt__that_the_template_refuses__is_folded(void **state)
{
    static const char source[] =
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        "[{{ m.content }}]{% endfor %}";
    struct bench b;
    inf_request folded = greedy("Hello", 8, NULL);
    inf_request plain = greedy("[Be brief.\n\nHello]", 8, NULL);
    inf_op *a = NULL;
    inf_op *c = NULL;
    const char *dir = copy_of("*.json *.safetensors");

    (void)state;
    add_file(dir, "chat_template.jinja", source);
    folded.system_prompt = inf_str("Be brief.");
    open_model(&b, dir);
    a = run(&b, &folded);
    c = run(&b, &plain);
    assert_same(a, c);
    inf_op_release(a);
    inf_op_release(c);
    close_bench(&b);
}

static void test_system_prompt__without_a_template__goes_before(void **state)
{
    struct bench b;
    inf_request system = greedy("Hello", 8, NULL);
    inf_request plain = greedy("Be brief.\n\nHello", 8, NULL);
    inf_op *a = NULL;
    inf_op *c = NULL;

    (void)state;
    system.system_prompt = inf_str("Be brief.");
    open_model(&b, copy_of("*.json *.safetensors"));
    a = run(&b, &system);
    c = run(&b, &plain);
    assert_same(a, c);
    inf_op_release(a);
    inf_op_release(c);
    close_bench(&b);
}

/* ------------------------------------------------------------------ its files */

static void test_model__none__generate_says_what_to_set(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);

    (void)state;
    open_model(&b, "");
    expect_error(&b, &request, INF_ERROR_INVALID_ARGUMENT, "TRANSFORMERS_MODEL_NAME");
    close_bench(&b);
}

static void test_model__that_is_none__one_clear_error(void **state)
{
    static const struct {
        const char *path, *message;
        int32_t code;
    } cases[] = {
        {"/nonexistent", "/nonexistent", INF_ERROR_IO},
        {"nobody/nothing", "nobody/nothing is no directory here", INF_ERROR_IO},
        {"a b", "a b is neither a directory nor", INF_ERROR_INVALID_ARGUMENT},
        {FIXTURES "/base.gguf", "is a file", INF_ERROR_INVALID_ARGUMENT},
        {FIXTURES "/adapter-0", "is a PEFT adapter", INF_ERROR_INVALID_ARGUMENT},
    };
    inf_request request = greedy("hi", 4, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench b;

        open_model(&b, cases[i].path);
        expect_error(&b, &request, cases[i].code, cases[i].message);
        close_bench(&b);
    }
}

static void test_config__of_no_use__refused_at_once(void **state)
{
    inf_provider_config config = subject_config();
    inf_context *context = NULL;
    inf_provider *provider = NULL;
    inf_error err;

    (void)state;
    assert_int_equal(inf_context_create(&context, NULL, &err), INF_OK);
    config.dtype = "int8";
    assert_int_equal(inf_provider_create(&provider, context, &config, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    config.dtype = NULL;
    config.device = "abacus";
    assert_int_equal(inf_provider_create(&provider, context, &config, &err), INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "abacus"));
    inf_context_close(context, &err);
}

/* Texts need no model, and a model without a tokenizer has no texts. */
static void test_files__in_part__what_needs_them_says_so(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    const int32_t *ids = NULL;
    inf_op *op = NULL;
    size_t n = 0;
    inf_error err;

    (void)state;
    open_model(&b, copy_of("tokenizer*.json"));
    assert_int_equal(inf_tokenize(&op, b.provider, inf_str("hello"), true, &err), INF_OK);
    assert_int_equal(inf_op_tokens(op, &ids, &n), INF_OK);
    assert_true(n > 0);
    inf_op_release(op);
    expect_error(&b, &request, INF_ERROR_IO, "config.json");
    assert_int_equal(inf_adapter_load(b.provider, "a", transformers.adapters[0], NULL, &err),
                     INF_ERROR_IO);
    close_bench(&b);
    open_model(&b, copy_of("config.json model.safetensors"));
    expect_error(&b, &request, INF_ERROR_IO, "tokenizer.json");
    close_bench(&b);
}

static void test_files__changed_in_use__requests_end_with_io(void **state)
{
    struct bench b;
    inf_request request = greedy("hello", 4, NULL);
    inf_op *op = NULL;
    const char *dir = copy_of("*");

    (void)state;
    open_model(&b, dir);
    op = run(&b, &request);
    inf_op_release(op);
    add_file(dir, "model.safetensors", "x");
    usleep(30000);
    expect_error(&b, &request, INF_ERROR_IO, "model.safetensors changed");
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest own[] = {
        cmocka_unit_test(test_answers__of_the_same_numbers__are_those_of_the_gguf),
        cmocka_unit_test(test_quantised__q8_0__loads_and_answers),
        cmocka_unit_test(test_sampling__left_unset__is_greedy_or_what_the_file_says),
        cmocka_unit_test(test_end__of_generation_config__stops),
        cmocka_unit_test(test_system_prompt__with_a_template__is_a_message),
        cmocka_unit_test(test_system_prompt__that_the_template_refuses__is_folded),
        cmocka_unit_test(test_system_prompt__without_a_template__goes_before),
        cmocka_unit_test(test_model__none__generate_says_what_to_set),
        cmocka_unit_test(test_model__that_is_none__one_clear_error),
        cmocka_unit_test(test_config__of_no_use__refused_at_once),
        cmocka_unit_test(test_files__in_part__what_needs_them_says_so),
        cmocka_unit_test(test_files__changed_in_use__requests_end_with_io),
    };
    char command[80];
    int failed = 0;

    transformers.base_url = getenv("INFERENCE_TEST_CHECKPOINT");
    if (!transformers.base_url || !mkdtemp(scratch))
        return 1;
    subject = &transformers;
    failed += _cmocka_run_group_tests("conformance", conformance_tests, n_conformance_tests, NULL,
                                      NULL);
    failed += cmocka_run_group_tests_name("transformers", own, NULL, NULL);
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    return system(command) == 0 ? failed : failed + 1;
}
