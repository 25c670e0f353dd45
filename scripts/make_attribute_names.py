#!/usr/bin/env python3
"""Writes src/text/template/attribute_names.c: the attributes of Python's objects that the sandbox refuses.

Wants Python 3.11 and scripts/requirements-templates.txt:

    python3.11 scripts/make_attribute_names.py > src/text/template/attribute_names.c
"""
import transformers.utils.chat_template_utils as chat_templates

ENVIRONMENT = chat_templates._compile_jinja_template("").environment

# A name of the type (a class itself: "class" and its name), and an expression of such a value.
VALUES = [
    ("Undefined", "missing"), ("NoneType", "none"), ("bool", "true"), ("int", "5"), ("float", "1.5"), ("str", "'a'"),
    ("Markup", "('a'|e)"), ("list", "[1]"), ("tuple", "(1, 2)"), ("_GroupTuple", "([1]|groupby('real'))[0]"),
    ("dict", "{'a': 1}"), ("dict_keys", "{}.keys()"), ("dict_values", "{}.values()"), ("dict_items", "{}.items()"),
    ("mappingproxy", "{}.keys().mapping"), ("set", "({}.keys() - [])"), ("range", "range(3)"),
    ("generator", "([1]|map('string'))"), ("list_reverseiterator", "([1]|reverse)"), ("reversed", "((1, 2)|reverse)"),
    ("range_iterator", "(range(3)|reverse)"), ("dict_reversekeyiterator", "({'a': 1}|reverse)"),
    ("dict_reversevalueiterator", "({'a': 1}.values()|reverse)"), ("dict_reverseitemiterator", "({'a': 1}.items()|reverse)"),
    ("TemplateNamespace", "namespace(a=1)"), ("Cycler", "cycler(1)"), ("Joiner", "joiner()"),
    ("TemplateDict", "dict"), ("class namespace", "namespace"), ("class cycler", "cycler"), ("class joiner", "joiner"),
    ("function", "range"), ("wrapper", "'a'.format"), ("builtin_function_or_method", "'a'.upper"),
    ("method", "cycler(1).next"), ("property", "cycler.current"), ("LoopContext", "loop"), ("Macro", "m"), ("TemplateReference", "self"),
    ("BlockReference", "self.b"),
]
AROUND = "{%% macro m(a) %%}{%% endmacro %%}{%% block b %%}{%% endblock %%}{%% for x in [1] %%}{{ keep(%s) }}{%% endfor %%}"


def objects():
    for name, expression in VALUES:
        kept = []
        ENVIRONMENT.from_string(AROUND % expression).render(keep=lambda v: kept.append(v) or "")
        yield name, kept[0]


def has(value, name):
    try:
        return True, getattr(value, name)
    except Exception:
        return False, None


def main():
    values = list(objects())
    names = sorted({"_Namespace__attrs"} | {name for _, value in values for name in
                    [*dir(type(value)), *object.__dir__(value), *(dir(value) if isinstance(value, type) else [])]})
    print("/* Made by scripts/make_attribute_names.py of Python 3.11, jinja2 3.1.6 and transformers 5.23. */")
    print('#include "text/template/attribute_names.h"\n')
    print("/* clang-format off */")
    print("const char *const REFUSING_TYPES[] = {")
    for name, _ in values:
        print('    "%s",' % name)
    print("};\nconst size_t N_REFUSING_TYPES = %d;\n" % len(values))
    rows = []
    for name in names:
        bits = 0
        for i, (_, value) in enumerate(values):
            found, attribute = has(value, name)
            if found and not ENVIRONMENT.is_safe_attribute(value, name, attribute):
                bits |= 1 << i
        if bits:
            rows.append('    {"%s", 0x%xULL},' % (name, bits))
    print("const struct refused_attribute REFUSED_ATTRIBUTES[] = {")
    print("\n".join(rows))
    print("};\nconst size_t N_REFUSED_ATTRIBUTES = %d;" % len(rows))


main()
