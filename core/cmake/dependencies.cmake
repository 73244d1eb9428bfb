# What xgrad's headers and its link need; read by the build and by the installed package alike.
# First of all optimisation, for the kernels of expressions are compiled by the user.
get_property(xgrad_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT CMAKE_BUILD_TYPE AND NOT xgrad_multi_config AND NOT CMAKE_CXX_FLAGS MATCHES "-O")
  message(WARNING "xgrad: CMAKE_BUILD_TYPE is empty: without optimisation its kernels are a hundred "
                  "times slower. Configure with -DCMAKE_BUILD_TYPE=Release.")
elseif(CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT XGRAD_SANITIZE)
  message(STATUS "xgrad: without optimisation its kernels are a hundred times slower, and g++ does "
                 "not compile all of xsimd's for AVX-512. RelWithDebInfo has debug information, too.")
endif()

include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(xtensor)
find_dependency(xsimd)

# OpenBLAS by name: the reference BLAS has the same interface and a tenth of the speed.
if(NOT TARGET xgrad::openblas)
  find_library(XGRAD_OPENBLAS_LIBRARY openblas PATH_SUFFIXES openblas-pthread)
  find_path(XGRAD_OPENBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas openblas-pthread)
  mark_as_advanced(XGRAD_OPENBLAS_LIBRARY XGRAD_OPENBLAS_INCLUDE_DIR)
  if(NOT XGRAD_OPENBLAS_LIBRARY OR NOT XGRAD_OPENBLAS_INCLUDE_DIR)
    message(FATAL_ERROR "xgrad needs OpenBLAS with its header cblas.h (Debian: libopenblas-dev)")
  endif()
  add_library(xgrad::openblas UNKNOWN IMPORTED)
  set_target_properties(xgrad::openblas PROPERTIES
    IMPORTED_LOCATION "${XGRAD_OPENBLAS_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${XGRAD_OPENBLAS_INCLUDE_DIR}")
endif()
