/* chat_words: see the header. */
#include "remote/chat_words.h"

#include <string.h>
#include <strings.h>

enum { NOTHING_DEPTH = 4 };

static bool is_one_of(const char *const *words, const char *text, size_t len)
{
    for (; *words; words++)
        if (strlen(*words) == len && strncasecmp(*words, text, len) == 0)
            return true;
    return false;
}

/* ------------------------------------------------------------------ nothing */

static bool is_no_text(struct json_span string)
{
    static const char *const words[] = {"null", "Null",      "NULL",      "none", "None",
                                        "NONE", "undefined", "Undefined", "nil",  NULL};
    struct json_span inside = scan_trim(string.data + 1, string.len - 2);

    if (inside.len == 0 || is_one_of(words, inside.data, inside.len))
        return true;
    for (size_t i = 0; words[i]; i++) /* written with escapes */
        if (scan_equals(string, words[i]))
            return true;
    return false;
}

static bool is_nothing(struct json_span value, int depth)
{
    struct json_span key, inside;
    struct json_walk w;
    double number = 1;
    bool nothing = depth < NOTHING_DEPTH;

    if (scan_is_none(value) || *value.data == 'f')
        return true;
    if (scan_is_string(value))
        return is_no_text(value);
    for (scan_object(&w, value); nothing && scan_next_member(&w, &key, &inside);)
        nothing = is_nothing(inside, depth + 1);
    for (scan_array(&w, value); nothing && scan_next_item(&w, &inside);)
        nothing = is_nothing(inside, depth + 1);
    if (scan_is_object(value) || scan_is_array(value))
        return nothing;
    return scan_real(value, &number) && number == 0;
}

bool words_say_nothing(struct json_span value)
{
    return is_nothing(value, 0);
}

/* ------------------------------------------------------------------ words alone */

/* Without the quotes of a JSON string. */
static struct json_span bare(const char *data, size_t len)
{
    struct json_span t = scan_trim(data, len);

    if (t.len >= 2 && t.data[0] == '"' && t.data[t.len - 1] == '"')
        t = scan_trim(t.data + 1, t.len - 2);
    return t;
}

bool words_keep_alive(const char *data, size_t len)
{
    static const char *const words[] = {"ping",       "pong",       "keepalive", "keep-alive",
                                        "keep_alive", "keep alive", "heartbeat", NULL};
    struct json_span t = bare(data, len);

    /* A comment that was made data; null is JSON, None is not. */
    return t.len == 0 || *t.data == ':' || is_one_of(words, t.data, t.len) ||
           (t.len == 4 && (memcmp(t.data, "null", 4) == 0 || memcmp(t.data, "None", 4) == 0));
}

bool words_end(const char *data, size_t len)
{
    static const char *const words[] = {"[DONE]", "DONE", NULL};
    struct json_span t = bare(data, len);

    return is_one_of(words, t.data, t.len);
}

/* ------------------------------------------------------------------ failures in other words */

/* A number from 400 on, or below 0; a text that is none and no word for what goes well. */
static bool is_failing_code(struct json_span code)
{
    static const char *const well[] = {"ok",      "success", "succeeded",   "processing",
                                       "pending", "running", "in_progress", "queued",
                                       "created", NULL};
    int64_t number = 0;
    struct json_span t = code;

    if (scan_is_string(code)) {
        t = scan_trim(code.data + 1, code.len - 2);
        if (words_say_nothing(code) || is_one_of(well, t.data, t.len))
            return false;
        if (!scan_json(&t, t.data, t.len) || !scan_is_number(t))
            return true;
    }
    return scan_integer(t, &number) && (number >= 400 || number < 0);
}

static bool is_failing_word(struct json_span word)
{
    static const char *const words[] = {"error", "failed", "failure", "fail", "aborted", NULL};
    struct json_span t = {NULL, 0};

    if (!scan_is_string(word))
        return false;
    t = scan_trim(word.data + 1, word.len - 2);
    return is_one_of(words, t.data, t.len) ||
           (t.len > 5 && strncasecmp(t.data + t.len - 5, "error", 5) == 0);
}

bool words_tell_failure(struct json_span object)
{
    struct json_span success = scan_member(object, "success");
    struct json_span status = scan_member(object, "status");

    return !words_say_nothing(scan_member(object, "detail")) ||
           is_failing_code(scan_member(object, "code")) ||
           is_failing_code(scan_member(object, "status_code")) ||
           (scan_is_number(status) && is_failing_code(status)) || is_failing_word(status) ||
           is_failing_word(scan_member(object, "type")) ||
           is_failing_word(scan_member(object, "object")) ||
           (!scan_is_none(success) && *success.data == 'f');
}
