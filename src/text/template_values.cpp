/*
 * template_values: see the header.
 */
#include "text/template_values.h"

#include <ctime>
#include <stdexcept>

using jinja::func_args;
using jinja::mk_val;
using jinja::value;

namespace hf_text {

namespace {

value list_of(const json_t *json)
{
    auto list = mk_val<jinja::value_array>();

    for (size_t i = 0; i < json_array_size(json); i++)
        list->push_back(value_of(json_array_get(json, i)));
    return list;
}

value object_of(const json_t *json)
{
    auto object = mk_val<jinja::value_object>();
    json_t *member = const_cast<json_t *>(json); /* jansson's iterators take no const */

    for (void *at = json_object_iter(member); at; at = json_object_iter_next(member, at))
        object->insert(std::string(json_object_iter_key(at)), value_of(json_object_iter_value(at)));
    return object;
}

/* The number of items of range(start, stop, step), step not 0. */
uint64_t range_length(int64_t start, int64_t stop, int64_t step)
{
    uint64_t distance = step > 0 ? (uint64_t)stop - (uint64_t)start
                                 : (uint64_t)start - (uint64_t)stop;
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;

    if (step > 0 ? start >= stop : start <= stop)
        return 0;
    return (distance - 1) / stride + 1;
}

value range(const func_args &args)
{
    int64_t bound[3] = {0, 0, 1};

    args.ensure_count(1, 3);
    for (size_t i = 0; i < args.count(); i++) {
        value v = args.get_pos(i);

        if (!jinja::is_val<jinja::value_int>(v))
            throw std::runtime_error("range() takes integers");
        bound[args.count() == 1 ? 1 : i] = v->as_int();
    }
    if (bound[2] == 0)
        throw std::runtime_error("range() takes a step other than 0");
    uint64_t n = range_length(bound[0], bound[1], bound[2]);

    if (n > MAX_ITEMS)
        stop("range() over more than " + std::to_string(MAX_ITEMS) + " numbers");
    auto list = mk_val<jinja::value_array>();

    budget::current().produced(n * 256);
    for (uint64_t i = 0; i < n; i++)
        list->push_back(
            mk_val<jinja::value_int>((int64_t)((uint64_t)bound[0] + i * (uint64_t)bound[2])));
    return list;
}

value strftime_now(const func_args &args)
{
    char text[1024];
    struct tm now;
    size_t n = 0;

    args.ensure_vals<jinja::value_string>();
    std::string format = args.get_pos(0)->as_string().str();

    if (!localtime_r(&args.ctx.current_time, &now))
        throw std::runtime_error("strftime_now: no local time");
    n = strftime(text, sizeof text, format.c_str(), &now);
    if (n == 0 && !format.empty())
        throw std::runtime_error("strftime_now: the result is empty or too long");
    return mk_val<jinja::value_string>(std::string(text, n));
}

/* A message that is no text is shown as it prints. */
value raise_exception(const func_args &args)
{
    args.ensure_count(1, 1);
    value why = as_text(args.get_kwarg_or_pos("message", 0));

    budget::current().raised = why->as_string().str();
    throw raised_by_template();
}

} // namespace

value as_text(const value &v)
{
    if (jinja::is_val<jinja::value_string>(v))
        return v;
    if (v->is_undefined())
        return mk_val<jinja::value_string>(std::string());
    measure(v);
    value text = mk_val<jinja::value_string>(v->as_string());

    settle(text);
    return text;
}

value value_of(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return object_of(json);
    case JSON_ARRAY:
        return list_of(json);
    case JSON_STRING:
        return mk_val<jinja::value_string>(
            std::string(json_string_value(json), json_string_length(json)));
    case JSON_INTEGER:
        return mk_val<jinja::value_int>((int64_t)json_integer_value(json));
    case JSON_REAL:
        return mk_val<jinja::value_float>(json_real_value(json));
    case JSON_TRUE:
    case JSON_FALSE:
        return mk_val<jinja::value_bool>(json_is_true(json));
    default:
        return mk_val<jinja::value_none>();
    }
}

void set_variables(jinja::context &ctx, const json_t *json)
{
    json_t *member = const_cast<json_t *>(json);

    for (void *at = json_object_iter(member); at; at = json_object_iter_next(member, at))
        ctx.set_val(std::string(json_object_iter_key(at)), value_of(json_object_iter_value(at)));
}

void set_functions(jinja::context &ctx)
{
    ctx.set_val("range", mk_val<jinja::value_func>("range", range));
    ctx.set_val("strftime_now", mk_val<jinja::value_func>("strftime_now", strftime_now));
    ctx.set_val("raise_exception", mk_val<jinja::value_func>("raise_exception", raise_exception));
}

} // namespace hf_text
