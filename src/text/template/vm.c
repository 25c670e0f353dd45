/*
 * vm: the arena, failure, and the passing of time. See value.h.
 */
#include "text/template/value.h"

#include "core/memory.h"
#include "text/template/limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CHUNK_BYTES ((size_t)32 * 1024)
#define MAX_CHUNK_BYTES ((size_t)4 << 20)
#define FUEL 8192

struct chunk {
    struct chunk *next;
    size_t size;
};

int64_t vm_clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void vm_init(struct vm *vm, size_t limit)
{
    memset(vm, 0, sizeof *vm);
    vm->limit = limit;
    vm->fuel = FUEL;
    vm->max_steps = UINT64_MAX;
    vm->deadline_us = INT64_MAX;
    vm->max_depth = MAX_DEPTH;
}

void vm_free(struct vm *vm)
{
    while (vm->chunks) {
        struct chunk *next = vm->chunks->next;

        mem_free(vm->chunks);
        vm->chunks = next;
    }
}

void vm_throw(struct vm *vm, enum error_kind kind, const char *format, ...)
{
    va_list args;

    vm->kind = kind;
    va_start(args, format);
    vsnprintf(vm->message, sizeof vm->message, format, args);
    va_end(args);
    longjmp(vm->on_error, 1);
}

void vm_refuel(struct vm *vm, size_t cost)
{
    vm->steps += cost + (FUEL - vm->fuel);
    vm->fuel = FUEL;
    if (vm->steps > vm->max_steps)
        vm_throw(vm, E_LIMIT, "it takes more than %llu steps", (unsigned long long)vm->max_steps);
    if (vm->stop.requested && vm->stop.requested(vm->stop.arg))
        vm_throw(vm, E_CANCELLED, "a stop was requested");
    if (vm_clock_us() > vm->deadline_us)
        vm_throw(vm, E_LIMIT, "it takes too long: its CPU time is used up");
}

void vm_enter(struct vm *vm)
{
    if (++vm->depth > vm->max_depth)
        vm_throw(vm, E_LIMIT, "it is nested too deeply, or calls itself without end");
}

void vm_check_room(struct vm *vm, size_t n, size_t size)
{
    if (n > vm->limit / size)
        vm_throw(vm, E_LIMIT, "it needs more than %zu MiB of memory", vm->limit >> 20);
}

static void grow(struct vm *vm, size_t size)
{
    size_t want = vm->used < MAX_CHUNK_BYTES ? vm->used : MAX_CHUNK_BYTES;
    struct chunk *c;

    vm_check_room(vm, size, 1);
    vm_check_room(vm, vm->used + size, 1);
    if (want < CHUNK_BYTES)
        want = CHUNK_BYTES;
    if (want < size)
        want = size;
    c = mem_alloc(sizeof *c + want);
    if (!c)
        vm_throw(vm, E_MEMORY, "out of memory");
    c->next = vm->chunks;
    c->size = want;
    vm->chunks = c;
    vm->used += want;
    vm->at = (char *)(c + 1);
    vm->end = vm->at + want;
}

void *vm_alloc(struct vm *vm, size_t size)
{
    void *p;

    if (size > SIZE_MAX - 15)
        vm_throw(vm, E_LIMIT, "it needs too much memory");
    size = (size + 15) & ~(size_t)15;
    if (size > (size_t)(vm->end - vm->at))
        grow(vm, size);
    p = vm->at;
    vm->at += size;
    return p;
}

void *vm_array(struct vm *vm, size_t n, size_t size)
{
    vm_check_room(vm, n, size);
    vm_step(vm, n / 16);
    return vm_alloc(vm, n * size);
}

void *vm_grow(struct vm *vm, const void *items, size_t n, size_t size, size_t *cap, size_t least)
{
    size_t more = *cap ? *cap * 2 : least;
    void *grown = vm_array(vm, more, size);

    if (n)
        memcpy(grown, items, n * size);
    *cap = more;
    return grown;
}
