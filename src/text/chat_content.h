/*
 * chat_content: what messages contain, checked, and brought into the form that a template takes.
 *
 * A content is a text, or a list of parts as OpenAI has them: {"type": "text", "text": "..."}. Most
 * templates know texts only and would print a list with its brackets and keys; some know both; some
 * know lists only and lose a text without a word. Which it is, for each role, is found out by
 * rendering a marker, when it is first needed. Knows messages as JSON, and templates only as
 * something that renders them.
 * Threads: content_forms any; messages belong to the caller.
 */
#ifndef INF_TEXT_CHAT_CONTENT_H
#define INF_TEXT_CHAT_CONTENT_H

#include "core/error.h"

#include <jansson.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>

namespace hf_text {

/* The content of messages[i], an object with a role. INVALID_ARGUMENT; UNSUPPORTED for parts that
 * are not text. */
int32_t check_content(const json_t *message, size_t i, inf_error *err);

/* What one template takes. */
class content_forms {
  public:
    /* Messages as the template renders them, "" when it does not. */
    using renderer = std::function<std::string(json_t *messages)>;

    /* Changes the contents of `messages`, which are checked. Throws what render throws, bad_alloc. */
    void apply(json_t *messages, const renderer &render);

  private:
    static constexpr size_t N_ROLES = 5;
    enum answer { UNKNOWN, NO, YES };

    bool takes(bool list, const char *role, const renderer &render);

    std::atomic<int> known[2][N_ROLES] = {}; /* of texts, of lists */
};

} // namespace hf_text

#endif
