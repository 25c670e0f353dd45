# The imported target llama_cpp (libllama and ggml), static, out of the cache that scripts/llama-cpp.sh
# fills.
find_program(INF_SH sh REQUIRED)

function(inf_llama_cpp component sanitize out)
    set(command ${INF_SH} ${PROJECT_SOURCE_DIR}/scripts/llama-cpp.sh --component ${component}
        --cc ${CMAKE_C_COMPILER} --cxx ${CMAKE_CXX_COMPILER})
    if(sanitize)
        list(APPEND command --sanitize ${sanitize})
    endif()
    if(PORTABLE)
        list(APPEND command --portable)
    endif()
    if(CUDA)
        list(APPEND command --cuda)
    endif()
    if(LLAMA_CPP_DIR)
        list(APPEND command --source ${LLAMA_CPP_DIR})
    endif()
    execute_process(COMMAND ${command} OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE
                    RESULT_VARIABLE status)
    if(status)
        message(FATAL_ERROR "llama.cpp is not there, see above. -DLLAMA_CPP_DIR=DIR uses a checkout, "
                            "-DINF_LLAMACPP=OFF builds without the llama.cpp provider")
    endif()
    message(STATUS "llama.cpp (${component}): ${prefix}")
    set(${out} ${prefix} PARENT_SCOPE)
endfunction()

if(INF_LLAMA_SANITIZE STREQUAL "none")
    inf_llama_cpp(llama "" llama_prefix)
elseif(INF_LLAMA_SANITIZE)
    message(FATAL_ERROR "INF_LLAMA_SANITIZE=${INF_LLAMA_SANITIZE}: use none, or leave it empty")
else()
    inf_llama_cpp(llama "${SANITIZE}" llama_prefix)
endif()
file(STRINGS ${llama_prefix}/include/llama_edits.h edits_left_out REGEX " 0$")
if(edits_left_out)
    message(WARNING "LLAMA_CPP_DIR is a llama.cpp in which some edits find no place; it is used without "
                    "them (cmake/llama-cpp/edits/edits.cmake): ${edits_left_out}")
endif()
add_library(llama_cpp INTERFACE IMPORTED GLOBAL)
target_include_directories(llama_cpp INTERFACE ${llama_prefix}/include)
set(llama_archives llama ggml ggml-cpu ggml-base)
if(CUDA)
    set(llama_archives llama ggml ggml-cuda ggml-cpu ggml-base)
endif()
list(TRANSFORM llama_archives REPLACE "(.+)" "${llama_prefix}/lib/lib\\1.a")
target_link_libraries(llama_cpp INTERFACE
    ${llama_archives} Threads::Threads ${CMAKE_DL_LIBS} m)
if(CUDA)
    find_package(CUDAToolkit REQUIRED)
    target_link_libraries(llama_cpp INTERFACE
        CUDA::cudart_static CUDA::cublas CUDA::cublasLt CUDA::cuda_driver)
endif()

set(INF_LLAMA_ARCHIVES ${llama_archives})
set(INF_LLAMA_LICENSES ${llama_prefix}/licenses)
