/*
 * interrupt: SIGINT, SIGTERM and SIGHUP cancel what runs, so that adapters are unloaded and text so
 * far is kept; a second one ends the process at once. One that the process inherited as ignored
 * (nohup's SIGHUP) stays ignored.
 *
 * Threads: a thread of its own waits for the signals, which all others block. A lock guards the
 * operation that is to be cancelled.
 */
#ifndef INF_CLI_INTERRUPT_H
#define INF_CLI_INTERRUPT_H

#include <inference/inference.h>

/* Before any other thread starts. */
void interrupt_init(void);
/* The operation to cancel from now on; NULL: none. Cancels it at once when a signal came before. */
void interrupt_watch(inf_op *op);
/* The main thread is about to read, or has read: a signal ends the read. */
void interrupt_reading(bool reading);
/* True once a signal came. */
bool interrupted(void);

#endif
