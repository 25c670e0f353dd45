/* model_list: see the header. */
#include "remote/model_list.h"

#include "core/growing.h"
#include "core/json.h"
#include "remote/text_join.h"

#include <string.h>
#include <sys/stat.h>

static int32_t broken(inf_error *err)
{
    return error_set(err, INF_ERROR_PROTOCOL,
                     "the server's answer breaks the protocol: GET /v1/models gave no list of "
                     "models; is the base URL right?");
}

/* A copy of a string, NULL for null; false: out of memory. A NUL in it ends it. */
static bool copy_string(char **out, struct json_span value)
{
    struct buffer text;

    *out = NULL;
    if (!scan_is_string(value))
        return true;
    buffer_init(&text, BUFFER_NO_LIMIT);
    if (!text_join_json(&text, value)) {
        buffer_free(&text);
        return false;
    }
    *out = text.data;
    return true;
}

static void free_entry(struct model_entry *e)
{
    mem_free(e->id);
    mem_free(e->parent);
    mem_free(e->root);
}

void model_list_free(struct model_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free_entry(&list->items[i]);
    mem_free(list->items);
    *list = (struct model_list){NULL, 0, 0};
}

static int32_t add(struct model_list *list, struct json_span item, inf_error *err)
{
    struct model_entry e = {0};

    if (!scan_is_object(item) || !scan_is_string(scan_member(item, "id")))
        return broken(err);
    if (list->n == MODEL_LIST_MAX)
        return error_set_detail(err, INF_ERROR_LIMIT, MODEL_LIST_MAX,
                                "the server lists more than %d models", MODEL_LIST_MAX);
    if (!GROW(list->items, list->capacity, list->n + 1))
        return error_no_memory(err);
    if (!copy_string(&e.id, scan_member(item, "id")) || !e.id ||
        !copy_string(&e.parent, scan_member(item, "parent")) ||
        !copy_string(&e.root, scan_member(item, "root"))) {
        free_entry(&e);
        return error_no_memory(err);
    }
    list->items[list->n++] = e;
    return INF_OK;
}

int32_t model_list_parse(struct model_list *out, const char *body, size_t len, inf_error *err)
{
    struct json_span whole, item;
    struct json_walk w;
    int32_t code = INF_OK;

    *out = (struct model_list){NULL, 0, 0};
    if (!len || !scan_json(&whole, body, len) || !scan_array(&w, scan_member(whole, "data")))
        return broken(err);
    while (code == INF_OK && scan_next_item(&w, &item))
        code = add(out, item, err);
    if (code != INF_OK)
        model_list_free(out);
    return code;
}

const struct model_entry *model_list_find(const struct model_list *list, const char *id)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].id, id) == 0)
            return &list->items[i];
    return NULL;
}

const struct model_entry *model_list_base(const struct model_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (!list->items[i].parent)
            return &list->items[i];
    return NULL;
}

/* ------------------------------------------------------------------ whose it is */

static size_t length_without_slashes(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return n;
}

static bool same_path(const char *a, const char *b)
{
    size_t n = length_without_slashes(a);
    struct stat one, two;

    if (n == length_without_slashes(b) && memcmp(a, b, n) == 0)
        return true;
    return stat(a, &one) == 0 && stat(b, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

bool model_entry_is_from(const struct model_entry *e, const char *path)
{
    return e->parent && (!e->root || !path || same_path(e->root, path));
}

bool model_entry_names(const struct model_entry *e, const char *path)
{
    return e->parent && e->root && strcmp(e->root, path) == 0;
}
