/*
 * replay: runs a fuzz target over files, for builds without libFuzzer. Arguments are files and
 * folders (their files, not deeper); none given, or no file in them, is an error, so that a corpus
 * that got lost is noticed. One thread.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exactly `size` bytes on the heap, so that the sanitizers see the first byte read past them. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = 0;
    int status = 1;

    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET))
        goto done;
    data = malloc((size_t)size ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size)
        goto done;
    fprintf(stderr, "%s\n", path); /* the last one printed is the one that crashed */
    LLVMFuzzerTestOneInput(data, (size_t)size);
    status = 0;

done:
    if (status)
        fprintf(stderr, "%s: cannot be read\n", path);
    free(data);
    if (file)
        fclose(file);
    return status;
}

/* The number of files replayed, or -1. */
static long replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    long n = 0;

    if (!folder) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        return -1;
    }
    for (struct dirent *entry = readdir(folder); entry && n >= 0; entry = readdir(folder)) {
        char name[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        n = replay_file(name) ? -1 : n + 1;
    }
    closedir(folder);
    return n;
}

int main(int argc, char **argv)
{
    long total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        long n = 0;

        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            n = replay_folder(argv[i]);
        else
            n = replay_file(argv[i]) ? -1 : 1;
        if (n < 0)
            return 1;
        total += n;
    }
    printf("%ld inputs replayed\n", total);
    return total > 0 ? 0 : 1;
}
