/*
 * tests: what follows `is`.
 */
#include "text/template/functions.h"
#include "text/template/iter.h"

static void check_hashable(struct render *r, struct value v)
{
    if (!value_hashable(r->vm, v))
        vm_throw(r->vm, E_TYPE, "unhashable type: '%s'", type_name(v));
}

BUILTIN(is_filter)
{
    check_hashable(r, args[0]);
    return v_bool(args[0].type == V_STR &&
                  (r->library->filter(args[0].s) || text_is(args[0].s, "random") ||
                   text_is(args[0].s, "urlize") || text_is(args[0].s, "xmlattr")));
}

BUILTIN(is_test)
{
    check_hashable(r, args[0]);
    return v_bool(args[0].type == V_STR && r->library->test(args[0].s));
}

/* Written in two places of a template they are two objects, but for those that Python has once. */
static bool same_constants(struct value a, struct value b)
{
    size_t at = 0;

    if (a.type == V_FLOAT || (a.type == V_INT && (a.i < -5 || a.i > 256)))
        return false;
    if (a.type == V_STR &&
        (a.s->safe || a.s->count > 1 || (a.s->count && utf8_step(a.s->data, &at) > 255)))
        return false;
    return value_same(a, b);
}

#define TYPE_TEST(name, condition)                                                                 \
    BUILTIN(is_##name)                                                                             \
    {                                                                                              \
        struct value v = args[0];                                                                  \
                                                                                                   \
        return v_bool(condition);                                                                  \
    }
TYPE_TEST(odd, value_equal(r->vm, op_binary(r, T_MOD, v, v_int(2)), v_int(1)))
TYPE_TEST(even, value_equal(r->vm, op_binary(r, T_MOD, v, v_int(2)), v_int(0)))
TYPE_TEST(divisibleby, value_equal(r->vm, op_binary(r, T_MOD, v, args[1]), v_int(0)))
TYPE_TEST(defined, v.type != V_UNDEFINED)
TYPE_TEST(undefined, v.type == V_UNDEFINED)
TYPE_TEST(none, v.type == V_NONE)
TYPE_TEST(boolean, v.type == V_BOOL)
TYPE_TEST(false, v.type == V_BOOL && !v.b)
TYPE_TEST(true, v.type == V_BOOL && v.b)
TYPE_TEST(integer_test, v.type == V_INT)
TYPE_TEST(float, v.type == V_FLOAT)
TYPE_TEST(string, v.type == V_STR)
TYPE_TEST(mapping, v.type == V_DICT)
TYPE_TEST(a_number, is_number(v))
TYPE_TEST(sequence, v.type == V_STR || v.type == V_LIST || v.type == V_TUPLE || v.type == V_DICT ||
                        v.type == V_RANGE || v.type == V_UNDEFINED)
TYPE_TEST(iterable, v.type == V_SELF || iter_try(r->vm, v) != NULL)
TYPE_TEST(callable, v.type == V_MACRO || (v.type == V_BUILTIN && v.fn->run) || v.type == V_METHOD ||
                        v.type == V_LOOP || v.type == V_JOINER || v.type == V_BLOCK ||
                        v.type == V_UNDEFINED)
TYPE_TEST(escaped, v.type == V_STR && v.s->safe)
TYPE_TEST(lower, text_islower(r->vm, value_str(r->vm, v)))
TYPE_TEST(upper, text_isupper(r->vm, value_str(r->vm, v)))
TYPE_TEST(sameas, r->folding ? same_constants(v, args[1]) : value_same(v, args[1]))
TYPE_TEST(in, value_contains(r->vm, args[1], v))
TYPE_TEST(eq, value_equal(r->vm, v, args[1]))
TYPE_TEST(ne, !value_equal(r->vm, v, args[1]))
TYPE_TEST(gt, value_compare(r->vm, ">", v, args[1]))
TYPE_TEST(ge, value_compare(r->vm, ">=", v, args[1]))
TYPE_TEST(lt, value_compare(r->vm, "<", v, args[1]))
TYPE_TEST(le, value_compare(r->vm, "<=", v, args[1]))

static const struct builtin ITEMS[] = {
    {"odd", "value", is_odd},
    {"even", "value", is_even},
    {"divisibleby", "value,num", is_divisibleby},
    {"defined", "value", is_defined},
    {"undefined", "value", is_undefined},
    {"filter", "value", is_filter},
    {"test", "value", is_test},
    {"none", "value", is_none},
    {"boolean", "value", is_boolean},
    {"false", "value", is_false},
    {"true", "value", is_true},
    {"integer", "value", is_integer_test},
    {"float", "value", is_float},
    {"lower", "value", is_lower},
    {"upper", "value", is_upper},
    {"string", "value", is_string},
    {"mapping", "value", is_mapping},
    {"number", "value", is_a_number},
    {"sequence", "value", is_sequence},
    {"iterable", "value", is_iterable},
    {"callable", "/obj", is_callable},
    {"sameas", "value,other", is_sameas},
    {"escaped", "value", is_escaped},
    {"in", "value,seq", is_in},
    {"==", "/a,b", is_eq},
    {"eq", "/a,b", is_eq},
    {"equalto", "/a,b", is_eq},
    {"!=", "/a,b", is_ne},
    {"ne", "/a,b", is_ne},
    {">", "/a,b", is_gt},
    {"gt", "/a,b", is_gt},
    {"greaterthan", "/a,b", is_gt},
    {"ge", "/a,b", is_ge},
    {">=", "/a,b", is_ge},
    {"<", "/a,b", is_lt},
    {"lt", "/a,b", is_lt},
    {"lessthan", "/a,b", is_lt},
    {"<=", "/a,b", is_le},
    {"le", "/a,b", is_le},
};
const struct functions TESTS = {ITEMS, sizeof ITEMS / sizeof *ITEMS};
