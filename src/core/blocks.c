/* blocks: see the header. Each block is an allocation of memory.h too, so that tests count it and make it
 * fail; what is kept is none. */
#include "core/blocks.h"

#include "core/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

enum { SLOTS = 8, ALIGNMENT = 64, PAGE = 64 << 10 }; /* a multiple of every page's size */
#define LEAST_MAPPED ((size_t)1 << 20)

/* The address sanitizer sees where the heap's blocks end. */
#if defined(__SANITIZE_ADDRESS__)
#define MAPS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MAPS false
#endif
#endif
#ifndef MAPS
#define MAPS true
#endif

/* What is kept: pages, which say themselves how many they are. */
struct kept {
    size_t bytes;
};

static _Atomic(struct kept *) slots[SLOTS];
static atomic_uint next_slot;
static _Atomic(size_t) kept_bytes;

/* ---------------------------------------------------------------- pages */

static size_t whole_pages(size_t size)
{
    return (size + PAGE - 1) / PAGE * PAGE;
}

/* Not huge ones: where a host takes back what its guests have free, it is those that must come anew, twenty times slower
 * than small ones. */
static void *map_pages(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return pages == MAP_FAILED ? NULL : pages;
}

/* ---------------------------------------------------------------- what is kept */

static void let_go(struct kept *k)
{
    if (!k)
        return;
    atomic_fetch_sub(&kept_bytes, k->bytes);
    munmap(k, k->bytes);
}

/* Takes them over: they are kept, or they go. */
static void keep(void *pages, size_t bytes)
{
    struct kept *k = pages;

    if (bytes > BLOCKS_KEPT_BYTES) {
        munmap(pages, bytes);
        return;
    }
    k->bytes = bytes;
    atomic_fetch_add(&kept_bytes, bytes);
    let_go(atomic_exchange(&slots[atomic_fetch_add(&next_slot, 1) % SLOTS], k));
    for (unsigned i = 0; i < SLOTS && atomic_load(&kept_bytes) > BLOCKS_KEPT_BYTES; i++)
        let_go(atomic_exchange(&slots[(atomic_load(&next_slot) + i) % SLOTS], NULL));
}

/* Pages that were kept, enough and not far too many; NULL: there are none. */
static void *kept_pages(size_t *bytes)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct kept *k = atomic_exchange(&slots[i], NULL);
        size_t has = k ? k->bytes : 0;

        if (!k)
            continue;
        atomic_fetch_sub(&kept_bytes, has);
        if (has >= *bytes && has - *bytes <= *bytes / 8) {
            *bytes = has;
            return k;
        }
        atomic_fetch_add(&kept_bytes, has);
        let_go(atomic_exchange(&slots[i], k));
    }
    return NULL;
}

void blocks_trim(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        let_go(atomic_exchange(&slots[i], NULL));
}

/* ---------------------------------------------------------------- blocks */

struct block *block_take(size_t size)
{
    struct block *b = mem_calloc(1, sizeof *b);
    size_t bytes = whole_pages(size);

    if (!b)
        return NULL;
    if (MAPS && size >= LEAST_MAPPED && size < SIZE_MAX / 2) {
        b->data = kept_pages(&bytes);
        if (!b->data)
            b->data = map_pages(bytes);
    }
    b->mapped = b->data ? bytes : 0;
    b->size = size;
    if (!b->data)
        b->data = mem_aligned(ALIGNMENT, size);
    if (!b->data) {
        mem_free(b);
        return NULL;
    }
    return b;
}

void block_give(struct block *b)
{
    if (!b)
        return;
    if (b->mapped)
        keep(b->data, b->mapped);
    else
        mem_free(b->data);
    mem_free(b);
}
