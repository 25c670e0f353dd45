/* input: files and standard input, byte for byte. */
#ifndef INF_CLI_INPUT_H
#define INF_CLI_INPUT_H

#include "cli/message.h"
#include "cli/options.h"

/* All of a file, or of standard input when path is "-". It lives as long as the settings.
 * Errors: IO, NO_MEMORY. */
int32_t input_read(inf_text *out, struct settings *s, const char *path, inf_error *err);

/* "@FILE" becomes the file's bytes; any other text stays. */
int32_t input_expand(inf_text *text, struct settings *s, inf_error *err);

/* The text behind a byte order mark, where editors have left one: of files that are text, not of a
 * prompt, which is taken byte for byte. */
inf_text without_mark(inf_text text);

/* The next line of a stream without its newline, into *line (realloc, freed by the caller).
 * false at the end; *err has what went wrong, naming the stream, or INF_OK. */
bool input_line(char **line, size_t *capacity, size_t *len, void *stream, const char *name,
                inf_error *err);

#endif
