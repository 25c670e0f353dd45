/* path: whether a path tells, by itself, that a model is a GGUF file. */
#ifndef INF_GGUF_PATH_H
#define INF_GGUF_PATH_H

#include <stdbool.h>

/* A file that is there, whatever its name; a name in .gguf; or a path of a place where nothing is, which
 * is a file that is missing. A directory and a plain name are none. Asks the file system. */
bool gguf_path(const char *path);

#endif
