#!/usr/bin/env bash
# layering.sh ROOT: fails, naming file and line, where an #include breaks the rules of the tree.
#   core <- ops <- nn and core <- optim; nn/fit.hpp and nn/fit.cpp may also use optim
#   the library includes itself as <xgrad/FOLDER/...> only
#   xtensor's paths are named in core/xtensor.hpp (those that only the tests use: in
#   tests/core/xtensor_headers.hpp) only, BLAS in core/gemm.cpp, and in core/threads.cpp for the
#   number of its threads, only (and where it is measured or probed), and raw SIMD in core only
set -euo pipefail
cd "$1"
failures=0

# forbid RULE PATTERN ALLOWED FOLDER...: no #include in the folders may match PATTERN, except in
# files that match ALLOWED (both extended regular expressions).
forbid() {
  local rule=$1 pattern=$2 allowed=$3 found
  shift 3
  found=$(grep -rEn --include='*.hpp' --include='*.cpp' "^[[:space:]]*#[[:space:]]*include[[:space:]]*$pattern" \
    "$@" 2>/dev/null | grep -Ev "^($allowed):" || true)
  if [ -n "$found" ]; then
    printf '%s:\n%s\n' "$rule" "$found"
    failures=1
  fi
}

library=(core ops nn optim)
all=("${library[@]}" tests examples benchmarks)
none='$^'
forbid "core includes core only" '<xgrad/(ops|nn|optim)/' "$none" core
forbid "ops includes core and ops only" '<xgrad/(nn|optim)/' "$none" ops
forbid "nn includes core, ops and nn only" '<xgrad/optim/' 'nn/fit\.[hc]pp' nn
forbid "optim includes core and optim only" '<xgrad/(ops|nn)/' "$none" optim
forbid "the library includes <xgrad/FOLDER/...>, not the umbrella" '<xgrad/[^/]*>' "$none" "${library[@]}"
forbid 'the library includes <xgrad/FOLDER/...>, not "..."' '"' "$none" "${library[@]}"
forbid "only core/xtensor.hpp names xtensor's headers" '<xtensor/' \
  '(core/xtensor|tests/core/xtensor_headers)\.hpp' "${all[@]}"
forbid "only core/gemm.cpp and core/threads.cpp name BLAS" '<(cblas\.h|openblas|xtensor-blas/|xflens/)' \
  '(core/gemm|core/threads|benchmarks/peers/openblas|tests/build/blas_probe)\.cpp' "${all[@]}"
forbid "raw SIMD stays in core" '<(xsimd/|[a-z0-9]*intrin\.h)' 'core/.*' "${all[@]}"
exit $failures
