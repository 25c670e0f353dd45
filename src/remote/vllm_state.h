/*
 * vllm_state: what the files of the vLLM provider share.
 *
 * Threads. A request runs on the client's I/O thread. What must be done step by step (load, unload,
 * loading again what a server lost, reviving a replica, asking what is there) is a task of the
 * provider's one control thread, which blocks on the servers' answers and starts with the first
 * task: so no two of them interleave, whatever names they are about. A request that needs one waits
 * in it.
 *
 * Locks: vllm->lock guards every field not said to be constant, the tasks' fields but those of a
 * running one that only the control thread touches, and the requests'. Under it: http_start,
 * http_cancel, calls_cancel and context_submit, which never call back. op_finish and
 * op_set_canceller are never called with it held (an operation's cancel lock comes first).
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
    uint32_t epoch; /* the generation's on that replica, when it was sent */
    uint64_t tried; /* replicas that failed it */
    bool without_max_tokens, loaded_again, sending;
    struct request *next_waiting; /* in a task */
    struct job finish_job;
};

enum task_kind { TASK_LOAD, TASK_UNLOAD, TASK_LOAD_AGAIN, TASK_REVIVE, TASK_LIST };

struct task {
    enum task_kind kind;
    struct vllm *vllm;
    struct task *next;
    bool queued;
    inf_op *op; /* NULL: nobody waits for it */
    char *id;   /* load, unload */
    struct adapter_source source;
    struct generation *generation; /* unload of a tracked one, load again */
    size_t replica;                /* load again, revive */
    uint32_t epoch;                /* load again: the generation's there, as the request saw it */
    struct request *waiting;       /* load again: requests that go on afterwards */
    struct calls calls;            /* one for each replica; while it runs */
    struct job finish_job;
};

struct vllm {
    inf_context *context;       /* constant */
    struct http_client *client; /* constant */
    struct server_times times;  /* constant */
    int32_t adapter_check;      /* constant: enum inf_adapter_check */

    pthread_mutex_t lock;
    struct replicas replicas; /* its servers are constant */
    struct adapter_names names;

    pthread_cond_t tasks_changed;
    struct task *tasks, **tasks_end; /* queued */
    struct task *running;
    pthread_t control;
    bool has_control, stop;
};

/* vllm_generate.c */
int32_t vllm_generate(void *impl, inf_op *op, inf_error *err);
/* The task it waited for has ended; err: INF_OK, then it is sent again. Control thread. */
void vllm_request_continue(struct request *r, const inf_error *err);

/* vllm_control.c: the queue. */
struct task *task_make(struct vllm *v, enum task_kind kind);
void task_free(struct task *t);
/* Starts the thread unless it runs. The lock is held. */
int32_t control_start(struct vllm *v, inf_error *err);
/* Queues it; the thread has been started. The lock is held. */
void control_add(struct vllm *v, struct task *t);
/* Takes a queued one back. The lock is held. */
bool control_withdraw(struct vllm *v, struct task *t);
/* Runs what is queued, ends the thread. */
void control_stop(struct vllm *v);

/* vllm_adapters.c: the adapter slots, and pins. */
int32_t vllm_adapter_load(void *impl, inf_op *op, const char *id, struct adapter_source *source,
                          inf_error *err);
int32_t vllm_adapter_unload(void *impl, inf_op *op, const char *id, inf_error *err);
int32_t vllm_adapters(void *impl, inf_adapter_list *list, inf_error *err);
int32_t vllm_server_adapters(void *impl, inf_op *op, inf_error *err);
/* The lock is held. A generation's last pin lets its unload begin. */
void vllm_unpin(struct vllm *v, struct generation *g);

/* vllm_tasks.c: what the control thread does. It ends the task's operation and frees the task. */
void vllm_run_task(struct task *t);

/* What follows runs on the control thread, without the lock. */

/* vllm_load.c */
int32_t vllm_run_load(struct task *t, inf_error *err);
int32_t vllm_run_load_again(struct task *t, inf_error *err);
void vllm_run_revive(struct task *t);

/* vllm_unload.c */
int32_t vllm_run_unload(struct task *t, inf_error *err);
/* Has the server-side name of a generation that is no longer current unloaded, once its last request
 * has ended. */
void vllm_retire(struct vllm *v, struct generation *g);

/* vllm_calls.c: calls to several replicas at once. Bit i of a mask is replica i. */
enum { ASK_MS = 30000, LOAD_MS = 600000, UNLOAD_MS = 60000, CLEAN_UP_MS = 10000 };

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
/* POSTs {"lora_name":name,"lora_path":path} (path NULL: left out) to a route of each in the mask, and
 * waits; what became of each is in `calls`. NO_MEMORY. */
int32_t vllm_post(struct vllm *v, struct calls *calls, uint64_t mask, const char *route,
                  const char *name, const char *path, int64_t total_ms, inf_error *err);
enum call_result vllm_call_result(const struct call *call);
/* GETs the models of each in the mask into lists (one for each replica, freed by
 * vllm_free_lists). Replicas that are not there leave the mask; everything listed counts as a used
 * name from now on. An error: one answered something else, or none is there. */
int32_t vllm_ask_models(struct vllm *v, struct calls *calls, uint64_t *mask,
                        struct model_list *lists, inf_error *err);
void vllm_free_lists(const struct vllm *v, struct model_list *lists);
/* A replica's refusal as an error; its body goes to op (may be NULL). */
int32_t vllm_refusal(struct vllm *v, const struct call *call, size_t i, int32_t route,
                     const char *name, const char *path, inf_op *op, inf_error *err);
/* Whether replica i lists the name now: after a lost answer. CALL_OK: it does; CALL_SAID: it does not;
 * CALL_GONE: it cannot be asked. */
enum call_result vllm_is_listed(struct vllm *v, size_t i, const char *name);
/* The generation's bytes are still there as far as can be told; STATE when they have changed. */
int32_t vllm_same_bytes(const struct generation *g, inf_error *err);

#endif
