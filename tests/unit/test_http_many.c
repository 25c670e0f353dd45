/*
 * http many: thousands of streams in flight at once from one context, against a server of one thread
 * that goes on only when all of them are there. No thread each, bounded memory each.
 */
#include "http_server.h"

#include "core/memory.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif
#ifndef WATCHED
#define WATCHED 0
#endif

/* ------------------------------------------------------------------ the server */

struct crowd {
    int listener, poller, port;
    int *fds; /* -1: closed by the client */
    int n_waiting;
    pthread_t thread;
    atomic_bool go, stop;
};

static const char first_part[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n8\r\ndata: a\n\r\n";
static const char last_part[] = "a\r\n\ndata: b\n\n\r\n0\r\n\r\n";

static void crowd_accept(struct crowd *c)
{
    for (;;) {
        int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

        if (fd < 0)
            return;
        epoll_ctl(c->poller, EPOLL_CTL_ADD, fd, &e);
    }
}

/* A request fits a packet here. The client's close comes as an end of file. */
static void crowd_read(struct crowd *c, int fd)
{
    char bytes[4096];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);

    if (n <= 0) {
        for (int i = 0; i < c->n_waiting; i++)
            c->fds[i] = c->fds[i] == fd ? -1 : c->fds[i];
        close(fd);
        return;
    }
    if (send(fd, first_part, sizeof first_part - 1, MSG_NOSIGNAL) < 0)
        abort();
    c->fds[c->n_waiting++] = fd;
}

static void *crowd_run(void *arg)
{
    struct crowd *c = arg;
    struct epoll_event events[256];
    bool answered = false;

    while (!atomic_load(&c->stop)) {
        int n = epoll_wait(c->poller, events, 256, 20);

        for (int i = 0; i < n; i++)
            if (events[i].data.fd == c->listener)
                crowd_accept(c);
            else
                crowd_read(c, events[i].data.fd);
        if (answered || !atomic_load(&c->go))
            continue;
        answered = true;
        for (int i = 0; i < c->n_waiting; i++)
            if (c->fds[i] >= 0 &&
                send(c->fds[i], last_part, sizeof last_part - 1, MSG_NOSIGNAL) < 0 &&
                errno != EPIPE && errno != ECONNRESET)
                abort();
    }
    return NULL;
}

static void crowd_start(struct crowd *c, int expected)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct epoll_event e = {.events = EPOLLIN};

    *c = (struct crowd){0};
    c->fds = calloc((size_t)expected * 2, sizeof *c->fds);
    c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    c->poller = epoll_create1(EPOLL_CLOEXEC);
    if (bind(c->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(c->listener, 4096) != 0 ||
        getsockname(c->listener, (struct sockaddr *)&address, &size) != 0)
        abort();
    c->port = ntohs(address.sin_port);
    e.data.fd = c->listener;
    epoll_ctl(c->poller, EPOLL_CTL_ADD, c->listener, &e);
    if (pthread_create(&c->thread, NULL, crowd_run, c) != 0)
        abort();
}

static void crowd_stop(struct crowd *c)
{
    atomic_store(&c->stop, true);
    pthread_join(c->thread, NULL);
    for (int i = 0; i < c->n_waiting; i++)
        if (c->fds[i] >= 0)
            close(c->fds[i]);
    close(c->listener);
    close(c->poller);
    free(c->fds);
}

/* ------------------------------------------------------------------ the streams */

static atomic_int n_first, n_done, n_failed;
static atomic_llong n_bytes;

static int32_t on_data(void *owner, const char *data, size_t len, inf_error *err)
{
    bool *seen = owner;

    (void)data;
    (void)err;
    atomic_fetch_add(&n_bytes, (long long)len);
    if (!*seen)
        atomic_fetch_add(&n_first, 1);
    *seen = true;
    return INF_OK;
}

static void on_done(void *owner, const struct http_outcome *outcome)
{
    (void)owner;
    if (outcome->error->code != INF_OK && atomic_fetch_add(&n_failed, 1) == 0)
        printf("%s\n", outcome->error->message);
    atomic_fetch_add(&n_done, 1);
}

static bool reaches(atomic_int *count, int n)
{
    for (int i = 0; i < 3000 && atomic_load(count) < n; i++)
        sleep_ms(10);
    return atomic_load(count) >= n;
}

/* As many as the descriptors allow; both ends are in this process. */
static int how_many(void)
{
    struct rlimit limit;
    int n = WATCHED ? 1000 : 10000;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * (rlim_t)n + 200)
        n = ((int)limit.rlim_cur - 200) / 2;
    return n;
}

static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;

    while (tasks && readdir(tasks))
        n++;
    if (tasks)
        closedir(tasks);
    return n;
}

static size_t heap_in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void test_many__streams_in_flight_at_once__all_complete_in_bounded_memory(void **state)
{
    static const struct http_callbacks callbacks = {.on_data = on_data, .on_done = on_done};
    int n = how_many();
    struct crowd crowd;
    inf_context *ctx = NULL;
    struct http_client *client = NULL;
    struct http_request request;
    char url[64];
    bool *seen = calloc((size_t)n, sizeof *seen);
    size_t before = 0;
    size_t each = 0;
    int threads = 0;

    (void)state;
    crowd_start(&crowd, n);
    assert_int_equal(inf_context_create(&ctx, NULL, NULL), INF_OK);
    assert_int_equal(http_client_get(&client, ctx, NULL), INF_OK);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", crowd.port);
    http_request_default(&request);
    request.method = "GET";
    request.url = url;
    request.callbacks = &callbacks;
    request.connect_ms = 30000;
    threads = count_threads();
    before = heap_in_use();
    for (int i = 0; i < n; i++) {
        request.owner = &seen[i];
        assert_int_equal(http_start(NULL, client, &request, NULL), INF_OK);
    }
    assert_true(reaches(&n_first, n));
    assert_int_equal(atomic_load(&n_done), 0);
    assert_int_equal(count_threads(), threads);
    each = (heap_in_use() - before) / (size_t)n;
    printf("%d streams in flight, %zu bytes of heap each\n", n, each);
    if (!WATCHED)
        assert_true(each <= 40 * 1000);
    atomic_store(&crowd.go, true);
    assert_true(reaches(&n_done, n));
    assert_int_equal(atomic_load(&n_failed), 0);
    assert_int_equal(atomic_load(&n_bytes), (long long)n * 18);
    http_client_release(client);
    assert_int_equal(inf_context_close(ctx, NULL), INF_OK);
    assert_int_equal(mem_live(), 0);
    crowd_stop(&crowd);
    free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many__streams_in_flight_at_once__all_complete_in_bounded_memory),
    };

    setenv("no_proxy", "*", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
