/* template_files: see the header. */
#include "hf/files/template_files.h"

#include "core/file.h"
#include "core/json.h"
#include "core/memory.h"
#include "core/utf8.h"

#define MAX_TEMPLATE ((uint64_t)4 << 20)
#define MAX_CONFIG ((uint64_t)256 << 20)

static int32_t take_file(struct buffer *out, bool *found, const char *dir, const char *name,
                         inf_error *err)
{
    char *text = NULL;
    size_t len = 0;
    int32_t code = file_read_if_there(&text, &len, dir, name, MAX_TEMPLATE, err);

    if (code == INF_OK && text && !utf8_valid(text, len))
        code = error_set(err, INF_ERROR_BAD_FORMAT, "%s/%s is not UTF-8", dir, name);
    *found = text != NULL;
    if (code == INF_OK && text && !buffer_append(out, text, len))
        code = error_no_memory(err);
    mem_free(text);
    return code;
}

/* The template of that name in a list of {"name", "template"}. */
static struct json_span named(struct json_span list, const char *wanted)
{
    struct json_span item = {0};
    struct json_walk w;

    scan_array(&w, list);
    while (scan_next_item(&w, &item)) {
        struct json_span name = scan_member(item, "name");

        if (scan_is_string(name) && scan_equals(name, wanted))
            return scan_member(item, "template");
    }
    return (struct json_span){0};
}

static bool take_text(struct buffer *out, struct json_span value)
{
    return !scan_is_string(value) || scan_unescape(out, value);
}

static int32_t take_from_config(struct buffer *out, struct buffer *for_tools, const char *dir,
                                inf_error *err)
{
    struct json_span root = {0};
    struct json_span value = {0};
    char *text = NULL;
    size_t len = 0;
    int32_t code = file_read_if_there(&text, &len, dir, "tokenizer_config.json", MAX_CONFIG, err);

    if (code == INF_OK && text && !scan_json(&root, text, len))
        code = error_set(err, INF_ERROR_BAD_FORMAT, "%s/tokenizer_config.json is no JSON", dir);
    value = scan_member(root, "chat_template");
    if (code == INF_OK && scan_is_array(value) && !take_text(for_tools, named(value, "tool_use")))
        code = error_no_memory(err);
    if (code == INF_OK && !take_text(out, scan_is_array(value) ? named(value, "default") : value))
        code = error_no_memory(err);
    mem_free(text);
    return code;
}

int32_t chat_templates_read(struct buffer *out, struct buffer *for_tools, const char *dir,
                            inf_error *err)
{
    bool found = false;
    bool ignored = false;
    int32_t code = take_file(out, &found, dir, "chat_template.jinja", err);

    if (code != INF_OK)
        return code;
    if (!path_exists(dir, "additional_chat_templates/."))
        return found ? INF_OK : take_from_config(out, for_tools, dir, err);
    if (!found)
        code = take_file(out, &found, dir, "additional_chat_templates/default.jinja", err);
    if (code == INF_OK)
        code = take_file(for_tools, &ignored, dir, "additional_chat_templates/tool_use.jinja", err);
    return code;
}
