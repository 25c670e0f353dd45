/* http_server: see the header. */
#include "http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 65536, BODY_MAX = 32 << 20, CONNECTIONS = 1024 };

struct http_server {
    int listener, port;
    server_handler handler;
    void *arg;
    pthread_t thread;
    atomic_int connections, requests;
    atomic_bool stopping;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    int closed;
    int open[CONNECTIONS]; /* descriptors, -1: over */
    int n;
    char urls[4][512];
    int next_url;
};

struct server_conn {
    struct http_server *server;
    int fd, slot;
    bool reset;
    char *head;
    size_t used;
    char *body;
};

void sleep_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    nanosleep(&t, NULL);
}

/* ------------------------------------------------------------------ writing */

void conn_send(struct server_conn *c, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(c->fd, bytes, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        bytes += sent;
        n -= (size_t)sent;
    }
}

void conn_say(struct server_conn *c, const char *format, ...)
{
    char text[8192];
    va_list args;
    int n = 0;

    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        abort();
    conn_send(c, text, (size_t)n);
}

void conn_answer(struct server_conn *c, int status, const char *headers, const char *body)
{
    conn_say(c, "HTTP/1.1 %d Whatever\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body),
             headers, body);
}

void conn_begin_stream(struct server_conn *c)
{
    conn_say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                "Transfer-Encoding: chunked\r\n\r\n");
}

void conn_chunk(struct server_conn *c, const char *text)
{
    conn_say(c, "%zx\r\n%s\r\n", strlen(text), text);
}

void conn_end_stream(struct server_conn *c)
{
    conn_say(c, "0\r\n\r\n");
}

void conn_reset(struct server_conn *c)
{
    struct linger now = {.l_onoff = 1};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    c->reset = true;
}

bool conn_wait_closed(struct server_conn *c, int ms)
{
    struct timespec start, now;
    char drop[4096];

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        long passed = 0;

        clock_gettime(CLOCK_MONOTONIC, &now);
        passed = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
        if (passed >= ms)
            return false;
        if (poll(&p, 1, (int)(ms - passed)) > 0 && recv(c->fd, drop, sizeof drop, 0) <= 0)
            return true;
    }
}

/* ------------------------------------------------------------------ reading */

/* The length of the head with its empty line, 0 when the client closed. */
static size_t read_head(struct server_conn *c)
{
    for (;;) {
        char *end = NULL;
        ssize_t got = 0;

        c->head[c->used] = '\0';
        end = strstr(c->head, "\r\n\r\n");
        if (end)
            return (size_t)(end + 4 - c->head);
        if (c->used == HEAD_MAX)
            return 0;
        got = recv(c->fd, c->head + c->used, HEAD_MAX - c->used, 0);
        if (got <= 0)
            return 0;
        c->used += (size_t)got;
    }
}

static bool read_body(struct server_conn *c, size_t head, size_t length)
{
    size_t have = c->used - head;

    if (length > BODY_MAX)
        return false;
    free(c->body);
    c->body = malloc(length + 1);
    if (have > length)
        have = length;
    memcpy(c->body, c->head + head, have);
    memmove(c->head, c->head + head + have, c->used - head - have);
    c->used -= head + have;
    while (have < length) {
        ssize_t got = recv(c->fd, c->body + have, length - have, 0);

        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    c->body[length] = '\0';
    return true;
}

static bool serve_one(struct server_conn *c, int number)
{
    struct server_request r = {.on_connection = number};
    size_t head = read_head(c);
    char *copy = NULL;
    char *length = NULL;
    bool goes_on = false;

    if (head == 0)
        return false;
    copy = strndup(c->head, head - 2);
    length = strcasestr(copy, "\r\ncontent-length:");
    r.body_len = length ? strtoul(length + 17, NULL, 10) : 0;
    r.head = copy;
    if (sscanf(copy, "%15s %255s", r.method, r.path) == 2 && read_body(c, head, r.body_len)) {
        r.body = c->body;
        r.number = atomic_fetch_add(&c->server->requests, 1) + 1;
        goes_on = c->server->handler(c, &r, c->server->arg);
    }
    free(copy);
    return goes_on;
}

static void *serve(void *arg)
{
    struct server_conn *c = arg;
    struct http_server *s = c->server;
    int number = 1;

    while (serve_one(c, number))
        number++;
    pthread_mutex_lock(&s->lock);
    s->open[c->slot] = -1;
    close(c->fd);
    s->closed++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    free(c->head);
    free(c->body);
    free(c);
    return NULL;
}

/* ------------------------------------------------------------------ the server */

static void begin(struct http_server *s, int fd)
{
    struct server_conn *c = calloc(1, sizeof *c);
    pthread_attr_t attributes;
    pthread_t thread;

    c->server = s;
    c->fd = fd;
    c->head = malloc(HEAD_MAX + 1);
    pthread_mutex_lock(&s->lock);
    if (s->n == CONNECTIONS)
        abort();
    c->slot = s->n++;
    s->open[c->slot] = fd;
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_add(&s->connections, 1);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, serve, c) != 0)
        abort();
    pthread_attr_destroy(&attributes);
}

static void *accept_all(void *arg)
{
    struct http_server *s = arg;

    while (!atomic_load(&s->stopping)) {
        struct pollfd p = {.fd = s->listener, .events = POLLIN};
        int fd = -1;

        if (poll(&p, 1, 20) <= 0)
            continue;
        fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            begin(s, fd);
    }
    return NULL;
}

struct http_server *server_start(server_handler handler, void *arg)
{
    struct http_server *s = calloc(1, sizeof *s);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    s->handler = handler;
    s->arg = arg;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(s->listener, 1024) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&s->thread, NULL, accept_all, s) != 0)
        abort();
    s->port = ntohs(address.sin_port);
    return s;
}

void server_stop_accepting(struct http_server *s)
{
    if (s->listener < 0)
        return;
    atomic_store(&s->stopping, true);
    pthread_join(s->thread, NULL);
    close(s->listener);
    s->listener = -1;
}

void server_stop(struct http_server *s)
{
    server_stop_accepting(s);
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < s->n; i++)
        if (s->open[i] >= 0)
            shutdown(s->open[i], SHUT_RDWR);
    while (s->closed < s->n)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
}

int server_port(const struct http_server *s)
{
    return s->port;
}

const char *server_url(struct http_server *s, const char *path)
{
    char *url = s->urls[s->next_url++ % 4];

    snprintf(url, sizeof s->urls[0], "http://127.0.0.1:%d%s", s->port, path);
    return url;
}

int server_connections(const struct http_server *s)
{
    return atomic_load(&s->connections);
}

int server_requests(const struct http_server *s)
{
    return atomic_load(&s->requests);
}

bool server_wait_closed(struct http_server *s, int n)
{
    struct timespec until;
    bool reached = false;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    pthread_mutex_lock(&s->lock);
    while (s->closed < n && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    reached = s->closed >= n;
    pthread_mutex_unlock(&s->lock);
    return reached;
}
