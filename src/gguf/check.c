/* check: what the tables of checks say with. */
#include "gguf/check.h"

#include <stdarg.h>
#include <stdio.h>

bool gguf_bad(struct gguf_check *c, const char *format, ...)
{
    char message[sizeof((inf_error *)0)->message];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    error_set(c->err, INF_ERROR_BAD_FORMAT, "%s", message);
    return false;
}

const char *gguf_arch_key(const struct gguf_check *c, const char *suffix, char buf[128])
{
    snprintf(buf, 128, "%s.%s", c->arch, suffix);
    return buf;
}
