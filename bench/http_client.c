/*
 * http_client: a run of the HTTP benchmarks. The same requests through this library's client and
 * through a bare libcurl loop that throws the bytes away; one JSON line with the result.
 *
 *     http_client ours|ours-bytes|bare|bare-poll cpu  PORT REQUESTS CONCURRENCY
 *     http_client ours|ours-bytes|bare           rate PORT REQUESTS PER_SECOND
 *     http_client ours                           hold PORT STREAMS
 *
 * ours: streaming, through the SSE parser. ours-bytes: the same without it. bare: the multi socket
 * interface on epoll, easy handles kept, connections kept. bare-poll: curl_multi_poll and perform.
 * cpu: CPU time a request, all threads, with so many in flight. rate: time from when a request was
 * due to its end. hold: so many streams in flight at once, then all complete.
 */
#include "http/http.h"
#include "http/sse.h"

#include <curl/curl.h>
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const char body[] =
    "{\"model\":\"base\",\"messages\":[{\"role\":\"user\",\"content\":\"What is gravity? Explain "
    "it as "
    "you would to a child of ten years, in a few short sentences.\"}],\"max_tokens\":64,"
    "\"stream\":true,\"stream_options\":{\"include_usage\":true}}";

static int n_requests, concurrency, per_second;
static bool parse;
static char url[128];
static int64_t *took;    /* us, of each request */
static int64_t start_us; /* of the rate */
static atomic_int n_started, n_done, n_events, n_failed;
static atomic_llong n_bytes;

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static double cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int64_t due_us(int i)
{
    return start_us + (int64_t)i * 1000000 / per_second;
}

static void sleep_until(int64_t us)
{
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* ------------------------------------------------------------------ ours */

struct slot {
    struct sse sse;
    int number;
};

static struct http_client *client;
static struct http_headers *headers;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_done = PTHREAD_COND_INITIALIZER;

static void start_one(int number);

static int32_t on_event(void *owner, const struct sse_event *event, inf_error *err)
{
    (void)owner;
    (void)event;
    (void)err;
    atomic_fetch_add_explicit(&n_events, 1, memory_order_relaxed);
    return INF_OK;
}

static int32_t on_data(void *owner, const char *data, size_t len, inf_error *err)
{
    struct slot *s = owner;

    atomic_fetch_add_explicit(&n_bytes, (long long)len, memory_order_relaxed);
    return parse ? sse_feed(&s->sse, data, len, err) : INF_OK;
}

static void on_done(void *owner, const struct http_outcome *outcome)
{
    struct slot *s = owner;
    int done = 0;

    if (outcome->error->code != INF_OK && atomic_fetch_add(&n_failed, 1) == 0)
        fprintf(stderr, "%s\n", outcome->error->message);
    if (per_second)
        took[s->number] = now_us() - due_us(s->number);
    sse_free(&s->sse);
    free(s);
    if (concurrency) {
        int next = atomic_fetch_add(&n_started, 1);

        if (next < n_requests)
            start_one(next);
    }
    done = atomic_fetch_add(&n_done, 1) + 1;
    if (done == n_requests) {
        pthread_mutex_lock(&lock);
        pthread_cond_signal(&all_done);
        pthread_mutex_unlock(&lock);
    }
}

static void start_one(int number)
{
    static const struct http_callbacks callbacks = {.on_data = on_data, .on_done = on_done};
    struct http_request r;
    struct slot *s = malloc(sizeof *s);
    char *copy = malloc(sizeof body);

    s->number = number;
    sse_init(&s->sse, 1 << 20, on_event, s);
    memcpy(copy, body, sizeof body);
    http_request_default(&r);
    r.method = "POST";
    r.url = url;
    r.headers = headers;
    r.body = copy;
    r.body_len = sizeof body - 1;
    r.retry = HTTP_RETRY_GENERATION;
    r.connect_ms = 30000;
    r.callbacks = &callbacks;
    r.owner = s;
    if (http_start(NULL, client, &r, NULL) != INF_OK)
        exit(1);
}

static void wait_all(void)
{
    pthread_mutex_lock(&lock);
    while (atomic_load(&n_done) < n_requests)
        pthread_cond_wait(&all_done, &lock);
    pthread_mutex_unlock(&lock);
}

static void open_ours(inf_context **ctx)
{
    if (inf_context_create(ctx, NULL, NULL) != INF_OK ||
        http_client_get(&client, *ctx, NULL) != INF_OK ||
        http_headers_create(&headers, NULL) != INF_OK ||
        http_headers_add(headers, "Content-Type", "application/json", NULL) != INF_OK ||
        http_headers_add(headers, "Authorization", "Bearer EMPTY", NULL) != INF_OK)
        exit(1);
}

static void run_ours(void)
{
    inf_context *ctx = NULL;

    open_ours(&ctx);
    if (concurrency) {
        int first = concurrency < n_requests ? concurrency : n_requests;

        atomic_store(&n_started, first);
        for (int i = 0; i < first; i++)
            start_one(i);
    } else {
        start_us = now_us() + 10000;
        for (int i = 0; i < n_requests; i++) {
            sleep_until(due_us(i));
            start_one(i);
        }
    }
    wait_all();
    http_client_release(client);
    http_headers_unref(headers);
    inf_context_close(ctx, NULL);
}

/* ------------------------------------------------------------------ bare */

struct bare {
    CURL *easy;
    struct bare *next;
    int number;
};

static CURLM *multi;
static struct bare *spare;
static struct curl_slist *bare_headers;
static int poller, timer_fd;
static int started;

static size_t throw_away(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    (void)arg;
    atomic_fetch_add_explicit(&n_bytes, (long long)(size * n), memory_order_relaxed);
    return size * n;
}

static void bare_start(int number)
{
    struct bare *b = spare;

    if (b) {
        spare = b->next;
    } else {
        b = calloc(1, sizeof *b);
        b->easy = curl_easy_init();
        curl_easy_setopt(b->easy, CURLOPT_URL, url);
        curl_easy_setopt(b->easy, CURLOPT_PRIVATE, b);
        curl_easy_setopt(b->easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(b->easy, CURLOPT_HTTPHEADER, bare_headers);
        curl_easy_setopt(b->easy, CURLOPT_WRITEFUNCTION, throw_away);
    }
    b->number = number;
    curl_easy_setopt(b->easy, CURLOPT_POSTFIELDSIZE, (long)(sizeof body - 1));
    curl_easy_setopt(b->easy, CURLOPT_POSTFIELDS, body);
    curl_multi_add_handle(multi, b->easy);
}

static void bare_messages(void)
{
    CURLMsg *m = NULL;
    int left = 0;

    while ((m = curl_multi_info_read(multi, &left))) {
        struct bare *b = NULL;

        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&b);
        if (m->data.result != CURLE_OK)
            atomic_fetch_add(&n_failed, 1);
        curl_multi_remove_handle(multi, b->easy);
        if (per_second)
            took[b->number] = now_us() - due_us(b->number);
        b->next = spare;
        spare = b;
        atomic_fetch_add(&n_done, 1);
        if (concurrency && started < n_requests)
            bare_start(started++);
    }
}

static int bare_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct epoll_event e = {.data.fd = fd};

    (void)easy;
    (void)arg;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    e.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
               (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    epoll_ctl(poller, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
    curl_multi_assign(multi, fd, &poller);
    return 0;
}

static int64_t bare_timeout = -1;

static int bare_timer(CURLM *m, long ms, void *arg)
{
    (void)m;
    (void)arg;
    bare_timeout = ms < 0 ? -1 : now_us() + ms * 1000;
    return 0;
}

static void bare_turn(void)
{
    struct epoll_event events[256];
    int64_t now = now_us();
    int wait = -1;
    int running = 0;
    int n = 0;

    if (bare_timeout >= 0)
        wait = bare_timeout <= now ? 0 : (int)((bare_timeout - now + 999) / 1000);
    n = wait == 0 ? 0 : epoll_wait(poller, events, 256, wait);
    for (int i = 0; i < n; i++) {
        uint64_t ticks = 0;

        if (events[i].data.fd == timer_fd) {
            if (read(timer_fd, &ticks, sizeof ticks) < 0)
                continue;
        } else {
            curl_multi_socket_action(
                multi, events[i].data.fd,
                (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                    (events[i].events & ~(uint32_t)EPOLLOUT ? CURL_CSELECT_IN : 0),
                &running);
        }
    }
    if (bare_timeout >= 0 && bare_timeout <= now_us()) {
        bare_timeout = -1;
        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    bare_messages();
}

static void set_alarm(int64_t us)
{
    struct itimerspec t = {.it_value = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}};
    struct epoll_event e = {.events = EPOLLIN, .data.fd = timer_fd};

    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
    epoll_ctl(poller, EPOLL_CTL_ADD, timer_fd, &e);
}

static void run_bare(bool polling)
{
    int running = 0;

    multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 65536L);
    bare_headers = curl_slist_append(NULL, "Content-Type: application/json");
    bare_headers = curl_slist_append(bare_headers, "Authorization: Bearer EMPTY");
    poller = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (!polling) {
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, bare_socket);
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, bare_timer);
    }
    start_us = now_us() + 10000;
    while (concurrency && started < concurrency && started < n_requests)
        bare_start(started++);
    while (atomic_load(&n_done) < n_requests) {
        if (per_second && started < n_requests) {
            while (started < n_requests && due_us(started) <= now_us())
                bare_start(started++);
            set_alarm(started < n_requests ? due_us(started) : 0);
        }
        if (!polling) {
            bare_turn();
            continue;
        }
        curl_multi_perform(multi, &running);
        bare_messages();
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
}

/* ------------------------------------------------------------------ many at once */

static size_t heap_in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int n = -2;

    while (tasks && readdir(tasks))
        n++;
    if (tasks)
        closedir(tasks);
    return n;
}

static void release_all(int port)
{
    CURL *easy = curl_easy_init();
    char to[64];

    snprintf(to, sizeof to, "http://127.0.0.1:%d/release", port);
    curl_easy_setopt(easy, CURLOPT_URL, to);
    curl_easy_perform(easy);
    curl_easy_cleanup(easy);
}

static void hold(int port)
{
    inf_context *ctx = NULL;
    int64_t began = now_us();
    size_t before = 0;
    size_t each = 0;
    int threads = 0;

    open_ours(&ctx);
    before = heap_in_use();
    for (int i = 0; i < n_requests; i++)
        start_one(i);
    while (atomic_load(&n_events) < n_requests && atomic_load(&n_failed) == 0)
        sleep_until(now_us() + 10000);
    each = (heap_in_use() - before) / (size_t)n_requests;
    threads = count_threads();
    fprintf(stderr, "all there after %.2f s\n", (double)(now_us() - began) / 1e6);
    release_all(port);
    wait_all();
    printf("{\"streams\":%d,\"failed\":%d,\"bytes_each\":%zu,\"threads\":%d,\"seconds\":%.3f}\n",
           n_requests, atomic_load(&n_failed), each, threads, (double)(now_us() - began) / 1e6);
    http_client_release(client);
    http_headers_unref(headers);
    inf_context_close(ctx, NULL);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    double cpu = 0;
    int64_t wall = 0;
    int port = 0;

    if (argc < 5) {
        fprintf(stderr, "see the top of http_client.c\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    /* Or every sleep until a request is due would last 50 us longer; the bare loop's timer has no
     * such slack. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    parse = strcmp(argv[1], "ours") == 0;
    port = atoi(argv[3]);
    n_requests = atoi(argv[4]);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", port,
             strcmp(argv[2], "hold") == 0 ? "idle" : "v1/chat/completions");
    if (strcmp(argv[2], "hold") == 0) {
        hold(port);
        return 0;
    }
    if (strcmp(argv[2], "cpu") == 0)
        concurrency = atoi(argv[5]);
    else
        per_second = atoi(argv[5]);
    took = calloc((size_t)n_requests, sizeof *took);
    cpu = cpu_us();
    wall = now_us();
    if (strncmp(argv[1], "bare", 4) == 0)
        run_bare(strcmp(argv[1], "bare-poll") == 0);
    else
        run_ours();
    cpu = cpu_us() - cpu;
    wall = now_us() - wall;
    qsort(took, (size_t)n_requests, sizeof *took, by_size);
    printf("{\"cpu_us\":%.2f,\"wall_s\":%.3f,\"failed\":%d,\"bytes\":%lld,\"median_us\":%lld,"
           "\"p99_us\":%lld}\n",
           cpu / n_requests, (double)wall / 1e6, atomic_load(&n_failed),
           (long long)atomic_load(&n_bytes), (long long)took[n_requests / 2],
           (long long)took[n_requests - 1 - n_requests / 100]);
    return atomic_load(&n_failed) != 0;
}
