/*
 * chat_template: see the header. Compiling and rendering run on a large stack of their own
 * (big_stack.h); the syntax tree is guarded (guarded_tree.h) and afterwards only read.
 */
#include "text/chat_template.h"

#include "text/big_stack.h"
#include "text/chat_content.h"
#include "text/guarded_tree.h"
#include "text/json_text.h"
#include "text/template_source.h"
#include "text/template_values.h"

extern "C" {
#include "core/utf8.h"
}

#include <jinja/parser.h>

#include <new>

using hf_text::stopped;

struct chat_template {
    std::string source;
    std::string bos;
    std::string eos;
    jinja::program program;
    size_t n_names = 0; /* variables it sets */
    mutable hf_text::content_forms forms;
};

namespace {

/* ------------------------------------------------------------------ errors */

/* Runs `work` on the big stack and turns whatever it throws into an error: "<what>: <why>". */
template <typename Work> class guarded_run {
  public:
    guarded_run(Work &todo, const char *doing, const std::string &text, inf_error *to)
        : work(todo), what(doing), source(text), err(to)
    {
    }

    int32_t run()
    {
        if (!hf_text::run_on_big_stack(entry, this))
            return error_set(err, INF_ERROR_NO_MEMORY, "%s: no thread could be started", what);
        return code;
    }

  private:
    static void entry(void *p)
    {
        guarded_run *r = static_cast<guarded_run *>(p);

        try {
            r->caught();
        } catch (...) { /* out of memory while the message was put together */
            r->code = error_no_memory(r->err);
        }
    }

    void caught()
    {
        try {
            code = work(err);
        } catch (const stopped &s) {
            code = stop_error(s);
        } catch (const std::bad_alloc &) {
            code = error_no_memory(err);
        } catch (const std::exception &e) {
            code = fail(hf_text::readable(source, e.what()));
        }
    }

    int32_t stop_error(const stopped &s)
    {
        if (s.code == INF_ERROR_NO_MEMORY)
            return error_no_memory(err);
        if (s.code == INF_ERROR_CANCELLED)
            return error_set(err, INF_ERROR_CANCELLED, "%s: a stop was requested", what);
        return fail(s.why);
    }

    int32_t fail(const std::string &why)
    {
        return error_set(err, INF_ERROR_TEMPLATE, "%s: %s", what, why.c_str());
    }

    Work &work;
    const char *what;
    const std::string &source;
    inf_error *err;
    int32_t code = INF_ERROR_BACKEND;
};

template <typename Work>
int32_t run_guarded(Work work, const char *what, const std::string &source, inf_error *err)
{
    return guarded_run<Work>(work, what, source, err).run();
}

/* ------------------------------------------------------------------ compiling */

void compile(chat_template &t)
{
    std::set<std::string> names;

    if (t.source.empty())
        return;
    jinja::lexer_result lexed = jinja::lexer().tokenize(t.source);

    hf_text::check_tokens(lexed);
    t.program = jinja::parse_from_tokens(lexed);
    hf_text::guard_tree(t.program, names);
    t.n_names = names.size();
}

/* ------------------------------------------------------------------ what is rendered */

/* A request's JSON, parsed. */
struct parsed {
    json_t *given = nullptr;    /* messages_json */
    json_t *messages = nullptr; /* borrowed from it */
    json_t *variables = nullptr;
    const chat_input &request;

    explicit parsed(const chat_input &from) : request(from)
    {
    }
    ~parsed()
    {
        json_decref(given);
        json_decref(variables);
    }
    parsed(const parsed &) = delete;
    parsed &operator=(const parsed &) = delete;
};

constexpr json_limits LIMITS = {hf_text::MAX_JSON_BYTES, hf_text::MAX_JSON_DEPTH,
                                hf_text::MAX_JSON_NODES};

int32_t bad(inf_error *err, const char *why)
{
    return error_set(err, INF_ERROR_INVALID_ARGUMENT, "%s", why);
}

int32_t check_messages(const json_t *messages, inf_error *err)
{
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i);

        if (!json_is_object(message))
            return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)i,
                                    "messages[%zu] is not an object", i);
        if (!json_is_string(json_object_get(message, "role")))
            return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)i,
                                    "messages[%zu] has no text \"role\"", i);
        int32_t code = hf_text::check_content(message, i, err);

        if (code != INF_OK)
            return code;
    }
    return INF_OK;
}

int32_t parse_messages(parsed &in, inf_error *err)
{
    int32_t code = json_text_parse(&in.given, in.request.messages_json, "messages", &LIMITS, err);

    if (code != INF_OK)
        return code;
    in.messages = json_is_array(in.given) ? in.given : json_object_get(in.given, "messages");
    if (!json_is_array(in.messages))
        return bad(err, "messages: not a JSON array, nor an object with an array \"messages\"");
    return check_messages(in.messages, err);
}

/* The call sets these two; another value for them would be ignored. */
int32_t check_own_names(const parsed &in, inf_error *err)
{
    if (json_object_get(in.variables, "messages"))
        return bad(err, "template variables: \"messages\" is no variable; give them as messages");
    if (json_object_get(in.variables, "add_generation_prompt") ||
        (json_is_object(in.given) && json_object_get(in.given, "add_generation_prompt")))
        return bad(err, "template variables: \"add_generation_prompt\" is set by the call: true "
                        "to generate, an argument to render");
    return INF_OK;
}

int32_t parse_variables(parsed &in, inf_error *err)
{
    inf_text text = in.request.variables_json;
    int32_t code = INF_OK;

    if (text.data)
        code = json_text_parse(&in.variables, text, "template variables", &LIMITS, err);
    if (code == INF_OK && in.variables && !json_is_object(in.variables))
        return bad(err, "template variables: not a JSON object");
    if (code == INF_OK &&
        json_object_size(in.given) + json_object_size(in.variables) > hf_text::MAX_VARIABLES)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "template variables: more than %zu",
                         hf_text::MAX_VARIABLES);
    return code == INF_OK ? check_own_names(in, err) : code;
}

int32_t check_system_prompt(inf_text text, inf_error *err)
{
    if (!text.data)
        return INF_OK;
    if (text.len > hf_text::MAX_JSON_BYTES)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT, "system_prompt: longer than %zu bytes",
                         hf_text::MAX_JSON_BYTES);
    return utf8_valid(text.data, text.len) ? INF_OK : bad(err, "system_prompt: not valid UTF-8");
}

/* ------------------------------------------------------------------ rendering */

/* What transformers' apply_chat_template passes, in its order of precedence. */
void set_context(jinja::context &ctx, const chat_template &t, const parsed &in)
{
    hf_text::set_functions(ctx);
    ctx.set_val("bos_token", jinja::mk_val<jinja::value_string>(t.bos));
    ctx.set_val("eos_token", jinja::mk_val<jinja::value_string>(t.eos));
    ctx.set_val("tools", jinja::mk_val<jinja::value_none>());
    ctx.set_val("documents", jinja::mk_val<jinja::value_none>());
    if (json_is_object(in.given))
        hf_text::set_variables(ctx, in.given);
    hf_text::set_variables(ctx, in.variables);
    ctx.set_val("messages", hf_text::value_of(in.messages));
    ctx.set_val("add_generation_prompt",
                jinja::mk_val<jinja::value_bool>(in.request.add_generation_prompt));
}

/* Variables that a context starts with: its own constants and those of set_context. */
constexpr size_t N_OWN_VARIABLES = 16;

std::string execute(const chat_template &t, const parsed &in)
{
    jinja::context ctx(t.source);

    set_context(ctx, t, in);
    jinja::value_array results = jinja::runtime(ctx).execute(t.program);

    return jinja::runtime::gather_string_parts(results)->val_str.str();
}

void add_system_prompt(const parsed &in)
{
    inf_text prompt = in.request.system_prompt;

    if (prompt.data && json_array_insert_new(in.messages, 0,
                                             json_pack("{s:s,s:s%}", "role", "system", "content",
                                                       prompt.data, prompt.len)) != 0)
        throw std::bad_alloc();
}

/* What the template alone makes of some messages; "" when it fails. */
std::string try_out(const chat_template &t, json_t *messages, const hf_text::watch &time)
{
    chat_input bare = {};
    parsed in(bare);
    hf_text::budget limits(t.n_names + N_OWN_VARIABLES, time);

    bare.add_generation_prompt = true;
    in.messages = messages;
    try {
        return execute(t, in);
    } catch (const stopped &s) {
        if (s.code != INF_ERROR_TEMPLATE)
            throw;
        time.check(); /* only what it did is forgiven */
    } catch (const std::bad_alloc &) {
        throw;
    } catch (...) {
    }
    return "";
}

int32_t render(const chat_template &t, const parsed &in, struct buffer *out, inf_error *err)
{
    hf_text::watch time(in.request.stop);

    add_system_prompt(in);
    t.forms.apply(in.messages, [&](json_t *some) { return try_out(t, some, time); });
    hf_text::budget limits(t.n_names + json_object_size(in.given) + json_object_size(in.variables) +
                               N_OWN_VARIABLES,
                           time);
    std::string text;

    try {
        text = execute(t, in);
    } catch (const hf_text::raised_by_template &) {
        return error_set(err, INF_ERROR_TEMPLATE, "the chat template refuses the messages: %s",
                         limits.raised.c_str());
    }
    if (text.size() > hf_text::MAX_TEXT_BYTES)
        hf_text::stop("its text is longer than " + std::to_string(hf_text::MAX_TEXT_BYTES) +
                      " bytes");
    if (!utf8_valid(text.data(), text.size()))
        hf_text::stop("it cuts a character of several bytes in two");
    return buffer_append(out, text.data(), text.size()) ? INF_OK : error_no_memory(err);
}

} // namespace

extern "C" {

int32_t chat_template_compile(struct chat_template **out, inf_text source, const char *bos,
                              const char *eos, inf_error *err)
{
    chat_template *t = new (std::nothrow) chat_template;
    int32_t code = INF_OK;

    *out = nullptr;
    if (!t)
        return error_no_memory(err);
    code = run_guarded(
        [&](inf_error *) {
            t->bos = bos ? bos : "";
            t->eos = eos ? eos : "";
            t->source = hf_text::prepare_source(source.data ? source.data : "", source.len);
            try {
                compile(*t);
            } catch (...) { /* destroyed here, where the stack is large */
                t->program = jinja::program();
                throw;
            }
            return (int32_t)INF_OK;
        },
        "the chat template cannot be used", t->source, err);
    if (code == INF_OK)
        *out = t;
    else
        delete t;
    return code;
}

void chat_template_free(struct chat_template *t)
{
    delete t;
}

int32_t chat_template_render(const struct chat_template *t, const struct chat_input *input,
                             struct buffer *out, inf_error *err)
{
    parsed in(*input);
    int32_t code = parse_messages(in, err);

    if (code == INF_OK)
        code = parse_variables(in, err);
    if (code == INF_OK)
        code = check_system_prompt(input->system_prompt, err);
    if (code != INF_OK)
        return code;
    return run_guarded([&](inf_error *e) { return render(*t, in, out, e); },
                       "the chat template failed", t->source, err);
}

} // extern "C"
