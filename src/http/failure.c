/* failure: what went wrong, as an inf_error. I/O thread only. */
#include "http/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* CURLE_TOO_LARGE, which old headers do not have: a line of the head beyond what libcurl takes. */
#define TOO_LARGE 100

char *failure_what(char *out, size_t size, const struct http_exchange *x)
{
    char url[200];
    char proxy[110] = "";

    url_display(url, sizeof url, x->asked.url);
    if (x->proxy->url)
        url_display(proxy, sizeof proxy, x->proxy->url);
    snprintf(out, size, "%s %s%s%s", x->asked.method, url, *proxy ? " through the proxy " : "",
             proxy);
    return out;
}

static const char *reason(int32_t status)
{
    static const struct {
        int32_t status;
        const char *reason;
    } known[] = {{400, " Bad Request"},         {401, " Unauthorized"},
                 {403, " Forbidden"},           {404, " Not Found"},
                 {405, " Method Not Allowed"},  {407, " Proxy Authentication Required"},
                 {408, " Request Timeout"},     {409, " Conflict"},
                 {413, " Content Too Large"},   {422, " Unprocessable Content"},
                 {429, " Too Many Requests"},   {500, " Internal Server Error"},
                 {501, " Not Implemented"},     {502, " Bad Gateway"},
                 {503, " Service Unavailable"}, {504, " Gateway Timeout"}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return known[i].reason;
    return "";
}

int32_t failure_of_status(inf_error *err, const struct http_exchange *x)
{
    char what[FAILURE_WHAT];
    char to[200];

    failure_what(what, sizeof what, x);
    if (x->status >= 300 && x->status < 400 && x->location)
        error_set(err, INF_ERROR_HTTP_STATUS,
                  "%s: %d, a redirect to %s, which is not followed; use the URL that it points to",
                  what, x->status, url_display(to, sizeof to, x->location));
    else
        error_set(err, INF_ERROR_HTTP_STATUS, "%s: %d%s", what, x->status, reason(x->status));
    err->http_status = x->status;
    return err->code;
}

#define PROXY_VARIABLES "(http_proxy, https_proxy, all_proxy)"

/* The proxy was there, and answered libcurl's CONNECT with this. */
static int32_t refused_by_proxy(inf_error *err, const char *what, long status)
{
    return error_set_detail(err, INF_ERROR_CONNECTION, status,
                            "%s: the proxy refuses the connection with %ld%s; %s", what, status,
                            reason((int32_t)status),
                            status == 407 ? "give the variable that names it a user and password "
                                            "(http://user:password@host:port)"
                                          : "check that it may reach this host, or name the host "
                                            "in no_proxy");
}

static int32_t no_proxy_connection(inf_error *err, const struct http_exchange *x, long number)
{
    char url[160];
    char proxy[110];

    return error_set_detail(
        err, INF_ERROR_CONNECTION, number,
        "%s %s: no connection to the proxy %s: %s; check that it runs, or unset "
        "the variable that names it " PROXY_VARIABLES,
        x->asked.method, url_display(url, sizeof url, x->asked.url),
        url_display(proxy, sizeof proxy, x->proxy->url),
        number > 0 ? strerror((int)number) : x->transfer->error);
}

void failure_of_silent_proxy(inf_error *err, const struct http_exchange *x)
{
    char what[FAILURE_WHAT];

    error_set_detail(err, INF_ERROR_TIMEOUT, x->asked.connect_ms,
                     "%s: the proxy took the request and says nothing, nor to a request of its own "
                     "within %lld ms; check that it runs, or unset the variable that names "
                     "it " PROXY_VARIABLES,
                     failure_what(what, sizeof what, x), (long long)x->asked.connect_ms);
}

void failure_of_lookup(inf_error *err, const struct http_exchange *x)
{
    /* The proxy's host is found first. */
    bool of_proxy = x->proxy->host[0] && !x->resolved[0].data;
    char what[FAILURE_WHAT];
    int64_t status = err->detail;

    if (!of_proxy || err->code != INF_ERROR_CONNECTION)
        error_prefix(err, "%s", failure_what(what, sizeof what, x));
    else
        error_set_detail(err, INF_ERROR_CONNECTION, status,
                         "%s: the proxy's host '%s' is not known (%s); check the variable that "
                         "names it " PROXY_VARIABLES,
                         failure_what(what, sizeof what, x), x->proxy->host,
                         status ? uv_strerror((int)status) : "it has no address");
}

static int32_t not_connected(inf_error *err, const char *what, const struct http_exchange *x)
{
    long number = 0;

    if (x->transfer->open_error == EMFILE || x->transfer->open_error == ENFILE)
        return error_set_detail(err, INF_ERROR_LIMIT, x->transfer->open_error,
                                "%s: no file descriptor is left for a connection; raise the limit "
                                "(ulimit -n), or run fewer requests at once",
                                what);
    curl_easy_getinfo(x->transfer->easy, CURLINFO_OS_ERRNO, &number);
    if (x->proxy->url)
        return no_proxy_connection(err, x, number);
    if (number > 0)
        return error_set_detail(err, INF_ERROR_CONNECTION, number,
                                "%s: no connection: %s; check that the server runs and that the "
                                "URL is right",
                                what, strerror((int)number));
    return error_set(err, INF_ERROR_CONNECTION, "%s: no connection: %s", what, x->transfer->error);
}

/* libcurl's own words, or its words for the code. */
static const char *words(const struct http_exchange *x, CURLcode result)
{
    return x->transfer->error[0] ? x->transfer->error : curl_easy_strerror(result);
}

static int32_t closed_without_answer(inf_error *err, const char *what,
                                     const struct http_exchange *x)
{
    return error_set(err, INF_ERROR_CONNECTION,
                     x->proxy->url
                         ? "%s: the proxy closed the connection without an answer; check that it "
                           "may reach this host, or name the host in no_proxy"
                         : "%s: the server closed the connection without an answer",
                     what);
}

int32_t failure_of_transfer(inf_error *err, const struct http_exchange *x, CURLcode result)
{
    char what[FAILURE_WHAT];
    long number = 0;

    failure_what(what, sizeof what, x);
    if ((int)result == TOO_LARGE)
        result = CURLE_WEIRD_SERVER_REPLY;
    curl_easy_getinfo(x->transfer->easy, CURLINFO_HTTP_CONNECTCODE, &number);
    if (x->proxy->url && result != CURLE_OK && result != CURLE_OPERATION_TIMEDOUT && number >= 300)
        return refused_by_proxy(err, what, number);
    number = 0;
    switch (result) {
    case CURLE_OUT_OF_MEMORY:
        return error_no_memory(err);
    case CURLE_COULDNT_CONNECT:
        return not_connected(err, what, x);
    case CURLE_OPERATION_TIMEDOUT:
        return error_set_detail(err, INF_ERROR_TIMEOUT, x->asked.connect_ms,
                                "%s: no connection within %lld ms; connect_timeout_ms raises it",
                                what, (long long)x->asked.connect_ms);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(err, INF_ERROR_CONNECTION,
                         "%s: the server's certificate is not trusted: %s; CURL_CA_BUNDLE or "
                         "SSL_CERT_FILE may name the file of its authority",
                         what, words(x, result));
    case CURLE_SSL_CACERT_BADFILE:
        return error_set(err, INF_ERROR_CONNECTION,
                         "%s: the certificates cannot be read: %s; check CURL_CA_BUNDLE, "
                         "SSL_CERT_FILE and SSL_CERT_DIR",
                         what, words(x, result));
    case CURLE_GOT_NOTHING:
        return closed_without_answer(err, what, x);
    case CURLE_PARTIAL_FILE:
        return error_set(err, INF_ERROR_PROTOCOL, "%s: the answer ended before it was complete: %s",
                         what, words(x, result));
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return error_set(err, INF_ERROR_PROTOCOL, "%s: the answer is no proper HTTP: %s", what,
                         words(x, result));
    default:
        curl_easy_getinfo(x->transfer->easy, CURLINFO_OS_ERRNO, &number);
        return error_set_detail(err, INF_ERROR_CONNECTION, number, "%s: the connection failed: %s",
                                what, words(x, result));
    }
}
