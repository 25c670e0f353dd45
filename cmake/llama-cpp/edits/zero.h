/*
 * Zeros that take no memory: how a buffer in host memory is cleared here. Part of a copy of
 * ggml-backend.cpp, see edits.cmake.
 *
 * llama.cpp clears a cache when it makes it. Written, zeros take memory for every cell of every sequence
 * there may ever be. Here the pages are given back to the system instead: they read as zeros, and take
 * memory from the moment something else is written to them. Not as huge pages, one of which is more than
 * a short window's cells of a layer, so that one sequence would take the memory of its neighbours.
 *
 * Only private anonymous memory reads as zeros afterwards; whether it does is looked at.
 */
#ifndef INF_ZERO_H
#define INF_ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>

#define INF_ZERO_WRITTEN ((size_t) 1 << 20) /* less than this is written */

/* begin and size: whole pages. */
static inline bool inf_zero_pages(char * begin, size_t size) {
    *begin = 1;
    begin[size - 1] = 1;
    (void) madvise(begin, size, MADV_NOHUGEPAGE);
    return madvise(begin, size, MADV_DONTNEED) == 0 && *(volatile char *) begin == 0 &&
        *(volatile char *) (begin + size - 1) == 0;
}

static inline void inf_zero(void * data, size_t size) {
    const size_t page = (size_t) sysconf(_SC_PAGESIZE);
    char * const end  = (char *) data + size;
    char * const from = (char *) (((uintptr_t) data + page - 1) / page * page);
    char * const to   = (char *) ((uintptr_t) end / page * page);

    if (size < INF_ZERO_WRITTEN || !inf_zero_pages(from, (size_t) (to - from))) {
        memset(data, 0, size);
        return;
    }
    memset(data, 0, (size_t) (from - (char *) data));
    memset(to, 0, (size_t) (end - to));
}
#else
static inline void inf_zero(void * data, size_t size) {
    memset(data, 0, size);
}
#endif

#endif
