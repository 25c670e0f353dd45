/*
 * heap: a binary heap of what is due, the earliest first. Whoever is in it embeds a node. Not
 * thread-safe: its owner guards it.
 */
#ifndef INF_CORE_HEAP_H
#define INF_CORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t due;
    size_t at; /* in the heap; SIZE_MAX: in none */
    void *owner;
};

struct heap {
    struct heap_node **nodes;
    size_t n, cap;
};

/* The node's due and owner are set. false: out of memory. */
bool heap_add(struct heap *h, struct heap_node *node);
/* Sets when it is due, in the heap or outside it. */
void heap_set(struct heap *h, struct heap_node *node, uint64_t due);
/* A node that is in none stays so. */
void heap_remove(struct heap *h, struct heap_node *node);
/* The earliest, or NULL. */
struct heap_node *heap_first(const struct heap *h);
/* Frees the heap's memory, not the nodes. */
void heap_free(struct heap *h);

#endif
