/*
 * Load, generate, cancel, replace and unload, at random, from eight threads on a model of one
 * layer: at the end nothing is pinned, nothing registered, and the memory is what it was.
 * CHURN_OPERATIONS in the environment sets how many in all (default 100,000), INFERENCE_TEST_CHECKPOINT a
 * checkpoint's directory to run it on, instead of the GGUF file.
 */
#include "conformance.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURES TEST_SOURCE_DIR "/parity/fixtures/one-layer"
#define N_THREADS 8
#define N_IDS 12

static const struct subject llamacpp = {.type = INF_PROVIDER_LLAMACPP,
                                        .base_url = FIXTURES "/base.gguf",
                                        .adapters = {FIXTURES "/adapter-0", FIXTURES "/adapter-1",
                                                     FIXTURES "/adapter-2", FIXTURES "/adapter-3"},
                                        .in_process = true,
                                        .has_adapters = true};

static struct subject checkpoint = {.type = INF_PROVIDER_TRANSFORMERS,
                                    .adapters = {FIXTURES "/adapter-0", FIXTURES "/adapter-1",
                                                 FIXTURES "/adapter-2", FIXTURES "/adapter-3"},
                                    .in_process = true,
                                    .has_adapters = true};

struct churner {
    struct bench *bench;
    uint64_t state;
    int64_t operations;
    pthread_t thread;
};

static atomic_int done_calls, started;

static uint32_t draw(struct churner *c, uint32_t n)
{
    c->state = c->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(c->state >> 33) % n;
}

static void count_done(void *user_data, inf_op *op)
{
    (void)user_data;
    (void)op;
    atomic_fetch_add(&done_calls, 1);
}

static const char *random_id(struct churner *c)
{
    static const char *const ids[N_IDS] = {"a", "b", "c", "d", "e", "f",
                                           "g", "h", "i", "j", "k", "l"};

    return ids[draw(c, N_IDS)];
}

/* Any of these may fail for a reason that churn explains; nothing else may happen. */
static void expect(int32_t code, const inf_error *err)
{
    switch (code) {
    case INF_OK:
    case INF_ERROR_INVALID_ARGUMENT: /* the adapter is not loaded just now */
    case INF_ERROR_NOT_FOUND:
    case INF_ERROR_CANCELLED:
    case INF_ERROR_LIMIT:
    case INF_ERROR_TIMEOUT:
        return;
    default:
        fprintf(stderr, "unexpected: %s\n", err->message);
        abort();
    }
}

/* None, one or several of them, or the same again. */
static size_t draw_adapters(struct churner *c, inf_request_adapter *out, size_t most)
{
    size_t n = draw(c, (uint32_t)most + 1);

    for (size_t i = 0; i < n; i++)
        out[i] = (inf_request_adapter){.id = inf_str(random_id(c)),
                                       .scale = draw(c, 3) ? (inf_maybe_f32){false, 0}
                                                           : (inf_maybe_f32){true, 0.5f}};
    return n;
}

static void churn_generate(struct churner *c)
{
    inf_request_adapter adapters[3];
    inf_request request = greedy("Tell me of the sea.", 1 + (int32_t)draw(c, 12), NULL);
    inf_callbacks callbacks;
    inf_op *op = NULL;
    inf_error err;
    uint32_t fate = draw(c, 8);

    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_done = count_done;
    request.adapters = adapters;
    request.n_adapters = draw_adapters(c, adapters, 3);
    request.speculate = (int32_t)draw(c, 3);
    if (request.speculate != INF_SPECULATE_OFF && draw(c, 2))
        request.reference = inf_str("Tell me of the sea, of the sea and of me.");
    request.timeout_ms = fate == 0 ? 1 + draw(c, 5) : 600000;
    if (inf_generate_start(&op, c->bench->provider, &request, &callbacks, &err) != INF_OK) {
        expect(err.code, &err);
        return;
    }
    atomic_fetch_add(&started, 1);
    if (fate == 1)
        inf_op_cancel(op);
    if (fate > 2)
        expect(inf_op_wait(op, -1, &err), &err);
    inf_op_release(op); /* fate 2: in flight */
}

static void churn_load(struct churner *c)
{
    inf_error err;

    expect(inf_adapter_load(c->bench->provider, random_id(c), subject->adapters[draw(c, 4)], NULL,
                            &err),
           &err);
}

static void churn_unload(struct churner *c)
{
    inf_op *op = NULL;
    inf_error err;

    if (inf_adapter_unload_start(&op, c->bench->provider, random_id(c), NULL, &err) != INF_OK) {
        expect(err.code, &err);
        return;
    }
    if (draw(c, 2))
        expect(inf_op_wait(op, -1, &err), &err);
    inf_op_release(op);
}

static void *churn(void *arg)
{
    struct churner *c = arg;

    for (int64_t i = 0; i < c->operations; i++) {
        uint32_t what = draw(c, 10);

        if (what < 5)
            churn_generate(c);
        else if (what < 8)
            churn_load(c);
        else
            churn_unload(c);
    }
    return NULL;
}

static void run_churners(struct bench *b, int64_t operations)
{
    struct churner churners[N_THREADS];

    for (int i = 0; i < N_THREADS; i++) {
        churners[i] = (struct churner){
            .bench = b, .state = (uint64_t)i + 1, .operations = operations / N_THREADS};
        assert_int_equal(pthread_create(&churners[i].thread, NULL, churn, &churners[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(churners[i].thread, NULL);
}

static void unload_all(struct bench *b)
{
    inf_adapter_list *list = NULL;
    inf_error err;

    assert_int_equal(inf_adapters(&list, b->provider, &err), INF_OK);
    for (size_t i = 0; i < inf_adapter_list_count(list); i++)
        assert_int_equal(inf_adapter_unload(b->provider, inf_adapter_list_id(list, i), &err),
                         INF_OK);
    inf_adapter_list_free(list);
}

static void settle(struct bench *b)
{
    inf_request request = greedy("x", 1, NULL);

    unload_all(b);
    while (atomic_load(&done_calls) < atomic_load(&started)) /* released in flight */
        inf_op_release(run(b, &request));
}

static void test_churn__random_operations_from_eight_threads__leave_nothing_behind(void **state)
{
    const char *wanted = getenv("CHURN_OPERATIONS");
    int64_t operations = wanted ? atoll(wanted) : 100000;
    struct bench b;
    struct mallinfo2 before, after;
    inf_provider_stats s;

    (void)state;
    open_bench(&b, NULL);
    run_churners(&b, operations / 10); /* pools and caches reach their size */
    settle(&b);
    before = mallinfo2();
    run_churners(&b, operations);
    settle(&b);
    after = mallinfo2();
    s = stats_of(&b);
    print_message("%lld operations, %lld requests; heap in use %zu KiB before, %zu KiB after\n",
                  (long long)operations, (long long)s.requests, before.uordblks / 1024,
                  after.uordblks / 1024);
    assert_true(atomic_load(&started) > operations / 8); /* the rest named what was not loaded */
    assert_int_equal(s.pins, 0);
    assert_int_equal(s.adapters, 0);
    assert_int_equal(s.adapter_bytes, 0);
    assert_int_equal(s.active, 0);
    assert_int_equal(atomic_load(&done_calls), atomic_load(&started));
    assert_true(after.uordblks < before.uordblks + (1 << 20));
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_churn__random_operations_from_eight_threads__leave_nothing_behind),
    };

    checkpoint.base_url = getenv("INFERENCE_TEST_CHECKPOINT");
    subject = checkpoint.base_url ? &checkpoint : &llamacpp;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
