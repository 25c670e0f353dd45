/*
 * vllm_state: what the files of the vLLM provider share.
 *
 * Threads. A request runs on the client's I/O thread. What must be done step by step (load, unload,
 * looking whether a server still has an adapter, reviving a replica, asking what is there) is a task,
 * which blocks on the servers' answers. Tasks run on control threads, which start as they are needed,
 * CONTROL_THREADS at most. Tasks of one key run one after another, in the order they came, all others
 * at once: so a server that hangs holds up nobody else's. The key of a load and of an unload is the
 * adapter's id; at most LOADS_AT_ONCE of them run. The key of a look is one generation on one replica.
 * A request that needs a task waits in it.
 *
 * A task whose operation is cancelled or timed out loses it: the operation ends at once, and the task
 * goes on alone to where nothing is left half done: what it had loaded is unloaded, what it had
 * begun to unload is unloaded, within CLEAN_UP_MS, CLOSING_MS when the provider closes.
 *
 * Locks: vllm->lock guards every field not said to be constant, a task's op, left_us and queue links,
 * the replicas, the names, and the requests' lists and pins. A running task's other fields belong to
 * its thread, but for the waiting requests. Under it: http_start, http_cancel, calls_cancel and what
 * queues in the context, none of which calls back. op_finish and op_set_canceller are never called
 * with it held (an operation's cancel lock comes first). A generation goes away in its unload alone,
 * which begins when its last pin is gone: requests have pins, and so have looks.
 */
#ifndef INF_REMOTE_VLLM_STATE_H
#define INF_REMOTE_VLLM_STATE_H

#include "core/context.h"
#include "core/provider.h"
#include "remote/adapter_names.h"
#include "remote/chat_call.h"
#include "remote/model_list.h"
#include "remote/replicas.h"

struct vllm;

/* A generate in flight. */
struct request {
    struct vllm *vllm;
    inf_op *op;
    struct generation *generation; /* pinned; NULL: no adapter, or one that is not tracked */
    struct http_headers *headers;  /* of its own, when it has extra headers; else NULL */
    struct chat_call call;
    size_t replica;
    uint32_t life;    /* of that replica, when it was sent */
    int64_t sent_us;  /* when it was sent */
    uint64_t tried;   /* replicas that failed it */
    int32_t n_looked; /* times it waited for a look at what the replica has */
    bool without_max_tokens, loaded_again, sending;
    bool moved; /* its replica was found dead while it waited for the answer's first byte */
    struct request *next_waiting; /* in a task */
    struct request *next_sending, *previous_sending;
    struct job finish_job;
};

/* TASK_LOOK: whether replica `replica` has the generation, which is loaded there if it has not.
 * TASK_PROBE: whether a suspect replica answers at all. */
enum task_kind { TASK_LOAD, TASK_UNLOAD, TASK_LOOK, TASK_REVIVE, TASK_LIST, TASK_PROBE };

struct task {
    enum task_kind kind;
    struct vllm *vllm;
    struct task *next; /* among the queued, or the running */
    bool queued, running;
    bool waited_for;         /* it was made for an operation */
    inf_op *op;              /* NULL: nobody waits for it, or not any more */
    bool committed;          /* it has succeeded, and cannot be stopped any more */
    bool sent;               /* something was sent that a cancel does not undo */
    _Atomic int64_t left_us; /* when its operation left it; 0: it has not */
    char *id;                /* load, unload */
    const char *key;         /* NULL: none */
    struct adapter_source source;
    struct generation *generation; /* unload of a tracked one; look: pinned */
    size_t replica;                /* look, revive, probe */
    struct request *waiting;       /* look: requests that go on afterwards */
    struct calls calls;            /* one for each replica; a cancel may end them */
    struct calls aside;            /* the same, to settle and clean up: no cancel ends these */
    /* What goes into the operation's output when it is still there at the end. */
    struct buffer text;
    char *error_body;
    size_t error_body_len;
    inf_adapter_report report;
    char *report_id;
};

enum { CONTROL_THREADS = 16, LOADS_AT_ONCE = 12 };

struct vllm {
    inf_context *context;       /* constant */
    struct http_client *client; /* constant */
    struct server_times times;  /* constant */
    int32_t adapter_check;      /* constant: enum inf_adapter_check */

    pthread_mutex_t lock;
    struct replicas replicas; /* its servers are constant */
    struct adapter_names names;
    struct request *sending; /* requests in flight, when there are several replicas */

    pthread_cond_t tasks_changed;
    struct task *tasks, **tasks_end; /* queued */
    struct task *running;
    int32_t n_loads; /* running loads and unloads */
    pthread_t control[CONTROL_THREADS];
    int32_t n_control, n_idle;
    bool watching; /* an idle thread looks after the requests in flight */
    _Atomic bool stop;
};

/* vllm_generate.c */
int32_t vllm_generate(void *impl, inf_op *op, inf_error *err);
/* The task it waited for has ended; err: INF_OK, then it is sent again. Control thread. */
void vllm_request_continue(struct request *r, const inf_error *err);

/* Marks the replicas suspect whose requests have waited long for the first byte, and queues the
 * asking. true: requests are in flight, look again soon. The lock is held. */
bool vllm_watch(struct vllm *v);
/* Sends the requests elsewhere that wait for the first byte from a replica found dead. The lock is
 * held. */
void vllm_move_requests(struct vllm *v, size_t replica);

/* vllm_control.c: the queue. */
struct task *task_make(struct vllm *v, enum task_kind kind);
void task_free(struct task *t);
/* Starts the first thread unless there is one. The lock is held. */
int32_t control_start(struct vllm *v, inf_error *err);
/* Queues it; a thread has been started. The lock is held. */
void control_add(struct vllm *v, struct task *t);
/* Takes a queued one back. The lock is held. */
bool control_withdraw(struct vllm *v, struct task *t);
/* Requests are in flight: an idle thread is to look after them. The lock is held. */
void control_watch(struct vllm *v);
/* Runs what is queued, ends the threads. */
void control_stop(struct vllm *v);

/* For a running task without a key. Waits until no other has that one, and takes it; its text stays
 * until it is given back. The lock is held. */
void control_take_key(struct vllm *v, struct task *t, const char *key);
void control_give_key(struct vllm *v, struct task *t);
/* A task with that key is queued or running. The lock is held. */
bool control_has_key(const struct vllm *v, const char *id);

/* vllm_adapters.c: the adapter slots, and pins. */
int32_t vllm_adapter_load(void *impl, inf_op *op, const char *id, struct adapter_source *source,
                          inf_error *err);
int32_t vllm_adapter_unload(void *impl, inf_op *op, const char *id, inf_error *err);
int32_t vllm_adapters(void *impl, inf_adapter_list *list, inf_error *err);
int32_t vllm_server_adapters(void *impl, inf_op *op, inf_error *err);
/* NOT_FOUND: that name on the servers is one that a generation of another id has. The lock is held. */
int32_t vllm_check_unknown(const struct vllm *v, const char *id, inf_error *err);
/* Hides the generation that the unload is about. true: it can begin; else the last request's end
 * queues it. The lock is held. */
bool vllm_hide(struct task *t, struct generation *g);
/* The lock is held. A generation's last pin lets its unload begin. */
void vllm_unpin(struct vllm *v, struct generation *g);

/* vllm_tasks.c: what a control thread does. It ends the task's operation and frees the task. */
void vllm_run_task(struct task *t);

/* What follows runs on control threads, without the lock. */

/* vllm_load.c */
int32_t vllm_run_load(struct task *t, inf_error *err);
/* Names of ours that replica i lists and nobody needs: of a load that nobody waited for any more, of
 * an unload that did not reach it. They are unloaded, and nothing else is. */
void vllm_unload_leftovers(struct task *t, size_t i, const struct model_list *list);

/* vllm_look.c */
int32_t vllm_run_look(struct task *t, inf_error *err);
void vllm_run_revive(struct task *t);
void vllm_run_probe(struct task *t);
/* From mem_*; NULL: out of memory. */
char *vllm_look_key(const struct generation *g, size_t replica);
/* How the server's entry of a name stands to what we put there; path NULL: nothing, it is asked for
 * by name. */
enum whose { WHOSE_OURS, WHOSE_ANOTHERS };
enum whose vllm_whose(const struct model_entry *e, const char *path);
/* The error of a name that has become another's. */
int32_t vllm_not_ours(struct vllm *v, size_t i, const struct generation *g, const char *root,
                      inf_error *err);

/* vllm_unload.c */
int32_t vllm_run_unload(struct task *t, inf_error *err);
/* Has the server-side name of a generation that is no longer current unloaded, once its last request
 * has ended. */
void vllm_retire(struct vllm *v, struct generation *g);

/*
 * vllm_calls.c: calls to several replicas at once. Bit i of a mask is replica i.
 *
 * ASK_MS is for a list of models from the only server. One of several has as long for it as for
 * connecting: if it does not give it in that time it is taken for dead, and holds nobody up for longer.
 */
enum {
    ASK_MS = 30000,
    LOAD_MS = 600000,
    UNLOAD_MS = 60000,
    CLEAN_UP_MS = 10000,
    CLOSING_MS = 3000
};

/* How a call to a replica went. */
enum call_result {
    CALL_NONE,   /* it was not made */
    CALL_OK,     /* 2xx */
    CALL_SAID,   /* another answer */
    CALL_GONE,   /* nothing was sent: the replica is not there */
    CALL_UNKNOWN /* sent, and no answer came */
};

uint64_t vllm_all(const struct vllm *v);
/* Those that are not dead; all of them when none is alive. */
uint64_t vllm_live(struct vllm *v);
/* Has whoever waits for these calls look whether the task was left, or the provider closes. */
void vllm_wake(struct calls *calls);
/* Its operation has left it. */
bool vllm_is_left(const struct task *t);
/* The life of each replica, as of now; *lives has room for all. */
void vllm_lives(struct vllm *v, uint32_t *lives);
/* POSTs {"lora_name":name,"lora_path":path} (path NULL: left out) to a route of each in the mask, and
 * waits; what became of each is in `calls`, one of the task's. NO_MEMORY. */
int32_t vllm_post(struct task *t, struct calls *calls, uint64_t mask, const char *route,
                  const char *name, const char *path, int64_t total_ms, inf_error *err);
enum call_result vllm_call_result(const struct call *call);
/* GETs the models of each in the mask into lists (one for each replica, empty, freed by
 * vllm_free_lists). Replicas that are not there leave the mask; everything listed counts as a used
 * name from now on; what is not listed any more is not ours any more. An error: one answered
 * something else, or none is there. */
int32_t vllm_ask_models(struct task *t, struct calls *calls, uint64_t *mask,
                        struct model_list *lists, inf_error *err);
void vllm_free_lists(const struct vllm *v, struct model_list *lists);
/* A replica's refusal as an error; its body is kept for the task's operation. */
int32_t vllm_refusal(struct task *t, const struct call *call, size_t i, int32_t route,
                     const char *name, const char *path, inf_error *err);
/* Whether replica i lists the name now, as ours: after a lost answer. CALL_OK: it does; CALL_SAID: it
 * does not; CALL_GONE: it cannot be asked. *anothers: under that name it has something else. */
enum call_result vllm_is_listed(struct task *t, size_t i, const char *name, const char *path,
                                bool *anothers);
/* Has these replicas unload a name of ours; those where it is gone. */
uint64_t vllm_take_back(struct task *t, uint64_t mask, const char *name);
/* Notes what became of a name. */
void vllm_removed(struct vllm *v, const char *name, uint64_t where);
/* The generation's bytes are still there as far as can be told; STATE when they have changed. */
int32_t vllm_same_bytes(const struct generation *g, inf_error *err);

#endif
