/* The header is the first and only include: it must bring what it needs. */
#include <inference/inference.h>

/* Not empty, so that no warning of an empty translation unit hides others. */
int header_compiles(void);
int header_compiles(void)
{
    return INF_OK;
}
