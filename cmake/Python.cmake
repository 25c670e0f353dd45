# What the Python package takes of this build: the component "python", installed into the wheel by its build
# backend (bindings/python/pyproject.toml). The package's own files are not CMake's.
add_custom_target(python-package DEPENDS inference)

set(INF_PYTHON_CPU_FEATURES)
if(PORTABLE AND INF_LLAMACPP AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    # x86-64-v3, as /proc/cpuinfo calls it: asked for before the library is loaded.
    set(INF_PYTHON_CPU_FEATURES "\"avx\", \"avx2\", \"bmi1\", \"bmi2\", \"f16c\", \"fma\", \"movbe\",")
endif()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/_baseline.py CONTENT
"\"\"\"Written by the build: what the library's machine code needs of a CPU, as /proc/cpuinfo calls it.\"\"\"

CPU_FEATURES = (@INF_PYTHON_CPU_FEATURES@)
" @ONLY)

install(FILES $<TARGET_FILE:inference> DESTINATION inference RENAME libinference.so
        COMPONENT python EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_BINARY_DIR}/_baseline.py DESTINATION inference COMPONENT python EXCLUDE_FROM_ALL)
if(DEFINED SKBUILD_METADATA_DIR)
    foreach(folder IN LISTS INF_LLAMA_LICENSES)
        install(DIRECTORY ${folder}/ DESTINATION ${SKBUILD_METADATA_DIR}/licenses
                COMPONENT python EXCLUDE_FROM_ALL)
    endforeach()
endif()
