/*
 * backends: the real composition root. What this build has is made; what it left out is
 * unsupported, and the message says what to do instead.
 */
#include "core/provider_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_row_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; backends[i]; i++) {
        const struct provider_ops *ops = backends[i];

        assert_int_equal(ops->type, i + 1); /* types are found by counting */
        assert_true(ops->name && ops->url_variable && ops->default_url);
        if (ops->missing)
            assert_true(!ops->create && !ops->destroy && !ops->generate);
        else
            assert_true(ops->create && ops->destroy && ops->generate);
        assert_int_equal(ops->inspect != NULL, ops->in_process && !ops->missing);
        assert_int_equal(ops->check_fit != NULL, ops->inspect != NULL);
    }
}

static void every_type_is_there_or_says_what_to_do(void **state)
{
    inf_context *ctx = NULL;

    (void)state;
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    for (size_t i = 0; backends[i]; i++) {
        inf_provider *p = NULL;
        inf_error err;
        int32_t code = inf_provider_get(&p, ctx, backends[i]->name, NULL, NULL, &err);

        if (!backends[i]->missing) {
            assert_int_equal(code, INF_OK);
            assert_int_equal(inf_provider_type_of(p), backends[i]->type);
        } else {
            assert_int_equal(code, INF_ERROR_UNSUPPORTED);
            assert_null(p);
            assert_string_equal(err.message, backends[i]->missing);
            assert_non_null(strstr(err.message, backends[i]->name));
            assert_true(strstr(err.message, "-D") || strstr(err.message, "use llamacpp"));
        }
        inf_provider_release(p);
    }
    inf_context_close(ctx, NULL);
}

static const struct provider_ops *row(const char *name)
{
    size_t i = 0;

    while (strcmp(backends[i]->name, name) != 0)
        i++;
    return backends[i];
}

static void llamacpp_is_there_when_it_was_asked_for(void **state)
{
    (void)state;
#ifdef INF_WITH_LLAMACPP
    assert_null(row("llamacpp")->missing);
#else
    assert_non_null(strstr(row("llamacpp")->missing, "-DINF_LLAMACPP=ON"));
#endif
}

/* The default type is vllm, which every build has. */
static void the_default_is_vllm(void **state)
{
    inf_context *ctx = NULL;
    inf_provider *p = NULL;

    (void)state;
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    assert_int_equal(inf_provider_get(&p, ctx, NULL, NULL, NULL, NULL), INF_OK);
    assert_int_equal(inf_provider_type_of(p), INF_PROVIDER_VLLM);
    inf_provider_release(p);
    inf_context_close(ctx, NULL);
}

static void what_is_known_of_a_type(void **state)
{
    inf_provider_info info;

    (void)state;
    assert_int_equal(inf_provider_type_info(&info, sizeof info, INF_PROVIDER_OLLAMA), INF_OK);
    assert_int_equal(info.struct_size, sizeof info);
    assert_int_equal(info.type, INF_PROVIDER_OLLAMA);
    assert_string_equal(info.name, "ollama");
    assert_string_equal(info.url_variable, "OLLAMA_BASE_URL");
    assert_string_equal(info.default_url, "http://localhost:11434/v1");
    assert_null(info.missing);
    assert_false(info.in_process);
    assert_int_equal(inf_provider_type_info(&info, sizeof info, INF_PROVIDER_TRANSFORMERS), INF_OK);
    assert_true(info.in_process);
    assert_int_equal(inf_provider_type_info(&info, sizeof info, 99), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_provider_type_info(NULL, sizeof info, 1), INF_ERROR_INVALID_ARGUMENT);
}

static void a_path_tells_the_type(void **state)
{
    (void)state;
    assert_int_equal(inf_provider_type_of_model("/"), INF_PROVIDER_TRANSFORMERS);
    assert_int_equal(inf_provider_type_of_model(__FILE__), INF_PROVIDER_LLAMACPP);
    assert_int_equal(inf_provider_type_of_model("model.GGUF"), INF_PROVIDER_LLAMACPP);
    assert_int_equal(inf_provider_type_of_model("./missing"), INF_PROVIDER_LLAMACPP);
    assert_int_equal(inf_provider_type_of_model("Qwen/Qwen3-8B"), 0);
    assert_int_equal(inf_provider_type_of_model("llama3.2"), 0);
    assert_int_equal(inf_provider_type_of_model(""), 0);
    assert_int_equal(inf_provider_type_of_model(NULL), 0);
}

#ifdef INF_WITH_LLAMACPP

static int32_t get_again(inf_context *ctx, const char *type, const char *device, const char *dtype,
                         inf_error *err)
{
    inf_provider_config options;
    inf_provider *p = NULL;
    int32_t code = INF_OK;

    inf_provider_config_default(&options, sizeof options);
    options.device = device;
    options.dtype = dtype;
    code = inf_provider_get(&p, ctx, type, "somewhere", &options, err);
    inf_provider_release(p);
    return code;
}

/* What means the same is no other option of a cached provider; what differs is named as it was set. */
static void auto_is_what_nothing_said_is(void **state)
{
    static const char *const types[] = {"llamacpp", "transformers"};
    inf_context *ctx = NULL;
    inf_error err;

    (void)state;
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (row(types[i])->missing)
            continue;
        assert_int_equal(get_again(ctx, types[i], NULL, NULL, &err), INF_OK);
        assert_int_equal(get_again(ctx, types[i], "auto", "auto", &err), INF_OK);
        assert_int_equal(get_again(ctx, types[i], "auto", NULL, &err), INF_OK);
    }
    assert_int_equal(get_again(ctx, "llamacpp", "cpu", NULL, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_memory_equal(err.message, "device: ", 8);
    inf_context_close(ctx, NULL);
}

static void count_line(void *user_data, int32_t level, const char *line)
{
    size_t *n = user_data;

    if (level == INF_LOG_WARNING && strstr(line, "n_threads 512: this process has "))
        ++*n;
}

static void more_threads_than_can_run_are_said_once_a_provider(void **state)
{
    inf_provider_config config;
    inf_context_options options;
    inf_provider *p = NULL;
    inf_context *ctx = NULL;
    size_t n = 0;

    (void)state;
    inf_context_options_default(&options, sizeof options);
    options.log = count_line;
    options.log_user_data = &n;
    assert_int_equal(inf_context_create(&ctx, &options, NULL), INF_OK);
    inf_provider_config_default(&config, sizeof config);
    config.type = INF_PROVIDER_LLAMACPP;
    config.n_threads = 1;
    assert_int_equal(inf_provider_create(&p, ctx, &config, NULL), INF_OK);
    inf_provider_release(p);
    assert_int_equal(n, 0);
    config.n_threads = 512;
    assert_int_equal(inf_provider_create(&p, ctx, &config, NULL), INF_OK);
    inf_provider_release(p);
    assert_int_equal(n, 1);
    inf_context_close(ctx, NULL);
}

#endif

static void inspecting_what_is_not_there_is_an_error(void **state)
{
    inf_context *ctx = NULL;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    assert_int_equal(inf_inspect_start(&op, ctx, "/nowhere/at/all", NULL, NULL, NULL), INF_OK);
    assert_int_not_equal(inf_op_wait(op, -1, &err), INF_OK);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    inf_op_release(op);
    inf_context_close(ctx, NULL);
}

static int clear_environment(void **state)
{
    (void)state;
    unsetenv("INFERENCE_PROVIDER");
    unsetenv("VLLM_BASE_URL");
    unsetenv("OLLAMA_BASE_URL");
    unsetenv("LLAMACPP_MODEL_PATH");
    unsetenv("TRANSFORMERS_MODEL_NAME");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(what_is_known_of_a_type),
        cmocka_unit_test(a_path_tells_the_type),
        cmocka_unit_test(every_type_is_there_or_says_what_to_do),
        cmocka_unit_test(llamacpp_is_there_when_it_was_asked_for),
        cmocka_unit_test(the_default_is_vllm),
#ifdef INF_WITH_LLAMACPP
        cmocka_unit_test(auto_is_what_nothing_said_is),
        cmocka_unit_test(more_threads_than_can_run_are_said_once_a_provider),
#endif
        cmocka_unit_test(inspecting_what_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests_name("core: backends", tests, clear_environment, NULL);
}
