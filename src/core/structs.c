/*
 * structs: reading and writing versioned structs of callers built against another header.
 */
#include "core/structs.h"

#include <string.h>

#define MAX_SIZE 65536 /* no version's struct ever: what was not set reads like that */

bool struct_size(size_t *out, const void *src)
{
    memcpy(out, src, sizeof *out);
    return *out >= sizeof *out && *out % sizeof *out == 0 && *out <= MAX_SIZE;
}

int32_t struct_read(void *dst, size_t known, const void *src, const char *name, inf_error *err)
{
    size_t given = 0;
    const unsigned char *bytes = src;

    if (!src)
        return INF_OK;
    if (!struct_size(&given, src))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "%s: struct_size is %zu; fill the struct with its _default function", name,
                         given);
    for (size_t i = known; i < given; i++)
        if (bytes[i] != 0)
            return error_set_detail(err, INF_ERROR_INVALID_ARGUMENT, (int64_t)i,
                                    "%s: a field that this version does not know (byte %zu) is set",
                                    name, i);
    memcpy(dst, src, given < known ? given : known);
    memcpy(dst, &known, sizeof known);
    return INF_OK;
}

bool struct_write(void *dst, size_t size, const void *src, size_t known)
{
    if (!dst || size < sizeof size)
        return false;
    memcpy(dst, src, size < known ? size : known);
    if (size > known)
        memset((char *)dst + known, 0, size - known);
    memcpy(dst, &size, sizeof size);
    return true;
}

int32_t maybe_check(const char *field, bool is_set, bool has_value, inf_error *err)
{
    return is_set || !has_value
               ? INF_OK
               : error_set(err, INF_ERROR_INVALID_ARGUMENT,
                           "%s: has a value and is_set is false; set is_set too, or leave both",
                           field);
}

inf_text inf_str(const char *s)
{
    return (inf_text){s, s ? strlen(s) : 0};
}

#define VERSION_TEXT(a, b, c) #a "." #b "." #c
#define VERSION_OF(a, b, c) VERSION_TEXT(a, b, c)

uint32_t inf_version(void)
{
    return INF_VERSION_MAJOR << 16 | INF_VERSION_MINOR << 8 | INF_VERSION_PATCH;
}

const char *inf_version_string(void)
{
    return VERSION_OF(INF_VERSION_MAJOR, INF_VERSION_MINOR, INF_VERSION_PATCH);
}
