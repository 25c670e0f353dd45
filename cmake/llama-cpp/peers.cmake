# The programs of llama.cpp that the benchmarks run, built as they are published.
add_custom_target(peers ALL)
foreach(program bench batched-bench completion server quantize)
    add_dependencies(peers llama-${program})
    install(PROGRAMS ${CMAKE_BINARY_DIR}/bin/llama-${program} DESTINATION bin)
endforeach()
