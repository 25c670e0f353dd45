/* clock: waits that end at a time of the monotonic clock. */
#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void test_wait__until_a_time__ends_then_and_not_before(void **state)
{
    pthread_cond_t cond;
    int64_t until = clock_us() + 20000;

    (void)state;
    monotonic_cond_init(&cond);
    pthread_mutex_lock(&lock);
    while (clock_us() < until)
        cond_wait_until_us(&cond, &lock, until);
    cond_wait_until_us(&cond, &lock, 1); /* long past: at once */
    pthread_mutex_unlock(&lock);
    assert_in_range(clock_us(), until, until + 5000000);
    pthread_cond_destroy(&cond);
}

struct signalled {
    pthread_cond_t cond;
    bool done;
};

static void *wake(void *arg)
{
    struct signalled *s = arg;

    pthread_mutex_lock(&lock);
    s->done = true;
    pthread_cond_signal(&s->cond);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void test_wait__without_end__ends_when_signalled(void **state)
{
    struct signalled s = {.done = false};
    pthread_t thread;

    (void)state;
    monotonic_cond_init(&s.cond);
    pthread_mutex_lock(&lock);
    assert_int_equal(pthread_create(&thread, NULL, wake, &s), 0);
    while (!s.done)
        cond_wait_until_us(&s.cond, &lock, clock_deadline_us(-1));
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&s.cond);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait__until_a_time__ends_then_and_not_before),
        cmocka_unit_test(test_wait__without_end__ends_when_signalled),
    };

    return cmocka_run_group_tests_name("core: clock", tests, NULL, NULL);
}
