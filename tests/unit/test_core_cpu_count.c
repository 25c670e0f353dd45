/*
 * cpu_count: what control groups say, in texts and folders as containers have them.
 */
#include "core/cpu_count.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* ------------------------------------------------------------------ texts */

static void test_cpu_limit_v2__texts(void **state)
{
    (void)state;
    assert_float_equal(cpu_limit_v2("150000 100000\n"), 1.5, 1e-9);
    assert_float_equal(cpu_limit_v2("400000 100000\n"), 4, 1e-9);
    assert_float_equal(cpu_limit_v2("max 100000\n"), 0, 0);
    assert_float_equal(cpu_limit_v2(""), 0, 0);
    assert_float_equal(cpu_limit_v2("100000"), 0, 0);
    assert_float_equal(cpu_limit_v2("100000 0"), 0, 0);
    assert_float_equal(cpu_limit_v2("-1 100000"), 0, 0);
    assert_float_equal(cpu_limit_v2("9223372036854775807 1"), 0, 0);
}

static void test_cpu_limit_v1__texts(void **state)
{
    (void)state;
    assert_float_equal(cpu_limit_v1("250000\n", "100000\n"), 2.5, 1e-9);
    assert_float_equal(cpu_limit_v1("-1\n", "100000\n"), 0, 0);
    assert_float_equal(cpu_limit_v1("", ""), 0, 0);
    assert_float_equal(cpu_limit_v1("100000", "0"), 0, 0);
}

/* ------------------------------------------------------------------ folders */

static char root[64];

static void put(const char *path, const char *text)
{
    char full[512];
    FILE *f = NULL;

    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = strchr(full + strlen(root) + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
        *at = '/';
    }
    f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/cpu-count-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static void test_cpu_limit__container_with_its_own_v2_namespace(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo",
        "22 1 0:20 / /proc rw shared:5 - proc proc rw\n"
        "30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup rw,nsdelegate\n");
    put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    assert_float_equal(cpu_limit(root), 0.5, 1e-9);
}

static void test_cpu_limit__v2_groups__the_lowest_on_the_way_up(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/user.slice/job.scope\n");
    put("/proc/self/mountinfo", "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n");
    put("/cg/user.slice/job.scope/cpu.max", "max 100000\n");
    put("/cg/user.slice/cpu.max", "200000 100000\n");
    assert_float_equal(cpu_limit(root), 2, 1e-9);
    put("/cg/user.slice/job.scope/cpu.max", "300000 100000\n");
    assert_float_equal(cpu_limit(root), 2, 1e-9);
    put("/cg/user.slice/job.scope/cpu.max", "100000 100000\n");
    assert_float_equal(cpu_limit(root), 1, 1e-9);
}

/* v1 without a namespace: the path is the host's, and the mount shows that part alone. */
static void test_cpu_limit__container_with_v1__its_own_group(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "11:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/system\n");
    put("/proc/self/mountinfo",
        "38 30 0:33 /docker/abc /sys/fs/cgroup/cpuset ro - cgroup cpuset rw,cpuset\n"
        "39 30 0:34 /docker/abc /sys/fs/cgroup/cpu ro master:9 - cgroup cgroup rw,cpu,cpuacct\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "350000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_float_equal(cpu_limit(root), 3.5, 1e-9);
}

static void test_cpu_limit__nothing_or_nonsense__no_limit(void **state)
{
    (void)state;
    assert_float_equal(cpu_limit(root), 0, 0);
    put("/proc/self/cgroup", "\n0\n::\n7:cpu\n0::/a/b\n");
    assert_float_equal(cpu_limit(root), 0, 0);
    put("/proc/self/mountinfo", "1 2 3\n - \n30 23 0:26 / /cg rw - cgroup2\n");
    assert_float_equal(cpu_limit(root), 0, 0);
    put("/proc/self/mountinfo", "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n");
    assert_float_equal(cpu_limit(root), 0, 0);
    put("/cg/a/cpu.max", "many\n");
    assert_float_equal(cpu_limit(root), 0, 0);
}

static void test_cpus_within__a_part_is_a_whole_one(void **state)
{
    (void)state;
    assert_int_equal(cpus_within(8, 0), 8);
    assert_int_equal(cpus_within(8, 1.5), 2);
    assert_int_equal(cpus_within(8, 2), 2);
    assert_int_equal(cpus_within(8, 0.1), 1);
    assert_int_equal(cpus_within(2, 6), 2);
    assert_int_equal(cpus_within(0, 0), 1);
}

static void test_cpu_count__here__at_least_one_and_no_more_than_threads(void **state)
{
    (void)state;
    assert_true(cpu_count() >= 1);
    assert_true(cpu_threads() >= cpu_count());
}

#define in_a_folder(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_limit_v2__texts),
        cmocka_unit_test(test_cpu_limit_v1__texts),
        in_a_folder(test_cpu_limit__container_with_its_own_v2_namespace),
        in_a_folder(test_cpu_limit__v2_groups__the_lowest_on_the_way_up),
        in_a_folder(test_cpu_limit__container_with_v1__its_own_group),
        in_a_folder(test_cpu_limit__nothing_or_nonsense__no_limit),
        cmocka_unit_test(test_cpus_within__a_part_is_a_whole_one),
        cmocka_unit_test(test_cpu_count__here__at_least_one_and_no_more_than_threads),
    };

    return cmocka_run_group_tests_name("cpu_count", tests, NULL, NULL);
}
