#!/usr/bin/env python3
"""Writes src/text/template/entities.c: HTML's named characters, from Python's html.entities.

    python3.11 scripts/make_html_entities.py > src/text/template/entities.c
"""
import unicodedata
from html.entities import html5


def is_shown(c):
    """It stands there by itself: no mark, blank or control."""
    return unicodedata.category(c)[0] not in "MZC" and c not in '"\\?'


def c_string(text):
    return '"' + "".join(c if is_shown(c) else "".join("\\%03o" % b for b in c.encode()) for c in text) + '"'


def main():
    rows = ["{%s, %s}," % (c_string(name), c_string(html5[name]))
            for name in sorted(html5, key=str.encode)]
    print("/* Made by scripts/make_html_entities.py from Python's html.entities. */")
    print('#include "text/template/entities.h"\n')
    print("/* clang-format off */")
    print("const struct entity ENTITIES[] = {")
    line = "   "
    for row in rows:
        if len(line) + len(row) > 99:
            print(line)
            line = "   "
        line += " " + row
    print(line)
    print("};")
    print("const size_t N_ENTITIES = %d;" % len(rows))


main()
