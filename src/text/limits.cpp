/*
 * limits: see the header.
 */
#include "text/limits.h"

#include "text/big_stack.h"

#include <inference/inference.h>

#include <algorithm>
#include <ctime>
#include <typeinfo>

namespace hf_text {

namespace {

/* What a value costs besides its text: the engine's value, its shared pointer, its place in a list. */
constexpr size_t VALUE_BYTES = 256;
constexpr size_t STEP_BYTES = 64; /* small values that are not counted one by one */
/* The rest is for one operation of the engine, destructors and the reporting of errors. */
constexpr size_t STACK_LIMIT = BIG_STACK_BYTES / 4 * 3;

/* Of this thread. */
int64_t cpu_us()
{
    timespec t = {};

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

thread_local budget *of_this_thread = nullptr;

class walk {
  public:
    walk(extent &into, const jinja::value_t *target) : e(into), forbidden(target)
    {
    }

    void visit(const jinja::value &v, size_t depth)
    {
        if (!v)
            return;
        count(*v, depth);
        for (const jinja::value &item : v->val_arr)
            visit(item, depth + 1);
        for (const auto &pair : v->val_obj) {
            visit(pair.first, depth + 1);
            visit(pair.second, depth + 1);
        }
        if (v->val_func)
            visit_function(v, depth);
        else if (const auto *named = jinja::cast_val<jinja::value_kwarg>(v))
            visit(named->val, depth + 1);
    }

  private:
    void count(const jinja::value_t &v, size_t depth)
    {
        e.depth = std::max(e.depth, depth);
        e.bytes += text_length(v);
        e.has_forbidden = e.has_forbidden || &v == forbidden;
        if (++e.nodes > MAX_VALUE_NODES)
            stop("a value has more than " + std::to_string(MAX_VALUE_NODES) + " parts");
        if (depth > MAX_VALUE_DEPTH)
            stop("a value is nested deeper than " + std::to_string(MAX_VALUE_DEPTH));
        if (e.bytes > MAX_TEXT_BYTES)
            stop("a value has more than " + std::to_string(MAX_TEXT_BYTES) + " bytes of text");
    }

    void visit_function(const jinja::value &v, size_t depth)
    {
        const auto *function = jinja::cast_val<jinja::value_func>(v);

        e.has_function = true;
        if (function)
            visit(function->arg0, depth + 1);
    }

    extent &e;
    const jinja::value_t *forbidden;
};

void join_parts(jinja::string &text)
{
    std::string joined = text.str();

    text.parts.clear();
    text.parts.push_back({false, std::move(joined)});
}

} // namespace

void stop(const std::string &why)
{
    throw stopped{INF_ERROR_TEMPLATE, why};
}

watch::watch(const text_stop &s) : stop(s), deadline(cpu_us() + MAX_TIME_US)
{
}

void watch::check() const
{
    if (stop.requested && stop.requested(stop.arg))
        throw stopped{INF_ERROR_CANCELLED, ""};
    if (cpu_us() > deadline)
        hf_text::stop("it takes longer than " + std::to_string(MAX_TIME_US / 1000) +
                      " ms of CPU time");
}

budget::budget(size_t n, const watch &w) : n_variables(n), time(w)
{
    of_this_thread = this;
}

budget::~budget()
{
    of_this_thread = nullptr;
}

budget &budget::current()
{
    return *of_this_thread;
}

void budget::check_time() const
{
    time.check();
}

void budget::step()
{
    if (++steps > MAX_STEPS)
        stop("it takes more than " + std::to_string(MAX_STEPS) + " steps");
    produced(STEP_BYTES);
    check_time();
    if (big_stack_used() > STACK_LIMIT)
        stop("it is nested too deep");
}

void budget::produced(size_t n)
{
    bytes += n;
    if (bytes > MAX_PRODUCED)
        stop("it makes more than " + std::to_string(MAX_PRODUCED) + " bytes of values");
}

void budget::loop_over(size_t items) const
{
    if (items > MAX_ITEMS)
        stop("a loop goes over more than " + std::to_string(MAX_ITEMS) + " items");
    if (items * n_variables > MAX_LOOP_COPIES)
        stop("a loop goes over too many items for " + std::to_string(n_variables) + " variables");
}

void budget::enter_call()
{
    if (++calls > MAX_CALL_DEPTH)
        stop("macros call each other deeper than " + std::to_string(MAX_CALL_DEPTH));
}

void budget::leave_call()
{
    calls--;
}

extent measure(const jinja::value &v, const jinja::value_t *forbidden)
{
    extent e;

    walk(e, forbidden).visit(v, 0);
    if (e.nodes > 1000) /* fewer are over long before the clock is looked at again */
        budget::current().check_time();
    return e;
}

void settle(const jinja::value &v)
{
    jinja::value_t &made = *v;
    size_t length = text_length(made);

    if (length > MAX_TEXT_BYTES)
        stop("a text is longer than " + std::to_string(MAX_TEXT_BYTES) + " bytes");
    if (made.val_arr.size() > MAX_LIST_ITEMS)
        stop("a list has more than " + std::to_string(MAX_LIST_ITEMS) + " items");
    if (made.val_str.parts.size() > 1)
        join_parts(made.val_str);
    budget::current().produced(VALUE_BYTES + length + made.val_arr.size() * sizeof(jinja::value) +
                               made.val_obj.size() * VALUE_BYTES);
}

size_t text_length(const jinja::value_t &v)
{
    return v.val_str.length();
}

bool is_container(const jinja::value &v)
{
    return !v->val_arr.empty() || !v->val_obj.empty() || v->val_func;
}

} // namespace hf_text
