/*
 * Memory that the system refuses: the request that needed it ends, and what it used stays usable.
 */
#include <inference/inference.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif

/* Address space in use, bytes. */
static size_t in_use(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    size_t pages = 0;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu", &pages), 1);
    fclose(f);
    return pages * 4096;
}

static int32_t generate(inf_provider *p, inf_error *err)
{
    inf_request r;
    inf_op *op = NULL;
    int32_t code = INF_OK;

    inf_request_default(&r, sizeof r);
    r.prompt = inf_str("x");
    r.max_tokens = (inf_maybe_i32){true, 3};
    code = inf_generate(&op, p, &r, err);
    inf_op_release(op);
    return code;
}

static void test_limits__no_memory__ends_the_request_and_nothing_else(void **state)
{
    inf_context *context = NULL;
    inf_provider *p = NULL;
    inf_provider_config options;
    struct rlimit before, few;
    int refused = 0;
    inf_error err;

    (void)state;
#ifdef WATCHED
    skip(); /* a sanitizer's shadow does not fit any limit */
#endif
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(inf_context_create(&context, NULL, &err), INF_OK);
    inf_provider_config_default(&options, sizeof options);
    options.n_threads = 4;
    assert_int_equal(inf_provider_get(&p, context, "llamacpp",
                                      TEST_SOURCE_DIR "/parity/fixtures/one-layer/base.gguf",
                                      &options, &err),
                     INF_OK);
    for (size_t more = 0; more <= 128; more += 16) {
        int32_t code = INF_OK;

        few = before;
        few.rlim_cur = in_use() + (more << 20);
        assert_int_equal(setrlimit(RLIMIT_AS, &few), 0);
        code = generate(p, &err);
        assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
        if (code != INF_OK && code != INF_ERROR_NO_MEMORY && code != INF_ERROR_STATE)
            fail_msg("with %zu MiB more: %s: %s", more, inf_error_name(code), err.message);
        refused += code != INF_OK;
        if (code != INF_OK)
            continue;
        assert_int_equal(inf_provider_unload(p, &err), INF_OK);
    }
    assert_true(refused > 0);
    if (generate(p, &err) != INF_OK)
        fail_msg("%s", err.message);
    inf_provider_release(p);
    assert_int_equal(inf_context_close(context, &err), INF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits__no_memory__ends_the_request_and_nothing_else),
    };

    return cmocka_run_group_tests_name("llamacpp: limits", tests, NULL, NULL);
}
