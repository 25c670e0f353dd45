/*
 * memory: see the header.
 */
#include "core/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

static _Atomic int64_t countdown; /* 0: off */
static _Atomic int64_t counted;
static _Atomic int64_t live;

static bool must_fail(void)
{
    atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
    if (atomic_load_explicit(&countdown, memory_order_relaxed) == 0)
        return false;
    return atomic_fetch_sub_explicit(&countdown, 1, memory_order_relaxed) == 1;
}

static void *count_live(void *p)
{
    if (p)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return p;
}

void *mem_alloc(size_t size)
{
    return must_fail() ? NULL : count_live(malloc(size ? size : 1));
}

void *mem_calloc(size_t count, size_t size)
{
    size_t bytes = 0;

    if (must_fail() || !size_mul(count, size, &bytes))
        return NULL;
    return count_live(calloc(bytes ? bytes : 1, 1));
}

void *mem_realloc(void *p, size_t size)
{
    void *grown = NULL;

    if (must_fail())
        return NULL;
    grown = realloc(p, size ? size : 1);
    return p ? grown : count_live(grown);
}

void *mem_aligned(size_t alignment, size_t size)
{
    size_t rounded = 0;

    if (must_fail() || !size_add(size ? size : 1, alignment - 1, &rounded))
        return NULL;
    return count_live(aligned_alloc(alignment, rounded / alignment * alignment));
}

void mem_free(void *p)
{
    if (p)
        atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(p);
}

char *mem_strndup(const char *s, size_t n)
{
    char *copy = s ? mem_alloc(n + 1) : NULL;

    if (copy) {
        memcpy(copy, s, n);
        copy[n] = '\0';
    }
    return copy;
}

void mem_give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

char *mem_strdup(const char *s)
{
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

bool size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

int64_t mem_fail_nth(int64_t nth)
{
    atomic_store(&countdown, nth);
    return atomic_exchange(&counted, 0);
}

int64_t mem_live(void)
{
    return atomic_load(&live);
}
