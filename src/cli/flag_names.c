/* flag_names: see the header. */
#include "cli/flag_names.h"

#include "cli/options.h"

#include <stdio.h>
#include <string.h>

/* Fields whose option has another name. */
static const struct {
    const char *field, *option;
} renamed[] = {{"n_ctx", "ctx"},
               {"n_threads", "threads"},
               {"n_gpu_layers", "gpu-layers"},
               {"kv_budget_bytes", "kv-budget"},
               {"base_url", "url"},
               {"max_connections", "concurrency"},
               {"messages_json", "messages"},
               {"token_ids", "ids"}};

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* The flag of a field. A word without an underscore is one of everyday language,
 * unless the message begins with it and a colon. */
static void flag_of(const char *word, size_t n, bool leads, bool in_batch, char out[FLAG_SIZE])
{
    char name[64];

    if (n >= sizeof name || (!memchr(word, '_', n) && !(leads && word[n] == ':')))
        return;
    memcpy(name, word, n);
    name[n] = '\0';
    if (in_batch && options_has_key(name))
        return;
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        if (strcmp(name, renamed[i].field) == 0)
            memcpy(name, renamed[i].option, strlen(renamed[i].option) + 1);
    options_flag_of(name, out);
}

/* An apostrophe behind a letter is one. */
static bool opens_quote(const char *message, const char *p)
{
    return *p == '"' || (*p == '\'' && (p == message || !in_word(p[-1])));
}

/* Not a part of a path. */
static bool stands_alone(const char *message, const char *word, size_t n)
{
    bool begins = word == message || word[-1] == ' ' || word[-1] == '(';

    return begins && strchr(" ,;:.)", word[n]) && (word[n] != '.' || !in_word(word[n + 1]));
}

void name_flags(char *out, size_t size, const char *message, bool in_batch)
{
    char quote = '\0';
    size_t at = 0;

    for (const char *p = message; *p && at + 1 < size;) {
        size_t n = 0;
        char flag[FLAG_SIZE] = "";

        while (in_word(p[n]))
            n++;
        if (n && !quote && stands_alone(message, p, n))
            flag_of(p, n, p == message, in_batch, flag);
        if (!n && (*p == quote || (!quote && opens_quote(message, p))))
            quote = quote ? '\0' : *p;
        n = n ? n : 1;
        snprintf(out + at, size - at, "%.*s", *flag ? FLAG_SIZE : (int)n, *flag ? flag : p);
        at += strlen(out + at);
        p += n;
    }
    out[at < size ? at : size - 1] = '\0';
}
