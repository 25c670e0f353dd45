/*
 * build_info: what the build says of itself. It knows no more than the text that cmake/BuildInfo.cmake
 * makes.
 */
#include <inference/inference.h>

const char *inf_build_info(void)
{
    return INF_BUILD_INFO;
}
