/* flag_names: the library's messages name fields; whoever typed flags reads flags. */
#ifndef INF_CLI_FLAG_NAMES_H
#define INF_CLI_FLAG_NAMES_H

#include <stddef.h>

/* Writes `message` to out (size bytes) with each name of a field as the flag that sets it: "n_ctx" as
 * "--ctx". What stands in quotes stays as it is. */
void name_flags(char *out, size_t size, const char *message);

#endif
