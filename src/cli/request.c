/* request: a generate request from settings. */
#include "cli/request.h"

#include "cli/input.h"

#include <string.h>

static int32_t fill_input(inf_request *r, inf_message *message, const struct settings *s,
                          inf_error *err)
{
    if (s->prompt.data && s->messages.data)
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "a prompt and messages are both given; give one of them");
    if (!s->prompt.data && !s->messages.data)
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "nothing to generate from: give a prompt or messages");
    r->messages_json = s->messages;
    if (!s->chat || s->messages.data) {
        r->prompt = s->prompt;
    } else {
        *message = (inf_message){inf_str("user"), s->prompt};
        r->messages = message;
        r->n_messages = 1;
    }
    return INF_OK;
}

int32_t request_adapters(inf_text *id, inf_maybe_f32 *scale, const inf_request_adapter **list,
                         size_t *n, const struct settings *s, inf_error *err)
{
    const struct adapter_list *a = &s->adapters;

    *scale = s->adapter_scale;
    if (a->n > 1 && scale->is_set)
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "adapter_scale: there are %zu adapters; each has a scale of its own",
                             a->n);
    if (a->n == 1 && a->items[0].scale.is_set && scale->is_set)
        return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                             "adapter_scale: the adapter has the scale %g already",
                             (double)a->items[0].scale.value);
    if (a->n > 1) {
        *list = a->items;
        *n = a->n;
    } else if (a->n == 1) {
        *id = a->items[0].id;
        if (a->items[0].scale.is_set)
            *scale = a->items[0].scale;
    }
    return INF_OK;
}

int32_t request_check_time(const char *field, struct maybe_ms time, inf_error *err)
{
    if (!time.is_set || time.value >= 1 || time.value == -1)
        return INF_OK;
    return command_error(err, INF_ERROR_INVALID_ARGUMENT,
                         "%s: %.10g is neither above 0 nor none, which is no limit", field,
                         time.given);
}

static bool text_is(inf_text text, const char *value)
{
    return text.len == strlen(value) && memcmp(text.data, value, text.len) == 0;
}

static int32_t speculation_of(inf_text choice)
{
    return !choice.data                ? INF_SPECULATE_AUTO
           : text_is(choice, "off")    ? INF_SPECULATE_OFF
           : text_is(choice, "lookup") ? INF_SPECULATE_LOOKUP
                                       : INF_SPECULATE_AUTO;
}

int32_t request_fill(inf_request *r, inf_message *message, const struct settings *s, inf_error *err)
{
    inf_request_default(r, sizeof *r);
    r->template_variables = s->template_variables;
    r->model = s->model;
    r->system_prompt = s->system;
    if (s->max_tokens.is_set)
        r->max_tokens = s->max_tokens;
    r->temperature = s->temperature;
    r->top_p = s->top_p;
    r->top_k = s->top_k;
    r->min_p = s->min_p;
    r->repetition_penalty = s->repetition_penalty;
    r->frequency_penalty = s->frequency_penalty;
    r->presence_penalty = s->presence_penalty;
    r->seed = s->seed;
    r->stop = s->stop.items;
    r->n_stop = s->stop.n;
    r->stop_token_ids = s->stop_token_ids.items;
    r->n_stop_token_ids = s->stop_token_ids.n;
    r->logprobs = s->logprobs;
    r->json_schema = s->json_schema;
    r->grammar = s->grammar;
    r->extra_json = s->extra_json;
    r->extra_headers = s->extra_headers;
    r->ignore_eos = s->ignore_eos;
    r->plain_prompt = s->plain_prompt;
    r->plain_output = s->plain_output;
    r->continue_final_message = s->continue_final_message;
    r->tools = s->tools;
    r->tool_choice = s->tool_choice;
    r->reference = s->reference;
    r->speculate = speculation_of(s->speculate);
    r->add_special = s->add_special;
    if (s->timeout.is_set)
        r->timeout_ms = s->timeout.value;
    if (s->queue_timeout.is_set)
        r->queue_timeout_ms = s->queue_timeout.value;
    if (request_check_time("timeout_ms", s->timeout, err) != INF_OK ||
        request_check_time("queue_timeout_ms", s->queue_timeout, err) != INF_OK)
        return err->code;
    if (request_adapters(&r->adapter_id, &r->adapter_scale, &r->adapters, &r->n_adapters, s, err) !=
        INF_OK)
        return err->code;
    return fill_input(r, message, s, err);
}
