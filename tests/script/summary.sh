#!/bin/sh
# The suite's closing line (scripts/run-tests.sh) counts what was skipped, and keeps CTest's exit status.
. "${0%/*}/lib.sh"

suite() { # runs the tests that are added on standard input
    rm -rf "$work/suite"
    mkdir "$work/suite"
    cat >"$work/suite/CTestTestfile.cmake"
    sh "$INFERENCE_SOURCE_DIR/scripts/run-tests.sh" "$work/suite" 2 >"$work/out" 2>"$work/err"
    status=$?
}
closes() { # LINE WHAT
    [ "$(tail -n 1 "$work/out")" = "$1" ] || fail "$2: not '$1' but '$(tail -n 1 "$work/out")'"
}

suite <<'TESTS'
add_test(one true)
add_test(two sh -c "exit 77")
set_tests_properties(two PROPERTIES SKIP_RETURN_CODE 77)
add_test(three true)
TESTS
closes 'inference: 3 tests: 2 passed, 1 skipped (two), 0 failed' 'a skipped test'
[ "$status" -eq 0 ] || fail "a skipped test is exit code $status"
grep -q '^100% tests passed' "$work/out" || fail "CTest's own line is gone"

suite <<'TESTS'
add_test(good sh -c "echo '<testcase name=\"x\" status=\"fail\">'")
add_test(bad false)
add_test(left sh -c "exit 77")
add_test(off true)
set_tests_properties(left PROPERTIES SKIP_RETURN_CODE 77)
set_tests_properties(off PROPERTIES DISABLED TRUE)
add_test(missing /no/such/program)
TESTS
closes 'inference: 5 tests: 1 passed, 2 skipped (left, off), 2 failed (bad, missing)' 'a failed test'
[ "$status" -ne 0 ] || fail 'a failed test is exit code 0'

suite <<'TESTS'
add_test(one true)
TESTS
closes 'inference: 1 tests: 1 passed, 0 skipped, 0 failed' 'all pass'

finish
