#!/usr/bin/env python3
"""Run parity cases through the command: tokens, logits and greedy text of transformers and PEFT.

    scripts/parity.py [--inference build/inference] [--refused FILE] DIR...

Every folder with a case.json in or below DIR is a case (scripts/parity_case.py says what is in
it, scripts/make_parity_cases.py makes them). Each of its runs is checked alone; then all of them
go through one batch, which must have decoded them together. FILE lists what this version is known
to refuse, "case run-or-adapter" a line: these, and no others, must be refused.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from parity_case import expand, mutate
import shutil

UNSUPPORTED = 5


class Failure(Exception):
    pass


class Command:
    """The command with what all calls for a case have in common."""

    def __init__(self, program, model, dtype, threads):
        self.program, self.model, self.dtype, self.threads = program, model, dtype, threads

    def call(self, name, *arguments, text=""):
        words = [self.program, name, "-m", str(self.model)]
        if name in ("generate", "logits"):
            words += ["--threads", str(self.threads), "--quiet"]
            words += ["--dtype", self.dtype] if self.dtype else []
        done = subprocess.run([*words, *arguments], input=text.encode(), capture_output=True)
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def ask(self, name, *arguments, text=""):
        code, out, err = self.call(name, *arguments, text=text)
        if code != 0:
            raise Refused(err.strip()) if code == UNSUPPORTED else Failure(
                f"{name}: exit code {code}: {err.strip()}")
        # Not splitlines: a text may have characters that end lines for Python alone.
        return [json.loads(line) for line in out.split("\n") if line]


class Refused(Exception):
    """What the command says it does not support."""


class Case:
    def __init__(self, folder, content, options):
        self.folder, self.content, self.options = folder, content, options
        self.command = Command(options.inference, folder / content["model"], content.get("dtype"),
                               options.threads)
        self.tolerance = content.get("tolerance", 1e-3)
        self.failures, self.refused = [], {}
        self.largest = {"base": 0.0, "adapters": 0.0}
        self.notes = []

    def fail(self, what):
        self.failures.append(what)

    # ---- tokens

    def check_tokens(self):
        if "tokens" not in self.content:
            return
        lines = json.loads((self.folder / self.content["tokens"]).read_text(encoding="utf-8"))
        lines = [{"plain": line["ids"], "decoded": line["text"], "skipped": line["text"], **line} for line in lines]
        self.compare_tokens(lines, "tokenize", "text", "ids")
        self.compare_tokens(lines, "tokenize", "text", "plain", "--no-special")
        self.compare_tokens(lines, "detokenize", "ids", "decoded")
        self.compare_tokens(lines, "detokenize", "ids", "skipped", "--skip-special")

    def compare_tokens(self, lines, command, given, wanted, *options):
        got = self.command.ask(command, "--jsonl", *options,
                               text="".join(json.dumps(line[given]) + "\n" for line in lines))
        for line, found in zip(lines, got, strict=True):
            if found != line[wanted]:
                self.fail(f"{command} {' '.join(options)} {line[given]!r}: {found!r}, not {line[wanted]!r}")

    # ---- a run alone

    def adapter_arguments(self, run):
        arguments = []
        for name, scale in run["adapters"]:
            arguments += ["--load", f"{name}={self.folder / self.content['adapters'][name]}",
                          "--adapter", f"{name}={scale!r}"]
        return arguments

    def difference(self, command, run, wanted):
        ids = (run["ids"] + run["greedy"]["ids"])[: wanted["length"]]
        got = command.ask("logits", *self.adapter_arguments(run), "--top", "0",
                          "--ids", ",".join(map(str, ids)),
                          "--probe", ",".join(map(str, wanted["ids"])))[0]["probe"]
        pairs = list(zip(got, wanted["values"], strict=True))
        if not all(isinstance(value, (int, float)) for value, _ in pairs):
            raise Failure(f"{run['name']}: logits that are no numbers")
        return max(abs(value - right) for value, right in pairs)

    def check_logits(self, run):
        kind = "adapters" if run["adapters"] else "base"
        for wanted in run["logits"]:
            found = self.difference(self.command, run, wanted)
            self.largest[kind] = max(self.largest[kind], found)
            run["difference"] = max(found, run.get("difference", 0.0))
            if found > self.tolerance:
                self.fail(f"{run['name']}: logits of position {wanted['length']} differ by {found:.2g}")

    def generate_options(self):
        return ["--temperature", "0", "-n", str(self.content["max_tokens"])]

    def compare_text(self, run, result, how):
        wanted = run["greedy"]
        if "error" in result:
            self.fail(f"{run['name']} {how}: {result['error']['message']}")
        elif result["prompt_tokens"] != len(run["ids"]):
            self.fail(f"{run['name']} {how}: {result['prompt_tokens']} prompt tokens, not {len(run['ids'])}")
        elif result["token_ids"] != wanted["ids"]:
            self.fail(f"{run['name']} {how}: {result['token_ids']}, not {wanted['ids']} (margin {wanted['margin']})")
        elif result["finish_reason"] != wanted["finish_reason"]:
            self.fail(f"{run['name']} {how}: ends with {result['finish_reason']}, not {wanted['finish_reason']}")

    def check_alone(self, run):
        result = self.command.ask("generate", *self.adapter_arguments(run), *self.generate_options(),
                                  "--json", "--no-stream", "--prompt", run["prompt"])[0]
        self.compare_text(run, result, "alone")

    def check_run(self, run):
        try:
            self.check_logits(run)
            if not self.options.logits:
                self.check_alone(run)
            return True
        except Refused as reason:
            self.refused[run["name"]] = str(reason)
        except Failure as failure:
            self.fail(f"{run['name']}: {failure}")
        return False

    # ---- all in one batch

    def run_batch(self, runs):
        names = sorted({name for run in runs for name, _ in run["adapters"]})
        loads = [part for name in names
                 for part in ("--load", f"{name}={self.folder / self.content['adapters'][name]}")]
        lines = [{"id": run["name"], "prompt": run["prompt"],
                  **({"adapters": [{"id": name, "scale": scale} for name, scale in run["adapters"]]}
                     if run["adapters"] else {})} for run in runs]
        return {line["id"]: line for line in self.command.ask(
            "generate", *loads, *self.generate_options(), "--max-sequences", str(min(64, len(runs))),
            "--batch", "-", text="".join(json.dumps(line) + "\n" for line in lines))}

    def check_batch(self, runs):
        """Every answer each time; that they decoded together, in one of a few times: on a busy machine the first may
        be done before the last begins."""
        for left in reversed(range(5)):
            results = self.run_batch(runs)
            for run in runs:
                self.compare_text(run, results[run["name"]], "in the batch")
            done = [results[run["name"]] for run in runs if "error" not in results[run["name"]]]
            if len(done) < 2 or self.check_shared(runs, done, left == 0):
                return

    def check_shared(self, runs, results, is_last):
        """Whether they decoded together: weighed by steps, half of what is possible when all begin at once and
        each ends when its text does. That the last did not is a failure."""
        steps = sum(result["steps"] for result in results)
        rows = sum(result["mean_rows"] * result["steps"] for result in results) / steps
        mixes = sum(result["mean_adapters"] * result["steps"] for result in results) / steps
        together = [[run for run in runs if len(run["greedy"]["ids"]) > step]
                    for step in range(self.content["max_tokens"])]
        tokens = sum(map(len, together))
        most_rows = sum(len(step) ** 2 for step in together) / tokens
        most_mixes = sum(len(step) * len({json.dumps(run["adapters"]) for run in step if run["adapters"]})
                         for step in together) / tokens
        shared = rows >= most_rows / 2 and mixes >= most_mixes / 2
        if shared or is_last:
            self.notes.append(f"{rows:.1f} rows and {mixes:.1f} adapters a step")
        if not shared and is_last:
            self.fail(f"the batch: {rows:.1f} rows of {most_rows:.1f} and {mixes:.1f} adapters of "
                      f"{most_mixes:.1f} in a step")
        return shared

    # ---- that the check can fail

    def check_mutations(self, scratch):
        run = next(run for run in self.content["runs"] if not run["adapters"])
        for number, mutation in enumerate(self.content.get("mutations", [])):
            model = scratch / f"mutated-{number}"
            shutil.copytree(self.folder / self.content["model"], model)
            mutate(model, mutation)
            command = Command(self.options.inference, model, self.content.get("dtype"), self.options.threads)
            found = max(self.difference(command, run, wanted) for wanted in run["logits"])
            self.notes.append(f"{mutation['name']} {found:.2g}")
            if found <= self.tolerance or abs(found - mutation["effect"]) > max(
                    self.tolerance, 0.1 * mutation["effect"]):
                self.fail(f"mutated {mutation['name']}: the logits differ by {found:.2g}, "
                          f"with transformers by {mutation['effect']:.2g}")
            shutil.rmtree(model)

    def check_refusals(self, scratch):
        for number, wanted in enumerate(self.content.get("refusals", [])):
            model = scratch / f"refused-{number}"
            shutil.copytree(self.folder / self.content["model"], model)
            mutate(model, wanted)
            command = Command(self.options.inference, model, self.content.get("dtype"), self.options.threads)
            code, _, err = command.call("logits", "--ids", wanted.get("ids", "1"))
            if code != wanted["code"] or not all(word in err for word in wanted["says"]):
                self.fail(f"{wanted['name']} must be refused ({wanted['code']}, {wanted['says']}): {code}, {err.strip()}")
            shutil.rmtree(model)

    def check(self, scratch):
        try:
            if not self.options.logits:
                self.check_tokens()
            runs = [run for run in self.content["runs"] if self.check_run(run)]
            if runs and not self.options.logits:
                self.check_batch(runs)
            if runs:
                self.check_mutations(scratch)
            self.check_refusals(scratch)
        except (Failure, Refused) as failure:
            self.fail(str(failure))


def find_cases(folders):
    found = []
    for folder in folders:
        below = sorted(path.parent for path in Path(folder).rglob("case.json"))
        if not below:
            sys.exit(f"parity: no case.json in or below {folder}")
        found += below
    return found


def known_refusals(path):
    lines = Path(path).read_text(encoding="utf-8").splitlines() if path else []
    return {tuple(line.split("#")[0].split()) for line in lines if line.split("#")[0].strip()}


def report(name, case, known):
    case.failures += [f"{run} is refused: {reason}" for run, reason in case.refused.items()
                      if (name, run) not in known]
    case.failures += [f"{run} is no longer refused" for listed, run in known
                      if listed == name and run not in case.refused]
    base, adapters = case.largest["base"], case.largest["adapters"]
    print(f"{name:24} {'FAILED' if case.failures else 'ok':6} base {base:.1e}  adapters {adapters:.1e}  "
          + ", ".join([f"{len(case.content['runs'])} runs"]
                      + ([f"{len(case.refused)} refused"] if case.refused else []) + case.notes), flush=True)
    for failure in case.failures:
        print(f"    {failure}", flush=True)


def check_case(path, options, known):
    with tempfile.TemporaryDirectory() as scratch:
        folder, content = expand(path, Path(scratch) / "case")
        case = Case(folder, content, options)
        case.check(Path(scratch))
        report(path.name, case, known)
        if options.runs:
            for run in content["runs"]:
                print(f"    {run['name']:20} {run.get('difference', float('nan')):.1e}  "
                      f"{case.refused.get(run['name'], '')}")
    return not case.failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inference", default=os.environ.get("INFERENCE", "build/inference"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--refused", help="what is known to be refused")
    parser.add_argument("--runs", action="store_true", help="print each run too")
    parser.add_argument("--logits", action="store_true", help="only logits, no text")
    parser.add_argument("--only", action="append", help="only the case of this name")
    parser.add_argument("folders", nargs="+", metavar="DIR")
    options = parser.parse_args()
    known = known_refusals(options.refused)
    cases = [path for path in find_cases(options.folders) if not options.only or path.name in options.only]
    failed = [path.name for path in cases if not check_case(path, options, known)]
    print(f"{len(cases) - len(failed)} of {len(cases)} cases passed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
