/*
 * template_source: see the header.
 */
#include "text/template_source.h"

#include "text/limits.h"

extern "C" {
#include "core/utf8.h"
}

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

using jinja::token;

namespace hf_text {

namespace {

/* The engine's lexer drops the first character of a template when only blanks are between it and
 * the first tag; with an empty expression before it, it is not the first. */
constexpr char FIRST[] = "{{''}}";

bool opens(const token &t)
{
    return t.t == token::open_paren || t.t == token::open_square_bracket ||
           t.t == token::open_curly_bracket;
}

bool closes(const token &t)
{
    return t.t == token::close_paren || t.t == token::close_square_bracket ||
           t.t == token::close_curly_bracket;
}

/* Text, or the beginning of a tag: what no expression reaches across. */
bool ends_expression(const token &t)
{
    return t.t == token::text || t.t == token::comment || t.t == token::open_statement ||
           t.t == token::open_expression;
}

/* Counts what the parser will recurse into. A closing tag that fits no opening one is an error of
 * the parser at that place, so what follows it does not matter. */
class nesting {
  public:
    explicit nesting(const std::vector<token> &all) : tokens(all)
    {
    }

    void check()
    {
        for (size_t i = 0; i < tokens.size(); i++) {
            count_token(tokens[i]);
            if (tokens[i].t == token::open_statement && i + 1 < tokens.size())
                count_statement(i + 1);
        }
    }

  private:
    const std::vector<token> &tokens;
    std::vector<size_t> open; /* for each open block: 1, and 1 for each of its elif */
    size_t depth = 0;
    size_t brackets = 0;
    size_t in_block = 0;

    void count_token(const token &t)
    {
        if (ends_expression(t)) {
            in_block = brackets = 0;
            return;
        }
        if (opens(t) && ++brackets > MAX_BRACKET_DEPTH)
            stop("brackets are nested deeper than " + std::to_string(MAX_BRACKET_DEPTH));
        if (closes(t) && brackets > 0)
            brackets--;
        if (++in_block > MAX_BLOCK_TOKENS)
            stop("an expression has more than " + std::to_string(MAX_BLOCK_TOKENS) + " words");
    }

    void count_statement(size_t at)
    {
        const std::string &word = tokens[at].value;

        if (word == "if" || word == "for" || word == "macro" || word == "call" ||
            word == "filter" || (word == "set" && !is_assignment(at)))
            open.push_back(deeper());
        else if (word == "elif" && !open.empty())
            open.back() += deeper();
        else if (word.compare(0, 3, "end") == 0 && word != "endgeneration" && !open.empty())
            close();
    }

    size_t deeper()
    {
        if (++depth > MAX_BLOCK_DEPTH)
            stop("blocks are nested deeper than " + std::to_string(MAX_BLOCK_DEPTH));
        return 1;
    }

    void close()
    {
        depth -= open.back();
        open.pop_back();
    }

    /* {% set x = ... %} and not {% set x %}...{% endset %}: an "=" outside of brackets. */
    bool is_assignment(size_t at) const
    {
        size_t inside = 0;

        for (; at < tokens.size(); at++) {
            const token &t = tokens[at];

            if (t.t == token::close_statement || ends_expression(t))
                break;
            if (t.t == token::equals && inside == 0)
                return true;
            inside += opens(t);
            inside -= closes(t) && inside > 0;
        }
        return false;
    }
};

void replace_all(std::string &s, const std::string &from, const std::string &to)
{
    for (size_t at = s.find(from); at != std::string::npos; at = s.find(from, at + to.size()))
        s.replace(at, from.size(), to);
}

std::string line_of(const std::string &source, size_t at)
{
    auto end = source.begin() + (std::ptrdiff_t)std::min(at, source.size());

    return "line " + std::to_string(1 + std::count(source.begin(), end, '\n'));
}

/* The engine's picture of the place: "...text around...", then spaces and a caret below it. */
std::string line_of_picture(const std::string &source, const std::string &message)
{
    size_t begin = message.find("\n...");
    size_t end = message.rfind("...\n");
    size_t caret = message.rfind('^');

    if (begin == std::string::npos || end == std::string::npos || caret == std::string::npos ||
        end < begin + 4 || caret < end + 4)
        return "";
    std::string around = message.substr(begin + 4, end - begin - 4);
    size_t before = caret - (end + 4);

    replace_all(around, "\xE2\x86\xB5", "\n");
    size_t at = source.find(around);

    if (at == std::string::npos || before < 3 || source.find(around, at + 1) != std::string::npos)
        return "";
    return line_of(source, at + before - 3);
}

/* The parser takes what strtoll and strtod take. */
bool is_number(const std::string &digits)
{
    errno = 0;
    if (digits.find('.') == std::string::npos)
        (void)strtoll(digits.c_str(), nullptr, 10);
    else if (std::isfinite(strtod(digits.c_str(), nullptr)))
        return true; /* also what is rounded to 0 */
    return errno != ERANGE;
}

/* The kinds of values in the names that C++ has for them, as in N5jinja14value_string_tE. */
const char *kind_of(const std::string &type)
{
    static const char *const kinds[][2] = {
        {"value_string_t", "a text"},   {"value_int_t", "an integer"},
        {"value_float_t", "a number"},  {"value_bool_t", "true or false"},
        {"value_array_t", "a list"},    {"value_object_t", "an object"},
        {"value_func_t", "a function"}, {"value_kwarg_t", "an argument with a name"},
        {"value_none_t", "None"},       {"value_tuple_t", "a tuple"},
    };

    for (const auto &kind : kinds)
        if (type.find(kind[0]) != std::string::npos)
            return kind[1];
    return "another value";
}

/* Without the names of C++ types and functions. */
std::string in_words(std::string what)
{
    const std::string type = "expected value of type ";
    size_t at = what.find(type);

    if (at != std::string::npos) {
        size_t from = at + strlen("expected ");
        size_t end = std::min(what.find(", got", from), what.size());

        return what.replace(from, end - from, kind_of(what.substr(from, end - from)));
    }
    if (what == "stoll" || what == "stoi" || what == "stod")
        return "a number is too large";
    for (const char *place : {"vector::", "basic_string::", "map::", "array::"})
        if (what.compare(0, strlen(place), place) == 0)
            return "an index is out of range";
    return what;
}

std::string without_tags(std::string what)
{
    for (const std::string tag : {"lexer: ", "parser: ", "Parser Error: ", "Jinja Exception: "})
        if (what.compare(0, tag.size(), tag) == 0)
            what.erase(0, tag.size());
    return in_words(what);
}

} // namespace

std::string prepare_source(const char *data, size_t len)
{
    std::string out;

    if (len > MAX_SOURCE_BYTES)
        stop("it is longer than " + std::to_string(MAX_SOURCE_BYTES) + " bytes");
    if (!utf8_valid(data, len))
        stop("it is not valid UTF-8");
    out.reserve(len + sizeof FIRST);
    if (len > 0 && !strchr(" \t{", data[0]))
        out += FIRST;
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\r' && i + 1 < len && data[i + 1] == '\n')
            continue;
        out += data[i] == '\r' ? '\n' : data[i];
    }
    return out;
}

void check_tokens(const jinja::lexer_result &lexed)
{
    nesting(lexed.tokens).check();
    for (const token &t : lexed.tokens)
        if (t.t == token::numeric_literal && !is_number(t.value))
            stop(line_of(lexed.source, t.pos) + ": the number " + t.value.substr(0, 40) +
                 " is too large");
}

std::string readable(const std::string &source, const std::string &message)
{
    size_t at = message.find(" at line ");
    size_t error = message.find("\nError: ");

    if (at != std::string::npos && error != std::string::npos && at < error) {
        size_t end = message.find(',', at);

        return message.substr(at + 4, end - at - 4) + ": " +
               without_tags(message.substr(error + 8));
    }
    std::string line = line_of_picture(source, message);
    std::string what = without_tags(message.substr(0, message.find("\n...")));

    return line.empty() ? what : line + ": " + what;
}

} // namespace hf_text
