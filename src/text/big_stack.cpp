/*
 * big_stack: see the header.
 */
#include "text/big_stack.h"

#include <csignal>
#include <pthread.h>

namespace hf_text {

namespace {

struct task {
    void (*call)(void *);
    void *arg;
};

thread_local const char *stack_top = nullptr;

void *run(void *p)
{
    const task *t = static_cast<const task *>(p);

    stack_top = static_cast<const char *>(__builtin_frame_address(0));
    t->call(t->arg);
    return nullptr;
}

/* Started with every signal blocked, as all threads of the library are. */
bool start(pthread_t *thread, task *t)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    bool ok = pthread_attr_init(&attributes) == 0;

    if (!ok)
        return false;
    sigfillset(&all);
    ok = pthread_attr_setstacksize(&attributes, BIG_STACK_BYTES) == 0 &&
         pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
    if (ok) {
        ok = pthread_create(thread, &attributes, run, t) == 0;
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    pthread_attr_destroy(&attributes);
    return ok;
}

} // namespace

bool run_on_big_stack(void (*call)(void *), void *arg)
{
    pthread_t thread;
    task t = {call, arg};

    return start(&thread, &t) && pthread_join(thread, nullptr) == 0;
}

size_t big_stack_used()
{
    if (!stack_top)
        return 0;
    return (size_t)(stack_top - static_cast<const char *>(__builtin_frame_address(0)));
}

} // namespace hf_text
