/* path: see the header. */
#include "gguf/path.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>

bool gguf_path(const char *path)
{
    size_t n = strlen(path);
    struct stat info;

    if (stat(path, &info) == 0)
        return !S_ISDIR(info.st_mode);
    return (n >= 5 && strcasecmp(path + n - 5, ".gguf") == 0) || path[0] == '/' ||
           strncmp(path, "./", 2) == 0 || strncmp(path, "../", 3) == 0;
}
