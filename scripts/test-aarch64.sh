#!/bin/sh
# The unit tests of the kernels for aarch64, on another CPU: built by a cross compiler, also with the sanitizer of undefined
# behaviour, run by an emulator of a CPU with sums of products of bytes and of one without, with a few lines in cmocka's
# place, which Debian has for the machine's own architecture. Debian's packages: gcc-aarch64-linux-gnu, qemu-user.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

compiler=${AARCH64_CC:-aarch64-linux-gnu-gcc}
for tool in "$compiler" qemu-aarch64; do
    command -v "$tool" >/dev/null 2>&1 ||
        die "no $tool; install gcc-aarch64-linux-gnu and qemu-user"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/cmocka.h" <<'HEADER'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};
#define cmocka_unit_test(f) {#f, f}
#define assert_true(c) \
    ((c) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c), exit(1)))
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)
#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
    run_tests(tests, sizeof tests / sizeof *tests)
static int run_tests(const struct CMUnitTest *tests, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tests[i].run(NULL);
        printf("passed: %s\n", tests[i].name);
    }
    return 0;
}
HEADER

cd "$here/.."
for options in -O3 '-O1 -fsanitize=undefined -fno-sanitize-recover=all'; do
    objects=
    for source in tests/unit/test_kernels.c src/kernels/*.c src/core/numbers.c src/core/error.c src/core/utf8.c; do
        object=$work/$(basename "$source" .c).o
        case $source in
        *_neondot.c) march=armv8.2-a+dotprod ;;
        *) march=armv8-a ;;
        esac
        # shellcheck disable=SC2086
        "$compiler" -std=c11 -D_GNU_SOURCE $options -march=$march -Wall -Wextra -Wconversion -Wshadow -Werror \
            -ffunction-sections -I "$work" -I src -I include -c -o "$object" "$source"
        objects="$objects $object"
    done
    # shellcheck disable=SC2086
    "$compiler" $options -static -Wl,--gc-sections -o "$work/test" $objects -lm
    for cpu in max cortex-a53; do
        say "$cpu, $options"
        qemu-aarch64 -cpu $cpu "$work/test"
    done
done
