/*
 * output_tools: see the header.
 */
#include "text/output/output_tools.h"

#include "core/ascii.h"
#include "core/memory.h"
#include "text/json_text.h"

#include <string.h>

static const struct json_limits limits = {(size_t)4 << 20, 128, 200000};

static int32_t bad(inf_error *err, size_t i, const char *why)
{
    return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)i, "tools[%zu]: %s", i, why);
}

static int32_t read_tool(struct output_tools *t, size_t i, inf_error *err)
{
    json_t *item = json_array_get(t->json, i);
    json_t *function = json_object_get(item, "function");
    json_t *name = NULL;
    struct output_tool tool = {0};

    if (!function)
        function = item;
    name = json_object_get(function, "name");
    if (!json_is_string(name) || json_string_length(name) == 0)
        return bad(err, i, "is no function with a \"name\"");
    tool.name = json_string_value(name);
    tool.len = json_string_length(name);
    tool.parameters = json_object_get(function, "parameters");
    if (json_is_null(tool.parameters))
        tool.parameters = NULL;
    if (tool.parameters && !json_is_object(tool.parameters))
        return bad(err, i, "its \"parameters\" are no JSON schema, which is an object");
    if (strlen(tool.name) != tool.len || tool.len > 256)
        return bad(err, i, "its name is longer than 256 bytes, or holds a NUL");
    if (output_tools_find(t, tool.name, tool.len))
        return bad(err, i, "its name is that of another");
    t->items[t->n++] = tool;
    return INF_OK;
}

int32_t output_tools_read(struct output_tools *out, inf_text tools, inf_error *err)
{
    int32_t code = INF_OK;
    size_t n = 0;

    *out = (struct output_tools){0};
    if (!tools.data)
        return INF_OK;
    code = json_text_parse(&out->json, tools, "tools", &limits, err);
    n = json_array_size(out->json);
    if (code == INF_OK && !json_is_array(out->json))
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "tools: not a JSON array");
    if (code == INF_OK && n > OUTPUT_TOOLS_MAX)
        code = error_set(err, INF_ERROR_INVALID_ARGUMENT, "tools: more than %d", OUTPUT_TOOLS_MAX);
    if (code == INF_OK && n) {
        out->items = mem_calloc(n, sizeof *out->items);
        code = out->items ? INF_OK : error_no_memory(err);
    }
    for (size_t i = 0; i < n && code == INF_OK; i++)
        code = read_tool(out, i, err);
    if (code != INF_OK)
        output_tools_free(out);
    return code;
}

void output_tools_free(struct output_tools *tools)
{
    json_decref(tools->json);
    mem_free(tools->items);
    *tools = (struct output_tools){0};
}

const struct output_tool *output_tools_find(const struct output_tools *tools, const char *name,
                                            size_t len)
{
    for (size_t i = 0; i < tools->n; i++)
        if (tools->items[i].len == len && memcmp(tools->items[i].name, name, len) == 0)
            return &tools->items[i];
    return NULL;
}

/* ------------------------------------------------------------------ the choice */

static int32_t find_named(const struct output_tool **named, const struct output_tools *tools,
                          const char *name, size_t len, inf_error *err)
{
    *named = output_tools_find(tools, name, len);
    if (*named)
        return INF_OK;
    return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                     "tool_choice: \"%.*s\" is none of auto, none and required, nor the name of a "
                     "tool",
                     (int)(len < 128 ? len : 128), name);
}

/* {"type": "function", "function": {"name": "..."}} */
static int32_t read_object(const struct output_tool **named, const struct output_tools *tools,
                           inf_text choice, inf_error *err)
{
    json_t *json = NULL;
    json_t *name = NULL;
    int32_t code = json_text_parse(&json, choice, "tool_choice", &limits, err);

    if (code != INF_OK)
        return code;
    name = json_object_get(json_object_get(json, "function"), "name");
    code = json_is_string(name)
               ? find_named(named, tools, json_string_value(name), json_string_length(name), err)
               : error_set(err, INF_ERROR_INVALID_ARGUMENT,
                           "tool_choice: an object must be {\"type\": \"function\", "
                           "\"function\": {\"name\": \"...\"}}");
    json_decref(json);
    return code;
}

int32_t output_choice_read(enum output_choice *out, const struct output_tool **named,
                           const struct output_tools *tools, inf_text choice, inf_error *err)
{
    *named = NULL;
    *out = OUTPUT_AUTO;
    if (!choice.data || text_equals(choice.data, choice.len, "auto"))
        return INF_OK;
    *out = OUTPUT_NONE;
    if (text_equals(choice.data, choice.len, "none"))
        return INF_OK;
    *out = OUTPUT_REQUIRED;
    if (text_equals(choice.data, choice.len, "required"))
        return tools->n ? INF_OK
                        : error_set(err, INF_ERROR_INVALID_ARGUMENT,
                                    "tool_choice: there are no tools to choose from");
    *out = OUTPUT_NAMED;
    if (choice.len && choice.data[0] == '{')
        return read_object(named, tools, choice, err);
    return find_named(named, tools, choice.data, choice.len, err);
}
