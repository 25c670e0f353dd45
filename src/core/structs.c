/*
 * structs: reading and writing versioned structs of callers built against another header.
 */
#include "core/context_state.h"

#include <string.h>

int32_t struct_read(void *dst, size_t known, const void *src, const char *name, inf_error *err)
{
    size_t given = 0;
    const unsigned char *bytes = src;

    if (!src)
        return INF_OK;
    memcpy(&given, src, sizeof given);
    if (given < sizeof given || given % sizeof given) /* no version's size */
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

void struct_write(void *dst, size_t size, const void *src, size_t known)
{
    if (!dst || size < sizeof size)
        return;
    memcpy(dst, src, size < known ? size : known);
    if (size > known)
        memset((char *)dst + known, 0, size - known);
    memcpy(dst, &size, sizeof size);
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
