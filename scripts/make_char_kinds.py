#!/usr/bin/env python3
"""Writes src/hf/tokenizer/char_tables.c: the kinds of characters as the regular expressions of the
tokenizers library know them, asked of the library itself (requirements-tokenizers.txt).

    python3 scripts/make_char_kinds.py > src/hf/tokenizer/char_tables.c
"""
import sys
import unicodedata

from tokenizers import Regex, pre_tokenizers

BITS = [("L", "L"), ("N", "N"), ("Lm", "D"), ("M", "M"), ("P", "P"), ("S", "S"), ("Lu", "U"),
        ("Lt", "U"), ("Ll", "O")]
VALUE = {"L": 1, "N": 2, "D": 4, "M": 8, "P": 16, "S": 32, "U": 64, "O": 128}
# What PCRE2 10.40, the oldest that is taken, knows: Unicode 14.
assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version


def members(name, text):
    found = set()
    split = pre_tokenizers.Split(Regex("\\p{%s}+" % name), "removed", invert=True)
    for piece, _ in split.pre_tokenize_str(text):
        found.update(map(ord, piece))
    return found


def runs(kinds):
    out = []
    for code, kind in kinds:
        if out and out[-1][2] == kind and out[-1][1] == code - 1:
            out[-1][1] = code
        else:
            out.append([code, code, kind])
    return out


codes = [c for c in range(0x110000) if not 0xd800 <= c < 0xe000]
kind = dict.fromkeys(codes, 0)
for first in range(0, len(codes), 0x4000):
    text = "".join(map(chr, codes[first:first + 0x4000]))
    for name, bit in BITS:
        for code in members(name, text):
            kind[code] |= VALUE[bit]

table = runs([(c, kind[c]) for c in codes if kind[c]])
newer = runs([(c, kind[c]) for c in codes if kind[c] and unicodedata.category(chr(c)) == "Cn"])
print("""/*
 * char_tables: kinds of characters, made by scripts/make_char_kinds.py from the tokenizers library.
 * Not to be edited.
 */
#include "hf/tokenizer/char_tables.h"
""")
for name, rows in (("char_runs", table), ("char_runs_newer", newer)):
    print("const struct char_run %s[] = {" % name)
    line = "   "
    for a, b, k in rows:
        item = " {0x%x, 0x%x, %d}," % (a, b, k)
        if len(line) + len(item) > 100:
            print(line)
            line = "   "
        line += item
    print(line)
    print("};\n\nconst size_t %s_n = sizeof %s / sizeof %s[0];" % (name, name, name))
    if name == "char_runs":
        print()
print("%d runs, %d newer" % (len(table), len(newer)), file=sys.stderr)
