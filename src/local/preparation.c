/*
 * preparation: see the header.
 */
#include "local/preparation.h"

#include "core/memory.h"

#include <string.h>

static void run_job(struct job *job)
{
    struct preparation *p = (struct preparation *)(void *)job;
    inf_error err = {0};

    /* Out of the queue, p can be freed at any time: cancelling is a matter of the stop code now. */
    op_set_canceller(p->op, NULL, NULL);
    if (op_stop_error(p->op, &err) != INF_OK)
        preparation_end(p, &err);
    else
        p->run(p);
}

static void cancel(void *owner, inf_op *op)
{
    struct preparation *p = owner;

    if (!context_withdraw(op_context(op), &p->job))
        return;
    preparation_free(p);
    op_finish_later(op);
}

void *preparation_create(size_t size, struct local_provider *provider, inf_op *op,
                         void (*run)(struct preparation *p), inf_error *err)
{
    struct preparation *p = mem_calloc(1, size);

    if (!p) {
        error_no_memory(err);
        return NULL;
    }
    p->job.run = run_job;
    p->provider = provider;
    p->op = op;
    p->run = run;
    return p;
}

void preparation_free(struct preparation *p)
{
    if (!p)
        return;
    if (p->dispose)
        p->dispose(p);
    mem_free(p);
}

void preparation_submit(struct preparation *p)
{
    op_set_canceller(p->op, cancel, p);
    context_submit(op_context(p->op), &p->job);
}

int32_t preparation_of_bytes(struct local_provider *provider, inf_op *op, const void *bytes,
                             size_t len, bool choice, void (*run)(struct preparation *p),
                             inf_error *err)
{
    struct bytes_preparation *p = preparation_create(sizeof *p + len, provider, op, run, err);

    if (!p)
        return INF_ERROR_NO_MEMORY;
    p->choice = choice;
    p->len = len;
    if (len)
        memcpy(p->bytes, bytes, len);
    preparation_submit(&p->base);
    return INF_OK;
}

void preparation_end(struct preparation *p, const inf_error *err)
{
    inf_op *op = p->op;

    preparation_free(p);
    op_finish(op, err);
}
