/* logits: the numbers behind the next token. */
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/request.h"

static json_t *to_json(const inf_logits_result *l)
{
    json_t *top = json_array();
    json_t *probe = json_array();

    for (size_t i = 0; i < l->n_top; i++)
        json_array_append_new(top, json_pack("[i, o]", l->top_ids[i], number_to_json(l->top[i])));
    for (size_t i = 0; i < l->n_probe; i++)
        json_array_append_new(probe, number_to_json(l->probe[i]));
    return json_pack("{s:o, s:o}", "top", top, "probe", probe);
}

static int32_t run(struct session *session, const struct settings *s, inf_error *err)
{
    inf_logits_request request;
    inf_logits_result logits;
    inf_op *op = NULL;
    int32_t code = INF_OK;

    inf_logits_request_default(&request, sizeof request);
    request.token_ids = s->ids.items;
    request.n_token_ids = s->ids.n;
    request.probe = s->probe.items;
    request.n_probe = s->probe.n;
    if (s->top.is_set)
        request.top = s->top.value;
    session_uses(session, s);
    code = request_adapters(&request.adapter_id, &request.adapter_scale, &request.adapters,
                            &request.n_adapters, s, err);
    if (code == INF_OK)
        code = inf_logits_start(&op, session->provider, &request, NULL, err);
    code = session_wait(&op, code, err);
    if (code == INF_OK)
        code = inf_op_logits(op, &logits, sizeof logits);
    if (code == INF_OK)
        output_json(to_json(&logits));
    inf_op_release(op);
    return code;
}

int check_logits(const struct command *command, const struct settings *s)
{
    if (s->n_arguments)
        return usage_error(command, "'%s' is too much", s->arguments[0]);
    return s->ids.n ? 0 : usage_error(command, "--ids 1,2,3 is missing");
}

void run_logits(struct session *session, struct settings *s, inf_error *err)
{
    if (session_open(session, s, 0, err) == INF_OK && session_load(session, s, err) == INF_OK)
        run(session, s, err);
}
