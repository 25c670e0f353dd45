/*
 * answer: the head and the body of an answer as libcurl gives them, a piece at a time: noted, checked
 * against the caps, handed to the owner. I/O thread only, inside libcurl's callbacks: nothing here
 * may call libcurl's multi interface.
 */
#include "http/internal.h"

#include "core/ascii.h"
#include "core/memory.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define HEAD_MAX ((size_t)64 << 10)
#define LOCATION_MAX 1024
#define DRAIN_MAX ((size_t)64 << 10)

void exchange_forget_answer(struct http_exchange *x)
{
    x->status = 0;
    x->head_done = false;
    x->head_bytes = 0;
    x->retry_after_ms = -1;
    x->content_type[0] = '\0';
    x->error = (inf_error){0};
    mem_free(x->location);
    x->location = NULL;
    buffer_clear(&x->answer);
}

bool exchange_is_good(const struct http_exchange *x)
{
    return x->status >= 200 && x->status < 300;
}

/* The value of the field when the line is one of that name (in lower case); *n is its length. */
static const char *field(const char *line, size_t *n, const char *name)
{
    size_t m = strlen(name);
    size_t end = *n;

    if (end <= m || line[m] != ':' || strncasecmp(line, name, m) != 0)
        return NULL;
    for (m++; m < end && (line[m] == ' ' || line[m] == '\t'); m++)
        ;
    while (end > m && (line[end - 1] == '\r' || line[end - 1] == '\n' || line[end - 1] == ' ' ||
                       line[end - 1] == '\t'))
        end--;
    *n = end - m;
    return line + m;
}

static void note_content_type(struct http_exchange *x, const char *value, size_t n)
{
    size_t i = 0;

    for (; i < n && i + 1 < sizeof x->content_type && value[i] != ';' && value[i] != ' '; i++)
        x->content_type[i] = (char)(value[i] >= 'A' && value[i] <= 'Z' ? value[i] - 'A' + 'a'
                                                                       : value[i]);
    x->content_type[i] = '\0';
}

/* Thousandths of a decimal number like "1.5"; -1: it is none, or absurd. */
static int64_t thousandths(const char *text)
{
    int64_t value = 0;
    int64_t place = 1000;
    const char *p = text;

    for (; is_digit(*p) && value < 1000000000; p++)
        value = value * 10 + (*p - '0');
    value *= 1000;
    if (p > text && *p == '.') {
        for (p++; is_digit(*p) && place > 1; p++) {
            place /= 10;
            value += (*p - '0') * place;
        }
    }
    return p > text && *p == '\0' ? value : -1;
}

/* Milliseconds, or (unit 1000) seconds or a date. */
static void note_retry_after(struct http_exchange *x, const char *value, size_t n, int64_t unit)
{
    char text[64];
    int64_t number = 0;
    time_t when = 0;

    if (n == 0 || n >= sizeof text || (x->retry_after_ms >= 0 && unit == 1000))
        return;
    memcpy(text, value, n);
    text[n] = '\0';
    number = thousandths(text);
    if (number >= 0) {
        x->retry_after_ms = unit == 1000 ? number : number / 1000;
        return;
    }
    when = curl_getdate(text, NULL);
    if (when >= 0 && when >= time(NULL))
        x->retry_after_ms = (int64_t)(when - time(NULL)) * 1000;
}

static bool note_field(struct http_exchange *x, const char *line, size_t n)
{
    char what[FAILURE_WHAT];
    const char *value = NULL;
    size_t length = n;

    switch (line[0] | 0x20) {
    case 'c':
        if ((value = field(line, &length, "content-type"))) {
            note_content_type(x, value, length);
        } else if ((value = field(line, &length, "content-encoding"))) {
            if (length != 0 && !(length == 8 && strncasecmp(value, "identity", 8) == 0)) {
                error_set(&x->error, INF_ERROR_PROTOCOL,
                          "%s: the answer is compressed (%.*s), which was not asked for",
                          failure_what(what, sizeof what, x), (int)(length < 40 ? length : 40),
                          value);
                return false;
            }
        }
        break;
    case 'l':
        if ((value = field(line, &length, "location")) && !x->location)
            x->location = mem_strndup(value, length < LOCATION_MAX ? length : LOCATION_MAX);
        break;
    case 'r':
        if ((value = field(line, &length, "retry-after-ms"))) {
            x->retry_after_ms = -1;
            note_retry_after(x, value, length, 1);
        } else if ((value = field(line, &length, "retry-after"))) {
            note_retry_after(x, value, length, 1000);
        }
        break;
    default:
        break;
    }
    return true;
}

/* What a callback returned, when that ends the exchange. */
static bool owner_failed(struct http_exchange *x, int32_t code)
{
    if (x->error.code == INF_OK)
        error_set(&x->error, code, "%s", inf_error_text(code));
    x->error.code = code;
    return false;
}

static bool head_complete(struct http_exchange *x)
{
    const struct http_head head = {.status = x->status, .content_type = x->content_type};
    int32_t code = INF_OK;

    if (x->status < 200)
        return true;
    x->head_done = true;
    if (exchange_is_good(x) && x->asked.callbacks->on_head)
        code = x->asked.callbacks->on_head(x->asked.owner, &head, &x->error);
    return code == INF_OK || owner_failed(x, code);
}

bool exchange_header(struct http_exchange *x, const char *line, size_t n)
{
    char what[FAILURE_WHAT];
    size_t at = 0;

    x->head_bytes += n;
    if (x->head_bytes > HEAD_MAX) {
        error_set_detail(&x->error, INF_ERROR_PROTOCOL, (int64_t)HEAD_MAX,
                         "%s: the head of the answer is longer than 64 KiB",
                         failure_what(what, sizeof what, x));
        return false;
    }
    if (x->head_done) /* trailers */
        return true;
    if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
        while (at < n && line[at] != ' ')
            at++;
        x->status = 0;
        for (at++; at < n && is_digit(line[at]) && x->status < 1000; at++)
            x->status = x->status * 10 + (line[at] - '0');
        x->content_type[0] = '\0';
        return true;
    }
    if (n == 0 || line[0] == '\r' || line[0] == '\n')
        return head_complete(x);
    return note_field(x, line, n);
}

/* An error's body is kept as far as it is of use; the rest is not waited for. */
static bool error_body(struct http_exchange *x, const char *data, size_t n)
{
    size_t room = HTTP_ERROR_BODY_MAX - x->answer.len;

    if (!buffer_append(&x->answer, data, n < room ? n : room)) {
        error_no_memory(&x->error);
        return false;
    }
    return n <= room;
}

static bool whole_body(struct http_exchange *x, const char *data, size_t n)
{
    char what[FAILURE_WHAT];

    if (n > x->asked.body_max || x->answer.len > x->asked.body_max - n) {
        error_set_detail(&x->error, INF_ERROR_LIMIT, (int64_t)x->asked.body_max,
                         "%s: the answer is larger than %zu bytes",
                         failure_what(what, sizeof what, x), x->asked.body_max);
        return false;
    }
    if (!buffer_append(&x->answer, data, n)) {
        error_no_memory(&x->error);
        return false;
    }
    return true;
}

static void first_byte(struct http_exchange *x)
{
    x->phase = PHASE_BODY;
    heap_set(&x->client->deadlines, &x->deadline,
             http_earlier(x->total_due, http_after(uv_now(&x->client->loop), x->asked.silence_ms)));
}

/* Nothing may call libcurl here, and on_done may free what it works with: told a little later. */
static void had_enough(struct http_exchange *x)
{
    struct http_client *c = x->client;

    x->enough = true;
    x->error = (inf_error){0};
    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    x->next_enough = c->enough;
    c->enough = x;
}

bool exchange_body(struct http_exchange *x, const char *data, size_t n)
{
    int32_t code = INF_OK;

    if (n == 0)
        return true;
    if (!exchange_is_good(x))
        return error_body(x, data, n);
    x->last_byte = uv_now(&x->client->loop);
    if (x->enough) {
        x->drained += n;
        return x->drained <= DRAIN_MAX;
    }
    if (x->phase == PHASE_TRANSFER)
        first_byte(x);
    if (!x->asked.callbacks->on_data)
        return whole_body(x, data, n);
    x->delivered = true;
    code = x->asked.callbacks->on_data(x->asked.owner, data, n, &x->error);
    if (code == HTTP_ENOUGH) {
        had_enough(x);
        return true;
    }
    return code == INF_OK || owner_failed(x, code);
}
