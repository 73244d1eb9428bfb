# Cross-compiles for 64-bit ARM and runs what is built under qemu-user. What xgrad links to lies
# where arm64_packages.sh unpacks it for tests/run --arm64.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

set(CMAKE_FIND_ROOT_PATH "${CMAKE_CURRENT_LIST_DIR}/../../build/arm64/packages")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()

cmake_path(ABSOLUTE_PATH CMAKE_FIND_ROOT_PATH NORMALIZE OUTPUT_VARIABLE packages)
set(libraries "${packages}/usr/lib/aarch64-linux-gnu")
# libopenblas needs libgfortran.
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)  # notes on what g++ 9 and older did
string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -Wl,-rpath-link,${libraries}")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu
    -E "LD_LIBRARY_PATH=${libraries}:${libraries}/openblas-pthread")
