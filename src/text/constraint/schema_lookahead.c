/*
 * schema_lookahead: see the header.
 */
#include "text/constraint/schema_lookahead.h"

#include <string.h>

/* Behind the group, class, escape or character that begins at s; NULL: it has no end. */
static const char *skip(const char *s)
{
    char open = *s;

    if (open == '\\')
        return s[1] ? s + 2 : NULL;
    if (open != '(' && open != '[')
        return s + 1;
    for (s++; s && *s && *s != (open == '(' ? ')' : ']');)
        s = open == '(' || *s == '\\' ? skip(s) : s + 1;
    return s && *s ? s + 1 : NULL;
}

/* Nothing stands beside it: a | between its parts would. */
static bool is_one(const char *s)
{
    while (s && *s && *s != '|')
        s = skip(s);
    return s && !*s;
}

/* before, the n bytes at s, after. */
static const char *put_together(struct schema_compiler *c, const char *before, const char *s,
                                size_t n, const char *after)
{
    size_t head = strlen(before);
    char *out = schema_alloc(c, head + n + strlen(after) + 1);

    if (!out)
        return NULL;
    memcpy(out, before, head);
    memcpy(out + head, s, n);
    strcpy(out + head + n, after);
    return out;
}

size_t schema_look_ahead(struct schema_compiler *c, const char *source,
                         struct pattern_part parts[LOOKAHEAD_PARTS])
{
    const char *s = source + (*source == '^');
    size_t n = 0;

    if (*source != '^' || (strncmp(s, "(?!", 3) != 0 && strncmp(s, "(?=", 3) != 0) ||
        !is_one(source))
        return 0;
    for (; strncmp(s, "(?!", 3) == 0 || strncmp(s, "(?=", 3) == 0; n++) {
        const char *end = skip(s);

        if (!end || n + 1 == LOOKAHEAD_PARTS)
            return 0;
        parts[n].negated = s[2] == '!';
        parts[n].source = put_together(c, "^(?:", s + 3, (size_t)(end - s) - 4, ")");
        s = end;
    }
    if (*s && strchr("*+?{", *s)) /* of a look-ahead: not all readers take that */
        return 0;
    parts[n] = (struct pattern_part){put_together(c, "^", s, strlen(s), ""), false};
    return c->failed ? 0 : n + 1;
}
