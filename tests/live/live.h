/*
 * live: what the tests on the real servers share: where these are, plain HTTP beside the library,
 * starting and killing a server, adapter folders to change. The environment comes from
 * scripts/live/servers.sh env.
 */
#ifndef LIVE_H
#define LIVE_H

#include "../conformance/conformance.h"

enum { LIVE_ANSWER_MAX = 4 << 20 };

/* A variable that servers.sh env sets; ends the program when it is missing. */
const char *live_env(const char *name);

/* servers.sh COMMAND NAME; fails the test when it fails. */
void live_servers(const char *command, const char *name);

/* A request without the library, to check what it did. base ends in /v1; path is what follows the
 * host. body NULL: GET. The status; the body, NUL-terminated, in *answer (freed by the caller), or
 * answer NULL. Fails the test when nobody answers. */
int live_http(const char *base, const char *path, const char *body, char **answer);

/* Unloads every adapter that the vLLM server has. */
void live_unload_all(const char *base);
/* Whether GET /v1/models names the model or adapter. */
bool live_serves(const char *base, const char *name);
/* The value of a metric of vLLM, all its labels added up; -1 when it is not there. */
double live_metric(const char *base, const char *metric);

/* The path of an adapter of the fixtures; kept in a few static buffers, used in turn. */
const char *live_adapter(const char *name);
/* A new folder holding that adapter's files, to be removed with live_remove. */
char *live_copy(const char *adapter);
/* The folder gets another adapter's files, as a trainer would write its next ones. */
void live_overwrite(const char *folder, const char *adapter);
void live_remove(char *folder);

double live_seconds(void);

/* A request of one chat message. */
inf_request live_chat(const char *text, int32_t n, const char *adapter);
/* Runs every test of the conformance list that the subject can take, and then the others. */
int live_run(const char *name, const struct CMUnitTest *tests, size_t n,
             CMFixtureFunction before_each);

#endif
