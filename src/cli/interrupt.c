/* interrupt: signals become cancelled operations. */
#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum { EXIT_AT_ONCE = 15 }; /* as a cancelled operation */

static pthread_t main_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards watched */
static inf_op *watched;
static atomic_bool came;

static void make_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

static void *wait_for_signals(void *arg)
{
    sigset_t set;
    int number = 0;

    make_set(&set);
    while (sigwait(&set, &number) == 0) {
        if (atomic_exchange(&came, true))
            _exit(EXIT_AT_ONCE);
        pthread_mutex_lock(&lock);
        inf_op_cancel(watched);
        pthread_mutex_unlock(&lock);
        pthread_kill(main_thread, SIGUSR1); /* ends a read from standard input */
    }
    return arg;
}

static void do_nothing(int number)
{
    (void)number;
}

void interrupt_init(void)
{
    struct sigaction wake = {0};
    pthread_t thread;
    sigset_t set;

    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of the write */
    main_thread = pthread_self();
    wake.sa_handler = do_nothing; /* no SA_RESTART: the read returns */
    sigaction(SIGUSR1, &wake, NULL);
    make_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (pthread_create(&thread, NULL, wait_for_signals, NULL) == 0)
        pthread_detach(thread);
    else
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void interrupt_watch(inf_op *op)
{
    pthread_mutex_lock(&lock);
    watched = op;
    if (atomic_load(&came))
        inf_op_cancel(op);
    pthread_mutex_unlock(&lock);
}

bool interrupted(void)
{
    return atomic_load(&came);
}
