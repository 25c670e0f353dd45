/*
 * output: results on standard output, everything else on standard error.
 *
 * Once a write has failed nothing more is written; output_error says so at the end. The dispatch
 * thread and the main thread may both write: each call takes stdio's own lock.
 */
#ifndef INF_CLI_OUTPUT_H
#define INF_CLI_OUTPUT_H

#include <inference/inference.h>
#include <jansson.h>

/* false once standard output has failed. */
bool output_write(const char *data, size_t n);
/* A compact JSON line. Takes the reference. value NULL: there was no memory for it; as a failed
 * write. */
bool output_json(json_t *value);
bool output_flush(void);
/* IO when a write failed, else INF_OK. */
int32_t output_error(inf_error *err);

/* "inference: <message>" on stderr; nothing when it is that the reader of standard output has gone
 * away. Returns the exit code. */
int report_error(const inf_error *err);

/* "inference: warning: <text>" on stderr, unless --quiet. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "inference: <text>" on stderr, on a terminal only, and unless --quiet. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Before other threads are there. */
void output_be_quiet(void);
/* The error that is reported at the end has the names of a batch line, and keeps them. */
void output_keep_names(void);

/* What an operation in flight shows on a terminal while it runs is gone. */
void clear_progress(void);
/* A bar on stderr while a model loads: for inf_callbacks. Only on a terminal. */
void show_progress(void *user_data, inf_op *op, float fraction);

/* On a terminal: the name of a tool that the model is calling, until something else is written. */
void show_call(const char *name, size_t len);

/* Results as JSON; NULL when out of memory. */
json_t *result_to_json(const inf_op *op);
/* {"code", "message", "http_status"}. keys: as name_flags has them. */
json_t *error_to_json(const inf_error *err, const char *keys);
/* Whether an operation that failed has generated something before. */
bool has_partial_result(const inf_op *op);
json_t *report_to_json(const inf_adapter_report *report);
/* null for what is not finite. */
json_t *number_to_json(float value);
json_t *ids_to_json(const int32_t *ids, size_t n);

#endif
