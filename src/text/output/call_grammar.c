/*
 * call_grammar: see the header. A graph is written from its end to its beginning (grammar_graph.h), so that each
 * function is read from its last line up.
 */
#include "text/output/call_grammar.h"

#include "core/ascii.h"
#include "core/json.h"
#include "text/constraint/grammar_graph.h"
#include "text/constraint/json_schema.h"
#include "text/constraint/schema_refs.h"
#include "text/output/output_values.h"

#include <string.h>

struct writer {
    const struct call_grammar_options *o;
    struct grammar_graph b;
    int32_t code; /* the first error, which is in err */
    inf_error *err;
};

/* ------------------------------------------------------------------ pieces */

static int32_t word(struct writer *w, const char *text, int32_t next)
{
    return graph_text(&w->b, text, strlen(text), next);
}

static int32_t token_of(struct writer *w, const char *marker)
{
    return w->o->find_token ? w->o->find_token(w->o->arg, marker, strlen(marker)) : -1;
}

static int32_t mark(struct writer *w, const char *marker, int32_t next)
{
    int32_t token = token_of(w, marker);

    return token >= 0 ? graph_token(&w->b, token, next) : word(w, marker, next);
}

static int32_t until(struct writer *w, const char *marker, int32_t next)
{
    return graph_until(&w->b, marker, token_of(w, marker), next);
}

static int32_t fail(struct writer *w, int32_t code)
{
    if (w->code == INF_OK)
        w->code = code;
    return NOWHERE;
}

/* As a JSON string. */
static int32_t quoted(struct writer *w, const struct output_tool *tool, int32_t next)
{
    struct buffer json;
    int32_t entry = NOWHERE;

    buffer_init(&json, BUFFER_NO_LIMIT);
    if (write_json_string(&json, tool->name, tool->len))
        entry = graph_text(&w->b, json.data, json.len, next);
    else
        fail(w, error_no_memory(w->err));
    buffer_free(&json);
    return entry;
}

/* A value that obeys a schema within the tool's. */
static int32_t value(struct writer *w, const struct output_tool *tool, json_t *schema, int32_t next)
{
    struct grammar *g = NULL;
    int32_t entry = NOWHERE;

    if (w->code != INF_OK)
        return NOWHERE;
    w->code = json_schema_compile_part(&g, tool->parameters, schema, w->err);
    if (w->code != INF_OK)
        error_prefix(w->err, "tools: %.64s", tool->name);
    else
        entry = graph_call(&w->b, graph_embed(&w->b, g), next);
    grammar_free(g);
    return entry;
}

/* A tool that says nothing of its arguments gets none. */
static bool takes_nothing(const struct output_tool *tool)
{
    const char *key = NULL;
    json_t *said = NULL;

    json_object_foreach(tool->parameters, key, said)
    {
        bool empty = (json_is_object(said) || json_is_array(said)) && json_object_size(said) == 0 &&
                     json_array_size(said) == 0;

        if (strcmp(key, "type") != 0 && strcmp(key, "description") != 0 &&
            strcmp(key, "title") != 0 && strcmp(key, "$schema") != 0 && !json_is_false(said) &&
            !empty)
            return false;
    }
    return true;
}

static int32_t arguments(struct writer *w, const struct output_tool *tool, int32_t next)
{
    return takes_nothing(tool) ? word(w, "{}", next) : value(w, tool, tool->parameters, next);
}

/* {"name": ..., "arguments": {...}} */
static int32_t object(struct writer *w, const struct output_tool *tool, const char *arguments_key,
                      int32_t next)
{
    next = word(w, "}", next);
    next = arguments(w, tool, next);
    next = word(w, arguments_key, next);
    next = quoted(w, tool, next);
    return word(w, "{\"name\": ", next);
}

/* ------------------------------------------------------------------ a parameter after the other */

/* A text of the enum, where the schema has one of texts alone. NOWHERE: it has none. */
static int32_t choices(struct writer *w, const json_t *schema, const char *close, int32_t next)
{
    const json_t *list = json_object_get(schema, "enum");
    int32_t entry = NOWHERE;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *text = json_array_get(list, i);

        if (!json_is_string(text))
            return NOWHERE;
        entry = graph_split(&w->b,
                            graph_text(&w->b, json_string_value(text), json_string_length(text),
                                       mark(w, close, next)),
                            entry);
    }
    return entry;
}

/* The value and what closes it. */
static int32_t bare_value(struct writer *w, const struct output_tool *tool, const char *name,
                          json_t *schema, const char *close, int32_t next)
{
    unsigned kinds = output_value_kinds(tool->parameters, name, strlen(name));
    const json_t *said = json_object_get(schema, "$ref") ? schema_follow(tool->parameters, schema)
                                                         : schema;
    int32_t entry = choices(w, said, close, next);

    if (entry != NOWHERE)
        return entry;
    return kinds == 0 || (kinds & VALUE_STRING) ? until(w, close, next)
                                                : value(w, tool, schema, mark(w, close, next));
}

static int32_t xml_parameter(struct writer *w, const struct output_tool *tool, const char *name,
                             json_t *schema, int32_t next)
{
    next = bare_value(w, tool, name, schema, "\n</parameter>", word(w, "\n", next));
    next = word(w, ">\n", next);
    next = word(w, name, next);
    return word(w, "<parameter=", next);
}

static int32_t pair(struct writer *w, const struct output_tool *tool, const char *name,
                    json_t *schema, int32_t next)
{
    next = bare_value(w, tool, name, schema, "</arg_value>", word(w, "\n", next));
    next = mark(w, "<arg_value>", next);
    next = word(w, "\n", next);
    next = mark(w, "</arg_key>", next);
    next = word(w, name, next);
    return mark(w, "<arg_key>", next);
}

static bool is_required(const struct output_tool *tool, const char *name)
{
    const json_t *required = json_object_get(tool->parameters, "required");

    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *one = json_string_value(json_array_get(required, i));

        if (one && strcmp(one, name) == 0)
            return true;
    }
    return false;
}

/* Of its properties, as they are listed; 0 too where they are too many, which is an error. */
static size_t property_names(struct writer *w, const struct output_tool *tool,
                             const char *names[OUTPUT_TOOLS_MAX])
{
    const char *name = NULL;
    json_t *schema = NULL;
    size_t n = 0;

    json_object_foreach(json_object_get(tool->parameters, "properties"), name, schema)
    {
        if (n == OUTPUT_TOOLS_MAX) {
            fail(w, error_set(w->err, INF_ERROR_INVALID_ARGUMENT,
                              "tools: %.64s: has more than %d properties", tool->name,
                              OUTPUT_TOOLS_MAX));
            return 0;
        }
        names[n++] = name;
    }
    return n;
}

typedef int32_t (*parameter_fn)(struct writer *w, const struct output_tool *tool, const char *name,
                                json_t *schema, int32_t next);

/* As they are listed; those that are not required may be left out. */
static int32_t parameters(struct writer *w, const struct output_tool *tool, parameter_fn write,
                          int32_t next)
{
    json_t *properties = json_object_get(tool->parameters, "properties");
    const char *names[OUTPUT_TOOLS_MAX];
    size_t n = property_names(w, tool, names);

    while (n-- > 0) {
        int32_t entry = write(w, tool, names[n], json_object_get(properties, names[n]), next);

        next = is_required(tool, names[n]) ? entry : graph_split(&w->b, entry, next);
    }
    return next;
}

/* ------------------------------------------------------------------ keywords of Python */

static bool is_keyword(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!(is_letter(*c) || *c == '_' || ((unsigned char)*c & 0x80) ||
              (c > name && is_digit(*c))))
            return false;
    return *name;
}

/* Where a list of keywords goes on behind one, and where none was written before. */
struct keywords {
    int32_t more, first;
};

static struct keywords keyword(struct writer *w, const struct output_tool *tool, const char *name,
                               json_t *schema, struct keywords next)
{
    int32_t entry = NOWHERE;

    if (!is_keyword(name))
        entry = fail(w, error_set(w->err, INF_ERROR_INVALID_ARGUMENT,
                                  "tools: %.64s: \"%.64s\" is no name in the calls of this model, "
                                  "which are Python's",
                                  tool->name, name));
    else
        entry = word(w, name, word(w, "=", value(w, tool, schema, next.more)));
    if (is_required(tool, name))
        return (struct keywords){word(w, ", ", entry), entry};
    return (struct keywords){graph_split(&w->b, word(w, ", ", entry), next.more),
                             graph_split(&w->b, entry, next.first)};
}

/* NAME(KEY=VALUE, ...), values as JSON has them. */
static int32_t python_call(struct writer *w, const struct output_tool *tool, int32_t next)
{
    json_t *properties = json_object_get(tool->parameters, "properties");
    int32_t close = word(w, ")", next);
    struct keywords k = {close, close};
    const char *names[OUTPUT_TOOLS_MAX];
    size_t n = property_names(w, tool, names);

    while (n-- > 0)
        k = keyword(w, tool, names[n], json_object_get(properties, names[n]), k);
    return word(w, tool->name, word(w, "(", k.first));
}

/* ------------------------------------------------------------------ a call, by format */

static int32_t tagged(struct writer *w, const struct output_tool *tool, int32_t next)
{
    enum output_shape shape = w->o->format->shape;

    next = mark(w, "</tool_call>", next);
    if (shape == OUTPUT_JSON) {
        next = word(w, "\n", next);
        next = object(w, tool, ", \"arguments\": ", next);
        next = word(w, "\n", next);
    } else if (shape == OUTPUT_XML) {
        next = word(w, "</function>\n", next);
        next = parameters(w, tool, xml_parameter, next);
        next = word(w, ">\n", next);
        next = word(w, tool->name, next);
        next = word(w, "\n<function=", next);
    } else {
        next = parameters(w, tool, pair, next);
        next = word(w, "\n", next);
        next = word(w, tool->name, next);
    }
    return mark(w, "<tool_call>", next);
}

static int32_t bracketed(struct writer *w, const struct output_tool *tool, int32_t next)
{
    if (!w->o->format->names_in_front)
        return object(w, tool, ", \"arguments\": ", next);
    next = arguments(w, tool, next);
    next = mark(w, "[ARGS]", next);
    next = word(w, tool->name, next);
    return mark(w, "[TOOL_CALLS]", next);
}

static int32_t separated(struct writer *w, const struct output_tool *tool, int32_t next)
{
    const struct output_format *f = w->o->format;

    next = mark(w, f->markers[1], next);
    if (!f->bare_arguments)
        next = word(w, "\n```", next);
    next = arguments(w, tool, next);
    if (!f->bare_arguments) {
        next = word(w, "\n```json\n", next);
        next = word(w, tool->name, next);
    }
    next = mark(w, f->markers[0], next);
    next = word(w, f->bare_arguments ? tool->name : "function", next);
    return mark(w, f->openers[1], next);
}

static int32_t message(struct writer *w, const struct output_tool *tool, int32_t next)
{
    next = mark(w, "<|call|>", next);
    next = arguments(w, tool, next);
    next = mark(w, "<|message|>", next);
    next = word(w, "json", next);
    next = mark(w, "<|constrain|>", next);
    next = word(w, " ", next);
    next = word(w, tool->name, next);
    next = word(w, "commentary to=functions.", next);
    return mark(w, "<|channel|>", next);
}

static int32_t call_of(struct writer *w, const struct output_tool *tool, int32_t next)
{
    switch (w->o->format->shape) {
    case OUTPUT_BARE:
        return object(w, tool, ", \"parameters\": ", next);
    case OUTPUT_PYTHON:
        return python_call(w, tool, next);
    case OUTPUT_BRACKETS:
        return bracketed(w, tool, next);
    case OUTPUT_TOKENS:
        return separated(w, tool, next);
    case OUTPUT_CHANNELS:
        return message(w, tool, next);
    default:
        return tagged(w, tool, next);
    }
}

/* ------------------------------------------------------------------ calls */

/* What stands between calls; NULL: there is one call at most. */
static const char *between_calls(const struct output_format *f)
{
    switch (f->shape) {
    case OUTPUT_BARE:
    case OUTPUT_CHANNELS:
        return NULL;
    case OUTPUT_PYTHON:
        return ", ";
    case OUTPUT_BRACKETS:
        return f->names_in_front ? "" : ", ";
    case OUTPUT_TOKENS:
        return f->bare_arguments ? "" : "\n";
    default:
        return "\n";
    }
}

/* A rule of its own: each tool is written once. */
static int32_t any_call(struct writer *w)
{
    const struct output_tools *tools = w->o->tools;
    int32_t rule = graph_rule(&w->b);
    int32_t end = graph_finish(&w->b);
    int32_t entry = NOWHERE;

    for (size_t i = tools->n; i-- > 0;)
        if (!w->o->named || w->o->named == &tools->items[i])
            entry = graph_split(&w->b, call_of(w, &tools->items[i], end), entry);
    graph_define(&w->b, rule, entry);
    return rule;
}

static int32_t call_list(struct writer *w, int32_t next)
{
    const char *between = w->o->named ? NULL : between_calls(w->o->format);
    int32_t rule = any_call(w);
    int32_t loop = between ? graph_jump(&w->b) : NOWHERE;
    int32_t first = graph_call(&w->b, rule, between ? loop : next);

    if (between)
        graph_lead(&w->b, loop, graph_split(&w->b, next, word(w, between, first)));
    return first;
}

/* With what stands around the list. */
static int32_t all_calls(struct writer *w, int32_t next)
{
    const struct output_format *f = w->o->format;

    if (f->shape == OUTPUT_TOKENS)
        return mark(w, f->openers[0], call_list(w, mark(w, f->markers[2], next)));
    if (f->shape == OUTPUT_PYTHON)
        return word(w, "[", call_list(w, word(w, "]", next)));
    if (f->shape == OUTPUT_BRACKETS && !f->names_in_front) {
        next = call_list(w, word(w, "]", next));
        next = word(w, "[", next);
        return mark(w, "[TOOL_CALLS]", graph_split(&w->b, next, word(w, " ", next)));
    }
    return call_list(w, next);
}

/* ------------------------------------------------------------------ reasoning before them */

static int32_t lines(struct writer *w, int32_t next)
{
    int32_t one = graph_split(&w->b, next, word(w, "\n", next));

    return graph_split(&w->b, next, word(w, "\n", one));
}

static int32_t reasoned_channels(struct writer *w, int32_t calls)
{
    int32_t thought = mark(w, "<|start|>", word(w, "assistant", calls));

    thought = until(w, "<|end|>", thought);
    if (w->o->in_reasoning)
        return thought;
    thought = word(w, "analysis", mark(w, "<|message|>", thought));
    return graph_split(&w->b, calls, mark(w, "<|channel|>", thought));
}

static int32_t reasoned(struct writer *w, int32_t calls)
{
    const struct output_format *f = w->o->format;
    int32_t thought = NOWHERE;

    if (f->shape == OUTPUT_CHANNELS)
        return reasoned_channels(w, calls);
    if (!f->think_open)
        return calls;
    thought = until(w, f->think_close, lines(w, calls));
    return w->o->in_reasoning ? thought
                              : graph_split(&w->b, calls, mark(w, f->think_open, thought));
}

/* ------------------------------------------------------------------ the whole */

int32_t call_grammar_make(struct grammar **out, const struct call_grammar_options *options,
                          inf_error *err)
{
    inf_error mine = {0};
    struct writer w = {.o = options, .err = &mine};
    int32_t root = NOWHERE;

    *out = NULL;
    if (options->format->shape == OUTPUT_PLAIN)
        return error_set(err, INF_ERROR_UNSUPPORTED,
                         "tool_choice: this model's chat template shows no way to call a tool");
    if (!graph_begin(&w.b))
        return error_no_memory(err);
    root = graph_rule(&w.b);
    graph_define(&w.b, root, reasoned(&w, all_calls(&w, graph_finish(&w.b))));
    if (w.code == INF_OK)
        *out = graph_end_pruned(&w.b, root);
    if (w.code == INF_OK && !*out)
        w.code = w.b.fault == GRAPH_NO_MEMORY
                     ? error_no_memory(&mine)
                     : error_set(&mine, INF_ERROR_INVALID_ARGUMENT,
                                 w.b.fault == GRAPH_FINE
                                     ? "tools: no call obeys the schemas"
                                     : "tools: the grammar of their calls would be too large");
    graph_drop(&w.b);
    if (err)
        *err = mine;
    return w.code;
}
