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
               {"connect_timeout_ms", "connect-timeout"},
               {"silence_timeout_ms", "silence-timeout"},
               {"messages_json", "messages"},
               {"token_ids", "ids"}};

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static const char *url_variable; /* that the server's URL came from; NULL: -u */

void flag_names_url_from(const char *variable)
{
    url_variable = variable;
}

/* As the user gave the field: its key in the batch line, else its flag. false: neither. */
static bool as_given(const char *name, const char *keys, char out[FLAG_SIZE])
{
    return (keys && options_written_key(name, keys, out)) || options_typed_flag(name, out);
}

/* The scale that stands behind an adapter's id. */
static bool scale_of_adapter(const char *name, const char *keys, char out[FLAG_SIZE])
{
    size_t n = 0;

    if (strcmp(name, "adapter_scale") != 0 || !as_given("adapters", keys, out))
        return false;
    n = strlen(out);
    snprintf(out + n, FLAG_SIZE - n, "%s", out[0] == '-' ? " ID=SCALE" : ": scale");
    return true;
}

/* The key or the flag of a field, as it was given or would be. A word without an underscore is one of
 * everyday language, unless the message begins with it and a colon. */
static void flag_of(const char *word, size_t n, bool leads, const char *keys, char out[FLAG_SIZE])
{
    char name[64];

    if (n >= sizeof name || (!memchr(word, '_', n) && !(leads && word[n] == ':')))
        return;
    memcpy(name, word, n);
    name[n] = '\0';
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++)
        if (strcmp(name, renamed[i].field) == 0)
            memcpy(name, renamed[i].option, strlen(renamed[i].option) + 1);
    if (strcmp(name, "url") == 0 && url_variable)
        snprintf(out, FLAG_SIZE, "%s", url_variable);
    else if (!as_given(name, keys, out) && !scale_of_adapter(name, keys, out) &&
             !(keys && options_has_key(name)))
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

/* What -1 is to the library is "none" to the command. */
static void name_none(char *text)
{
    char *at = strstr(text, "(-1: no limit)");

    if (at) {
        memmove(at + strlen("(none"), at + strlen("(-1"), strlen(at + strlen("(-1")) + 1);
        memcpy(at, "(none", strlen("(none"));
    }
}

void name_flags(char *out, size_t size, const char *message, const char *keys)
{
    char quote = '\0';
    size_t at = 0;

    for (const char *p = message; *p && at + 1 < size;) {
        size_t n = 0;
        char flag[FLAG_SIZE] = "";

        while (in_word(p[n]))
            n++;
        if (n && !quote && stands_alone(message, p, n))
            flag_of(p, n, p == message, keys, flag);
        if (!n && (*p == quote || (!quote && opens_quote(message, p))))
            quote = quote ? '\0' : *p;
        n = n ? n : 1;
        snprintf(out + at, size - at, "%.*s", *flag ? FLAG_SIZE : (int)n, *flag ? flag : p);
        at += strlen(out + at);
        p += n;
    }
    out[at < size ? at : size - 1] = '\0';
    if (at + strlen("none") < size)
        name_none(out);
}
