/*
 * http_server: the server of the HTTP benchmarks, a process of its own: one thread, epoll. Answers
 * every request with 64 tokens as server-sent events, a write each, then the finish reason and the
 * usage as vLLM sends them; a request that asks for no stream gets one JSON object. Prints its port.
 *
 *     http_server [PAUSE_US]     waits so long between the tokens of a stream (0: as fast as it goes)
 *
 * With a pause every token is a packet of its own to the client; without one they come together
 * when the client is slow. /idle answers with one token and keeps the stream open until a request
 * to /release comes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TOKENS = 64, MAX_FD = 1 << 16, REQUEST_MAX = 4096 };

struct stream {
    int left;     /* tokens to go; -1: no request */
    bool idle;    /* waits for /release */
    int64_t next; /* us */
    size_t used;
    char request[REQUEST_MAX];
};

static struct stream *streams[MAX_FD];
static int active[MAX_FD], n_active;
static int poller, pause_us;
static char token[512];
static size_t token_len;
static char whole[2048];
static size_t whole_len;

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n";
static char tail[1024];
static size_t tail_len;

#define CHUNK_START                                                                                \
    "data: {\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":"                      \
    "\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"base\",\"choices\":["
#define USAGE "\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":64,\"total_tokens\":80}"

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void make_token(void)
{
    static const char event[] = CHUNK_START
        "{\"index\":0,\"delta\":{\"content\":\" "
        "word\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";

    static const char end[] = CHUNK_START
        "{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n" CHUNK_START "]," USAGE
        "}\n\ndata: [DONE]\n\n";

    token_len = (size_t)snprintf(token, sizeof token, "%zx\r\n%s\r\n", sizeof event - 1, event);
    tail_len = (size_t)snprintf(tail, sizeof tail, "%zx\r\n%s\r\n0\r\n\r\n", sizeof end - 1, end);
}

/* Everything at once: 64 times " word". */
static void make_whole(void)
{
    char text[TOKENS * 5 + 1];
    char json[sizeof text + 512];
    int n = 0;

    for (int i = 0; i < TOKENS; i++)
        memcpy(text + (size_t)i * 5, " word", 6);
    n = snprintf(json, sizeof json,
                 "{\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\",\"object\":"
                 "\"chat.completion\",\"created\":1764000000,\"model\":\"base\",\"choices\":[{"
                 "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
                 "\"finish_reason\":\"length\"}]," USAGE "}",
                 text);
    whole_len = (size_t)snprintf(whole, sizeof whole,
                                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Content-Length: %d\r\n\r\n%s",
                                 n, json);
}

static bool asks_for_a_stream(const char *request)
{
    const char *field = strstr(request, "\"stream\"");

    if (!field)
        return false;
    field += strlen("\"stream\"");
    field += strspn(field, ": ");
    return *field == 't';
}

static void drop(int fd)
{
    free(streams[fd]);
    streams[fd] = NULL;
    close(fd);
}

static void say(int fd, const char *bytes, size_t n)
{
    if (send(fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
        return; /* the client went away, which its end of file will tell */
}

static void release(void)
{
    for (int fd = 0; fd < MAX_FD; fd++) {
        if (streams[fd] && streams[fd]->idle) {
            streams[fd]->idle = false;
            say(fd, tail, tail_len);
        }
    }
}

static void answer(int fd)
{
    struct stream *s = streams[fd];

    if (strstr(s->request, " /release ")) {
        release();
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38);
        return;
    }
    if (!strstr(s->request, " /idle ") && !asks_for_a_stream(s->request)) {
        say(fd, whole, whole_len);
        return;
    }
    say(fd, head, sizeof head - 1);
    if (strstr(s->request, " /idle ")) {
        s->idle = true;
        say(fd, token, token_len);
        return;
    }
    s->left = TOKENS;
    s->next = now_us();
    active[n_active++] = fd;
}

/* Requests come one at a time on a connection, small, with their Content-Length. */
static void hear(int fd)
{
    struct stream *s = streams[fd];
    ssize_t n = recv(fd, s->request + s->used, REQUEST_MAX - 1 - s->used, 0);
    char *end = NULL;
    char *length = NULL;
    size_t wanted = 0;

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            drop(fd);
        return;
    }
    s->used += (size_t)n;
    s->request[s->used] = '\0';
    end = strstr(s->request, "\r\n\r\n");
    if (!end)
        return;
    length = strcasestr(s->request, "content-length:");
    wanted = (size_t)(end + 4 - s->request) + (length ? strtoul(length + 15, NULL, 10) : 0);
    if (s->used < wanted)
        return;
    answer(fd);
    s->used = 0;
}

static void welcome(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        int one = 1;

        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        streams[fd] = calloc(1, sizeof *streams[fd]);
        streams[fd]->left = -1;
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

/* A token to each stream whose time has come; returns the ms until the next. */
static int write_tokens(void)
{
    int64_t now = now_us();
    int64_t soonest = INT64_MAX;
    int kept = 0;

    for (int i = 0; i < n_active; i++) {
        int fd = active[i];
        struct stream *s = streams[fd];

        if (!s)
            continue;
        if (s->next <= now) {
            say(fd, token, token_len);
            s->next += pause_us;
            if (--s->left == 0) {
                say(fd, tail, tail_len);
                continue;
            }
        }
        soonest = s->next < soonest ? s->next : soonest;
        active[kept++] = fd;
    }
    n_active = kept;
    if (soonest == INT64_MAX)
        return -1;
    return soonest <= now ? 0 : (int)((soonest - now + 999) / 1000);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
    struct epoll_event events[512];
    struct rlimit limit;
    int wait = -1;

    pause_us = argc > 1 ? atoi(argv[1]) : 0;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    make_token();
    make_whole();
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 4096) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return 1;
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poller, events, 512, wait);

        for (int i = 0; i < n; i++)
            if (events[i].data.fd == listener)
                welcome(listener);
            else if (streams[events[i].data.fd])
                hear(events[i].data.fd);
        wait = write_tokens();
    }
}
