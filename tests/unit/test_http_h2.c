/*
 * http over TLS and HTTP/2, against nghttpd (Debian: nghttp2-server) with a certificate made for the
 * occasion: the certificate is checked, one connection is shared, and cancelling resets one stream
 * while its neighbours go on. Skipped (77) where nghttpd or openssl is missing.
 */
#include "http_calls.h"
#include "http_server.h"

#include "core/memory.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char certificate[128];
static char log_path[128];
static int port;
static pid_t server;

/* ------------------------------------------------------------------ the server */

/* It ends with this process, however that ends. */
static pid_t start(char *const argv[], const char *output)
{
    pid_t pid = fork();
    int fd = -1;

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fd = open(output, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(127);
    execvp(argv[0], argv);
    _exit(127);
}

static bool run(char *const argv[])
{
    pid_t pid = start(argv, "/dev/null");
    int status = 1;

    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* In `out`, size bytes; "" when it is nowhere. sbin is in no user's PATH. */
static void find_nghttpd(char *out, size_t size)
{
    static const char *const places[] = {"/usr/sbin/nghttpd", "/usr/bin/nghttpd",
                                         "/usr/local/bin/nghttpd"};

    *out = '\0';
    for (size_t i = 0; i < 3 && !*out; i++)
        if (access(places[i], X_OK) == 0)
            snprintf(out, size, "%s", places[i]);
}

static bool write_file(const char *name, long size)
{
    char path[160];
    FILE *file = NULL;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    if (!file)
        return false;
    fputs("hello", file);
    if (size > 0 && ftruncate(fileno(file), size) != 0)
        return false;
    return fclose(file) == 0;
}

static int unused_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        abort();
    close(fd);
    return ntohs(address.sin_port);
}

static bool listens(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    bool there = false;

    for (int i = 0; i < 250 && !there; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        there = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
        close(fd);
        sleep_ms(there ? 0 : 20);
    }
    return there;
}

/* NULL: it runs; else why not. */
static const char *start_server(void)
{
    char nghttpd[64], key[128], port_text[16];
    char *const make_certificate[] = {"openssl",
                                      "req",
                                      "-x509",
                                      "-newkey",
                                      "ec",
                                      "-pkeyopt",
                                      "ec_paramgen_curve:prime256v1",
                                      "-nodes",
                                      "-keyout",
                                      key,
                                      "-out",
                                      certificate,
                                      "-days",
                                      "2",
                                      "-subj",
                                      "/CN=inference test",
                                      "-addext",
                                      "subjectAltName=DNS:localhost",
                                      NULL};
    char *const serve[] = {nghttpd, "-v",  "-a",      "127.0.0.1", "-d",        folder,
                           "-m",    "100", port_text, key,         certificate, NULL};

    find_nghttpd(nghttpd, sizeof nghttpd);
    if (!*nghttpd)
        return "no nghttpd (Debian: nghttp2-server)";
    snprintf(folder, sizeof folder, "/tmp/inference-h2-XXXXXX");
    if (!mkdtemp(folder))
        return "no folder";
    snprintf(certificate, sizeof certificate, "%s/certificate.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    if (!run(make_certificate))
        return "no openssl command";
    /* A sparse file that nobody reads to its end. */
    if (!write_file("small", 0) || !write_file("endless", 1L << 34))
        return "no files";
    port = unused_port();
    snprintf(port_text, sizeof port_text, "%d", port);
    server = start(serve, log_path);
    return server > 0 && listens() ? NULL : "nghttpd does not start";
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void stop_server(void)
{
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    if (folder[0])
        nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* How often the server's log says this. */
static int logged(const char *what)
{
    static char line[4096];
    FILE *file = fopen(log_path, "r");
    int n = 0;

    while (file && fgets(line, sizeof line, file))
        n += strstr(line, what) != NULL;
    if (file)
        fclose(file);
    return n;
}

static bool wait_logged(const char *what, int n)
{
    for (int i = 0; i < 250 && logged(what) < n; i++)
        sleep_ms(20);
    return logged(what) >= n;
}

/* HTTP/2 connections so far: each client starts with its settings. */
static int connections(void)
{
    return logged("recv SETTINGS frame") - logged("recv SETTINGS frame <length=0, flags=0x01");
}

/* ------------------------------------------------------------------ tests */

struct bench {
    inf_context *ctx;
    struct http_client *client;
};

static void open_bench(struct bench *b, bool trusting)
{
    if (trusting)
        setenv("SSL_CERT_FILE", certificate, 1);
    else
        unsetenv("SSL_CERT_FILE");
    assert_int_equal(inf_context_create(&b->ctx, NULL, NULL), INF_OK);
    assert_int_equal(http_client_get(&b->client, b->ctx, NULL), INF_OK);
    unsetenv("SSL_CERT_FILE");
}

static void close_bench(struct bench *b)
{
    http_client_release(b->client);
    assert_int_equal(inf_context_close(b->ctx, NULL), INF_OK);
    assert_int_equal(mem_live(), 0);
}

static const char *url_of(const char *host, const char *path)
{
    static char url[128];

    snprintf(url, sizeof url, "https://%s:%d%s", host, port, path);
    return url;
}

static void expect_distrust(bool trusting, const char *host)
{
    struct bench b;
    struct call call;

    open_bench(&b, trusting);
    call_init(&call, url_of(host, "/small"), false);
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_ERROR_CONNECTION);
    assert_non_null(strstr(call.error.message, "certificate"));
    assert_non_null(strstr(call.error.message, "SSL_CERT_FILE"));
    assert_false(call.sent);
    call_free(&call);
    close_bench(&b);
}

static void test_tls__certificate_of_nobody__refused_before_anything_is_sent(void **state)
{
    (void)state;
    expect_distrust(false, "localhost");
}

static void test_tls__certificate_for_another_host__refused(void **state)
{
    (void)state;
    expect_distrust(true, "127.0.0.1");
}

static void test_h2__many_at_once__share_one_connection(void **state)
{
    enum { N = 40 };
    struct bench b;
    struct call calls[N];
    int before = connections();

    (void)state;
    open_bench(&b, true);
    for (int i = 0; i < N; i++) {
        call_init(&calls[i], url_of("localhost", "/small"), i % 2);
        call_start(&calls[i], b.client);
    }
    for (int i = 0; i < N; i++) {
        call_wait(&calls[i]);
        assert_int_equal(calls[i].error.code, INF_OK);
        assert_string_equal(i % 2 ? calls[i].data : calls[i].body, "hello");
        call_free(&calls[i]);
    }
    close_bench(&b);
    assert_int_equal(connections(), before + 1);
}

/* A reader of the endless file. It reads as fast as it can: what a slow one leaves in the sockets'
 * buffers would stand before every other answer of the connection. */
struct reader {
    struct http_exchange *exchange;
    atomic_llong bytes;
    atomic_int code; /* -1: in flight */
};

static int32_t read_on(void *owner, const char *data, size_t len, inf_error *err)
{
    struct reader *r = owner;

    (void)data;
    (void)err;
    atomic_fetch_add(&r->bytes, (long long)len);
    return INF_OK;
}

static void read_done(void *owner, const struct http_outcome *outcome)
{
    struct reader *r = owner;

    atomic_store(&r->code, outcome->error->code);
}

static bool reaches(struct reader *r, long long bytes)
{
    for (int i = 0; i < 1000 && atomic_load(&r->bytes) < bytes; i++)
        sleep_ms(10);
    return atomic_load(&r->bytes) >= bytes;
}

static int wait_code(struct reader *r)
{
    for (int i = 0; i < 1000 && atomic_load(&r->code) < 0; i++)
        sleep_ms(10);
    return atomic_load(&r->code);
}

static void start_reader(struct reader *r, struct http_client *client)
{
    static const struct http_callbacks callbacks = {.on_data = read_on, .on_done = read_done};
    struct http_request request;

    http_request_default(&request);
    request.method = "GET";
    request.url = url_of("localhost", "/endless");
    request.callbacks = &callbacks;
    request.owner = r;
    request.retry = HTTP_RETRY_GENERATION;
    atomic_init(&r->bytes, 0);
    atomic_init(&r->code, -1);
    assert_int_equal(http_start(&r->exchange, client, &request, NULL), INF_OK);
}

static void test_h2__cancel_one_stream__it_is_reset_and_its_neighbours_go_on(void **state)
{
    enum { N = 3 };
    struct bench b;
    struct reader readers[N];
    struct call call;
    int before = connections();
    int resets = logged("recv RST_STREAM");
    long long seen = 0;

    (void)state;
    open_bench(&b, true);
    for (int i = 0; i < N; i++)
        start_reader(&readers[i], b.client);
    for (int i = 0; i < N; i++)
        assert_true(reaches(&readers[i], 1));
    http_cancel(readers[1].exchange);
    assert_int_equal(wait_code(&readers[1]), INF_ERROR_CANCELLED);
    assert_true(wait_logged("recv RST_STREAM", resets + 1));
    assert_int_equal(logged("recv RST_STREAM"), resets + 1);
    for (int i = 0; i < N; i += 2) {
        seen = atomic_load(&readers[i].bytes);
        assert_true(reaches(&readers[i], seen + 100000));
        assert_int_equal(atomic_load(&readers[i].code), -1);
    }
    /* And a new request finds its place beside them. */
    call_init(&call, url_of("localhost", "/small"), false);
    call_run(&call, b.client);
    assert_int_equal(call.error.code, INF_OK);
    call_free(&call);
    assert_int_equal(connections(), before + 1);
    for (int i = 0; i < N; i += 2) {
        http_cancel(readers[i].exchange);
        assert_int_equal(wait_code(&readers[i]), INF_ERROR_CANCELLED);
    }
    for (int i = 0; i < N; i++)
        http_exchange_release(readers[i].exchange);
    close_bench(&b);
}

static void test_h2__client_closes_with_streams_in_flight__each_ends_cancelled(void **state)
{
    struct bench b;
    struct reader readers[2];

    (void)state;
    open_bench(&b, true);
    for (int i = 0; i < 2; i++)
        start_reader(&readers[i], b.client);
    assert_true(reaches(&readers[0], 1));
    http_client_release(b.client);
    assert_int_equal(inf_context_close(b.ctx, NULL), INF_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&readers[i].code), INF_ERROR_CANCELLED);
        http_exchange_release(readers[i].exchange);
    }
    assert_int_equal(mem_live(), 0);
}

static void test_h2__server_dies__streams_end_with_an_error(void **state)
{
    struct bench b;
    struct reader reader;

    (void)state;
    open_bench(&b, true);
    start_reader(&reader, b.client);
    assert_true(reaches(&reader, 1));
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    server = -1;
    assert_true(wait_code(&reader) == INF_ERROR_CONNECTION ||
                atomic_load(&reader.code) == INF_ERROR_PROTOCOL);
    http_exchange_release(reader.exchange);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls__certificate_of_nobody__refused_before_anything_is_sent),
        cmocka_unit_test(test_tls__certificate_for_another_host__refused),
        cmocka_unit_test(test_h2__many_at_once__share_one_connection),
        cmocka_unit_test(test_h2__cancel_one_stream__it_is_reset_and_its_neighbours_go_on),
        cmocka_unit_test(test_h2__client_closes_with_streams_in_flight__each_ends_cancelled),
        cmocka_unit_test(test_h2__server_dies__streams_end_with_an_error),
    };
    const char *why = NULL;
    int failed = 0;

    unsetenv("CURL_CA_BUNDLE");
    unsetenv("SSL_CERT_DIR");
    setenv("no_proxy", "*", 1);
    why = start_server();
    if (why) {
        printf("SKIP: %s\n", why);
        stop_server();
        return 77;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    stop_server();
    return failed;
}
