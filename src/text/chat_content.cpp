/*
 * chat_content: see the header.
 */
#include "text/chat_content.h"

#include <cstring>
#include <memory>
#include <new>

namespace hf_text {

namespace {

/* ------------------------------------------------------------------ checks */

int32_t bad(inf_error *err, size_t i, const char *why)
{
    return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)i, "messages[%zu]: %s", i,
                            why);
}

int32_t check_part(const json_t *part, size_t i, inf_error *err)
{
    const char *type = json_string_value(json_object_get(part, "type"));

    if (!type)
        return bad(err, i, "content is neither a text nor a list of text parts");
    if (strcmp(type, "text") != 0)
        return error_set_detail(err, INF_ERROR_UNSUPPORTED, (int64_t)i,
                                "messages[%zu]: content has a part of type \"%.100s\"; only parts "
                                "of type \"text\" can be given",
                                i, type);
    if (!json_is_string(json_object_get(part, "text")))
        return bad(err, i, "content has a text part without a text \"text\"");
    return INF_OK;
}

/* ------------------------------------------------------------------ JSON */

struct release {
    void operator()(json_t *json) const
    {
        json_decref(json);
    }
};
using owned = std::unique_ptr<json_t, release>;

/* Takes the reference. */
owned own(json_t *json)
{
    if (!json)
        throw std::bad_alloc();
    return owned(json);
}

void check(int failed)
{
    if (failed)
        throw std::bad_alloc();
}

owned text_of(const std::string &text)
{
    return own(json_stringn(text.data(), text.size()));
}

void add_part(json_t *list, json_t *text)
{
    check(json_array_append_new(list, json_pack("{s:s,s:O}", "type", "text", "text", text)));
}

owned joined(const json_t *parts)
{
    std::string all;

    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *text = json_object_get(json_array_get(parts, i), "text");

        all.append(json_string_value(text), json_string_length(text));
    }
    return text_of(all);
}

owned wrapped(json_t *text)
{
    owned list = own(json_array());

    add_part(list.get(), text);
    return list;
}

/* ------------------------------------------------------------------ markers */

const char *const ROLES[] = {"user", "assistant", "system", "developer", "tool"};

constexpr char FIRST[] = "marker5b1e";
constexpr char SECOND[] = "marker9c7f";

owned content_of(bool list, const char *first, const char *second)
{
    owned text = text_of(first);

    if (!list)
        return text;
    owned parts = wrapped(text.get());

    if (second)
        add_part(parts.get(), text_of(second).get());
    return parts;
}

void add_message(json_t *all, const char *role, json_t *content)
{
    check(json_array_append_new(all, json_pack("{s:s,s:O}", "role", role, "content", content)));
}

void add_tool_call(json_t *message)
{
    check(json_object_set_new(message, "tool_calls",
                              json_pack("[{s:s,s:s,s:{s:s,s:{}}}]", "id", "call00000", "type",
                                        "function", "function", "name", "f", "arguments")));
}

/* The shortest chat that has a message of this role in a place where templates expect it. */
owned chat_with(const char *role, bool list)
{
    owned all = own(json_array());
    owned marked = content_of(list, FIRST, SECOND);
    owned other = content_of(list, "hi", nullptr);
    bool tool = strcmp(role, "tool") == 0;
    bool answer = tool || strcmp(role, "assistant") == 0;

    if (answer)
        add_message(all.get(), "user", other.get());
    if (tool) {
        add_message(all.get(), "assistant", other.get());
        add_tool_call(json_array_get(all.get(), 1));
    }
    add_message(all.get(), role, marked.get());
    if (tool) {
        json_t *message = json_array_get(all.get(), 2);

        check(json_object_set_new(message, "tool_call_id", json_string("call00000")));
        check(json_object_set_new(message, "name", json_string("f")));
    } else if (strcmp(role, "user") != 0) {
        add_message(all.get(), "user", other.get());
    }
    return all;
}

/* The marker is there, and nowhere within quotes, as in a list that is printed. */
bool shows(const std::string &text, const char *marker)
{
    size_t length = strlen(marker);
    size_t at = text.find(marker);

    if (at == std::string::npos)
        return false;
    for (; at != std::string::npos; at = text.find(marker, at + length)) {
        char before = at > 0 ? text[at - 1] : ' ';

        if (before == '\'' || before == '"')
            return false;
    }
    return true;
}

} // namespace

int32_t check_content(const json_t *message, size_t i, inf_error *err)
{
    const json_t *content = json_object_get(message, "content");
    bool assistant = strcmp(json_string_value(json_object_get(message, "role")), "assistant") == 0;
    int32_t code = INF_OK;

    if (!content || json_is_null(content)) {
        if (assistant && json_array_size(json_object_get(message, "tool_calls")) > 0)
            return INF_OK;
        return bad(err, i, "content is missing; only an assistant's tool_calls go without");
    }
    if (json_is_string(content))
        return INF_OK;
    if (!json_is_array(content))
        return bad(err, i, "content is neither a text nor a list of text parts");
    for (size_t k = 0; code == INF_OK && k < json_array_size(content); k++)
        code = check_part(json_array_get(content, k), i, err);
    return code;
}

/* Two threads may both find it out, and find the same. */
bool content_forms::takes(bool list, const char *role, const renderer &render)
{
    for (size_t i = 0; i < N_ROLES; i++) {
        std::atomic<int> &found = known[list][i];

        if (strcmp(role, ROLES[i]) != 0)
            continue;
        if (found == UNKNOWN) {
            std::string text = render(chat_with(role, list).get());

            found = shows(text, FIRST) && (!list || shows(text, SECOND)) ? YES : NO;
        }
        return found == YES;
    }
    return !list;
}

void content_forms::apply(json_t *messages, const renderer &render)
{
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i);
        const char *role = json_string_value(json_object_get(message, "role"));
        json_t *content = json_object_get(message, "content");
        owned other;

        if (json_is_array(content) && !takes(true, role, render))
            other = joined(content);
        else if (json_is_string(content) && !takes(false, role, render) &&
                 takes(true, role, render))
            other = wrapped(content);
        if (other)
            check(json_object_set(message, "content", other.get()));
    }
}

} // namespace hf_text
