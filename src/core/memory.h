/*
 * memory: the one door to the heap, so that tests can make every allocation fail once.
 * Threads: any. The failure counter is atomic and process-wide; only tests touch it.
 */
#ifndef INF_CORE_MEMORY_H
#define INF_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* malloc, calloc, realloc, free; NULL when out of memory. size 0 gives a unique pointer. */
void *mem_alloc(size_t size);
void *mem_calloc(size_t count, size_t size); /* checks count * size */
void *mem_realloc(void *p, size_t size);
void *mem_aligned(size_t alignment, size_t size); /* freed by mem_free too */
void mem_free(void *p);
/* After much was freed at once: what the heap keeps of it goes back to the system. A millisecond or so. */
void mem_give_back(void);

/* A NUL-terminated copy; NULL when out of memory or when s is NULL. */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);

/* *out = a * b (a + b); false when it does not fit. */
bool size_mul(size_t a, size_t b, size_t *out);
bool size_add(size_t a, size_t b, size_t *out);

/* Tests: the nth allocation from now (1 is the next) fails, once; 0 turns it off. Returns how many
 * allocations were counted since the last call. */
int64_t mem_fail_nth(int64_t nth);
/* Tests: allocations made and not freed. */
int64_t mem_live(void);

#ifdef __cplusplus
}
#endif

#endif
