/*
 * conformance: what every provider must do, stated once. A provider's test gives the subject and
 * runs the list; the subject says what its backend can do.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <inference/inference.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct subject {
    int32_t type;            /* enum inf_provider_type */
    const char *base_url;    /* server URL or model path */
    const char *model;       /* request.model; NULL in process */
    const char *adapters[4]; /* paths of adapters that fit and change the answer */
    bool in_process;
    bool has_adapters;
};

/* A context and a provider of the subject, with `config` changes applied by the caller. */
struct bench {
    inf_context *context;
    inf_provider *provider;
};

extern const struct subject *subject;

void open_bench(struct bench *b, const inf_provider_config *config);
void close_bench(struct bench *b);
/* A configuration of the subject, to change before open_bench. */
inf_provider_config subject_config(void);

/* A greedy request of a prompt: n tokens, adapter may be NULL. */
inf_request greedy(const char *prompt, int32_t n, const char *adapter);
/* Runs it; fails the test on an error. The caller releases. */
inf_op *run(struct bench *b, const inf_request *request);
inf_result result_of(const inf_op *op);
/* To the last bit: tokens, text, finish, log-probabilities. */
void assert_same_answer(const inf_op *a, const inf_op *b);
void load(struct bench *b, const char *id, const char *path);
inf_provider_stats stats_of(struct bench *b);

/* The tests every provider must pass. */
extern const struct CMUnitTest conformance_tests[];
extern const size_t n_conformance_tests;

#endif
