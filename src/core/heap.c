/* heap: see the header. */
#include "core/heap.h"

#include "core/growing.h"

static void put(struct heap *h, size_t at, struct heap_node *node)
{
    h->nodes[at] = node;
    node->at = at;
}

/* Moves the node to where it belongs: up, or else down. */
static void settle(struct heap *h, struct heap_node *node)
{
    size_t at = node->at;
    size_t child = 0;

    for (; at > 0 && h->nodes[(at - 1) / 2]->due > node->due; at = (at - 1) / 2)
        put(h, at, h->nodes[(at - 1) / 2]);
    for (; (child = 2 * at + 1) < h->n; at = child) {
        if (child + 1 < h->n && h->nodes[child + 1]->due < h->nodes[child]->due)
            child++;
        if (h->nodes[child]->due >= node->due)
            break;
        put(h, at, h->nodes[child]);
    }
    put(h, at, node);
}

bool heap_add(struct heap *h, struct heap_node *node)
{
    if (!GROW(h->nodes, h->cap, h->n + 1))
        return false;
    node->at = h->n++;
    settle(h, node);
    return true;
}

void heap_set(struct heap *h, struct heap_node *node, uint64_t due)
{
    bool moves = node->at != SIZE_MAX && node->due != due;

    node->due = due;
    if (moves)
        settle(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    struct heap_node *last = NULL;

    if (node->at == SIZE_MAX)
        return;
    last = h->nodes[--h->n];
    if (last != node) {
        last->at = node->at;
        settle(h, last);
    }
    node->at = SIZE_MAX;
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->n ? h->nodes[0] : NULL;
}

void heap_free(struct heap *h)
{
    mem_free(h->nodes);
    *h = (struct heap){0};
}
