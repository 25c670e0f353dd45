#!/usr/bin/env python3
"""Writes src/text/template/unicode_tables.c: what Python's str knows of characters.

Taken from the running Python by asking it about every code point, so the tables are Python's own
(3.11, Unicode 14.0): properties as runs, case mappings as runs of one distance, and the mappings
to several characters one by one.

    python3.11 scripts/make_unicode_tables.py > src/text/template/unicode_tables.c
"""
import sys
import unicodedata

ALL = range(0x110000)


def case_ignorable(ch):
    """A final sigma is looked for beyond these, and only these."""
    return ("A" + ch + "Σ").lower()[-1] == "ς" and ("1" + ch + "Σ").lower()[-1] != "ς"


def flags(ch):
    tests = (ch.isalpha(), ch.isdecimal(), ch.isdigit(), ch.isnumeric(), ch.islower(), ch.isupper(),
             unicodedata.category(ch) == "Lt", ch.isprintable(), case_ignorable(ch),
             ch.isidentifier(), ("a" + ch).isidentifier())
    return sum(bool(test) << bit for bit, test in enumerate(tests))


def property_runs():
    runs, last = [], None
    for c in ALL:
        now = flags(chr(c))
        if now != last:
            runs.append(c << 11 | now)
        last = now
    return runs


def case_tables(method, base):
    """([first, count, stride, distance], ...), ((c, (a, b, c)), ...): where it is not what base makes of it."""
    runs, many = [], []
    for c in ALL:
        to = getattr(chr(c), method)()
        if to == (getattr(chr(c), base)() if base else chr(c)):
            continue
        if len(to) > 1:
            many.append((c, [ord(x) for x in to] + [0] * (3 - len(to))))
        else:
            add_to_runs(runs, c, ord(to) - c)
    return runs, many


def add_to_runs(runs, c, distance):
    for run in runs[-1:]:
        first, count, stride, d = run
        if d == distance and count == 1 and c - first in (1, 2):
            run[1:3] = 2, c - first
            return
        if d == distance and count > 1 and c == first + count * stride:
            run[1] += 1
            return
    runs.append([c, 1, 1, distance])


def show(rows, per_line):
    for i in range(0, len(rows), per_line):
        print("    " + ", ".join(rows[i:i + per_line]) + ",")
    print("};\n")


def main():
    if not unicodedata.unidata_version.startswith("14."):
        sys.exit("wants Python 3.11, whose Unicode is 14.0")
    print("/* Made by scripts/make_unicode_tables.py from Python %d.%d, Unicode %s. */" %
          (*sys.version_info[:2], unicodedata.unidata_version))
    print('#include "text/template/unicode.h"\n')
    print("/* clang-format off */")
    runs = property_runs()
    print("const uint32_t UNICODE_RUNS[] = {")
    show(["0x%x" % run for run in runs], 10)
    print("const size_t N_UNICODE_RUNS = %d;\n" % len(runs))
    for method, base in (("lower", None), ("upper", None), ("title", "upper"), ("casefold", "lower")):
        runs, many = case_tables(method, base)
        print("static const struct case_run %s_RUNS[] = {" % method.upper())
        show(["{0x%x, %d, %d, %d}" % tuple(run) for run in runs], 4)
        print("static const struct case_many %s_MANY[] = {" % method.upper())
        show(["{0x%x, {0x%x, 0x%x, 0x%x}}" % (c, *to) for c, to in many], 4)
        print("const struct case_table UNICODE_%s = {%s, %s_RUNS, %d, %s_MANY, %d};\n" %
              (method.upper(), "&UNICODE_" + base.upper() if base else "NULL", method.upper(), len(runs),
               method.upper(), len(many)))


main()
