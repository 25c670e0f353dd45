# `make install` and `cmake --install`: library, header, pkg-config file, CMake package, man page,
# licences, the command with its completion. Everything finds itself from where it lies: the tree may be moved.
include(CMakePackageConfigHelpers)

install(TARGETS inference EXPORT inference-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${INF_STATIC_LIBRARY} DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET inference_command)
    install(TARGETS inference_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(FILES completions/inference.bash RENAME inference
            DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES completions/_inference DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
endif()
install(FILES include/inference/inference.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/inference)
install(FILES docs/inference.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(folder IN LISTS INF_LLAMA_LICENSES)
    install(DIRECTORY ${folder}/ DESTINATION ${CMAKE_INSTALL_DOCDIR})
endforeach()

# Paths relative to the .pc file's own, unless the folders were given as absolute ones.
cmake_path(IS_ABSOLUTE CMAKE_INSTALL_LIBDIR absolute_libdir)
cmake_path(IS_ABSOLUTE CMAKE_INSTALL_INCLUDEDIR absolute_includedir)
if(absolute_libdir OR absolute_includedir)
    set(INF_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
    set(INF_PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
    set(INF_PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
    cmake_path(SET pkgconfig_folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
    file(RELATIVE_PATH up /${pkgconfig_folder} /)
    string(REGEX REPLACE "/$" "" up ${up})
    set(INF_PC_PREFIX "\${pcfiledir}/${up}")
    set(INF_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    set(INF_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
# What a program that takes the static library needs besides: the libraries of the pkg-config modules
# among INF_NEEDS, and libunistring. By name, not as Requires.private, which would ask for everything that a static
# libcurl needs.
set(INF_PC_LIBS)
set(INF_STATIC_NEEDS)
foreach(need IN LISTS INF_NEEDS)
    if(need MATCHES "^PkgConfig::(.+)$")
        list(APPEND INF_STATIC_NEEDS ${${CMAKE_MATCH_1}_LIBRARIES})
    elseif(need STREQUAL "unistring")
        list(APPEND INF_STATIC_NEEDS unistring)
    endif()
endforeach()
list(TRANSFORM INF_STATIC_NEEDS PREPEND -l OUTPUT_VARIABLE INF_PC_LIBS)
list(JOIN INF_PC_LIBS " " INF_PC_LIBS)
configure_file(cmake/inference.pc.in inference.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/inference.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(INF_STATIC_LIBRARY)
    configure_file(cmake/inference-static.pc.in inference-static.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/inference-static.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/inference)
install(EXPORT inference-targets NAMESPACE inference:: DESTINATION ${package_folder})
configure_package_config_file(cmake/inference-config.cmake.in inference-config.cmake
    INSTALL_DESTINATION ${package_folder} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(inference-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/inference-config.cmake
              ${PROJECT_BINARY_DIR}/inference-config-version.cmake
        DESTINATION ${package_folder})
