/*
 * model_list: what GET /v1/models says, and whose it is.
 *
 * A name says nothing of who loaded it: a server that was started anew may have got another program's
 * adapter under a name of ours. The list tells the path ("root") beside the name: another path is
 * another's adapter. A list without paths is believed.
 */
#ifndef INF_REMOTE_MODEL_LIST_H
#define INF_REMOTE_MODEL_LIST_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { MODEL_LIST_MAX = 65536 };

struct model_entry {
    char *id;
    char *parent; /* of an adapter: its base model; NULL for a base model */
    char *root;   /* where it came from, on the server; NULL when not told */
};

struct model_list {
    struct model_entry *items;
    size_t n, capacity;
};

/* Errors: PROTOCOL (no list of models), LIMIT, NO_MEMORY. *out is empty then. */
int32_t model_list_parse(struct model_list *out, const char *body, size_t len, inf_error *err);
void model_list_free(struct model_list *list);

/* NULL when it is not listed. */
const struct model_entry *model_list_find(const struct model_list *list, const char *id);
/* The first base model, NULL when there is none. */
const struct model_entry *model_list_base(const struct model_list *list);
/* The entry is an adapter from that path (NULL: from any), as far as the list tells. The two may be
 * spelled apart: slashes at the end, another name of the same file here. */
bool model_entry_is_from(const struct model_entry *e, const char *path);
/* The list says that it is an adapter from that very path. Looks at no file. */
bool model_entry_names(const struct model_entry *e, const char *path);

#endif
