/*
 * chat_content: see the header.
 */
#include "text/chat_content.h"

#include <string.h>

enum answer { UNKNOWN, NO, YES };

static const char *const ROLES[N_CONTENT_ROLES] = {"user", "assistant", "system", "developer",
                                                   "tool"};
static const char FIRST[] = "marker5b1e";
static const char SECOND[] = "marker9c7f";

/* ------------------------------------------------------------------ values */

static struct value *member(struct vm *vm, const struct dict *d, const char *name)
{
    return dict_get_text(d, text_of(vm, name));
}

static void set(struct vm *vm, struct dict *d, const char *name, struct value v)
{
    dict_set(vm, d, v_str(text_of(vm, name)), v);
}

static struct value text(struct vm *vm, const char *s)
{
    return v_str(text_of(vm, s));
}

/* ------------------------------------------------------------------ checks */

static _Noreturn void bad(struct vm *vm, size_t i, const char *why)
{
    vm->detail = (int64_t)i;
    vm_throw(vm, E_ARGUMENT, "messages[%zu]: %s", i, why);
}

static void check_part(struct vm *vm, struct value part, size_t i)
{
    const struct value *type = part.type == V_DICT ? member(vm, part.d, "type") : NULL;
    const struct value *s;

    if (!type || type->type != V_STR)
        bad(vm, i, "content is neither a text nor a list of text parts");
    if (!text_is(type->s, "text")) {
        vm->detail = (int64_t)i;
        vm_throw(vm, E_UNSUPPORTED,
                 "messages[%zu]: content has a part of type \"%.*s\"; only parts of type \"text\" "
                 "can be given",
                 i, (int)(type->s->len < 100 ? type->s->len : 100), type->s->data);
    }
    s = member(vm, part.d, "text");
    if (!s || s->type != V_STR)
        bad(vm, i, "content has a text part without a text \"text\"");
}

void check_content(struct vm *vm, const struct dict *message, size_t i)
{
    const struct value *content = member(vm, message, "content");
    const struct value *calls = member(vm, message, "tool_calls");

    if (!content || content->type == V_NONE) {
        if (text_is(member(vm, message, "role")->s, "assistant") && calls &&
            calls->type == V_LIST && calls->l->len)
            return;
        bad(vm, i, "content is missing; only an assistant's tool_calls go without");
    }
    if (content->type == V_STR)
        return;
    if (content->type != V_LIST)
        bad(vm, i, "content is neither a text nor a list of text parts");
    for (size_t k = 0; k < content->l->len; k++)
        check_part(vm, content->l->items[k], i);
}

/* ------------------------------------------------------------------ forms */

static void add_part(struct vm *vm, struct list *parts, struct value s)
{
    struct dict *part = dict_new(vm);

    set(vm, part, "type", text(vm, "text"));
    set(vm, part, "text", s);
    list_add(vm, parts, v_dict(part));
}

static struct value wrapped(struct vm *vm, struct value s)
{
    struct list *parts = list_new(vm, 1);

    add_part(vm, parts, s);
    return v_list(parts);
}

static struct value joined(struct vm *vm, const struct list *parts)
{
    struct builder b;

    build_init(&b, vm);
    for (size_t i = 0; i < parts->len; i++)
        build_text(&b, member(vm, parts->items[i].d, "text")->s);
    return v_str(build_done(&b));
}

/* ------------------------------------------------------------------ markers */

static struct value content_of(struct vm *vm, bool list, const char *first, const char *second)
{
    struct value parts;

    if (!list)
        return text(vm, first);
    parts = wrapped(vm, text(vm, first));
    if (second)
        add_part(vm, parts.l, text(vm, second));
    return parts;
}

static struct dict *add_message(struct vm *vm, struct list *all, const char *role,
                                struct value content)
{
    struct dict *message = dict_new(vm);

    set(vm, message, "role", text(vm, role));
    set(vm, message, "content", content);
    list_add(vm, all, v_dict(message));
    return message;
}

static void add_tool_call(struct vm *vm, struct dict *message)
{
    struct dict *call = dict_new(vm);
    struct dict *function = dict_new(vm);
    struct list *calls = list_new(vm, 1);

    set(vm, function, "name", text(vm, "f"));
    set(vm, function, "arguments", v_dict(dict_new(vm)));
    set(vm, call, "id", text(vm, "call00000"));
    set(vm, call, "type", text(vm, "function"));
    set(vm, call, "function", v_dict(function));
    list_add(vm, calls, v_dict(call));
    set(vm, message, "tool_calls", v_list(calls));
}

/* The shortest chat that has a message of this role in a place where templates expect it. */
static struct list *chat_with(struct vm *vm, const char *role, bool list)
{
    struct list *all = list_new(vm, 4);
    struct value other = content_of(vm, list, "hi", NULL);
    bool tool = strcmp(role, "tool") == 0;
    struct dict *marked;

    if (tool || strcmp(role, "assistant") == 0)
        add_message(vm, all, "user", other);
    if (tool)
        add_tool_call(vm, add_message(vm, all, "assistant", other));
    marked = add_message(vm, all, role, content_of(vm, list, FIRST, SECOND));
    if (tool) {
        set(vm, marked, "tool_call_id", text(vm, "call00000"));
        set(vm, marked, "name", text(vm, "f"));
    } else if (strcmp(role, "user") != 0) {
        add_message(vm, all, "user", other);
    }
    return all;
}

/* The marker is there, and nowhere within quotes, as in a list that is printed. */
static bool shows(const struct buffer *b, const char *marker)
{
    const char *at = b->data;
    bool found = false;

    while (at &&
           (at = memmem(at, b->len - (size_t)(at - b->data), marker, strlen(marker))) != NULL) {
        char before = at > b->data ? at[-1] : ' ';

        if (before == '\'' || before == '"')
            return false;
        found = true;
        at += strlen(marker);
    }
    return found;
}

static bool try_out(struct vm *vm, const char *role, bool list,
                    const struct content_renderer *renderer)
{
    struct list *chat = chat_with(vm, role, list);
    struct buffer out;
    bool ok;

    buffer_init(&out, BUFFER_NO_LIMIT);
    renderer->render(vm, chat, &out, renderer->arg);
    ok = shows(&out, FIRST) && (!list || shows(&out, SECOND));
    buffer_free(&out);
    return ok;
}

/* Two threads may both find it out, and find the same. */
static bool takes(struct content_forms *forms, struct vm *vm, bool list, const struct text *role,
                  const struct content_renderer *renderer)
{
    for (size_t i = 0; i < N_CONTENT_ROLES; i++) {
        atomic_int *known = &forms->known[list][i];

        if (!text_is(role, ROLES[i]))
            continue;
        if (atomic_load(known) == UNKNOWN)
            atomic_store(known, try_out(vm, ROLES[i], list, renderer) ? YES : NO);
        return atomic_load(known) == YES;
    }
    return !list;
}

void content_forms_apply(struct content_forms *forms, struct vm *vm, struct list *messages,
                         const struct content_renderer *renderer)
{
    for (size_t i = 0; i < messages->len; i++) {
        const struct dict *message = messages->items[i].d;
        const struct text *role = member(vm, message, "role")->s;
        struct value *content = member(vm, message, "content");

        if (!content)
            continue;
        if (content->type == V_LIST && !takes(forms, vm, true, role, renderer))
            *content = joined(vm, content->l);
        else if (content->type == V_STR && !takes(forms, vm, false, role, renderer) &&
                 takes(forms, vm, true, role, renderer))
            *content = wrapped(vm, *content);
    }
}
