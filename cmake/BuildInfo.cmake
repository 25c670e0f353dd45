# INF_BUILD_INFO, the text of inf_build_info: "name: value" lines.
set(lines)

if(INF_LLAMACPP)
    if(LLAMA_CPP_DIR)
        set(source "a checkout")
    else()
        file(STRINGS scripts/llama-cpp.sh source REGEX "^(NAME|VERSION)=")
        list(TRANSFORM source REPLACE "^[A-Z]+=" "")
        list(JOIN source " " source)
    endif()
    string(APPEND lines "llama.cpp: of ${source}\\nbackends: CPU\\n")

    # llama.cpp is compiled for this CPU, or for x86-64-v3; the compiler says what that has.
    if(PORTABLE)
        set(tune -march=x86-64-v3)
    elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|i.86")
        set(tune -march=native)
    else()
        set(tune -mcpu=native)
    endif()
    execute_process(COMMAND ${CMAKE_C_COMPILER} ${tune} -dM -E -x c /dev/null
                    OUTPUT_VARIABLE macros ERROR_QUIET)
    set(features)
    foreach(name SSE4_2 AVX AVX2 FMA F16C BMI2 AVX512F AVX512BW AVX512VL AVX512VNNI AVX512BF16 AVXVNNI
                 ARM_NEON ARM_FEATURE_DOTPROD ARM_FEATURE_MATMUL_INT8 ARM_FEATURE_FP16_VECTOR_ARITHMETIC
                 ARM_FEATURE_SVE)
        if(macros MATCHES "#define __${name}__? ")
            string(REGEX REPLACE "^ARM_(FEATURE_)?" "" name ${name})
            string(TOLOWER ${name} name)
            string(APPEND features " ${name}")
        endif()
    endforeach()
    if(NOT features)
        set(features " the baseline")
    endif()
    string(APPEND lines "CPU features:${features}\\n")
endif()

string(APPEND lines "compiler: ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}, ${CMAKE_BUILD_TYPE}")
if(SANITIZE)
    string(APPEND lines ", sanitizers: ${SANITIZE}")
endif()
string(APPEND lines "\\n")
set_source_files_properties(src/core/build_info.c PROPERTIES
    COMPILE_DEFINITIONS "INF_BUILD_INFO=\"${lines}\"")
