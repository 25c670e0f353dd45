/*
 * limits: what one rendering of a chat template may use, and the measuring of its values.
 *
 * The template engine has no hook to interrupt it. The guarded syntax tree (guarded_tree.h) calls
 * these functions before and after each node, so that no more than one operation of the engine, on
 * operands of bounded size, runs between two checks. A limit that is reached throws `stopped`,
 * which is not a std::exception: the engine catches and rewrites those.
 * One `budget` belongs to one rendering on one thread, which finds it through a thread-local
 * pointer. Renderings for the same request share its `watch`.
 */
#ifndef INF_TEXT_LIMITS_H
#define INF_TEXT_LIMITS_H

#include <cstddef>
#include <cstdint>
#include "text/chat_template.h"

#include <string>

#include <jinja/value.h>

namespace hf_text {

constexpr size_t MAX_SOURCE_BYTES = 256 * 1024;     /* of the template */
constexpr size_t MAX_BLOCK_TOKENS = 16 * 1024;      /* in one {{ }} or {% %} */
constexpr size_t MAX_BRACKET_DEPTH = 100;           /* ((( [[[ {{{ in one of them */
constexpr size_t MAX_BLOCK_DEPTH = 250;             /* if in for in macro; each elif counts */
constexpr size_t MAX_TREE_DEPTH = 400;              /* of the parsed template, chains included */
constexpr size_t MAX_NAMES = 512;                   /* variables that a template sets */
constexpr size_t MAX_VARIABLES = 256;               /* given from outside */
constexpr size_t MAX_JSON_BYTES = (size_t)16 << 20; /* messages, variables */
constexpr size_t MAX_JSON_NODES = 500 * 1000;
constexpr size_t MAX_JSON_DEPTH = 128;
constexpr size_t MAX_TEXT_BYTES = (size_t)32 << 20; /* one text, the output too */
constexpr size_t MAX_ITEMS = 100 * 1000;            /* one loop, one range() */
constexpr size_t MAX_LIST_ITEMS = 1000 * 1000;      /* one list */
constexpr size_t MAX_VALUE_NODES = 1000 * 1000;     /* a value with all it contains */
constexpr size_t MAX_VALUE_DEPTH = 200;             /* list in list in object */
constexpr size_t MAX_PRODUCED = (size_t)1 << 30;    /* bytes of all values made */
constexpr size_t MAX_STEPS = 2 * 1000 * 1000;       /* nodes executed */
constexpr size_t MAX_CALL_DEPTH = 200;              /* macros that call macros */
constexpr int64_t MAX_TIME_US = 1000000;            /* of CPU: a busy machine is no reason */
/* Copies of the variables that one loop makes before its first turn, in one go: about 0.7 s. */
constexpr size_t MAX_LOOP_COPIES = (size_t)2500 * 1000;

/* Why a rendering was stopped. Not a std::exception, see above. */
struct stopped {
    int32_t code;
    std::string why;
};

/* Throws stopped with INF_ERROR_TEMPLATE. */
[[noreturn]] void stop(const std::string &why);

/* The time that one request has on this thread, and whether it is still wanted. */
class watch {
  public:
    explicit watch(const text_stop &stop);
    void check()
        const; /* throws stopped: CANCELLED when asked to stop, TEMPLATE after MAX_TIME_US */

  private:
    text_stop stop;
    int64_t deadline;
};

class budget {
  public:
    budget(size_t n_variables, const watch &time);
    ~budget();
    budget(const budget &) = delete;
    budget &operator=(const budget &) = delete;

    /* The budget of this thread's rendering. */
    static budget &current();

    void step();                        /* one node: steps, time, stack */
    void check_time() const;            /* within a long operation of our own: the watch */
    void produced(size_t bytes);        /* a new value */
    void loop_over(size_t items) const; /* before a loop */
    void enter_call();
    void leave_call();

    jinja::value assigned; /* the value of the assignment under way */
    std::string raised;    /* raise_exception's message */

  private:
    size_t n_variables;
    size_t steps = 0;
    size_t bytes = 0;
    size_t calls = 0;
    const watch &time;
};

/* A value with all it contains; what is shared counts each time it is met. */
struct extent {
    size_t nodes = 0;
    size_t bytes = 0; /* of texts */
    size_t depth = 0;
    bool has_function = false;
    bool has_forbidden = false; /* contains the value that was asked for */
};

/* Throws stopped beyond MAX_VALUE_NODES, MAX_VALUE_DEPTH or MAX_TEXT_BYTES. */
extent measure(const jinja::value &v, const jinja::value_t *forbidden = nullptr);

/* A new value of the engine: texts of many parts are joined, sizes checked and paid for. */
void settle(const jinja::value &v);

size_t text_length(const jinja::value_t &v);
/* A list or an object: what measure() is worth calling for. */
bool is_container(const jinja::value &v);

} // namespace hf_text

#endif
