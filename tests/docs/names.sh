#!/bin/sh
# The documents against the tree and the command: files they name exist, flags they name are known to
# --help, and docs/command.md and the man page have every flag, batch key and exit code there is.
# $INFERENCE is the command, $INFERENCE_SOURCE_DIR the tree.
set -eu
cd "$INFERENCE_SOURCE_DIR"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

documents='README.md CONTRIBUTING.md CHANGELOG.md docs/*.md'
commands='generate adapters inspect tokenize detokenize render logits'
failures=0

fail() {
    echo "$*" >&2
    failures=$((failures + 1))
}

# ---- files

# Links, relative to the document.
for document in $documents; do
    grep -o '](\([^)#]*\))' "$document" | sed 's/^](//; s/)$//' >"$scratch/links" || true
    while read -r link; do
        case $link in http:* | https:*) continue ;; esac
        [ -e "${document%"${document##*/}"}$link" ] || fail "$document links to $link, which is not there"
    done <"$scratch/links"
done

# Paths in the text, from the tree's top; bare names of sources in backquotes, from anywhere.
find . -path './build*' -prune -o -path ./.git -prune -o -type f -print >"$scratch/tree"
folders='src|scripts|tests|docs|include|cmake|bench|examples|fuzz|adapters'
for document in $documents docs/inference.1; do
    grep -oE "(^|[^A-Za-z0-9_./-])($folders)/[A-Za-z0-9_./*-]+" "$document" |
        sed -E "s/^[^A-Za-z0-9_.]//; s/[.*-]+\$//" | sort -u >"$scratch/paths" || true
    while read -r path; do
        [ -e "$path" ] || fail "$document names $path, which is not there"
    done <"$scratch/paths"
    grep -oE '`[A-Za-z0-9_-]+\.(c|h|cpp|sh|py|cmake)`' "$document" | tr -d '`' | sort -u >"$scratch/names" || true
    while read -r name; do
        [ "$name" != llama.h ] || continue # llama.cpp's
        grep -q "/$name\$" "$scratch/tree" || fail "$document names $name, which is not there"
    done <"$scratch/names"
done

# ---- targets of make, in backquotes or at the beginning of a line of code

sed -nE 's/^([a-z][a-z-]*):.*/\1/p' Makefile | sort -u >"$scratch/targets"
awk '/^```/ { code = !code; next } { print (code ? "`" : " ") $0 }' $documents |
    grep -oE '`(make|\./run)( [A-Z_]+=("[^"]*"|[^ `"]*))* [a-z][a-z-]*' | sed 's/.* //' | sort -u >"$scratch/named"
make -s help >"$scratch/make-help" || fail "make help fails"
sed -nE 's/^make ([a-z-]+) .*/\1/p' "$scratch/make-help" >"$scratch/helped"
[ "$(wc -l <"$scratch/helped")" -gt 5 ] || fail "make help lists hardly any targets"
cat "$scratch/helped" >>"$scratch/named"
while read -r target; do
    grep -qx -e "$target" "$scratch/targets" || fail "a document names make $target, which the Makefile lacks"
done <"$scratch/named"

# ---- flags

for command in $commands; do
    "$INFERENCE" "$command" --help >"$scratch/help"
    sed -nE 's/^  (-[a-z], |    )--([a-z-]+).*/\2/p' "$scratch/help" | grep -vx help | sed "s/^/$command /"
done >"$scratch/flags" # "generate top-k"
[ "$(wc -l <"$scratch/flags")" -gt 50 ] || fail "--help lists hardly any flags; has its format changed?"
sed 's/.* //' "$scratch/flags" | sort -u >"$scratch/known"
for alias in base-url adapter-id system-prompt; do
    "$INFERENCE" generate "--$alias" 2>&1 | grep -q "needs a value" || fail "--$alias is no alias any more"
    echo "$alias" >>"$scratch/known"
done
printf '%s\n' help version >>"$scratch/known"

flags_in() {
    sed 's/\\-/-/g' "$1" | grep -oE '(^|[^A-Za-z0-9-])--[a-z][a-z-]*' | sed -E 's/^[^-]*--//' | sort -u
}

# Flags of other programs, in these documents only.
for document in README.md CONTRIBUTING.md CHANGELOG.md docs/api.md docs/architecture.md docs/backends.md \
    docs/errors.md docs/threading.md docs/llamacpp-files.md; do
    flags_in "$document" | grep -vxE 'build|target|test-dir|cflags|libs|static|write|enable-lora|max-loras|max-lora-rank|api-key|max-model-len' >"$scratch/named" || true
    while read -r flag; do
        grep -qx -e "$flag" "$scratch/known" || fail "$document names --$flag, which no command has"
    done <"$scratch/named"
done
for document in docs/command.md docs/inference.1; do
    flags_in "$document" >"$scratch/named"
    while read -r flag; do
        grep -qx -e "$flag" "$scratch/known" || fail "$document names --$flag, which no command has"
    done <"$scratch/named"
    while read -r flag; do
        grep -qx -e "$flag" "$scratch/named" || fail "$document lacks --$flag"
    done <"$scratch/known"
done

# The tables of docs/command.md say which commands take a flag: "| `-n`, `--max-tokens N` | generate | ...".
sed -nE 's/^\| (`-[a-z]`, )?`--([a-z-]+)[^|]*(\\\|[^|]*)*\| ([a-z ]+) \|.*/\2 \4/p' docs/command.md |
    while read -r flag takers; do
        for command in $takers; do echo "$command $flag"; done
    done | sort >"$scratch/documented"
sort "$scratch/flags" | diff -u --label '--help' --label docs/command.md - "$scratch/documented" >&2 ||
    fail "docs/command.md gives other commands than --help for these flags"

# ---- batch keys

# null is as if the key were not there, but an unknown key is refused first.
knows_key() {
    ! printf '{"%s":null}\n' "$1" | "$INFERENCE" generate -q -p llamacpp -m /nowhere.gguf --batch - |
        grep -q 'unknown key'
}
if [ "${INFERENCE_HAS_LLAMACPP:-1}" = 1 ]; then
    sed -nE 's/^\| (`-[a-z]`, )?`--[a-z-]+[^|]*\| [a-z ]* \| `([a-z_]+)` \|.*/\2/p' docs/command.md >"$scratch/keys"
    [ "$(wc -l <"$scratch/keys")" -gt 20 ] || fail "docs/command.md lists hardly any batch keys"
    while read -r key; do
        knows_key "$key" || fail "docs/command.md has the batch key $key, which is unknown"
    done <"$scratch/keys"
    ! knows_key nonsense || fail "an unknown batch key is accepted"
    grep '^generate ' "$scratch/flags" | sed 's/.* //' | while read -r flag; do
        key=$(echo "$flag" | tr - _)
        case $flag in adapter | system | model) continue ;; esac # have longer keys; model is said in words
        if knows_key "$key"; then grep -qx "$key" "$scratch/keys" || echo "$key"; fi
    done >"$scratch/lacking"
    [ ! -s "$scratch/lacking" ] || fail "docs/command.md lacks the batch keys" $(cat "$scratch/lacking")
fi

# ---- exit codes, the error table, the version

"$INFERENCE" --help | sed -nE 's/^ +([0-9]+)  (.*)/\1 \2/p' >"$scratch/codes"
[ "$(wc -l <"$scratch/codes")" -gt 15 ] || fail "--help lists hardly any exit codes"
while read -r code text; do
    grep -qE "^\| $code \| \`[a-z_]+\` \| $text \|" docs/command.md ||
        fail "docs/command.md lacks the exit code $code, $text"
    sed -n "/^\.SH EXIT/,\$p" docs/inference.1 | grep -A1 -x -e "\.B $code" | grep -qix -e "$text\." ||
        fail "docs/inference.1 lacks the exit code $code, $text"
done <"$scratch/codes"
# X(symbol, value, "name", "text", "python", exit) of the header: the table of docs/errors.md
sed -n '/define INF_ERROR_TABLE/,/^$/p' include/inference/inference.h | tr -d '\\\n' |
    sed 's/X(/\n/g' | sed -nE 's/^[A-Z_]+, *([0-9]+), *"([a-z_]+)", *"[^"]*", *"([A-Za-z]*)", *([0-9]+)\).*/\1 \2 \3 \4/p' |
    sed 1d >"$scratch/errors"
[ "$(wc -l <"$scratch/errors")" -gt 15 ] || fail "the header's error table is not read"
while read -r value name python code; do
    grep -qE "^\| $value \| \`$name\` \| \`$python\` \| $code \|" docs/errors.md ||
        fail "docs/errors.md lacks: $value $name $python $code"
done <"$scratch/errors"
version=$("$INFERENCE" --version | head -n 1)
head -n 1 docs/inference.1 | grep -q "\"$version\"" || fail "docs/inference.1 is not of $version"
grep -q "^## .*${version#inference }" CHANGELOG.md || fail "CHANGELOG.md does not have $version"

# ---- placeholders

! grep -nE '@[A-Z]+@|TODO|FIXME' $documents docs/inference.1 >&2 || fail "a document is not finished"

[ "$failures" = 0 ] || exit 1
