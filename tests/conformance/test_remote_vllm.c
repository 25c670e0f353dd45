/*
 * The vLLM provider against the fake server: the conformance list, names, reconciliation, replicas. What
 * goes wrong on the wire is in test_remote_faults.c.
 */
#include "conformance.h"
#include "fake/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures/one-layer"
#define LOAD "/v1/load_lora_adapter"
#define UNLOAD "/v1/unload_lora_adapter"
#define CHAT "/v1/chat/completions"

static struct subject vllm = {.type = INF_PROVIDER_VLLM,
                              .model = "smol",
                              .adapters = {FIXTURES "/adapter-0", FIXTURES "/adapter-1",
                                           FIXTURES "/adapter-2", FIXTURES "/adapter-3"},
                              .has_adapters = true};
static struct fake server;

/* A fresh server and a provider of it. */
static int set_up(void **state)
{
    (void)state;
    unsetenv("VLLM_API_KEY");
    fake_start(&server, "vllm");
    vllm.base_url = server.url;
    subject = &vllm;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_stop(&server);
    return 0;
}

static void expect_load_error(struct bench *b, const char *id, const char *path, int32_t code,
                              const char *says)
{
    inf_error err;

    assert_int_equal(inf_adapter_load(b->provider, id, path, NULL, &err), code);
    if (!strstr(err.message, says))
        fail_msg("'%s' does not say '%s'", err.message, says);
}

static size_t count_adapters(struct bench *b)
{
    inf_adapter_list *list = NULL;
    size_t n = 0;

    assert_int_equal(inf_adapters(&list, b->provider, NULL), INF_OK);
    n = inf_adapter_list_count(list);
    inf_adapter_list_free(list);
    return n;
}

static void wait_until_gone(const char *name)
{
    for (int i = 0; i < 500 && fake_has_adapter(&server, name); i++)
        usleep(10000);
    assert_false(fake_has_adapter(&server, name));
}

/* Nobody is connected and nothing was heard for so long that the server may have been started anew. */
static void let_time_pass(void)
{
    usleep(2100000);
}

static void wait_for_requests(struct fake *f, const char *path)
{
    for (int i = 0; i < 500; i++) {
        if (fake_requests(f, path, NULL) > 0)
            return;
        usleep(10000);
    }
    fail_msg("no request of %s came", path);
}

/* A copy of an adapter's directory, to be changed. */
static void copy_adapter(char dir[64], const char *from)
{
    char command[1024];

    snprintf(dir, 64, "/tmp/inference-adapter-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "cp %s/* %s/", from, dir);
    assert_int_equal(system(command), 0);
}

static void replace_files(const char *dir, const char *from)
{
    char command[1024];

    snprintf(command, sizeof command, "cp %s/* %s/", from, dir);
    assert_int_equal(system(command), 0);
}

static void remove_adapter(const char *dir)
{
    char command[1024];

    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* ------------------------------------------------------------------ names */

static void test_load__replaced_at_the_same_path__the_new_weights_answer(void **state)
{
    struct bench b;
    inf_request request = greedy("What is gravity?", 16, "x");
    inf_op *old = NULL, *replaced = NULL, *fresh = NULL;
    inf_result a, n, r;
    char dir[64];

    (void)state;
    open_bench(&b, NULL);
    copy_adapter(dir, vllm.adapters[0]);
    load(&b, "x", dir);
    old = run(&b, &request);
    replace_files(dir, vllm.adapters[1]);
    load(&b, "x", dir);
    replaced = run(&b, &request);
    load(&b, "y", vllm.adapters[1]);
    request.adapter_id = inf_str("y");
    fresh = run(&b, &request);
    a = result_of(old);
    n = result_of(replaced);
    r = result_of(fresh);
    assert_int_equal(n.text.len, r.text.len);
    assert_memory_equal(n.text.data, r.text.data, n.text.len);
    assert_false(a.text.len == n.text.len && memcmp(a.text.data, n.text.data, a.text.len) == 0);
    assert_true(fake_has_adapter(&server, "x@2"));
    wait_until_gone("x"); /* drained, then unloaded */
    inf_op_release(old);
    inf_op_release(replaced);
    inf_op_release(fresh);
    remove_adapter(dir);
    close_bench(&b);
}

static void test_load__after_an_unload__takes_a_fresh_name(void **state)
{
    struct bench b;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    assert_true(fake_has_adapter(&server, "x"));
    assert_int_equal(inf_adapter_unload(b.provider, "x", &err), INF_OK);
    assert_false(fake_has_adapter(&server, "x"));
    load(&b, "x", vllm.adapters[0]);
    assert_true(fake_has_adapter(&server, "x@2"));
    assert_false(fake_has_adapter(&server, "x"));
    close_bench(&b);
}

#define NO_LIST                                                                                    \
    "{\"do\":\"next\",\"path\":\"/v1/models\",\"act\":\"raw\",\"text\":"                           \
    "\"HTTP/1.1 %s\\r\\ncontent-length: 0\\r\\n\\r\\n\"}"

static void test_load__users_own_name_with_an_at__is_not_mistaken_for_ours(void **state)
{
    struct bench b;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"adapters\":{\"x@2\":\"%s\"}}", vllm.adapters[2]);
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    load(&b, "x", vllm.adapters[1]);
    assert_true(fake_has_adapter(&server, "x@3"));
    assert_true(fake_has_adapter(&server, "x@2"));
    wait_until_gone("x");
    close_bench(&b);
}

/* A stand-in that somebody wrote for tests: its answers to loads are all that it tells. */
static void test_load__server_without_a_list_of_models__loads(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    fake_do(&server, NO_LIST, "501 Unsupported method ('GET')");
    load(&b, "x", vllm.adapters[0]);
    assert_true(fake_has_adapter(&server, "x"));
    fake_do(&server, NO_LIST, "404 Not Found");
    load(&b, "y", vllm.adapters[1]);
    assert_int_equal(count_adapters(&b), 2);
    /* Who asks for the list itself gets the refusal. */
    fake_do(&server, NO_LIST, "404 Not Found");
    assert_int_equal(inf_server_adapters(&op, b.provider, &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 404);
    inf_op_release(op);
    fake_do(&server, NO_LIST, "500 Internal Server Error");
    expect_load_error(&b, "z", vllm.adapters[1], INF_ERROR_HTTP_STATUS, "list its models");
    close_bench(&b);
}

static void test_load__name_taken_by_somebody_else__is_an_error_that_says_how_to_unload(
    void **state)
{
    struct bench b;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"adapters\":{\"x\":\"%s\"}}", vllm.adapters[2]);
    open_bench(&b, NULL);
    expect_load_error(&b, "x", vllm.adapters[0], INF_ERROR_STATE, "inference adapters unload");
    expect_load_error(&b, "smol", vllm.adapters[0], INF_ERROR_INVALID_ARGUMENT, "base model");
    /* one that the list does not show is found out by the server's refusal */
    fake_do(&server, "{\"do\":\"set\",\"listed\":false,\"adapters\":{\"w\":\"%s\"}}",
            vllm.adapters[2]);
    expect_load_error(&b, "w", vllm.adapters[0], INF_ERROR_HTTP_STATUS, "already been loaded");
    assert_int_equal(count_adapters(&b), 0);
    close_bench(&b);
}

static void test_load__fresh_name_taken_and_not_listed__goes_on_to_the_next(void **state)
{
    struct bench b;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    fake_do(&server, "{\"do\":\"set\",\"listed\":false,\"adapters\":{\"x\":\"%s\",\"x@2\":\"%s\"}}",
            vllm.adapters[0], vllm.adapters[3]);
    load(&b, "x", vllm.adapters[1]);
    assert_true(fake_has_adapter(&server, "x@3"));
    close_bench(&b);
}

static void test_load__two_of_one_id_at_once__both_end_and_one_serves(void **state)
{
    struct bench b;
    inf_adapter_source source;
    inf_request request = greedy("What is gravity?", 8, "x");
    inf_op *first = NULL, *second = NULL, *op = NULL;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"load_delay\":0.05}");
    open_bench(&b, NULL);
    inf_adapter_source_default(&source, sizeof source);
    source.path = vllm.adapters[0];
    assert_int_equal(inf_adapter_load_start(&first, b.provider, "x", &source, NULL, &err), INF_OK);
    source.path = vllm.adapters[1];
    assert_int_equal(inf_adapter_load_start(&second, b.provider, "x", &source, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(first, -1, &err), INF_OK);
    assert_int_equal(inf_op_wait(second, -1, &err), INF_OK);
    assert_int_equal(count_adapters(&b), 1);
    op = run(&b, &request);
    assert_int_equal(result_of(op).adapter_generation, 2);
    wait_until_gone("x");
    assert_true(fake_has_adapter(&server, "x@2"));
    inf_op_release(first);
    inf_op_release(second);
    inf_op_release(op);
    close_bench(&b);
}

static void test_unload__while_generating__comes_after_the_last_request(void **state)
{
    struct bench b;
    inf_request request = greedy("Tell me a story.", 100, "x");
    inf_op *op = NULL, *unload = NULL, *refused = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    assert_int_equal(inf_generate_start(&op, b.provider, &request, NULL, &err), INF_OK);
    assert_int_equal(inf_adapter_unload_start(&unload, b.provider, "x", NULL, &err), INF_OK);
    assert_int_equal(count_adapters(&b), 0); /* hidden at once */
    assert_true(fake_has_adapter(&server, "x"));
    assert_int_equal(inf_generate_start(&refused, b.provider, &request, NULL, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "being unloaded"));
    assert_int_equal(inf_op_wait(unload, -1, &err), INF_OK);
    assert_true(inf_op_poll(op)); /* it had ended before */
    assert_int_equal(inf_op_wait(op, -1, &err), INF_OK);
    assert_int_equal(result_of(op).completion_tokens, 100);
    assert_false(fake_has_adapter(&server, "x"));
    inf_op_release(op);
    inf_op_release(unload);
    close_bench(&b);
}

static void test_unload__unknown_id__is_the_servers_404(void **state)
{
    struct bench b;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"adapters\":{\"theirs\":\"/somewhere\"}}");
    open_bench(&b, NULL);
    assert_int_equal(inf_adapter_unload(b.provider, "nobody", &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 404);
    assert_non_null(strstr(err.message, "cannot be found"));
    assert_int_equal(inf_adapter_unload(b.provider, "theirs", &err), INF_OK);
    assert_false(fake_has_adapter(&server, "theirs"));
    close_bench(&b);
}

static void test_unload__not_ours_and_the_answer_lost__is_settled_by_the_list(void **state)
{
    struct bench b;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"adapters\":{\"theirs\":\"/somewhere\"}}");
    open_bench(&b, NULL);
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" UNLOAD "\",\"act\":\"reset\"}");
    assert_int_equal(inf_adapter_unload(b.provider, "theirs", &err), INF_ERROR_CONNECTION);
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" UNLOAD "\",\"act\":\"lose\"}");
    assert_int_equal(inf_adapter_unload(b.provider, "theirs", &err), INF_OK);
    assert_false(fake_has_adapter(&server, "theirs"));
    close_bench(&b);
}

static void test_unload__server_forgot_it__is_a_404_and_not_tracked_afterwards(void **state)
{
    struct bench b;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    fake_do(&server, "{\"do\":\"forget\"}");
    assert_int_equal(inf_adapter_unload(b.provider, "x", &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 404);
    assert_int_equal(count_adapters(&b), 0);
    close_bench(&b);
}

static void test_load_and_unload__answer_lost__is_settled_by_the_list(void **state)
{
    struct bench b;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" LOAD "\",\"act\":\"lose\"}");
    load(&b, "x", vllm.adapters[0]);
    assert_int_equal(count_adapters(&b), 1);
    assert_int_equal(fake_requests(&server, LOAD, NULL), 1); /* and not sent again */
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" UNLOAD "\",\"act\":\"lose\"}");
    assert_int_equal(inf_adapter_unload(b.provider, "x", &err), INF_OK);
    assert_int_equal(fake_requests(&server, UNLOAD, NULL), 1);
    /* lost before it was done */
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" LOAD "\",\"act\":\"reset\"}");
    assert_int_equal(inf_adapter_load(b.provider, "y", vllm.adapters[0], NULL, &err),
                     INF_ERROR_CONNECTION);
    assert_int_equal(count_adapters(&b), 0);
    load(&b, "y", vllm.adapters[0]);
    assert_true(fake_has_adapter(&server, "y")); /* its name was never used */
    close_bench(&b);
}

static void test_load__cancelled_while_the_server_is_at_it__leaves_nothing_for_long(void **state)
{
    struct bench b;
    inf_adapter_source source;
    inf_op *op = NULL, *queued = NULL;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"load_delay\":0.4}");
    open_bench(&b, NULL);
    inf_adapter_source_default(&source, sizeof source);
    source.path = vllm.adapters[0];
    assert_int_equal(inf_adapter_load_start(&op, b.provider, "x", &source, NULL, &err), INF_OK);
    assert_int_equal(inf_adapter_load_start(&queued, b.provider, "y", &source, NULL, &err), INF_OK);
    usleep(150000);
    inf_op_cancel(queued); /* its turn has not come */
    inf_op_cancel(op);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_CANCELLED);
    assert_int_equal(inf_op_wait(queued, -1, &err), INF_ERROR_CANCELLED);
    assert_int_equal(count_adapters(&b), 0);
    usleep(600000); /* the server finishes what nobody wants any more */
    fake_do(&server, "{\"do\":\"set\",\"load_delay\":0}");
    load(&b, "z", vllm.adapters[1]);
    assert_false(fake_has_adapter(&server, "x"));
    assert_false(fake_has_adapter(&server, "y"));
    load(&b, "x", vllm.adapters[1]);
    assert_true(fake_has_adapter(&server, "x@2")); /* "x" was used */
    inf_op_release(op);
    inf_op_release(queued);
    close_bench(&b);
}

static void test_load__cancelled_while_the_server_is_at_it__is_taken_back(void **state)
{
    struct bench b;
    inf_adapter_source source;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"load_delay\":0.4}");
    open_bench(&b, NULL);
    inf_adapter_source_default(&source, sizeof source);
    source.path = vllm.adapters[0];
    assert_int_equal(inf_adapter_load_start(&op, b.provider, "x", &source, NULL, &err), INF_OK);
    usleep(200000);
    inf_op_cancel(op);
    assert_int_equal(inf_op_wait(op, 200, &err), INF_ERROR_CANCELLED); /* at once */
    assert_int_equal(count_adapters(&b), 0);
    wait_for_requests(&server, UNLOAD); /* the server finished, and is told */
    usleep(500000);
    assert_false(fake_has_adapter(&server, "x"));
    inf_op_release(op);
    /* the next one of that id waits for all this, and then is like any other */
    load(&b, "x", vllm.adapters[1]);
    assert_int_equal(count_adapters(&b), 1);
    close_bench(&b);
}

static void test_close__right_after_a_cancelled_load__waits_until_it_is_taken_back(void **state)
{
    struct bench b;
    inf_adapter_source source;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"load_delay\":0.4}");
    open_bench(&b, NULL);
    inf_adapter_source_default(&source, sizeof source);
    source.path = vllm.adapters[0];
    assert_int_equal(inf_adapter_load_start(&op, b.provider, "x", &source, NULL, &err), INF_OK);
    usleep(200000);
    inf_op_cancel(op);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_ERROR_CANCELLED);
    inf_op_release(op);
    close_bench(&b);
    usleep(500000);
    assert_int_equal(fake_requests(&server, UNLOAD, NULL), 1);
    assert_false(fake_has_adapter(&server, "x"));
}

static void test_load__one_that_the_server_is_long_at__holds_up_no_other_id(void **state)
{
    struct bench b;
    inf_adapter_source source;
    inf_request request = greedy("hi", 4, "y");
    inf_op *slow = NULL, *list = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[3]);
    let_time_pass();
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" LOAD "\",\"act\":\"wait\",\"seconds\":30}");
    inf_adapter_source_default(&source, sizeof source);
    source.path = vllm.adapters[0];
    assert_int_equal(inf_adapter_load_start(&slow, b.provider, "x", &source, NULL, &err), INF_OK);
    assert_int_equal(count_adapters(&b), 1);
    usleep(100000);
    load(&b, "y", vllm.adapters[1]);
    load(&b, "y", vllm.adapters[2]);
    inf_op_release(run(&b, &request));
    request.adapter_id = inf_str("x"); /* the generation before goes on serving */
    inf_op_release(run(&b, &request));
    assert_int_equal(inf_adapter_unload(b.provider, "y", &err), INF_OK);
    assert_int_equal(inf_server_adapters_start(&list, b.provider, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(list, -1, &err), INF_OK);
    assert_false(inf_op_poll(slow));
    inf_op_cancel(slow);
    assert_int_equal(inf_op_wait(slow, -1, &err), INF_ERROR_CANCELLED);
    inf_op_release(list);
    inf_op_release(slow);
    fake_do(&server, "{\"do\":\"die\"}"); /* the clean-up need not be waited for */
    close_bench(&b);
}

static void test_load_and_unload__many_ids_at_once__each_ends_as_alone(void **state)
{
    struct bench b;
    inf_adapter_source source;
    inf_op *ops[80];
    char id[32];
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"load_delay\":0.01}");
    open_bench(&b, NULL);
    inf_adapter_source_default(&source, sizeof source);
    for (int i = 0; i < 80; i++) { /* of each id: load, load, unload, load */
        snprintf(id, sizeof id, "id-%d", i / 4);
        source.path = vllm.adapters[i % 4];
        if (i % 4 == 2)
            assert_int_equal(inf_adapter_unload_start(&ops[i], b.provider, id, NULL, &err), INF_OK);
        else
            assert_int_equal(inf_adapter_load_start(&ops[i], b.provider, id, &source, NULL, &err),
                             INF_OK);
    }
    for (int i = 0; i < 80; i++) {
        if (inf_op_wait(ops[i], -1, &err) != INF_OK)
            fail_msg("%d: %s", i, err.message);
        inf_op_release(ops[i]);
    }
    assert_int_equal(count_adapters(&b), 20);
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "id-%d", i);
        wait_until_gone(id);
        snprintf(id, sizeof id, "id-%d@2", i);
        wait_until_gone(id);
        snprintf(id, sizeof id, "id-%d@3", i);
        assert_true(fake_has_adapter(&server, id));
    }
    close_bench(&b);
}

static size_t count_on_server(void)
{
    json_t *seen = fake_order(&server, "{\"do\":\"look\"}");
    size_t n = json_object_size(json_object_get(seen, "adapters"));

    json_decref(seen);
    return n;
}

static void test_churn__loads_unloads_requests_and_cancels__leave_what_is_listed(void **state)
{
    enum { N = 240 };
    struct bench b;
    inf_adapter_source source;
    inf_op *ops[N] = {NULL};
    uint32_t random = 7;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"load_delay\":0.01}");
    open_bench(&b, NULL);
    inf_adapter_source_default(&source, sizeof source);
    for (int i = 0; i < N; i++) {
        char id[8];
        inf_request request;

        random = random * 1664525 + 1013904223;
        snprintf(id, sizeof id, "%c", (char)('a' + (random >> 8) % 6));
        request = greedy("hi", 20, id);
        source.path = vllm.adapters[(random >> 12) % 4];
        switch ((random >> 16) % 4) {
        case 0:
        case 1:
            inf_adapter_load_start(&ops[i], b.provider, id, &source, NULL, &err);
            break;
        case 2:
            inf_adapter_unload_start(&ops[i], b.provider, id, NULL, &err);
            break;
        default:
            inf_generate_start(&ops[i], b.provider, &request, NULL, &err);
        }
        if ((random >> 20) % 3 == 0 && i >= 4)
            inf_op_cancel(ops[i - (int)(random >> 24) % 4]);
        usleep((random >> 10) % 4000);
    }
    for (int i = 0; i < N; i++) {
        inf_op_wait(ops[i], -1, &err);
        inf_op_release(ops[i]);
    }
    for (int i = 0; i < 500 && count_on_server() != count_adapters(&b); i++)
        usleep(10000);
    assert_int_equal(count_on_server(), count_adapters(&b));
    close_bench(&b);
}

static void test_close__with_everything_in_flight__ends_it(void **state)
{
    struct bench b;
    inf_adapter_source source;
    inf_request request = greedy("Count.", 1900, "x");
    inf_op *ops[6];
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    fake_do(&server, "{\"do\":\"set\",\"load_delay\":0.3}");
    inf_adapter_source_default(&source, sizeof source);
    source.path = vllm.adapters[1];
    assert_int_equal(inf_generate_start(&ops[0], b.provider, &request, NULL, &err), INF_OK);
    assert_int_equal(inf_adapter_load_start(&ops[1], b.provider, "x", &source, NULL, &err), INF_OK);
    assert_int_equal(inf_adapter_load_start(&ops[2], b.provider, "y", &source, NULL, &err), INF_OK);
    assert_int_equal(inf_adapter_unload_start(&ops[3], b.provider, "x", NULL, &err), INF_OK);
    assert_int_equal(inf_adapter_unload_start(&ops[4], b.provider, "nobody", NULL, &err), INF_OK);
    assert_int_equal(inf_server_adapters_start(&ops[5], b.provider, NULL, &err), INF_OK);
    for (int i = 0; i < 6; i++)
        inf_op_release(ops[i]);
    close_bench(&b);
}

/* ------------------------------------------------------------------ a server that was restarted */

static void test_generate__server_restarted__the_adapter_is_loaded_again_once(void **state)
{
    struct bench b;
    inf_request request = greedy("What is gravity?", 8, "x");
    inf_op *before = NULL, *after[4];
    inf_error err;
    inf_result a, r;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    before = run(&b, &request);
    fake_do(&server, "{\"do\":\"restart\"}");
    fake_requests(&server, LOAD, NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(inf_generate_start(&after[i], b.provider, &request, NULL, &err), INF_OK);
    for (int i = 0; i < 4; i++) {
        if (inf_op_wait(after[i], -1, &err) != INF_OK)
            fail_msg("%s", err.message);
        a = result_of(before);
        r = result_of(after[i]);
        assert_int_equal(a.text.len, r.text.len);
        assert_memory_equal(a.text.data, r.text.data, a.text.len);
        inf_op_release(after[i]);
    }
    assert_int_equal(fake_requests(&server, LOAD, NULL), 1);
    inf_op_release(before);
    close_bench(&b);
}

static void test_generate__restarted_and_the_files_changed__says_so(void **state)
{
    struct bench b;
    inf_request request = greedy("What is gravity?", 8, "x");
    inf_op *op = NULL;
    inf_error err;
    char dir[64];

    (void)state;
    open_bench(&b, NULL);
    copy_adapter(dir, vllm.adapters[0]);
    load(&b, "x", dir);
    replace_files(dir, vllm.adapters[1]);
    fake_do(&server, "{\"do\":\"restart\"}");
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_STATE);
    assert_non_null(strstr(err.message, "have changed"));
    inf_op_release(op);
    load(&b, "x", dir);
    inf_op_release(run(&b, &request));
    remove_adapter(dir);
    close_bench(&b);
}

static void expect_refused(struct bench *b, const char *id, int32_t code, const char *says)
{
    inf_request request = greedy("What is gravity?", 8, id);
    inf_op *op = NULL;
    inf_error err;

    fake_requests(&server, CHAT, NULL);
    assert_int_equal(inf_generate(&op, b->provider, &request, &err), code);
    if (!strstr(err.message, says))
        fail_msg("'%s' does not say '%s'", err.message, says);
    assert_int_equal(fake_requests(&server, CHAT, NULL), 0);
    inf_op_release(op);
}

static void test_load__another_programs_adapter_under_a_name_we_gave_back__stays(void **state)
{
    struct bench b;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    assert_int_equal(inf_adapter_unload(b.provider, "x", &err), INF_OK);
    fake_do(&server, "{\"do\":\"set\",\"adapters\":{\"x\":\"%s\"}}", vllm.adapters[0]);
    load(&b, "y", vllm.adapters[1]);
    assert_true(fake_has_adapter(&server, "x"));
    expect_load_error(&b, "x", vllm.adapters[1], INF_ERROR_STATE, "did not load");
    assert_true(fake_has_adapter(&server, "x"));
    close_bench(&b);
}

static void test_load__our_name_lost_and_given_by_another__stays(void **state)
{
    struct bench b;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    /* the first one's unload is lost, so that the next contact would try it again */
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" UNLOAD "\",\"act\":\"reset\"}");
    load(&b, "x", vllm.adapters[1]);
    wait_for_requests(&server, UNLOAD);
    let_time_pass();
    fake_do(&server, "{\"do\":\"restart\"}");
    fake_do(&server, "{\"do\":\"set\",\"adapters\":{\"x\":\"%s\",\"x@2\":\"%s\"}}",
            vllm.adapters[2], vllm.adapters[3]);
    let_time_pass();
    load(&b, "y", vllm.adapters[1]);
    assert_true(fake_has_adapter(&server, "x") && fake_has_adapter(&server, "x@2"));
    assert_int_not_equal(inf_adapter_unload(b.provider, "x", &err), INF_OK);
    assert_true(fake_has_adapter(&server, "x") && fake_has_adapter(&server, "x@2"));
    close_bench(&b);
}

static void test_generate__restarted_and_another_has_the_name__is_never_used(void **state)
{
    struct bench b;
    inf_request request = greedy("What is gravity?", 8, "x");
    inf_op *op = NULL;
    inf_text text;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    inf_op_release(run(&b, &request));
    fake_do(&server, "{\"do\":\"restart\"}");
    fake_do(&server, "{\"do\":\"set\",\"adapters\":{\"x\":\"%s\"}}", vllm.adapters[1]);
    let_time_pass();
    expect_refused(&b, "x", INF_ERROR_STATE, "another program's adapter");
    expect_refused(&b, "x", INF_ERROR_STATE, "inference adapters unload");
    /* the list says whose it is */
    assert_int_equal(inf_server_adapters_start(&op, b.provider, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_OK);
    assert_int_equal(inf_op_text(op, &text), INF_OK);
    assert_non_null(strstr(text.data, "\"name\":\"x\",\"id\":null"));
    assert_non_null(strstr(text.data, "\"id\":\"x\""));
    inf_op_release(op);
    /* one that the list does not show, found out by the server's refusal */
    fake_do(&server, "{\"do\":\"set\",\"listed\":false}");
    let_time_pass();
    expect_refused(&b, "x", INF_ERROR_STATE, "is taken");
    /* gone, and everything is as before */
    fake_do(&server, "{\"do\":\"set\",\"listed\":true,\"adapters\":{}}");
    let_time_pass();
    inf_op_release(run(&b, &request));
    assert_true(fake_has_adapter(&server, "x"));
    close_bench(&b);
}

static void test_unload__restarted_and_another_has_the_name__leaves_it(void **state)
{
    struct bench b;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    fake_do(&server, "{\"do\":\"restart\"}");
    fake_do(&server, "{\"do\":\"set\",\"adapters\":{\"x\":\"%s\"}}", vllm.adapters[1]);
    let_time_pass();
    assert_int_equal(inf_adapter_unload(b.provider, "x", &err), INF_ERROR_STATE);
    assert_non_null(strstr(err.message, "another program"));
    assert_true(fake_has_adapter(&server, "x"));
    assert_int_equal(count_adapters(&b), 0);
    close_bench(&b);
}

static void test_generate__a_name_of_ours_on_the_server__is_no_adapter_id(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, "x");

    (void)state;
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    load(&b, "x", vllm.adapters[1]);
    wait_until_gone("x");
    expect_refused(&b, "x@2", INF_ERROR_INVALID_ARGUMENT, "ask for 'x'");
    inf_op_release(run(&b, &request));
    load(&b, "x@2", vllm.adapters[2]); /* as an id of its own it has a name of its own */
    assert_true(fake_has_adapter(&server, "x@2@2"));
    request.adapter_id = inf_str("x@2");
    inf_op_release(run(&b, &request));
    close_bench(&b);
}

static void test_generate__untracked_adapter__is_sent_as_it_is(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, "theirs");
    inf_op *op = NULL;
    inf_result r;
    inf_error err;
    inf_text body;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"adapters\":{\"theirs\":\"%s\"}}", vllm.adapters[0]);
    open_bench(&b, NULL);
    op = run(&b, &request);
    r = result_of(op);
    assert_memory_equal(r.adapter_id.data, "theirs", 7);
    assert_memory_equal(r.model.data, "smol", 5);
    inf_op_release(op);
    request.adapter_id = inf_str("nobody");
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 404);
    assert_non_null(strstr(err.message, "nobody"));
    body = inf_op_error_body(op);
    assert_non_null(strstr(body.data, "does not exist"));
    inf_op_release(op);
    close_bench(&b);
}

/* ------------------------------------------------------------------ refusals */

static void test_load__what_the_server_or_we_refuse__says_what_to_do(void **state)
{
    struct bench b;
    inf_adapter_source source;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    expect_load_error(&b, "x", "/nonexistent/adapter", INF_ERROR_HTTP_STATUS,
                      "/nonexistent/adapter");
    fake_do(&server, "{\"do\":\"set\",\"max_rank\":1}");
    expect_load_error(&b, "x", vllm.adapters[0], INF_ERROR_HTTP_STATUS, "--max-lora-rank");
    fake_do(&server, "{\"do\":\"set\",\"max_rank\":16}");
    fake_requests(&server, LOAD, NULL);
    expect_load_error(&b, "x", TEST_SOURCE_DIR "/fixtures/peft/nan-weight", INF_ERROR_NOT_FINITE,
                      "lora_");
    assert_int_equal(fake_requests(&server, LOAD, NULL), 0); /* never sent */
    fake_do(&server, "{\"do\":\"set\",\"routes\":false}");
    expect_load_error(&b, "x", vllm.adapters[0], INF_ERROR_HTTP_STATUS,
                      "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True");
    inf_adapter_source_default(&source, sizeof source);
    source.weights = inf_str("bytes");
    assert_int_equal(inf_adapter_load_start(&op, b.provider, "x", &source, NULL, &err),
                     INF_ERROR_UNSUPPORTED);
    assert_int_equal(count_adapters(&b), 0);
    close_bench(&b);
}

static void test_load__adapter_check_never__sends_what_it_is_given(void **state)
{
    struct bench b;
    inf_provider_config config = subject_config();

    (void)state;
    config.adapter_check = INF_ADAPTER_CHECK_NEVER;
    open_bench(&b, &config);
    load(&b, "x", TEST_SOURCE_DIR "/fixtures/peft/nan-weight");
    close_bench(&b);
}

static void test_load__relative_path__is_made_absolute(void **state)
{
    struct bench b;
    char before[1024];
    char *body = NULL;

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(FIXTURES), 0);
    open_bench(&b, NULL);
    load(&b, "x", "./adapter-0");
    fake_requests(&server, LOAD, &body);
    assert_non_null(strstr(body, FIXTURES "/adapter-0\""));
    free(body);
    assert_int_equal(chdir(before), 0);
    close_bench(&b);
}

static void test_generate__default_max_tokens_too_large__is_sent_once_more_without(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 1, NULL);
    inf_text stop = inf_str(" a");
    char *body = NULL;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    request.max_tokens = (inf_maybe_i32){0};
    request.stop = &stop;
    request.n_stop = 1;
    op = run(&b, &request);
    assert_int_equal(fake_requests(&server, CHAT, &body), 2);
    assert_null(strstr(body, "max_tokens"));
    free(body);
    inf_op_release(op);
    request.max_tokens = (inf_maybe_i32){true, 5000};
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 400);
    assert_non_null(strstr(err.message, "lower max_tokens"));
    assert_int_equal(fake_requests(&server, CHAT, NULL), 1);
    inf_op_release(op);
    close_bench(&b);
}

static void test_request__every_option__is_sent(void **state)
{
    static const int32_t ids[] = {7, 8};
    struct bench b;
    inf_request r = greedy("hi", 4, NULL);
    char *body = NULL;
    json_t *sent = NULL;

    (void)state;
    open_bench(&b, NULL);
    r.system_prompt = inf_str("Be brief.");
    r.top_p = (inf_maybe_f32){true, 0.9f};
    r.top_k = (inf_maybe_i32){true, 5};
    r.min_p = (inf_maybe_f32){true, 0.1f};
    r.repetition_penalty = (inf_maybe_f32){true, 1.2f};
    r.seed = (inf_maybe_u64){true, 3};
    r.stop_token_ids = ids;
    r.n_stop_token_ids = 2;
    r.logprobs = (inf_maybe_i32){true, 1};
    r.extra_json = inf_str("{\"priority\": 1}");
    r.extra_headers = inf_str("X-One: 1\nX-Two: 2");
    inf_op_release(run(&b, &r));
    assert_int_equal(fake_requests(&server, CHAT, &body), 1);
    sent = json_loads(body, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(sent, "top_k")), 5);
    assert_true(json_number_value(json_object_get(sent, "repetition_penalty")) == 1.2);
    assert_true(json_number_value(json_object_get(sent, "temperature")) == 0);
    assert_int_equal(json_integer_value(json_object_get(sent, "priority")), 1);
    assert_int_equal(json_array_size(json_object_get(sent, "messages")), 2);
    assert_true(json_is_true(json_object_get(sent, "ignore_eos")));
    json_decref(sent);
    free(body);
    close_bench(&b);
}

static void test_request__logprobs__come_back(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 5, NULL);
    inf_op *op = NULL;
    inf_result r;
    size_t at = 0;

    (void)state;
    open_bench(&b, NULL);
    request.logprobs = (inf_maybe_i32){true, 1};
    op = run(&b, &request);
    r = result_of(op);
    assert_int_equal(r.n_logprobs, 5);
    for (size_t i = 0; i < r.n_logprobs; i++) {
        assert_int_equal(r.logprobs[i].token_id, -1);
        assert_true(r.logprobs[i].logprob == -0.25f);
        assert_int_equal(r.logprobs[i].n_top, 1);
        assert_memory_equal(r.logprobs[i].piece.data, r.text.data + at, r.logprobs[i].piece.len);
        at += r.logprobs[i].piece.len;
    }
    assert_int_equal(at, r.text.len);
    inf_op_release(op);
    close_bench(&b);
}

static void test_request__adapter_scale__is_unsupported(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, "theirs");
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_bench(&b, NULL);
    request.adapter_scale = (inf_maybe_f32){true, 0.5f};
    assert_int_equal(inf_generate_start(&op, b.provider, &request, NULL, &err),
                     INF_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "adapter_scale"));
    close_bench(&b);
}

static void test_key__wrong_missing_and_right(void **state)
{
    struct bench b;
    inf_provider_config config = subject_config();
    inf_request request = greedy("hi", 4, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"key\":\"sesame\"}");
    open_bench(&b, NULL);
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_HTTP_STATUS);
    assert_int_equal(err.http_status, 401);
    assert_non_null(strstr(err.message, "VLLM_API_KEY"));
    inf_op_release(op);
    close_bench(&b);
    config.api_key = "sesame";
    open_bench(&b, &config);
    inf_op_release(run(&b, &request));
    close_bench(&b);
    setenv("VLLM_API_KEY", "sesame", 1);
    open_bench(&b, NULL);
    inf_op_release(run(&b, &request));
    close_bench(&b);
    unsetenv("VLLM_API_KEY");
}

static void expect_no_provider(const inf_provider_config *config, const char *says)
{
    inf_context *context = NULL;
    inf_provider *provider = NULL;
    inf_error err;

    assert_int_equal(inf_context_create(&context, NULL, &err), INF_OK);
    assert_int_equal(inf_provider_create(&provider, context, config, &err),
                     INF_ERROR_INVALID_ARGUMENT);
    if (!strstr(err.message, says))
        fail_msg("'%s' does not say '%s'", err.message, says);
    assert_null(strstr(err.message, "sesame"));
    assert_int_equal(inf_context_close(context, &err), INF_OK);
}

static void test_key__with_a_control_character__is_named_by_where_it_comes_from(void **state)
{
    inf_provider_config config = subject_config();

    (void)state;
    setenv("VLLM_API_KEY", "sesame\n", 1);
    expect_no_provider(&config, "VLLM_API_KEY");
    config.api_key = "sesame\x7f";
    expect_no_provider(&config, "api_key: ");
    unsetenv("VLLM_API_KEY");
}

static void test_url__user_and_password__are_sent_or_an_error_says_why_not(void **state)
{
    inf_provider_config config = subject_config();
    inf_request request = greedy("hi", 4, NULL);
    json_t *seen = NULL;
    struct bench b;
    char url[128];

    (void)state;
    snprintf(url, sizeof url, "http://ali:sesame@127.0.0.1:%d", server.port);
    config.base_url = url;
    open_bench(&b, &config);
    inf_op_release(run(&b, &request));
    seen = fake_order(&server, "{\"do\":\"state\"}");
    assert_string_equal(
        json_string_value(json_object_get(
            json_object_get(json_array_get(json_object_get(seen, "requests"), 0), "headers"),
            "authorization")),
        "Basic YWxpOnNlc2FtZQ==");
    json_decref(seen);
    close_bench(&b);
    config.headers = "X-A: b\nauthorization: Bearer open";
    expect_no_provider(&config, "take one of them away");
    config.headers = NULL;
    setenv("VLLM_API_KEY", "open", 1);
    expect_no_provider(&config, "VLLM_API_KEY is set");
    config.api_key = ""; /* says that there is none */
    open_bench(&b, &config);
    close_bench(&b);
    unsetenv("VLLM_API_KEY");
}

static void test_url__the_same_server_twice__is_an_error(void **state)
{
    inf_provider_config config = subject_config();
    char url[256];

    (void)state;
    config.base_url = url;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1,http://127.0.0.1:%d/", server.port,
             server.port);
    expect_no_provider(&config, "twice");
}

static void test_url__with_a_route__says_to_give_the_base(void **state)
{
    inf_provider_config config = subject_config();

    (void)state;
    config.base_url = "http://ali:sesame@host:8100/v1/chat/completions/";
    expect_no_provider(&config, "give the base: http://host:8100/v1");
    config.base_url = "http://here:1/v1,http://host/v1/load_lora_adapter";
    expect_no_provider(&config, "give the base: http://host/v1");
    config.type = INF_PROVIDER_OLLAMA;
    config.base_url = "http://host:11434/api/chat";
    expect_no_provider(&config, "give the base: http://host:11434");
    config.base_url = "http://host:8100/v1/models";
    expect_no_provider(&config, "the route /models, which is no part of it; give the base: "
                                "http://host:8100/v1");
    config.base_url = "http://host:8100/v1/chat/";
    expect_no_provider(&config, "the route /chat, which is no part of it; give the base: "
                                "http://host:8100/v1");
}

static void test_proxy__a_variable_that_is_none__matters_to_who_needs_it_only(void **state)
{
    inf_request request = greedy("hi", 4, NULL);
    struct bench b;
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    setenv("https_proxy", "gopher://nonsense", 1);
    open_bench(&b, NULL);
    inf_op_release(run(&b, &request));
    close_bench(&b);
    setenv("http_proxy", "gopher://nonsense", 1);
    setenv("no_proxy", "127.0.0.1", 1);
    open_bench(&b, NULL);
    inf_op_release(run(&b, &request));
    close_bench(&b);
    unsetenv("no_proxy");
    open_bench(&b, NULL);
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "http_proxy"));
    inf_op_release(op);
    close_bench(&b);
    unsetenv("http_proxy");
    unsetenv("https_proxy");
}

static void test_server_adapters__shows_what_is_ours_and_what_is_not(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_text text;
    json_t *list = NULL, *entry = NULL;
    size_t i = 0;
    inf_error err;

    (void)state;
    fake_do(&server, "{\"do\":\"set\",\"adapters\":{\"theirs\":\"/somewhere\"}}");
    open_bench(&b, NULL);
    load(&b, "x", vllm.adapters[0]);
    assert_int_equal(inf_server_adapters_start(&op, b.provider, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, -1, &err), INF_OK);
    assert_int_equal(inf_op_text(op, &text), INF_OK);
    list = json_loadb(text.data, text.len, 0, NULL);
    assert_int_equal(json_array_size(list), 2);
    json_array_foreach(list, i, entry)
    {
        bool ours = strcmp(json_string_value(json_object_get(entry, "name")), "x") == 0;

        assert_int_equal(json_is_true(json_object_get(entry, "tracked")), ours);
        assert_true(json_is_true(json_object_get(entry, "on_server")));
    }
    json_decref(list);
    inf_op_release(op);
    close_bench(&b);
}

static void test_cancel__while_streaming__closes_the_servers_connection(void **state)
{
    struct bench b;
    inf_request request = greedy("Count.", 1900, NULL);
    inf_op *ops[20];
    inf_error err;
    int running = 1;

    (void)state;
    open_bench(&b, NULL);
    for (int i = 0; i < 20; i++)
        assert_int_equal(inf_generate_start(&ops[i], b.provider, &request, NULL, &err), INF_OK);
    usleep(200000);
    for (int i = 0; i < 20; i++)
        inf_op_cancel(ops[i]);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(inf_op_wait(ops[i], -1, &err), INF_ERROR_CANCELLED);
        inf_op_release(ops[i]);
    }
    for (int i = 0; i < 100 && running; i++) {
        json_t *seen = fake_order(&server, "{\"do\":\"look\"}");

        running = (int)json_integer_value(json_object_get(seen, "running"));
        json_decref(seen);
        usleep(10000);
    }
    assert_int_equal(running, 0);
    close_bench(&b);
}

/* ------------------------------------------------------------------ replicas */

static struct fake other;
static char both[160];

static void open_two(struct bench *b)
{
    inf_provider_config config = subject_config();

    fake_start(&other, "vllm");
    snprintf(both, sizeof both, "%s, %s", server.url, other.url);
    config.base_url = both;
    config.connect_timeout_ms = 1000;
    open_bench(b, &config);
}

static void test_replicas__load__goes_to_all_and_requests_to_the_less_busy(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 50, "x");
    inf_op *ops[8];
    inf_error err;

    (void)state;
    open_two(&b);
    load(&b, "x", vllm.adapters[0]);
    assert_true(fake_has_adapter(&server, "x") && fake_has_adapter(&other, "x"));
    for (int i = 0; i < 8; i++)
        assert_int_equal(inf_generate_start(&ops[i], b.provider, &request, NULL, &err), INF_OK);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(inf_op_wait(ops[i], -1, &err), INF_OK);
        inf_op_release(ops[i]);
    }
    assert_int_equal(fake_requests(&server, CHAT, NULL), 4);
    assert_int_equal(fake_requests(&other, CHAT, NULL), 4);
    assert_int_equal(inf_adapter_unload(b.provider, "x", &err), INF_OK);
    assert_false(fake_has_adapter(&server, "x") || fake_has_adapter(&other, "x"));
    close_bench(&b);
    fake_stop(&other);
}

static void test_replicas__one_refuses_a_load__it_is_taken_back_from_the_others(void **state)
{
    struct bench b;

    (void)state;
    open_two(&b);
    fake_do(&other, "{\"do\":\"set\",\"max_rank\":1}");
    expect_load_error(&b, "x", vllm.adapters[0], INF_ERROR_HTTP_STATUS, "--max-lora-rank");
    assert_false(fake_has_adapter(&server, "x") || fake_has_adapter(&other, "x"));
    assert_int_equal(count_adapters(&b), 0);
    /* and when that fails, it is said where */
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" UNLOAD "\",\"act\":\"reset\"}");
    expect_load_error(&b, "y", vllm.adapters[0], INF_ERROR_HTTP_STATUS, server.url);
    assert_true(fake_has_adapter(&server, "y") || fake_has_adapter(&server, "y@2"));
    close_bench(&b);
    fake_stop(&other);
}

static void test_replicas__a_dead_one__is_skipped_and_gets_its_adapters_when_it_comes_back(
    void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, "x");
    int n = 0;

    (void)state;
    open_two(&b);
    load(&b, "x", vllm.adapters[0]);
    fake_do(&other, "{\"do\":\"die\"}");
    for (int i = 0; i < 6; i++)
        inf_op_release(run(&b, &request)); /* none of them fails */
    load(&b, "z", vllm.adapters[1]);       /* goes to the living one */
    fake_do(&other, "{\"do\":\"rise\"}");
    for (int i = 0; i < 100 && n == 0; i++) {
        usleep(50000);
        inf_op_release(run(&b, &request));
        n = fake_requests(&other, CHAT, NULL);
    }
    assert_true(n > 0);
    assert_true(fake_has_adapter(&other, "x") && fake_has_adapter(&other, "z"));
    close_bench(&b);
    fake_stop(&other);
}

static void test_replicas__comes_back_with_anothers_adapter__stays_out(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, "x");

    (void)state;
    open_two(&b);
    load(&b, "x", vllm.adapters[0]);
    fake_do(&other, "{\"do\":\"die\"}");
    for (int i = 0; i < 4; i++)
        inf_op_release(run(&b, &request));
    fake_requests(&other, CHAT, NULL);
    fake_do(&other, "{\"do\":\"set\",\"adapters\":{\"x\":\"%s\"}}", vllm.adapters[1]);
    fake_do(&other, "{\"do\":\"rise\"}");
    for (int i = 0; i < 60; i++) {
        usleep(50000);
        inf_op_release(run(&b, &request));
    }
    assert_int_equal(fake_requests(&other, CHAT, NULL), 0);
    assert_true(fake_has_adapter(&other, "x"));
    close_bench(&b);
    fake_stop(&other);
}

static void test_replicas__comes_back_during_a_load__gets_that_adapter_too(void **state)
{
    struct bench b;
    inf_adapter_source source;
    inf_request request = greedy("hi", 4, NULL);
    inf_op *op = NULL;
    inf_error err;
    int n = 0;

    (void)state;
    open_two(&b);
    fake_do(&other, "{\"do\":\"die\"}");
    for (int i = 0; i < 4; i++)
        inf_op_release(run(&b, &request)); /* it is found dead */
    fake_do(&server, "{\"do\":\"set\",\"load_delay\":4}");
    inf_adapter_source_default(&source, sizeof source);
    source.path = vllm.adapters[0];
    assert_int_equal(inf_adapter_load_start(&op, b.provider, "x", &source, NULL, &err), INF_OK);
    wait_for_requests(&server, LOAD);
    fake_do(&other, "{\"do\":\"rise\"}");
    fake_requests(&other, CHAT, NULL);
    for (int i = 0; i < 70 && n == 0; i++) { /* until it serves again */
        usleep(50000);
        inf_op_release(run(&b, &request));
        n = fake_requests(&other, CHAT, NULL);
    }
    if (inf_op_wait(op, -1, &err) != INF_OK)
        fail_msg("%s", err.message);
    inf_op_release(op);
    assert_true(n > 0);
    assert_true(fake_has_adapter(&other, "x"));
    close_bench(&b);
    fake_stop(&other);
}

static void test_replicas__one_that_never_answers__is_left_out_and_its_requests_go_on(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    inf_op *ops[4], *op = NULL;
    inf_text text;
    inf_error err;

    (void)state;
    open_two(&b);
    load(&b, "x", vllm.adapters[0]);
    fake_do(&other, "{\"do\":\"set\",\"hung\":true}");
    for (int i = 0; i < 4; i++)
        assert_int_equal(inf_generate_start(&ops[i], b.provider, &request, NULL, &err), INF_OK);
    for (int i = 0; i < 4; i++) {
        if (inf_op_wait(ops[i], 20000, &err) != INF_OK)
            fail_msg("%s", err.message);
        inf_op_release(ops[i]);
    }
    assert_int_equal(fake_requests(&server, CHAT, NULL), 4);
    /* what comes after does not try it */
    for (int i = 0; i < 4; i++)
        inf_op_release(run(&b, &request));
    assert_int_equal(fake_requests(&server, CHAT, NULL), 4);
    /* nor do a load and a list wait for it */
    load(&b, "y", vllm.adapters[1]);
    assert_int_equal(inf_server_adapters_start(&op, b.provider, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, 10000, &err), INF_OK);
    assert_int_equal(inf_op_text(op, &text), INF_OK);
    assert_non_null(strstr(text.data, "\"id\":\"y\""));
    inf_op_release(op);
    fake_do(&other, "{\"do\":\"set\",\"hung\":false}");
    close_bench(&b);
    fake_stop(&other);
}

static void test_replicas__list_with_one_that_never_answers__shows_the_others_soon(void **state)
{
    struct bench b;
    inf_op *op = NULL;
    inf_text text;
    inf_error err;

    (void)state;
    open_two(&b);
    load(&b, "x", vllm.adapters[0]);
    fake_do(&other, "{\"do\":\"set\",\"hung\":true}");
    assert_int_equal(inf_server_adapters_start(&op, b.provider, NULL, &err), INF_OK);
    assert_int_equal(inf_op_wait(op, 15000, &err), INF_OK); /* connect_timeout_ms is 1 s here */
    assert_int_equal(inf_op_text(op, &text), INF_OK);
    assert_non_null(strstr(text.data, "\"id\":\"x\""));
    inf_op_release(op);
    close_bench(&b);
    fake_stop(&other);
}

static void test_replicas__slow_one_and_a_users_short_timeout__stays(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    inf_op *op = NULL;
    inf_error err;
    int timeouts = 0;

    (void)state;
    open_two(&b);
    fake_do(&other, "{\"do\":\"next\",\"path\":\"" CHAT "\",\"act\":\"wait\",\"seconds\":0.6}");
    request.timeout_ms = 200;
    for (int i = 0; i < 2; i++) {
        timeouts += inf_generate(&op, b.provider, &request, &err) == INF_ERROR_TIMEOUT;
        inf_op_release(op);
    }
    assert_int_equal(timeouts, 1);
    fake_requests(&other, CHAT, NULL);
    request.timeout_ms = 60000;
    for (int i = 0; i < 4; i++)
        inf_op_release(run(&b, &request));
    assert_int_equal(fake_requests(&other, CHAT, NULL), 2);
    close_bench(&b);
    fake_stop(&other);
}

static void test_replicas__a_failed_rollback_after_a_long_refusal__still_names_the_replica(
    void **state)
{
    struct bench b;
    char id[241];

    (void)state;
    memset(id, 'i', 240);
    id[240] = '\0';
    open_two(&b);
    fake_do(&other,
            "{\"do\":\"next\",\"path\":\"" LOAD "\",\"act\":\"raw\",\"then\":\"keep\",\"text\":"
            "\"HTTP/1.1 500 Internal Server Error\\r\\ncontent-type: application/json\\r\\n"
            "content-length: 1024\\r\\n\\r\\n{\\\"error\\\":{\\\"message\\\":\\\"%01000d\\\"}}\"}",
            7);
    fake_do(&server, "{\"do\":\"next\",\"path\":\"" UNLOAD "\",\"act\":\"reset\"}");
    expect_load_error(&b, id, vllm.adapters[0], INF_ERROR_HTTP_STATUS, server.url);
    close_bench(&b);
    fake_stop(&other);
}

/* One lost connection makes a replica dead for a while; it is there all the same. */
static void test_replicas__taken_for_dead__is_told_of_an_unload_all_the_same(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, "x");
    inf_error err;

    (void)state;
    open_two(&b);
    load(&b, "x", vllm.adapters[0]);
    fake_do(&other, "{\"do\":\"next\",\"path\":\"" CHAT "\",\"act\":\"reset\"}");
    for (int i = 0; i < 4; i++)
        inf_op_release(run(&b, &request));
    assert_int_equal(inf_adapter_unload(b.provider, "x", &err), INF_OK);
    assert_false(fake_has_adapter(&server, "x"));
    assert_false(fake_has_adapter(&other, "x"));
    /* One that is not there is no failure: the other did it. */
    load(&b, "x", vllm.adapters[1]);
    fake_do(&other, "{\"do\":\"die\"}");
    assert_int_equal(inf_adapter_unload(b.provider, "x", &err), INF_OK);
    assert_int_equal(count_adapters(&b), 0);
    close_bench(&b);
    fake_stop(&other);
}

static void test_replicas__one_that_is_not_well__holds_up_no_load(void **state)
{
    struct bench b;

    (void)state;
    open_two(&b);
    fake_do(&other, "{\"do\":\"next\",\"path\":\"/v1/models\",\"act\":\"raw\",\"text\":"
                    "\"HTTP/1.1 503 Busy\\r\\ncontent-length: 0\\r\\n\\r\\n\"}");
    load(&b, "x", vllm.adapters[0]);
    assert_true(fake_has_adapter(&server, "x"));
    close_bench(&b);
    fake_stop(&other);
}

static void test_replicas__all_dead__is_a_connection_error(void **state)
{
    struct bench b;
    inf_request request = greedy("hi", 4, NULL);
    inf_op *op = NULL;
    inf_error err;

    (void)state;
    open_two(&b);
    fake_do(&server, "{\"do\":\"die\"}");
    fake_do(&other, "{\"do\":\"die\"}");
    assert_int_equal(inf_generate(&op, b.provider, &request, &err), INF_ERROR_CONNECTION);
    inf_op_release(op);
    expect_load_error(&b, "x", vllm.adapters[0], INF_ERROR_CONNECTION, "connection");
    fake_do(&server, "{\"do\":\"rise\"}");
    inf_op_release(run(&b, &request));
    close_bench(&b);
    fake_stop(&other);
}

int main(void)
{
#define SERVED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SERVED(test_load__replaced_at_the_same_path__the_new_weights_answer),
        SERVED(test_load__after_an_unload__takes_a_fresh_name),
        SERVED(test_load__users_own_name_with_an_at__is_not_mistaken_for_ours),
        SERVED(test_load__server_without_a_list_of_models__loads),
        SERVED(test_load__name_taken_by_somebody_else__is_an_error_that_says_how_to_unload),
        SERVED(test_load__fresh_name_taken_and_not_listed__goes_on_to_the_next),
        SERVED(test_load__two_of_one_id_at_once__both_end_and_one_serves),
        SERVED(test_unload__while_generating__comes_after_the_last_request),
        SERVED(test_unload__unknown_id__is_the_servers_404),
        SERVED(test_unload__server_forgot_it__is_a_404_and_not_tracked_afterwards),
        SERVED(test_load_and_unload__answer_lost__is_settled_by_the_list),
        SERVED(test_load__cancelled_while_the_server_is_at_it__leaves_nothing_for_long),
        SERVED(test_load__cancelled_while_the_server_is_at_it__is_taken_back),
        SERVED(test_close__right_after_a_cancelled_load__waits_until_it_is_taken_back),
        SERVED(test_load__one_that_the_server_is_long_at__holds_up_no_other_id),
        SERVED(test_load_and_unload__many_ids_at_once__each_ends_as_alone),
        SERVED(test_churn__loads_unloads_requests_and_cancels__leave_what_is_listed),
        SERVED(test_close__with_everything_in_flight__ends_it),
        SERVED(test_generate__server_restarted__the_adapter_is_loaded_again_once),
        SERVED(test_generate__restarted_and_the_files_changed__says_so),
        SERVED(test_load__another_programs_adapter_under_a_name_we_gave_back__stays),
        SERVED(test_load__our_name_lost_and_given_by_another__stays),
        SERVED(test_generate__restarted_and_another_has_the_name__is_never_used),
        SERVED(test_unload__restarted_and_another_has_the_name__leaves_it),
        SERVED(test_generate__a_name_of_ours_on_the_server__is_no_adapter_id),
        SERVED(test_generate__untracked_adapter__is_sent_as_it_is),
        SERVED(test_load__what_the_server_or_we_refuse__says_what_to_do),
        SERVED(test_load__adapter_check_never__sends_what_it_is_given),
        SERVED(test_load__relative_path__is_made_absolute),
        SERVED(test_generate__default_max_tokens_too_large__is_sent_once_more_without),
        SERVED(test_request__every_option__is_sent),
        SERVED(test_request__logprobs__come_back),
        SERVED(test_request__adapter_scale__is_unsupported),
        SERVED(test_key__wrong_missing_and_right),
        SERVED(test_key__with_a_control_character__is_named_by_where_it_comes_from),
        SERVED(test_url__user_and_password__are_sent_or_an_error_says_why_not),
        SERVED(test_url__the_same_server_twice__is_an_error),
        SERVED(test_url__with_a_route__says_to_give_the_base),
        SERVED(test_proxy__a_variable_that_is_none__matters_to_who_needs_it_only),
        SERVED(test_server_adapters__shows_what_is_ours_and_what_is_not),
        SERVED(test_cancel__while_streaming__closes_the_servers_connection),
        SERVED(test_replicas__load__goes_to_all_and_requests_to_the_less_busy),
        SERVED(test_replicas__one_refuses_a_load__it_is_taken_back_from_the_others),
        SERVED(test_replicas__a_dead_one__is_skipped_and_gets_its_adapters_when_it_comes_back),
        SERVED(test_replicas__comes_back_with_anothers_adapter__stays_out),
        SERVED(test_replicas__comes_back_during_a_load__gets_that_adapter_too),
        SERVED(test_replicas__one_that_never_answers__is_left_out_and_its_requests_go_on),
        SERVED(test_replicas__list_with_one_that_never_answers__shows_the_others_soon),
        SERVED(test_replicas__slow_one_and_a_users_short_timeout__stays),
        SERVED(test_replicas__a_failed_rollback_after_a_long_refusal__still_names_the_replica),
        SERVED(test_replicas__taken_for_dead__is_told_of_an_unload_all_the_same),
        SERVED(test_replicas__one_that_is_not_well__holds_up_no_load),
        SERVED(test_unload__not_ours_and_the_answer_lost__is_settled_by_the_list),
        SERVED(test_replicas__all_dead__is_a_connection_error),
    };
    struct CMUnitTest list[64];
    int failed = 0;

    for (size_t i = 0; i < n_conformance_tests; i++) {
        list[i] = conformance_tests[i];
        list[i].setup_func = set_up;
        list[i].teardown_func = tear_down;
    }
    failed = _cmocka_run_group_tests("conformance: vllm", list, n_conformance_tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("vllm", tests, NULL, NULL);
}
