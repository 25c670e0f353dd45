/*
 * json_schema: a JSON schema as a GBNF grammar, through llama.cpp's converter. Checked first
 * (schema_check.h), bounded in size, converted on a stack that is large enough for those bounds.
 */
#include "text/chat_template.h"

#include "text/big_stack.h"
#include "text/json_text.h"
#include "text/constraint/schema_check.h"
#include "text/constraint/schema_rewrite.h"

#include <json-schema-to-grammar.h>

#include <cstdlib>
#include <cstring>
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
    const std::string &schema;
    struct buffer *out;
    inf_error *err;
    int32_t code;
};

/* Two of the converter's rules let through what a JSON reader may refuse: half a surrogate pair,
 * and numbers such as 1e9999. */
struct rule {
    const char *theirs;
    const char *ours;
};
const rule RULES[] = {
    {"char ::= [^\"\\\\\\x7F\\x00-\\x1F] | [\\\\] ([\"\\\\bfnrt] | \"u\" [0-9a-fA-F]{4})\n",
     "char ::= [^\"\\\\\\x7F\\x00-\\x1F] | [\\\\] ([\"\\\\bfnrt] | \"u\" ([0-9a-cA-CefEF] "
     "[0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))\n"},
    {"number ::= (\"-\"? integral-part) (\".\" decimal-part)? ([eE] [-+]? integral-part)?\n",
     "number ::= (\"-\"? integral-part) (\".\" decimal-part)? ([eE] [-+]? [0-9]{1,2})?\n"},
};

/* A rule stands at the beginning of a line; schema_rewrite sees to it that no other has its name. */
void tighten(std::string &grammar)
{
    for (const rule &r : RULES) {
        size_t found = grammar.find(std::string("\n") + r.theirs);

        if (grammar.compare(0, std::char_traits<char>::length(r.theirs), r.theirs) == 0)
            grammar.replace(0, std::char_traits<char>::length(r.theirs), r.ours);
        else if (found != std::string::npos)
            grammar.replace(found + 1, std::char_traits<char>::length(r.theirs), r.ours);
    }
}

void convert(conversion &c)
{
    try {
        std::string grammar = json_schema_to_grammar(common_json::parse(c.schema), true);

        tighten(grammar);

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

static int32_t run(inf_text rewritten, struct buffer *out, inf_error *err)
{
    try {
        std::string text(rewritten.data, rewritten.len);
        conversion c = {text, out, err, INF_ERROR_NO_MEMORY};

        return hf_text::run_on_big_stack(entry, &c) ? c.code : error_no_memory(err);
    } catch (...) {
        return error_no_memory(err);
    }
}

/* Takes the reference. */
static int32_t convert_document(json_t *document, struct buffer *out, inf_error *err)
{
    char *text = document ? json_dumps(document, JSON_COMPACT) : nullptr;
    int32_t code = text ? run({text, strlen(text)}, out, err) : error_no_memory(err);

    free(text);
    json_decref(document);
    return code;
}

extern "C" int32_t json_schema_to_grammar(inf_text schema, struct buffer *out, inf_error *err)
{
    json_t *parsed = nullptr;
    int32_t code = json_text_parse(&parsed, schema, "json_schema", &LIMITS, err);

    if (code == INF_OK)
        code = schema_check(parsed, err);
    if (code == INF_OK)
        code = convert_document(schema_rewrite(parsed), out, err);
    json_decref(parsed);
    return code;
}
