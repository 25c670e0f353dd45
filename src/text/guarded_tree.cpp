/*
 * guarded_tree: see the header.
 */
#include "text/guarded_tree.h"

#include "text/guarded_nodes.h"

#include <typeinfo>

using jinja::cast_stmt;
using jinja::statement_ptr;

namespace hf_text {

namespace {

class builder {
  public:
    explicit builder(std::set<std::string> &into) : names(into)
    {
    }

    void body(jinja::statements &nodes)
    {
        for (statement_ptr &node : nodes)
            guard(node, role::PRINTED);
    }

  private:
    std::set<std::string> &names;
    size_t depth = 0;

    /* A variable, or several: (key, value). */
    void name(const statement_ptr &node)
    {
        if (const auto *id = cast_stmt<jinja::identifier>(node))
            names.insert(id->val);
        else if (const auto *tuple = cast_stmt<jinja::tuple_literal>(node))
            for (const statement_ptr &one : tuple->val)
                if (const auto *part = cast_stmt<jinja::identifier>(one))
                    names.insert(part->val);
        if (names.size() > MAX_NAMES)
            stop("it sets more than " + std::to_string(MAX_NAMES) + " variables");
    }

    void guard(statement_ptr &node, role as)
    {
        if (!node)
            return;
        if (++depth > MAX_TREE_DEPTH)
            stop("it is nested, or an expression is chained, deeper than " +
                 std::to_string(MAX_TREE_DEPTH));
        if (!statement(node) && !expression(node))
            plain(node);
        if (as != role::PLAIN || works(*node))
            node = std::make_unique<guarded>(std::move(node), as);
        depth--;
    }

    /* Constants and names need no guard within an expression; a named argument is none. */
    static bool works(const jinja::statement &node)
    {
        return typeid(node) != typeid(jinja::identifier) &&
               typeid(node) != typeid(jinja::string_literal) &&
               typeid(node) != typeid(jinja::integer_literal) &&
               typeid(node) != typeid(jinja::float_literal) &&
               typeid(node) != typeid(jinja::keyword_argument_expression);
    }

    void all(jinja::statements &nodes)
    {
        for (statement_ptr &node : nodes)
            guard(node, role::PLAIN);
    }

    /* Arguments of a filter or test, whose own node stays a name or a call. */
    void arguments(statement_ptr &filter)
    {
        if (auto *call = cast_stmt<jinja::call_expression>(filter))
            all(call->args);
    }

    template <typename Guarded, typename... Args>
    static void replace(statement_ptr &node, Args &&...args)
    {
        size_t pos = node->pos;

        node = std::make_unique<Guarded>(std::forward<Args>(args)...);
        node->pos = pos;
    }

    bool statement(statement_ptr &node)
    {
        if (auto *choice = cast_stmt<jinja::if_statement>(node)) {
            guard(choice->test, role::PLAIN);
            body(choice->body);
            body(choice->alternate);
        } else if (auto *loop = cast_stmt<jinja::for_statement>(node)) {
            for_statement(*loop);
        } else if (auto *set = cast_stmt<jinja::set_statement>(node)) {
            set_statement(*set);
        } else if (auto *macro = cast_stmt<jinja::macro_statement>(node)) {
            name(macro->name);
            parameters(macro->args);
            body(macro->body);
        } else if (auto *call = cast_stmt<jinja::call_statement>(node)) {
            call_statement(*call);
            node = std::make_unique<guarded>(std::move(node), role::CALLING);
        } else if (cast_stmt<jinja::filter_statement>(node)) {
            filter_statement(node);
        } else {
            return false;
        }
        return true;
    }

    void for_statement(jinja::for_statement &loop)
    {
        name(loop.loopvar);
        names.insert("loop");
        if (auto *chosen = cast_stmt<jinja::select_expression>(loop.iterable)) {
            guard(chosen->lhs, role::LOOPED);
            guard(chosen->test, role::PLAIN);
        } else {
            guard(loop.iterable, role::LOOPED);
        }
        body(loop.body);
        body(loop.default_block);
    }

    void set_statement(jinja::set_statement &set)
    {
        auto *member = cast_stmt<jinja::member_expression>(set.assignee);

        name(set.assignee);
        if (member) /* without a value it is the text of the body */
            guard(member->object, set.val ? role::TARGET : role::PLAIN);
        guard(set.val, member ? role::ASSIGNED : role::MEASURED);
        body(set.body);
    }

    /* name, or name=default */
    void parameters(jinja::statements &args)
    {
        for (statement_ptr &arg : args) {
            auto *named = cast_stmt<jinja::keyword_argument_expression>(arg);

            name(named ? named->key : arg);
            if (named)
                guard(named->val, role::PLAIN);
        }
    }

    void call_statement(jinja::call_statement &call)
    {
        names.insert("caller");
        parameters(call.caller_args);
        if (auto *made = cast_stmt<jinja::call_expression>(call.call)) {
            guard(made->callee, role::CALLEE);
            all(made->args);
        }
        body(call.body);
    }

    /* {% filter f %}body{% endfilter %} is body|f */
    void filter_statement(statement_ptr &node)
    {
        auto *s = cast_stmt<jinja::filter_statement>(node);

        arguments(s->filter);
        body(s->body);
        statement_ptr text = std::make_unique<body_text>(std::move(s->body));

        text->pos = s->pos;
        text = std::make_unique<guarded>(std::move(text), role::PLAIN);
        replace<guarded_filter>(node, std::move(text), std::move(s->filter));
    }

    /* The expressions that are replaced. */
    bool expression(statement_ptr &node)
    {
        if (auto *binary = cast_stmt<jinja::binary_expression>(node)) {
            guard(binary->left, role::PLAIN);
            guard(binary->right, role::PLAIN);
            replace<guarded_binary>(node, std::move(binary->op), std::move(binary->left),
                                    std::move(binary->right));
        } else if (auto *filter = cast_stmt<jinja::filter_expression>(node)) {
            guard(filter->operand, role::PLAIN);
            arguments(filter->filter);
            replace<guarded_filter>(node, std::move(filter->operand), std::move(filter->filter));
        } else if (auto *test = cast_stmt<jinja::test_expression>(node)) {
            guard(test->operand, role::PLAIN);
            arguments(test->test);
            replace<guarded_test>(node, std::move(test->operand), test->negate,
                                  std::move(test->test));
        } else if (auto *call = cast_stmt<jinja::call_expression>(node)) {
            guard(call->callee, role::PLAIN);
            all(call->args);
            replace<guarded_call>(node, std::move(call->callee), std::move(call->args));
        } else {
            return false;
        }
        return true;
    }

    /* Those that only have parts to guard. */
    void plain(statement_ptr &node)
    {
        if (auto *unary = cast_stmt<jinja::unary_expression>(node)) {
            guard(unary->argument, role::PLAIN);
        } else if (auto *choice = cast_stmt<jinja::ternary_expression>(node)) {
            guard(choice->condition, role::PLAIN);
            guard(choice->true_expr, role::PLAIN);
            guard(choice->false_expr, role::PLAIN);
        } else if (auto *chosen = cast_stmt<jinja::select_expression>(node)) {
            guard(chosen->lhs, role::PLAIN);
            guard(chosen->test, role::PLAIN);
        } else if (auto *list = cast_stmt<jinja::array_literal>(node)) {
            all(list->val);
        } else if (auto *tuple = cast_stmt<jinja::tuple_literal>(node)) {
            all(tuple->val);
        } else if (auto *object = cast_stmt<jinja::object_literal>(node)) {
            for (auto &pair : object->val) {
                guard(pair.first, role::MEASURED);
                guard(pair.second, role::PLAIN);
            }
        } else if (auto *named = cast_stmt<jinja::keyword_argument_expression>(node)) {
            guard(named->val, role::PLAIN);
        } else if (auto *member = cast_stmt<jinja::member_expression>(node)) {
            member_parts(*member);
        }
    }

    void member_parts(jinja::member_expression &member)
    {
        guard(member.object, role::PLAIN);
        if (auto *slice = cast_stmt<jinja::slice_expression>(member.property)) {
            guard(slice->start_expr, role::BOUND);
            guard(slice->stop_expr, role::BOUND);
            guard(slice->step_expr, role::BOUND);
        } else if (member.computed) {
            guard(member.property, role::MEASURED);
        }
    }
};

} // namespace

void guard_tree(jinja::program &program, std::set<std::string> &names)
{
    builder(names).body(program.body);
}

} // namespace hf_text
