/*
 * server_error: what a server says when it refuses, in whichever dialect, made one line that says
 * what is wrong and what to set or do. Pure functions over bytes.
 */
#ifndef INF_REMOTE_SERVER_ERROR_H
#define INF_REMOTE_SERVER_ERROR_H

#include "core/error.h"
#include "core/json.h"
#include "remote/server.h"

enum server_route { ROUTE_CHAT, ROUTE_LOAD, ROUTE_UNLOAD, ROUTE_MODELS, ROUTE_VERSION };

struct server_answer {
    const struct server *server;
    int32_t route; /* enum server_route */
    int32_t status;
    const char *name;  /* the model or adapter asked for; may be NULL */
    const char *path;  /* of the adapter; may be NULL */
    const char *proxy; /* that it came through; NULL: none */
    const char *body;
    size_t body_len;
};

/* Of an exchange with it; without a path. */
struct server_answer server_answer_of(const struct server *s, int32_t route, const char *name,
                                      const struct http_outcome *outcome);

/* err: how a call ended; of a refusal it becomes server_error. Returns its code. */
int32_t server_refusal(const struct server_answer *a, inf_error *err);
/*
 * HTTP_STATUS with http_status, in nearly every case; CONTEXT_FULL when the prompt does not fit the
 * window. Understood: {"error":{"message",...}}, {"error":"text"}, {"object":"error","message"},
 * {"detail":"text"}, {"detail":[{"loc","msg"}]}, {"message":"text"}, plain text, HTML, nothing.
 */
int32_t server_error(const struct server_answer *a, inf_error *err);

/* An object in a stream (HTTP 200) that is no chunk: an error object, or nothing we know. BACKEND,
 * CONTEXT_FULL or PROTOCOL. */
int32_t server_error_in_stream(struct json_span object, inf_error *err);
/* The data of an event whose type says that it is an error. BACKEND or CONTEXT_FULL. */
int32_t server_error_event(const char *data, size_t len, inf_error *err);
/* The words of an object, cut to size; "" when it has none. */
void server_error_words(char *out, size_t size, struct json_span object);

/* The answer refuses max_tokens (not the prompt) as beyond the server's window. */
bool server_error_is_max_tokens(const struct server_answer *a);
/* The answer says that the model, or adapter, of this name is not there. */
bool server_error_is_unknown_model(const struct server_answer *a);
/* A load's answer: it was refused since a served adapter has the name. */
bool server_error_is_name_taken(int32_t status, const char *body, size_t len);

#endif
