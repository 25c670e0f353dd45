#!/usr/bin/env python3
"""JSON schemas against two independent judges, without a model: `json_schema.py PROGRAM SUITE [COUNT]`.

PROGRAM is tests/live/schema_texts.c. SUITE is the folder of the public JSON-Schema-Test-Suite's draft
2020-12 (the source distribution of jsonschema carries it): nothing that it calls invalid is taken. Then
COUNT random schemas: every text that a random walk through their grammar completes is JSON by json.loads
and valid by jsonschema, and no walk ends where nothing may come.
"""

import collections
import json
import pathlib
import random
import subprocess
import sys

import jsonschema


class Program:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, kind, value):
        self.process.stdin.write((kind + value + "\n").encode("utf-8"))
        self.process.stdin.flush()
        return self.process.stdout.readline().decode("utf-8").rstrip("\n")


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# ---------------------------------------------------------------- the public suite

def run_suite(program, folder):
    counts = collections.Counter()
    for file in sorted(folder.rglob("*.json")):
        name = str(file.relative_to(folder))
        for group in json.loads(file.read_text("utf-8")):
            run_group(program, name, group, counts)
    print("suite:", dict(counts))
    return counts["invalid taken"] == 0 and counts["valid taken"] > 0


def run_group(program, name, group, counts):
    refused = program.ask("S", dump(group["schema"])).startswith("R")
    counts["schemas refused" if refused else "schemas taken"] += 1
    for test in [] if refused else group["tests"]:
        taken = program.ask("T", dump(test["data"])) == "yes"
        counts[("valid " if test["valid"] else "invalid ") + ("taken" if taken else "refused")] += 1
        if taken and not test["valid"]:
            print("TAKEN", name, group["description"], dump(group["schema"]), dump(test["data"]))


# ---------------------------------------------------------------- random schemas

WORDS = ["a", "b", "ab", "name", "kind", "größe", 'q"uote', "x y", "n_1"]
PATTERNS = ["^[a-z]+$", "^a", "b$", "[0-9]{2,4}", "^(ab|cd)*$", "^\\w+@\\w+$", "é", "^[^a-f]{1,5}$", "^$|x"]
FORMATS = ["date", "time", "date-time", "uuid", "email", "hostname", "ipv4", "ipv6", "uri", "duration"]


class Schemas:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, p):
        return self.random.random() < p

    def value(self):
        return self.random.choice(
            [None, True, False, 0, 1, -7, 2.5, "", "a", "ab", 'q"\\\n', "é", [], [1, "a"], {}, {"a": 1}])

    def schema(self, depth):
        r = self.random
        if depth <= 0:
            return self.leaf()
        kind = r.choice(["object", "object", "array", "leaf", "leaf", "any", "one", "all", "if", "not", "ref"])
        return getattr(self, "of_" + kind)(depth)

    def leaf(self):
        return getattr(self, "of_" + self.random.choice(["string", "number", "integer", "fixed", "simple"]))(0)

    of_leaf = lambda self, depth: self.leaf()

    def of_simple(self, depth):
        return self.random.choice([{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}, {}, True,
                                   {"type": ["integer", "boolean"], "description": "d"}])

    def of_fixed(self, depth):
        values = [self.value() for _ in range(self.random.randint(1, 5))]
        return {"const": values[0]} if self.chance(0.3) else {"enum": values}

    def of_string(self, depth):
        r, s = self.random, {"type": "string"}
        if self.chance(0.3):
            s["pattern"] = r.choice(PATTERNS)
        elif self.chance(0.3):
            s["format"] = r.choice(FORMATS)
        if self.chance(0.3):
            s["minLength"] = r.randint(0, 4)
        if self.chance(0.3):
            s["maxLength"] = r.randint(2, 40)
        if self.chance(0.1):
            s["not"] = {"enum": ["a", "ab", ""]}
        return s

    def of_number(self, depth):
        r, s = self.random, {"type": "number"}
        low = r.choice([-100, -1.5, 0, 0.1, 3, 1e-6, 12345.678])
        if self.chance(0.5):
            s[r.choice(["minimum", "exclusiveMinimum"])] = low
        if self.chance(0.5):
            s[r.choice(["maximum", "exclusiveMaximum"])] = low + r.choice([0.25, 1, 1000, 0.001])
        return s

    def of_integer(self, depth):
        r, s = self.random, {"type": "integer"}
        low = r.randint(-1200, 1200)
        if self.chance(0.4):
            s["minimum"] = low
        if self.chance(0.4):
            s["maximum"] = low + r.randint(0, 3000)
        if self.chance(0.3):
            s["multipleOf"] = r.choice([1, 2, 3, 5, 7, 10, 25])
        if self.chance(0.1):
            s["not"] = {"const": low}
        return s

    def of_array(self, depth):
        r, s = self.random, {"type": "array", "items": self.schema(depth - 1)}
        if self.chance(0.3):
            s["minItems"] = r.randint(0, 3)
        if self.chance(0.4):
            s["maxItems"] = r.randint(0, 5)
        if self.chance(0.2):
            s["prefixItems"] = [self.schema(depth - 2) for _ in range(r.randint(1, 3))]
        elif self.chance(0.1):
            s["contains"] = self.leaf()
        elif self.chance(0.1):
            s.update(items={"enum": ["a", "b", 1, None]}, uniqueItems=True)
        return s

    def of_object(self, depth):
        r = self.random
        names = r.sample(WORDS, r.randint(0, 5))
        s = {"type": "object", "properties": {n: self.schema(depth - 1) for n in names}}
        s["required"] = [n for n in names if self.chance(0.4)]
        if self.chance(0.3):
            s["additionalProperties"] = r.choice([False, True, self.leaf()])
        if self.chance(0.1):
            s["patternProperties"] = {r.choice(PATTERNS): self.leaf()}
        if self.chance(0.2):
            s["x-order"] = "any"
        if self.chance(0.1) and len(names) > 1:
            s["dependentRequired"] = {names[0]: [names[1]]}
        if self.chance(0.1):
            s["minProperties"] = r.randint(0, 3)
        if self.chance(0.1):
            s["maxProperties"] = r.randint(0, 4)
        if self.chance(0.1):
            del s["type"]
        return s

    def several(self, depth):
        return [self.schema(depth - 1) for _ in range(self.random.randint(1, 3))]

    of_any = lambda self, depth: {"anyOf": self.several(depth)}
    of_one = lambda self, depth: {"oneOf": self.several(depth)}

    def of_all(self, depth):
        return {"allOf": self.several(depth)} if self.chance(0.5) else {**self.of_object(depth), "anyOf": [
            {"required": [self.random.choice(WORDS)]}, {"properties": {"a": self.leaf()}}]}

    def of_if(self, depth):
        return {**self.of_object(depth), "if": self.of_object(1), "then": self.of_object(1), "else": self.of_object(1)}

    def of_not(self, depth):
        return {**self.schema(depth - 1), "not": self.leaf()} if self.chance(0.5) else {"not": self.schema(depth - 1)}

    def of_ref(self, depth):
        return {"$ref": "#/$defs/" + self.random.choice("AB")}

    def of_not(self, depth):
        inner = self.schema(depth - 1)
        return {**inner, "not": self.leaf()} if isinstance(inner, dict) and self.chance(0.6) else {"not": inner}

    def document(self):
        s = self.schema(3)
        s = s if isinstance(s, dict) else {"items": s}
        return {**s, "$defs": {"A": self.of_object(1), "B": self.of_any(2)}}


def run_random(program, count):
    schemas = Schemas(20201212)
    counts = collections.Counter()
    for _ in range(count):
        schema = schemas.document()
        answer = program.ask("S", dump(schema))
        if answer != "G":
            counts["schemas refused"] += 1
            counts["refused: " + answer.split(": ", 2)[-1][:60]] += 1
            continue
        counts["schemas taken"] += 1
        validator = jsonschema.Draft202012Validator(schema)
        for seed in range(1, 6):
            judge(program.ask("W", str(seed)), schema, validator, counts)
    for what, n in sorted(counts.items()):
        print("random:", what, n)
    return counts["wrong"] == 0 and counts["stuck"] == 0 and counts["valid texts"] > count


def judge(text, schema, validator, counts):
    if text.startswith("stuck "):
        counts["stuck"] += 1
        print("STUCK", dump(schema), text)
    elif text == "cut":
        counts["texts cut"] += 1
    else:
        value = json.loads(text)
        try:
            fault = next(validator.iter_errors(value), None)
        except RecursionError:  # a schema that leads to itself with nothing between
            counts["texts not judged"] += 1
            return
        counts["wrong" if fault else "valid texts"] += 1
        if fault:
            print("WRONG", dump(schema), text, fault.message)


def main():
    program = Program(sys.argv[1])
    good = run_suite(program, pathlib.Path(sys.argv[2]))
    good = run_random(program, int(sys.argv[3]) if len(sys.argv) > 3 else 2000) and good
    sys.exit(0 if good else 1)


main()
