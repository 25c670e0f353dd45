/*
 * vllm: the provider of vLLM servers: its table of slots, and how it is made and unmade. vllm_servers.h
 * says which thread does what.
 */
#include "core/memory.h"
#include "http/url.h"
#include "remote/remote.h"
#include "remote/vllm_generate.h"
#include "remote/vllm_list.h"
#include "remote/vllm_load.h"
#include "remote/vllm_unload.h"
#include "remote/vllm_watch.h"

_Static_assert((int)REPLICAS_MAX >= URL_LIST_MAX, "every URL of a list has room");

static void free_vllm(struct vllm *v)
{
    for (size_t i = 0; i < v->replicas.n; i++)
        server_close(&v->replicas.items[i].server);
    adapter_names_free(&v->names);
    http_client_release(v->client);
    pthread_mutex_destroy(&v->lock);
    mem_free(v);
}

#define FORBIDDEN                                                                                  \
    "it, or a proxy before it, forbids this; VLLM_API_KEY, or api_key, must be a key that may do " \
    "it"

const struct server_words vllm_words = {
    .name = "vLLM",
    .no_key = "set VLLM_API_KEY, or api_key, to the key the server was started with",
    .forbidden = FORBIDDEN,
    .forbidden_silently = FORBIDDEN,
    .no_adapters = "its LoRA routes are off: start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True "
                   "and --enable-lora",
    .base = "is the base URL right? It usually ends in /v1",
    .key_variable = "VLLM_API_KEY"};

static int32_t open_servers(struct vllm *v, const inf_provider_config *config, inf_error *err)
{
    struct url_list urls;
    int32_t code = url_list_parse(&urls, config->base_url, err);

    if (code != INF_OK)
        return code;
    for (size_t i = 0; i < urls.n && code == INF_OK; i++) {
        code = server_open(&v->replicas.items[i].server, &vllm_words, urls.urls[i], config, err);
        if (code == INF_OK)
            v->replicas.n++;
    }
    url_list_free(&urls);
    return code;
}

static int32_t create(void **impl, inf_context *ctx, const inf_provider_config *config,
                      inf_error *err)
{
    struct vllm *v = mem_calloc(1, sizeof *v);
    int32_t code = INF_OK;

    if (!v)
        return error_no_memory(err);
    v->context = ctx;
    v->adapter_check = config->adapter_check;
    pthread_mutex_init(&v->lock, NULL);
    adapter_names_init(&v->names);
    code = open_servers(v, config, err);
    if (code == INF_OK)
        code = http_client_get(&v->client, ctx, err);
    if (code != INF_OK) {
        free_vllm(v);
        return code;
    }
    control_init(&v->control, v, &v->lock, v->replicas.n, vllm_watch);
    *impl = v;
    return INF_OK;
}

static void destroy(void *impl)
{
    struct vllm *v = impl;

    control_free(&v->control);
    free_vllm(v);
}

const struct provider_ops vllm_provider_ops = {.type = INF_PROVIDER_VLLM,
                                               .name = "vllm",
                                               .url_variable = "VLLM_BASE_URL",
                                               .default_url = "http://localhost:8100/v1",
                                               .create = create,
                                               .destroy = destroy,
                                               .generate = vllm_generate,
                                               .adapter_load = vllm_adapter_load,
                                               .adapter_unload = vllm_adapter_unload,
                                               .adapters = vllm_adapters,
                                               .server_adapters = vllm_server_adapters};
