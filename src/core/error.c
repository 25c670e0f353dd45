/*
 * error: see the header; also the public tables of inf_error.
 */
#include "core/error.h"

#include "core/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef error_set /* what an analyzer is told elsewhere; here they are made */
#undef error_set_detail
#undef error_set_errno
#undef error_no_memory

struct error_info {
    const char *name, *text, *python;
    int32_t exit_code;
};

static const struct error_info *error_info(int32_t code)
{
    static const struct error_info unknown = {"unknown", "unknown error", "RuntimeError", 1};
    static const struct error_info table[] = {
#define INFO(symbol, value, name, text, python, exit_code)                                         \
    [value] = {name, text, python, exit_code},
        INF_ERROR_TABLE(INFO)
#undef INFO
    };

    return code >= 0 && code < (int32_t)(sizeof table / sizeof *table) ? &table[code] : &unknown;
}

const char *inf_error_name(int32_t code)
{
    return error_info(code)->name;
}

const char *inf_error_text(int32_t code)
{
    return error_info(code)->text;
}

const char *inf_error_python(int32_t code)
{
    return error_info(code)->python;
}

int32_t inf_error_exit_code(int32_t code)
{
    return error_info(code)->exit_code;
}

/* Copies raw into the message as one line of valid UTF-8; what does not fit ends in "...". */
static void set_message(inf_error *err, const char *raw)
{
    static const size_t room = sizeof err->message - 4;
    size_t n = strlen(raw);
    size_t out = 0;

    for (size_t i = 0; i < n;) {
        size_t length = 0;
        bool whole = utf8_next(raw + i, n - i, &length) == UTF8_WHOLE;
        const char *piece = whole ? raw + i : UTF8_REPLACEMENT;
        size_t size = whole ? length : 3;

        if (whole && length == 1 && ((unsigned char)raw[i] < 0x20 || raw[i] == 0x7f))
            piece = " ";
        if (out + size > room) {
            memcpy(err->message + out, "...", 3);
            out += 3;
            break;
        }
        memcpy(err->message + out, piece, size);
        out += size;
        i += length;
    }
    err->message[out] = '\0';
}

static int32_t set(inf_error *err, int32_t code, int64_t detail, const char *format, va_list args)
{
    char raw[1024];

    if (!err)
        return code;
    vsnprintf(raw, sizeof raw, format, args);
    memset(err, 0, sizeof *err);
    err->code = code;
    err->detail = detail;
    set_message(err, raw);
    return code;
}

int32_t error_set(inf_error *err, int32_t code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set(err, code, 0, format, args);
    va_end(args);
    return code;
}

int32_t error_set_detail(inf_error *err, int32_t code, int64_t detail, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set(err, code, detail, format, args);
    va_end(args);
    return code;
}

int32_t error_set_errno(inf_error *err, int error_number, const char *what, const char *path)
{
    char text[128];
    const char *reason = strerror_r(error_number, text, sizeof text);

    return error_set_detail(err, error_number == ENOMEM ? INF_ERROR_NO_MEMORY : INF_ERROR_IO,
                            error_number, "cannot %s %s: %s", what, path, reason);
}

int32_t error_no_memory(inf_error *err)
{
    return error_set(err, INF_ERROR_NO_MEMORY, "out of memory");
}

int32_t error_none(inf_error *err)
{
    if (err)
        memset(err, 0, sizeof *err);
    return INF_OK;
}

int32_t error_copy(inf_error *err, const inf_error *why)
{
    if (err)
        *err = *why;
    return why->code;
}

int32_t error_prefix(inf_error *err, const char *format, ...)
{
    char raw[2 * sizeof err->message + 8];
    char prefix[sizeof err->message];
    va_list args;

    if (!err)
        return INF_ERROR_BACKEND;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    snprintf(raw, sizeof raw, "%s: %s", prefix, err->message);
    set_message(err, raw);
    return err->code;
}
