/*
 * render: see the header. The one place where the model's chat template is compiled and used.
 */
#include "local/render.h"

#include "core/ascii.h"
#include "core/json.h"
#include "text/chat_template.h"

#include <string.h>

/* ------------------------------------------------------------------ the template */

/* The template for a chat with or without tools. load_lock is held, and the model open. */
static int32_t compile(struct local_provider *p, bool tools, const struct chat_template **out,
                       inf_error *err)
{
    const struct model_facts *f = &p->facts;
    bool own = tools && f->tools_template.len;
    struct chat_template **compiled = own ? &p->tools_template : &p->chat_template;
    inf_text source = own ? f->tools_template : f->chat_template;
    int32_t code = INF_OK;

    if (!*compiled && source.len == 0)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "%s has no chat template%s; give a prompt instead of messages", p->path,
                         f->tools_template.len ? " but for chats with tools" : "");
    if (!*compiled)
        code = chat_template_compile(compiled, source, f->special_tokens, f->n_special_tokens, err);
    *out = *compiled;
    return code;
}

static bool is_to_stop(void *op)
{
    return op_stop_code(op) != INF_OK;
}

inf_text chat_tools(inf_text given, inf_text variables, inf_text messages)
{
    inf_text places[] = {variables, messages};

    for (int i = 0; i < 2 && !given.data; i++) {
        struct json_span all = {NULL, 0}, found = {NULL, 0};

        if (places[i].data && scan_json(&all, places[i].data, places[i].len))
            found = scan_member(all, "tools");
        if (!scan_is_none(found))
            given = (inf_text){found.data, found.len};
    }
    return given;
}

static bool has_tools(const struct chat_input *i)
{
    return chat_tools(i->tools_json, i->variables_json, i->messages_json).data != NULL;
}

/* Until op is to stop; the error is then op's. Sets input->stop. *used: the template. */
static int32_t apply_template(struct local_provider *p, inf_op *op, struct chat_input *input,
                              const struct chat_template **used, struct buffer *out, inf_error *err)
{
    int32_t code = provider_open(p, err);

    if (code != INF_OK)
        return code;
    pthread_mutex_lock(&p->load_lock);
    code = compile(p, p->facts.tools_template.len && has_tools(input), used, err);
    pthread_mutex_unlock(&p->load_lock);
    if (code != INF_OK)
        return code;
    input->stop = (struct text_stop){is_to_stop, op};
    code = chat_template_render(*used, input, out, err);
    return code == INF_ERROR_CANCELLED ? op_stop_error(op, err) : code;
}

/* ------------------------------------------------------------------ a request's text */

static int32_t plain_text(const inf_request *r, struct buffer *out, inf_error *err)
{
    bool ok = true;

    if (r->system_prompt.data)
        ok = buffer_append(out, r->system_prompt.data, r->system_prompt.len) &&
             buffer_append_str(out, "\n\n");
    ok = ok && buffer_append(out, r->prompt.data, r->prompt.len);
    return ok ? INF_OK : error_no_memory(err);
}

/* A template that raises an error over a system message gets its text in the first user message. */
static int32_t apply_or_fold(struct local_provider *p, inf_op *op, struct chat_input *input,
                             const struct chat_template **used, struct buffer *out, inf_error *err)
{
    int32_t code = apply_template(p, op, input, used, out, err);

    if (code != INF_ERROR_TEMPLATE || !input->system_prompt.data ||
        !p->facts.system_prompt_is_message)
        return code;
    input->fold_system_prompt = true;
    return apply_template(p, op, input, used, out, NULL) == INF_OK ? error_none(err) : code;
}

static int32_t chat_text(struct local_provider *p, inf_op *op, struct buffer *out,
                         const struct chat_template **used, size_t *continued, inf_error *err)
{
    const inf_request *r = op_request(op);
    inf_message prompt = {.role = inf_str("user"), .content = r->prompt};
    struct chat_input input = {.messages_json = r->messages_json,
                               .system_prompt = r->system_prompt,
                               .variables_json = r->template_variables,
                               .tools_json = r->tools,
                               .add_generation_prompt = !r->continue_final_message,
                               .continue_final_message = r->continue_final_message,
                               .continued = continued};
    struct buffer json;
    int32_t code = INF_OK;

    buffer_init(&json, BUFFER_NO_LIMIT);
    if (!input.messages_json.data) {
        code = r->prompt.data ? chat_messages_to_json(&prompt, 1, &json, err)
                              : chat_messages_to_json(r->messages, r->n_messages, &json, err);
        input.messages_json = (inf_text){json.data, json.len};
    }
    if (code == INF_OK)
        code = apply_or_fold(p, op, &input, used, out, err);
    buffer_free(&json);
    return code;
}

/* Whether the last `n` bytes open reasoning (1), close it (-1), or do neither (0). */
static int last_marker(const struct output_format *f, const struct buffer *text, size_t n)
{
    for (size_t len = text->len; len > text->len - n; len--) {
        if (text_ends(text->data, len, f->think_close))
            return -1;
        if (text_ends(text->data, len, f->think_open))
            return 1;
    }
    return 0;
}

/* Some templates open the reasoning themselves: the text ends with its marker, or with that of its message.
 * continued: the bytes at its end that are of a message which is gone on with. */
static bool opens_reasoning(const struct output_format *f, const struct buffer *text,
                            size_t continued)
{
    size_t len = text->len;
    int within = 0;

    if (f->think_open && continued && continued <= len)
        within = last_marker(f, text, continued);
    if (within)
        return within > 0;
    len -= continued <= len ? continued : 0;
    while (len && strchr(" \t\r\n", text->data[len - 1]))
        len--;
    if (f->shape == OUTPUT_CHANNELS)
        return text_ends(text->data, len, "<|channel|>analysis<|message|>");
    return f->think_open && text_ends(text->data, len, f->think_open);
}

int32_t render_request(struct local_provider *p, inf_op *op, struct buffer *out,
                       struct rendered *rendered, inf_error *err)
{
    const struct model_facts *f = &p->facts;
    const inf_request *r = op_request(op);
    const struct chat_template *used = NULL;
    size_t continued = 0;
    int32_t code = INF_OK;
    bool system = r->system_prompt.data && f->system_prompt_is_message && f->chat_template.len;

    if (system && r->plain_prompt)
        return error_set(
            err, INF_ERROR_UNSUPPORTED,
            "plain_prompt: this model's chat template puts the system prompt before the "
            "prompt, with special tokens; leave one of the two");
    *rendered = (struct rendered){.add_special = r->prompt.data && !system};
    if (rendered->add_special)
        return plain_text(r, out, err);
    code = chat_text(p, op, out, &used, &continued, err);
    if (code == INF_OK) {
        rendered->format = chat_template_output(used);
        rendered->in_reasoning = opens_reasoning(rendered->format, out, continued);
    }
    return code;
}

/* ------------------------------------------------------------------ render, the operation */

static void run_render(struct preparation *base)
{
    struct bytes_preparation *r = (struct bytes_preparation *)(void *)base;
    struct chat_input input = {.messages_json = {r->bytes, r->len},
                               .add_generation_prompt = r->choice};
    const struct chat_template *used = NULL;
    inf_error err = {0};

    apply_template(base->provider, base->op, &input, &used, &op_output(base->op)->text, &err);
    preparation_end(base, &err);
}

int32_t local_render(void *impl, inf_op *op, inf_text messages_json, bool add_generation_prompt,
                     inf_error *err)
{
    return preparation_of_bytes(impl, op, messages_json.data, messages_json.len,
                                add_generation_prompt, run_render, err);
}
