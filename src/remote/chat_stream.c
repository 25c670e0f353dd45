/* chat_stream: see the header. */
#include "remote/chat_stream.h"

#include "core/memory.h"
#include "core/utf8.h"
#include "remote/chat_words.h"
#include "remote/server_error.h"

#include <string.h>

/* Of a refusal; what does not fit a message is not kept. */
#define REFUSAL_MAX 2048

void chat_stream_init(struct chat_stream *s, int32_t dialect)
{
    *s = (struct chat_stream){.dialect = dialect, .prompt_tokens = -1, .completion_tokens = -1};
    chat_text_init(&s->text);
    chat_text_init(&s->reasoning);
    buffer_init(&s->scratch, (size_t)4 * CHAT_EVENT_MAX);
    buffer_init(&s->refusal, REFUSAL_MAX);
    chat_frame_init(&s->frame);
    logprob_list_init(&s->logprobs, (size_t)16 * LOGPROBS_MAX);
}

void chat_stream_free(struct chat_stream *s)
{
    buffer_free(&s->text.out);
    buffer_free(&s->reasoning.out);
    buffer_free(&s->scratch);
    buffer_free(&s->refusal);
    buffer_free(&s->frame.around);
    tool_calls_free(&s->tool_calls);
    logprob_list_free(&s->logprobs);
}

static int32_t broken(inf_error *err, const char *why)
{
    return error_set(err, INF_ERROR_PROTOCOL, "the server's answer breaks the protocol: %s", why);
}

/* A count, 0 when it was not told. */
static int64_t known(int64_t count)
{
    return count > 0 ? count : 0;
}

/* ------------------------------------------------------------------ text */

/* pushed: false where there was no memory for it. */
static int32_t check_text(const struct chat_stream *s, bool pushed, inf_error *err)
{
    if (!pushed)
        return error_no_memory(err);
    if (s->text.len + s->reasoning.len <= CHAT_TEXT_MAX)
        return INF_OK;
    return error_set_detail(err, INF_ERROR_LIMIT, CHAT_TEXT_MAX,
                            "the server's text is longer than %d bytes; ask for fewer tokens",
                            CHAT_TEXT_MAX);
}

static int32_t take_string(struct chat_stream *s, struct chat_text *t, struct json_span string,
                           inf_error *err)
{
    const char *text = string.data + 1;
    size_t len = string.len - 2;

    if (len == 0)
        return INF_OK;
    s->text_chunks++;
    if (memchr(text, '\\', len)) {
        buffer_clear(&s->scratch);
        if (!scan_unescape(&s->scratch, string))
            return error_no_memory(err);
        text = s->scratch.data;
        len = s->scratch.len;
    }
    return check_text(s, chat_text_push(t, text, len), err);
}

static int32_t take_text(struct chat_stream *s, struct chat_text *t, struct json_span value,
                         inf_error *err)
{
    if (scan_is_none(value))
        return INF_OK;
    if (!scan_is_string(value))
        return broken(err,
                      t == &s->text ? "the content is no string" : "the reasoning is no string");
    return take_string(s, t, value, err);
}

/* A text, or a list of parts that hold texts. */
static int32_t take_content(struct chat_stream *s, struct json_span content, inf_error *err)
{
    struct json_span part, text;
    struct json_walk w;
    int32_t code = INF_OK;

    if (!scan_array(&w, content))
        return take_text(s, &s->text, content, err);
    while (code == INF_OK && scan_next_item(&w, &part)) {
        text = scan_is_string(part) ? part : scan_member(part, "text");
        code = scan_is_string(text) ? take_string(s, &s->text, text, err)
                                    : broken(err, "a part of the content is no text");
    }
    return code;
}

/* What a text, or a list of parts, means, into the empty *out. */
static int32_t read_whole(struct chat_stream *s, struct buffer *out, struct json_span content,
                          inf_error *err)
{
    struct json_span part, text;
    struct json_walk w;
    bool ok = true;

    buffer_clear(&s->scratch);
    if (scan_is_string(content))
        ok = scan_unescape(&s->scratch, content);
    scan_array(&w, content);
    while (ok && scan_next_item(&w, &part)) {
        text = scan_is_string(part) ? part : scan_member(part, "text");
        ok = !scan_is_string(text) || scan_unescape(&s->scratch, text);
    }
    if (s->scratch.len && ok)
        ok = text_join_all(out, s->scratch.data, s->scratch.len);
    return ok ? INF_OK : error_no_memory(err);
}

/* A text that stands elsewhere than in a delta. Where deltas have brought text it may be that text as a
 * whole; beside a delta that says something (`beside`) it can be nothing else. */
static int32_t take_elsewhere(struct chat_stream *s, struct chat_text *t, struct json_span content,
                              bool beside, inf_error *err)
{
    struct buffer whole;
    bool again = false;
    int32_t code = INF_OK;

    buffer_init(&whole, BUFFER_NO_LIMIT);
    if (t->in_deltas)
        code = read_whole(s, &whole, content, err);
    again = code == INF_OK && chat_text_begins(t, &whole);
    if (again) {
        s->text_chunks += whole.len > t->len;
        code = check_text(s, chat_text_push_rest(t, &whole), err);
    }
    buffer_free(&whole);
    if (code != INF_OK || again || beside)
        return code;
    return t == &s->text ? take_content(s, content, err) : take_text(s, t, content, err);
}

/* ------------------------------------------------------------------ what both dialects share */

static const struct {
    const char *word;
    int32_t finish;
} finishes[] = {{"stop", INF_FINISH_STOP},
                {"length", INF_FINISH_LENGTH},
                {"tool_calls", INF_FINISH_TOOL_CALLS},
                {"function_call", INF_FINISH_TOOL_CALLS},
                {"content_filter", INF_FINISH_CONTENT_FILTER}};

static void set_finish(struct chat_stream *s, const char *word)
{
    size_t n = strlen(word);

    s->finished = true;
    s->finish = INF_FINISH_OTHER;
    for (size_t i = 0; i < sizeof finishes / sizeof *finishes; i++)
        if (strcmp(finishes[i].word, word) == 0)
            s->finish = finishes[i].finish;
    if (n >= sizeof s->finish_reason)
        n = sizeof s->finish_reason - 1;
    memcpy(s->finish_reason, word, n);
    s->finish_reason[n] = '\0';
}

static int32_t take_finish(struct chat_stream *s, struct json_span reason, inf_error *err)
{
    char word[sizeof s->finish_reason] = "";
    size_t n = 0;

    if (words_say_nothing(reason))
        return INF_OK;
    if (!scan_is_string(reason))
        return broken(err, "the finish reason is no string");
    buffer_clear(&s->scratch);
    if (!text_join_json(&s->scratch, reason))
        return error_no_memory(err);
    n = s->scratch.len < sizeof word ? s->scratch.len : sizeof word - 1;
    while (n && n < s->scratch.len && utf8_goes_on(s->scratch.data[n]))
        n--; /* cut between code points */
    if (n)
        memcpy(word, s->scratch.data, n);
    if (strcmp(word, "error") == 0 || strcmp(word, "abort") == 0)
        return error_set(err, INF_ERROR_BACKEND,
                         "the server gave the request up in the middle (finish reason \"%s\"); its "
                         "log says why",
                         word);
    set_finish(s, word);
    return INF_OK;
}

/* It holds no answer: an error in some form, or something that keeps the connection alive. */
static int32_t take_other(struct chat_stream *s, struct json_span object, inf_error *err)
{
    inf_error mine = {0};

    if (!s->whole && !words_tell_failure(object)) {
        server_error_words(s->said, sizeof s->said, object);
        return INF_OK;
    }
    if (server_error_in_stream(object, &mine) == INF_ERROR_PROTOCOL && !s->whole)
        return INF_OK;
    return error_copy(err, &mine);
}

/* Counts are whole numbers that an int holds, their sum too. */
static int32_t take_count(int64_t *count, struct json_span value, inf_error *err)
{
    int64_t told = 0;

    if (scan_is_none(value))
        return INF_OK;
    if (!scan_integer(value, &told) || told < 0 || told > INT32_MAX)
        return broken(err, "a token count is no number of tokens");
    *count = told;
    return INF_OK;
}

static int32_t take_counts(struct chat_stream *s, struct json_span prompt,
                           struct json_span completion, inf_error *err)
{
    int32_t code = take_count(&s->prompt_tokens, prompt, err);

    if (code == INF_OK)
        code = take_count(&s->completion_tokens, completion, err);
    if (code == INF_OK && known(s->prompt_tokens) + known(s->completion_tokens) > INT32_MAX)
        code = broken(err, "a token count is no number of tokens");
    return code;
}

/* ------------------------------------------------------------------ /v1/chat/completions */

static int32_t take_usage(struct chat_stream *s, struct json_span usage, inf_error *err)
{
    if (scan_is_none(usage))
        return INF_OK;
    if (!scan_is_object(usage))
        return broken(err, "the usage is no object");
    return take_counts(s, scan_member(usage, "prompt_tokens"),
                       scan_member(usage, "completion_tokens"), err);
}

/* A model may say that it will not answer in a field of its own: what came is no answer. */
static int32_t take_refusal(struct chat_stream *s, struct json_span refusal, inf_error *err)
{
    if (scan_is_none(refusal))
        return INF_OK;
    if (!scan_is_string(refusal))
        return broken(err, "the refusal is no string");
    if (refusal.len == 2)
        return INF_OK;
    s->refused = true;
    buffer_clear(&s->scratch);
    if (!scan_unescape(&s->scratch, refusal))
        return error_no_memory(err);
    if (s->scratch.len <= REFUSAL_MAX - s->refusal.len &&
        !buffer_append(&s->refusal, s->scratch.data, s->scratch.len))
        return error_no_memory(err);
    return INF_OK;
}

static int32_t refusal_error(struct chat_stream *s, inf_error *err)
{
    buffer_clear(&s->scratch);
    if (!text_join_all(&s->scratch, s->refusal.data ? s->refusal.data : "", s->refusal.len))
        return error_no_memory(err);
    return error_set(err, INF_ERROR_BACKEND, "the model refused to answer: %.*s",
                     (int)s->scratch.len, s->scratch.data ? s->scratch.data : "");
}

/* The members of a delta or a message. */
struct members {
    struct json_span content, reasoning, tools, function, refusal;
};

static bool says_text(struct json_span content)
{
    return !scan_is_none(content) && content.len > 2;
}

/* The text of a chunk that says nothing else, and whose like can be taken without reading it. */
static struct json_span only_text_of(const struct chat_stream *s, const struct members *d,
                                     struct json_span message, struct json_span text)
{
    struct json_span from = scan_is_none(text) ? d->content : text;
    bool one = scan_is_none(text) || (scan_is_none(d->content) && !s->text.in_deltas);

    if (!one || !scan_is_string(from) || !scan_is_none(message) || !scan_is_none(d->reasoning) ||
        !scan_is_none(d->tools) || !scan_is_none(d->function) || !scan_is_none(d->refusal))
        return (struct json_span){0};
    return from;
}

static int32_t read_members(struct members *m, struct json_span from, inf_error *err)
{
    struct json_span key, value;
    struct json_walk w;

    *m = (struct members){0};
    if (!scan_object(&w, from) && !scan_is_none(from))
        return broken(err, "a delta is no object");
    while (scan_next_member(&w, &key, &value))
        if (scan_equals(key, "content"))
            m->content = value;
        else if (scan_equals(key, "tool_calls"))
            m->tools = value;
        else if (scan_equals(key, "function_call"))
            m->function = value;
        else if (scan_equals(key, "refusal"))
            m->refusal = value;
        else if ((scan_equals(key, "reasoning") || scan_equals(key, "reasoning_content")) &&
                 (scan_is_none(m->reasoning) || !scan_is_none(value)))
            m->reasoning = value; /* older servers say it under both names: once is enough */
    return INF_OK;
}

static int32_t take_calls(struct chat_stream *s, const struct members *m, enum tool_form form,
                          inf_error *err)
{
    int32_t code = INF_OK;

    if (!scan_is_none(m->function))
        code = tool_calls_add_function(&s->tool_calls, m->function, err);
    return code == INF_OK && !scan_is_none(m->tools)
               ? tool_calls_add(&s->tool_calls, m->tools, form, err)
               : code;
}

static int32_t take_delta(struct chat_stream *s, const struct members *d, inf_error *err)
{
    int32_t code = take_text(s, &s->reasoning, d->reasoning, err);

    s->reasoning.in_deltas = s->reasoning.in_deltas || !words_say_nothing(d->reasoning);
    if (code == INF_OK)
        code = take_content(s, d->content, err);
    s->text.in_deltas = s->text.in_deltas || says_text(d->content);
    if (code == INF_OK)
        code = take_refusal(s, d->refusal, err);
    return code == INF_OK ? take_calls(s, d, TOOL_PIECES, err) : code;
}

/* d: the delta beside it, of which it may be the whole. */
static int32_t take_message_of(struct chat_stream *s, struct members *m, const struct members *d,
                               inf_error *err)
{
    int32_t code = take_elsewhere(s, &s->reasoning, m->reasoning, says_text(d->reasoning), err);

    if (code == INF_OK)
        code = take_elsewhere(s, &s->text, m->content, says_text(d->content), err);
    if (code == INF_OK && !words_say_nothing(m->refusal)) {
        buffer_clear(&s->refusal);
        code = take_refusal(s, m->refusal, err);
    }
    if (!words_say_nothing(d->tools))
        m->tools = (struct json_span){0};
    if (!words_say_nothing(d->function))
        m->function = (struct json_span){0};
    return code == INF_OK ? take_calls(s, m, TOOL_MESSAGE, err) : code;
}

/* text: what an older form of chunk has in place of a delta. */
static int32_t take_said(struct chat_stream *s, struct json_span delta, struct json_span message,
                         struct json_span text, inf_error *err)
{
    struct members d, m;
    bool beside = false;
    int32_t code = read_members(&d, delta, err);

    if (code == INF_OK)
        code = read_members(&m, message, err);
    if (code == INF_OK)
        code = take_delta(s, &d, err);
    if (code == INF_OK)
        code = take_message_of(s, &m, &d, err);
    if (code != INF_OK)
        return code;
    beside = says_text(d.content) || says_text(m.content);
    s->only_text = only_text_of(s, &d, message, text);
    return take_elsewhere(s, &s->text, text, beside, err);
}

static int32_t take_logprobs(struct chat_stream *s, struct json_span logprobs, inf_error *err)
{
    if (scan_is_none(logprobs))
        return INF_OK;
    if (!scan_is_object(logprobs))
        return broken(err, "the log-probabilities are no object");
    logprobs = scan_member(logprobs, "content");
    return scan_is_none(logprobs) ? INF_OK : logprobs_add(&s->logprobs, logprobs, err);
}

static int32_t too_many(inf_error *err)
{
    return broken(err, "it holds more answers than the one that was asked for");
}

static int32_t take_choice(struct chat_stream *s, struct json_span choice, inf_error *err)
{
    struct json_span delta = {0}, message = {0}, text = {0};
    struct json_span logprobs = {0}, finish = {0}, index = {0};
    struct json_span key, value;
    struct json_walk w;
    int64_t number = 0;
    int32_t code = INF_OK;

    if (!scan_object(&w, choice))
        return broken(err, "a choice is no object");
    while (scan_next_member(&w, &key, &value))
        if (scan_equals(key, "delta"))
            delta = value;
        else if (scan_equals(key, "message"))
            message = value;
        else if (scan_equals(key, "text"))
            text = value;
        else if (scan_equals(key, "logprobs"))
            logprobs = value;
        else if (scan_equals(key, "finish_reason"))
            finish = value;
        else if (scan_equals(key, "index"))
            index = value;
    if (!scan_is_none(index) && (!scan_integer(index, &number) || number != 0))
        return too_many(err);
    if (scan_is_none(text) && scan_is_object(delta))
        text = scan_member(delta, "text");
    code = take_said(s, delta, message, text, err);
    if (!scan_is_none(logprobs) || !words_say_nothing(finish))
        s->only_text = (struct json_span){0};
    if (code == INF_OK)
        code = take_logprobs(s, logprobs, err);
    return code == INF_OK ? take_finish(s, finish, err) : code;
}

static int32_t take_chunk(struct chat_stream *s, struct json_span chunk, inf_error *err)
{
    struct json_span choices = {0}, usage = {0}, error = {0}, object = {0};
    struct json_span key, value;
    struct json_walk w;
    int n_choices = 0;
    int32_t code = INF_OK;

    scan_object(&w, chunk);
    while (scan_next_member(&w, &key, &value))
        if (scan_equals(key, "choices"))
            choices = value;
        else if (scan_equals(key, "usage"))
            usage = value;
        else if (scan_equals(key, "error"))
            error = value;
        else if (scan_equals(key, "object"))
            object = value;
    if (!words_say_nothing(error) || scan_equals(object, "error"))
        return server_error_in_stream(chunk, err);
    if (scan_is_none(choices) && scan_is_none(usage))
        return take_other(s, chunk, err);
    if (!scan_array(&w, choices) && !scan_is_none(choices))
        return broken(err, "the choices are no list");
    code = take_usage(s, usage, err); /* first: the text goes out with the count it brings */
    while (code == INF_OK && scan_next_item(&w, &value))
        if (!scan_is_none(value))
            code = n_choices++ == 0 ? take_choice(s, value, err) : too_many(err);
    if (!scan_is_none(usage) || n_choices != 1)
        s->only_text = (struct json_span){0};
    return code;
}

static int32_t take_completions(struct chat_stream *s, const char *data, size_t len,
                                struct json_span chunk, inf_error *err)
{
    int32_t code = INF_OK;

    s->only_text = (struct json_span){0};
    code = take_chunk(s, chunk, err);
    if (code == INF_OK && s->only_text.data)
        chat_frame_learn(&s->frame, data, len, s->only_text);
    return code;
}

/* ------------------------------------------------------------------ Ollama's /api/chat */

static int32_t take_message(struct chat_stream *s, struct json_span message, inf_error *err)
{
    struct json_span tools = scan_member(message, "tool_calls");
    int32_t code = INF_OK;

    if (!scan_is_none(message) && !scan_is_object(message))
        return broken(err, "the message is no object");
    code = take_text(s, &s->reasoning, scan_member(message, "thinking"), err);
    if (code == INF_OK)
        code = take_text(s, &s->text, scan_member(message, "content"), err);
    return code == INF_OK && !scan_is_none(tools)
               ? tool_calls_add(&s->tool_calls, tools, TOOL_NATIVE, err)
               : code;
}

static int32_t take_last(struct chat_stream *s, struct json_span line, inf_error *err)
{
    struct json_span reason = scan_member(line, "done_reason");
    int32_t code = take_counts(s, scan_member(line, "prompt_eval_count"),
                               scan_member(line, "eval_count"), err);

    if (code == INF_OK)
        code = take_finish(s, reason, err);
    if (code != INF_OK)
        return code;
    s->done = true;
    if (!s->finished)
        return broken(err, "the last line has no done_reason");
    if (s->tool_calls.n && s->finish == INF_FINISH_STOP)
        set_finish(s, "tool_calls"); /* as /v1 says it */
    return INF_OK;
}

static int32_t take_line(struct chat_stream *s, struct json_span line, inf_error *err)
{
    struct json_span error = scan_member(line, "error");
    struct json_span message = scan_member(line, "message");
    struct json_span done = scan_member(line, "done");
    struct json_span logprobs = scan_member(line, "logprobs");
    int32_t code = INF_OK;

    if (!words_say_nothing(error))
        return server_error_in_stream(line, err);
    if (scan_is_none(done) && !scan_is_object(message) && !scan_is_array(message))
        return take_other(s, line, err);
    code = scan_is_none(message) ? take_text(s, &s->text, scan_member(line, "response"), err)
                                 : take_message(s, message, err);
    if (code == INF_OK && !scan_is_none(logprobs))
        code = logprobs_add(&s->logprobs, logprobs, err);
    return code == INF_OK && scan_is_true(done) ? take_last(s, line, err) : code;
}

/* ------------------------------------------------------------------ in and out */

int32_t chat_stream_event(struct chat_stream *s, const char *data, size_t len, inf_error *err)
{
    struct json_span value;

    if (s->done)
        return broken(err, "something follows its end");
    if (chat_frame_fits(&s->frame, data, len, &value))
        return take_string(s, &s->text, value, err);
    value = scan_trim(data, len);
    data = value.data;
    len = value.len;
    if (len == 0)
        return INF_OK;
    if (words_end(data, len)) {
        s->done = true;
        return s->finished && !s->refused ? INF_OK : chat_stream_end(s, err);
    }
    if (words_keep_alive(data, len) && !s->whole)
        return INF_OK;
    if (!scan_json(&value, data, len))
        return error_set(err, INF_ERROR_PROTOCOL,
                         "the server's answer breaks the protocol: no JSON: %.*s",
                         len < 120 ? (int)len : 120, data);
    if (!scan_is_object(value))
        return broken(err, "a chunk is no JSON object");
    return s->dialect == CHAT_OLLAMA ? take_line(s, value, err)
                                     : take_completions(s, data, len, value, err);
}

int32_t chat_stream_end(struct chat_stream *s, inf_error *err)
{
    bool ended = chat_text_end(&s->reasoning) && chat_text_end(&s->text);
    int32_t code = check_text(s, ended, err);

    if (code != INF_OK)
        return code;
    if (!s->finished)
        return error_set(err, INF_ERROR_PROTOCOL,
                         "the stream ended before its finish reason; the text so far is kept%s%s",
                         s->said[0] ? "; the server's last words: " : "", s->said);
    return s->refused ? refusal_error(s, err) : INF_OK;
}

int32_t chat_stream_fill(struct chat_stream *s, struct op_output *out, bool wants_logprobs,
                         inf_error *err)
{
    int32_t code = INF_OK;

    out->prompt_tokens = s->finished ? s->prompt_tokens : known(s->prompt_tokens);
    out->completion_tokens = s->completion_tokens;
    /* A stream cut short may have told no count: each of its chunks was a token at least. */
    if (s->completion_tokens < 0 && !s->finished)
        out->completion_tokens = s->text_chunks;
    if (s->finished) {
        out->finish = s->finish;
        mem_free(out->finish_reason);
        out->finish_reason = mem_strdup(s->finish_reason);
        if (!out->finish_reason)
            return error_no_memory(err);
    }
    if (!out->tool_calls)
        code = tool_calls_json(&out->tool_calls, &s->tool_calls, err);
    if (code == INF_OK && s->logprobs.n && !out->logprobs)
        code = logprob_list_fill(&s->logprobs, out, err);
    if (code == INF_OK && wants_logprobs && s->finished && s->text_chunks && !s->logprobs.n)
        code = error_set(err, INF_ERROR_UNSUPPORTED,
                         "the server sent no log-probabilities, although the request asked for "
                         "them; leave logprobs unset, or use a newer server");
    return code;
}
