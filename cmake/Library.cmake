# The products: libinference, shared and static, and the command.
#
# inference_internal is the folders' objects as one archive, with internal symbols visible: what
# unit tests and fuzz targets link to. It is not installed.
set(objects)
foreach(folder IN LISTS INF_FOLDERS)
    list(APPEND objects $<TARGET_OBJECTS:${folder}>)
endforeach()

add_library(inference_internal STATIC EXCLUDE_FROM_ALL ${objects})
set_target_properties(inference_internal PROPERTIES LINKER_LANGUAGE CXX)
target_include_directories(inference_internal INTERFACE
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(inference_internal INTERFACE ${INF_NEEDS})

# The C++ runtime goes inside: a program needs no C++ to use the library, and may have another one.
# Sanitizers want the shared runtime, whose functions they replace.
add_library(inf_cxx_runtime INTERFACE)
if(NOT SANITIZE AND NOT INF_FUZZ)
    target_link_options(inf_cxx_runtime INTERFACE -static-libstdc++ -static-libgcc)
endif()

add_library(inference SHARED ${objects})
set_target_properties(inference PROPERTIES
    LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exported-symbols.map)
target_include_directories(inference INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(inference PRIVATE inf_options inf_cxx_runtime ${INF_NEEDS})
target_link_options(inference PRIVATE
    -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/exported-symbols.map -Wl,-z,relro,-z,now)
if(NOT SANITIZE AND NOT INF_FUZZ)
    target_link_options(inference PRIVATE -Wl,-z,defs)
endif()

# The static library is one object: llama.cpp linked in, every symbol but the exported ones made
# local, so that a program may hold another llama.cpp or an older inference beside it. Not with CUDA, whose
# libraries a program would have to find too.
set(INF_STATIC_LIBRARY)
if(NOT SANITIZE AND NOT INF_FUZZ AND NOT CUDA AND CMAKE_OBJCOPY)
    set(INF_STATIC_LIBRARY ${PROJECT_BINARY_DIR}/libinference.a)
    set(object ${PROJECT_BINARY_DIR}/libinference.o)
    set(symbols ${PROJECT_SOURCE_DIR}/cmake/exported-symbols.txt)
    add_custom_command(OUTPUT ${INF_STATIC_LIBRARY}
        COMMAND ${CMAKE_CXX_COMPILER} -r -nostdlib -o ${object} -Wl,--force-group-allocation
                -Wl,--whole-archive $<TARGET_FILE:inference_internal> -Wl,--no-whole-archive
                -Wl,--start-group ${INF_LLAMA_ARCHIVES} -Wl,--end-group
        COMMAND ${CMAKE_OBJCOPY} --keep-global-symbols=${symbols} ${object}
        COMMAND ${CMAKE_COMMAND} -E rm -f ${INF_STATIC_LIBRARY}
        COMMAND ${CMAKE_AR} rcs ${INF_STATIC_LIBRARY} ${object}
        COMMAND ${CMAKE_COMMAND} -E rm -f ${object}
        DEPENDS inference_internal ${symbols} ${INF_LLAMA_ARCHIVES}
        COMMENT "Linking libinference.a" VERBATIM)
    add_custom_target(inference_static ALL DEPENDS ${INF_STATIC_LIBRARY})
endif()

file(GLOB command_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.c)
if(command_sources)
    add_executable(inference_command ${command_sources})
    set_target_properties(inference_command PROPERTIES OUTPUT_NAME inference LINKER_LANGUAGE CXX)
    target_include_directories(inference_command PRIVATE
        ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
    # One file that can be copied anywhere; the folder still sees only the public header.
    target_link_libraries(inference_command PRIVATE
        inf_options inf_cxx_runtime inference_internal PkgConfig::jansson)
endif()
