/* server_error: see the header. */
#include "remote/server_error.h"

#include "remote/chat_words.h"
#include "remote/text_join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SAID_MAX = 300 };

/* ------------------------------------------------------------------ what it said */

/* What was found in a body; texts are cut, always NUL-terminated, whole code points. */
struct said {
    char text[SAID_MAX + 1];
    char param[64];
    int64_t code;
    bool json;
};

static void set_text(char *out, size_t size, const char *text, size_t len)
{
    struct text_join join = {{0}, 0};
    struct buffer whole;
    size_t n = 0;

    buffer_init(&whole, BUFFER_NO_LIMIT);
    /* What does not fit is not even looked at; a code point cut there is left out, and error_set
     * mends what the replacements then push over the edge. */
    if (text_join_push(&join, text, len < size ? len : size - 1, &whole))
        n = whole.len < size ? whole.len : size - 1;
    if (n)
        memcpy(out, whole.data, n);
    out[n] = '\0';
    buffer_free(&whole);
}

static void set_string(char *out, size_t size, struct json_span string)
{
    struct buffer text;

    buffer_init(&text, BUFFER_NO_LIMIT);
    if (scan_is_string(string) && scan_unescape(&text, string))
        set_text(out, size, text.data ? text.data : "", text.len);
    buffer_free(&text);
}

static void add_text(struct said *s, const char *text)
{
    size_t n = strlen(s->text);

    snprintf(s->text + n, sizeof s->text - n, "%s", text);
}

/* FastAPI's list of what is wrong with a body: [{"loc":["body","x"],"msg":"..."}]. */
static void read_details(struct said *s, struct json_span list)
{
    struct json_span item, part;
    struct json_walk w, loc;

    scan_array(&w, list);
    while (scan_next_item(&w, &item)) {
        char text[128] = "";

        add_text(s, s->text[0] ? "; " : "");
        scan_array(&loc, scan_member(item, "loc"));
        while (scan_next_item(&loc, &part)) {
            set_string(text, sizeof text, part);
            add_text(s, text);
            add_text(s, text[0] ? ": " : "");
        }
        text[0] = '\0';
        set_string(text, sizeof text, scan_member(item, "msg"));
        add_text(s, text);
    }
}

static void read_object(struct said *s, struct json_span object)
{
    struct json_span error = scan_member(object, "error");
    struct json_span detail = scan_member(object, "detail");
    struct json_span from = scan_is_object(error) ? error : object;

    set_string(s->param, sizeof s->param, scan_member(from, "param"));
    if (!scan_integer(scan_member(from, "code"), &s->code))
        s->code = 0;
    if (scan_is_string(error))
        set_string(s->text, sizeof s->text, error);
    else if (scan_is_string(scan_member(from, "message")))
        set_string(s->text, sizeof s->text, scan_member(from, "message"));
    else if (scan_is_string(detail))
        set_string(s->text, sizeof s->text, detail);
    else if (scan_is_array(detail))
        read_details(s, detail);
    else if (scan_is_object(error))
        set_string(s->text, sizeof s->text, scan_member(error, "type"));
    if (!s->text[0] && !words_say_nothing(error))
        set_text(s->text, sizeof s->text, error.data, error.len);
}

static bool looks_like_html(const char *body, size_t len)
{
    while (len && strchr(" \t\r\n", *body) && *body) {
        body++;
        len--;
    }
    return len && *body == '<';
}

static void read_body(struct said *s, const char *body, size_t len)
{
    struct json_span value;

    memset(s, 0, sizeof *s);
    s->json = len && scan_json(&value, body, len);
    if (s->json && scan_is_object(value))
        read_object(s, value);
    else if (s->json && scan_is_string(value))
        set_string(s->text, sizeof s->text, value);
    else if (looks_like_html(body, len))
        snprintf(s->text, sizeof s->text, "(a page of HTML)");
    else if (len)
        set_text(s->text, sizeof s->text, body, len);
    /* Trailing line ends of plain texts. */
    for (size_t n = strlen(s->text); n && strchr(" \r\n", s->text[n - 1]); n--)
        s->text[n - 1] = '\0';
}

static bool says(const struct said *s, const char *words)
{
    return strcasestr(s->text, words) != NULL;
}

/* ------------------------------------------------------------------ what it means */

/* The prompt fits, what max_tokens asks for beyond it does not. */
static bool max_tokens_too_large(const struct said *s)
{
    if (strcmp(s->param, "max_tokens") == 0 || strcmp(s->param, "max_completion_tokens") == 0)
        return says(s, "max_model_len") || says(s, "context length") || says(s, "too large") ||
               says(s, "greater than");
    return (says(s, "max_tokens") || says(s, "max_completion_tokens") ||
            says(s, "in the completion")) &&
           (says(s, "max_model_len") || says(s, "maximum context length") || says(s, "too large"));
}

static bool prompt_too_long(const struct said *s)
{
    if (max_tokens_too_large(s))
        return false;
    return says(s, "exceeds the context length") || says(s, "maximum context length") ||
           says(s, "longer than the maximum model length") ||
           says(s, "exceeds the maximum model length");
}

static bool routes_missing(const struct server_answer *a, const struct said *s)
{
    return (a->route == ROUTE_LOAD || a->route == ROUTE_UNLOAD) &&
           (a->status == 404 || a->status == 405) &&
           (s->text[0] == '\0' || strcasecmp(s->text, "Not Found") == 0 ||
            says(s, "page not found") || says(s, "Method Not Allowed") || says(s, "page of HTML"));
}

/* The number behind "rank " in "LoRA rank 64 is greater than max_lora_rank 16". */
static int rank_of(const struct said *s)
{
    const char *at = strcasestr(s->text, "rank ");
    long rank = at ? strtol(at + 5, NULL, 10) : 0;

    return rank > 0 && rank < 1000000 ? (int)rank : 0;
}

/* vLLM's Rust front end takes paths below some directories only; so do proxies before a server. */
static bool path_not_allowed(const struct said *s)
{
    return says(s, "ALLOWED_PATH_PREFIXES") || says(s, "allowed prefix") ||
           says(s, "path prefix") ||
           (says(s, "path") &&
            (says(s, "not allowed") || says(s, "not permitted") || says(s, "forbidden")));
}

/* What to do about a refused load that says so. */
static const struct {
    const char *says, *hint;
} load_hints[] = {
    {"max_lora_rank", "start the server with a larger --max-lora-rank"},
    {"conflicts with a served base model", "the base model has that name; choose another id"},
    {"DoRA", "train the adapter without use_dora"},
    {"prefix must exist", "VLLM_RUNTIME_LORA_ALLOWED_PATH_PREFIXES of the server names a directory "
                          "that is not there"},
    {"max_loras", "start the server with a larger --max-loras or --max-cpu-loras"},
    {"max_cpu_loras", "start the server with a larger --max-loras or --max-cpu-loras"},
};

/* Or NULL. */
static const char *load_hint(char *out, size_t size, const struct server_answer *a,
                             const struct said *s)
{
    const char *hint = NULL;

    for (size_t i = 0; i < sizeof load_hints / sizeof *load_hints && !hint; i++)
        hint = says(s, load_hints[i].says) ? load_hints[i].hint : NULL;
    if (says(s, "max_lora_rank") && rank_of(s))
        snprintf(out, size, "start the server with --max-lora-rank %d or more", rank_of(s));
    else if (says(s, "already been loaded"))
        snprintf(out, size,
                 "this program did not load it; unload it with 'inference adapters unload -p vllm "
                 "-u %s %s', or choose another id",
                 a->server->shown, a->name);
    else if (says(s, "No adapter found") || says(s, "path must exist"))
        snprintf(out, size,
                 "the server finds no adapter at %s: the path is one on the server's machine and "
                 "must hold adapter_config.json",
                 a->path);
    else if (!hint && path_not_allowed(s))
        snprintf(out, size,
                 "start the server with VLLM_RUNTIME_LORA_ALLOWED_PATH_PREFIXES set to a directory "
                 "that holds %s",
                 a->path);
    else
        return hint;
    return out;
}

static const char *chat_hint(char *out, size_t size, const struct server_answer *a,
                             const struct said *s)
{
    const char *no_model = a->server->words->no_model;

    if (max_tokens_too_large(s))
        return "lower max_tokens, or leave it unset";
    if (a->status != 404)
        return NULL;
    if (strcasecmp(s->text, "Not Found") == 0 || says(s, "page not found"))
        return a->server->words->base;
    if (no_model && says(s, "not found")) {
        snprintf(out, size, no_model, a->name, a->name);
        return out;
    }
    if (says(s, "does not exist"))
        return "name a model that the server serves; an adapter has to be loaded first";
    return s->json ? NULL : a->server->words->base;
}

/* What is a proxy's answer more likely than the server's. Or NULL. */
static const char *proxy_hint(char *out, size_t size, const struct server_answer *a)
{
    if (a->status == 407)
        snprintf(
            out, size,
            "the proxy%s%s asks for a user and password: set them in the variable that names it "
            "(http_proxy, https_proxy, all_proxy), as in http://user:password@host:port",
            a->proxy ? " " : "", a->proxy ? a->proxy : "");
    else if (a->proxy && (a->status == 502 || a->status == 503 || a->status == 504))
        snprintf(out, size,
                 "it came through the proxy %s, which may not reach the server; name the host in "
                 "no_proxy to ask it directly",
                 a->proxy);
    else
        return NULL;
    return out;
}

static const char *hint(char *out, size_t size, const struct server_answer *a, const struct said *s)
{
    const struct server_words *words = a->server->words;
    const char *loading = a->route == ROUTE_LOAD && a->status != 401 ? load_hint(out, size, a, s)
                                                                     : NULL;
    const char *of_proxy = proxy_hint(out, size, a);

    if (of_proxy)
        return of_proxy;
    if (loading)
        return loading;
    if (a->status == 401)
        return words->no_key;
    if (a->status == 403)
        return s->text[0] ? words->forbidden : words->forbidden_silently;
    if (routes_missing(a, s))
        return words->no_adapters;
    if (a->status == 429 || a->status == 503)
        return "it is busy; try again later or send fewer requests at once";
    return a->route == ROUTE_CHAT ? chat_hint(out, size, a, s) : NULL;
}

static const char *doing(const struct server_answer *a, char *out, size_t size)
{
    switch (a->route) {
    case ROUTE_LOAD:
        snprintf(out, size, " to load adapter '%.64s'", a->name);
        return out;
    case ROUTE_UNLOAD:
        snprintf(out, size, " to unload adapter '%.64s'", a->name);
        return out;
    case ROUTE_MODELS:
        return " to list its models";
    case ROUTE_VERSION:
        return " to tell its version";
    default:
        return "";
    }
}

static int32_t fill(inf_error *err, int32_t code, int32_t status)
{
    if (err)
        err->http_status = status;
    return code;
}

static int32_t too_long(const struct said *s, int32_t status, inf_error *err)
{
    error_set(err, INF_ERROR_CONTEXT_FULL, "the prompt does not fit the server's window: %s",
              s->text);
    return fill(err, INF_ERROR_CONTEXT_FULL, status);
}

int32_t server_error(const struct server_answer *answer, inf_error *err)
{
    struct server_answer a = *answer;
    char what[96], room[400];
    struct said s;
    const char *advice = NULL;

    a.name = a.name ? a.name : "";
    a.path = a.path ? a.path : "";
    read_body(&s, a.body, a.body_len);
    if (a.route == ROUTE_CHAT && prompt_too_long(&s))
        return too_long(&s, a.status, err);
    advice = hint(room, sizeof room, &a, &s);
    error_set(err, INF_ERROR_HTTP_STATUS, "%s at %s refused%s with %d%s%s%s%s",
              a.server->words->name, a.server->shown, doing(&a, what, sizeof what), a.status,
              s.text[0] ? ": " : "", s.text, advice ? "; " : "", advice ? advice : "");
    return fill(err, INF_ERROR_HTTP_STATUS, a.status);
}

struct server_answer server_answer_of(const struct server *s, int32_t route, const char *name,
                                      const struct http_outcome *outcome)
{
    return (struct server_answer){.server = s,
                                  .route = route,
                                  .status = outcome->head.status,
                                  .name = name,
                                  .proxy = outcome->proxy,
                                  .body = outcome->body,
                                  .body_len = outcome->body_len};
}

int32_t server_refusal(const struct server_answer *a, inf_error *err)
{
    return err->code == INF_ERROR_HTTP_STATUS && a->status >= 400 ? server_error(a, err)
                                                                  : err->code;
}

static int32_t failed_in_stream(const struct said *s, inf_error *err)
{
    int32_t status = s->code >= 400 && s->code < 600 ? (int32_t)s->code : 0;

    if (prompt_too_long(s))
        return too_long(s, status, err);
    error_set(err, INF_ERROR_BACKEND, "the server failed while it was answering: %s",
              s->text[0] ? s->text : "it does not say why; its log may");
    return fill(err, INF_ERROR_BACKEND, status);
}

int32_t server_error_in_stream(struct json_span object, inf_error *err)
{
    struct said s;

    read_body(&s, object.data, object.len);
    if (!s.text[0])
        return error_set(err, INF_ERROR_PROTOCOL,
                         "the server's answer breaks the protocol: neither a chunk nor an error: "
                         "%.*s",
                         object.len < 120 ? (int)object.len : 120, object.data);
    return failed_in_stream(&s, err);
}

int32_t server_error_event(const char *data, size_t len, inf_error *err)
{
    struct said s;

    read_body(&s, data, len);
    return failed_in_stream(&s, err);
}

void server_error_words(char *out, size_t size, struct json_span object)
{
    struct said s;

    read_body(&s, object.data, object.len);
    set_text(out, size, s.text, strlen(s.text));
}

bool server_error_is_max_tokens(const struct server_answer *a)
{
    struct said s;

    if (a->status != 400 && a->status != 422)
        return false;
    read_body(&s, a->body, a->body_len);
    return max_tokens_too_large(&s);
}

bool server_error_is_unknown_model(const struct server_answer *a)
{
    struct said s;

    if (a->status != 404)
        return false;
    read_body(&s, a->body, a->body_len);
    return s.json && (says(&s, "does not exist") || strcmp(s.param, "model") == 0);
}

bool server_error_is_name_taken(int32_t status, const char *body, size_t len)
{
    struct said s;

    if (status != 400 && status != 409)
        return false;
    read_body(&s, body, len);
    return says(&s, "already been loaded");
}
