/*
 * chat_client: the vllm provider under measurement, through the public API: streamed chat requests
 * of 64 tokens to a server in another process. One JSON line with the result.
 *
 *     chat_client URL cpu  REQUESTS IN_FLIGHT      CPU time a request, all threads, so many in flight
 *     chat_client URL rate REQUESTS PER_SECOND     time from when a request was due to its on_done
 *
 * The fields are those of http_client, whose bare loop is the peer.
 */
#include <inference/inference.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

static inf_provider *provider;
static inf_callbacks callbacks;
static atomic_int n_started, n_done;
static atomic_llong n_bytes;
static int n_requests, in_flight, per_second;
static int64_t *took;    /* us, of each request */
static int64_t start_us; /* of the rate */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_done = PTHREAD_COND_INITIALIZER;

static int64_t clock_now_us(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
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

static void check(int32_t code, const inf_error *err)
{
    if (code == INF_OK)
        return;
    fprintf(stderr, "chat_client: %s\n", err->message);
    exit(1);
}

static void start_one(int number)
{
    inf_callbacks mine = callbacks;
    inf_request request;
    inf_op *op = NULL;
    inf_error err;

    inf_request_default(&request, sizeof request);
    request.prompt = inf_str(
        "What is gravity? Explain it as you would to a child of ten years, in a "
        "few short sentences.");
    request.model = inf_str("base");
    request.max_tokens = (inf_maybe_i32){true, 64};
    mine.user_data = &took[number];
    check(inf_generate_start(&op, provider, &request, &mine, &err), &err);
}

static void on_token(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    (void)user_data, (void)op;
    atomic_fetch_add_explicit(&n_bytes, (long long)chunk->text.len, memory_order_relaxed);
}

static void on_done(void *user_data, inf_op *op)
{
    int64_t *time = user_data;
    inf_error err;
    int next = 0;

    if (per_second)
        *time = clock_now_us(CLOCK_MONOTONIC) - due_us((int)(time - took));
    check(inf_op_error(op, &err), &err);
    inf_op_release(op);
    if (in_flight && (next = atomic_fetch_add(&n_started, 1)) < n_requests)
        start_one(next);
    if (atomic_fetch_add(&n_done, 1) + 1 < n_requests)
        return;
    pthread_mutex_lock(&lock);
    pthread_cond_signal(&all_done);
    pthread_mutex_unlock(&lock);
}

static void run(void)
{
    if (in_flight) {
        int first = in_flight < n_requests ? in_flight : n_requests;

        atomic_store(&n_started, first);
        for (int i = 0; i < first; i++)
            start_one(i);
    } else {
        start_us = clock_now_us(CLOCK_MONOTONIC) + 10000;
        for (int i = 0; i < n_requests; i++) {
            sleep_until(due_us(i));
            start_one(i);
        }
    }
    pthread_mutex_lock(&lock);
    while (atomic_load(&n_done) < n_requests)
        pthread_cond_wait(&all_done, &lock);
    pthread_mutex_unlock(&lock);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void open_provider(inf_context **context, const char *url)
{
    inf_provider_config config;
    inf_error err;

    check(inf_context_create(context, NULL, &err), &err);
    inf_provider_config_default(&config, sizeof config);
    config.type = INF_PROVIDER_VLLM;
    config.base_url = url;
    config.max_connections = 65536; /* it measures that many at once */
    check(inf_provider_create(&provider, *context, &config, &err), &err);
    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = on_token;
    callbacks.on_done = on_done;
}

int main(int argc, char **argv)
{
    inf_context *context = NULL;
    int64_t cpu = 0, wall = 0;

    if (argc != 5 || atoi(argv[3]) < 1 || atoi(argv[4]) < 1)
        return fprintf(stderr, "see the top of chat_client.c\n"), 2;
    n_requests = atoi(argv[3]);
    if (strcmp(argv[2], "cpu") == 0)
        in_flight = atoi(argv[4]);
    else
        per_second = atoi(argv[4]);
    took = calloc((size_t)n_requests, sizeof *took);
    if (!took)
        return 1;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* see http_client.c */
    open_provider(&context, argv[1]);
    cpu = clock_now_us(CLOCK_PROCESS_CPUTIME_ID);
    wall = clock_now_us(CLOCK_MONOTONIC);
    run();
    cpu = clock_now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = clock_now_us(CLOCK_MONOTONIC) - wall;
    if (atomic_load(&n_bytes) != (long long)n_requests * 64 * 5)
        return fprintf(stderr, "chat_client: %lld bytes came\n", atomic_load(&n_bytes)), 1;
    qsort(took, (size_t)n_requests, sizeof *took, by_size);
    printf("{\"cpu_us\":%.2f,\"wall_s\":%.3f,\"failed\":0,\"median_us\":%lld,\"p99_us\":%lld}\n",
           (double)cpu / n_requests, (double)wall / 1e6, (long long)took[n_requests / 2],
           (long long)took[n_requests - 1 - n_requests / 100]);
    free(took);
    inf_provider_release(provider);
    return inf_context_close(context, NULL);
}
