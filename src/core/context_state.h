/*
 * context_state: what the files of core share about a context, an operation and a provider.
 *
 * Locks: ctx->lock guards every field of the context that is not said to be atomic or constant,
 * and the links of operations and providers in its lists; it is a leaf but for op->lock, which
 * nests inside it nowhere: neither is taken with the other held.
 */
#ifndef INF_CORE_CONTEXT_STATE_H
#define INF_CORE_CONTEXT_STATE_H

#include "core/buffer.h"
#include "core/context.h"
#include "core/heap.h"
#include "core/op.h"
#include "core/provider.h"

#include <stdatomic.h>

#define CONTEXT_EXTRAS 4

struct inf_context {
    _Atomic int32_t refs; /* the handle, each operation, each provider */
    int32_t fork_generation;
    inf_context_options options;

    pthread_mutex_t lock;
    bool closing;        /* no new operations or providers */
    bool abandoned;      /* inf_context_close was called: nobody pulls events any more */
    bool stop;           /* threads end when they have nothing left to do */
    int64_t n_ops;       /* not yet done; looks at a provider's inside count too */
    inf_op *ops;         /* the operations of these, linked */
    pthread_cond_t idle; /* n_ops or n_destroying fell to 0, or nobody is pulling any more */

    struct job *jobs, **jobs_end;
    pthread_cond_t jobs_changed;
    pthread_t *preparation;
    int32_t n_preparation;

    inf_op *events, **events_end; /* operations with something to deliver */
    pthread_cond_t events_changed;
    enum { DISPATCHER_WAKEFUL, DISPATCHER_NAPS } dispatcher; /* see dispatch.c */
    pthread_t dispatch;
    bool has_dispatch;
    int event_fd;       /* -1 in delivery by callbacks */
    bool pulling;       /* a thread is in inf_context_next */
    inf_op **delivered; /* references given out with the last events */
    size_t n_delivered, delivered_capacity;
    struct buffer delivered_text;

    struct heap deadlines;
    pthread_cond_t deadlines_changed;
    pthread_t clock;
    bool has_clock;

    pthread_t closer; /* of inf_context_close_start */
    bool has_closer;
    enum { CLOSED_NOT, CLOSED_TO_TELL, CLOSED_TOLD } closed; /* to on_closed, or as an event */
    inf_closed_fn on_closed;
    void *closed_user_data;

    inf_provider *providers; /* not yet destroyed, linked */
    int32_t n_destroying;

    pthread_mutex_t extras_lock; /* guards these; outermost, held while one is made */
    struct {
        const struct context_extra *kind;
        void *object;
    } extras[CONTEXT_EXTRAS];
    bool extras_closed;
};

struct inf_op {
    _Atomic int32_t refs; /* the user's (one for all of them), in flight, queued events, internal */
    _Atomic int32_t user_refs;
    _Atomic int32_t stop_code;
    _Atomic int32_t state; /* enum op_state */
    inf_context *context;
    inf_provider *provider; /* until finished */
    enum op_kind kind;
    inf_callbacks callbacks;
    bool has_callbacks;
    int64_t started_us;
    struct op_times times;
    _Atomic int64_t work_began_us; /* 0: it waits; written under the context's lock */
    struct op_owner_state owner_state;
    inf_request *request;
    struct op_output output;
    struct job finish_job;

    pthread_mutex_t cancel_lock; /* guards the canceller, held while it runs */
    op_canceller canceller;
    void *canceller_owner;

    pthread_mutex_t lock; /* guards the rest down to the links */
    pthread_cond_t done;
    inf_error error;
    struct buffer text, reasoning;
    size_t text_delivered, reasoning_delivered;
    int64_t n_tokens;
    float progress;
    bool progress_pending;

    inf_op *next, *previous; /* the context's list */
    bool close_seen;
    inf_op *next_event;
    bool queued;
    bool finished_pending;     /* DONE is still to be delivered */
    bool expired;              /* a deadline has passed; guarded by the context's lock */
    struct heap_node deadline; /* due at INT64_MAX: none for now */
};

enum op_state { OP_RUNNING = 0, OP_FINISHED = 1, OP_DONE = 2 };

struct inf_provider {
    _Atomic int32_t refs; /* users, the cache, operations in flight */
    inf_context *context;
    const struct provider_ops *ops;
    void *impl; /* guarded by the context's lock */
    char *base_url;
    inf_provider_config config; /* as it was made with, its texts owned */
    bool cached;                /* guarded by the context's lock */
    inf_provider *next, *previous;
    struct job destroy_job;
};

/* The context whose callback runs on this thread, or NULL. */
inf_context *context_in_callback(void);
void context_ref(inf_context *ctx);
void context_unref(inf_context *ctx);
/* STATE when ctx is closed, forked; else INF_OK. `blocking`: STATE inside a callback too. */
int32_t context_check(const inf_context *ctx, bool blocking, inf_error *err);

/* Operations in the context: registration, deadlines, events. */
int32_t context_add_op(inf_context *ctx, inf_op *op, inf_error *err);
void context_remove_deadline(inf_context *ctx, inf_op *op);
/* op waits no longer: its work has a deadline of its own. */
void context_begin_work(inf_context *ctx, inf_op *op);
void context_remove_op(inf_context *ctx, inf_op *op);
/* One operation less: closing waits for the last. The context may be gone afterwards. */
void context_count_down(inf_context *ctx);
/* The last thing there is to deliver: that the context is closed. */
void context_queue_closed(inf_context *ctx);
/* Queues op for delivery, if it is not; the queue has a reference. */
void context_queue_event(inf_context *ctx, inf_op *op);
/* The same for its last event. The in-flight reference goes with it when callbacks deliver. */
void context_queue_done(inf_context *ctx, inf_op *op);

void op_request_stop(inf_op *op, int32_t code);
void op_set_done(inf_op *op);

inf_provider *provider_ref(inf_provider *p);
void provider_unref(inf_provider *p);
/* Tests: a provider over any table of slots, outside the cache. */
int32_t provider_create_with_ops(inf_provider **out, inf_context *ctx,
                                 const struct provider_ops *ops, const inf_provider_config *config,
                                 inf_error *err);
/* The provider's own list, into `list`. */
int32_t provider_list_adapters(inf_provider *p, inf_adapter_list *list, inf_error *err);
/* Empties the cache and destroys what every provider left has inside; for closing. */
void providers_close(inf_context *ctx);

/*
 * Reads a struct that starts with struct_size from a caller built against another header: `known`
 * bytes at most go over the defaults in dst. INVALID_ARGUMENT for a struct_size of 0, or unknown
 * bytes that are not zero. src NULL: the defaults stay.
 */
int32_t struct_read(void *dst, size_t known, const void *src, const char *name, inf_error *err);
/* The struct_size of a caller's struct; false when no version's struct has that size. */
bool struct_size(size_t *out, const void *src);
/* Writes `known` bytes of src into a caller's struct of `size` bytes: less if it is smaller, zeros
 * behind if it is larger; its first member becomes `size`. false, and nothing written, without room
 * for that. */
bool struct_write(void *dst, size_t size, const void *src, size_t known);
/* Refuses an inf_maybe_* that has a value (other than 0) without is_set. */
int32_t maybe_check(const char *field, bool is_set, bool has_value, inf_error *err);

/* Ranges, and what the provider has no use for; settles what its row settles. */
int32_t config_check(inf_provider_config *config, const struct provider_ops *ops, inf_error *err);
/* A copy with texts of its own; base_url stays out of it. */
int32_t config_copy(inf_provider_config *out, const inf_provider_config *config, inf_error *err);
void config_free(inf_provider_config *config); /* of a copy */
/* INVALID_ARGUMENT, naming the first field but type and base_url in which they differ. */
int32_t config_compare(const inf_provider_config *made, const inf_provider_config *wanted,
                       inf_error *err);

/* The adapters that a request names, in whichever form. */
struct adapter_names {
    inf_text *id;
    inf_maybe_f32 *scale;
    const inf_request_adapter **list;
    size_t *n;
};
/* Checks them, and makes of one its other form too: `single` is where the list then is. */
int32_t adapter_names_settle(const struct adapter_names *a, inf_request_adapter *single,
                             const struct provider_ops *ops, inf_error *err);

/* A validated deep copy, one block, for such a provider. */
int32_t request_copy(inf_request **out, const inf_request *request, const struct provider_ops *ops,
                     inf_error *err);

#endif
