/*
 * slots: what is kept for whom, where a sequence starts, and that the book never differs from the
 * engine's memory. No thread and no scheduler: sequences here are prompts with adapters.
 */
#include "free_engine.h"

#include "core/clock.h"
#include "core/memory.h"
#include "local/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_PROMPT = 128 };

struct house {
    struct free_engine e;
    struct slots slots;
    int64_t live; /* allocations, before */
};

/* A sequence as slots see one. */
struct guest {
    struct sequence sequence;
    int32_t tokens[MAX_PROMPT];
};

static const struct adapter pirate = {.generation = 1, .id = "pirate"};
static const struct adapter poet = {.generation = 2, .id = "poet"};

/* The guests' adapters, held by this test: what slots have taken they must have given back. */
enum { MAX_SETS = 32 };
static struct adapter_set *sets[MAX_SETS];
static int32_t n_sets;

#define SIXTEEN "0123456789abcdef"
static const char long_prompt[] = "the quick brown fox jumps";

static void open_house(struct house *h, int32_t max_slots)
{
    struct engine_limits limits = {
        .max_slots = max_slots, .max_context = 3000, .max_tokens = 512, .n_vocab = FREE_N_VOCAB};

    h->live = mem_live();
    assert_true(free_engine_init(&h->e, &limits));
    assert_int_equal(slots_init(&h->slots, &h->e.engine, NULL), INF_OK);
}

/* What the book says of every slot is what the engine holds in it. */
static void assert_book_is_memory(const struct house *h)
{
    for (int32_t i = 0; i < h->slots.n; i++) {
        const struct slot *slot = &h->slots.slot[i];
        const struct free_slot *memory = &h->e.slots[i];

        assert_int_equal(slot->n, memory->n);
        for (int32_t t = 0; t < slot->n; t++) {
            assert_int_equal(slot->tokens[t], memory->cells[t].token);
            assert_true(memory->cells[t].key ==
                        free_key(slot->adapters ? slot->adapters->list : NULL,
                                 adapter_set_size(slot->adapters)));
        }
        if (slot->sequence)
            assert_int_equal(slot->sequence->slot, i);
        if (memory->dirty)
            assert_true(slot->suspect || (slot->sequence && slot->sequence->adapters));
    }
    assert_string_equal(h->e.complaint, "");
}

static void close_house(struct house *h)
{
    assert_book_is_memory(h);
    slots_free(&h->slots);
    free_engine_free(&h->e);
    assert_int_equal(mem_live(), h->live);
    while (n_sets > 0) {
        assert_int_equal(sets[--n_sets]->refs, 1);
        free(sets[n_sets]);
    }
}

static struct adapter_set *set_of(const struct adapter *const *adapters, const float *scales,
                                  int32_t n)
{
    struct adapter_set *s = malloc(sizeof *s + (size_t)n * sizeof *s->list);

    assert_true(s && n_sets < MAX_SETS);
    sets[n_sets++] = s;
    *s = (struct adapter_set){.refs = 1, .n = n};
    for (int32_t i = 0; i < n; i++)
        s->list[i] = (struct scaled_adapter){adapters[i], adapters[i]->generation, scales[i]};
    return s;
}

static struct guest guest(const char *prompt, const struct adapter *adapter, float scale)
{
    struct guest g = {.sequence = {.n_tokens = (int32_t)strlen(prompt),
                                   .adapters = adapter ? set_of(&adapter, &scale, 1) : NULL,
                                   .slot = -1}};

    for (int32_t i = 0; i < g.sequence.n_tokens; i++)
        g.tokens[i] = (unsigned char)prompt[i];
    return g;
}

static int32_t place(struct house *h, struct guest *g, inf_error *err)
{
    g->sequence.tokens = g->tokens;
    return slots_place(&h->slots, &g->sequence, slots_find_room(&h->slots), err);
}

/* Computes what is still missing of the guest's tokens. */
static void compute(struct house *h, struct guest *g)
{
    const struct slot *slot = &h->slots.slot[g->sequence.slot];
    struct engine_row row = {.slot = g->sequence.slot,
                             .position = slot->n,
                             .tokens = g->tokens + slot->n,
                             .adapters = g->sequence.adapters};
    int32_t n = g->sequence.n_tokens - slot->n;

    assert_int_equal(h->e.engine.ops->decode(&h->e, &row, 1, n, NULL), INF_OK);
    assert_int_equal(slots_append(&h->slots, g->sequence.slot, row.tokens, n, NULL), INF_OK);
    assert_book_is_memory(h);
}

/* Comes and stays. */
static void stay(struct house *h, struct guest *g)
{
    assert_int_equal(place(h, g, NULL), INF_OK);
    compute(h, g);
}

static void leave(struct house *h, struct guest *g)
{
    slots_leave(&h->slots, g->sequence.slot);
    slots_close_holes(&h->slots);
    assert_book_is_memory(h);
}

/* Comes, is computed, leaves. */
static void visit(struct house *h, const char *prompt, const struct adapter *adapter, float scale)
{
    struct guest g = guest(prompt, adapter, scale);

    stay(h, &g);
    leave(h, &g);
}

static int32_t count_calls(const struct house *h, enum free_kind kind)
{
    int32_t n = 0;

    for (size_t i = 0; i < h->e.n_calls; i++)
        n += h->e.calls[i].kind == kind;
    return n;
}

/* ------------------------------------------------------------------ room */

static void test_slots__all_taken__no_room(void **state)
{
    struct guest a = guest("a", NULL, 1);
    struct guest b = guest("b", NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    assert_int_equal(slots_find_room(&h.slots), 0);
    stay(&h, &a);
    assert_int_equal(slots_find_room(&h.slots), 1);
    stay(&h, &b);
    assert_int_equal(slots_find_room(&h.slots), -1);
    slots_leave(&h.slots, 0);
    assert_int_equal(slots_find_room(&h.slots), 0); /* a hole before the end */
    close_house(&h);
}

static void test_init__engine_refuses__error_and_nothing_left(void **state)
{
    struct engine_limits limits = {
        .max_slots = 2, .max_context = 64, .max_tokens = 8, .n_vocab = FREE_N_VOCAB};
    struct house h;
    inf_error err = {0};

    (void)state;
    assert_true(free_engine_init(&h.e, &limits));
    h.e.fail_nth[FREE_RESERVE] = 1;
    assert_int_equal(slots_init(&h.slots, &h.e.engine, &err), INF_ERROR_BACKEND);
    assert_string_equal(err.message, "the test says so");
    mem_fail_nth(1);
    assert_int_equal(slots_init(&h.slots, &h.e.engine, &err), INF_ERROR_NO_MEMORY);
    mem_fail_nth(0);
    assert_int_equal(mem_live(), 0);
    free_engine_free(&h.e);
}

static void test_reserve_context__grows_by_doubling__up_to_the_window(void **state)
{
    struct guest a = guest("hello", NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    assert_int_equal(h.e.n_context, 512);
    assert_int_equal(slots_reserve_context(&h.slots, 512, NULL), INF_OK);
    assert_int_equal(h.e.n_context, 512);
    assert_int_equal(slots_reserve_context(&h.slots, 513, NULL), INF_OK);
    assert_int_equal(h.e.n_context, 1024);
    assert_int_equal(slots_reserve_context(&h.slots, 600, NULL), INF_OK);
    assert_int_equal(count_calls(&h, FREE_RESERVE), 2);
    assert_int_equal(slots_reserve_context(&h.slots, 2049, NULL), INF_OK);
    assert_int_equal(h.e.n_context, 3000); /* the window, not 4096 */
    close_house(&h);
}

static void test_reserve_context__refused__everything_as_before(void **state)
{
    struct guest a = guest("hello", NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    h.e.fail_nth[FREE_RESERVE] = 1;
    assert_int_equal(slots_reserve_context(&h.slots, 600, NULL), INF_ERROR_BACKEND);
    assert_int_equal(h.slots.n_context, 512);
    assert_int_equal(slots_reserve_context(&h.slots, 600, NULL), INF_OK);
    assert_int_equal(h.slots.n_context, 1024);
    assert_int_equal(h.e.n_context, 1024);
    close_house(&h);
}

/* ------------------------------------------------------------------ prefixes */

/* Prefix tokens that `prompt` finds after `before` came and went. */
static int32_t prefix_after(const char *before, const struct adapter *adapter, float scale,
                            const char *prompt, const struct adapter *adapter2, float scale2)
{
    struct guest g = guest(prompt, adapter2, scale2);
    struct house h;
    int32_t n = 0;

    open_house(&h, 3);
    visit(&h, before, adapter, scale);
    stay(&h, &g);
    n = g.sequence.n_prefix;
    close_house(&h);
    return n;
}

static void test_place__longest_common_prefix__is_kept(void **state)
{
    (void)state;
    assert_int_equal(prefix_after("hello", NULL, 1, "help", NULL, 1), 3);
    assert_int_equal(prefix_after("hello", NULL, 1, "hello you", NULL, 1), 5);
    assert_int_equal(prefix_after("hello", NULL, 1, "bye", NULL, 1), 0);
}

static void test_place__same_prompt__last_token_is_computed_again(void **state)
{
    (void)state;
    assert_int_equal(prefix_after("hello", NULL, 1, "hello", NULL, 1), 4);
    assert_int_equal(prefix_after("hello", NULL, 1, "hell", NULL, 1), 3);
}

static void test_place__prefix_of_another_generation_or_scale__is_not_used(void **state)
{
    (void)state;
    assert_int_equal(prefix_after("hello", &pirate, 1, "hello", &pirate, 1), 4);
    assert_int_equal(prefix_after("hello", &pirate, 1, "hello", &poet, 1), 0);
    assert_int_equal(prefix_after("hello", &pirate, 1, "hello", &pirate, 2), 0);
    assert_int_equal(prefix_after("hello", &pirate, 1, "hello", NULL, 1), 0);
    assert_int_equal(prefix_after("hello", NULL, 1, "hello", &pirate, 1), 0);
    assert_int_equal(prefix_after("hello", NULL, 1, "hello", NULL, 2), 4); /* base has no scale */
}

/* The prefix that the second of two visitors with the same prompt finds, under these pairs. */
static int32_t prefix_under(const struct adapter *const *a, const float *a_scales, int32_t n_a,
                            const struct adapter *const *b, const float *b_scales, int32_t n_b)
{
    struct guest first = guest("hello", NULL, 1);
    struct guest second = guest("hello", NULL, 1);
    struct house h;

    first.sequence.adapters = set_of(a, a_scales, n_a);
    second.sequence.adapters = set_of(b, b_scales, n_b);
    open_house(&h, 3);
    stay(&h, &first);
    leave(&h, &first);
    stay(&h, &second);
    close_house(&h);
    return second.sequence.n_prefix;
}

static void test_place__prefix_under_several__is_used_under_the_same_pairs_in_order(void **state)
{
    static const struct adapter *const both[] = {&pirate, &poet};
    static const struct adapter *const turned[] = {&poet, &pirate};
    static const struct adapter *const twice[] = {&pirate, &pirate};
    static const float scales[] = {0.5f, 2};
    static const float others[] = {0.5f, 3};
    static const float turned_scales[] = {2, 0.5f};

    (void)state;
    assert_int_equal(prefix_under(both, scales, 2, both, scales, 2), 4);
    assert_int_equal(prefix_under(twice, scales, 2, twice, scales, 2), 4);
    assert_int_equal(prefix_under(both, scales, 2, turned, turned_scales, 2), 0);
    assert_int_equal(prefix_under(both, scales, 2, both, others, 2), 0);
    assert_int_equal(prefix_under(both, scales, 2, both, scales, 1), 0);
    assert_int_equal(prefix_under(both, scales, 1, both, scales, 2), 0);
    assert_int_equal(prefix_under(both, scales, 2, twice, scales, 2), 0);
}

static void test_place__prefix_in_another_idle_slot__is_moved_not_copied(void **state)
{
    struct guest a = guest("abc", NULL, 1);
    struct guest b = guest(long_prompt, NULL, 1);
    struct guest again = guest(long_prompt, NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 3);
    stay(&h, &a);
    stay(&h, &b);
    leave(&h, &b);
    leave(&h, &a);
    assert_int_equal(h.e.slots[1].cells[0].token, 't');
    stay(&h, &again);
    assert_int_equal(again.sequence.slot, 0);
    assert_int_equal(again.sequence.n_prefix, again.sequence.n_tokens - 1);
    assert_int_equal(count_calls(&h, FREE_COPY), 0);
    assert_int_equal(h.e.slots[1].cells[0].token, 'a'); /* what was there is kept too */
    close_house(&h);
}

static void test_place__prefix_in_a_busy_slot__is_copied(void **state)
{
    struct guest a = guest(long_prompt, &pirate, 0.5f);
    struct guest b = guest("the quick brown fox sleeps", &pirate, 0.5f);
    struct house h;

    (void)state;
    open_house(&h, 3);
    stay(&h, &a);
    stay(&h, &b);
    assert_int_equal(b.sequence.n_prefix, 20);
    assert_int_equal(count_calls(&h, FREE_COPY), 1);
    assert_int_equal(h.slots.slot[0].n,
                     (int)strlen(long_prompt)); /* the first goes on with its own */
    close_house(&h);
}

static void test_place__short_prefix_in_another_slot__is_computed_again(void **state)
{
    struct guest a = guest(SIXTEEN "one", NULL, 1);
    struct guest b = guest("0123456789abcde", NULL, 1);
    struct guest c = guest(SIXTEEN "two", NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 3);
    stay(&h, &a);
    stay(&h, &b);
    assert_int_equal(b.sequence.n_prefix, 0);
    assert_int_equal(count_calls(&h, FREE_COPY), 0);
    stay(&h, &c);
    assert_int_equal(c.sequence.n_prefix, 16);
    assert_int_equal(count_calls(&h, FREE_COPY), 1);
    close_house(&h);
}

static void test_place__truncation_refused__starts_from_nothing(void **state)
{
    struct guest g = guest("hello you", NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    visit(&h, "hello", NULL, 1);
    h.e.refuses_truncate = true;
    stay(&h, &g);
    assert_int_equal(g.sequence.n_prefix, 0);
    close_house(&h);
}

static void test_place__truncation_refused_after_a_copy__starts_from_nothing(void **state)
{
    struct guest a = guest(long_prompt, NULL, 1);
    struct guest b = guest(long_prompt, NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    h.e.refuses_truncate = true;
    stay(&h, &b);
    assert_int_equal(b.sequence.n_prefix, 0);
    close_house(&h);
}

/* So that what comes after was left later: a tie has no order. */
static void let_time_pass(void)
{
    int64_t now = clock_us();

    while (clock_us() == now)
        ;
}

static int32_t prefix_now(struct house *h, const char *prompt)
{
    struct guest g = guest(prompt, NULL, 1);

    let_time_pass();
    stay(h, &g);
    leave(h, &g);
    return g.sequence.n_prefix;
}

static void test_place__no_prefix__what_was_left_longest_ago_goes(void **state)
{
    struct house h;

    (void)state;
    open_house(&h, 3);
    assert_int_equal(prefix_now(&h, "a" SIXTEEN), 0);
    assert_int_equal(prefix_now(&h, "b" SIXTEEN), 0);
    assert_int_equal(prefix_now(&h, "c" SIXTEEN), 0);
    assert_int_equal(prefix_now(&h, "a" SIXTEEN), 16);
    assert_int_equal(prefix_now(&h, "d" SIXTEEN), 0); /* where "b" was */
    assert_int_equal(prefix_now(&h, "a" SIXTEEN), 16);
    assert_int_equal(prefix_now(&h, "c" SIXTEEN), 16);
    assert_int_equal(prefix_now(&h, "d" SIXTEEN), 16);
    assert_int_equal(prefix_now(&h, "b" SIXTEEN), 0);
    close_house(&h);
}

/* ------------------------------------------------------------------ failures */

static void test_place__copy_fails__not_placed_and_empty(void **state)
{
    struct guest a = guest(long_prompt, NULL, 1);
    struct guest b = guest(long_prompt, NULL, 1);
    struct house h;
    inf_error err = {0};

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    h.e.fail_nth[FREE_COPY] = 1;
    assert_int_equal(place(&h, &b, &err), INF_ERROR_BACKEND);
    assert_string_equal(err.message, "the test says so");
    assert_int_equal(b.sequence.slot, -1);
    assert_null(h.slots.slot[1].sequence);
    assert_int_equal(h.slots.n_active, 1);
    assert_int_equal(h.slots.slot[1].n, 0);
    assert_book_is_memory(&h);
    stay(&h, &b);
    close_house(&h);
}

static void test_place__no_memory_to_copy__not_placed_and_empty(void **state)
{
    char prompt[MAX_PROMPT];
    struct guest a;
    struct guest b;
    struct house h;

    (void)state;
    memset(prompt, 'x', sizeof prompt - 1);
    prompt[sizeof prompt - 1] = '\0';
    a = b = guest(prompt, NULL, 1);
    open_house(&h, 2);
    stay(&h, &a);
    visit(&h, "zz", NULL, 1); /* leaves two tokens, and too little room in the book */
    mem_fail_nth(1);
    assert_int_equal(place(&h, &b, NULL), INF_ERROR_NO_MEMORY);
    mem_fail_nth(0);
    assert_int_equal(b.sequence.slot, -1);
    assert_null(h.slots.slot[1].sequence);
    assert_int_equal(h.slots.slot[1].n, 0);
    assert_book_is_memory(&h);
    stay(&h, &b);
    close_house(&h);
}

static void test_place__exchange_fails__both_are_empty_and_it_starts_over(void **state)
{
    struct guest a = guest("abc", NULL, 1);
    struct guest b = guest(long_prompt, NULL, 1);
    struct guest again = guest(long_prompt, NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    stay(&h, &b);
    leave(&h, &b);
    leave(&h, &a);
    h.e.fail_nth[FREE_SWAP] = 1;
    assert_int_equal(place(&h, &again, NULL), INF_OK);
    assert_int_equal(again.sequence.n_prefix, 0);
    assert_int_equal(h.slots.slot[1].n, 0);
    assert_book_is_memory(&h);
    compute(&h, &again);
    close_house(&h);
}

static void test_append__no_memory__slot_is_emptied(void **state)
{
    struct guest a = guest("abc", NULL, 1);
    struct engine_row row = {.tokens = a.tokens};
    struct house h;

    (void)state;
    open_house(&h, 2);
    assert_int_equal(place(&h, &a, NULL), INF_OK);
    assert_int_equal(h.e.engine.ops->decode(&h.e, &row, 1, 3, NULL), INF_OK);
    mem_fail_nth(1);
    assert_int_equal(slots_append(&h.slots, 0, a.tokens, 3, NULL), INF_ERROR_NO_MEMORY);
    mem_fail_nth(0);
    assert_int_equal(h.slots.slot[0].n, 0);
    assert_book_is_memory(&h);
    compute(&h, &a);
    close_house(&h);
}

/* ------------------------------------------------------------------ holes */

static void test_close_holes__last_ones_move_in__with_all_they_have(void **state)
{
    struct guest g[4];
    struct house h;

    (void)state;
    open_house(&h, 4);
    for (int i = 0; i < 4; i++) {
        const char prompt[] = {(char)('a' + i), 'x', '\0'};

        g[i] = guest(prompt, i % 2 ? &pirate : NULL, 1);
        stay(&h, &g[i]);
    }
    slots_leave(&h.slots, 0);
    slots_leave(&h.slots, 1);
    slots_close_holes(&h.slots);
    assert_int_equal(h.slots.n_active, 2);
    assert_ptr_equal(h.slots.slot[0].sequence, &g[3].sequence);
    assert_ptr_equal(h.slots.slot[1].sequence, &g[2].sequence);
    assert_int_equal(h.e.slots[0].cells[0].token, 'd');
    assert_int_equal(h.e.slots[1].cells[0].token, 'c');
    assert_book_is_memory(&h);
    slots_leave(&h.slots, 1); /* the last: nothing moves */
    slots_close_holes(&h.slots);
    assert_int_equal(h.slots.n_active, 1);
    assert_int_equal(count_calls(&h, FREE_SWAP), 2);
    close_house(&h);
}

static void test_close_holes__exchange_fails__the_moved_one_starts_over(void **state)
{
    struct guest a = guest("abc", NULL, 1);
    struct guest b = guest("xyz", NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    stay(&h, &b);
    slots_leave(&h.slots, 0);
    h.e.fail_nth[FREE_SWAP] = 1;
    slots_close_holes(&h.slots);
    assert_int_equal(h.slots.n_active, 1);
    assert_int_equal(b.sequence.slot, 0);
    assert_int_equal(h.slots.slot[0].n, 0);
    assert_book_is_memory(&h);
    compute(&h, &b);
    close_house(&h);
}

/* ------------------------------------------------------------------ memory that is not finite */

static void test_scrub__empties_and_clears__others_keep_theirs(void **state)
{
    static struct free_adapter bad = {.leaves_dirt = true};
    static const struct adapter bad_adapter = {.generation = 9, .id = "bad", .payload = &bad};
    struct guest a = guest("abc", &bad_adapter, 1);
    struct guest b = guest("xyz", NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    stay(&h, &b);
    assert_true(h.e.slots[0].dirty);
    assert_int_equal(slots_scrub(&h.slots, 0, NULL), INF_OK);
    assert_false(h.e.slots[0].dirty);
    assert_false(h.slots.slot[0].suspect);
    assert_int_equal(h.slots.slot[0].n, 0);
    assert_int_equal(h.slots.slot[1].n, 3);
    close_house(&h);
}

static void test_scrub__fails__empty_and_still_suspect(void **state)
{
    struct guest a = guest("abc", NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    h.e.fail_nth[FREE_SCRUB] = 1;
    assert_int_equal(slots_scrub(&h.slots, 0, NULL), INF_ERROR_BACKEND);
    assert_true(h.slots.slot[0].suspect);
    assert_int_equal(h.slots.slot[0].n, 0);
    close_house(&h);
}

/* What is not finite in a slot is its sequence's own fault unless the slot is suspect. */
static void test_suspicion__begins_when_an_adapter_leaves__and_ends_with_a_scrub(void **state)
{
    struct guest base = guest("abc", NULL, 1);
    struct guest first = guest("abc", &pirate, 1);
    struct guest after = guest("xyz", NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 1);
    stay(&h, &base);
    leave(&h, &base);
    stay(&h, &first);
    assert_false(h.slots.slot[0].suspect);
    leave(&h, &first);
    stay(&h, &after);
    assert_true(h.slots.slot[0].suspect);
    assert_int_equal(slots_scrub(&h.slots, 0, NULL), INF_OK);
    assert_false(h.slots.slot[0].suspect);
    close_house(&h);
}

static void test_suspicion__moves_with_memory(void **state)
{
    struct guest a = guest("abc", &pirate, 1);
    struct guest b = guest("xyz", NULL, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    stay(&h, &b);
    assert_false(h.slots.slot[1].suspect);
    leave(&h, &a);
    assert_int_equal(b.sequence.slot, 0);
    assert_true(h.slots.slot[0].suspect); /* it moved to where the adapter ran */
    assert_true(h.slots.slot[1].suspect);
    close_house(&h);
}

static void test_suspicion__an_adapter_that_moves__leaves_it_behind(void **state)
{
    struct guest a = guest("abc", NULL, 1);
    struct guest b = guest("xyz", &pirate, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    stay(&h, &b);
    leave(&h, &a);
    assert_int_equal(b.sequence.slot, 0);
    assert_false(h.slots.slot[0].suspect); /* nobody else's are there */
    assert_true(h.slots.slot[1].suspect);
    close_house(&h);
}

static void test_suspicion__comes_with_a_copy(void **state)
{
    struct guest a = guest(long_prompt, &pirate, 1);
    struct guest b = guest(long_prompt, &pirate, 1);
    struct house h;

    (void)state;
    open_house(&h, 2);
    stay(&h, &a);
    stay(&h, &b);
    assert_int_equal(count_calls(&h, FREE_COPY), 1);
    assert_true(h.slots.slot[1].suspect);
    close_house(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots__all_taken__no_room),
        cmocka_unit_test(test_init__engine_refuses__error_and_nothing_left),
        cmocka_unit_test(test_reserve_context__grows_by_doubling__up_to_the_window),
        cmocka_unit_test(test_reserve_context__refused__everything_as_before),
        cmocka_unit_test(test_place__longest_common_prefix__is_kept),
        cmocka_unit_test(test_place__same_prompt__last_token_is_computed_again),
        cmocka_unit_test(test_place__prefix_of_another_generation_or_scale__is_not_used),
        cmocka_unit_test(test_place__prefix_under_several__is_used_under_the_same_pairs_in_order),
        cmocka_unit_test(test_place__prefix_in_another_idle_slot__is_moved_not_copied),
        cmocka_unit_test(test_place__prefix_in_a_busy_slot__is_copied),
        cmocka_unit_test(test_place__short_prefix_in_another_slot__is_computed_again),
        cmocka_unit_test(test_place__truncation_refused__starts_from_nothing),
        cmocka_unit_test(test_place__truncation_refused_after_a_copy__starts_from_nothing),
        cmocka_unit_test(test_place__no_prefix__what_was_left_longest_ago_goes),
        cmocka_unit_test(test_place__copy_fails__not_placed_and_empty),
        cmocka_unit_test(test_place__no_memory_to_copy__not_placed_and_empty),
        cmocka_unit_test(test_place__exchange_fails__both_are_empty_and_it_starts_over),
        cmocka_unit_test(test_append__no_memory__slot_is_emptied),
        cmocka_unit_test(test_close_holes__last_ones_move_in__with_all_they_have),
        cmocka_unit_test(test_close_holes__exchange_fails__the_moved_one_starts_over),
        cmocka_unit_test(test_scrub__empties_and_clears__others_keep_theirs),
        cmocka_unit_test(test_scrub__fails__empty_and_still_suspect),
        cmocka_unit_test(test_suspicion__begins_when_an_adapter_leaves__and_ends_with_a_scrub),
        cmocka_unit_test(test_suspicion__moves_with_memory),
        cmocka_unit_test(test_suspicion__an_adapter_that_moves__leaves_it_behind),
        cmocka_unit_test(test_suspicion__comes_with_a_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
