/* message: see the header. */
#include "cli/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef command_error /* what an analyzer is told elsewhere; here it is made */

/* The length of the UTF-8 sequence at s, or 0. */
static size_t sequence(const unsigned char *s)
{
    size_t n = *s < 0x80 ? 1 : *s < 0xC2 ? 0 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 : *s < 0xF5 ? 4 : 0;

    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((*s == 0xE0 && s[1] < 0xA0) || (*s == 0xED && s[1] > 0x9F) || (*s == 0xF0 && s[1] < 0x90) ||
        (*s == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

void make_one_line(char *text)
{
    while (*text) {
        size_t n = sequence((const unsigned char *)text);

        if (n == 0)
            *text = '?';
        else if ((unsigned char)*text < 0x20 || *text == 0x7F)
            *text = ' ';
        text += n ? n : 1;
    }
}

int32_t command_error(inf_error *err, int32_t code, const char *format, ...)
{
    va_list args;

    memset(err, 0, sizeof *err);
    err->code = code;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    make_one_line(err->message);
    return code;
}
