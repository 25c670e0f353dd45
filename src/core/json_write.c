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
    bool ok = buffer_append(out, "\"", 1);

    for (size_t plain = 0; ok && len > 0; text += plain, len -= plain) {
        plain = scan_plain(text, len);
        ok = buffer_append(out, text, plain);
        if (ok && plain < len)
            ok = append_escaped(out, (unsigned char)text[plain++]);
    }
    return ok && buffer_append(out, "\"", 1);
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
