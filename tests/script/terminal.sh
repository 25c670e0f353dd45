#!/bin/sh
# What the command shows on a terminal, and only there: a bar while a model loads, and at the end what
# the answer cost. Exit code 77, which CTest counts as skipped, where the system has no terminal to give.
. "${0%/*}/lib.sh"

python3 -c 'import pty; pty.openpty()' 2>"$work/err" || {
    echo "skipped: this system has no pseudo-terminals ($(tail -n 1 "$work/err"))"
    exit 77
}

ends_with=0 # the exit code that the next runs have
# on_terminal ARGUMENT...: standard error is a terminal; what it shows is in $work/shown.
on_terminal() {
    python3 -c '
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
process = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
with open(sys.argv[1], "wb") as shown:
    try:
        while True:
            piece = os.read(ours, 4096)
            if not piece:
                break
            shown.write(piece)
    except OSError:
        pass
sys.exit(process.wait())' "$work/shown" "$INFERENCE" "$@" >"$work/out" 2>"$work/err"
    [ $? -eq "$ends_with" ] || fail "$*: not exit code $ends_with"
    ! grep -q loading "$work/out" || fail "$*: the bar is on standard output"
}

# A load that is over at once may have no bar.
shows() { # EXPRESSION WHAT
    python3 -c '
import re, sys
shown = open(sys.argv[1], "rb").read()
rest = re.sub(rb"(\rloading \[#* *\] +\d+%)+\r\x1b\[K", b"", shown)
sys.exit(not eval(sys.argv[2]))' "$work/shown" "$1" || fail "$2: $(cat -v "$work/shown")"
}

on_terminal generate -m "$model" --threads 1 -n 5 --ignore-eos hi
shows 're.fullmatch(rb"inference: 5 tokens after a prompt of \d+, [\d.]+ tokens/s, [\d.]+ s in all\r\n", rest)' 'the counts'
on_terminal generate -m "$model" --threads 1 -n 1 hi
shows 're.fullmatch(rb"inference: 1 token after a prompt of \d+, [\d.]+ s in all\r\n", rest)' 'one token'
on_terminal generate -m "$model" --threads 1 -n 5 --quiet hi
shows 'shown == b""' '--quiet'
on_terminal generate -m "$model" --threads 1 -n 5 --json hi
shows 're.fullmatch(rb"inference: \d+ tokens? after a prompt of [^\n]* s in all\r\n", rest)' '--json'
on_terminal generate -m "$model" --threads 1 -n 5 --json --quiet hi
shows 'shown == b""' '--json --quiet'
printf '{"prompt":"hi","max_tokens":4,"ignore_eos":true}\n{"prompt":"hi","max_tokens":4,"ignore_eos":true}\n' >"$work/batch"
on_terminal generate -m "$model" --threads 1 --batch "$work/batch"
shows 're.fullmatch(rb"inference: 2 lines, 8 tokens, [\d.]+ tokens/s, [\d.]+ s in all\r\n", rest)' 'a batch'
# After a timeout too: a rate of what there was, then the error.
ends_with=16
on_terminal generate -m "$model" --threads 1 -n 1000000 --ctx 65536 --ignore-eos --timeout 0.5 hi
shows 're.fullmatch(rb"(inference: warning: --ctx [^\n]*\n)?inference: \d+ tokens? after a prompt of [^\n]* s in all\r\ninference: not done within --timeout[^\n]*\r\n", rest)' 'a timeout'
ends_with=0
# None of it where standard error is no terminal.
expect_ok generate -m "$model" --threads 1 -n 5 hi
expect_ok generate -m "$model" --threads 1 --batch "$work/batch"

finish
