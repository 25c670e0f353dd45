/*
 * iter: what a loop, a filter or `in` goes through. Generators are lazy as Python's are: an error in
 * an item comes when the item is asked for, and they are spent after one pass.
 */
#ifndef INF_TEXT_TEMPLATE_ITER_H
#define INF_TEXT_TEMPLATE_ITER_H

#include "text/template/value.h"

struct iter {
    /* The next item, false at the end. */
    bool (*next)(struct vm *vm, struct iter *it, struct value *out);
    const char *type; /* the Python type's name */
    bool started;
    bool done;
    size_t pos;
    bool backwards;
    size_t size; /* of a dict, when the iterator was made */
    struct value source;
    struct iter *inner; /* of a filter's generator */
    void *state;
};

/* A `loop` variable. */
struct loop {
    struct iter *it;
    struct value iterable;
    int64_t index0; /* -1 before the first */
    int64_t length; /* -1 unknown */
    int64_t depth0;
    struct value current;
    struct value before;
    struct value after; /* peeked at; V_MISSING: not */
    struct value changed;
    void *recurse; /* the node and scope of a recursive loop, or NULL */
};

/* An iterator's own iterator is itself. NULL: not iterable. */
struct iter *iter_try(struct vm *vm, struct value v);
/* Throws E_TYPE. */
struct iter *iter_of(struct vm *vm, struct value v);
bool iter_next(struct vm *vm, struct iter *it, struct value *out);
struct iter *iter_new(struct vm *vm, const char *type,
                      bool (*next)(struct vm *, struct iter *, struct value *),
                      struct value source);
struct value v_iter(struct iter *it);
/* reversed(v); NULL: it cannot be. */
struct iter *iter_reversed(struct vm *vm, struct value v);
/* Throws E_RUNTIME where the dict has grown since. */
void check_size(struct vm *vm, const struct iter *it, const struct dict *d);
/* list(v) */
struct list *list_of(struct vm *vm, struct value v);

int64_t loop_length(struct vm *vm, struct loop *loop);
bool loop_peek(struct vm *vm, struct loop *loop); /* whether there is a next item, in `after` */
bool loop_next(struct vm *vm, struct loop *loop, struct value *out);

#endif
