/* request_sampler: see the header. */
#include "local/request_sampler.h"

#include "local/constraint.h"
#include "local/generator.h"
#include "text/constraint/json_schema.h"

static int32_t make_call_grammar(struct instance *i, const struct output_plan *plan,
                                 struct grammar **out, inf_error *err)
{
    struct call_grammar_options o = {.format = plan->format,
                                     .tools = &plan->tools,
                                     .named = plan->named,
                                     .in_reasoning = plan->in_reasoning};

    return constraint_read_calls(out, &i->loaded.tokenizer, &o, err);
}

static int32_t make_grammar(struct instance *i, const inf_request *r,
                            const struct output_plan *plan, struct grammar **out, inf_error *err)
{
    if (output_plan_wants_call(plan))
        return make_call_grammar(i, plan, out, err);
    if (!r->json_schema.data)
        return constraint_read_gbnf(out, &i->loaded.tokenizer, r->grammar, err);
    return json_schema_compile(out, r->json_schema, err);
}

static int32_t make_constraint(struct instance *i, const inf_request *r,
                               const struct output_plan *plan, struct sampling_constraint *out,
                               bool *constrained, inf_error *err)
{
    const struct token_texts *texts = NULL;
    struct grammar *grammar = NULL;
    int32_t code = INF_OK;

    *constrained = r->grammar.data || r->json_schema.data || output_plan_wants_call(plan);
    if (!*constrained)
        return INF_OK;
    code = make_grammar(i, r, plan, &grammar, err);
    if (code != INF_OK)
        return code;
    texts = instance_token_texts(i);
    if (texts)
        return constraint_create(out, texts, grammar, err);
    grammar_free(grammar);
    return error_no_memory(err);
}

static void set_f32(float *to, inf_maybe_f32 value)
{
    if (value.is_set)
        *to = value.value;
}

int32_t request_sampler(struct sampler **out, struct instance *i, const inf_request *r,
                        const struct output_plan *plan, inf_error *err)
{
    struct sampling_options o = i->options.facts->default_sampling;
    struct sampling_constraint constraint = {0};
    bool constrained = false;
    int32_t code = make_constraint(i, r, plan, &constraint, &constrained, err);

    if (code != INF_OK)
        return code;
    set_f32(&o.temperature, r->temperature);
    set_f32(&o.top_p, r->top_p);
    set_f32(&o.min_p, r->min_p);
    set_f32(&o.repetition_penalty, r->repetition_penalty);
    set_f32(&o.frequency_penalty, r->frequency_penalty);
    set_f32(&o.presence_penalty, r->presence_penalty);
    if (r->top_k.is_set)
        o.top_k = r->top_k.value;
    o.seed = r->seed.is_set ? r->seed.value : fresh_seed();
    o.n_vocab = i->loaded.tokenizer.n_vocab;
    return sampler_create(out, &o, constrained ? &constraint : NULL, err);
}
