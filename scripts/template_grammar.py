"""Random Jinja expressions and templates, made from the grammar: for make_template_cases.py."""
import random

VARIABLES = {
    "i": 7, "z": 0, "neg": -3, "big": 9007199254740993, "f": 48.137154, "g": -0.5, "tiny": 1e-07, "one": 1.0,
    "s": "Hello World", "u": "Straße ǅ İstanbul ΑΣ 日本", "e": "", "w": "  a  b\tc\n", "h": "<b>\"x\" & 'y'</b>",
    "q": "it's", "num": " 42 ", "flt": "3.5e2", "lines": "one\ntwo\r\n\nfour",
    "l": [3, 1, 2], "ls": ["b", "A", "c"], "ln": [1, "a", None, 2.5, True], "le": [], "ll": [[1, 2], [3, 4]],
    "d": {"b": 1, "A": 2, "c": None}, "de": {}, "dd": {"x": {"y": [10, 20]}, "items": 5},
    "n": None, "t": True, "fa": False,
    "m": [{"role": "user", "content": "hi", "n": 2}, {"role": "assistant", "content": None, "n": 1},
          {"role": "User", "content": "<x>", "n": 1.5}],
}
NAMES = list(VARIABLES) + ["missing"]
LITERALS = ["0", "1", "2", "3", "-1", "5", "10", "255", "1.5", "0.1", "2.5", "1e3", "1e16", "1e-5", "123456.789",
            "100.0", "'a'", "'b'", "''", "' '", "'abc'", "\"it's\"", "'\\n'", "'ß'", "'%s'", "'%d-%s'", "'{}'",
            "'{:>4}|{}'", "','", "'A b-c'", "'role'", "'n'", "'x.y'", "'content'", "'items'", "none", "true", "false",
            "[]", "{}", "()", "'1'", "'12.7'", "'é'", "'\\u00e9\\x41'", "'ΑΣ Σ'", "'ŉa'"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false",
         "mapping", "sequence", "iterable", "callable", "odd", "even", "lower", "upper", "escaped", "filter", "test",
         "divisibleby(%s)", "sameas(none)", "in(%s)", "eq(%s)", "ne(%s)", "gt(%s)", "lt %s", "ge %s", "le(%s)",
         "equalto %s", "not defined", "not none", "not in(%s)"]
FILTERS = ["abs", "capitalize", "count", "length", "e", "escape", "forceescape", "first", "last", "float", "int",
           "list", "lower", "upper", "title", "string", "trim", "safe", "reverse", "reverse|list", "sort", "sum", "min", "max",
           "unique|list", "wordcount", "tojson", "items|list", "dictsort", "urlencode", "pprint", "striptags",
           "round", "filesizeformat", "default(%s)", "d(%s, true)", "default(%s, boolean=true)", "join(%s)",
           "join", "join('-', attribute='role')", "replace(%s, %s)", "replace('a', 'b', 1)", "round(%s)", "round(2, 'floor')",
           "round(1, 'ceil')", "int(%s)", "int(0, 16)", "int(default=%s)", "float(%s)", "center(9)", "center(width=4)",
           "indent", "indent(2, true)", "indent('> ', first=true, blank=true)", "truncate(5)", "truncate(5, true, '.', 0)",
           "truncate(8, end='')", "wordwrap(5)", "wordwrap(3, false)", "wordwrap(4, wrapstring='|')",
           "batch(2)|list", "batch(2, %s)|list", "slice(2)|list", "slice(2, %s)|list", "sort(reverse=true)",
           "sort(case_sensitive=true)", "sort(attribute='n')", "sort(attribute='role,n')", "sort(false, true)", "map('upper')|list",
           "map('string')|list", "map(attribute='role')|list", "map(attribute='no', default=%s)|list", "map('default', %s)|list",
           "map('int')|list", "map('length')|list", "select|list", "select('odd')|list", "select('string')|list", "reject|list", "reject('none')|list",
           "select('eq', %s)|list", "select('in', %s)|list", "selectattr('content')|list",
           "selectattr('role', 'equalto', 'user')|list", "selectattr('n', 'gt', 1)|list", "rejectattr('content')|list",
           "rejectattr('n', 'lt', %s)|list", "groupby('role')", "groupby('n')", "groupby('no', default=%s)", "groupby('role', case_sensitive=true)", "unique(attribute='role')|list",
           "unique(true)|list", "max(attribute='n')", "min(attribute='role')", "max(true)", "sum(attribute='n')", "sum(start=%s)",
           "dictsort(true)", "dictsort(false, 'value')", "dictsort(reverse=true)", "tojson(indent=2)",
           "tojson(ensure_ascii=true)", "tojson(sort_keys=true)", "tojson(separators=(',', ':'))", "tojson(indent=0)", "format(%s)",
           "format(%s, %s)", "attr('x')", "attr('upper')", "trim(%s)", "xyz", "map(attribute='n')|sum", "map('tojson')|join(' ')"]
METHODS = ["upper()", "lower()", "title()", "capitalize()", "casefold()", "swapcase()", "strip()", "lstrip()",
           "rstrip('o')", "strip(%s)", "split()", "split(%s)", "split(',', 1)", "split(none, 1)", "rsplit(' ', 1)", "rsplit()", "rsplit(none, 1)", "splitlines()",
           "splitlines(true)", "partition(' ')", "rpartition(%s)", "find(%s)", "rfind('o')", "index('l')", "rindex('o')",
           "count(%s)", "startswith(%s)", "endswith(('o', 'd'))", "startswith('e', 1)", "replace(%s, %s)", "replace('l', 'L', 1)",
           "join(%s)", "join(['a', 'b'])", "zfill(5)", "center(9, '*')", "ljust(7)", "rjust(7, '.')", "expandtabs(4)",
           "isdigit()", "isalpha()", "isalnum()", "isupper()", "islower()", "isspace()", "istitle()", "isnumeric()",
           "isdecimal()", "isascii()", "isidentifier()", "isprintable()", "removeprefix('H')", "removesuffix('d')", "format(%s)",
           "format(%s, %s)", "format(a=%s)", "get(%s)", "get('b', %s)", "get('b')", "keys()", "values()", "items()", "keys()|list", "items()|list",
           "values()|list", "copy()", "append(%s)", "pop()", "update(%s)", "sort()", "encode2()", "index(%s)", "count(1)", "x", "role", "0", "items", "b",
           "real", "is_integer()", "bit_length()", "conjugate()", "numerator", "__class__", "translate({97: 'X'})"]
SUBSCRIPTS = ["[0]", "[-1]", "[1]", "[%s]", "['b']", "['x']['y']", "[1:]", "[:2]", "[::-1]", "[-2:]", "[::2]", "[%s:%s]", "[1:-1]", "[5:1:-2]"]
FORMATS = ["'%s' % ({0},)", "'%d' % {0}", "'%5.1f|' % {0}", "'%r' % ({0},)", "'%x' % {0}", "'%e' % {0}", "'%g' % {0}", "'%-6s|' % {0}", "'%06d' % {0}",
           "'%+d %% %s' % ({0}, {1})", "'%(a)s' % {{'a': {0}}}", "'{{}}'.format({0})", "'{{:.2f}}'.format({0})", "'{{:>6}}|{{:<4}}|{{:^5}}'.format({0}, {1}, 'x')",
           "'{{:,}}'.format({0})", "'{{:05d}}'.format({0})", "'{{!r}}'.format({0})", "'{{0[0]}} {{0}}'.format({0})", "'{{:e}}'.format({0})", "'{{:g}}'.format({0})", "'{{:.3}}'.format({0})",
           "'{{:%}}'.format({0})", "'{{:x}}'.format({0})", "'{{:+}}'.format({0})", "'{{:_}}'.format({0})", "'{{:b}}'.format({0})", "'{{a}}{{b}}'.format(a={0}, b={1})"]


class Grammar:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, items):
        return self.random.choice(items)

    def fill(self, text, depth):
        while "%s" in text:
            text = text.replace("%s", self.expression(depth - 1), 1)
        return text

    def call(self, table, depth):
        text = self.pick(table)
        if "'%" in text or "{" in text:
            return text
        return self.fill(text, depth)

    def atom(self):
        r = self.random.random()
        if r < 0.55:
            return self.pick(NAMES)
        if r < 0.6:
            return "range(%d, %d)" % (self.random.randint(-2, 3), self.random.randint(0, 6))
        return self.pick(LITERALS)

    def expression(self, depth):
        if depth <= 0:
            return self.atom()
        r = self.random.random()
        sub = lambda: self.expression(depth - 1)
        if r < 0.14:
            return self.atom()
        if r < 0.32:
            return "(%s %s %s)" % (sub(), self.pick(OPERATORS), sub())
        if r < 0.58:
            return "(%s)|%s" % (sub(), self.call(FILTERS, depth))
        if r < 0.66:
            return "(%s is %s)" % (sub(), self.call(TESTS, depth))
        if r < 0.78:
            return "(%s).%s" % (sub(), self.call(METHODS, depth))
        if r < 0.85:
            return "(%s)%s" % (sub(), self.call(SUBSCRIPTS, depth))
        if r < 0.88:
            return "(%s if %s else %s)" % (sub(), sub(), sub())
        if r < 0.92:
            return self.pick(FORMATS).format(sub(), sub())
        if r < 0.94:
            return "[%s, %s]" % (sub(), sub())
        if r < 0.96:
            return "{'k': %s, %s: 1}" % (sub(), self.atom())
        if r < 0.97:
            return "(not %s)" % sub()
        if r < 0.98:
            return "(-%s)" % sub()
        if r < 0.99:
            return "(%s, %s)" % (sub(), sub())
        return "(%s if %s)" % (sub(), sub())

    def tag(self, text):
        left, right = self.pick(["", "", "", "-", "+"]), self.pick(["", "", "", "-"])
        return "{%%%s %s %s%%}" % (left, text, right)

    def output(self, depth):
        return "{{%s %s %s}}" % (self.pick(["", "", "-"]), self.expression(depth), self.pick(["", "", "-"]))

    def text(self):
        return self.pick(["", " ", "\n", "a", " b\n", "\n  ", "<c>", "  \n\n", "ü", "{# x #}", "{#- y -#}\n"])

    def name(self):
        return self.pick(["x", "y", "i", "s", "l", "ns"])

    def statement(self, depth, loop=False):
        body = lambda in_loop=loop: self.body(depth - 1, in_loop)
        e = lambda d=1: self.expression(d)
        kind = self.random.randrange(22)
        t = self.tag
        if depth <= 0 or kind < 5:
            return self.output(2)
        if kind < 7:
            return t("if " + e(2)) + body() + (t("elif " + e()) + body() if self.random.random() < .3 else "") + \
                (t("else") + body() if self.random.random() < .5 else "") + t("endif")
        if kind < 10:
            target = self.pick(["x", "y", "i", "x, y", "k, v"])
            items = self.pick(["l", "ls", "ll", "m", "d.items()", "d|dictsort", "range(3)", "u", "s", "ln", "dd|items", e(2)])
            test = " if " + self.pick(["x", "x is defined", "loop is defined", e()]) if self.random.random() < .2 else ""
            return t("for %s in %s%s" % (target, items, test)) + self.loop_use() + body(True) + \
                (t("else") + body() if self.random.random() < .3 else "") + t("endfor")
        if kind < 12:
            return t("set %s = %s" % (self.pick(["x", "y", "i", "x, y", "ns"]), e(2)))
        if kind == 12:
            return t("set " + self.name() + self.pick(["", "", " | upper", " | replace('a', 'b')|trim"])) + body() + t("endset")
        if kind == 13:
            return t("set ns = namespace(x=%s)" % e()) + body() + t("set ns.x = ns.x ~ " + e()) + "{{ ns.x }}"
        if kind == 14:
            name = self.pick(["f", "g"])
            return t("macro %s(a, b=%s, c=a)" % (name, e())) + "[{{ a }},{{ b }},{{ c }}]" + \
                self.pick(["", "{{ varargs }}", "{{ kwargs }}", "{{ caller() if caller else '' }}", "{{ caller(1) }}"]) + body(False) + t("endmacro") + \
                "{{ %s(%s) }}" % (name, self.pick([e(), "1, c=2", "", "1, 2, 3, 4", "b=1", "a=" + e(), "*l", "**de", "x=1"]))
        if kind == 15:
            return t("macro g()") + "<{{ caller(5) }}>" + t("endmacro") + t("call(z) g()") + "{{ z }}" + body(False) + t("endcall")
        if kind == 16:
            return t("filter " + self.pick(["upper", "trim", "replace('a', 'bb')", "escape", "title", "length", "indent(2)"])) + body() + t("endfilter")
        if kind == 17:
            return t("with x = %s, y = x" % e()) + body() + "{{ x }}{{ y }}" + t("endwith")
        if kind == 18:
            return "{% raw %}" + "{{ raw }} {% if %}" + self.pick(["{% endraw %}", "{%- endraw -%}"])
        if kind == 19 and loop:
            return t("if " + e()) + t(self.pick(["break", "continue"])) + t("endif")
        if kind == 20:
            return t("autoescape " + self.pick(["true", "false", "t"])) + body() + "{{ h }}{{ h|safe }}{{ '<' ~ h }}" + t("endautoescape")
        if kind == 21:
            return t("for x in ll recursive") + "({{ loop.depth }}{{ loop(x) if x is iterable and x is not string else x }})" + t("endfor")
        return t("generation") + body(False) + t("endgeneration")

    def loop_use(self):
        if self.random.random() < .5:
            return ""
        return self.pick(["{{ loop.index }}", "{{ loop.index0 }}", "{{ loop.first }}", "{{ loop.last }}", "{{ loop.length }}",
                          "{{ loop.revindex }}", "{{ loop.previtem }}", "{{ loop.nextitem }}", "{{ loop.cycle('a', 'b') }}",
                          "{{ loop.changed(x) }}", "{{ loop }}", "{{ ',' if not loop.last }}", "{{ loop.revindex0 }}{{ loop.depth0 }}"])

    def body(self, depth, loop=False):
        return "".join(self.text() + self.statement(depth, loop) for _ in range(self.random.randint(1, 2))) + self.text()

    def template(self):
        if self.random.random() < .6:
            return "{{ %s }}" % self.expression(self.random.randint(1, 4))
        return self.body(3) + "{{ x }}{{ ns }}{{ y }}"
