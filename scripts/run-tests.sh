#!/bin/sh
# run-tests.sh BUILD JOBS [CTEST-OPTION...]: CTest, and then one line that also counts what was skipped, by
# name: CTest's own closing line counts that as passed. The exit status is CTest's.
set -u

build=$1
jobs=$2
shift 2
junit=$(cd "$build" && pwd)/tests.xml
rm -f "$junit"
ctest --test-dir "$build" --output-on-failure --output-junit "$junit" -j "$jobs" "$@"
status=$?

# What a test printed is escaped in there, so that a "<" begins an element. A test that did not run and was
# not skipped by itself (its program or a fixture is missing) failed.
[ ! -f "$junit" ] || awk '
function end() {
    if (name == "") return
    n++
    if (kind == "run") passed++
    else if (kind == "disabled" || (kind == "notrun" && by_itself)) skipped[++n_skipped] = name
    else failed[++n_failed] = name
    name = ""
}
function list(names, count,   text, i) {
    for (i = 1; i <= count; i++) text = text (i > 1 ? ", " : "") names[i]
    return count ? " (" text ")" : ""
}
/^[ \t]*<testcase / {
    end()
    name = $0; sub(/^.* name="/, "", name); sub(/".*/, "", name)
    kind = $0; sub(/^.* status="/, "", kind); sub(/".*/, "", kind)
    by_itself = 0
}
/^[ \t]*<skipped message="SKIP_/ { by_itself = 1 }
END {
    end()
    printf "inference: %d tests: %d passed, %d skipped%s, %d failed%s\n", n, passed,
        n_skipped, list(skipped, n_skipped), n_failed, list(failed, n_failed)
}' "$junit"
exit "$status"
