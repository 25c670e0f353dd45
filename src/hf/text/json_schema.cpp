/*
 * json_schema: a JSON schema as a GBNF grammar, through llama.cpp's converter. Checked first
 * (schema_check.h), bounded in size, converted on a stack that is large enough for those bounds.
 */
#include "hf/text/chat_template.h"

#include "hf/text/big_stack.h"
#include "hf/text/json_text.h"
#include "hf/text/schema_check.h"

#include <json-schema-to-grammar.h>

#include <new>
#include <string>
#include <vector>

/* The three helpers that the converter takes from the rest of llama.cpp's common library, which is
 * not linked: command lines, downloads and samplers come with it. Here, and not in a file of their
 * own, so that a linker that reads archives once has them by the time the converter asks. */
std::string string_join(const std::vector<std::string> &values, const std::string &separator);
std::vector<std::string> string_split(const std::string &text, const std::string &separator);
std::string string_repeat(const std::string &text, size_t n);

std::string string_join(const std::vector<std::string> &values, const std::string &separator)
{
    std::string all;

    for (const std::string &value : values) {
        if (&value != &values.front())
            all += separator;
        all += value;
    }
    return all;
}

/* The separator is not empty. One part more than there are separators. */
std::vector<std::string> string_split(const std::string &text, const std::string &separator)
{
    std::vector<std::string> parts;
    size_t from = 0;

    for (;;) {
        size_t found = text.find(separator, from);

        parts.push_back(text.substr(from, found - from));
        if (found == std::string::npos)
            return parts;
        from = found + separator.size();
    }
}

std::string string_repeat(const std::string &text, size_t n)
{
    std::string all;

    while (n-- > 0)
        all += text;
    return all;
}

namespace {

constexpr json_limits LIMITS = {(size_t)256 * 1024, 48, 20000};

struct conversion {
    inf_text schema;
    struct buffer *out;
    inf_error *err;
    int32_t code;
};

void convert(conversion &c)
{
    try {
        std::string text(c.schema.data, c.schema.len);
        std::string grammar = json_schema_to_grammar(common_json::parse(text), true);

        c.code = buffer_append(c.out, grammar.data(), grammar.size()) ? error_none(c.err)
                                                                      : error_no_memory(c.err);
    } catch (const std::bad_alloc &) {
        c.code = error_no_memory(c.err);
    } catch (const std::exception &e) {
        c.code = error_set(c.err, INF_ERROR_INVALID_ARGUMENT, "json_schema: %s", e.what());
    } catch (...) {
        c.code = error_set(c.err, INF_ERROR_INVALID_ARGUMENT, "json_schema: cannot be used");
    }
}

void entry(void *arg)
{
    convert(*static_cast<conversion *>(arg));
}

} // namespace

extern "C" int32_t json_schema_to_grammar(inf_text schema, struct buffer *out, inf_error *err)
{
    json_t *parsed = nullptr;
    conversion c = {schema, out, err, INF_ERROR_NO_MEMORY};
    int32_t code = json_text_parse(&parsed, schema, "json_schema", &LIMITS, err);

    if (code == INF_OK)
        code = schema_check(parsed, err);
    json_decref(parsed);
    if (code != INF_OK)
        return code;
    return hf_text::run_on_big_stack(entry, &c) ? c.code : error_no_memory(err);
}
