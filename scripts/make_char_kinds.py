#!/usr/bin/env python3
"""Writes src/hf/tokenizer/char_tables.c: the kinds of characters as the regular expressions of the
tokenizers library know them, asked of the library itself (requirements-tokenizers.txt).

    python3 scripts/make_char_kinds.py > src/hf/tokenizer/char_tables.c
"""
import sys
import unicodedata

from tokenizers import Regex, normalizers, pre_tokenizers

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
    """Where runs of one kind begin: code point << 9 | kind."""
    out, last = [], 0
    for code in range(0x110000):
        now = kinds.get(code, 0)
        if now != last:
            out.append(code << 9 | now)
        last = now
    return out


codes = [c for c in range(0x110000) if not 0xd800 <= c < 0xe000]
kind = dict.fromkeys(codes, 0)
for first in range(0, len(codes), 0x4000):
    text = "".join(map(chr, codes[first:first + 0x4000]))
    for name, bit in BITS:
        for code in members(name, text):
            kind[code] |= VALUE[bit]

# What the library's normalizers know, whose Unicode is older: whether a character is a non-starter (a mark
# of a class of its own moves before it, or it before one), is decomposed, is the second of a composition, and
# what BertNormalizer and StripAccents take away.
NONSTARTER, CANONICAL, COMPATIBLE, SECOND, ACCENT, NONSPACING, OTHER = 1, 2, 4, 8, 16, 32, 64
nfc, nfd, nfkd = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str, normalizers.NFKD().normalize_str
accents = normalizers.StripAccents().normalize_str
clean = normalizers.BertNormalizer(True, False, False, False).normalize_str
nonspacing = normalizers.BertNormalizer(False, False, True, False).normalize_str
form = dict.fromkeys(codes, 0)
for code in codes[1:]:
    c = chr(code)
    if 0xac00 <= code <= 0xd7a3:
        continue  # Hangul is computed
    bits = 0
    if nfd("a" + c + "\u0334") != "a" + c + "\u0334" and nfd(c) == c or nfd("a\u0301" + c) == "a" + c + "\u0301":
        bits |= NONSTARTER
    if nfd(c) != c:
        bits |= CANONICAL
        form[ord(nfd(c)[-1])] |= SECOND
    if nfkd(c) != c:
        bits |= COMPATIBLE
    if accents(c) == "":
        bits |= ACCENT
    if nonspacing(c) == "":
        bits |= NONSPACING
    if clean("x" + c + "y") == "xy":
        bits |= OTHER
    form[code] |= bits

NEWER = 256
for code in codes:
    if kind[code] and unicodedata.category(chr(code)) == "Cn":
        kind[code] |= NEWER

print("""/*
 * char_tables: kinds of characters, made by scripts/make_char_kinds.py from the tokenizers library.
 * Not to be edited.
 */
#include "hf/tokenizer/char_tables.h"

/* clang-format off */""")
for name, kinds in (("char_runs", kind), ("char_runs_form", form)):
    starts = runs(kinds)
    print("const uint32_t %s[] = {" % name)
    line = "   "
    for start in starts:
        item = " 0x%x," % start
        if len(line) + len(item) > 100:
            print(line)
            line = "   "
        line += item
    print(line)
    print("};\n\nconst size_t %s_n = sizeof %s / sizeof %s[0];" % (name, name, name))
    if name != "char_runs_form":
        print()
    print("%s: %d" % (name, len(starts)), file=sys.stderr)
