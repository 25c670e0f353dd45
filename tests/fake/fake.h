/*
 * fake: the fake servers (server.py), each a process of its own on loopback that ends with the test.
 * Everything here fails the test when it does not work.
 */
#ifndef TEST_FAKE_H
#define TEST_FAKE_H

#include <jansson.h>

struct fake {
    int pid, in, out;
    int port;
    char url[64]; /* "http://127.0.0.1:PORT/v1" */
};

/* kind: "vllm", "ollama", "plain" (a server that is no Ollama, behind an Ollama URL). */
void fake_start(struct fake *f, const char *kind);
void fake_stop(struct fake *f);

/* A command, as server.py takes it; its answer, a new reference. */
json_t *fake_order(struct fake *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, the answer thrown away. */
void fake_do(struct fake *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* How many requests of a path came since the last look; the body of the last one, freed by the
 * caller, when body is not NULL. */
int fake_requests(struct fake *f, const char *path, char **body);
/* The server has an adapter of that name. */
int fake_has_adapter(struct fake *f, const char *name);

#endif
