/* input: files and standard input, byte for byte. */
#include "cli/input.h"

#include "cli/interrupt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t read_failed(inf_error *err, const char *name)
{
    if (interrupted())
        return command_error(err, INF_ERROR_CANCELLED, "interrupted");
    return command_error(err, INF_ERROR_IO, "cannot read %s: %s", name, strerror(errno));
}

static int32_t read_stream(inf_text *out, struct settings *s, FILE *stream, const char *name,
                           inf_error *err)
{
    size_t capacity = 1 << 16;
    size_t len = 0;
    char *data = malloc(capacity);
    char *kept = NULL;

    while (data) {
        size_t n = 0;

        interrupt_reading(true);
        n = fread(data + len, 1, capacity - len, stream);
        interrupt_reading(false);
        len += n;
        if (n == 0)
            break;
        if (len == capacity) {
            char *larger = realloc(data, capacity *= 2);

            if (!larger)
                free(data);
            data = larger;
        }
    }
    if (data && ferror(stream)) {
        read_failed(err, name);
        free(data);
        return err->code;
    }
    kept = data ? settings_alloc(s, len + 1) : NULL;
    if (kept) {
        memcpy(kept, data, len);
        *out = (inf_text){kept, len};
    }
    free(data);
    return kept ? INF_OK : command_error(err, INF_ERROR_NO_MEMORY, "out of memory");
}

int32_t input_read(inf_text *out, struct settings *s, const char *path, inf_error *err)
{
    FILE *file = NULL;
    int32_t code = INF_OK;

    if (strcmp(path, "-") == 0)
        return read_stream(out, s, stdin, "standard input", err);
    file = fopen(path, "rbe");
    if (!file)
        return command_error(err, INF_ERROR_IO, "cannot open %s: %s", path, strerror(errno));
    code = read_stream(out, s, file, path, err);
    fclose(file);
    return code;
}

inf_text without_mark(inf_text text)
{
    static const char mark[] = "\xEF\xBB\xBF";
    size_t n = sizeof mark - 1;

    if (text.len < n || memcmp(text.data, mark, n) != 0)
        return text;
    return (inf_text){text.data + n, text.len - n};
}

int32_t input_expand(inf_text *text, struct settings *s, inf_error *err)
{
    if (!text->data || text->data[0] != '@')
        return INF_OK;
    return input_read(text, s, text->data + 1, err);
}

bool input_line(char **line, size_t *capacity, size_t *len, void *stream, const char *name,
                inf_error *err)
{
    ssize_t n = 0;

    err->code = INF_OK;
    errno = 0;
    interrupt_reading(true);
    n = getline(line, capacity, stream);
    interrupt_reading(false);
    if (n < 0) {
        if (!feof(stream))
            read_failed(err, name);
        return false;
    }
    while (n > 0 && ((*line)[n - 1] == '\n' || (*line)[n - 1] == '\r'))
        n--;
    *len = (size_t)n;
    return true;
}
