/*
 * sockets: libcurl's under libuv's eyes, from the time they are opened until they are closed. A watch stays while
 * a connection is idle. I/O thread only, inside libcurl's callbacks and libuv's.
 */
#include "http/internal.h"

#include "core/growing.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void free_watch(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void drop_watch(struct http_client *c, int fd)
{
    struct watch *w = fd >= 0 && (size_t)fd < c->n_watches ? c->watches[fd] : NULL;

    if (!w)
        return;
    c->watches[fd] = NULL;
    uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, free_watch);
}

static struct watch *make_watch(struct http_client *c, int fd)
{
    size_t before = c->n_watches;
    struct watch *w = NULL;

    if (!GROW(c->watches, c->n_watches, (size_t)fd + 1))
        return NULL;
    for (size_t i = before; i < c->n_watches; i++)
        c->watches[i] = NULL;
    w = mem_calloc(1, sizeof *w);
    if (!w)
        return NULL;
    if (uv_poll_init(&c->loop, &w->poll, fd) != 0) {
        mem_free(w);
        return NULL;
    }
    w->fd = fd;
    w->poll.data = w;
    c->watches[fd] = w;
    return w;
}

void socket_messages(struct shard *s)
{
    CURLMsg *message = NULL;
    int left = 0;

    while ((message = curl_multi_info_read(s->multi, &left))) {
        struct transfer *t = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        s->client->events->over(t->exchange, message->data.result);
    }
}

static void look_for(struct watch *w, int events);

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    struct shard *s = w->shard;
    int fd = w->fd;
    int running = 0;
    int mask = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
               (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);

    if (w->idle) {
        /* The server closed a kept connection, or talks out of turn: libcurl finds out when it
         * wants to use it. */
        look_for(w, 0);
        return;
    }
    if (status < 0) {
        /* libuv has stopped looking. libcurl learns of the error by reading and writing. */
        w->events = 0;
        mask = CURL_CSELECT_IN | CURL_CSELECT_OUT;
    }
    curl_multi_socket_action(s->multi, fd, mask, &running);
    socket_messages(s);
    s->client->events->settle(s->client);
}

/* libuv forgets and adds the descriptor whenever told, so it is told only what is new. */
static void look_for(struct watch *w, int events)
{
    if (w->events == events)
        return;
    w->events = events;
    if (events == 0)
        uv_poll_stop(&w->poll);
    else
        uv_poll_start(&w->poll, events, on_socket);
}

int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct shard *s = arg;
    struct http_client *c = s->client;
    struct watch *w = (size_t)fd < c->n_watches ? c->watches[fd] : NULL;
    struct transfer *t = NULL;

    (void)unused;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
    if (what == CURL_POLL_REMOVE) {
        /* Kept in sight only when socket_close is sure to be told of its end: see socket_open. */
        if (w && t && t->exchange && t->exchange->head_bytes > 0)
            w->idle = true;
        else
            drop_watch(c, fd);
        return 0;
    }
    if (!w)
        w = make_watch(c, fd);
    if (!w) {
        if (t && t->exchange) {
            error_no_memory(&t->exchange->error);
            heap_set(&c->deadlines, &t->exchange->deadline, 0);
        }
        return 0;
    }
    w->shard = s;
    w->idle = false;
    look_for(w, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0));
    return 0;
}

/*
 * libcurl (7.88) closes a socket that did not get connected without telling anyone. The next one,
 * for the next address of the host, then often has the same number, and libcurl, which thinks that
 * number is still watched, does not ask again. So what was wanted of the old one is wanted of it.
 */
static void take_over_watch(struct transfer *t, int fd)
{
    struct http_client *c = t->shard->client;
    struct watch *old = (size_t)fd < c->n_watches ? c->watches[fd] : NULL;
    struct shard *shard = old ? old->shard : NULL;
    int events = old && !old->idle ? old->events : 0;
    struct watch *w = NULL;

    drop_watch(c, fd);
    if (events == 0)
        return;
    w = make_watch(c, fd);
    if (!w)
        return; /* as good as a packet lost: the connect timeout ends it */
    w->shard = shard;
    look_for(w, events);
}

curl_socket_t socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    if (fd < 0) {
        t->open_error = errno;
        return CURL_SOCKET_BAD;
    }
    take_over_watch(t, fd);
    return fd;
}

int socket_close(void *arg, curl_socket_t fd)
{
    drop_watch(arg, fd);
    return close(fd);
}

void sockets_close(struct http_client *c)
{
    for (size_t fd = 0; fd < c->n_watches; fd++)
        drop_watch(c, (int)fd);
    mem_free(c->watches);
    c->watches = NULL;
    c->n_watches = 0;
}
