/* flag_names: the library's messages name fields; whoever typed flags reads flags. */
#ifndef INF_CLI_FLAG_NAMES_H
#define INF_CLI_FLAG_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* Writes `message` to out (size bytes) with each name of a field as the flag that sets it: "n_ctx" as
 * "--ctx". What stands in quotes stays as it is. in_batch: whoever wrote a batch line reads its keys;
 * only what no key sets becomes a flag. */
void name_flags(char *out, size_t size, const char *message, bool in_batch);

#endif
