/*
 * factory: which provider a type, a URL and the environment give, and how long it lives. The
 * composition root is the test's own (fake_backend_root.c): vllm and llamacpp exist, ollama and
 * transformers were left out.
 */
#include "fake_backend.h"

#include "core/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inf_context *ctx;

static void clear_environment(void)
{
    unsetenv("INFERENCE_PROVIDER");
    unsetenv("VLLM_BASE_URL");
    unsetenv("OLLAMA_BASE_URL");
    unsetenv("LLAMACPP_MODEL_PATH");
    unsetenv("TRANSFORMERS_MODEL_NAME");
}

static int open_factory(void **state)
{
    (void)state;
    clear_environment();
    ctx = open_context(INF_DELIVERY_CALLBACKS);
    return 0;
}

static int close_factory(void **state)
{
    (void)state;
    clear_environment();
    inf_context_close(ctx, NULL);
    return fake_alive() != 0 || mem_live() != 0;
}

static void assert_given(inf_provider *p, int32_t type, const char *url)
{
    assert_non_null(p);
    assert_int_equal(inf_provider_type_of(p), type);
    assert_string_equal(inf_provider_base_url(p), url);
}

/* Gets one, checks it, gives it back. */
static void check_get(const char *type, const char *url, int32_t expected, const char *expected_url)
{
    inf_provider *p = NULL;
    inf_error err;

    assert_int_equal(inf_provider_get(&p, ctx, type, url, NULL, &err), INF_OK);
    assert_int_equal(err.code, INF_OK);
    assert_given(p, expected, expected_url);
    inf_provider_release(p);
}

/* ------------------------------------------------------------------ type and URL */

static void types_are_read_in_any_case(void **state)
{
    (void)state;
    check_get("vllm", "u", INF_PROVIDER_VLLM, "u");
    check_get("VLLM", "u", INF_PROVIDER_VLLM, "u");
    check_get("vLLM", "u", INF_PROVIDER_VLLM, "u");
    check_get("LlamaCpp", "m", INF_PROVIDER_LLAMACPP, "m");
}

static void without_a_word_it_is_vllm_where_vllm_listens(void **state)
{
    (void)state;
    check_get(NULL, NULL, INF_PROVIDER_VLLM, "http://localhost:8100/v1");
    setenv("INFERENCE_PROVIDER", "", 1);
    setenv("VLLM_BASE_URL", "", 1); /* empty is as good as unset */
    check_get(NULL, NULL, INF_PROVIDER_VLLM, "http://localhost:8100/v1");
}

static void the_environment_is_read_at_the_call(void **state)
{
    (void)state;
    setenv("VLLM_BASE_URL", "http://one/v1", 1);
    check_get("vllm", NULL, INF_PROVIDER_VLLM, "http://one/v1");
    setenv("VLLM_BASE_URL", "http://two/v1", 1);
    check_get("vllm", NULL, INF_PROVIDER_VLLM, "http://two/v1");
    setenv("INFERENCE_PROVIDER", "LLAMACPP", 1);
    setenv("LLAMACPP_MODEL_PATH", "model.gguf", 1);
    check_get(NULL, NULL, INF_PROVIDER_LLAMACPP, "model.gguf");
    unsetenv("LLAMACPP_MODEL_PATH");
    check_get(NULL, NULL, INF_PROVIDER_LLAMACPP, ""); /* made without a model */
}

static void an_argument_wins_over_the_environment(void **state)
{
    (void)state;
    setenv("INFERENCE_PROVIDER", "llamacpp", 1);
    setenv("VLLM_BASE_URL", "http://environment/v1", 1);
    check_get("vllm", "http://argument/v1", INF_PROVIDER_VLLM, "http://argument/v1");
    check_get("vllm", NULL, INF_PROVIDER_VLLM, "http://environment/v1");
}

static void assert_names_the_supported(const inf_error *err)
{
    assert_non_null(strstr(err->message, "vllm"));
    assert_non_null(strstr(err->message, "ollama"));
    assert_non_null(strstr(err->message, "llamacpp"));
    assert_non_null(strstr(err->message, "transformers"));
}

static void any_other_type_is_refused_and_the_supported_are_named(void **state)
{
    static const char *const wrong[] = {"", "openai", "vllm ", "llama.cpp", "\xff\n"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        inf_provider *p = (inf_provider *)(void *)&ctx;
        inf_error err;

        assert_int_equal(inf_provider_get(&p, ctx, wrong[i], NULL, NULL, &err),
                         INF_ERROR_INVALID_ARGUMENT);
        assert_null(p);
        assert_names_the_supported(&err);
        assert_null(strchr(err.message, '\n'));
        if (!*wrong[i])
            continue; /* empty in the environment is as good as unset */
        setenv("INFERENCE_PROVIDER", wrong[i], 1);
        assert_int_equal(inf_provider_get(&p, ctx, NULL, NULL, NULL, &err),
                         INF_ERROR_INVALID_ARGUMENT);
        assert_names_the_supported(&err);
    }
}

static void a_type_the_build_left_out_is_unsupported_and_says_how_to_get_it(void **state)
{
    inf_provider *p = NULL;
    inf_error err;

    (void)state;
    assert_int_equal(inf_provider_get(&p, ctx, "ollama", NULL, NULL, &err), INF_ERROR_UNSUPPORTED);
    assert_null(p);
    assert_non_null(strstr(err.message, "-DFAKE=ON"));
}

static void types_have_names(void **state)
{
    (void)state;
    assert_string_equal(inf_provider_type_name(INF_PROVIDER_VLLM), "vllm");
    assert_string_equal(inf_provider_type_name(INF_PROVIDER_OLLAMA), "ollama");
    assert_string_equal(inf_provider_type_name(INF_PROVIDER_LLAMACPP), "llamacpp");
    assert_string_equal(inf_provider_type_name(INF_PROVIDER_TRANSFORMERS), "transformers");
    assert_null(inf_provider_type_name(0));
    assert_null(inf_provider_type_name(5));
}

static void missing_arguments_are_refused(void **state)
{
    inf_provider_config config;
    inf_provider *p = NULL;

    (void)state;
    inf_provider_config_default(&config, sizeof config);
    assert_int_equal(inf_provider_get(NULL, ctx, "vllm", "u", NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_provider_get(&p, NULL, "vllm", "u", NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_provider_create(NULL, ctx, &config, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_provider_create(&p, ctx, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_provider_create(&p, NULL, &config, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_provider_create(&p, ctx, &config, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_provider_evict(NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_null(inf_provider_retain(NULL));
    inf_provider_release(NULL);
    assert_int_equal(inf_provider_type_of(NULL), 0);
    assert_string_equal(inf_provider_base_url(NULL), "");
}

/* ------------------------------------------------------------------ the cache */

static void the_same_type_and_url_give_the_identical_object(void **state)
{
    inf_provider *a = NULL;
    inf_provider *same = NULL;
    inf_provider *url = NULL;
    inf_provider *type = NULL;

    (void)state;
    setenv("VLLM_BASE_URL", "http://a/v1", 1);
    assert_int_equal(inf_provider_get(&a, ctx, "vllm", "http://a/v1", NULL, NULL), INF_OK);
    assert_int_equal(inf_provider_get(&same, ctx, "VLLM", NULL, NULL, NULL), INF_OK);
    assert_int_equal(inf_provider_get(&url, ctx, "vllm", "http://b/v1", NULL, NULL), INF_OK);
    assert_int_equal(inf_provider_get(&type, ctx, "llamacpp", "http://a/v1", NULL, NULL), INF_OK);
    assert_ptr_equal(a, same);
    assert_ptr_not_equal(a, url);
    assert_ptr_not_equal(a, type);
    assert_int_equal(fake_alive(), 3);
    inf_provider_release(a);
    inf_provider_release(same);
    inf_provider_release(url);
    inf_provider_release(type);
    assert_int_equal(fake_alive(), 3); /* the cache holds them */
}

static void until_alive(int64_t n)
{
    while (fake_alive() != n)
        nap();
}

static void an_evicted_provider_lives_as_long_as_it_is_held(void **state)
{
    inf_provider *old = NULL;
    inf_provider *new = NULL;
    inf_request request = fake_request("hello");
    inf_op *op = NULL;

    (void)state;
    assert_int_equal(inf_provider_get(&old, ctx, "vllm", "u", NULL, NULL), INF_OK);
    assert_int_equal(inf_provider_evict(old, NULL), INF_OK);
    assert_int_equal(inf_provider_evict(old, NULL), INF_ERROR_NOT_FOUND);
    assert_int_equal(inf_provider_get(&new, ctx, "vllm", "u", NULL, NULL), INF_OK);
    assert_ptr_not_equal(old, new);
    assert_int_equal(inf_generate(&op, old, &request, NULL), INF_OK); /* still good */
    inf_op_release(op);
    assert_int_equal(fake_alive(), 2);
    inf_provider_release(old);
    until_alive(1);
    assert_int_equal(inf_provider_evict(new, NULL), INF_OK);
    inf_provider_release(new);
    until_alive(0);
}

static void references_are_counted(void **state)
{
    inf_provider_config config;
    inf_provider *p = NULL;

    (void)state;
    inf_provider_config_default(&config, sizeof config);
    config.type = INF_PROVIDER_LLAMACPP;
    config.base_url = "m";
    assert_int_equal(inf_provider_create(&p, ctx, &config, NULL), INF_OK);
    assert_ptr_equal(inf_provider_retain(p), p);
    inf_provider_release(p);
    assert_int_equal(fake_alive(), 1);
    inf_provider_release(p);
    until_alive(0);
}

/* An operation in flight keeps its provider; the last of them to end lets it go. */
static void an_operation_keeps_its_provider(void **state)
{
    inf_provider *p = open_fake(ctx, &fake_ops);
    inf_op *op = NULL;

    (void)state;
    fake_plan(p, (struct fake_plan){.how = FAKE_HOLD});
    op = start(p, NULL);
    inf_provider_release(p);
    assert_int_equal(fake_alive(), 1);
    inf_op_cancel(op);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_ERROR_CANCELLED);
    until_alive(0);
    inf_op_release(op);
}

static void one_made_from_a_config_is_outside_the_cache(void **state)
{
    inf_provider_config config;
    inf_provider *a = NULL;
    inf_provider *b = NULL;
    inf_provider *cached = NULL;

    (void)state;
    inf_provider_config_default(&config, sizeof config);
    config.type = INF_PROVIDER_VLLM;
    config.base_url = "u";
    assert_int_equal(inf_provider_create(&a, ctx, &config, NULL), INF_OK);
    assert_int_equal(inf_provider_create(&b, ctx, &config, NULL), INF_OK);
    assert_int_equal(inf_provider_get(&cached, ctx, "vllm", "u", NULL, NULL), INF_OK);
    assert_true(a != b && a != cached && b != cached);
    assert_int_equal(inf_provider_evict(a, NULL), INF_ERROR_NOT_FOUND);
    config.base_url = NULL;
    inf_provider_release(b);
    setenv("VLLM_BASE_URL", "http://environment/v1", 1);
    assert_int_equal(inf_provider_create(&b, ctx, &config, NULL), INF_OK);
    assert_given(b, INF_PROVIDER_VLLM, "http://environment/v1");
    inf_provider_release(a);
    inf_provider_release(b);
    inf_provider_release(cached);
}

struct getter {
    pthread_t thread;
    inf_provider *got[64];
};

static void *get_all(void *arg)
{
    struct getter *g = arg;

    for (int i = 0; i < 64; i++) {
        char url[16];

        snprintf(url, sizeof url, "%d", i);
        inf_provider_get(&g->got[i], ctx, "vllm", url, NULL, NULL);
    }
    return NULL;
}

static void threads_that_ask_at_once_get_the_same(void **state)
{
    struct getter getters[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        pthread_create(&getters[i].thread, NULL, get_all, &getters[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(getters[i].thread, NULL);
    for (int i = 0; i < 64; i++) {
        assert_non_null(getters[0].got[i]);
        for (int t = 0; t < 4; t++) {
            assert_ptr_equal(getters[t].got[i], getters[0].got[i]);
            inf_provider_release(getters[t].got[i]);
        }
    }
    until_alive(64);
}

/* ------------------------------------------------------------------ configuration */

#define IN_PROCESS_FIELDS(X)                                                                       \
    X(n_ctx, 15)                                                                                   \
    X(n_gpu_layers, -2)                                                                            \
    X(n_threads, -1)                                                                               \
    X(max_sequences, 65)                                                                           \
    X(queue_limit, -1)                                                                             \
    X(prefill_chunk, 0)                                                                            \
    X(flash_attention, 3)                                                                          \
    X(adapter_execution, 3)                                                                        \
    X(adapter_overflow, 2)                                                                         \
    X(kv_budget_bytes, 0)                                                                          \
    X(reserved, 1)

#define MAKE_WRONG(field, value)                                                                   \
    static void set_##field(inf_provider_config *c)                                                \
    {                                                                                              \
        c->field = value;                                                                          \
    }
IN_PROCESS_FIELDS(MAKE_WRONG)
#undef MAKE_WRONG

static void a_value_out_of_range_is_named(void **state)
{
    static const struct {
        const char *field;
        void (*set)(inf_provider_config *c);
    } wrong[] = {
#define ROW(field, value) {#field, set_##field},
        IN_PROCESS_FIELDS(ROW)
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        inf_provider_config config;
        inf_provider *p = NULL;
        inf_error err;

        inf_provider_config_default(&config, sizeof config);
        config.type = INF_PROVIDER_LLAMACPP;
        wrong[i].set(&config);
        assert_int_equal(inf_provider_create(&p, ctx, &config, &err), INF_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, wrong[i].field));
        assert_null(p);
    }
}

/* What a server would ignore is refused; what is only padding in the caller's struct is not. */
static void a_server_takes_a_type_and_a_url(void **state)
{
    inf_provider_config config;
    inf_provider *p = NULL;

    (void)state;
    memset(&config, 0xa5, sizeof config);
    inf_provider_config_default(&config, sizeof config);
    memset((char *)&config + offsetof(inf_provider_config, type) + sizeof config.type, 0xa5,
           offsetof(inf_provider_config, base_url) - offsetof(inf_provider_config, type) -
               sizeof config.type);
    config.type = INF_PROVIDER_VLLM;
    config.base_url = "u";
    assert_int_equal(inf_provider_create(&p, ctx, &config, NULL), INF_OK);
    inf_provider_release(p);
    config.n_ctx = 8192;
    assert_int_equal(inf_provider_create(&p, ctx, &config, NULL), INF_ERROR_INVALID_ARGUMENT);
    config.n_ctx = 4096;
    config.max_adapters = 1;
    assert_int_equal(inf_provider_create(&p, ctx, &config, NULL), INF_ERROR_INVALID_ARGUMENT);
    config.max_adapters = 0;
    config.kv_budget_bytes++;
    assert_int_equal(inf_provider_create(&p, ctx, &config, NULL), INF_ERROR_INVALID_ARGUMENT);
}

static int32_t create_server(inf_provider_config *config, inf_error *err)
{
    inf_provider *p = NULL;
    int32_t code = INF_OK;

    config->type = INF_PROVIDER_VLLM;
    config->base_url = "u";
    code = inf_provider_create(&p, ctx, config, err);
    inf_provider_release(p);
    return code;
}

static void a_servers_times_are_a_bound_or_none(void **state)
{
    static const int64_t wrong[] = {0, -2, INT64_MIN, (int64_t)INT32_MAX + 1};
    inf_provider_config c;
    inf_error err;

    (void)state;
    inf_provider_config_default(&c, sizeof c);
    assert_int_equal(c.max_connections, 256);
    c.connect_timeout_ms = c.silence_timeout_ms = -1;
    assert_int_equal(create_server(&c, NULL), INF_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        inf_provider_config_default(&c, sizeof c);
        c.connect_timeout_ms = wrong[i];
        assert_int_equal(create_server(&c, &err), INF_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "connect_timeout_ms: "));
        inf_provider_config_default(&c, sizeof c);
        c.silence_timeout_ms = wrong[i];
        assert_int_equal(create_server(&c, &err), INF_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "silence_timeout_ms: "));
    }
    inf_provider_config_default(&c, sizeof c);
    c.max_connections = 0;
    assert_int_equal(create_server(&c, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "max_connections: "));
    c.max_connections = 65536;
    assert_int_equal(create_server(&c, NULL), INF_OK);
    c.type = INF_PROVIDER_LLAMACPP;
    c.base_url = "m";
    c.max_connections = 5;
    assert_int_equal(inf_provider_create(&(inf_provider *){NULL}, ctx, &c, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "max_connections: "));
}

/* ------------------------------------------------------------------ from a step's JSON */

static void a_step_names_provider_and_url(void **state)
{
    static const struct {
        const char *json;
        int32_t type;
        const char *url;
    } steps[] = {
        {"{\"provider\": \"llamacpp\", \"base_url\": \"m.gguf\"}", INF_PROVIDER_LLAMACPP, "m.gguf"},
        {"{\"provider\": \"LLAMACPP\"}", INF_PROVIDER_LLAMACPP, "from-environment"},
        {"{\"base_url\": \"http://x/v1\"}", INF_PROVIDER_VLLM, "http://x/v1"},
        {"{}", INF_PROVIDER_VLLM, "http://localhost:8100/v1"},
        {"{\"provider\": null, \"base_url\": null}", INF_PROVIDER_VLLM, "http://localhost:8100/v1"},
        {" {\"provider\":\"vllm\",\"type\":\"sft\",\"steps\":[1,{\"provider\":\"no\"}]}\n",
         INF_PROVIDER_VLLM, "http://localhost:8100/v1"},
        {"{\"base_url\": \"http://\\u00e9/v1\"}", INF_PROVIDER_VLLM, "http://\xc3\xa9/v1"},
    };

    (void)state;
    setenv("LLAMACPP_MODEL_PATH", "from-environment", 1);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        inf_provider *p = NULL;

        assert_int_equal(inf_provider_get_for_step(&p, ctx, inf_str(steps[i].json), NULL), INF_OK);
        assert_given(p, steps[i].type, steps[i].url);
        inf_provider_release(p);
    }
}

static void a_step_and_the_factory_share_the_cache(void **state)
{
    inf_provider *a = NULL;
    inf_provider *b = NULL;

    (void)state;
    assert_int_equal(inf_provider_get(&a, ctx, "vllm", "u", NULL, NULL), INF_OK);
    assert_int_equal(inf_provider_get_for_step(&b, ctx, inf_str("{\"base_url\": \"u\"}"), NULL), 0);
    assert_ptr_equal(a, b);
    inf_provider_release(a);
    inf_provider_release(b);
}

static void a_step_that_is_not_one_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "   ",
        "[]",
        "\"vllm\"",
        "null",
        "1",
        "{",
        "{\"provider\": \"vllm\"",
        "{\"provider\": \"vllm\"} x",
        "{provider: \"vllm\"}",
        "{\"provider\": 1}",
        "{\"provider\": [\"vllm\"]}",
        "{\"base_url\": {}}",
        "{\"base_url\": true}",
        "{\"provider\": \"nobody\"}",
        "{\"provider\": \"vllm\", \"provider\": \"llamacpp\"}",
        "{\"base_url\": \"a\\u0000b\"}",
        "{\"base_url\": \"\xff\"}",
    };
    inf_provider *p = NULL;
    inf_error err;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        p = (inf_provider *)(void *)&ctx;
        if (inf_provider_get_for_step(&p, ctx, inf_str(wrong[i]), &err) !=
            INF_ERROR_INVALID_ARGUMENT)
            fail_msg("accepted: %s", wrong[i]);
        assert_null(p);
        assert_true(strlen(err.message) > 0);
    }
    assert_int_equal(inf_provider_get_for_step(&p, ctx, inf_str(NULL), NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_provider_get_for_step(NULL, ctx, inf_str("{}"), NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_provider_get_for_step(&p, NULL, inf_str("{}"), NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(fake_alive(), 0);
}

static void nesting_without_end_is_refused(void **state)
{
    enum { DEPTH = 1000000 };
    char *deep = malloc(DEPTH + 16);
    inf_provider *p = NULL;

    (void)state;
    memcpy(deep, "{\"a\":", 5);
    memset(deep + 5, '[', DEPTH);
    assert_int_equal(inf_provider_get_for_step(&p, ctx, (inf_text){deep, DEPTH + 5}, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_null(p);
    free(deep);
}

/* ------------------------------------------------------------------ inspect */

static void inspecting_goes_through_the_rows(void **state)
{
    inf_op *op = NULL;
    inf_text text;

    (void)state;
    assert_int_equal(inf_inspect_start(&op, ctx, "adapter", "base", NULL, NULL), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, NULL), INF_OK);
    assert_int_equal(inf_op_text(op, &text), INF_OK);
    assert_non_null(strstr(text.data, "\"adapter\""));
    assert_non_null(strstr(text.data, "\"fits\":false,\"reason\":\"base\""));
    inf_op_release(op);
    assert_int_equal(inf_inspect_start(&op, ctx, "", NULL, NULL, NULL), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_inspect_start(&op, ctx, NULL, NULL, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_inspect_start(&op, NULL, "x", NULL, NULL, NULL),
                     INF_ERROR_INVALID_ARGUMENT);
}

/* ------------------------------------------------------------------ options of a get */

static int32_t get_with(inf_provider_config *c, inf_error *err)
{
    inf_provider *p = NULL;
    int32_t code = inf_provider_get(&p, ctx, "llamacpp", "m", c, err);

    assert_true((code == INF_OK) == (p != NULL));
    inf_provider_release(p);
    return code;
}

static void options_make_a_provider_and_must_agree_with_a_cached_one(void **state)
{
    inf_provider *p = NULL;
    inf_provider_config c;
    char dtype[] = "float32";
    inf_error err;

    (void)state;
    inf_provider_config_default(&c, sizeof c);
    c.n_ctx = 128;
    c.dtype = "float32";
    assert_int_equal(inf_provider_get(&p, ctx, "llamacpp", "m", &c, NULL), INF_OK);
    assert_int_equal(p->config.n_ctx, 128);
    c.dtype = dtype; /* the same by content */
    assert_int_equal(get_with(&c, &err), INF_OK);
    assert_int_equal(get_with(NULL, &err), INF_OK); /* as it is */
    c.n_ctx = 129;
    assert_int_equal(get_with(&c, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "n_ctx: "));
    c.n_ctx = 128;
    dtype[5] = '1';
    assert_int_equal(get_with(&c, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "dtype: "));
    c.dtype = NULL;
    assert_int_equal(get_with(&c, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "dtype: "));
    assert_int_equal(inf_provider_evict(p, NULL), INF_OK);
    assert_int_equal(get_with(&c, &err), INF_OK); /* another one */
    c.n_ctx = 0;
    assert_int_equal(get_with(&c, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "n_ctx: "));
    inf_provider_evict(p, NULL);
    inf_provider_release(p);
}

static void the_type_and_url_of_options_stand_in_for_missing_arguments(void **state)
{
    inf_provider *p = NULL;
    inf_provider_config c;
    inf_error err;

    (void)state;
    inf_provider_config_default(&c, sizeof c);
    c.type = INF_PROVIDER_LLAMACPP;
    c.base_url = "m";
    assert_int_equal(inf_provider_get(&p, ctx, NULL, NULL, &c, NULL), INF_OK);
    assert_int_equal(inf_provider_type_of(p), INF_PROVIDER_LLAMACPP);
    assert_string_equal(inf_provider_base_url(p), "m");
    assert_int_equal(get_with(&c, NULL), INF_OK); /* the same as arguments */
    c.base_url = "other";
    assert_int_equal(get_with(&c, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "base_url: "));
    c.base_url = NULL;
    c.type = INF_PROVIDER_VLLM;
    assert_int_equal(get_with(&c, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "type: "));
    c.type = 77;
    inf_provider_release(p);
    assert_int_equal(inf_provider_get(&p, ctx, NULL, NULL, &c, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "type: "));
    assert_null(p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_factory, close_factory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(types_are_read_in_any_case),
        TEST(without_a_word_it_is_vllm_where_vllm_listens),
        TEST(the_environment_is_read_at_the_call),
        TEST(an_argument_wins_over_the_environment),
        TEST(any_other_type_is_refused_and_the_supported_are_named),
        TEST(a_type_the_build_left_out_is_unsupported_and_says_how_to_get_it),
        TEST(types_have_names),
        TEST(missing_arguments_are_refused),
        TEST(the_same_type_and_url_give_the_identical_object),
        TEST(an_evicted_provider_lives_as_long_as_it_is_held),
        TEST(references_are_counted),
        TEST(an_operation_keeps_its_provider),
        TEST(one_made_from_a_config_is_outside_the_cache),
        TEST(threads_that_ask_at_once_get_the_same),
        TEST(a_value_out_of_range_is_named),
        TEST(a_server_takes_a_type_and_a_url),
        TEST(a_servers_times_are_a_bound_or_none),
        TEST(a_step_names_provider_and_url),
        TEST(a_step_and_the_factory_share_the_cache),
        TEST(a_step_that_is_not_one_is_refused),
        TEST(nesting_without_end_is_refused),
        TEST(inspecting_goes_through_the_rows),
        TEST(options_make_a_provider_and_must_agree_with_a_cached_one),
        TEST(the_type_and_url_of_options_stand_in_for_missing_arguments),
    };

    return cmocka_run_group_tests_name("core: factory", tests, NULL, NULL);
}
