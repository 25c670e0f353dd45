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
    if (code == INF_OK)
        code = session_wait(op, err);
    if (code == INF_OK)
        code = inf_op_logits(op, &logits, sizeof logits);
    if (code == INF_OK)
        output_json(to_json(&logits));
    inf_op_release(op);
    return code;
}

int command_logits(const struct command *command, int argc, char **argv)
{
    struct settings s;
    struct session session = {0};
    inf_error err = {0};
    int exit_code = settings_parse(&s, command, argc, argv);

    if (exit_code == 0 && s.n_arguments)
        exit_code = usage_error(command, "'%s' is too much", s.arguments[0]);
    if (exit_code == 0 && s.ids.n == 0)
        exit_code = usage_error(command, "--ids 1,2,3 is missing");
    if (exit_code != 0) {
        settings_free(&s);
        return exit_code < 0 ? 0 : exit_code;
    }
    if (session_open(&session, &s, 0, &err) == INF_OK && session_load(&session, &s, &err) == INF_OK)
        run(&session, &s, &err);
    if (err.code == INF_OK)
        output_error(&err);
    session_close(&session, &err);
    settings_free(&s);
    return err.code == INF_OK ? 0 : report_error(&err);
}
