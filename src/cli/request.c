/* request: a generate request from settings. */
#include "cli/request.h"

#include "cli/message.h"

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

    *scale = s->request.adapter_scale;
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

int32_t request_fill(inf_request *r, inf_message *message, const struct settings *s, inf_error *err)
{
    *r = s->request;
    r->model = s->model;
    r->stop = s->stop.items;
    r->n_stop = s->stop.n;
    r->stop_token_ids = s->stop_token_ids.items;
    r->n_stop_token_ids = s->stop_token_ids.n;
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
