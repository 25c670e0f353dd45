/*
 * registry: ids, generations and pins. A payload here is a number that its destructor counts, so
 * that every test ends with: each payload destroyed once.
 */
#include "fake_backend.h"

#include "core/memory.h"
#include "core/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_PAYLOADS 200000

static _Atomic int32_t destroyed[MAX_PAYLOADS]; /* how often each was */
static _Atomic int32_t n_made;

static void *make_payload(void)
{
    return (void *)(uintptr_t)(atomic_fetch_add(&n_made, 1) + 1);
}

static void destroy_payload(void *payload)
{
    atomic_fetch_add(&destroyed[(uintptr_t)payload - 1], 1);
}

static int32_t times_destroyed(const void *payload)
{
    return atomic_load(&destroyed[(uintptr_t)payload - 1]);
}

static struct registry *open_registry(uint64_t max_adapters, uint64_t max_bytes, bool evict)
{
    struct registry_limits limits = {max_adapters, max_bytes, evict};
    struct registry *r = NULL;

    atomic_store(&n_made, 0);
    memset((void *)destroyed, 0, sizeof destroyed);
    assert_int_equal(registry_create(&r, &limits, destroy_payload, NULL), INF_OK);
    return r;
}

static void close_registry(struct registry *r)
{
    registry_free(r);
    for (int32_t i = 0; i < n_made; i++)
        assert_int_equal(destroyed[i], 1);
    assert_int_equal(mem_live(), 0);
}

/* Puts a new payload of so many bytes; the payload, or NULL when it was refused. */
static void *put(struct registry *r, const char *id, size_t bytes, inf_adapter_report *report,
                 char **evicted)
{
    inf_adapter_report unused = {0};
    void *payload = make_payload();

    if (!report)
        report = &unused;
    if (registry_put(r, id, payload, bytes, report, evicted, NULL) == INF_OK)
        return payload;
    destroy_payload(payload);
    return NULL;
}

static const struct adapter *pin(struct registry *r, const char *id)
{
    return registry_pin(r, id, strlen(id));
}

static void assert_counts(struct registry *r, int64_t adapters, int64_t pins, int64_t bytes)
{
    int64_t a = 0;
    int64_t p = 0;
    int64_t b = 0;

    registry_count(r, &a, &p, &b);
    assert_int_equal(a, adapters);
    assert_int_equal(p, pins);
    assert_int_equal(b, bytes);
}

static void count_call(void *arg)
{
    atomic_fetch_add((_Atomic int32_t *)arg, 1);
}

/* ------------------------------------------------------------------ generations */

static void what_was_put_is_found(void **state)
{
    struct registry *r = open_registry(0, 0, false);
    inf_adapter_report report = {.rank = 16, .scale = 2};
    void *payload = put(r, "pirate", 100, &report, NULL);
    const struct adapter *a = pin(r, "pirate");

    (void)state;
    assert_non_null(a);
    assert_ptr_equal(a->payload, payload);
    assert_string_equal(a->id, "pirate");
    assert_int_equal(a->generation, 1);
    assert_int_equal(a->bytes, 100);
    assert_int_equal(a->report->rank, 16);
    assert_int_equal(report.generation, 1);
    assert_int_equal(report.bytes, 100);
    assert_int_equal(report.replaced, 0);
    assert_counts(r, 1, 1, 100);
    assert_null(pin(r, "pirat"));
    assert_null(pin(r, "pirate2"));
    assert_null(pin(r, ""));
    assert_ptr_equal(registry_pin(r, "pirate and more", 6), a); /* the length counts */
    registry_unpin(r, a);
    registry_unpin(r, a);
    registry_unpin(r, NULL);
    assert_counts(r, 1, 0, 100);
    close_registry(r);
}

static void generations_rise_and_are_never_used_twice(void **state)
{
    struct registry *r = open_registry(0, 0, false);
    uint64_t last = 0;

    (void)state;
    for (int i = 0; i < 50; i++) {
        inf_adapter_report report = {0};

        put(r, i % 3 ? "a" : "b", 1, &report, NULL);
        assert_true(report.generation > last);
        last = report.generation;
        if (i % 5 == 0)
            assert_int_equal(registry_remove(r, i % 3 ? "a" : "b", NULL, NULL, NULL), INF_OK);
    }
    close_registry(r);
}

static void replacing_frees_what_nobody_uses(void **state)
{
    struct registry *r = open_registry(0, 0, false);
    void *first = put(r, "a", 10, NULL, NULL);
    inf_adapter_report report = {0};
    void *second = put(r, "a", 20, &report, NULL);

    (void)state;
    assert_int_equal(report.replaced, 1);
    assert_int_equal(times_destroyed(first), 1);
    assert_int_equal(times_destroyed(second), 0);
    assert_counts(r, 1, 0, 20);
    close_registry(r);
}

static void who_is_in_flight_keeps_the_generation_it_started_with(void **state)
{
    struct registry *r = open_registry(0, 0, false);
    void *first = put(r, "a", 10, NULL, NULL);
    const struct adapter *old = pin(r, "a");
    void *second = put(r, "a", 20, NULL, NULL);
    const struct adapter *new = pin(r, "a");

    (void)state;
    assert_ptr_equal(old->payload, first);
    assert_ptr_equal(new->payload, second);
    assert_true(new->generation > old->generation);
    assert_counts(r, 1, 2, 30);
    assert_int_equal(times_destroyed(first), 0);
    registry_unpin(r, old);
    assert_int_equal(times_destroyed(first), 1);
    assert_counts(r, 1, 1, 20);
    registry_unpin(r, new);
    assert_int_equal(times_destroyed(second), 0);
    close_registry(r);
}

/* ------------------------------------------------------------------ removing */

static void removing_an_unknown_id_names_it(void **state)
{
    struct registry *r = open_registry(0, 0, false);
    _Atomic int32_t calls = 0;
    inf_error err;

    (void)state;
    assert_int_equal(registry_remove(r, "ghost", count_call, (void *)&calls, &err),
                     INF_ERROR_NOT_FOUND);
    assert_non_null(strstr(err.message, "ghost"));
    assert_int_equal(calls, 0);
    close_registry(r);
}

static void removing_hides_at_once_and_tells_when_the_memory_is_back(void **state)
{
    struct registry *r = open_registry(0, 0, false);
    _Atomic int32_t calls = 0;
    void *payload = put(r, "a", 10, NULL, NULL);
    const struct adapter *one = pin(r, "a");
    const struct adapter *two = pin(r, "a");

    (void)state;
    assert_int_equal(registry_remove(r, "a", count_call, (void *)&calls, NULL), INF_OK);
    assert_null(pin(r, "a"));
    assert_counts(r, 0, 2, 10);
    assert_int_equal(registry_remove(r, "a", NULL, NULL, NULL), INF_ERROR_NOT_FOUND);
    registry_unpin(r, one);
    assert_int_equal(calls, 0);
    assert_ptr_equal(two->payload, payload); /* still whole */
    registry_unpin(r, two);
    assert_int_equal(calls, 1);
    assert_int_equal(times_destroyed(payload), 1);
    assert_counts(r, 0, 0, 0);
    close_registry(r);
}

static void removing_what_nobody_uses_tells_in_the_call(void **state)
{
    struct registry *r = open_registry(0, 0, false);
    _Atomic int32_t calls = 0;

    (void)state;
    put(r, "a", 10, NULL, NULL);
    assert_int_equal(registry_remove(r, "a", count_call, (void *)&calls, NULL), INF_OK);
    assert_int_equal(calls, 1);
    close_registry(r);
}

static void an_id_can_come_back_while_its_old_self_is_still_pinned(void **state)
{
    struct registry *r = open_registry(0, 0, false);
    _Atomic int32_t calls = 0;
    void *first = put(r, "a", 10, NULL, NULL);
    const struct adapter *old = pin(r, "a");
    inf_adapter_report report = {0};

    (void)state;
    assert_int_equal(registry_remove(r, "a", count_call, (void *)&calls, NULL), INF_OK);
    put(r, "a", 20, &report, NULL);
    assert_int_equal(report.replaced, 0);
    assert_int_equal(report.generation, 2);
    assert_ptr_equal(old->payload, first);
    registry_unpin(r, old);
    assert_int_equal(calls, 1);
    assert_counts(r, 1, 0, 20);
    close_registry(r);
}

/* ------------------------------------------------------------------ limits */

static void a_full_registry_refuses_and_says_how_many(void **state)
{
    struct registry *r = open_registry(2, 0, false);
    inf_adapter_report report = {0};
    void *payload = NULL;
    inf_error err;

    (void)state;
    put(r, "a", 1, NULL, NULL);
    put(r, "b", 1, NULL, NULL);
    payload = make_payload();
    assert_int_equal(registry_put(r, "c", payload, 1, &report, NULL, &err), INF_ERROR_LIMIT);
    assert_int_equal(err.detail, 2);
    assert_non_null(strstr(err.message, "max_adapters"));
    assert_int_equal(times_destroyed(payload), 0); /* still ours */
    destroy_payload(payload);
    assert_non_null(put(r, "a", 1, NULL, NULL)); /* replacing takes no further place */
    assert_counts(r, 2, 0, 2);
    close_registry(r);
}

static void a_budget_of_bytes_counts_what_is_pinned_too(void **state)
{
    struct registry *r = open_registry(0, 100, false);
    const struct adapter *old = NULL;
    inf_adapter_report report = {0};
    inf_error err;

    (void)state;
    assert_non_null(put(r, "a", 60, NULL, NULL));
    assert_null(put(r, "b", 41, NULL, NULL));
    assert_non_null(put(r, "b", 40, NULL, NULL));
    assert_non_null(put(r, "a", 60, NULL, NULL)); /* the old 60 go */
    old = pin(r, "a");
    assert_null(put(r, "a", 60, NULL, NULL)); /* the old 60 stay: pinned */
    assert_ptr_equal(pin(r, "a"), old);       /* a failed load leaves the old one serving */
    registry_unpin(r, old);
    registry_unpin(r, old);
    assert_int_equal(registry_put(r, "c", NULL, 101, &report, NULL, &err), INF_ERROR_LIMIT);
    assert_int_equal(err.detail, 100);
    assert_non_null(strstr(err.message, "max_adapter_bytes"));
    close_registry(r);
}

/* The message names the limit that was met, not the other one that happens to be full too. */
static void the_limit_that_was_met_is_named(void **state)
{
    struct registry *r = open_registry(1, 100, false);
    inf_adapter_report report = {0};
    inf_error err;

    (void)state;
    put(r, "a", 10, NULL, NULL);
    assert_int_equal(registry_put(r, "a", NULL, 200, &report, NULL, &err), INF_ERROR_LIMIT);
    assert_non_null(strstr(err.message, "max_adapter_bytes"));
    close_registry(r);
    r = open_registry(1, 100, true);
    put(r, "a", 10, NULL, NULL);
    assert_int_equal(registry_put(r, "b", NULL, 200, &report, NULL, &err), INF_ERROR_LIMIT);
    assert_non_null(strstr(err.message, "max_adapter_bytes"));
    close_registry(r);
}

static void eviction_takes_the_least_recently_used_unpinned_one_and_names_it(void **state)
{
    struct registry *r = open_registry(3, 0, true);
    const struct adapter *held = NULL;
    char *evicted = NULL;

    (void)state;
    put(r, "a", 1, NULL, &evicted);
    assert_null(evicted);
    put(r, "b", 1, NULL, NULL);
    put(r, "c", 1, NULL, NULL);
    registry_unpin(r, pin(r, "a")); /* used: now b is the oldest */
    assert_non_null(put(r, "d", 1, NULL, &evicted));
    assert_string_equal(evicted, "b");
    mem_free(evicted);
    held = pin(r, "c"); /* would be next, but is in use */
    assert_non_null(put(r, "e", 1, NULL, &evicted));
    assert_string_equal(evicted, "a");
    mem_free(evicted);
    registry_unpin(r, held);
    assert_counts(r, 3, 0, 3);
    close_registry(r);
}

static void eviction_for_bytes_may_take_several(void **state)
{
    struct registry *r = open_registry(0, 100, true);
    char *evicted = NULL;

    (void)state;
    put(r, "a", 30, NULL, NULL);
    put(r, "b", 30, NULL, NULL);
    put(r, "c", 30, NULL, NULL);
    assert_non_null(put(r, "d", 70, NULL, &evicted));
    assert_string_equal(evicted, "a b");
    mem_free(evicted);
    assert_counts(r, 2, 0, 100);
    close_registry(r);
}

static void when_everything_is_in_use_eviction_refuses_and_evicts_nothing(void **state)
{
    struct registry *r = open_registry(2, 100, true);
    const struct adapter *a = NULL;
    const struct adapter *b = NULL;
    inf_adapter_report report = {0};
    char *evicted = NULL;
    inf_error err;

    (void)state;
    put(r, "a", 40, NULL, NULL);
    put(r, "b", 40, NULL, NULL);
    a = pin(r, "a");
    b = pin(r, "b");
    assert_int_equal(registry_put(r, "c", NULL, 1, &report, &evicted, &err), INF_ERROR_LIMIT);
    assert_non_null(strstr(err.message, "max_adapters"));
    assert_null(evicted);
    registry_unpin(r, b);
    assert_null(put(r, "c", 61, NULL, &evicted)); /* b going would not be enough */
    assert_counts(r, 2, 1, 80);
    registry_unpin(r, a);
    close_registry(r);
}

/* ------------------------------------------------------------------ looking */

static inf_adapter_list *list_of(inf_provider *p)
{
    inf_adapter_list *list = NULL;

    assert_int_equal(inf_adapters(&list, p, NULL), INF_OK);
    return list;
}

static void the_list_is_sorted_bytewise(void **state)
{
    static const char *const given[] = {"b",   "a",  "B", "\xc3\xa9", "a b",
                                        "a/b", "aa", "~", "10",       "9"};
    static const char *const sorted[] = {"10",  "9",  "B", "a", "a b",
                                         "a/b", "aa", "b", "~", "\xc3\xa9"};
    inf_context *ctx = open_context(INF_DELIVERY_CALLBACKS);
    inf_provider *p = open_fake(ctx, &fake_ops);
    inf_adapter_list *list = NULL;
    inf_adapter_report report;

    (void)state;
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(inf_adapter_load(p, given[i], given[i], NULL, NULL), INF_OK);
    list = list_of(p);
    assert_int_equal(inf_adapter_list_count(list), 10);
    for (size_t i = 0; i < 10; i++) {
        assert_string_equal(inf_adapter_list_id(list, i), sorted[i]);
        assert_int_equal(inf_adapter_list_report(list, i, &report, sizeof report), INF_OK);
        assert_int_equal(report.bytes, strlen(sorted[i]));
        assert_memory_equal(report.id.data, sorted[i], strlen(sorted[i]));
    }
    assert_null(inf_adapter_list_id(list, 10));
    assert_int_equal(inf_adapter_list_report(list, 10, &report, sizeof report),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(inf_adapter_unload(p, "a", NULL), INF_OK);
    assert_int_equal(inf_adapter_list_count(list), 10); /* a snapshot */
    inf_adapter_list_free(list);
    inf_adapter_list_free(NULL);
    assert_int_equal(inf_adapter_list_count(NULL), 0);
    assert_null(inf_adapter_list_id(NULL, 0));
    close_all(ctx, p);
}

static void thousands_of_ids(void **state)
{
    enum { N = 5000 };
    struct registry *r = open_registry(0, 0, false);
    char id[32];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof id, "adapter-%d", i * 7919 % N); /* every one, out of order */
        assert_non_null(put(r, id, 1, NULL, NULL));
    }
    assert_counts(r, N, 0, N);
    for (int i = 0; i < N; i++) {
        const struct adapter *a = NULL;

        snprintf(id, sizeof id, "adapter-%d", i);
        a = pin(r, id);
        assert_non_null(a);
        assert_string_equal(a->id, id);
        registry_unpin(r, a);
        if (i % 2)
            assert_int_equal(registry_remove(r, id, NULL, NULL, NULL), INF_OK);
    }
    assert_counts(r, N / 2, 0, N / 2);
    close_registry(r);
}

/* ------------------------------------------------------------------ memory */

static void out_of_memory_leaves_the_old_one_serving(void **state)
{
    struct registry *r = open_registry(4, 0, true);
    void *first = put(r, "a", 1, NULL, NULL);

    (void)state;
    for (int64_t nth = 1; nth <= 3; nth++) { /* the generation, its id, room for victims */
        const struct adapter *a = NULL;

        mem_fail_nth(nth);
        assert_null(put(r, "a", 1, NULL, NULL));
        mem_fail_nth(0);
        a = pin(r, "a");
        assert_ptr_equal(a->payload, first);
        registry_unpin(r, a);
    }
    close_registry(r);
}

/* ------------------------------------------------------------------ races */

struct worker {
    pthread_t thread;
    struct registry *r;
    uint32_t seed;
    int32_t rounds;
    int32_t removed;          /* removes that succeeded */
    _Atomic int32_t unloaded; /* and were told about */
    int32_t wrong;            /* pins that gave another id or a destroyed payload */
};

static uint32_t draw(struct worker *w, uint32_t n)
{
    w->seed = w->seed * 1664525u + 1013904223u;
    return (w->seed >> 8) % n;
}

static void use_pinned(struct worker *w, const char *id)
{
    const struct adapter *a = pin(w->r, id);

    if (!a)
        return;
    w->wrong += strcmp(a->id, id) != 0 || times_destroyed(a->payload) != 0;
    registry_unpin(w->r, a);
}

static void *churn(void *arg)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct worker *w = arg;

    for (int32_t i = 0; i < w->rounds; i++) {
        const char *id = ids[draw(w, 8)];
        uint32_t what = draw(w, 10);
        char *evicted = NULL;

        if (what < 3)
            put(w->r, id, 1 + draw(w, 50), NULL, &evicted);
        else if (what == 3)
            w->removed += registry_remove(w->r, id, count_call, (void *)&w->unloaded, NULL) ==
                          INF_OK;
        else
            use_pinned(w, id);
        mem_free(evicted);
    }
    return NULL;
}

static void load_use_replace_evict_and_unload_race(void **state)
{
    struct registry *r = open_registry(6, 200, true);
    struct worker workers[4];

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        memset(&workers[i], 0, sizeof workers[i]);
        workers[i].r = r;
        workers[i].seed = i + 1;
        workers[i].rounds = 50000 / SLOW;
        pthread_create(&workers[i].thread, NULL, churn, &workers[i]);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(workers[i].wrong, 0);
        assert_int_equal(workers[i].unloaded, workers[i].removed);
        assert_true(workers[i].removed > 0);
    }
    close_registry(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(generations_rise_and_are_never_used_twice),
        cmocka_unit_test(replacing_frees_what_nobody_uses),
        cmocka_unit_test(who_is_in_flight_keeps_the_generation_it_started_with),
        cmocka_unit_test(removing_an_unknown_id_names_it),
        cmocka_unit_test(removing_hides_at_once_and_tells_when_the_memory_is_back),
        cmocka_unit_test(removing_what_nobody_uses_tells_in_the_call),
        cmocka_unit_test(an_id_can_come_back_while_its_old_self_is_still_pinned),
        cmocka_unit_test(a_full_registry_refuses_and_says_how_many),
        cmocka_unit_test(a_budget_of_bytes_counts_what_is_pinned_too),
        cmocka_unit_test(the_limit_that_was_met_is_named),
        cmocka_unit_test(eviction_takes_the_least_recently_used_unpinned_one_and_names_it),
        cmocka_unit_test(eviction_for_bytes_may_take_several),
        cmocka_unit_test(when_everything_is_in_use_eviction_refuses_and_evicts_nothing),
        cmocka_unit_test(the_list_is_sorted_bytewise),
        cmocka_unit_test(thousands_of_ids),
        cmocka_unit_test(out_of_memory_leaves_the_old_one_serving),
        cmocka_unit_test(load_use_replace_evict_and_unload_race),
    };

    return cmocka_run_group_tests_name("core: registry", tests, NULL, NULL);
}
