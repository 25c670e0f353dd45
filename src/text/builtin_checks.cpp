/*
 * builtin_checks: see the header.
 */
#include "text/builtin_checks.h"

#include <cmath>
#include <stdexcept>

using jinja::is_val;
using jinja::value;
using values = std::vector<value>;

namespace hf_text {

namespace {

constexpr int64_t MAX_BOUND = INT32_MAX;
constexpr int64_t MAX_INDENT = 64;
/* Bytes that the engine may move or compare within one call: about half a second. */
constexpr size_t MAX_MOVED = (size_t)1 << 33;

const value &plain(const value &arg)
{
    const auto *named = jinja::cast_val<jinja::value_kwarg>(arg);

    return named ? named->val : arg;
}

bool is_text(const value &v)
{
    return is_val<jinja::value_string>(v);
}

std::string text_of(const value &v)
{
    return v->val_str.str();
}

extent measure_all(const value &input, const values &args)
{
    extent all = measure(input);

    for (const value &arg : args) {
        extent e = measure(arg);

        all.nodes += e.nodes;
        all.bytes += e.bytes;
        all.depth = std::max(all.depth, e.depth);
    }
    if (all.bytes > MAX_TEXT_BYTES)
        stop("one operation is given more than " + std::to_string(MAX_TEXT_BYTES) + " bytes");
    return all;
}

void limit_result(size_t a, size_t b)
{
    if (b > 0 && a > MAX_TEXT_BYTES / b)
        stop("a text would be longer than " + std::to_string(MAX_TEXT_BYTES) + " bytes");
}

void limit_work(size_t a, size_t b)
{
    if (b > 0 && a > MAX_MOVED / b)
        stop("one operation on texts would take too long");
}

/* Searching may compare the needle at every place. */
void check_search(size_t length, size_t needle)
{
    if (needle <= length)
        limit_work(length - needle + 1, needle);
}

size_t occurrences(const std::string &text, const std::string &part)
{
    size_t n = 0;

    check_search(text.size(), part.size());
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
        n++;
        at += part.size();
    }
    return n;
}

void check_replace(const value &input, const values &args)
{
    if (args.size() < 2 || !is_text(input) || !is_text(args[0]) || !is_text(args[1]))
        return; /* the engine says what is wrong */
    std::string text = text_of(input);
    std::string from = text_of(args[0]);
    std::string to = text_of(args[1]);
    size_t n = from.empty() ? text.size() + 1 : occurrences(text, from);

    limit_result(n, to.size());
    if (to.size() != from.size())
        limit_work(n, text.size() + n * to.size());
}

void check_split(const value &input, const values &args)
{
    std::string text = text_of(input);
    std::string separator = args.empty() ? " " : plain(args[0])->as_string().str();

    if (separator.empty())
        return;
    size_t n = occurrences(text, separator);

    if (n >= MAX_LIST_ITEMS)
        stop("a text is split into more than " + std::to_string(MAX_LIST_ITEMS) + " parts");
    limit_work(n, text.size());
}

void check_indent(const value &input, const values &args)
{
    size_t lines = 1;
    size_t width = 4;
    std::string text = text_of(input);

    for (char c : text)
        lines += c == '\n';
    for (const value &arg : args) {
        const value &v = plain(arg);

        if (is_val<jinja::value_int>(v) && (v->as_int() < 0 || v->as_int() > 1000))
            stop("indent() takes a width from 0 to 1000");
        if (is_val<jinja::value_int>(v))
            width = std::max(width, (size_t)v->as_int());
        else if (is_text(v))
            width = std::max(width, text_length(*v));
    }
    limit_result(lines + 1, width);
}

/* tojson, string and safe: an indent, a separator for each part. */
void check_json(const extent &all, const values &args)
{
    size_t each = 16;

    for (const value &arg : args) {
        const value &v = plain(arg);

        if (is_val<jinja::value_int>(v) && (v->as_int() < -1 || v->as_int() > MAX_INDENT))
            stop("tojson() takes an indent up to " + std::to_string(MAX_INDENT));
        if (is_val<jinja::value_int>(v) && v->as_int() > 0)
            each += 2 * (all.depth + 2) * (size_t)v->as_int();
        each += measure(v).bytes;
    }
    limit_result(all.nodes, each);
    limit_result(all.bytes, 6); /* \u00e9 for a byte */
}

void check_join(const value &input, const values &args)
{
    for (const value &arg : args)
        limit_result(input->val_arr.size(), measure(arg).bytes + 1);
}

/* The key that sort(attribute=...) compares by, as the engine finds it. */
value key_of(const value &item, const value &attribute)
{
    value none = jinja::mk_val<jinja::value_undefined>();
    int64_t at = -1;

    if (!attribute || attribute->is_undefined())
        return item;
    if (is_val<jinja::value_object>(item))
        return item->at(attribute, none);
    if (!is_val<jinja::value_array>(item))
        return none;
    if (is_val<jinja::value_int>(attribute))
        return item->at(attribute->as_int(), none);
    std::string digits = text_of(attribute);

    if (!digits.empty() && digits.size() < 10 &&
        digits.find_first_not_of("0123456789") == std::string::npos)
        at = std::stoll(digits);
    return at >= 0 ? item->at(at, none) : none;
}

/* 't' for texts, 'n' for numbers, 0 for what has no order. */
char order_of(const value &v)
{
    if (is_text(v))
        return 't';
    if (is_val<jinja::value_int>(v))
        return 'n';
    return is_val<jinja::value_float>(v) && !std::isnan(v->as_float()) ? 'n' : 0;
}

/* std::sort runs out of its array when the order has contradictions, such as 9 < 10, 10 < "10a",
 * "10a" < 9. Python refuses to compare these. */
void check_order(const values &keys)
{
    for (const value &key : keys)
        if (keys.size() > 1 && (order_of(key) == 0 || order_of(key) != order_of(keys[0])))
            throw std::runtime_error("only texts can be sorted among each other, or numbers");
}

void check_sort(const value &input, const values &args)
{
    value attribute;
    values keys;

    for (size_t i = 0; i < args.size(); i++) {
        const auto *named = jinja::cast_val<jinja::value_kwarg>(args[i]);

        if (named ? named->key == "attribute" && !named->val->is_undefined() : i == 2 && !attribute)
            attribute = plain(args[i]);
    }
    for (const value &item : input->val_arr)
        keys.push_back(key_of(item, attribute));
    check_order(keys);
}

void check_dictsort(const value &input, const values &args)
{
    values names;
    values contents;

    for (const auto &pair : input->val_obj) {
        names.push_back(pair.first);
        contents.push_back(pair.second);
    }
    check_order(names);
    for (const value &arg : args)
        if (is_text(plain(arg)) && text_of(plain(arg)) == "value")
            check_order(contents);
}

void check_divisor(const value &v)
{
    if (v && is_val<jinja::value_int>(v) && (v->as_int() == 0 || v->as_int() == -1))
        throw std::runtime_error("divisibleby: the divisor cannot be 0 or -1");
}

/* select("divisibleby", 0), selectattr("name", "in", text) and their like. */
void check_select(const extent &all, const values &args)
{
    for (const value &arg : args) {
        if (is_text(arg) && text_of(arg) == "divisibleby")
            check_divisor(args.back());
        if (is_text(arg) && text_of(arg) == "in" && is_text(args.back()))
            limit_work(all.bytes, text_length(*args.back()));
    }
}

void check_append(const value &input, const values &args)
{
    for (const value &arg : args)
        check_stored(arg, input.get());
}

void check_slice(const values &args)
{
    for (const value &arg : args)
        check_bound(plain(arg));
}

bool is_select(const std::string &name)
{
    return name.compare(0, 6, "select") == 0 || name.compare(0, 6, "reject") == 0;
}

/* These look at the outermost level of their input alone; the others may walk all of it. */
bool is_shallow(const std::string &name, const values &args)
{
    static const char *const always[] = {"length",  "count", "first", "last", "list",   "reverse",
                                         "default", "d",     "items", "keys", "values", "get",
                                         "append",  "pop",   "map",   "slice"};

    for (const char *one : always)
        if (name == one)
            return true;
    return is_select(name) && args.size() < 2;
}

} // namespace

void check_stored(const value &v, const jinja::value_t *target)
{
    extent e = measure(v, target);

    if (e.has_forbidden)
        throw std::runtime_error("a list or an object cannot contain itself");
    if (e.has_function)
        throw std::runtime_error("a function cannot be put into a list or an object");
}

void check_bound(const value &v)
{
    if (is_val<jinja::value_int>(v) || is_val<jinja::value_float>(v)) {
        if (v->as_int() > MAX_BOUND || v->as_int() < -MAX_BOUND)
            throw std::runtime_error("an index is out of range");
    }
}

void check_filter(const std::string &name, const value &input, const values &args)
{
    extent all = measure_all(is_shallow(name, args) ? value() : input, args);

    if (name == "append")
        check_append(input, args);
    else if (name == "replace")
        check_replace(input, args);
    else if ((name == "split" || name == "rsplit") && is_text(input))
        check_split(input, args);
    else if (name == "indent" && is_text(input))
        check_indent(input, args);
    else if (name == "tojson" || name == "string" || name == "safe")
        check_json(all, args);
    else if (name == "join")
        check_join(input, args);
    else if (name == "sort")
        check_sort(input, args);
    else if (name == "dictsort")
        check_dictsort(input, args);
    else if (name == "slice")
        check_slice(args);
    else if (is_select(name))
        check_select(all, args);
}

void check_test(const std::string &name, const value &input, const values &args)
{
    if (args.empty())
        return;
    measure_all(input, args);
    if (name == "divisibleby")
        check_divisor(args[0]);
    if (name == "in" && is_text(input) && is_text(args[0]))
        check_search(text_length(*args[0]), text_length(*input));
}

void check_function(const std::string &name, const values &args)
{
    if (jinja::global_builtins().count(name) == 0)
        return; /* a macro: its own nodes are guarded */
    extent all = measure_all(value(), args);

    if (name == "tojson" && !args.empty())
        check_json(all, values(args.begin() + 1, args.end()));
    if (name == "test_is_divisibleby" && args.size() > 1)
        check_divisor(args[1]);
    if (name == "test_is_in" && args.size() > 1 && is_text(args[0]) && is_text(args[1]))
        check_search(text_length(*args[1]), text_length(*args[0]));
}

void check_operands(const std::string &op, const value &left, const value &right)
{
    bool number = is_val<jinja::value_int>(right) || is_val<jinja::value_float>(right);

    if ((op == "/" || op == "%") && number && right->as_float() == 0)
        throw std::runtime_error("division by zero");
    if (op == "*" && is_text(left) && is_val<jinja::value_int>(right) && right->as_int() > 0)
        limit_result(text_length(*left) + sizeof(jinja::string_part), (size_t)right->as_int());
    if (op == "*" && is_text(right) && is_val<jinja::value_int>(left) && left->as_int() > 0)
        limit_result(text_length(*right) + sizeof(jinja::string_part), (size_t)left->as_int());
    if ((op == "in" || op == "not in") && is_text(left) && is_text(right))
        check_search(text_length(*right), text_length(*left));
    /* Two lists are put together without a look inside; all else may walk through a list. */
    if (op != "+" || !is_val<jinja::value_array>(left) || !is_val<jinja::value_array>(right))
        measure_all(is_container(left) ? left : value(), {is_container(right) ? right : value()});
}

} // namespace hf_text
