/*
 * guarded_nodes: see the header.
 */
#include "text/guarded_nodes.h"

#include "text/builtin_checks.h"
#include "text/template_values.h"

#include <inference/inference.h>

#include <new>
#include <typeinfo>

using jinja::statement_ptr;
using jinja::value;

namespace hf_text {

namespace {

/* A value already worked out, in the place of the expression it came from. */
struct held : jinja::expression {
    value v;

    explicit held(value known) : v(std::move(known))
    {
    }
    value execute_impl(jinja::context &) const override
    {
        return v;
    }
};

statement_ptr hold(const value &v)
{
    return std::make_unique<held>(v);
}

std::vector<value> work_out(const jinja::statements &nodes, jinja::context &ctx)
{
    std::vector<value> all;

    for (const statement_ptr &node : nodes)
        all.push_back(node->execute(ctx));
    return all;
}

struct call_scope {
    call_scope()
    {
        budget::current().enter_call();
    }
    ~call_scope()
    {
        budget::current().leave_call();
    }
    call_scope(const call_scope &) = delete;
    call_scope &operator=(const call_scope &) = delete;
};

bool makes_value(const jinja::statement &node)
{
    const auto *member = dynamic_cast<const jinja::member_expression *>(&node);

    if (member)
        return jinja::is_stmt<jinja::slice_expression>(member->property);
    return typeid(node) != typeid(jinja::identifier) &&
           typeid(node) != typeid(jinja::ternary_expression);
}

/* A list prints as Python writes it; the engine would run its texts together. */
value printed(const value &v)
{
    if (!jinja::is_val<jinja::value_array>(v) && !jinja::is_val<jinja::value_object>(v))
        return v;
    return as_text(v);
}

void check_callee(const value &v)
{
    const auto *function = jinja::cast_val<jinja::value_func>(v);

    if (function && (function->arg0 || jinja::global_builtins().count(function->name)))
        throw std::runtime_error("{% call %} calls macros only");
}

value seen(role as, const value &v, const value &assigned)
{
    switch (as) {
    case role::PRINTED:
        return printed(v);
    case role::MEASURED:
        measure(v);
        break;
    case role::BOUND:
        check_bound(v);
        break;
    case role::LOOPED:
        budget::current().loop_over(v->val_arr.size() + v->val_obj.size());
        break;
    case role::ASSIGNED:
        measure(v);
        budget::current().assigned = v;
        break;
    case role::TARGET:
        check_stored(assigned, v.get());
        break;
    case role::CALLEE:
        check_callee(v);
        break;
    case role::PLAIN:
    case role::CALLING:
        break;
    }
    return v;
}

value call_inner(const jinja::statement &inner, jinja::context &ctx)
{
    call_scope scope;

    return inner.execute_impl(ctx);
}

/* The engine computes with doubles: beyond this it is silently wrong. */
void check_integer(const value &v)
{
    constexpr int64_t exact = (int64_t)1 << 53;

    if (jinja::is_val<jinja::value_int>(v) && (v->as_int() > exact || v->as_int() < -exact))
        throw std::runtime_error("an integer is beyond 2^53");
}

/* The name of a filter or test and its arguments: `name` or `name(args)`. */
struct applied {
    std::string name;
    std::vector<value> args;
    statement_ptr node; /* the same with the arguments worked out */

    applied(const statement_ptr &filter, jinja::context &ctx)
    {
        const auto *call = jinja::cast_stmt<jinja::call_expression>(filter);
        const auto *id = jinja::cast_stmt<jinja::identifier>(call ? call->callee : filter);
        jinja::statements known;

        if (!id)
            throw std::runtime_error("a filter or test must be a name");
        name = id->val;
        node = std::make_unique<jinja::identifier>(name);
        if (!call)
            return;
        args = work_out(call->args, ctx);
        for (const value &arg : args)
            known.push_back(hold(arg));
        node = std::make_unique<jinja::call_expression>(std::move(node), std::move(known));
    }
};

} // namespace

guarded::guarded(statement_ptr &&node, role r)
    : inner(std::move(node)), as(r), makes(makes_value(*inner))
{
    pos = inner->pos;
}

std::string guarded::type() const
{
    return inner->type();
}

value guarded::execute_impl(jinja::context &ctx) const
{
    budget &b = budget::current();
    value assigned;

    b.step();
    if (as == role::TARGET) /* nothing ran since it was worked out */
        assigned = std::move(b.assigned);
    try {
        value v = as == role::CALLING ? call_inner(*inner, ctx) : inner->execute_impl(ctx);

        if (makes)
            settle(v);
        return seen(as, v, assigned);
    } catch (const std::bad_alloc &) { /* the engine would make it a message */
        throw stopped{INF_ERROR_NO_MEMORY, ""};
    }
}

value guarded_binary::execute_impl(jinja::context &ctx) const
{
    if (op.value == "and" || op.value == "or")
        return binary_expression::execute_impl(ctx);
    value a = left->execute(ctx);
    value b = right->execute(ctx);

    if (op.value == "~") { /* of anything; the engine loses None, and refuses two numbers */
        a = as_text(a);
        b = as_text(b);
    }
    check_operands(op.value, a, b);
    value result = jinja::binary_expression(op, hold(a), hold(b)).execute_impl(ctx);

    check_integer(result);
    return result;
}

value guarded_call::execute_impl(jinja::context &ctx) const
{
    jinja::func_args given(ctx);

    for (const value &v : work_out(args, ctx))
        given.push_back(v);
    value function = callee->execute(ctx);
    const auto *known = jinja::cast_val<jinja::value_func>(function);

    if (!known)
        throw std::runtime_error("what is called is not a function: " + function->type());
    call_scope scope;

    if (known->arg0)
        check_filter(known->name, known->arg0, given.get_args());
    else
        check_function(known->name, given.get_args());
    return known->invoke(given);
}

value guarded_filter::execute_impl(jinja::context &ctx) const
{
    value input = operand->execute(ctx);
    applied f(filter, ctx);

    if (f.name == "format") /* the engine has the method of that name, with {} instead of %s */
        throw std::runtime_error("the filter format is not supported; join texts with ~");
    check_filter(f.name, input, f.args);
    return jinja::filter_expression(hold(input), std::move(f.node)).execute_impl(ctx);
}

value guarded_test::execute_impl(jinja::context &ctx) const
{
    value input = operand->execute(ctx);
    applied t(test, ctx);

    check_test(t.name, input, t.args);
    return jinja::test_expression(hold(input), negate, std::move(t.node)).execute_impl(ctx);
}

value body_text::execute_impl(jinja::context &ctx) const
{
    jinja::value_array parts = jinja::mk_val<jinja::value_array>();

    for (const value &v : work_out(body, ctx))
        parts->push_back(v);
    return jinja::runtime::gather_string_parts(parts);
}

} // namespace hf_text
