/*
 * output_plan: see the header.
 */
#include "local/output_plan.h"

/* The tools of a request's own field are checked; those among a template's variables, where any JSON may stand, count
 * when they are such. */
static int32_t read_tools(struct output_tools *out, const inf_request *r, inf_error *err)
{
    inf_text tools = chat_tools(r->tools, r->template_variables, r->messages_json);
    int32_t code = output_tools_read(out, tools, err);

    if (code != INF_ERROR_INVALID_ARGUMENT || r->tools.data)
        return code;
    *out = (struct output_tools){0};
    return error_none(err);
}

int32_t output_plan_read(struct output_plan *out, const inf_request *r,
                         const struct rendered *rendered, inf_error *err)
{
    int32_t code = INF_OK;

    *out = (struct output_plan){.format = rendered->format, .in_reasoning = rendered->in_reasoning};
    if (!rendered->format)
        return INF_OK;
    code = read_tools(&out->tools, r, err);
    if (code == INF_OK)
        code = output_choice_read(&out->choice, &out->named, &out->tools, r->tool_choice, err);
    if (code != INF_OK)
        output_plan_free(out);
    /* what a grammar of the user's makes is for the user to read */
    out->parses = !r->plain_output && !r->grammar.data && !r->json_schema.data &&
                  !output_format_is_plain(rendered->format);
    return code;
}

void output_plan_free(struct output_plan *plan)
{
    output_tools_free(&plan->tools);
}

bool output_plan_wants_call(const struct output_plan *plan)
{
    return plan->choice == OUTPUT_REQUIRED || plan->choice == OUTPUT_NAMED;
}

int32_t output_plan_parser(struct output_parser **out, struct output_plan *plan, uint64_t seed,
                           inf_error *err)
{
    struct output_parser_options o = {.format = plan->format,
                                      .calls = plan->tools.n > 0 && plan->choice != OUTPUT_NONE,
                                      .in_reasoning = plan->in_reasoning,
                                      .seed = seed};

    *out = NULL;
    if (!plan->parses)
        return INF_OK;
    *out = output_parser_create(&o, &plan->tools);
    return *out ? INF_OK : error_no_memory(err);
}
