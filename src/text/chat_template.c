/*
 * chat_template: see the header. Messages are prepared as transformers 5.23's apply_chat_template
 * does it: members that are null are left out, a message's reasoning is there under both names that
 * templates know, special tokens only where the tokenizer has them.
 */
#include "text/chat_template.h"

#include "core/memory.h"
#include "core/utf8.h"
#include "text/chat_content.h"
#include "text/template/limits.h"
#include "text/template/template.h"
#include "text/template/unicode.h"
#include "text/template/value.h"

#include <string.h>

#define MAX_VARIABLES 256
#define CONTINUE "continue_final_message"
/* transformers puts it behind the message that is gone on with, and cuts the text there. */
#define TAG "CONTINUE_FINAL_MESSAGE_TAG "

struct chat_template {
    struct template *compiled;
    char **tokens; /* (n_tokens) pairs of a name and a text */
    size_t n_tokens;
    struct content_forms forms;
    struct output_format output;
};

/* One rendering. */
struct job {
    struct chat_template *t;
    const struct chat_input *input;
    int64_t deadline_us;
    bool continues;
    struct buffer last; /* the text of the message that is gone on with */
};

/* ------------------------------------------------------------------ variables */

static void set(struct vm *vm, struct dict *d, const char *name, struct value v)
{
    dict_set(vm, d, v_str(text_of(vm, name)), v);
}

/* A message has a handful of them: they are looked through. */
static struct value *member(struct vm *vm, const struct dict *d, const char *name)
{
    vm_step(vm, d->len);
    for (size_t i = 0; i < d->len; i++)
        if (d->entries[i].key.type == V_STR && text_is(d->entries[i].key.s, name))
            return &d->entries[i].value;
    return NULL;
}

static _Noreturn void bad(struct vm *vm, const char *why)
{
    vm->detail = 0;
    vm_throw(vm, E_ARGUMENT, "%s", why);
}

/* What is there without anybody giving it. */
static void set_own(struct vm *vm, struct dict *variables, const struct chat_template *t)
{
    set(vm, variables, "tools", v_none());
    set(vm, variables, "documents", v_none());
    for (size_t i = 0; i < t->n_tokens; i++)
        set(vm, variables, t->tokens[2 * i], v_str(text_of(vm, t->tokens[2 * i + 1])));
}

/* All members but the call's own. */
static void set_given(struct vm *vm, struct dict *variables, const struct dict *given, bool beside)
{
    for (size_t i = 0; i < given->len; i++) {
        const struct entry *e = &given->entries[i];

        if (text_is(e->key.s, CONTINUE)) {
            if (beside)
                bad(vm,
                    "template variables: \"" CONTINUE "\" is no variable; the request has a field");
            continue;
        }
        if (text_is(e->key.s, "add_generation_prompt"))
            bad(vm, "template variables: \"add_generation_prompt\" is set by the call: true to "
                    "generate, an argument to render");
        if (beside && text_is(e->key.s, "messages"))
            bad(vm, "template variables: \"messages\" is no variable; give them as messages");
        dict_set(vm, variables, e->key, e->value);
    }
    if (variables->len > MAX_VARIABLES)
        bad(vm, text_printf(vm, "template variables: more than %d", MAX_VARIABLES)->data);
}

static void read_variables(struct vm *vm, struct dict *variables, inf_text json)
{
    struct value given;

    if (!json.data)
        return;
    given = json_parse(vm, json.data, json.len, "template variables");
    if (given.type != V_DICT)
        bad(vm, "template variables: not a JSON object");
    set_given(vm, variables, given.d, true);
}

static void read_tools(struct vm *vm, struct dict *variables, inf_text json)
{
    struct value given;
    const struct value *there = member(vm, variables, "tools");

    if (!json.data)
        return;
    if (there && there->type != V_NONE)
        bad(vm, "tools: are given twice, the other time as a variable of the template");
    given = json_parse(vm, json.data, json.len, "tools");
    if (given.type != V_LIST)
        bad(vm, "tools: not a JSON array");
    set(vm, variables, "tools", given);
}

/* As transformers asks. */
static void check_objects(struct vm *vm, const struct dict *variables, const char *name)
{
    const struct value *v = member(vm, variables, name);
    bool ok = v->type == V_NONE || v->type == V_LIST;

    for (size_t i = 0; ok && v->type == V_LIST && i < v->l->len; i++)
        ok = v->l->items[i].type == V_DICT;
    if (!ok)
        bad(vm, text_printf(vm, "%s: not a JSON array of objects", name)->data);
}

/* ------------------------------------------------------------------ messages */

static void check_message(struct vm *vm, struct value message, size_t i)
{
    const struct value *role = message.type == V_DICT ? member(vm, message.d, "role") : NULL;

    vm->detail = (int64_t)i;
    if (message.type != V_DICT)
        vm_throw(vm, E_ARGUMENT, "messages[%zu] is not an object", i);
    if (!role || role->type != V_STR)
        vm_throw(vm, E_ARGUMENT, "messages[%zu] has no text \"role\"", i);
    check_content(vm, message.d, i);
}

/* The first name under which a message has its reasoning counts. */
static struct value reasoning_of(struct vm *vm, const struct dict *message)
{
    static const char *const NAMES[] = {"reasoning_content", "thinking", "reasoning"};

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const struct value *v = member(vm, message, NAMES[i]);

        if (v && v->type != V_NONE)
            return *v;
    }
    return v_of(V_MISSING);
}

static struct value prepared(struct vm *vm, const struct dict *message)
{
    struct value reasoning = reasoning_of(vm, message);
    struct dict *d = dict_new(vm);

    if (reasoning.type != V_MISSING)
        set(vm, d, "thinking", reasoning);
    for (size_t i = 0; i < message->len; i++)
        if (message->entries[i].value.type != V_NONE)
            dict_set(vm, d, message->entries[i].key, message->entries[i].value);
    if (reasoning.type != V_MISSING)
        set(vm, d, "reasoning_content", reasoning);
    return v_dict(d);
}

static void check_system_prompt(struct vm *vm, inf_text prompt)
{
    if (prompt.len > MAX_JSON_BYTES)
        bad(vm, text_printf(vm, "system_prompt: longer than %zu bytes", MAX_JSON_BYTES)->data);
    if (!utf8_valid(prompt.data, prompt.len))
        bad(vm, "system_prompt: not valid UTF-8");
}

static void add_system_prompt(struct vm *vm, struct list *messages, inf_text prompt)
{
    struct dict *message = dict_new(vm);

    if (!prompt.data)
        return;
    check_system_prompt(vm, prompt);
    set(vm, message, "role", v_str(text_of(vm, "system")));
    set(vm, message, "content", v_str(text_wrap(vm, prompt.data, prompt.len)));
    list_add(vm, messages, v_dict(message));
}

/* A text, or a list of parts, with the prompt before it. */
static struct value with_prompt(struct vm *vm, struct value content, inf_text prompt)
{
    struct text *before = text_join2(vm, text_wrap(vm, prompt.data, prompt.len),
                                     text_of(vm, "\n\n"));
    struct list *parts = NULL;
    struct dict *part = NULL;

    if (content.type == V_STR)
        return v_str(text_join2(vm, before, content.s));
    parts = list_new(vm, 0);
    part = dict_new(vm);
    set(vm, part, "type", v_str(text_of(vm, "text")));
    set(vm, part, "text", v_str(before));
    list_add(vm, parts, v_dict(part));
    for (size_t i = 0; content.type == V_LIST && i < content.l->len; i++)
        list_add(vm, parts, content.l->items[i]);
    return v_list(parts);
}

static void fold_system_prompt(struct vm *vm, struct list *messages, inf_text prompt)
{
    check_system_prompt(vm, prompt);
    for (size_t i = 0; i < messages->len; i++) {
        struct dict *d = messages->items[i].d;
        const struct value *role = member(vm, d, "role");
        const struct value *content = member(vm, d, "content");

        if (role && content && text_is(role->s, "user")) {
            set(vm, d, "content", with_prompt(vm, *content, prompt));
            return;
        }
    }
    bad(vm,
        "system_prompt: the template takes no system message, and there is no user message to put "
        "it before");
}

/* ------------------------------------------------------------------ going on with the last message */

static bool says_continue(struct vm *vm, struct value given)
{
    const struct value *said = given.type == V_DICT ? member(vm, given.d, CONTINUE) : NULL;

    if (said && said->type != V_BOOL && said->type != V_NONE)
        bad(vm, "messages: \"" CONTINUE "\" is neither true nor false");
    return said && said->type == V_BOOL && said->i != 0;
}

static void add_tag(struct vm *vm, struct job *job, struct value *text)
{
    if (text->s->len && !buffer_append(&job->last, text->s->data, text->s->len))
        vm_throw(vm, E_MEMORY, "out of memory");
    *text = v_str(text_join2(vm, text->s, text_of(vm, TAG)));
}

/* A text, or the last text of a list of parts. */
static void tag_last(struct vm *vm, struct job *job, struct list *messages)
{
    struct dict *last = messages->len ? messages->items[messages->len - 1].d : NULL;
    struct value *content = last ? member(vm, last, "content") : NULL;

    if (job->input->add_generation_prompt)
        bad(vm,
            CONTINUE ": the text ends within the last message, and no generation prompt follows; "
                     "leave one of the two");
    if (content && content->type == V_STR) {
        add_tag(vm, job, content);
        return;
    }
    for (size_t i = content && content->type == V_LIST ? content->l->len : 0; i-- > 0;) {
        struct value *text = content->l->items[i].type == V_DICT
                                 ? member(vm, content->l->items[i].d, "text")
                                 : NULL;

        if (text && text->type == V_STR) {
            add_tag(vm, job, text);
            return;
        }
    }
    bad(vm, CONTINUE ": the last message has no text to go on with");
}

/* Where the text ends without white space, as Python has it. */
static size_t without_space(const char *s, size_t n)
{
    while (n) {
        size_t at = utf8_back(s, n);

        if (!unicode_space(utf8_decode(s + at, n - at)))
            break;
        n = at;
    }
    return n;
}

static size_t space_before(const char *s, size_t n)
{
    size_t at = 0;

    for (size_t len = 0; at < n; at += len) {
        len = utf8_sequence(s + at, n - at);
        if (len == 0 || !unicode_space(utf8_decode(s + at, len)))
            break;
    }
    return at;
}

/* The last place of a word; n: nowhere. */
static size_t find_last(const char *s, size_t n, const char *word, size_t len)
{
    for (size_t at = n < len ? 0 : n - len + 1; at-- > 0;)
        if (memcmp(s + at, word, len) == 0)
            return at;
    return n;
}

/* Cuts the rendered text before the tag. */
static int32_t cut_at_tag(const struct job *job, struct buffer *text, inf_error *err)
{
    const char *last = job->last.data ? job->last.data : "";
    size_t from = space_before(last, job->last.len);
    size_t len = without_space(last + from, job->last.len - from);
    size_t at = text->len ? find_last(text->data, text->len, TAG, sizeof TAG - 2) : 0;
    bool whole = text->len - at >= sizeof TAG - 1 && text->data[at + sizeof TAG - 2] == ' ';

    if (at == text->len || (len && find_last(text->data, text->len, last + from, len) == text->len))
        return error_set(err, INF_ERROR_TEMPLATE,
                         CONTINUE
                         ": the last message does not appear in what the chat template makes "
                         "of it");
    text->len = whole ? at : without_space(text->data, at);
    if (job->input->continued)
        *job->input->continued = whole ? job->last.len : from + len;
    return INF_OK;
}

/* Messages as the template sees them; the other members of what was given become variables. */
static struct list *read_messages(struct vm *vm, struct dict *variables, struct job *job)
{
    const struct chat_input *input = job->input;
    struct value given = json_parse(vm, input->messages_json.data ? input->messages_json.data : "",
                                    input->messages_json.len, "messages");
    const struct value *found = given.type == V_DICT ? member(vm, given.d, "messages") : &given;
    struct list *messages = list_new(vm, 0);

    if (!found || found->type != V_LIST)
        bad(vm, "messages: not a JSON array, nor an object with an array \"messages\"");
    for (size_t i = 0; i < found->l->len; i++)
        check_message(vm, found->l->items[i], i);
    if (given.type == V_DICT)
        set_given(vm, variables, given.d, false);
    if (!input->fold_system_prompt)
        add_system_prompt(vm, messages, input->system_prompt);
    for (size_t i = 0; i < found->l->len; i++)
        list_add(vm, messages, prepared(vm, found->l->items[i].d));
    if (input->fold_system_prompt)
        fold_system_prompt(vm, messages, input->system_prompt);
    if (!messages->len)
        bad(vm, "messages: an empty conversation; give at least one message");
    job->continues = input->continue_final_message || says_continue(vm, given);
    if (job->continues)
        tag_last(vm, job, messages);
    return messages;
}

/* ------------------------------------------------------------------ trying a template out */

struct trial {
    const struct job *job;
    struct list *messages;
};

static void fill_trial(struct vm *vm, struct dict *variables, void *arg)
{
    const struct trial *trial = arg;

    set_own(vm, variables, trial->job->t);
    set(vm, variables, "messages", v_list(trial->messages));
    set(vm, variables, "add_generation_prompt", v_bool(true));
}

static struct template_input input_of(const struct job *job)
{
    return (struct template_input){
        .stop = {job->input->stop.requested, job->input->stop.arg},
        .deadline_us = job->deadline_us,
        .now = job->input->now,
    };
}

/* What the template alone makes of some messages. Only its own failures are forgiven. */
static void try_out(struct vm *vm, struct list *messages, struct buffer *out, void *arg)
{
    struct trial trial = {.job = arg, .messages = messages};
    struct template_input input = input_of(arg);
    inf_error err = {0};
    int32_t code;

    input.fill = fill_trial;
    input.arg = &trial;
    code = template_render(trial.job->t->compiled, &input, out, &err);
    if (code == INF_ERROR_CANCELLED)
        vm_throw(vm, E_CANCELLED, "a stop was requested");
    if (code == INF_ERROR_NO_MEMORY)
        vm_throw(vm, E_MEMORY, "out of memory");
    vm_refuel(vm, 0);
}

/* ------------------------------------------------------------------ rendering */

static void fill(struct vm *vm, struct dict *variables, void *arg)
{
    struct job *job = arg;
    struct content_renderer renderer = {try_out, job};
    struct list *messages;

    set_own(vm, variables, job->t);
    messages = read_messages(vm, variables, job);
    read_variables(vm, variables, job->input->variables_json);
    read_tools(vm, variables, job->input->tools_json);
    check_objects(vm, variables, "tools");
    check_objects(vm, variables, "documents");
    content_forms_apply(&job->t->forms, vm, messages, &renderer);
    set(vm, variables, "messages", v_list(messages));
    set(vm, variables, "add_generation_prompt", v_bool(job->input->add_generation_prompt));
}

int32_t chat_template_render(const struct chat_template *t, const struct chat_input *input,
                             struct buffer *out, inf_error *err)
{
    struct job job = {.t = (struct chat_template *)(uintptr_t)t, /* forms change, atomically */
                      .input = input,
                      .deadline_us = template_deadline_us()};
    struct template_input all = input_of(&job);
    struct buffer text;
    int32_t code = INF_OK;

    buffer_init(&text, BUFFER_NO_LIMIT);
    buffer_init(&job.last, BUFFER_NO_LIMIT);
    all.fill = fill;
    all.arg = &job;
    code = template_render(t->compiled, &all, &text, err);
    if (code == INF_OK && job.continues)
        code = cut_at_tag(&job, &text, err);
    if (code == INF_OK && text.len && !buffer_append(out, text.data, text.len))
        code = error_no_memory(err);
    buffer_free(&text);
    buffer_free(&job.last);
    return code;
}

/* ------------------------------------------------------------------ life */

static bool copy_tokens(struct chat_template *t, const struct chat_token *tokens, size_t n)
{
    t->tokens = mem_calloc(2 * n + 1, sizeof *t->tokens);
    for (size_t i = 0; t->tokens && i < n; i++) {
        if (!tokens[i].text || !*tokens[i].text)
            continue;
        t->tokens[2 * t->n_tokens] = mem_strdup(tokens[i].name);
        t->tokens[2 * t->n_tokens + 1] = mem_strdup(tokens[i].text);
        t->n_tokens++;
        if (!t->tokens[2 * t->n_tokens - 2] || !t->tokens[2 * t->n_tokens - 1])
            return false;
    }
    return t->tokens != NULL;
}

int32_t chat_template_compile(struct chat_template **out, inf_text source,
                              const struct chat_token *tokens, size_t n_tokens, inf_error *err)
{
    struct chat_template *t = mem_calloc(1, sizeof *t);
    int32_t code;

    *out = NULL;
    if (!t || !copy_tokens(t, tokens, n_tokens))
        code = error_no_memory(err);
    else
        code = template_compile(&t->compiled, source, err);
    if (code == INF_OK) {
        output_format_of(&t->output, source);
        *out = t;
    } else {
        chat_template_free(t);
    }
    return code;
}

const struct output_format *chat_template_output(const struct chat_template *t)
{
    return &t->output;
}

void chat_template_free(struct chat_template *t)
{
    if (!t)
        return;
    template_free(t->compiled);
    for (size_t i = 0; i < 2 * t->n_tokens; i++)
        mem_free(t->tokens[i]);
    mem_free(t->tokens);
    mem_free(t);
}
