/*
 * cpu_count: see the header.
 *
 * /proc/self/cgroup says in which group the process is, in each hierarchy; /proc/self/mountinfo where a
 * hierarchy is mounted, and which part of it: in a container often only its own group.
 */
#include "core/cpu_count.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PATH = 1024, MAX_LINE = 4096, MAX_LIMIT = 1 << 20 };

/* ------------------------------------------------------------------ what the files say */

static double ratio(long long quota, long long period)
{
    double limit = quota > 0 && period > 0 ? (double)quota / (double)period : 0;

    return limit < MAX_LIMIT ? limit : 0;
}

double cpu_limit_v2(const char *max)
{
    long long quota = 0;
    long long period = 0;

    return sscanf(max, "%lld %lld", &quota, &period) == 2 ? ratio(quota, period) : 0;
}

double cpu_limit_v1(const char *quota, const char *period)
{
    return ratio(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

/* Whether the comma-separated list has the word. */
static bool lists(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = list; *at; at += *at == ',') {
        size_t len = strcspn(at, ",");

        if (len == n && strncmp(at, word, n) == 0)
            return true;
        at += len;
    }
    return false;
}

/* ------------------------------------------------------------------ finding them */

static FILE *open_under(const char *root, const char *path)
{
    char full[2 * MAX_PATH];
    int n = snprintf(full, sizeof full, "%s%s", root, path);

    return n > 0 && (size_t)n < sizeof full ? fopen(full, "re") : NULL;
}

/* The group of the hierarchy with the CPU controller: v1's where there is one, else v2's. */
static bool find_group(const char *root, char *group, bool *v2)
{
    FILE *f = open_under(root, "/proc/self/cgroup");
    char line[MAX_LINE];
    bool found = false;

    *v2 = true;
    while (f && *v2 && fgets(line, sizeof line, f)) {
        char controllers[MAX_PATH] = "";
        char path[MAX_PATH] = "";
        bool unified = sscanf(line, "0::%1023[^\n]", path) == 1;

        if (!unified && sscanf(line, "%*d:%1023[^:]:%1023[^\n]", controllers, path) != 2)
            continue;
        if (unified || lists(controllers, "cpu")) {
            snprintf(group, MAX_PATH, "%s", path);
            found = true;
            *v2 = unified;
        }
    }
    if (f)
        fclose(f);
    return found;
}

/* A line of mountinfo: where the hierarchy is, and which of its groups is there. */
static bool is_mount(const char *line, bool v2, char *part, char *point)
{
    const char *tail = strstr(line, " - ");
    char type[16] = "";
    char options[MAX_PATH] = "";

    if (!tail || sscanf(line, "%*d %*d %*s %1023s %1023s", part, point) != 2 ||
        sscanf(tail, " - %15s %*s %1023s", type, options) != 2)
        return false;
    return v2 ? strcmp(type, "cgroup2") == 0 : strcmp(type, "cgroup") == 0 && lists(options, "cpu");
}

static bool find_mount(const char *root, bool v2, char *part, char *point)
{
    FILE *f = open_under(root, "/proc/self/mountinfo");
    char line[MAX_LINE];
    bool found = false;

    while (f && !found && fgets(line, sizeof line, f))
        found = is_mount(line, v2, part, point);
    if (f)
        fclose(f);
    return found;
}

/* ------------------------------------------------------------------ the limit */

static void read_line(const char *root, const char *folder, const char *name, char *out,
                      size_t size)
{
    char path[2 * MAX_PATH];
    FILE *f = NULL;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = open_under(root, path);
    if (!f || !fgets(out, (int)size, f))
        out[0] = '\0';
    if (f)
        fclose(f);
}

static double limit_in(const char *root, const char *folder, bool v2)
{
    char quota[64];
    char period[64];

    if (v2) {
        read_line(root, folder, "cpu.max", quota, sizeof quota);
        return cpu_limit_v2(quota);
    }
    read_line(root, folder, "cpu.cfs_quota_us", quota, sizeof quota);
    read_line(root, folder, "cpu.cfs_period_us", period, sizeof period);
    return cpu_limit_v1(quota, period);
}

double cpu_limit(const char *root)
{
    char group[MAX_PATH];
    char part[MAX_PATH];
    char folder[2 * MAX_PATH];
    size_t top = 0;
    double lowest = 0;
    bool v2 = false;

    if (!find_group(root, group, &v2) || !find_mount(root, v2, part, folder))
        return 0;
    top = strlen(folder);
    if (strcmp(part, "/") == 0)
        part[0] = '\0';
    if (strncmp(group, part, strlen(part)) == 0)
        snprintf(folder + top, sizeof folder - top, "%s", group + strlen(part));
    for (;;) {
        double limit = limit_in(root, folder, v2);
        char *last = strrchr(folder + top, '/');

        if (limit > 0 && (lowest == 0 || limit < lowest))
            lowest = limit;
        if (!last)
            return lowest;
        *last = '\0';
    }
}

/* ------------------------------------------------------------------ the CPUs */

/* The first CPU of the core that this one is part of. */
static int core_of(int cpu)
{
    char path[96];
    char line[64] = "";
    int first = cpu;
    FILE *f = NULL;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    f = fopen(path, "re");
    if (f && fgets(line, sizeof line, f)) /* "0-1", "0,32" */
        first = (int)strtol(line, NULL, 10);
    if (f)
        fclose(f);
    return first;
}

static int32_t count_cores(void)
{
    bool seen[CPU_SETSIZE] = {false};
    cpu_set_t allowed;
    int32_t n = 0;

    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        int core = CPU_ISSET((size_t)cpu, &allowed) ? core_of(cpu) : -1;

        if (core < 0 || core >= CPU_SETSIZE || seen[core])
            continue;
        seen[core] = true;
        n++;
    }
    return n;
}

int32_t cpus_within(int32_t n, double limit)
{
    if (limit > 0 && limit < n)
        n = (int32_t)limit + (limit > (int32_t)limit);
    return n > 1 ? n : 1;
}

int32_t cpu_count(void)
{
    return cpus_within(count_cores(), cpu_limit(""));
}

int32_t cpu_threads(void)
{
    cpu_set_t allowed;
    int32_t n = 0;

    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        n = CPU_COUNT(&allowed);
    else
        n = (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
    return cpus_within(n, cpu_limit(""));
}
