/*
 * fake_backend_root: a composition root in place of src/backends.c, for tests of what stands in front of
 * it. vllm is the fake server, llamacpp the fake in process; the others were left out.
 */
#include "fake_backend.h"

static const struct provider_ops no_ollama = {.type = INF_PROVIDER_OLLAMA,
                                              .name = "ollama",
                                              .url_variable = "OLLAMA_BASE_URL",
                                              .default_url = "http://localhost:11434/v1",
                                              .missing = "this build has no such provider; "
                                                         "configure it with -DFAKE=ON"};

static const struct provider_ops no_transformers = {.type = INF_PROVIDER_TRANSFORMERS,
                                                    .name = "transformers",
                                                    .url_variable = "TRANSFORMERS_MODEL_NAME",
                                                    .default_url = "",
                                                    .in_process = true,
                                                    .missing = "this build has no such provider; "
                                                               "configure it with -DFAKE=ON"};

const struct provider_ops *const backends[] = {&fake_server_ops, &no_ollama, &fake_ops,
                                               &no_transformers, NULL};
