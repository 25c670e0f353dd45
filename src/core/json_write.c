/* json_write: what json.h has for writing. */
#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool append_escaped(struct buffer *out, unsigned char c)
{
    char escape[2] = {'\\', c == '\n' ? 'n' : (char)c};

    return c == '"' || c == '\\' || c == '\n' ? buffer_append(out, escape, 2)
                                              : buffer_printf(out, "\\u%04x", c);
}

bool write_json_string(struct buffer *out, const char *text, size_t len)
{
    size_t plain = 0;

    if (!buffer_append(out, "\"", 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        if (!buffer_append(out, text + plain, i - plain))
            return false;
        plain = i + 1;
        if (!append_escaped(out, c))
            return false;
    }
    return buffer_append(out, text + plain, len - plain) && buffer_append(out, "\"", 1);
}

bool write_json_float(struct buffer *out, float value)
{
    char text[32];
    int digits = 6;

    do
        snprintf(text, sizeof text, "%.*g", digits++, (double)value);
    while (digits <= 9 && strtof(text, NULL) != value);
    /* Whatever stands for the decimal point here, JSON has a dot. */
    for (char *at = text; *at; at++)
        if (!strchr("0123456789+-e", *at))
            *at = '.';
    return buffer_append_str(out, text);
}
