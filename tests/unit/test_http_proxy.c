/*
 * http proxy: what the proxy variables do, seen by a proxy; and idle connections, seen by a server.
 */
#include "http_calls.h"
#include "http_server.h"

#include "core/memory.h"
#include "http/internal.h"

#include <netdb.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void clear_environment(void)
{
    static const char *const all[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY",
                                      "all_proxy",  "ALL_PROXY",   "no_proxy",    "NO_PROXY"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        unsetenv(all[i]);
}

/* One exchange of a client that saw this environment; the caller frees the call. */
static void run_once(struct call *call, const char *url)
{
    inf_context *ctx = NULL;
    struct http_client *client = NULL;

    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    assert_int_equal(http_client_get(&client, ctx, NULL), INF_OK);
    clear_environment();
    call_init(call, url, false);
    call_run(call, client);
    http_client_release(client);
    assert_int_equal(inf_context_close(ctx, NULL), INF_OK);
}

static bool note_head(struct server_conn *conn, const struct server_request *r, void *arg)
{
    snprintf(arg, 4096, "%s", r->head);
    if (strcmp(r->method, "CONNECT") == 0)
        conn_answer(conn, 403, "", "no");
    else
        conn_answer(conn, 200, "", "through");
    return true;
}

static void set_proxy(const char *variable, const char *scheme, int port)
{
    char value[128];

    snprintf(value, sizeof value, "%s127.0.0.1:%d", scheme, port);
    setenv(variable, value, 1);
}

static void test_proxy__http__the_name_goes_to_the_proxy(void **state)
{
    char head[4096] = "";
    struct http_server *proxy = server_start(note_head, head);
    struct call call;

    (void)state;
    set_proxy("http_proxy", "http://", server_port(proxy));
    run_once(&call, "http://nowhere.invalid:8100/v1/models");
    assert_int_equal(call.error.code, INF_OK);
    assert_string_equal(call.body, "through");
    assert_non_null(strstr(head, "GET http://nowhere.invalid:8100/v1/models HTTP/1.1\r\n"));
    call_free(&call);
    server_stop(proxy);
    assert_int_equal(mem_live(), 0);
}

static void test_proxy__by_name__that_name_is_looked_up(void **state)
{
    char head[4096] = "";
    struct http_server *proxy = server_start(note_head, head);
    struct call call;
    char value[128];

    (void)state;
    /* A label too long for any name server: the error is about the proxy. */
    setenv("http_proxy",
           "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid:1",
           1);
    run_once(&call, "http://127.0.0.1:1/");
    assert_int_equal(call.error.code, INF_ERROR_CONNECTION);
    assert_non_null(strstr(call.error.message, "the proxy's host 'aaaa"));
    assert_non_null(strstr(call.error.message, "check the variable that names it"));
    call_free(&call);
    snprintf(value, sizeof value, "localhost:%d", server_port(proxy));
    setenv("http_proxy", value, 1);
    run_once(&call, "http://nowhere.invalid/");
    assert_int_equal(call.error.code, INF_OK);
    call_free(&call);
    server_stop(proxy);
    assert_int_equal(mem_live(), 0);
}

static void test_proxy__no_proxy__asked_directly(void **state)
{
    char head[4096] = "";
    struct http_server *server = server_start(note_head, head);
    struct call call;

    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "127.0.0.0/8", 1);
    run_once(&call, server_url(server, "/x"));
    assert_int_equal(call.error.code, INF_OK);
    assert_non_null(strstr(head, "GET /x HTTP/1.1\r\n"));
    call_free(&call);
    server_stop(server);
}

static void test_proxy__https__a_tunnel_and_its_refusal_is_told(void **state)
{
    char head[4096] = "";
    struct http_server *proxy = server_start(note_head, head);
    struct call call;

    (void)state;
    set_proxy("HTTPS_PROXY", "", server_port(proxy));
    run_once(&call, "https://nowhere.invalid/v1");
    assert_int_equal(call.error.code, INF_ERROR_CONNECTION);
    assert_non_null(strstr(call.error.message, "403"));
    assert_non_null(strstr(head, "CONNECT nowhere.invalid:443 HTTP/1.1\r\n"));
    assert_int_equal(call.heads, 0);
    call_free(&call);
    server_stop(proxy);
    assert_int_equal(mem_live(), 0);
}

static void test_proxy__not_there__is_named_and_not_its_password(void **state)
{
    struct call call;

    (void)state;
    setenv("http_proxy", "http://me:geheim@127.0.0.1:1", 1);
    run_once(&call, "http://nowhere.invalid/v1");
    assert_int_equal(call.error.code, INF_ERROR_CONNECTION);
    assert_null(strstr(call.error.message, "geheim"));
    assert_non_null(strstr(call.error.message, "no connection to the proxy http://127.0.0.1:1: "));
    call_free(&call);
}

/* A proxy that fails, each in its own way, and what is said of it. */
struct bad_proxy {
    const char *url; /* what is asked for */
    int status;      /* that it answers; 0: it closes, -1: it is silent */
    int32_t code;
    const char *says; /* beside its name */
};

static bool answer_badly(struct server_conn *conn, const struct server_request *r, void *arg)
{
    const struct bad_proxy *bad = arg;

    (void)r;
    if (bad->status > 0)
        conn_answer(conn, bad->status, "", "no");
    else if (bad->status < 0)
        conn_wait_closed(conn, 5000);
    return bad->status > 0;
}

static void expect_bad_proxy(const struct bad_proxy *bad)
{
    struct bad_proxy copy = *bad;
    struct http_server *proxy = server_start(answer_badly, &copy);
    inf_context *ctx = NULL;
    struct http_client *client = NULL;
    struct call call;
    char name[64];

    set_proxy("http_proxy", "http://me:geheim@", server_port(proxy));
    set_proxy("https_proxy", "http://me:geheim@", server_port(proxy));
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    assert_int_equal(http_client_get(&client, ctx, NULL), INF_OK);
    clear_environment();
    call_init(&call, bad->url, false);
    call.request.connect_ms = 300;
    call.request.total_ms = 20000;
    call.request.max_retries = 0;
    call_run(&call, client);
    snprintf(name, sizeof name, "the proxy http://127.0.0.1:%d", server_port(proxy));
    if (call.error.code != bad->code || !strstr(call.error.message, name) ||
        !strstr(call.error.message, bad->says) || strstr(call.error.message, "geheim") ||
        strchr(call.error.message, '\n'))
        fail_msg("%s, %d: %d %s", bad->url, bad->status, call.error.code, call.error.message);
    call_free(&call);
    http_client_release(client);
    assert_int_equal(inf_context_close(ctx, NULL), INF_OK);
    server_stop(proxy);
    assert_int_equal(mem_live(), 0);
}

static void test_proxy__one_that_fails__is_named(void **state)
{
    static const struct bad_proxy all[] = {
        {"http://nowhere.invalid/v1", -1, INF_ERROR_TIMEOUT,
         "the proxy took the request and says nothing, nor to a request of its own within 300 ms"},
        {"https://nowhere.invalid/v1", -1, INF_ERROR_TIMEOUT, "no connection within 300 ms"},
        {"http://nowhere.invalid/v1", 0, INF_ERROR_CONNECTION, "the proxy closed the connection"},
        {"https://nowhere.invalid/v1", 0, INF_ERROR_CONNECTION, "failed"},
        {"http://nowhere.invalid/v1", 407, INF_ERROR_HTTP_STATUS, "407 Proxy Authentication"},
        {"https://nowhere.invalid/v1", 407, INF_ERROR_CONNECTION,
         "refuses the connection with 407 Proxy Authentication Required; give the variable"},
        {"http://nowhere.invalid/v1", 502, INF_ERROR_HTTP_STATUS, "502 Bad Gateway"},
        {"https://nowhere.invalid/v1", 502, INF_ERROR_CONNECTION,
         "refuses the connection with 502 Bad Gateway; check that it may reach this host"}};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        expect_bad_proxy(&all[i]);
}

/* Silent for longer than a connection may take, as a server that loads its model is, behind a proxy that is
 * there: it answers what is asked of itself. */
static bool answer_late(struct server_conn *conn, const struct server_request *r, void *arg)
{
    atomic_int *probes = arg;

    if (strstr(r->head, "GET http://")) {
        sleep_ms(900);
        conn_answer(conn, 200, "", "late");
    } else {
        atomic_fetch_add(probes, 1);
        conn_answer(conn, 400, "", "no");
    }
    return true;
}

static void test_proxy__slow_and_there__is_waited_for(void **state)
{
    atomic_int probes = 0;
    struct http_server *proxy = server_start(answer_late, &probes);
    inf_context *ctx = NULL;
    struct http_client *client = NULL;
    struct call calls[3];

    (void)state;
    set_proxy("http_proxy", "", server_port(proxy));
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    assert_int_equal(http_client_get(&client, ctx, NULL), INF_OK);
    clear_environment();
    for (size_t i = 0; i < 3; i++) {
        call_init(&calls[i], "http://nowhere.invalid/v1", false);
        calls[i].request.connect_ms = 200;
        call_start(&calls[i], client);
    }
    for (size_t i = 0; i < 3; i++) {
        call_wait(&calls[i]);
        assert_int_equal(calls[i].error.code, INF_OK);
        assert_string_equal(calls[i].body, "late");
        call_free(&calls[i]);
    }
    assert_in_range(atomic_load(&probes), 1, 3);
    http_client_release(client);
    assert_int_equal(inf_context_close(ctx, NULL), INF_OK);
    server_stop(proxy);
    assert_int_equal(mem_live(), 0);
}

/* ------------------------------------------------------------------ SOCKS */

struct socks {
    int listener, port;
    unsigned char kind; /* of the address asked for: 1 IPv4, 3 a name, 4 IPv6 */
    pthread_t thread;
};

/* One connection: greets, takes the request, then is the HTTP server behind it too. */
static void *socks_run(void *arg)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsocks";
    static const unsigned char granted[] = {5, 0, 0, 1, 127, 0, 0, 1, 0, 1};
    struct socks *s = arg;
    unsigned char bytes[1024];
    int fd = accept(s->listener, NULL, NULL);

    if (recv(fd, bytes, sizeof bytes, 0) < 3 || send(fd, "\5\0", 2, MSG_NOSIGNAL) != 2 ||
        recv(fd, bytes, sizeof bytes, 0) < 10)
        abort();
    s->kind = bytes[3];
    if (send(fd, granted, sizeof granted, MSG_NOSIGNAL) < 0 ||
        recv(fd, bytes, sizeof bytes, 0) <= 0 ||
        send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
        abort();
    while (recv(fd, bytes, sizeof bytes, 0) > 0)
        ;
    close(fd);
    return NULL;
}

static void socks_start(struct socks *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->listener, (struct sockaddr *)&address, size) != 0 || listen(s->listener, 8) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&s->thread, NULL, socks_run, s) != 0)
        abort();
    s->port = ntohs(address.sin_port);
}

static void run_through_socks(const char *scheme, const char *url, struct socks *s)
{
    struct call call;

    socks_start(s);
    set_proxy("all_proxy", scheme, s->port);
    run_once(&call, url);
    if (call.error.code != INF_OK)
        fail_msg("%s", call.error.message);
    assert_string_equal(call.body, "socks");
    call_free(&call);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static void test_proxy__socks5h__the_name_goes_to_the_proxy(void **state)
{
    struct socks s = {0};

    (void)state;
    run_through_socks("socks5h://", "http://nowhere.invalid/", &s);
    assert_int_equal(s.kind, 3);
    assert_int_equal(mem_live(), 0);
}

static void test_proxy__socks5__the_name_is_looked_up_here(void **state)
{
    struct socks s = {0};
    struct addrinfo *list = NULL;
    char name[128];
    char url[160];

    (void)state;
    if (gethostname(name, sizeof name) != 0 || getaddrinfo(name, NULL, NULL, &list) != 0)
        skip();
    freeaddrinfo(list);
    snprintf(url, sizeof url, "http://%s/", name);
    run_through_socks("socks5://", url, &s);
    assert_true(s.kind == 1 || s.kind == 4);
    assert_int_equal(mem_live(), 0);
}

/* ------------------------------------------------------------------ idle connections */

static void test_idle__connections_unused_for_a_while__closed_and_made_anew(void **state)
{
    char head[4096] = "";
    struct http_server *server = server_start(note_head, head);
    inf_context *ctx = NULL;
    struct http_client *client = NULL;

    (void)state;
    clear_environment();
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    assert_int_equal(http_client_get(&client, ctx, NULL), INF_OK);
    client->idle_ms = 50;
    for (int i = 1; i <= 3; i++) {
        struct call call;

        call_init(&call, server_url(server, "/"), false);
        call_run(&call, client);
        assert_int_equal(call.error.code, INF_OK);
        call_free(&call);
        assert_true(server_wait_closed(server, i));
        assert_int_equal(server_connections(server), i);
    }
    http_client_release(client);
    assert_int_equal(inf_context_close(ctx, NULL), INF_OK);
    server_stop(server);
    assert_int_equal(mem_live(), 0);
}

static void test_authorities__the_first_file_that_can_be_read(void **state)
{
    char there[] = "/tmp/inf-ca-XXXXXX";
    int fd = mkstemp(there);
    const char *const known[] = {"/nowhere/a.crt", there, "/nowhere/b.crt", NULL};
    const char *const none[] = {"/nowhere/a.crt", NULL};
    const char *own = "/dev/null";

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_ptr_equal(environment_ca_file(own, known), own);
    assert_ptr_equal(environment_ca_file("/nowhere/own.crt", known), there);
    assert_ptr_equal(environment_ca_file(NULL, known), there);
    assert_null(environment_ca_file(NULL, none));
    unlink(there);
}

static void test_authorities__the_environment_wins(void **state)
{
    struct environment e;

    (void)state;
    unsetenv("CURL_CA_BUNDLE");
    setenv("SSL_CERT_FILE", "/some/file", 1);
    setenv("SSL_CERT_DIR", "/some/folder", 1);
    assert_int_equal(environment_read(&e, NULL), INF_OK);
    assert_string_equal(e.ca_file, "/some/file");
    assert_string_equal(e.ca_folder, "/some/folder");
    environment_free(&e);
    setenv("CURL_CA_BUNDLE", "/a/bundle", 1);
    assert_int_equal(environment_read(&e, NULL), INF_OK);
    assert_string_equal(e.ca_file, "/a/bundle");
    assert_null(e.ca_folder);
    environment_free(&e);
    unsetenv("CURL_CA_BUNDLE");
    unsetenv("SSL_CERT_FILE");
    assert_int_equal(environment_read(&e, NULL), INF_OK);
    assert_null(e.ca_file); /* a folder alone is not joined by a file of ours */
    environment_free(&e);
    unsetenv("SSL_CERT_DIR");
    assert_int_equal(environment_read(&e, NULL), INF_OK);
    assert_true(!e.ca_file || access(e.ca_file, R_OK) == 0);
    environment_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy__http__the_name_goes_to_the_proxy),
        cmocka_unit_test(test_proxy__by_name__that_name_is_looked_up),
        cmocka_unit_test(test_proxy__no_proxy__asked_directly),
        cmocka_unit_test(test_proxy__https__a_tunnel_and_its_refusal_is_told),
        cmocka_unit_test(test_proxy__not_there__is_named_and_not_its_password),
        cmocka_unit_test(test_proxy__one_that_fails__is_named),
        cmocka_unit_test(test_proxy__slow_and_there__is_waited_for),
        cmocka_unit_test(test_proxy__socks5h__the_name_goes_to_the_proxy),
        cmocka_unit_test(test_proxy__socks5__the_name_is_looked_up_here),
        cmocka_unit_test(test_authorities__the_first_file_that_can_be_read),
        cmocka_unit_test(test_authorities__the_environment_wins),
        cmocka_unit_test(test_idle__connections_unused_for_a_while__closed_and_made_anew),
    };

    clear_environment();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
