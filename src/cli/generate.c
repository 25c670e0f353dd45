/* generate: one request, streamed as text or answered as a JSON object. */
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/request.h"

#include <string.h>

enum { BATCH_QUEUE = 1 << 20 }; /* requests that may wait: all lines are to be in flight */

/* Where the text has not begun, or stands at the beginning of a line. */
static void show_calls(const inf_chunk *chunk)
{
    for (size_t i = 0; i < chunk->n_tool_calls; i++)
        if (chunk->tool_calls[i].name.len)
            show_call(chunk->tool_calls[i].name.data, chunk->tool_calls[i].name.len);
}

static void print_chunk(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    char *last = user_data;

    if (chunk->text.len == 0) {
        if (*last == 0 || *last == '\n')
            show_calls(chunk);
        return;
    }
    clear_progress();
    *last = chunk->text.data[chunk->text.len - 1];
    if (!output_write(chunk->text.data, chunk->text.len) || !output_flush())
        inf_op_cancel(op);
}

/* The result's fields; after an error, where there was something before it, with the error beside
 * them. */
static void print_json(const inf_op *op)
{
    inf_error failed;
    json_t *object = NULL;

    if (inf_op_error(op, &failed) == INF_OK) {
        output_json(result_to_json(op));
    } else if (has_partial_result(op)) {
        object = result_to_json(op);
        if (object)
            json_object_set_new(object, "error", error_to_json(&failed, NULL));
        output_json(object);
    }
}

/* On a terminal: what it cost. */
static void tell_counts(const inf_result *r)
{
    double seconds = (double)r->timings.decode_us / 1e6;

    if (r->completion_tokens < 1 || r->prompt_tokens < 0)
        return;
    if (r->completion_tokens > 1 && seconds > 0)
        tell("%lld tokens after a prompt of %lld, %.1f tokens/s, %.1f s in all",
             (long long)r->completion_tokens, (long long)r->prompt_tokens,
             (double)(r->completion_tokens - 1) / seconds, (double)r->timings.total_us / 1e6);
    else
        tell("1 token after a prompt of %lld, %.1f s in all", (long long)r->prompt_tokens,
             (double)r->timings.total_us / 1e6);
}

/* After an error: the text so far, if any, as a line. */
static void print_text(const struct settings *s, const inf_op *op, const inf_result *result,
                       char last)
{
    if (result->text.len == 0 && inf_op_error(op, NULL) != INF_OK)
        return;
    if (s->no_stream && result->text.len) {
        output_write(result->text.data, result->text.len);
        last = result->text.data[result->text.len - 1];
    }
    if (last != '\n')
        output_write("\n", 1);
    output_flush();
    if (result->tool_calls.data)
        warn("the model calls tools, which are not text; --json prints the calls");
    if (result->reasoning.len)
        tell("the model's reasoning is not shown; --json prints it");
}

/* What it cost is told whatever became of it. */
static void print_result(const struct settings *s, const inf_op *op, char last)
{
    inf_result result;

    inf_op_result(op, &result, sizeof result);
    if (s->json)
        print_json(op);
    else
        print_text(s, op, &result, last);
    tell_counts(&result);
}

static int32_t run_one(struct session *session, const struct settings *s, inf_error *err)
{
    inf_request request;
    inf_message message;
    inf_callbacks callbacks;
    inf_op *op = NULL;
    char last = 0;
    int32_t code = request_fill(&request, &message, s, err);

    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_progress = show_progress;
    callbacks.user_data = &last;
    if (!s->json && !s->no_stream)
        callbacks.on_token = print_chunk;
    session_uses(session, s);
    if (code == INF_OK && s->chat && !session->in_process)
        warn(CHAT_ON_SERVER);
    if (code == INF_OK)
        code = inf_generate_start(&op, session->provider, &request, &callbacks, err);
    if (code == INF_OK) {
        code = session_wait(&op, code, err);
        clear_progress();
        print_result(s, op, last);
    }
    inf_op_release(op);
    return code;
}

/* What stands in files, and the prompt behind the options. */
static int32_t read_inputs(struct settings *s, inf_error *err)
{
    inf_request *r = &s->request;
    inf_text *const files[] = {&r->json_schema, &r->grammar, &r->tools, &r->template_variables,
                               &r->extra_json};
    int32_t code = INF_OK;

    for (size_t i = 0; i < sizeof files / sizeof *files && code == INF_OK; i++) {
        code = input_expand(files[i], s, err);
        *files[i] = without_mark(*files[i]);
    }
    if (code == INF_OK && s->messages.data)
        code = input_read(&s->messages, s, s->messages.data, err);
    s->messages = without_mark(s->messages);
    if (code == INF_OK && r->reference.data)
        code = input_read(&r->reference, s, r->reference.data, err);
    if (code == INF_OK && s->n_arguments) {
        s->prompt = inf_str(s->arguments[0]);
        if (strcmp(s->arguments[0], "-") == 0)
            code = input_read(&s->prompt, s, "-", err);
    }
    return code;
}

int check_generate(const struct command *command, const struct settings *s)
{
    bool has_input = s->prompt.data || s->messages.data || s->n_arguments;

    if (s->n_arguments > 1)
        return usage_error(command, "one PROMPT, not also '%s'; quote it", s->arguments[1]);
    if (s->batch.data && has_input)
        return usage_error(command, "with --batch the prompts come from its lines");
    if (s->prompt.data && s->n_arguments)
        return usage_error(command, "the prompt is given twice");
    if (s->messages.data && (s->prompt.data || s->n_arguments))
        return usage_error(command, "give a PROMPT or --messages, not both");
    if (!s->batch.data && !has_input)
        return usage_error(command, "a PROMPT, --messages FILE or --batch FILE is missing");
    if (s->messages.data && s->chat)
        return usage_error(command, "--chat is for a PROMPT; --messages are a chat already");
    if (s->batch.data && s->no_stream)
        return usage_error(command, "--no-stream does not go with --batch, which never streams");
    if (s->strict && !s->batch.data)
        return usage_error(command, "--strict is for --batch");
    if (s->request.logprobs.is_set && !s->json && !s->batch.data)
        return usage_error(command, "--logprobs needs --json to be seen");
    return 0;
}

void run_generate(struct session *session, struct settings *s, inf_error *err)
{
    if (read_inputs(s, err) != INF_OK ||
        session_open(session, s, s->batch.data ? BATCH_QUEUE : 0, err) != INF_OK ||
        session_load(session, s, err) != INF_OK)
        return;
    if (s->batch.data)
        run_batch(session, s, err);
    else
        run_one(session, s, err);
}
