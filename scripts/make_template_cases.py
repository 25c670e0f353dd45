#!/usr/bin/env python3
"""What the real transformers and jinja2 make of templates, recorded for tests/unit/test_template.c.

Wants Python 3.11 (whose Unicode the engine has) and scripts/requirements-templates.txt:

    python3.11 scripts/make_template_cases.py                        # writes the fixtures
    python3.11 scripts/make_template_cases.py --chats DIR FILE       # of the *.jinja in DIR, and its
                                                                     # chats.json and tools.json, to FILE
    python3.11 scripts/make_template_cases.py --random SEED N FILE   # N random templates, to FILE
    build/tests/unit-template FILE...                                # compares with such files

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
import time
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
NOW = 1750000000


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW)


chat_templates.datetime = FixedTime
ENVIRONMENT = chat_templates._compile_jinja_template("").environment
TOKENIZER = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), bos_token="<s>", eos_token="</s>")


def outcome(render):
    """{"text"} or {"error"}; None: it depends on the machine, or Python's integers are needed."""
    try:
        text = render()
        text.encode()
    except (RecursionError, MemoryError):
        return None
    except jinja2.TemplateError as e:
        return {"error": str(e)}
    except Exception as e:
        return None if "int too large" in str(e) else {"error": None}
    return None if re.search(r" at 0x[0-9a-f]+|<bound method|\d{19,}", text) else {"text": text}


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


def of_chat(path, chat, tools, way):
    prompt, goes_on, variables = way
    return outcome(lambda: TOKENIZER.apply_chat_template(
        copy.deepcopy(chat), tools=tools, chat_template=path.read_text(), tokenize=False,
        add_generation_prompt=prompt, continue_final_message=goes_on, **copy.deepcopy(variables)))


def of_chats(folder, inline):
    where = folder if inline and (folder / "chats.json").exists() else FIXTURES
    chats = json.loads((where / "chats.json").read_text())
    tools = json.loads((where / "tools.json").read_text())
    for path in sorted(folder.glob("*.jinja")):
        for i, chat in enumerate(chats):
            for given in (None, tools):
                for way in WAYS[:None if inline else 3]:
                    found = of_chat(path, chat, given, way)
                    if found:
                        yield {"file": str(path), "chat": chat if inline else i,
                               "tools": given if inline else bool(given), "prompt": way[0],
                               **({"continue": True} if way[1] else {}),
                               **({"further": way[2]} if way[2] else {}), **found}


def write(path, cases):
    with open(path, "w") as out:
        for case in cases:
            out.write(json.dumps(case) + "\n")


def write_fixtures():
    (FIXTURES / "variables.json").write_text(json.dumps(template_grammar.VARIABLES) + "\n")
    constructs = (FIXTURES / "constructs.txt").read_text().split("\n====\n")
    write(FIXTURES / "constructs.jsonl", filter(None, map(of_template, constructs)))
    write(FIXTURES / "random.jsonl", of_random(1, 1000))
    os.chdir(FIXTURES)
    write(FIXTURES / "chats.jsonl", of_chats(pathlib.Path("."), False))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chats", nargs=2, metavar=("DIR", "FILE"))
    parser.add_argument("--random", nargs=3, metavar=("SEED", "N", "FILE"))
    args = parser.parse_args()
    if args.chats:
        write(args.chats[1], of_chats(pathlib.Path(args.chats[0]).resolve(), True))
    elif args.random:
        write(args.random[2], of_random(int(args.random[0]), int(args.random[1])))
    else:
        write_fixtures()


main()
