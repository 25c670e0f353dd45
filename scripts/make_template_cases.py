#!/usr/bin/env python3
"""What the real transformers and jinja2 make of templates, recorded for tests/unit/test_template.c.

Wants Python 3.11 (whose Unicode the engine has) and scripts/requirements-templates.txt:

    python3.11 scripts/make_template_cases.py                        # writes the fixtures
    python3.11 scripts/make_template_cases.py --chats PATH FILE      # of a template, or the *.jinja in a folder,
                                                                     # with further chats (tests/live), to FILE
    python3.11 scripts/make_template_cases.py --names FILE           # every character by its name, to FILE
    python3.11 scripts/make_template_cases.py --attributes FILE      # every attribute of every type, to FILE
    python3.11 scripts/make_template_cases.py --random SEED N FILE   # N random templates, to FILE
    python3.11 scripts/make_template_cases.py --again CASES FILE     # those of CASES that end alike once more, to FILE
    build/tests/unit-template FILE...                                # compares with such files

A published template that shows no text of a role, but lists of parts, is given texts as such lists, and one that shows
no lists their texts put together: that is the form in which they are given here (docs/backends.md). The line says
"lists_only" where it is the former.

Lines of JSON: {"template", "variables" (in variables.json) or {"file", "chat" and "tools" (themselves, or where
they are in the fixtures), "prompt"}, and "text" or
"error"}: an error's message where it is jinja2's own, else null: Python's wording is its own affair.
"""
import argparse
import copy
import datetime
import json
import os
import pathlib
import re
import signal
import time
import unicodedata
import warnings

os.environ["TZ"] = "UTC"
time.tzset()
warnings.simplefilter("ignore")

import jinja2
import tokenizers
import transformers
import transformers.utils.chat_template_utils as chat_templates

import template_grammar

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "tests/fixtures/templates"
FURTHER_CHATS = FIXTURES.parent.parent / "live/chats.json"
NOW = 1750000000


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW)


chat_templates.datetime = FixedTime
ENVIRONMENT = chat_templates._compile_jinja_template("").environment
TOKENIZER = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), bos_token="<s>", eos_token="</s>")


class TooLong(BaseException):
    """Not an Exception, which jinja2 takes for one of the template's while it compiles."""


def too_long(*_):
    raise TooLong


signal.signal(signal.SIGVTALRM, too_long)


def outcome(render):
    """{"text"} or {"error"}; None: it depends on the process, or Python's integers are needed."""
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, 5)
        text = render()
        text.encode()
    except (RecursionError, MemoryError, TooLong):  # too long are powers of powers
        return None
    except jinja2.TemplateError as e:
        return {"error": str(e)}
    except Exception as e:
        return None if "int too large" in str(e) else {"error": None}
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if re.search(r"\{[^{}:]*'[^{}:]*, [^{}:]*\}|\{[^{}:]*, '[^{}:]*\}", text):
        return None  # a set's texts come in another order in each process
    return None if re.search(r" at 0x[0-9a-f]+|\d{19,}", text) else {"text": text}


def of_template(template):
    variables = copy.deepcopy(template_grammar.VARIABLES)
    found = outcome(lambda: ENVIRONMENT.from_string(template).render(**variables))
    return found and {"template": template, **found}


def of_random(seed, n):
    grammar = template_grammar.Grammar(seed)
    while n > 0:
        found = of_template(grammar.template())
        if found and ("text" in found or grammar.random.random() < 0.3):  # most errors end alike
            n -= 1
            yield found


WAYS = [  # add_generation_prompt, continue_final_message, further variables
    (False, False, {}),
    (True, False, {}),
    (False, True, {}),
    (True, False, {"enable_thinking": False, "documents": [{"title": "One <1>", "text": "Grüße\nzwei"}, {"title": "2"}]}),
    (True, False, {"enable_thinking": True, "thinking": True, "date_string": "1 Jan 2026", "reasoning_effort": "low"}),
]


def of_chat(source, chat, tools, way):
    prompt, goes_on, variables = way
    return outcome(lambda: TOKENIZER.apply_chat_template(
        copy.deepcopy(chat), tools=tools, chat_template=source, tokenize=False,
        add_generation_prompt=prompt, continue_final_message=goes_on, **copy.deepcopy(variables)))


ROLES = ("user", "assistant", "system", "developer", "tool")
MARKS = ("marker5b1e", "marker9c7f")


def parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


def shows(source, role, form, marks):
    """Whether a message of the role with such a content is seen, and not as a list is printed."""
    call = {"id": "call00000", "type": "function", "function": {"name": "f", "arguments": {}}}
    user = {"role": "user", "content": form("hi")}
    marked = {"role": role, "content": form(*marks)}
    before = {"assistant": [user], "tool": [user, {"role": "assistant", "content": form("hi"), "tool_calls": [call]}]}
    if role == "tool":
        marked.update(tool_call_id="call00000", name="f")
    after = [user] if role not in ("tool", "user") else []
    text = (of_chat(source, before.get(role, []) + [marked] + after, None, WAYS[0]) or {}).get("text", "")
    return all(mark in text and not re.search("['\"]" + mark, text) for mark in marks)


def forms(source):
    """The roles whose texts, and those whose lists the template shows."""
    return ({role for role in ROLES if shows(source, role, str, MARKS[:1])},
            {role for role in ROLES if shows(source, role, parts, MARKS)})


def in_form(message, texts, lists):
    role, content = message["role"], message.get("content")
    if isinstance(content, list) and role not in lists:
        content = "".join(part["text"] for part in content)
    elif isinstance(content, str) and role not in texts and role in lists:
        content = parts(content)
    return {**message, "content": content} if "content" in message else message


def of_published(path):
    source = path.read_text("utf-8")
    texts, lists = forms(source)
    chats = json.loads((FIXTURES / "chats.json").read_text()) + json.loads(FURTHER_CHATS.read_text())
    tools = json.loads((FIXTURES / "tools.json").read_text())
    for chat in chats:
        for given in (None, tools):
            for way in WAYS:
                found = of_chat(source, [in_form(message, texts, lists) for message in chat], given, way)
                if found:
                    yield {"file": str(path), "chat": chat, "tools": given, "prompt": way[0],
                           **({"continue": True} if way[1] else {}), **({"further": way[2]} if way[2] else {}),
                           **({"lists_only": True} if lists - texts else {}), **found}


def of_fixtures():
    chats = json.loads((FIXTURES / "chats.json").read_text())
    tools = json.loads((FIXTURES / "tools.json").read_text())
    for path in sorted(pathlib.Path(".").glob("*.jinja")):
        for i, chat in enumerate(chats):
            for given in (None, tools):
                for way in WAYS[:3]:
                    found = of_chat(path.read_text(), chat, given, way)
                    if found:
                        yield {"file": str(path), "chat": i, "tools": bool(given), "prompt": way[0],
                               **({"continue": True} if way[1] else {}), **found}


def of_names():
    """64 characters a template: names as they are, in small letters, and every second letter small."""
    names = [name for name in (unicodedata.name(chr(c), None) for c in range(0x110000)) if name]
    for change in (str, str.lower, lambda name: "".join(c.lower() if i % 2 else c for i, c in enumerate(name))):
        taken = [change(name) for name in names if change is str or not name.startswith(("HANGUL SYL", "CJK UNIF"))]
        for i in range(0, len(taken), 64):
            yield of_template("{{ '%s' }}" % "".join("\\N{%s}" % name for name in taken[i:i + 64]))
    for name in names[::997]:  # and what is no name
        for wrong in (name.lower(), name[:-1], name + " ", name.replace(" ", "_"), name.replace(" ", "  "), name + "X"):
            yield of_template("{{ '\\N{%s}' }}" % wrong)


OBJECTS = [  # an expression of each type that a template can reach
    "5", "true", "1.5", "'aB'", "('a&b'|e)", "[1, 2]", "(1, 2)", "{'a': 1}", "{'a': 1}.keys()", "{'a': 1}.values()",
    "{'a': 1}.items()", "{'a': 1}.keys().mapping", "({'a': 1, 'b': 2}.keys() - ['b'])", "range(3)", "namespace(a=1)", "missing",
    "none", "cycler(1, 2)", "joiner('-')", "([1, 2]|map('string'))", "([1]|batch(1))", "([1]|unique)", "({'a': 1}|items)",
    "([1]|reverse)", "((1, 2)|reverse)", "(range(3)|reverse)", "({'a': 1}|reverse)", "({'a': 1}.values()|reverse)",
    "({'a': 1}.items()|reverse)", "([1]|groupby('real'))[0]", "range", "dict", "namespace", "cycler", "joiner",
    "cycler.next", "raise_exception", "strftime_now", "'a'.upper", "'a'.format", "('a'|e).upper", "('a'|e).find", "{}.keys",
    "{}.fromkeys", "(1).from_bytes", "cycler(1).next", "dict.fromkeys", "cycler.current",
    "m", "loop", "loop.cycle", "self", "self.b",
]
AROUND = "{%% macro m(a) %%}{%% endmacro %%}{%% block b %%}{%% endblock %%}{%% for o in [1] %%}%s{%% endfor %%}"
CALLS = ["", "1", "none", "'a'", "['a']", "[1, 2]", "{'a': 1}", "5, 'x'", "'a', 'b'", "'B', none, 1", "[1, 255], 'little'", "x=1"]
NOT_SUPPORTED = ("encode", "to_bytes")  # bytes: docs/backends.md


def around(expression, text):
    loop = expression in ("m", "loop", "loop.cycle", "self", "self.b")
    return AROUND % text if loop else text


def reached(expression):
    kept = []
    ENVIRONMENT.from_string(around(expression, "{{ keep(%s) }}" % expression)).render(keep=lambda v: kept.append(v) or "")
    return kept[0]


def names_of(value):
    of_class = [*dir(value), *dir(type(value))] if isinstance(value, type) else dir(type(value))
    return {*of_class, *object.__dir__(value)}


def of_attributes(calls):
    """Which attributes each type has; with calls, what each gives, printed and called."""
    objects = {expression: reached(expression) for expression in OBJECTS}
    names = sorted(set().union(*map(names_of, objects.values())) - set(NOT_SUPPORTED) | {"nosuch", "_nosuch", "__nosuch__"})
    for expression, value in objects.items():
        has = "".join("{{ %s.%s is defined }},{{ (%s).%s is callable }} " % (expression, name, expression, name)
                      for name in (names if calls else sorted(names_of(value) - set(NOT_SUPPORTED))))
        yield of_template(around(expression, has))
        for name in names if calls else ():
            for form in ("%s.%s", "%s['%s']", "%s|attr('%s')"):
                yield of_template(around(expression, "{{ %s }}" % (form % (expression, name))))
        for name in sorted(names_of(value) - set(NOT_SUPPORTED)):
            if not name.startswith("_"):
                for arguments in CALLS if calls else CALLS[:1] + CALLS[3:6:2]:
                    yield of_template(around(expression, "{{ %s.%s(%s) }}" % (expression, name, arguments)))


def again(cases):
    """What depends on addresses, or on how this process hashes, ends otherwise in another one."""
    for line in open(cases):
        case = json.loads(line)
        if of_template(case["template"]) == case:
            yield case


def write(path, cases):
    with open(path, "w") as out:
        for case in cases:
            out.write(json.dumps(case) + "\n")


def write_fixtures():
    (FIXTURES / "variables.json").write_text(json.dumps(template_grammar.VARIABLES) + "\n")
    constructs = (FIXTURES / "constructs.txt").read_text().split("\n====\n")
    write(FIXTURES / "constructs.jsonl", filter(None, map(of_template, constructs)))
    write(FIXTURES / "attributes.jsonl", filter(None, of_attributes(False)))
    write(FIXTURES / "random.jsonl", of_random(1, 1000))
    os.chdir(FIXTURES)
    write(FIXTURES / "chats.jsonl", of_fixtures())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chats", nargs=2, metavar=("PATH", "FILE"))
    parser.add_argument("--names", metavar="FILE")
    parser.add_argument("--attributes", metavar="FILE")
    parser.add_argument("--again", nargs=2, metavar=("CASES", "FILE"))
    parser.add_argument("--random", nargs=3, metavar=("SEED", "N", "FILE"))
    args = parser.parse_args()
    if args.chats:
        path = pathlib.Path(args.chats[0]).resolve()
        paths = sorted(path.glob("*.jinja")) if path.is_dir() else [path]
        write(args.chats[1], (case for path in paths for case in of_published(path)))
    elif args.names:
        write(args.names, filter(None, of_names()))
    elif args.attributes:
        write(args.attributes, filter(None, of_attributes(True)))
    elif args.again:
        write(args.again[1], again(args.again[0]))
    elif args.random:
        write(args.random[2], of_random(int(args.random[0]), int(args.random[1])))
    else:
        write_fixtures()


main()
