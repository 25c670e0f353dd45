/*
 * guarded_nodes: the nodes that guarded_tree puts into a parsed template. Each is one of the
 * engine's own kinds, checks what it is about to do, and lets the engine do it.
 */
#ifndef INF_TEXT_GUARDED_NODES_H
#define INF_TEXT_GUARDED_NODES_H

#include <jinja/runtime.h>

namespace hf_text {

enum class role {
    PLAIN,    /* an expression within another */
    PRINTED,  /* stands in a body: its value becomes text */
    MEASURED, /* hashed with all it contains (an index, a key), or kept in a variable */
    BOUND,    /* of a slice */
    LOOPED,   /* what a loop goes over */
    ASSIGNED, /* what is assigned to a member of an object */
    TARGET,   /* that object, worked out next */
    CALLEE,   /* of {% call %}, which the engine invokes unseen */
    CALLING   /* {% call %} itself */
};

/* Around any node: counts a step, then looks at the value by the node's role. */
struct guarded : jinja::expression {
    jinja::statement_ptr inner;
    role as;
    bool makes; /* a new value, or gives one that is there already */

    guarded(jinja::statement_ptr &&node, role r);
    std::string type() const override;
    jinja::value execute_impl(jinja::context &ctx) const override;
};

struct guarded_binary : jinja::binary_expression {
    using binary_expression::binary_expression;
    jinja::value execute_impl(jinja::context &ctx) const override;
};

struct guarded_call : jinja::call_expression {
    using call_expression::call_expression;
    jinja::value execute_impl(jinja::context &ctx) const override;
};

struct guarded_filter : jinja::filter_expression {
    using filter_expression::filter_expression;
    jinja::value execute_impl(jinja::context &ctx) const override;
};

struct guarded_test : jinja::test_expression {
    using test_expression::test_expression;
    jinja::value execute_impl(jinja::context &ctx) const override;
};

/* The body of {% filter %}, as the operand of that filter. */
struct body_text : jinja::expression {
    jinja::statements body;

    explicit body_text(jinja::statements &&nodes) : body(std::move(nodes))
    {
    }
    jinja::value execute_impl(jinja::context &ctx) const override;
};

} // namespace hf_text

#endif
