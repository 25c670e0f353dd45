/* The header is the first and only include: it must bring what it needs, in C++ too. */
#include <inference/inference.h>

int header_compiles();
int header_compiles()
{
    return INF_OK;
}
