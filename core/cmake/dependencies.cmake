# What xgrad's headers and its link need; read by the build and by the installed package alike.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(xtensor)
find_dependency(xsimd)

# OpenBLAS by name: the reference BLAS has the same interface and a tenth of the speed.
if(NOT TARGET xgrad::openblas)
  find_library(XGRAD_OPENBLAS_LIBRARY openblas)
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
