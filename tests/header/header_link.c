/* A program of a user: compiled as plain C, linked to the shared library alone, told its version. */
#include <inference/inference.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    unsigned major = inf_version() >> 16;
    unsigned minor = inf_version() >> 8 & 0xff;
    unsigned patch = inf_version() & 0xff;
    char text[32];

    snprintf(text, sizeof text, "%u.%u.%u", major, minor, patch);
    if (argc != 2 || strcmp(argv[1], text) != 0 || strcmp(text, inf_version_string()) != 0) {
        fprintf(stderr, "header %s, inf_version %s, inf_version_string %s\n",
                argc == 2 ? argv[1] : "?", text, inf_version_string());
        return 1;
    }
    return 0;
}
