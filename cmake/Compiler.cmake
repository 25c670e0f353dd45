# Language, warnings, visibility and sanitizers of every target of this project.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(inf_options INTERFACE)
target_compile_definitions(inf_options INTERFACE _GNU_SOURCE)
target_compile_options(inf_options INTERFACE -Wall -Wextra -Wconversion -Wshadow
    $<$<COMPILE_LANGUAGE:C>:-Wdeclaration-after-statement>)
if(INF_WERROR)
    target_compile_options(inf_options INTERFACE -Werror)
endif()
target_link_options(inf_options INTERFACE -Wl,--as-needed)
# Unique symbols (what gcc makes of a template's static variables) cannot be made local, and clash with
# those of a C++ program that links the static library.
include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(-fno-gnu-unique inf_can_do_without_unique)
if(inf_can_do_without_unique)
    target_compile_options(inf_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-gnu-unique>)
endif()

if(SANITIZE)
    if(NOT SANITIZE MATCHES "^(address|undefined|thread|address,undefined|undefined,address)$")
        message(FATAL_ERROR "SANITIZE=${SANITIZE}: use address,undefined or thread")
    endif()
    target_compile_options(inf_options INTERFACE
        -fsanitize=${SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1)
    target_link_options(inf_options INTERFACE -fsanitize=${SANITIZE})
endif()
if(INF_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "INF_FUZZ needs clang: cmake -DCMAKE_C_COMPILER=clang "
                            "-DCMAKE_CXX_COMPILER=clang++, or `make fuzz`")
    endif()
    target_compile_options(inf_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
