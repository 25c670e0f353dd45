/* hub_cache: see the header. */
#include "hf/hub_cache.h"

#include "core/ascii.h"
#include "core/buffer.h"
#include "core/file.h"
#include "core/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { COMMIT = 40, MAX_PART = 96, MAX_REVISION = 200 };

/* ------------------------------------------------------------------ ids */

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-' || c == '.';
}

/* A part of an id; as the hub has them, so that no path leads out of the cache. */
static bool is_part(const char *s, size_t n)
{
    if (n == 0 || n > MAX_PART || s[0] == '.' || s[0] == '-' || s[n - 1] == '.' || s[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_word(s[i]) || (i > 0 && s[i] == s[i - 1] && (s[i] == '.' || s[i] == '-')))
            return false;
    return true;
}

static bool is_revision(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > MAX_REVISION || strstr(s, "..") || strstr(s, "//") || s[0] == '/' ||
        s[0] == '.' || s[n - 1] == '/')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_word(s[i]) && s[i] != '/' && s[i] != '+')
            return false;
    return true;
}

bool hub_is_id(const char *id)
{
    const char *at = strchr(id, '@');
    size_t n = at ? (size_t)(at - id) : strlen(id);
    const char *slash = memchr(id, '/', n);
    size_t owner = slash ? (size_t)(slash - id) : 0;

    if (at && !is_revision(at + 1))
        return false;
    return slash ? is_part(id, owner) && is_part(slash + 1, n - owner - 1) : is_part(id, n);
}

/* ------------------------------------------------------------------ where the cache is */

/* A leading "~" is the home folder. */
static bool append_path(struct buffer *out, const char *path)
{
    const char *home = getenv("HOME");

    if (path[0] == '~' && (path[1] == '/' || path[1] == '\0') && home)
        return buffer_append_str(out, home) && buffer_append_str(out, path + 1);
    return buffer_append_str(out, path);
}

/* A variable that is set to "" is a value. */
static bool append_cache(struct buffer *out)
{
    const char *cache = getenv("HF_HUB_CACHE");
    const char *home = getenv("HF_HOME");
    const char *xdg = getenv("XDG_CACHE_HOME");

    if (!cache)
        cache = getenv("HUGGINGFACE_HUB_CACHE");
    if (cache)
        return append_path(out, cache);
    if (home)
        return append_path(out, home) && buffer_append_str(out, *home ? "/hub" : "hub");
    if (xdg)
        return append_path(out, xdg) && buffer_append_str(out, "/huggingface/hub");
    return append_path(out, "~/.cache") && buffer_append_str(out, "/huggingface/hub");
}

/* ------------------------------------------------------------------ the snapshot */

static bool is_commit(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_digit(s[i]) && !(s[i] >= 'a' && s[i] <= 'f'))
            return false;
    return n == COMMIT;
}

/* The model's folder in the cache: models--owner--name. */
static bool append_folder(struct buffer *out, const char *id, size_t n)
{
    bool ok = append_cache(out) && buffer_append_str(out, "/models--");

    for (size_t i = 0; i < n && ok; i++)
        ok = id[i] == '/' ? buffer_append_str(out, "--") : buffer_append(out, &id[i], 1);
    return ok;
}

/* What refs/<revision> holds: 40 digits and nothing else. */
static int32_t read_ref(char commit[COMMIT + 1], const char *folder, const char *revision,
                        inf_error *err)
{
    struct buffer path;
    char *text = NULL;
    size_t len = 0;
    int32_t code = INF_OK;

    buffer_init(&path, BUFFER_NO_LIMIT);
    code = buffer_printf(&path, "%s/refs/%s", folder, revision)
               ? file_read(&text, &len, path.data, 4096, err)
               : error_no_memory(err);
    buffer_free(&path);
    if (code == INF_OK && !is_commit(text, len))
        code = error_set(err, INF_ERROR_IO, "refs/%s holds no commit", revision);
    if (code == INF_OK) {
        memcpy(commit, text, COMMIT);
        commit[COMMIT] = '\0';
    }
    mem_free(text);
    return code;
}

static int32_t not_there(const char *id, inf_error *err)
{
    const char *at = strchr(id, '@');
    int n = at ? (int)(at - id) : (int)strlen(id);
    struct buffer cache;
    int32_t code = INF_OK;

    buffer_init(&cache, BUFFER_NO_LIMIT);
    if (!append_cache(&cache))
        code = error_no_memory(err);
    else
        code = error_set_detail(
            err, INF_ERROR_IO, ENOENT,
            "%.100s is no directory here, and not in the Hugging Face cache %s: "
            "run \"hf download %.*s%s%.100s\", or give a checkpoint's directory",
            id, cache.data, n < 100 ? n : 100, id, at ? " --revision " : "", at ? at + 1 : "");
    buffer_free(&cache);
    return code;
}

static int32_t find_snapshot(struct buffer *out, const char *id, inf_error *err)
{
    const char *at = strchr(id, '@');
    const char *revision = at ? at + 1 : "main";
    char commit[COMMIT + 1] = "";
    size_t n = at ? (size_t)(at - id) : strlen(id);

    if (!append_folder(out, id, n))
        return error_no_memory(err);
    if (is_commit(revision, strlen(revision)))
        memcpy(commit, revision, sizeof commit);
    else if (read_ref(commit, out->data, revision, err) != INF_OK)
        return not_there(id, err);
    if (!buffer_printf(out, "/snapshots/%s", commit))
        return error_no_memory(err);
    return is_directory(out->data) ? INF_OK : not_there(id, err);
}

int32_t hub_cache_find(char **dir, const char *id, inf_error *err)
{
    struct buffer path;
    int32_t code = INF_OK;

    *dir = NULL;
    if (!hub_is_id(id))
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "%.200s is neither a directory nor a model's id, owner/name", id);
    buffer_init(&path, BUFFER_NO_LIMIT);
    code = find_snapshot(&path, id, err);
    if (code == INF_OK)
        *dir = mem_strdup(path.data);
    buffer_free(&path);
    return code == INF_OK && !*dir ? error_no_memory(err) : code;
}
