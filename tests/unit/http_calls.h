/*
 * http_calls: an exchange as a test sees it: what it was told, in a struct to wait on.
 */
#ifndef TEST_HTTP_CALLS_H
#define TEST_HTTP_CALLS_H

#include "http/http.h"

#include <pthread.h>
#include <stdatomic.h>

struct call {
    struct http_request request;
    struct http_exchange *exchange;
    atomic_bool begun;    /* its turn came */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    int heads, datas, dones;
    struct http_head head; /* of on_head */
    char head_type[64];
    char *data; /* everything on_data got, NUL-terminated */
    size_t data_len;
    inf_error error; /* the outcome, copied */
    int32_t status;
    char type[64];
    char *body;
    size_t body_len;
    bool sent, delivered;
    int32_t attempts;
    int32_t answer_head, answer_data; /* what on_head and on_data return */
    int64_t done_us;
};

extern const struct http_callbacks stream_callbacks, whole_callbacks;

/* GET url with the defaults, streaming when `stream`; change call->request before call_start. */
void call_init(struct call *call, const char *url, bool stream);
void call_set_body(struct call *call, const char *body);
void call_start(struct call *call, struct http_client *client);
/* Waits for on_done; fails the test after 60 s. */
void call_wait(struct call *call);
void call_wait_data(struct call *call, size_t bytes);
void call_free(struct call *call);
/* start and wait */
void call_run(struct call *call, struct http_client *client);

#endif
