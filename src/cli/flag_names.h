/* flag_names: the library's messages name fields; whoever typed flags reads flags. */
#ifndef INF_CLI_FLAG_NAMES_H
#define INF_CLI_FLAG_NAMES_H

#include <stddef.h>

/* Writes `message` to out (size bytes) with each name of a field as the user gave it: "n_ctx" as "--ctx",
 * or the flag that would set it. What stands in quotes stays as it is.
 * keys: of a batch line, as options_written_key has them; what is in them is named as it is written there,
 * and what a line could have set and nobody gave stays a key's name. NULL: no batch line. */
void name_flags(char *out, size_t size, const char *message, const char *keys);

/* The URL of the server is that of this variable (static), and errors of it name it. Before any message. */
void flag_names_url_from(const char *variable);

#endif
