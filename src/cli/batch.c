/*
 * batch: a JSON request a line, all in flight at once, a JSON result a line as each ends.
 *
 * Threads: the main thread reads and starts, the dispatch thread prints and releases.
 */
#include "cli/commands.h"
#include "cli/flag_names.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/json_line.h"
#include "cli/output.h"
#include "cli/request.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct batch;

struct line {
    struct batch *batch;
    struct line *previous, *next; /* in flight; guarded by the batch's lock */
    inf_op *op;
    json_t *id; /* the line's own, or its number */
    char *keys; /* of the line, for options_written_key; NULL: none */
    size_t number;
};

struct batch {
    struct session *session;
    const struct settings *defaults;
    const char *name; /* of the input, for messages */
    size_t n_lines;
    bool model_told, chat_told;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct line flying; /* head of the ring */
    size_t n_flying;
    bool cancelled;
    size_t n_failed;
    int64_t n_tokens;    /* generated, where it is told */
    size_t first_failed; /* the lowest number of a line that failed, and why */
    inf_error first_error;
};

/* ------------------------------------------------------------------ answers */

/* err NULL: none. op NULL: it was never started. What came before an error stands beside it. */
static void answer(const struct line *line, const inf_op *op, const inf_error *err)
{
    json_t *object = json_pack("{s:O, s:I}", "id", line->id, "line", (json_int_t)line->number);
    json_t *result = op && (!err || has_partial_result(op)) ? result_to_json(op) : NULL;

    if (object && err)
        json_object_set_new(object, "error", error_to_json(err, line->keys ? line->keys : ""));
    if (object && result)
        json_object_update(object, result);
    json_decref(result);
    output_json(object);
}

static void count_failure(struct batch *b, const struct line *line, const inf_error *err)
{
    if (b->n_failed++ == 0 || line->number < b->first_failed) {
        b->first_failed = line->number;
        b->first_error = *err;
        name_flags(b->first_error.message, sizeof err->message, err->message,
                   line->keys ? line->keys : "");
    }
}

static void cancel_all(struct batch *b)
{
    pthread_mutex_lock(&b->lock);
    b->cancelled = true;
    for (struct line *l = b->flying.next; l != &b->flying; l = l->next)
        inf_op_cancel(l->op);
    pthread_mutex_unlock(&b->lock);
}

static void line_free(struct line *line)
{
    json_decref(line->id);
    free(line->keys);
    free(line);
}

static void line_done(void *user_data, inf_op *op)
{
    struct line *line = user_data;
    struct batch *b = line->batch;
    inf_result result;
    inf_error err;
    bool failed = inf_op_error(op, &err) != INF_OK;

    clear_progress();
    answer(line, op, failed ? &err : NULL);
    inf_op_result(op, &result, sizeof result);
    pthread_mutex_lock(&b->lock);
    if (failed)
        count_failure(b, line, &err);
    if (result.completion_tokens > 0)
        b->n_tokens += result.completion_tokens;
    line->previous->next = line->next;
    line->next->previous = line->previous;
    b->n_flying--;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
    inf_op_release(op);
    line_free(line);
}

/* ------------------------------------------------------------------ starting a line */

/* Waits until an operation has ended, or a tenth of a second, to look at interrupts. */
static void wait_a_moment(struct batch *b)
{
    struct timespec soon;

    clock_gettime(CLOCK_MONOTONIC, &soon);
    soon.tv_nsec += 100000000;
    soon.tv_sec += soon.tv_nsec / 1000000000;
    soon.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&b->changed, &b->lock, &soon);
}

/* Starts under the lock: line_done, which takes it, then finds the line in the ring. */
static int32_t start(struct batch *b, struct line *line, const inf_request *request, inf_error *err)
{
    inf_callbacks callbacks;
    int32_t code = INF_OK;

    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_progress = show_progress;
    callbacks.on_done = line_done;
    callbacks.user_data = line;
    pthread_mutex_lock(&b->lock);
    for (;;) {
        code = inf_generate_start(&line->op, b->session->provider, request, &callbacks, err);
        if (code != INF_ERROR_LIMIT || b->n_flying == 0 || interrupted())
            break;
        wait_a_moment(b); /* the queue is full: one has to end first */
    }
    if (code == INF_OK) {
        line->previous = b->flying.previous;
        line->next = &b->flying;
        line->previous->next = line->next->previous = line;
        b->n_flying++;
        if (b->cancelled)
            inf_op_cancel(line->op);
    }
    pthread_mutex_unlock(&b->lock);
    return code;
}

/* The value of a key; NULL when it is null too, which is as if the key were not there. */
static json_t *value_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return json_is_null(value) ? NULL : value;
}

static int32_t read_line(struct settings *s, json_t *object, inf_error *err)
{
    char why[160] = "";

    if (value_of(object, "prompt") && value_of(object, "messages"))
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "\"prompt\" and \"messages\" are both there; give one of them");
    if (!settings_from_json(s, object, why, sizeof why))
        return command_error(err, INF_ERROR_INVALID_ARGUMENT, "%s", why);
    return INF_OK;
}

/* What the line says to no effect is told once. */
static void tell_no_use(struct batch *b, const struct settings *s, size_t number)
{
    inf_text model = b->defaults->model;
    bool other_model = s->model.len && (s->model.len != model.len ||
                                        memcmp(s->model.data, model.data, model.len) != 0);

    if (b->session->in_process && other_model && !b->model_told) {
        warn("line %zu: \"model\" changes nothing in process; every line is answered by the model "
             "of the command line",
             number);
        b->model_told = true;
    }
    if (!b->session->in_process && s->chat && !b->chat_told) {
        warn(CHAT_ON_SERVER);
        b->chat_told = true;
    }
}

/* Each line starts from the command line's settings; the lists they borrow are never changed. */
static int32_t start_object(struct batch *b, struct line *line, json_t *object, inf_error *err)
{
    struct settings s = *b->defaults;
    inf_request request;
    inf_message message;
    int32_t code = INF_OK;

    s.memory = NULL;
    s.n_memory = 0;
    code = read_line(&s, object, err);
    /* A line that wants no adapter wants no scale of the command line's either. */
    if (!s.adapters.n && b->defaults->adapters.n && !json_object_get(object, "adapter_scale"))
        s.request.adapter_scale = (inf_maybe_f32){0};
    if (code == INF_OK)
        code = request_fill(&request, &message, &s, err);
    if (code == INF_OK) {
        tell_no_use(b, &s, line->number);
        session_uses(b->session, &s);
        code = start(b, line, &request, err);
    }
    settings_free(&s);
    return code;
}

/* Messages name them as they are written. NULL: no memory, and then they name fields. */
static char *keys_of(json_t *object)
{
    size_t size = 1;
    size_t at = 0;
    const char *key = NULL;
    json_t *value = NULL;
    char *keys = NULL;

    json_object_foreach(object, key, value) size += strlen(key) + 1;
    keys = malloc(size);
    json_object_foreach(object, key, value)
    {
        if (keys && *key) {
            memcpy(keys + at, key, strlen(key) + 1);
            at += strlen(key) + 1;
        }
    }
    if (keys)
        keys[at] = '\0';
    return keys;
}

static int32_t start_line(struct batch *b, inf_text text, size_t number, inf_error *err)
{
    struct line *line = calloc(1, sizeof *line);
    json_t *object = NULL;
    json_t *id = NULL;
    int32_t code = INF_OK;

    if (!line)
        return command_error(err, INF_ERROR_NO_MEMORY, "out of memory");
    object = json_line_parse(text, "a JSON object", options_key_is_u64, err);
    id = value_of(object, "id");
    line->batch = b;
    line->number = number;
    line->keys = keys_of(object);
    line->id = id ? json_incref(id) : json_integer((json_int_t)number);
    code = object ? start_object(b, line, object, err) : err->code;
    json_decref(object);
    if (code != INF_OK) {
        answer(line, NULL, err);
        pthread_mutex_lock(&b->lock);
        count_failure(b, line, err);
        pthread_mutex_unlock(&b->lock);
        line_free(line);
        err->code = INF_OK;
    }
    return INF_OK; /* NOLINT(clang-analyzer-unix.Malloc): the line is in the ring, or freed */
}

/* ------------------------------------------------------------------ all lines */

static bool is_blank(inf_text text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r", text.data[i]) || !text.data[i])
            return false;
    return true;
}

static int32_t start_all(struct batch *b, FILE *input, inf_error *err)
{
    char *buffer = NULL;
    size_t capacity = 0;
    size_t len = 0;
    int32_t code = INF_OK;

    for (size_t number = 1; code == INF_OK && !interrupted() && output_flush() &&
                            input_line(&buffer, &capacity, &len, input, b->name, err);
         number++) {
        inf_text text = {buffer, len};

        if (number == 1)
            text = without_mark(text);
        if (is_blank(text))
            continue;
        b->n_lines++;
        code = start_line(b, text, number, err);
    }
    free(buffer);
    return code == INF_OK ? err->code : code;
}

static void wait_for_all(struct batch *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->n_flying) {
        wait_a_moment(b);
        if (!b->cancelled && (interrupted() || !output_flush())) {
            pthread_mutex_unlock(&b->lock);
            cancel_all(b);
            pthread_mutex_lock(&b->lock);
        }
    }
    pthread_mutex_unlock(&b->lock);
}

/* How it went; with --strict a line that failed is an error of the whole. */
static int32_t sum_up(const struct batch *b, double seconds, inf_error *err)
{
    if (b->n_failed && b->defaults->strict) {
        output_keep_names(); /* that of the line has named them */
        return command_error(err, b->first_error.code,
                             "%zu of %zu lines failed, the first is line %zu: %.300s", b->n_failed,
                             b->n_lines, b->first_failed, b->first_error.message);
    }
    if (b->n_failed)
        warn("%zu of %zu lines failed, the first is line %zu", b->n_failed, b->n_lines,
             b->first_failed);
    if (b->n_tokens > 0 && seconds > 0)
        tell("%zu lines, %lld tokens, %.1f tokens/s, %.1f s in all", b->n_lines,
             (long long)b->n_tokens, (double)b->n_tokens / seconds, seconds);
    return INF_OK;
}

/* Its timed waits are on the clock that nobody sets. */
static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int32_t run_batch(struct session *session, const struct settings *s, inf_error *err)
{
    bool is_stdin = strcmp(s->batch.data, "-") == 0;
    struct batch b = {
        .session = session, .defaults = s, .name = is_stdin ? "standard input" : s->batch.data};
    double began = seconds_now();
    FILE *input = is_stdin ? stdin : fopen(s->batch.data, "rbe");
    int32_t code = INF_OK;

    if (!input)
        return command_error(err, INF_ERROR_IO, "cannot open %s: %s", s->batch.data,
                             strerror(errno));
    b.flying.previous = b.flying.next = &b.flying;
    pthread_mutex_init(&b.lock, NULL);
    init_condition(&b.changed);
    code = start_all(&b, input, err);
    wait_for_all(&b);
    pthread_cond_destroy(&b.changed);
    pthread_mutex_destroy(&b.lock);
    if (input != stdin)
        fclose(input);
    if (code == INF_OK && interrupted())
        code = command_error(err, INF_ERROR_CANCELLED, "interrupted");
    return code == INF_OK && output_flush() ? sum_up(&b, seconds_now() - began, err) : code;
}
