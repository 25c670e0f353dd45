#!/bin/sh
# Chat templates rendered here and by the real transformers and jinja2, compared byte for byte:
#
#   tests/live/templates.sh BUILD FOLDER     FOLDER: published templates (scripts/live/install.sh)
#
# 1. each published template, with the chats of tests/fixtures/templates and of chats.json here, with tools and
#    without, in five ways; 2. each character by its name; 3. every attribute of every type that a template can
#    reach, printed and called; 4. INF_LIVE_RANDOM (100000) random templates, the first seed INF_LIVE_SEED (1000).
# What differs is recorded once more: what depends on addresses, or on hashes, ends otherwise in another process, and is
# left out. Each ends with a line of what was compared, and how many differ. What docs/backends.md documents is counted apart
# (numbers beyond 64 bits, and complex ones) or given to transformers in the same way (texts and lists of parts). The status says whether anything else differs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
scripts=$here/../../scripts
build=$1 published=$2
seed=${INF_LIVE_SEED:-1000} wanted=${INF_LIVE_RANDOM:-100000}
python=$(sh "$scripts/python-with.sh" requirements-templates.txt jinja2 markupsafe transformers tokenizers)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
failed=0 compared=0 different=0 beyond=0 left_out=0

record() { "$python" -B "$scripts/make_template_cases.py" "$@" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }; }

# count FILE: what unit-template counts. What differs: in different, and what is said of it in wrong.
count() {
    TEMPLATE_DIFFERENT=$work/different "$build/tests/unit-template" "$1" >"$work/told" 2>"$work/wrong" || true
    counts=$(sed -n 's/^\([0-9]*\) compared, \([0-9]*\) different, \([0-9]*\) beyond 64 bits$/\1 \2 \3/p' "$work/told")
    if [ -z "$counts" ]; then
        cat "$work/told" "$work/wrong"
        exit 1
    fi
    read -r n n_different n_beyond <<END
$counts
END
}

# compare FILE: adds that up.
compare() {
    count "$1"
    compared=$((compared + n)) beyond=$((beyond + n_beyond))
    if [ "$n_different" -gt 0 ] && ! grep -q '"file"' "$work/different"; then
        first=$n_different
        record --again "$work/different" "$work/again"
        n_again=$(wc -l <"$work/again") n_different=0
        [ "$n_again" -eq 0 ] || count "$work/again"
        left_out=$((left_out + first - n_again)) compared=$((compared - first + n_again))
    fi
    different=$((different + n_different))
    if [ "$n_different" -gt 0 ]; then
        cat "$work/wrong"
        failed=1
    fi
}

ends() { # ends WHAT: its line
    printf '%s: %s compared, %s differ; %s beyond 64 bits or complex, %s left out\n' "$1" "$compared" "$different" \
        "$beyond" "$left_out"
    compared=0 different=0 beyond=0 left_out=0
}

record --chats "$published" "$work/cases"
compare "$work/cases"
lists_only=$(sed -n '/"lists_only": true/s/^{"file": "[^"]*\/\([^"/]*\)".*/\1/p' "$work/cases" | uniq | tr '\n' ' ')
echo "transformers, too, was given texts as lists of parts for templates that know lists only: ${lists_only:-none}"
ends "renderings of $(ls "$published" | wc -l) published templates by transformers"

record --names "$work/cases"
compare "$work/cases"
ends "templates with the names of all characters by jinja2"

record --attributes "$work/cases"
compare "$work/cases"
ends "attributes of every type by jinja2"

done=0
while [ "$done" -lt "$wanted" ]; do
    n_wanted=$((wanted - done < 25000 ? wanted - done : 25000))
    record --random "$seed" "$n_wanted" "$work/cases"
    compare "$work/cases"
    done=$((done + n_wanted)) seed=$((seed + 1))
done
ends "random templates by jinja2, seeds from ${INF_LIVE_SEED:-1000} on"
exit $failed
