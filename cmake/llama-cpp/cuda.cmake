# ggml's CUDA backend, beside what CMakeLists.txt has: scripts/llama-cpp.sh --cuda has its project() include this,
# so that other builds do not depend on it. CUDAARCHS and CUDACXX of the environment count, as CMake has them.
set(GGML_CUDA ON CACHE BOOL "")
set(GGML_CUDA_NCCL OFF CACHE BOOL "")

# When all targets are there.
function(inf_finish_cuda)
    add_dependencies(libraries ggml-cuda)
    install(FILES $<TARGET_FILE:ggml-cuda> DESTINATION lib)
endfunction()
cmake_language(DEFER CALL inf_finish_cuda)
