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
    "tools": [{"type": "function", "function": {"name": "get_weather", "strict": True, "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Zürich"]},
                                         "days": {"type": ["integer", "null"], "minimum": 0.5}}, "required": ["city"]}}},
              {"type": "function", "function": {"name": "add", "description": "Adds \"a\" & 'b'.", "parameters": {}}}],
    "paths": [{"a": {"b": 2, "c": ["x", "Y"]}, "k": "B"}, {"a": {"b": 1, "c": ["y"]}, "k": "a"},
              {"a": {"b": 2, "c": []}, "k": "b"}],
    "mix": [0, "", "0", 0.0, False, None, [], {}, "a"], "emoji": "👩‍👩‍👧 é é ﬁ ΐ ß", "tab": "a\tb\u00a0c\u2028d\x0be",
    "long": "The quick brown-fox jumps over the lazy dog; anti-dis-establish mentarianism. ", "nest": [[[1, 2], [3]], [[4]], []],
    "keys": {"get": 1, "items": [2], "a b": 3, "": 4, "1": 5, "None": 6}, "uni": {"ä": "ö", "日": ["本", "😀"], "z": "\u007f\u200b"},
}
NAMES = list(VARIABLES) + ["missing"]
LITERALS = ["0", "1", "2", "3", "-1", "5", "10", "255", "1.5", "0.1", "2.5", "1e3", "1e16", "1e-5", "123456.789",
            "100.0", "'a'", "'b'", "''", "' '", "'abc'", "\"it's\"", "'\\n'", "'ß'", "'%s'", "'%d-%s'", "'{}'",
            "'{:>4}|{}'", "','", "'A b-c'", "'role'", "'n'", "'x.y'", "'content'", "'items'", "none", "true", "false",
            "[]", "{}", "()", "'1'", "'12.7'", "'é'", "'\\u00e9\\x41'", "'ΑΣ Σ'", "'ŉa'", "0x1F", "0b101", "0o17", "1_000", "1_0.5e-2", "007", "1e300", "9007199254740993", "-0.0", "1e999",
            "'a\\tb\\\\c'", "'\\U0001F600'", "'\\101\\x7f'", "'a' 'b'", "\"\\\"q\\'\"", "'<|im_start|>'", "'%(k)s'",
            "'k'", "'a.b'", "'a.c.0'", "'k,a.b'", "'{0}{1!r:>5}'", "'nan'", "'inf'", "'-1_0'", "'0x1f'", "'a\\\nb'", "'%%'", "'\\q'", "'2024-01-02'",
            "[1, 'a', none]", "{'a': 1, 'b': [2]}", "(1, 2)", "(1,)", "[[1], [2]]", "{1: 'x', true: 'y'}", "{none: 0}", "'TRUE'", "'ǆ'", "'İ'"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in"]
POWERS = ["2", "3", "0", "-1", "true", "'a'", "x", "2.0"]  # larger ones keep Python busy
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false",
         "mapping", "sequence", "iterable", "callable", "odd", "even", "lower", "upper", "escaped", "filter", "test",
         "divisibleby(%s)", "sameas(none)", "in(%s)", "eq(%s)", "ne(%s)", "gt(%s)", "lt %s", "ge %s", "le(%s)",
         "equalto %s", "not defined", "not none", "not in(%s)", "sameas(true)", "sameas none", "in [1, 2, 'a']", "in 'abc'", "not string",
         "not mapping", "divisibleby 3", "divisibleby(num=2)", "greaterthan(%s)", "lessthan 3", "eq 1", "ne 'a'", "in(seq=%s)", "nosuchtest", "not sequence",
         "string and 1", "number or none", "none or %s", "defined and %s", "not iterable"]
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
           "format(%s, %s)", "attr('x')", "attr('upper')", "trim(%s)", "xyz", "map(attribute='n')|sum", "map('tojson')|join(' ')",
           "sort(attribute='a.b')", "sort(attribute='k')|map(attribute='a.b')|join(',')", "sort(attribute='a.b,k', reverse=true)", "groupby('a.b')", "groupby('k')|list",
           "groupby('k')|map(attribute='grouper')|list", "groupby('a.b')|map('last')|list", "groupby(attribute='a.c.0', default='-')", "unique(attribute='a.b')|map(attribute='k')|list",
           "unique(case_sensitive=true)|list", "map(attribute='a.c.0', default='?')|list", "map(attribute='a.c')|map('join', '+')|list", "map('first')|list", "map('last')|list",
           "map('upper')|join(',')", "map('replace', 'a', 'b')|list", "map('truncate', 3, true, '')|list", "map('round', 1)|list", "map('round', precision=1, method='ceil')|list",
           "map('attr', 'role')|list", "map('default', 0, true)|list", "map('sort')|list", "map('list')|list", "map('tojson', indent=1)|list", "map('format', 1)|list",
           "map('nosuch')|list", "map()|list", "map(1)|list", "map('int', default=5)|list", "map(attribute=0)|list", "map(attribute='0')|list", "map(attribute='0.1', default='d')|list", "map('map', 'string')|map('list')|list",
           "selectattr('a.b', 'odd')|list", "selectattr('a.c')|map(attribute='k')|list", "selectattr('k', 'in', ['a', 'B'])|list", "rejectattr('a.b', 'eq', 2)|list", "rejectattr('k', 'upper')|list",
           "selectattr('no', 'defined')|list", "selectattr('no', 'undefined')|list", "select('divisibleby', 2)|list", "select('mapping')|list", "reject('string')|list", "reject('in', %s)|list", "select('nosuch')|list",
           "select('gt', 1)|list", "reject('lt', %s)|list", "rejectattr('function.strict')|map(attribute='function.name')|list", "selectattr('function.name', 'ne', 'add')|list",
           "max(attribute='a.b')", "min(attribute='k')", "min(case_sensitive=true)", "sum(attribute='a.b')", "sum(attribute='a.b', start=10)", "sum('n')", "join(', ', 'k')", "join(attribute='a.b', d='/')", "join(d=%s)",
           "join('\\n')", "batch(3, '-')|map('join')|list", "batch(linecount=2, fill_with=%s)|list", "batch(0)|list", "slice(3)|map('list')|list", "slice(slices=2, fill_with='x')|list", "slice(4, 0)|list", "first|default('none')",
           "dictsort(by='value')", "dictsort(case_sensitive=true, by='key')", "dictsort(false, 'value', true)", "dictsort(by='x')", "dictsort|map('first')|join", "tojson(indent=4, sort_keys=true)", "tojson(indent='\\t')", "tojson(indent=none)",
           "tojson(separators=(',', ':'), ensure_ascii=true)", "tojson(separators=[', ', ' = '], indent=1)", "tojson(true, 2)", "tojson(ensure_ascii=false, indent=2, separators=(',', ': '))", "tojson|tojson", "tojson(indent=-1)", "tojson(indent=true)", "tojson(ensure_ascii=%s)",
           "tojson(separators=(',',))", "tojson|length", "tojson|safe", "tojson|replace('\\\\', '/')", "string|tojson", "trim('a ')", "trim(chars='\\n ')", "trim(none)", "replace('\\n', '\\n  ')", "replace('', '-')", "replace('a', '')", "replace(%s, '', 2)", "replace(old=' ', new='_')",
           "replace('b', 'c', count=1)", "center(20)|trim", "center(4)", "indent(4)", "indent(width=2, first=true)", "indent('\\t')", "indent(0, true)", "indent(first=%s)", "truncate(10, true)", "truncate(10)", "truncate(20, false, '…')", "truncate(6, true, '')", "truncate(length=9, leeway=0)",
           "truncate(3)", "truncate(5, leeway=-1)", "wordwrap(20)", "wordwrap(10, wrapstring='|')", "wordwrap(7, break_on_hyphens=false)", "wordwrap(9, false, '\\n> ', false)", "wordwrap(1)", "wordwrap(0)", "round(-1)", "round(0, 'ceil')", "round(2, 'common')", "round(1, method='floor')", "round(%s, 'ceil')",
           "round(method='up')", "round|int", "int(5)", "int(-1, 2)", "int(base=8)", "int(0, 1)", "int(0, 37)", "int(0, base=36)", "int|string", "float(none)", "float|round(2)", "abs|int", "filesizeformat(true)", "filesizeformat(binary=true)", "default", "default('x', true)|upper", "default(none)", "default({})", "default([], true)|length",
           "e|e", "escape|safe", "forceescape|length", "safe|upper", "safe|replace('<', '&')", "striptags|trim", "title|trim", "capitalize|replace('a', 'A')", "wordcount|string", "string|list", "list|length", "list|first", "list|last", "list|reverse|join", "list|sort|join(',')", "reverse|join", "reverse|string",
           "items|map('last')|list", "items|list|length", "items|first|last", "dictsort|first|first", "pprint|length", "urlencode|lower", "attr('role')", "attr(name='n')", "attr(%s)", "attr('items')", "attr('__class__')", "count|string", "length|float",
           "format", "format('a', 'b', 'c')", "format(k='v')", "format(k=%s)", "format(*[1])", "join(*[','])", "default(**{'default_value': 3})", "first(1)", "upper(1)", "sort(1, 2, 3, 4)", "last|string", "unique|map('string')|sort|join", "random_" , "a.b", "select|first", "map('string')|map('length')|sum",
           "sort(attribute='a.c.0')", "sort(attribute=0)", "sort(attribute='1')", "sort(attribute='function.name')", "groupby(1)", "groupby('0')", "sum(attribute=0)", "map('trim')|select|list"]
METHODS = ["upper()", "lower()", "title()", "capitalize()", "casefold()", "swapcase()", "strip()", "lstrip()",
           "rstrip('o')", "strip(%s)", "split()", "split(%s)", "split(',', 1)", "split(none, 1)", "rsplit(' ', 1)", "rsplit()", "rsplit(none, 1)", "splitlines()",
           "splitlines(true)", "partition(' ')", "rpartition(%s)", "find(%s)", "rfind('o')", "index('l')", "rindex('o')",
           "count(%s)", "startswith(%s)", "endswith(('o', 'd'))", "startswith('e', 1)", "replace(%s, %s)", "replace('l', 'L', 1)",
           "join(%s)", "join(['a', 'b'])", "zfill(5)", "center(9, '*')", "ljust(7)", "rjust(7, '.')", "expandtabs(4)",
           "isdigit()", "isalpha()", "isalnum()", "isupper()", "islower()", "isspace()", "istitle()", "isnumeric()",
           "isdecimal()", "isascii()", "isidentifier()", "isprintable()", "removeprefix('H')", "removesuffix('d')", "format(%s)",
           "format(%s, %s)", "format(a=%s)", "get(%s)", "get('b', %s)", "get('b')", "keys()", "values()", "items()", "keys()|list", "items()|list",
           "values()|list", "copy()", "append(%s)", "pop()", "update(%s)", "sort()", "encode2()", "index(%s)", "count(1)", "x", "role", "0", "items", "b",
           "real", "is_integer()", "bit_length()", "conjugate()", "numerator", "__class__", "translate({97: 'X'})", "format_map({'a': %s})", "get(%s, %s)", "get(default=1)", "get('a', {}).get('b')", "get('k')", "a.b", "a.c[0]", "k", "grouper", "list", "fromkeys(%s)", "fromkeys('ab', 0)", "items()|first",
           "items()|sort|list", "keys()|sort|join(',')", "values()|map('string')|join(',')", "keys()|map('upper')|list", "keys().isdisjoint(%s)", "items()|length", "index('a', 1)", "index(1, -1)", "count('')", "find('', 9)", "find('l', -3)", "rfind('l', 0, 3)", "split('')", "split('\\n')",
           "split('a')[-1]", "split(maxsplit=1)", "split(sep=' ', maxsplit=1)", "split(' ')|last", "split(', ')|map('trim')|list", "split('</think>')[-1].lstrip('\\n')", "rsplit(',')", "rsplit(maxsplit=0)", "rsplit('l', 1)", "splitlines(keepends=true)", "partition('')", "strip('Hed ')", "lstrip(none)",
           "rstrip('\\n')", "strip('xyz').upper().lower()", "startswith(('H', 'x'))", "startswith('W', 6)", "startswith('W', 6, 7)", "endswith('d', 0, -1)", "endswith('')", "startswith(1)", "startswith([])", "zfill(-1)", "zfill(12)", "center(15)", "center(8, 'é')", "center(6, 'ab')", "ljust(9, '-')", "rjust(12)", "ljust(%s)", "expandtabs()",
           "expandtabs(0)", "expandtabs(tabsize=2)", "replace('o', '0', -1)", "replace('', '.', 3)", "replace('o', '0', count=1)", "removeprefix('')", "removesuffix('ld')", "translate({72: none, 101: 33})", "translate({})", "title().swapcase()", "casefold()|length", "isalpha() and 1", "isspace()", "isidentifier()",
           "join([])", "join('abc')", "join(['a', 1])", "join(d)", "join(ls)", "format(1, 2, a=3)", "format(*ls)", "format(**d)", "upper", "upper()()", "nosuch", "nosuch()", "nosuch.deeper", "clear()", "insert(0, 1)", "extend([1])", "remove(1)", "reverse()", "popitem()", "setdefault('a', 1)", "copy()|length",
           "count(%s)", "index(3)", "index(%s, 0, 2)", "denominator", "imag", "bit_count()", "as_integer_ratio()", "hex()", "start", "stop", "step", "mro()", "__len__()", "__dict__", "__nosuch__", "_x", "keys", "x.y[0]", "x.y.0", "x['y'][1]", "items[0]", "ä", "function.name", "function.parameters.properties.city.enum"]
SUBSCRIPTS = ["[0]", "[-1]", "[1]", "[%s]", "['b']", "['x']['y']", "[1:]", "[:2]", "[::-1]", "[-2:]", "[::2]", "[%s:%s]", "[1:-1]", "[5:1:-2]", "[:]", "[::]", "[1:2:3]", "[:-1]", "[-1:]", "[::-2]", "[:%s]", "[%s:]", "[::%s]", "[1, 2]", "[:, 1]", "['items']", "['get']('a')", "[none]", "[true]", "[1.0]", "[-4]", "['a']['b']", "[0]['k']", "['']",
              "['upper']()", "[(1, 2)]", "[0][0]", "[0][-1:]", "[1:][0]", "[100:]", "[-100:2]", "[0:0]", "['__class__']", "['a b']"]
FORMATS = ["'%s' % ({0},)", "'%d' % {0}", "'%5.1f|' % {0}", "'%r' % ({0},)", "'%x' % {0}", "'%e' % {0}", "'%g' % {0}", "'%-6s|' % {0}", "'%06d' % {0}",
           "'%+d %% %s' % ({0}, {1})", "'%(a)s' % {{'a': {0}}}", "'{{}}'.format({0})", "'{{:.2f}}'.format({0})", "'{{:>6}}|{{:<4}}|{{:^5}}'.format({0}, {1}, 'x')",
           "'{{:,}}'.format({0})", "'{{:05d}}'.format({0})", "'{{!r}}'.format({0})", "'{{0[0]}} {{0}}'.format({0})", "'{{:e}}'.format({0})", "'{{:g}}'.format({0})", "'{{:.3}}'.format({0})",
           "'{{:%}}'.format({0})", "'{{:x}}'.format({0})", "'{{:+}}'.format({0})", "'{{:_}}'.format({0})", "'{{:b}}'.format({0})", "'{{a}}{{b}}'.format(a={0}, b={1})",
           "'%c' % {0}", "'%i|%u' % ({0}, {1})", "'%o' % {0}", "'%X|%#x' % ({0}, {0})", "'%10.3s|' % ({0},)", "'%-10r|' % ({0},)", "'%+.2e' % {0}", "'% d' % {0}", "'%#o' % {0}", "'%.0f' % {0}", "'%*d' % (5, {0})", "'%.*f' % (2, {0})", "'%-*s|' % (6, {0})",
           "'%a' % ({0},)", "'%s' % {0}", "'%s%s' % {0}", "'%' % {0}", "'%q' % {0}", "'%(a)d %(b)s' % {{'a': {0}, 'b': {1}}}", "'%(a)s' % {0}", "'%5%|' % ()", "'%G' % {0}", "'%F' % {0}", "'%#.3g' % {0}", "'%.3d' % {0}", "'%+5s|' % {0}", "'%05.1f' % {0}", "'%ld' % {0}", "'x' % {0}",
           "'{{0}}{{0}}'.format({0})", "'{{1}}{{0}}'.format({0}, {1})", "'{{}}{{0}}'.format({0})", "'{{:*^12}}'.format({0})", "'{{:<5}}|'.format({0})", "'{{:=+8}}'.format({0})", "'{{:08.3f}}'.format({0})", "'{{:#x}} {{:#b}} {{:o}}'.format({0}, {0}, {0})", "'{{:X}}'.format({0})", "'{{:c}}'.format({0})",
           "'{{:n}}'.format({0})", "'{{:d}}'.format({0})", "'{{:s}}'.format({0})", "'{{:.2s}}|'.format({0})", "'{{:>{{}}}}'.format({0}, 6)", "'{{:{{w}}.{{p}}f}}'.format({0}, w=9, p=2)", "'{{!s:>8}}'.format({0})", "'{{!a}}'.format({0})", "'{{!x}}'.format({0})", "'{{[a]}}'.format({0})", "'{{.real}}'.format({0})",
           "'{{a[b]}}'.format(a={0})", "'{{a.b}}'.format(a={0})", "'{{0.__class__}}'.format({0})", "'{{{{}}}}{{}}'.format({0})", "'{{'.format({0})", "'}}'.format({0})", "'{{:,.2f}}'.format({0})", "'{{:_x}}'.format({0})", "'{{: }}'.format({0})", "'{{:G}}'.format({0})", "'{{:.0%}}'.format({0})", "'{{:é>5}}'.format({0})",
           "'{{:10}}|'.format({0})", "'{{:^}}'.format({0})", "'{{:.5}}'.format({0})", "'{{:z}}'.format({0})", "'{{:+,}}'.format({0})", "'{{:010,}}'.format({0})", "'{{:#}}'.format({0})", "'{{:-}}'.format({0})", "'{{:e}}|{{:.0e}}|{{:#.0e}}'.format({0}, {0}, {0})", "'{{:5}}{{:5}}'.format({0}, {1})",
           "('%s: %d' | format({0}, {1}))", "('%(a)s' | format(a={0}))", "('%5.2f' | format({0}))", "(('{{}}' ~ {0}).format({1}))"]


TEXTS = ["s", "u", "w", "h", "q", "num", "lines", "emoji", "tab", "long", "'abc'", "'A b-c'", "'x,y, z'", "'a\\nb'", "(s ~ i)", "s.upper()", "u|lower", "long[:30]", "'<think>\\nx</think>\\ny'"]
DICTS = ["d", "dd", "keys", "uni", "m[0]", "tools[0]", "tools[0].function", "paths[0]", "paths[1].a", "{'a': 1, 'b': {'c': 'd'}}", "dict(a=1, b=l)"]
LISTS = ["l", "ls", "ln", "ll", "mix", "nest", "range(5)", "[1, 'a', none]", "(1, 2)", "s.split()", "d.keys()", "paths|map(attribute='k')", "[2, 1.5, true]", "le"]
RECORDS = ["m", "paths", "tools", "m + paths", "[d, dd]", "paths[::-1]", "m|list"]
NUMBERS = ["i", "z", "neg", "f", "g", "tiny", "one", "big", "2.5", "0.1", "1e16", "t", "123456.789", "(i / 3)", "-0.0", "l|sum"]
# What is made for which operands: by the words it begins with.
KINDS = [
    (TEXTS, "upper lower title capitalize casefold swapcase strip lstrip rstrip split rsplit splitlines partition rpartition find rfind rindex startswith endswith replace zfill center ljust rjust expandtabs is remove translate "
            "format trim indent truncate wordwrap wordcount striptags urlencode e escape safe forceescape".split()),
    (RECORDS, "groupby selectattr rejectattr map(attribute sort(attribute unique(attribute sum(attribute max(attribute min(attribute join(attribute map('attr".split()),
    (DICTS, "keys values items dictsort get role content function a.b x.y d.b k n copy".split()),
    (NUMBERS, "round abs float int filesizeformat real imag numerator bit_ conjugate as_integer".split()),
    (LISTS, "sort unique map select reject batch slice first last list reverse sum min max join index count append length".split()),
]


def operands(what):
    return next((operands for operands, words in KINDS if what.startswith(tuple(words))), None)


class Grammar:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, items):
        return self.random.choice(items)

    def fill(self, text, depth):
        first, *others = text.split("%s")
        return first + "".join(self.expression(depth - 1) + other for other in others)

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
            return "(%s %s %s)" % (sub(), self.pick(OPERATORS), sub()) if r > .15 else "(%s ** %s)" % (sub(), self.pick(POWERS))
        if r < 0.58:
            return self.applied("(%s)|%s", FILTERS, depth)
        if r < 0.66:
            return "(%s is %s)" % (sub(), self.call(TESTS, depth))
        if r < 0.78:
            return self.applied("(%s).%s", METHODS, depth)
        if r < 0.85:
            return "(%s)%s" % (sub(), self.call(SUBSCRIPTS, depth))
        if r < 0.88:
            return "(%s if %s else %s)" % (sub(), sub(), sub())
        if r < 0.92:
            return self.pick(FORMATS).format(*(self.pick([sub(), self.pick(NUMBERS), self.pick(TEXTS)]) for _ in range(2)))
        if r < 0.94:
            return "[%s, %s]" % (sub(), sub())
        if r < 0.96:
            return "{'k': %s, %s: 1}" % (sub(), self.atom())
        if r < 0.97:
            return "(not %s)" % sub()
        if r < 0.98:
            return "(-%s)" % sub()
        if r < 0.985:
            return "(%s, %s)" % (sub(), sub())
        if r < 0.99:
            return "(%s if %s)" % (sub(), sub())
        return self.call_of(sub)

    def applied(self, form, table, depth):
        what = self.call(table, depth)
        fitting = operands(what)
        return form % (self.pick(fitting) if fitting and self.random.random() < .7 else self.expression(depth - 1), what)

    def call_of(self, sub):
        """Of a global, as far as what it gives depends on nothing else."""
        text = self.pick(["dict(a=%s, b=2)", "dict(%s)", "dict([('a', %s)], c=3)", "namespace(a=%s).a", "namespace(%s)", "namespace({'x': %s}).x", "range(%s)", "range(5, 0, -2)",
                          "range(%s, 4)", "range(3)|list", "cycler(%s, 2).next()", "joiner(%s)", "joiner()() ~ 'x'", "raise_exception(%s)", "strftime_now('%d %b %Y')", "strftime_now(%s)",
                          "dict.fromkeys(%s)", "range", "dict", "loop", "self", "caller", "namespace", "varargs", "kwargs", "cycler('a').current", "range(1, 10, 3)[1]", "dict(**{'x': %s})", "[%s][0]", "f(%s)"])
        first, *others = text.split("%s")
        return first + "".join(sub() + other for other in others)

    def loose(self, depth):
        """Without parentheses: what binds how."""
        part = lambda: self.pick([self.atom(), self.atom(), "-" + self.atom(), "not " + self.atom(), self.atom() + "|" + self.call(FILTERS, 1), self.atom() + "." + self.call(METHODS, 1),
                                  self.atom() + " is " + self.call(TESTS, 1), self.atom() + self.call(SUBSCRIPTS, 1), "+" + self.atom(), self.atom() + " is not " + self.call(TESTS, 1)])
        text = part()
        for _ in range(self.random.randint(1, 4)):
            text += " %s %s" % (self.pick(OPERATORS), part()) if self.random.random() > .05 else " ** " + self.pick(POWERS)
        if self.random.random() < .2:
            text += " if " + part() + (" else " + part() if self.random.random() < .7 else "")
        return text

    def tag(self, text):
        left, right = self.pick(["", "", "", "-", "+"]), self.pick(["", "", "", "-"])
        return "{%%%s %s %s%%}" % (left, text, right)

    def output(self, depth):
        expression = self.loose(depth) if self.random.random() < .15 else self.expression(depth)
        return "{{%s%s%s%s%s}}" % (self.pick(["", "", "-", "+"]), self.pick([" ", " ", "", "\n"]), expression, self.pick([" ", " ", "", "\n  "]), self.pick(["", "", "-"]))

    def text(self):
        if self.random.random() < .01:
            return self.pick(["{ {", "}}", "%}", "#}", "{", "{{", "{%", "{#", "-%}", "}}}"])
        return self.pick(["", " ", "\n", "a", " b\n", "\n  ", "<c>", "  \n\n", "ü", "{# x #}", "{#- y -#}\n", "{#+ z #}", "\t{# a\nb {{ c }} {% d %} #}\n", "\r\n", "a\r\nb", "  ", "\n\n", "\u2028", "# x\n", "## y", "<|im_end|>\n", "x \t\n\t"])

    def name(self):
        return self.pick(["x", "y", "i", "s", "l", "ns"])

    def statement(self, depth, loop=False):
        if self.random.random() < .01:
            return self.odd(depth, loop)
        if depth <= 0 or self.random.random() < .22:
            return self.output(2)
        kinds = [self.an_if, self.an_if, self.a_for, self.a_for, self.a_for, self.a_set, self.a_set, self.a_set_block, self.a_namespace, self.a_macro, self.a_macro, self.a_call,
                 self.a_call_of_arguments, self.a_filter, self.a_with, self.a_raw, self.an_autoescape, self.a_recursion, self.a_generation, self.a_block]
        if loop:
            kinds += [self.a_jump, self.a_jump, self.a_namespace]
        return self.pick(kinds)(depth, loop)

    def an_if(self, depth, loop):
        text = self.tag("if " + self.expression(2)) + self.body(depth - 1, loop)
        for _ in range(self.pick([0, 0, 1, 2])):
            text += self.tag("elif " + self.expression(1)) + self.body(depth - 1, loop)
        if self.random.random() < .5:
            text += self.tag("else") + self.body(depth - 1, loop)
        return text + self.tag("endif")

    def a_for(self, depth, loop):
        target = self.pick(["x", "y", "i", "x, y", "k, v", "(x, y)", "x, (k, v)", "m"])
        items = self.pick(["l", "ls", "ll", "m", "d.items()", "d|dictsort", "range(3)", "u", "s", "ln", "dd|items", "tools", "paths", "nest", "uni|items", "m|groupby('role')", "paths|selectattr('a.c')", "l|batch(2)",
                           "[[1, [2, 3]], [4, [5, 6]]]", "loop", "d", "keys.values()", "missing", self.expression(2), "1, 2, 3", "l if t else ls"])
        test = " if " + self.pick(["x", "x is defined", "loop is defined", "loop.index", "not x", self.expression(1)]) if self.random.random() < .25 else ""
        recursive = " recursive" if self.random.random() < .1 else ""
        return self.tag("for %s in %s%s%s" % (target, items, test, recursive)) + self.loop_use() + self.body(depth - 1, True) + self.loop_use() + \
            (self.tag("else") + self.body(depth - 1, loop) if self.random.random() < .3 else "") + self.tag("endfor")

    def a_set(self, depth, loop):
        return self.tag("set %s = %s" % (self.pick(["x", "y", "i", "x, y", "ns", "ns.x", "x, ns.y", "l", "m"]), self.pick([self.expression(2), self.expression(1) + ", " + self.expression(1)])))

    def a_set_block(self, depth, loop):
        filters = self.pick(["", "", " | upper", " | replace('a', 'b')|trim", "|length", "|default('e', true)", "|tojson", "|indent(2, first=true)", "|" + self.call(FILTERS, 1)])
        return self.tag("set " + self.pick([self.name(), self.name(), "ns.x", "x, y"]) + filters) + self.body(depth - 1, loop) + self.tag("endset") + "{{ x }}"

    def a_namespace(self, depth, loop):
        made = self.pick(["namespace(x=%s)" % self.expression(1), "namespace()", "namespace({'x': 1}, y=2)", "namespace(x=[], d={}, n=namespace(x=1))", "namespace(**de)", "namespace([('x', 2)])"])
        change = self.pick(["ns.x = ns.x ~ " + self.expression(1), "ns.y = ns.x", "ns.x = ns.x + [1]", "ns.n = namespace(z=2)", "ns.x, ns.y = 1, 2", "ns._x = 1", "ns.found = true", "ns.n.x = 5", "ns.items = 3", "missing.x = 1", "d.x = 1"])
        use = self.pick(["{{ ns.x }}", "{{ ns.y is defined }}", "{{ ns.n.x }}", "{{ ns['x'] }}", "{{ ns.get }}", "{{ ns.items }}", "{{ ns.n.z }}"])
        return self.tag("set ns = " + made) + self.body(depth - 1, loop) + self.tag("set " + change) + use

    def a_macro(self, depth, loop):
        name = self.pick(["f", "g"])
        e = lambda: self.expression(1)
        signature = self.pick(["a, b=%s, c=a" % e(), "", "a", "a=1, b=2", "a, b", "x, y=x", "a, b=[], c={}", "caller=none", "s, l=l", "a=f", "a, a"])
        inside = self.pick(["", "{{ varargs }}", "{{ kwargs }}", "{{ caller() if caller else '' }}", "{{ caller(1) }}", "{{ varargs|length }}{{ kwargs|dictsort }}", "{{ caller is defined }}", "{{ a is defined }}", "{{ %s.name }}" % name,
                            "{{ %s(b) if a }}" % name, "{{ kwargs.x }}", "{{ loop }}", "{% set x = 5 %}{{ x }}", "{{ %s.arguments }}{{ %s.catch_kwargs }}{{ %s.catch_varargs }}{{ %s.caller }}" % ((name,) * 4)])
        call = self.pick([e(), "1, c=2", "", "1, 2, 3, 4", "b=1", "a=" + e(), "*l", "**de", "x=1", "1, a=2", "*[1, 2], **{'c': 3}", "**d", "1, *ls", "caller=1", "a, b", "b=2, a=1", "*[], x=" + e(), "*missing", "**l"])
        return self.tag("macro %s(%s)" % (name, signature)) + "[{{ a }},{{ b }},{{ c }}]" + inside + self.body(depth - 1, False) + self.tag("endmacro") + \
            self.pick(["{{ %s(%s) }}", "{{ %s(%s)|upper }}", "{%% set x = %s(%s) %%}{{ x }}", "{{ [%s(%s)] }}", "{%% if %s(%s) %%}y{%% endif %%}", "{%% for x in l %%}{{ loop.index }}{{ %s(%s) }}{%% endfor %%}", "{%% call %s(%s) %%}c{%% endcall %%}"]) % (name, call)

    def a_call(self, depth, loop):
        return self.tag("macro g()") + "<{{ caller(5) }}>" + self.tag("endmacro") + self.tag("call(z) g()") + "{{ z }}" + self.body(depth - 1, False) + self.tag("endcall")

    def a_call_of_arguments(self, depth, loop):
        e = lambda: self.expression(1)
        given = self.pick(["", "1", "1, 2", "*l", "b=2", "1, b=" + e(), e(), "**{'a': 1}", "x", "z=1"])
        macro = self.tag("macro g(%s)" % self.pick(["", "x", "x=1, y=2", "y"])) + "<{{ x }}{{ caller(%s) }}%s>" % (given, self.pick(["", "{{ caller(3, 4) }}", "{{ caller.arguments }}", "{{ varargs }}", "{{ kwargs }}"])) + self.tag("endmacro")
        taken = self.pick(["", "()", "(a)", "(a, b)", "(a, b=%s)" % e(), "(a=1, b=a)", "(x)", "(a, caller)"])
        called = self.pick(["g()", "g(1)", "g(x=2)", "g(y=i, x=7)", "g(*l)", "g(**de)", "g(1, 2, 3)", "s.upper()", "missing()", "range(2)", "g"])
        inside = self.pick(["{{ a }}{{ b }}", "{{ a }}", "{{ varargs }}{{ kwargs }}", "{{ caller }}", "{{ x }}{{ y }}", "{% set x = 9 %}{{ x }}"])
        return macro + self.tag("call%s %s" % (taken, called)) + inside + self.body(depth - 1, False) + self.tag("endcall") + "{{ x }}"

    def a_filter(self, depth, loop):
        filters = self.pick(["upper", "trim", "replace('a', 'bb')", "escape", "title", "length", "indent(2)", "upper|trim", "indent(width=3, first=true)|replace('\\n', '/')", "tojson", "truncate(9)", "wordwrap(6)", "center(30)|trim('x')",
                             "list", "first", "join('-')", "default('d')", "striptags", "reverse", "nosuch", "string|length|string", self.call(FILTERS, 1)])
        return self.tag("filter " + filters) + self.body(depth - 1, loop) + self.tag("endfilter")

    def a_with(self, depth, loop):
        names = self.pick(["x = %s, y = x", "x = %s", "x, y = %s", "x = 1, x = %s", "i = i, l = %s", "x = %s, y = 2, k = 3", "(x, y) = %s"]) % self.expression(1)
        return self.tag(self.pick(["with " + names, "with " + names, "with"])) + self.body(depth - 1, loop) + "{{ x }}{{ y }}" + self.tag("endwith")

    def a_raw(self, depth, loop):
        return self.pick(["{% raw %}", "{%- raw %}", "{% raw -%}", "{%+ raw %}", " \n {% raw %}\n"]) + self.pick(["{{ raw }} {% if %}", " {# x #} ", "\n {% raw %}\n", "}}", ""]) + self.pick(["{% endraw %}", "{%- endraw -%}", "{% endraw %}\n", "{%+ endraw %}"])

    def an_autoescape(self, depth, loop):
        inside = self.pick(["{{ h }}{{ h|safe }}{{ '<' ~ h }}", "{{ h|e }}{{ '<%s>' % h }}{{ ('<b>'|safe) ~ h }}", "{{ ('<b>'|safe) + h }}{{ ('%s'|safe) % h }}", "{{ [h]|join('<') }}{{ [h, h|safe]|join('&') }}", "{{ h|replace('<', '>') }}{{ h|tojson }}", "{{ m }}{{ h|upper }}",
                            "{% set x %}<{{ h }}>{% endset %}{{ x }}", "{% macro f(a) %}<{{ a }}>{% endmacro %}{{ f(h) }}", "{% filter upper %}<{{ h }}>{% endfilter %}", "{{ '<' ~ 1 }}{{ '<'|safe ~ '<' }}", "{{ ('<{}>'|safe).format(h) }}", "{% for x in [h, '<'|safe] recursive %}{{ x }}{% endfor %}",
                            "{{ (h|safe).upper() }}{{ (h|safe)[1:3] }}{{ ('a'|safe) * 2 }}{{ ','.join([h|safe]) }}"])
        return self.tag("autoescape " + self.pick(["true", "false", "t", "fa", "1 == 1", "missing", self.atom()])) + self.body(depth - 1, loop) + inside + self.tag("endautoescape")

    def a_recursion(self, depth, loop):
        items = self.pick(["ll", "nest", "[1, [2, [3]]]", "[[], [[]]]"])
        inside = self.pick(["({{ loop.depth }}{{ loop(x) if x is iterable and x is not string else x }})", "{{ loop.index }}:{% if x is sequence %}{{ loop(x)|upper }}{% else %}{{ x }}{{ loop.depth0 }}{% endif %};",
                            "{{ x if x is number else loop(x) }}{{ '.' if loop.last }}", "{% set y = loop(x) if x is not number else 'n' %}<{{ y }}>{{ loop.length }}", "{{ loop(x[1:]) if x is sequence and x else 0 }}{{ loop.previtem }}",
                            "{% if x is not number %}{% for z in x %}{{ loop.index }}{{ loop.depth }}{% endfor %}{{ loop(x) }}{% endif %}", "{{ loop() }}", "{{ loop(x, 2) }}", "{{ loop(5) }}"])
        return self.tag("for x in %s recursive" % items) + inside + (self.tag("else") + "E" if self.random.random() < .4 else "") + self.tag("endfor")

    def a_generation(self, depth, loop):
        return self.tag("generation") + self.body(depth - 1, loop) + self.tag("endgeneration")

    def a_block(self, depth, loop):
        name = self.pick(["b1", "b2", "b3", "b4"])
        return self.tag("block " + name + self.pick(["", "", " scoped", " required"])) + self.body(depth - 1, False) + self.tag("endblock" + self.pick(["", " " + name])) + self.pick(["", "{{ self.%s() }}" % name, "{{ self.nosuch }}"])

    def a_jump(self, depth, loop):
        jump = self.tag(self.pick(["break", "continue"]))
        return self.pick([self.tag("if " + self.expression(1)) + jump + self.tag("endif"), self.tag("if loop.index == 2") + jump + self.tag("endif"), jump,
                          self.tag("if " + self.expression(1)) + "a" + self.tag("else") + jump + self.tag("endif"), self.tag("with x = 1") + jump + self.tag("endwith")])

    def odd(self, depth, loop):
        """What is refused, or nearly."""
        return self.pick(["{% include 'a' %}", "{% extends 'a' %}", "{% import 'a' as b %}", "{% from 'a' import b %}", "{% include 'a' ignore missing %}", "{% include missing %}", "{% do l.append(1) %}", "{% trans %}x{% endtrans %}", "{% nosuch %}", "{% endif %}", "{% if %}{% endif %}",
                          "{{ }}", "{{ x", "{% set x %}", "{% set 1 = 2 %}", "{% for in l %}{% endfor %}", "{% set true = 1 %}", "{{ x y }}", "{{ 'a }}", "{{ 1 +  }}", "{{ (1 }}", "{{ [1 }}", "{{ {1} }}", "{{ x.1.y }}", "{{ 1.e3 }}", "{{ .5 }}", "{{ 5. }}", "{{ x | }}", "{{ x is }}", "{{ a.b.c }}",
                          "{% for loop in l %}{% endfor %}", "{% break %}", "{% continue %}", "{% for x in l %}{% macro q() %}{% break %}{% endmacro %}{% endfor %}", "{% else %}", "{% block a %}{% block a %}{% endblock %}{% endblock %}", "{{ super() }}", "{{ self.x }}", "{% raw %}x",
                          "{# x", "{{ x }", "{% if x %}", "{% call f %}{% endcall %}", "{% call 1 %}{% endcall %}", "{% macro 1() %}{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}", "{{ f(a=1, 2) }}", "{{ f(*l, *l) }}", "{{ f(**d, **d) }}", "{{ f(a=1, a=2) }}", "{{ x[] }}", "{{ x[1:2:3:4] }}",
                          "{% set x = 1, %}{{ x }}", "{% set x, = [1] %}{{ x }}", "{{ 1, 2 }}", "{{ (1, 2,) }}", "{{ [1, 2,] }}", "{{ {'a': 1,} }}", "{{ f(1,) }}", "{{ not not t }}", "{{ --1 }}", "{{ 2 ** 3 ** 2 }}", "{{ -2 ** 2 }}", "{{ 1 < 2 < 3 }}", "{{ 1 if t if fa }}", "{{ t and not fa or n }}",
                          "{{ x is not defined }}", "{{ not x is defined }}", "{{ 1 in [1] in [[1]] }}", "{{ 1 not in l }}", "{{ 'a' 'b' ~ 'c' }}", "{{ 7 // 2 % 3 * 2 }}", "{{ 2 - - 1 }}", "{{ x.if }}", "{{ d.items }}", "{% set if = 1 %}", "{% set self = 1 %}{{ self }}", "{{ none.x }}", "{{ 1.real }}", "{{ 1|abs.x }}",
                          "{% for x in [] %}{% else %}{{ loop }}{% endfor %}", "{% with a %}{% endwith %}", "{% set ns.x.y = 1 %}", "{% filter %}x{% endfilter %}", "{% if x %}{% elif %}{% endif %}", "{{ '\\x4' }}", "{{ '\\u12' }}", "{{ \"a\nb\" }}", "{% set x = 'a\n\nb' %}{{ x }}", "{{ missing.a.b }}",
                          "{%- -%}", "{%%}", "{{- -}}", "{%if t%}x{%endif%}", "{%-if t-%} x {%-endif-%}", "{{-1}}", "{{--1}}", "{{+1}}", "{{ 1 -}} {{- 2 }}", "{% set a=1 -%}\n {%- set b=2 %}\n{{a}}{{b}}", "{{ ['a',\n'b'] }}\n{{ d.a.b.c }}", "{{ l;1 }}", "{{ x ? y }}", "{{ $x }}", "{{ a&b }}", "{{ é }}", "{{ x`y }}",
                          "{{ 1_000 }}", "{{ 1__0 }}", "{{ 0_1 }}", "{{ 01 }}", "{{ 0x }}", "{{ 1e }}", "{{ 1e5 }}", "{{ 1E-2 }}", "{{ 0b2 }}", "{{ 0XfF }}", "{{ 1x }}", "{{ true.x }}", "{{ True == true }}", "{{ None is none }}", "{{ nan }}", "{{ x.__class__ }}", "{{ ''.__add__ }}", "{{ l.__len__() }}", "{{ d.__getitem__ }}"])

    def loop_use(self):
        if self.random.random() < .5:
            return ""
        return self.pick(["{{ loop.index }}", "{{ loop.index0 }}", "{{ loop.first }}", "{{ loop.last }}", "{{ loop.length }}",
                          "{{ loop.revindex }}", "{{ loop.previtem }}", "{{ loop.nextitem }}", "{{ loop.cycle('a', 'b') }}",
                          "{{ loop.changed(x) }}", "{{ loop }}", "{{ loop.changed(loop.index // 2, 1) }}", "{{ loop.cycle(*ls) }}", "{{ loop.cycle() }}", "{{ loop.previtem is defined }}{{ loop.nextitem is defined }}", "{{ loop.previtem.role }}", "{{ loop.index is even }}", "{{ loop.first and loop.last }}", "{{ loop|length }}",
                          "{% if not loop.first %}, {% endif %}", "{{ loop.changed(x.role) }}", "{{ loop.nosuch }}", "{{ loop.__len__ }}", "{% set outer = loop %}{% for z in ls %}{{ outer.index }}{{ loop.index }}{% endfor %}", "{{ loop.previtem ~ loop.nextitem }}", "{{ loop.depth }}{{ loop.depth0 }}", "{{ loop.cycle(x, loop.index) }}",
                          "{% if loop.last and x %}L{% endif %}", "{{ loop.length - loop.index0 }}", "{{ loop is iterable }}", "{{ loop.index0|string|tojson }}", "{{ loop.next }}", "{{ ',' if not loop.last }}", "{{ loop.revindex0 }}{{ loop.depth0 }}"])

    def body(self, depth, loop=False):
        return "".join(self.text() + self.statement(depth, loop) for _ in range(self.random.randint(1, 2))) + self.text()

    def template(self):
        if self.random.random() < .5:
            return "{{ %s }}" % (self.loose(2) if self.random.random() < .15 else self.expression(self.random.randint(1, 4)))
        return self.body(3) + "{{ x }}{{ ns }}{{ y }}"
