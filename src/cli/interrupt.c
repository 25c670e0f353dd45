/* interrupt: signals become cancelled operations. */
#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_AT_ONCE = 15 }; /* as a cancelled operation */

static pthread_t main_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards watched */
static inf_op *watched;
static atomic_bool came, reading;
static sigset_t awaited; /* written once, before the thread starts */

static void find_awaited(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    sigemptyset(&awaited);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction inherited;

        if (sigaction(numbers[i], NULL, &inherited) != 0 || inherited.sa_handler != SIG_IGN)
            sigaddset(&awaited, numbers[i]);
    }
}

/* Once one came, a read is ended again and again: the main thread may just be about to begin it. */
static void *wait_for_signals(void *arg)
{
    static const struct timespec soon = {.tv_nsec = 20000000};

    (void)arg;
    for (;;) {
        if ((atomic_load(&came) ? sigtimedwait(&awaited, NULL, &soon)
                                : sigwaitinfo(&awaited, NULL)) > 0) {
            if (atomic_exchange(&came, true))
                _exit(EXIT_AT_ONCE);
            pthread_mutex_lock(&lock);
            inf_op_cancel(watched);
            pthread_mutex_unlock(&lock);
        }
        if (atomic_load(&came) && atomic_load(&reading))
            pthread_kill(main_thread, SIGUSR1);
    }
    return NULL;
}

static void do_nothing(int number)
{
    (void)number;
}

void interrupt_init(void)
{
    struct sigaction wake = {0};
    pthread_t thread;

    main_thread = pthread_self();
    wake.sa_handler = do_nothing; /* no SA_RESTART: the read returns */
    sigaction(SIGUSR1, &wake, NULL);
    find_awaited();
    pthread_sigmask(SIG_BLOCK, &awaited, NULL);
    if (pthread_create(&thread, NULL, wait_for_signals, NULL) == 0)
        pthread_detach(thread);
    else
        pthread_sigmask(SIG_UNBLOCK, &awaited, NULL);
}

void interrupt_watch(inf_op *op)
{
    pthread_mutex_lock(&lock);
    watched = op;
    if (atomic_load(&came))
        inf_op_cancel(op);
    pthread_mutex_unlock(&lock);
}

void interrupt_reading(bool now)
{
    atomic_store(&reading, now);
}

bool interrupted(void)
{
    return atomic_load(&came);
}
