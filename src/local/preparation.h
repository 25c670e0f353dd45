/*
 * preparation: work on a preparation thread for one operation. What an operation needs for it lies in
 * a struct of its own, which begins with this one.
 *
 * It owns the operation until it ends it (preparation_end) or hands it on: to the scheduler, or to a
 * later turn of its own. A cancel or a timeout takes it out of the queue and ends the operation; once
 * it runs, stopping is a matter of op_stop_code.
 */
#ifndef INF_LOCAL_PREPARATION_H
#define INF_LOCAL_PREPARATION_H

#include "core/context.h"
#include "core/op.h"

struct local_provider;

struct preparation {
    struct job job;
    struct local_provider *provider;
    inf_op *op;
    void (*run)(struct preparation *p); /* ends it or hands it on; not called when it is to stop */
    void (*dispose)(
        struct preparation *p); /* gives back what the struct around it holds; or NULL */
};

/* `size` bytes of zeros behind what is set from the arguments. NULL: out of memory (err filled). */
void *preparation_create(size_t size, struct local_provider *provider, inf_op *op,
                         void (*run)(struct preparation *p), inf_error *err);
/* Without a word to the operation. NULL is ignored. */
void preparation_free(struct preparation *p);
/* Queues it; it owns itself from here on. */
void preparation_submit(struct preparation *p);
/* One of bytes that are copied, and a choice; made and queued. NO_MEMORY. */
struct bytes_preparation {
    struct preparation base;
    bool choice;
    size_t len;
    _Alignas(int32_t) char bytes[];
};
int32_t preparation_of_bytes(struct local_provider *provider, inf_op *op, const void *bytes,
                             size_t len, bool choice, void (*run)(struct preparation *p),
                             inf_error *err);
/* Frees it, then ends its operation: whoever waits for that finds nothing held any more. */
void preparation_end(struct preparation *p, const inf_error *err);

#endif
