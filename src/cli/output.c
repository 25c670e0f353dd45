/*
 * output: results on standard output, as text or JSON; errors, warnings and a bar on standard error.
 */
#include "cli/output.h"

#include "cli/flag_names.h"
#include "cli/message.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int write_error; /* errno of the first write that failed */

/* false, and the first failure is remembered. */
static bool write_failed(int number)
{
    int expected = 0;

    atomic_compare_exchange_strong(&write_error, &expected, number ? number : EIO);
    return false;
}

bool output_write(const char *data, size_t n)
{
    if (atomic_load(&write_error))
        return false;
    return n == 0 || fwrite(data, 1, n, stdout) == n || write_failed(errno);
}

bool output_flush(void)
{
    if (atomic_load(&write_error))
        return false;
    return fflush(stdout) == 0 || write_failed(errno);
}

/* What ends a line for some readers (Python's splitlines, a JavaScript source), though not in JSON. */
static const struct line_end {
    const char *bytes, *escape;
} LINE_ENDS[] = {{"\xc2\x85", "\\u0085"},
                 {"\xe2\x80\xa8", "\\u2028"},
                 {"\xe2\x80\xa9", "\\u2029"},
                 {NULL, NULL}};

/* The one that text begins with, or the last, of NULLs. */
static const struct line_end *find_line_end(const char *text)
{
    const struct line_end *end = LINE_ENDS;

    while (end->bytes && strncmp(text, end->bytes, strlen(end->bytes)) != 0)
        end++;
    return end;
}

/* The JSON as one line for every reader, with its newline. NULL: no memory. */
static char *make_json_line(const char *json)
{
    char *line = malloc(3 * strlen(json) + 2); /* two bytes become six at most */
    char *to = line;

    if (!line)
        return NULL;
    while (*json) {
        const struct line_end *end = (signed char)*json < 0 ? find_line_end(json) : NULL;

        if (end && end->bytes) {
            to = stpcpy(to, end->escape);
            json += strlen(end->bytes);
        } else {
            *to++ = *json++;
        }
    }
    memcpy(to, "\n", 2);
    return line;
}

bool output_json(json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9))
                       : NULL;
    char *line = text ? make_json_line(text) : NULL;
    /* One write, so that lines stay whole. */
    bool ok = line ? output_write(line, strlen(line)) && output_flush() : write_failed(ENOMEM);

    json_decref(value);
    free(text);
    free(line);
    return ok;
}

int32_t output_error(inf_error *err)
{
    int error = 0;

    output_flush();
    error = atomic_load(&write_error);
    if (!error)
        return INF_OK;
    return command_error(err, INF_ERROR_IO, "cannot write to standard output: %s", strerror(error));
}

/* ------------------------------------------------------------------ standard error */

static bool is_quiet;
static bool named; /* the error has the names of a batch line already */
static atomic_bool bar_shown;

void output_keep_names(void)
{
    named = true;
}

void output_be_quiet(void)
{
    is_quiet = true;
}

int report_error(const inf_error *err)
{
    char line[sizeof err->message];

    if (err->code == INF_ERROR_IO && atomic_load(&write_error) == EPIPE)
        return inf_error_exit_code(err->code);
    if (named)
        memcpy(line, err->message, sizeof line);
    else
        name_flags(line, sizeof line, err->message, NULL);
    make_one_line(line);
    fprintf(stderr, "inference: %s\n", line);
    return inf_error_exit_code(err->code);
}

static void say(const char *prefix, const char *format, va_list args)
{
    char line[sizeof((inf_error *)NULL)->message];

    vsnprintf(line, sizeof line, format, args);
    make_one_line(line);
    clear_progress();
    fprintf(stderr, "inference: %s%s\n", prefix, line);
}

void warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (!is_quiet)
        say("warning: ", format, args);
    va_end(args);
}

void tell(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (!is_quiet && isatty(STDERR_FILENO))
        say("", format, args);
    va_end(args);
}

void clear_progress(void)
{
    if (atomic_exchange(&bar_shown, false))
        fputs("\r\033[K", stderr);
}

void show_progress(void *user_data, inf_op *op, float fraction)
{
    enum { WIDTH = 30 };
    static const char full[] = "##############################";
    int n = (int)(fraction * WIDTH);

    (void)user_data;
    (void)op;
    if (is_quiet || !isatty(STDERR_FILENO))
        return;
    if (fraction >= 1) {
        clear_progress();
        return;
    }
    atomic_store(&bar_shown, true);
    fprintf(stderr, "\rloading [%.*s%*s] %3d%%", n, full, WIDTH - n, "", (int)(fraction * 100));
}

void show_call(const char *name, size_t len)
{
    char line[80];

    if (is_quiet || !isatty(STDERR_FILENO))
        return;
    snprintf(line, sizeof line, "calling %.*s ...", len < 48 ? (int)len : 48, name);
    make_one_line(line);
    clear_progress();
    atomic_store(&bar_shown, true);
    fprintf(stderr, "\r%s", line);
    fflush(stderr);
}

/* ------------------------------------------------------------------ JSON */

/* A string, or null for absent text. */
static json_t *text_to_json(inf_text text)
{
    return text.data ? json_stringn(text.data, text.len) : json_null();
}

json_t *ids_to_json(const int32_t *ids, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < n; i++) {
        if (json_array_append_new(list, json_integer(ids[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* A token's bytes: a string when they are UTF-8 by themselves, else a list of numbers. */
static json_t *piece_to_json(inf_text piece)
{
    json_t *value = piece.data ? json_stringn(piece.data, piece.len) : json_string("");

    if (value || !piece.data)
        return value;
    value = json_array();
    for (size_t i = 0; value && i < piece.len; i++)
        json_array_append_new(value, json_integer((unsigned char)piece.data[i]));
    return value;
}

/* JSON has no infinity: null. */
json_t *number_to_json(float value)
{
    return isfinite(value) ? json_real((double)value) : json_null();
}

static json_t *logprobs_to_json(const inf_result *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_logprobs; i++) {
        const inf_logprob *l = &r->logprobs[i];
        json_t *top = json_array();

        for (size_t k = 0; k < l->n_top; k++)
            json_array_append_new(top, json_pack("{s:i, s:o, s:o}", "token_id", l->top[k].token_id,
                                                 "piece", piece_to_json(l->top[k].piece), "logprob",
                                                 number_to_json(l->top[k].logprob)));
        json_array_append_new(list, json_pack("{s:i, s:o, s:o, s:o}", "token_id", l->token_id,
                                              "piece", piece_to_json(l->piece), "logprob",
                                              number_to_json(l->logprob), "top", top));
    }
    return list;
}

/* The shortest decimal that means this float: as it was written, most likely. */
static json_t *scale_to_json(float value)
{
    char text[32];

    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    return json_real(strtod(text, NULL));
}

static json_t *adapters_to_json(const inf_result *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_adapters; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:o}", "id", text_to_json(r->adapters[i].id),
                                        "generation", (json_int_t)r->adapters[i].generation,
                                        "scale", scale_to_json(r->adapters[i].scale)));
    return list;
}

static json_t *timings_to_json(const inf_timings *t)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "queued_us", (json_int_t)t->queued_us,
                     "load_us", (json_int_t)t->load_us, "prefill_us", (json_int_t)t->prefill_us,
                     "first_token_us", (json_int_t)t->first_token_us, "decode_us",
                     (json_int_t)t->decode_us, "total_us", (json_int_t)t->total_us);
}

json_t *result_to_json(const inf_op *op)
{
    inf_result r;
    json_t *object = NULL;

    if (inf_op_result(op, &r, sizeof r) != INF_OK)
        return NULL;
    object = json_pack("{s:o, s:o, s:o, s:I, s:o, s:I, s:I, s:o, s:I, s:f, s:f, s:I, s:I, s:o}",
                       "text", text_to_json(r.text), "model", text_to_json(r.model), "adapter_id",
                       text_to_json(r.adapter_id), "token_count", (json_int_t)r.token_count,
                       "finish_reason", text_to_json(r.finish_reason), "prompt_tokens",
                       (json_int_t)r.prompt_tokens, "completion_tokens",
                       (json_int_t)r.completion_tokens, "token_ids",
                       ids_to_json(r.token_ids, r.n_token_ids), "steps", (json_int_t)r.steps,
                       "mean_rows", r.mean_rows, "mean_adapters", r.mean_adapters,
                       "adapter_generation", (json_int_t)r.adapter_generation, "prefix_tokens",
                       (json_int_t)r.prefix_tokens, "timings", timings_to_json(&r.timings));
    if (object) {
        json_object_set_new(object, "row_independent", json_boolean(r.row_independent));
        json_object_set_new(object, "drafted_tokens", json_integer(r.drafted_tokens));
        json_object_set_new(object, "accepted_tokens", json_integer(r.accepted_tokens));
        json_object_set_new(object, "adapters", adapters_to_json(&r));
    }
    if (object && r.n_logprobs)
        json_object_set_new(object, "logprobs", logprobs_to_json(&r));
    if (object && r.reasoning.data)
        json_object_set_new(object, "reasoning", text_to_json(r.reasoning));
    if (object && r.tool_calls.data)
        json_object_set_new(object, "tool_calls", text_to_json(r.tool_calls));
    return object;
}

json_t *error_to_json(const inf_error *err, const char *keys)
{
    char line[sizeof err->message];

    name_flags(line, sizeof line, err->message, keys);
    make_one_line(line); /* the last letter may have been cut */
    return json_pack("{s:s, s:s, s:i}", "code", inf_error_name(err->code), "message", line,
                     "http_status", err->http_status);
}

bool has_partial_result(const inf_op *op)
{
    inf_result r;

    return inf_op_result(op, &r, sizeof r) == INF_OK &&
           (r.text.len || r.reasoning.len || r.completion_tokens > 0);
}

json_t *report_to_json(const inf_adapter_report *r)
{
    return json_pack(
        "{s:o, s:s?, s:i, s:f, s:i, s:i, s:I, s:I, s:b, s:o}", "id", text_to_json(r->id), "format",
        r->format == INF_ADAPTER_PEFT   ? "peft"
        : r->format == INF_ADAPTER_GGUF ? "gguf"
                                        : NULL,
        "rank", r->rank, "scale", (double)r->scale, "n_modules", r->n_modules, "n_tensors",
        r->n_tensors, "bytes", (json_int_t)r->bytes, "generation", (json_int_t)r->generation,
        "replaced", (int)r->replaced, "evicted", text_to_json(r->evicted));
}
