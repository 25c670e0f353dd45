# `make install` and `cmake --install`: library, header, pkg-config file, CMake package, man page,
# licences, the command.
