/*
 * generator: random numbers: xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 * 2021), its state filled by splitmix64 as they advise. The same seed gives the same numbers everywhere.
 */
#ifndef INF_LOCAL_GENERATOR_H
#define INF_LOCAL_GENERATOR_H

#include <stdint.h>

struct generator {
    uint64_t state[4];
};

void generator_seed(struct generator *g, uint64_t seed);
/* Uniform in [0, 1). */
double generator_next(struct generator *g);

/* One that nobody can tell before. */
uint64_t fresh_seed(void);

#endif
