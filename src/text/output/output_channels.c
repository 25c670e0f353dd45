/*
 * output_channels: see the header. Such an answer is
 *     <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...
 * A message to "functions.NAME" is a call. What is on no known channel is text.
 */
#include "text/output/output_channels.h"

#include "core/ascii.h"
#include "core/memory.h"

#include <string.h>

#define MAX_HEADER ((size_t)1024)
#define MAX_BODY ((size_t)8 << 20)

static const char message_word[] = "<|message|>";

/* ------------------------------------------------------------------ headers */

static bool in_word(char c)
{
    return c != ' ' && c != '<' && c != '\t' && c != '\n' && c != '\r';
}

/* What follows the word in the header s[0..n); absent: it is not there. */
static inf_text header_part(const char *s, size_t n, const char *word)
{
    size_t at = output_find(s, n, 0, word);
    size_t to = at + strlen(word);

    if (at == n)
        return (inf_text){NULL, 0};
    at = to;
    while (to < n && in_word(s[to]))
        to++;
    return (inf_text){s + at, to - at};
}

/* Whether the answer was cut within a header, which is no text then, as servers have it. Other text behind such a
 * marker may be anything. */
static bool is_cut_header(const char *s, size_t n)
{
    static const char *const begins[] = {"<|start|>", "assistant", " to="};
    static const char *const channels[] = {"analysis", "commentary", "final"};
    size_t at = 0;

    if (output_match(s, n, 0, "<|start|>") != 1 && output_match(s, n, 0, "<|channel|>") != 1)
        return false;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (output_match(s, n, at, begins[i]) == 0)
            return true;
        else if (output_match(s, n, at, begins[i]) == 1)
            at += strlen(begins[i]);
    while (at < n && in_word(s[at])) /* the recipient */
        at++;
    if (output_match(s, n, at, "<|channel|>") != 1)
        return output_match(s, n, at, "<|channel|>") == 0;
    at += strlen("<|channel|>");
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        if (output_match(s, n, at, channels[i]) >= 0)
            return true;
    return false;
}

static bool step_header(struct output_parser *p, bool end)
{
    size_t n = 0;
    const char *s = output_waiting(p, &n);
    size_t most = n < MAX_HEADER ? n : MAX_HEADER;
    size_t at = output_find(s, most, 0, message_word);
    inf_text channel = header_part(s, at, "<|channel|>");
    inf_text recipient = header_part(s, at, "to=");

    if (at == most && !end && n < MAX_HEADER)
        return false;
    if (at == most) { /* no header at all */
        if (end && is_cut_header(s, most))
            output_drop(p, most);
        else
            output_emit(p, most, false);
        p->mode = MODE_TEXT;
        return true;
    }
    at += sizeof message_word - 1;
    p->scan = (struct output_scan){.value = {.at = at, .begin = at}};
    if (recipient.len && p->calls_wanted) {
        p->mode = MODE_MESSAGE;
        return true;
    }
    output_drop(p, p->scan.value.begin);
    p->mode = channel.data && text_equals(channel.data, channel.len, "analysis") ? MODE_THINK
                                                                                 : MODE_TEXT;
    return true;
}

/* ------------------------------------------------------------------ messages */

/* The first word that ends a message, at or behind `from`. at n: none. *whole false: it may begin there. */
static size_t find_end(const char *s, size_t n, size_t from, const char **word, bool *whole)
{
    static const char *const words[] = {"<|end|>", "<|call|>", "<|return|>", "<|start|>",
                                        "<|channel|>"};

    *whole = false;
    for (size_t at = from; at < n; at++) {
        bool perhaps = false;

        for (size_t i = 0; s[at] == '<' && i < sizeof words / sizeof *words; i++) {
            int matches = output_match(s, n, at, words[i]);

            *word = words[i];
            *whole = matches == 1;
            if (*whole)
                return at;
            perhaps = perhaps || matches == 0;
        }
        if (perhaps)
            return at;
    }
    return n;
}

/* The word that ends a message is gone but for what begins a header. */
static void leave(struct output_parser *p, size_t at, const char *word)
{
    bool goes_on = strcmp(word, "<|start|>") == 0 || strcmp(word, "<|channel|>") == 0;

    output_drop(p, at + (goes_on ? 0 : strlen(word)));
    p->mode = goes_on ? MODE_HEADER : MODE_BETWEEN;
}

static bool step_body(struct output_parser *p, bool end)
{
    size_t n = 0;
    const char *s = output_waiting(p, &n);
    const char *word = "";
    bool whole = false;
    size_t at = find_end(s, n, 0, &word, &whole);

    output_emit(p, whole || !end ? at : n, p->mode == MODE_THINK);
    if (whole)
        leave(p, 0, word);
    return whole;
}

static inf_text name_of(const struct output_parser *p, const char *s)
{
    size_t header = p->scan.value.begin - (sizeof message_word - 1);
    inf_text name = header_part(s, header, "to=");

    if (name.len > 10 && memcmp(name.data, "functions.", 10) == 0)
        name = (inf_text){name.data + 10, name.len - 10};
    return name;
}

/* Before the white space at the end. */
static size_t trimmed(const char *s, size_t from, size_t to)
{
    while (to > from && strchr(" \t\r\n", s[to - 1]))
        to--;
    return to;
}

/* An object goes out as it comes. */
static void stream_call(struct output_parser *p, const char *s, size_t to)
{
    size_t from = output_skip_space(s, to, p->scan.value.begin);
    bool open = p->calls.open;

    if (!open && (from == to || s[from] != '{' ||
                  !output_calls_begin(&p->calls, (inf_text){NULL, 0}, name_of(p, s))))
        return;
    if (!open)
        p->scan.shown = from;
    from = p->scan.shown;
    to = trimmed(s, from, to);
    output_calls_more(&p->calls, s + from, to - from);
    p->scan.shown = to;
}

static bool add_call(struct output_parser *p, const char *s, size_t to, bool ended)
{
    size_t from = output_skip_space(s, to, p->scan.value.begin);
    struct json_span object = {NULL, 0};

    if (p->calls.open)
        return output_calls_close(&p->calls);
    to = trimmed(s, from, to);
    if (!ended && !(scan_json(&object, s + from, to - from) && scan_is_object(object)))
        return false;
    return output_calls_add(&p->calls, (inf_text){NULL, 0}, name_of(p, s),
                            to == from ? inf_str("{}") : (inf_text){s + from, to - from});
}

/* As it was written. */
static bool give_back(struct output_parser *p, size_t n)
{
    output_emit(p, n, false);
    p->mode = MODE_TEXT;
    return true;
}

/* It is too long. */
static bool break_off(struct output_parser *p, size_t n)
{
    if (!p->calls.open)
        return give_back(p, n);
    p->failed = !output_calls_close(&p->calls);
    output_drop(p, p->scan.shown);
    p->mode = MODE_TEXT;
    return !p->failed;
}

static bool step_message(struct output_parser *p, bool end)
{
    size_t n = 0;
    const char *s = output_waiting(p, &n);
    const char *word = "";
    bool whole = false;
    size_t at = find_end(s, n, p->scan.value.at, &word, &whole);

    p->scan.value.at = at;
    stream_call(p, s, whole || !end ? at : n);
    p->failed = p->failed || p->calls.failed;
    if (p->failed)
        return false;
    if (!whole && !end)
        return n > MAX_BODY ? break_off(p, n) : false;
    if (!whole && output_skip_space(s, n, p->scan.value.begin) == n) { /* cut behind its header */
        output_drop(p, n);
        p->mode = MODE_BETWEEN;
        return false;
    }
    if (!add_call(p, s, whole ? at : n, whole)) {
        p->failed = p->failed || p->calls.failed;
        return give_back(p, whole ? at : n) && !p->failed;
    }
    if (whole)
        leave(p, at, word);
    else
        output_drop(p, n);
    p->mode = whole ? p->mode : MODE_BETWEEN;
    return whole;
}

/* ------------------------------------------------------------------ between messages */

/* The prompt's last message, or the next one, begins with a channel, or with who it is to. */
static bool step_begin(struct output_parser *p, bool end)
{
    static const char *const begins[] = {"<|channel|>", "to=", "<|start|>"};
    size_t n = 0;
    const char *s = output_waiting(p, &n);
    size_t at = output_skip_space(s, n, 0);
    bool perhaps = at == n;

    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        int matches = output_match(s, n, at, begins[i]);

        perhaps = perhaps || matches == 0;
        if (matches != 1)
            continue;
        output_drop(p, at);
        p->mode = MODE_HEADER;
        return true;
    }
    if (perhaps && !end)
        return false;
    if (at == n && p->mode == MODE_BETWEEN)
        output_drop(p, n);
    p->mode = MODE_TEXT;
    return true;
}

bool output_channels_step(struct output_parser *p, bool end)
{
    switch (p->mode) {
    case MODE_HEADER:
        return step_header(p, end);
    case MODE_MESSAGE:
        return step_message(p, end);
    case MODE_START:
    case MODE_BETWEEN:
        return step_begin(p, end);
    default:
        return step_body(p, end);
    }
}
