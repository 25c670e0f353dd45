/* tool_arguments: see the header. */
#include "remote/tool_arguments.h"

#include <string.h>

void tool_arguments_init(struct tool_arguments *a)
{
    *a = (struct tool_arguments){0};
    buffer_init(&a->text, TOOL_CALL_BYTES_MAX);
    buffer_init(&a->again, TOOL_CALL_BYTES_MAX);
}

void tool_arguments_free(struct tool_arguments *a)
{
    buffer_free(&a->text);
    buffer_free(&a->again);
}

/* ------------------------------------------------------------------ what a text is */

static bool is_blank(const char *text, size_t len)
{
    return scan_trim(text, len).len == 0;
}

static bool is_null(const char *text, size_t len)
{
    struct json_span t = scan_trim(text, len);

    return t.len == 4 && memcmp(t.data, "null", 4) == 0;
}

bool tool_arguments_is_whole(const char *text, size_t len)
{
    struct json_span value;

    return len && scan_json(&value, text, len) && (scan_is_object(value) || scan_is_array(value));
}

/* {} or [] */
static bool is_empty(const char *text, size_t len)
{
    struct json_span t = scan_trim(text, len);

    return t.len >= 2 && (*t.data == '{' || *t.data == '[') &&
           (t.data[t.len - 1] == '}' || t.data[t.len - 1] == ']') &&
           is_blank(t.data + 1, t.len - 2);
}

bool tool_arguments_is_nothing(const char *text, size_t len)
{
    return is_blank(text, len) || is_null(text, len) || is_empty(text, len);
}

bool tool_arguments_say_nothing(const struct tool_arguments *a)
{
    return a->again.len == 0 && tool_arguments_is_nothing(a->text.data, a->text.len);
}

/* ------------------------------------------------------------------ how far it is */

/* The piece lies at the end of the text. True when that is one value now; it is looked at once, where
 * its brackets close, so that each byte is read a few times however small the pieces are. */
static bool follow(struct json_progress *p, const struct buffer *text, size_t piece)
{
    const char *at = text->data + text->len - piece;

    for (size_t i = 0; i < piece && !p->hopeless; i++) {
        if (!p->begun && scan_is_space(at[i]))
            continue;
        p->hopeless = !p->begun && at[i] != '{' && at[i] != '[';
        p->begun = true;
        json_step(&p->at, at[i]);
    }
    if (p->hopeless || !p->begun || p->at.depth || p->at.in_string)
        return false;
    p->hopeless = !tool_arguments_is_whole(text->data, text->len);
    return !p->hopeless;
}

/* ------------------------------------------------------------------ the same in another spelling */

/* The string, or the one other byte, that a value goes on with. */
static struct json_span token(struct json_span rest)
{
    size_t n = 1;

    if (*rest.data == '"') {
        while (n < rest.len && rest.data[n] != '"')
            n += rest.data[n] == '\\' ? 2 : 1;
        n++;
    }
    return (struct json_span){rest.data, n < rest.len ? n : rest.len};
}

static struct json_span skip(struct json_span rest, size_t n)
{
    rest.data += n;
    rest.len -= n;
    for (; rest.len && scan_is_space(*rest.data); rest.len--)
        rest.data++;
    return rest;
}

static bool same_bytes(const char *a, size_t n, const char *b, size_t m)
{
    return n == m && memcmp(a, b, n) == 0;
}

/* Whether both tokens mean the same. false: out of memory. */
static bool compare_tokens(bool *same, struct json_span a, struct json_span b)
{
    struct buffer one, other;
    bool ok = true;

    *same = same_bytes(a.data, a.len, b.data, b.len);
    /* No escape is longer than six bytes. */
    if (*same || !scan_is_string(a) || !scan_is_string(b) || a.len / 6 > b.len || b.len / 6 > a.len)
        return true;
    buffer_init(&one, BUFFER_NO_LIMIT);
    buffer_init(&other, BUFFER_NO_LIMIT);
    ok = scan_unescape(&one, a) && scan_unescape(&other, b);
    *same = ok && one.len && same_bytes(one.data, one.len, other.data, other.len);
    buffer_free(&one);
    buffer_free(&other);
    return ok;
}

enum likeness { DIFFERENT, SAME, LONGER };

/* What the second whole value is to the first; over with the first difference. *rest: of a longer one, what it has
 * beyond. false: out of memory. */
static bool compare(enum likeness *like, struct json_span *rest, const struct buffer *one,
                    const char *other, size_t len)
{
    struct json_span a = scan_trim(one->data, one->len);
    struct json_span b = scan_trim(other, len);
    bool same = true;

    while (a.len && b.len && same) {
        struct json_span x = token(a), y = token(b);

        if (!compare_tokens(&same, x, y))
            return false;
        if (same) {
            a = skip(a, x.len);
            b = skip(b, y.len);
        }
    }
    *like = a.len == 0 && b.len == 0                ? SAME
            : a.len == 1 && b.len && *b.data == ',' ? LONGER
                                                    : DIFFERENT;
    *rest = b;
    return true;
}

int32_t tool_arguments_are(bool *same, const struct tool_arguments *a, const char *piece,
                           size_t len, inf_error *err)
{
    enum likeness like = DIFFERENT;
    struct json_span rest;

    *same = tool_arguments_say_nothing(a) && tool_arguments_is_nothing(piece, len);
    if (*same || !a->whole || a->again.len || !tool_arguments_is_whole(piece, len))
        return INF_OK;
    if (!compare(&like, &rest, &a->text, piece, len))
        return error_no_memory(err);
    *same = like == SAME;
    return INF_OK;
}

/* ------------------------------------------------------------------ in */

static int32_t append(struct buffer *out, size_t others, const char *piece, size_t len,
                      inf_error *err)
{
    if (len > TOOL_CALL_BYTES_MAX - others || out->len > TOOL_CALL_BYTES_MAX - others - len)
        return error_set_detail(err, INF_ERROR_LIMIT, TOOL_CALL_BYTES_MAX,
                                "a tool call is longer than %d bytes", TOOL_CALL_BYTES_MAX);
    return buffer_append(out, piece, len) ? INF_OK : error_no_memory(err);
}

/* Whether each piece holds the one before, up to this one. */
static void compare_to_last(struct tool_arguments *a, const char *piece, size_t len)
{
    size_t last = a->text.len - a->last;

    if (a->text.len == 0)
        return;
    a->steps = a->steps || len < last || memcmp(piece, a->text.data + a->last, last) != 0;
    a->longer = !a->steps;
}

static int32_t add_first(struct tool_arguments *a, const char *piece, size_t len, inf_error *err)
{
    bool blank = is_blank(piece, len);
    int32_t code = INF_OK;

    if (is_null(a->text.data, a->text.len) && !blank) {
        buffer_clear(&a->text);
        a->progress = (struct json_progress){0};
        a->longer = a->steps = false;
    }
    if (!blank)
        compare_to_last(a, piece, len);
    if (a->text.len == 0 && blank)
        return INF_OK;
    if (a->text.len == 0)
        a->first = len;
    if (!blank)
        a->last = a->text.len;
    code = append(&a->text, 0, piece, len, err);
    if (code == INF_OK && follow(&a->progress, &a->text, len)) {
        a->whole = true;
        a->longer = false;
        a->progress = (struct json_progress){0};
    }
    return code;
}

/* The text is followed by the rest of one that goes on from it: its last bracket gives way. */
static int32_t go_on(struct tool_arguments *a, struct json_span rest, inf_error *err)
{
    struct json_span text = scan_trim(a->text.data, a->text.len);

    if (a->closed)
        return INF_OK;
    a->text.len = (size_t)(text.data - a->text.data) + text.len - 1;
    return append(&a->text, a->again.len, rest.data, rest.len, err);
}

/* Two whole values: the second is the first once more, or goes on from it, or is what the first stood for, or
 * nothing. When it is neither it stays behind the first, in pieces as a model writes them; one that came in one
 * piece is the first in other words: so come values that are said again. */
static int32_t settle(struct tool_arguments *a, bool one_piece, inf_error *err)
{
    struct buffer *text = &a->text, *again = &a->again, swapped = *text;
    struct json_span rest = {NULL, 0};
    enum likeness like = SAME;
    int32_t code = INF_OK;

    if (is_empty(text->data, text->len) && !a->closed && !is_empty(again->data, again->len)) {
        *text = *again;
        *again = swapped;
    } else if (!is_empty(again->data, again->len) &&
               !compare(&like, &rest, text, again->data, again->len)) {
        return error_no_memory(err);
    }
    a->progress = (struct json_progress){.hopeless = like == DIFFERENT && !one_piece};
    if (a->progress.hopeless)
        return INF_OK;
    if (like == LONGER)
        code = go_on(a, rest, err);
    buffer_clear(again);
    return code;
}

static int32_t add_more(struct tool_arguments *a, const char *piece, size_t len, inf_error *err)
{
    bool one_piece = a->again.len == 0;
    int32_t code = INF_OK;

    if (one_piece && (is_blank(piece, len) || is_null(piece, len)))
        return INF_OK;
    code = append(&a->again, a->text.len, piece, len, err);
    if (code == INF_OK && follow(&a->progress, &a->again, len))
        code = settle(a, one_piece, err);
    return code;
}

int32_t tool_arguments_add(struct tool_arguments *a, const char *piece, size_t len, inf_error *err)
{
    if (len == 0)
        return INF_OK;
    return a->whole ? add_more(a, piece, len, err) : add_first(a, piece, len, err);
}

/* ------------------------------------------------------------------ out */

/* Each piece held the one before, and the last holds all. */
static bool is_ever_longer(const struct tool_arguments *a)
{
    return !a->whole && a->longer &&
           tool_arguments_is_whole(a->text.data + a->last, a->text.len - a->last);
}

/* The beginning of the text, said again: the stream ended in the middle of it. */
static bool is_cut_copy(const struct tool_arguments *a)
{
    struct json_span text = scan_trim(a->text.data, a->text.len);
    struct json_span again = scan_trim(a->again.data, a->again.len);

    return again.len <= text.len && memcmp(text.data, again.data, again.len) == 0;
}

/* Nothing but a bracket so far, or the beginning of null. */
static bool may_say_nothing(const char *text, size_t len)
{
    struct json_span t = scan_trim(text, len);

    return tool_arguments_is_nothing(text, len) ||
           (t.len <= 4 && memcmp(t.data, "null", t.len) == 0) ||
           (t.len == 1 && (*t.data == '{' || *t.data == '['));
}

size_t tool_arguments_settled(struct tool_arguments *a, bool ended)
{
    struct json_span text = scan_trim(a->text.data, a->text.len);
    size_t all = a->text.len;

    if (all == 0)
        return 0;
    a->closed = a->closed || (ended && a->whole && a->again.len == 0);
    if (!a->closed && may_say_nothing(a->text.data, all))
        return 0;
    if (a->whole && !a->closed)
        return (size_t)(text.data - a->text.data) + text.len - 1;
    if (!a->longer)
        return all;
    return may_say_nothing(a->text.data, a->first) ? 0 : a->first;
}

bool tool_arguments_append(struct buffer *out, const struct tool_arguments *a)
{
    const struct buffer *text = &a->text, *again = &a->again;

    if (is_ever_longer(a))
        return buffer_append(out, text->data + a->last, text->len - a->last);
    if (again->len && !a->closed && is_empty(text->data, text->len))
        return buffer_append(out, again->data, again->len);
    if (text->len && !buffer_append(out, text->data, text->len))
        return false;
    return again->len == 0 || is_cut_copy(a) || buffer_append(out, again->data, again->len);
}
