/*
 * session: the context, the provider and the adapters of one run of the command, from its options.
 */
#ifndef INF_CLI_SESSION_H
#define INF_CLI_SESSION_H

#include "cli/options.h"

struct loaded {
    char *id;
    bool is_used; /* by a request */
};

struct session {
    inf_context *context;
    inf_provider *provider;
    bool in_process;
    bool is_guess;     /* nothing said that a server is meant, and --quiet kept the warning of it */
    const char *model; /* -m, or NULL */
    struct loaded *loaded; /* (n_loaded) what --load loaded */
    size_t n_loaded;
};

/* queue_limit: what --queue-limit is when not given, or 0 for the library's default. */
int32_t session_open(struct session *session, struct settings *s, int32_t queue_limit,
                     inf_error *err);
/* A context only. */
int32_t session_open_context(struct session *session, const struct settings *s, inf_error *err);
/* Loads what --load says. */
int32_t session_load(struct session *session, const struct settings *s, inf_error *err);
/* A request uses these adapters. On the main thread. */
void session_uses(struct session *session, const struct settings *s);
/* Unloads what session_load loaded and closes; says which of it nothing used. Keeps *err, unless it is
 * INF_OK; a failed connection to a server that nobody named is told as that. */
void session_close(struct session *session, inf_error *err);

/* Waits for an operation that was started with that code, which a signal cancels meanwhile. */
int32_t session_wait(inf_op *const *op, int32_t code, inf_error *err);
/* The same for one that ends in a text, which the operation owns. */
int32_t session_text(inf_op *const *op, int32_t code, inf_text *out, inf_error *err);

/* A load with its report. */
int32_t session_load_adapter(struct session *session, inf_text id_and_path, inf_op **out,
                             inf_error *err);

/* Unloads an adapter; a signal ends the waiting. */
int32_t session_unload(struct session *session, const char *id, inf_error *err);

#endif
