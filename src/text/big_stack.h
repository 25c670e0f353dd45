/*
 * big_stack: runs a function on a thread of its own with a large stack and waits for it. The
 * template engine and the schema converter recurse as deep as their input; bounds on that depth are
 * set for this stack, whatever thread the caller is on.
 */
#ifndef INF_TEXT_BIG_STACK_H
#define INF_TEXT_BIG_STACK_H

#include <cstddef>

namespace hf_text {

constexpr size_t BIG_STACK_BYTES = (size_t)64 << 20; /* only pages that are touched cost memory */

/* call must not throw. false: no thread could be had, and nothing was called. */
bool run_on_big_stack(void (*call)(void *), void *arg);

/* Bytes of the stack in use by this call of run_on_big_stack; 0 outside of one. */
size_t big_stack_used();

} // namespace hf_text

#endif
