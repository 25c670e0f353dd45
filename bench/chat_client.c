/*
 * chat_client: the vllm provider under measurement, through the public API: streamed chat requests
 * of 64 tokens to a server in another process.
 *
 *     chat_client URL REQUESTS IN_FLIGHT      prints {"cpu_us":..., "requests":...}, CPU a request
 */
#include <inference/inference.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inf_provider *provider;
static inf_callbacks callbacks;
static atomic_int n_started, n_done;
static atomic_llong n_bytes;
static int n_requests;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_done = PTHREAD_COND_INITIALIZER;

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int32_t code, const inf_error *err)
{
    if (code == INF_OK)
        return;
    fprintf(stderr, "chat_client: %s\n", err->message);
    exit(1);
}

static void start_one(void)
{
    inf_request request;
    inf_op *op = NULL;
    inf_error err;

    inf_request_default(&request, sizeof request);
    request.prompt = inf_str("Say a word.");
    request.model = inf_str("base");
    request.max_tokens = (inf_maybe_i32){true, 64};
    check(inf_generate_start(&op, provider, &request, &callbacks, &err), &err);
}

static void on_token(void *user_data, inf_op *op, const inf_chunk *chunk)
{
    (void)user_data, (void)op;
    atomic_fetch_add_explicit(&n_bytes, (long long)chunk->text.len, memory_order_relaxed);
}

static void on_done(void *user_data, inf_op *op)
{
    inf_error err;

    (void)user_data;
    check(inf_op_error(op, &err), &err);
    inf_op_release(op);
    if (atomic_fetch_add(&n_started, 1) < n_requests)
        start_one();
    if (atomic_fetch_add(&n_done, 1) + 1 < n_requests)
        return;
    pthread_mutex_lock(&lock);
    pthread_cond_signal(&all_done);
    pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv)
{
    inf_provider_config config;
    inf_context *context = NULL;
    int in_flight = argc == 4 ? atoi(argv[3]) : 0;
    double begin = 0;
    inf_error err;

    if (in_flight < 1)
        return fprintf(stderr, "usage: chat_client URL REQUESTS IN_FLIGHT\n"), 2;
    n_requests = atoi(argv[2]);
    check(inf_context_create(&context, NULL, &err), &err);
    inf_provider_config_default(&config, sizeof config);
    config.type = INF_PROVIDER_VLLM;
    config.base_url = argv[1];
    check(inf_provider_create(&provider, context, &config, &err), &err);
    inf_callbacks_default(&callbacks, sizeof callbacks);
    callbacks.on_token = on_token;
    callbacks.on_done = on_done;
    begin = cpu_seconds();
    atomic_store(&n_started, in_flight);
    for (int i = 0; i < in_flight; i++)
        start_one();
    pthread_mutex_lock(&lock);
    while (atomic_load(&n_done) < n_requests)
        pthread_cond_wait(&all_done, &lock);
    pthread_mutex_unlock(&lock);
    if (atomic_load(&n_bytes) != (long long)n_requests * 64 * 5)
        return fprintf(stderr, "chat_client: %lld bytes came\n", atomic_load(&n_bytes)), 1;
    printf("{\"cpu_us\":%.1f,\"requests\":%d}\n", (cpu_seconds() - begin) * 1e6 / n_requests,
           n_requests);
    inf_provider_release(provider);
    return inf_context_close(context, NULL);
}
