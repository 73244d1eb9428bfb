#!/usr/bin/env bash
# Breaks each rule of layering.sh in a tree of its own, and each exception to a rule must pass.
set -euo pipefail
script="$(dirname "${BASH_SOURCE[0]}")/layering.sh"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

# check pass|fail FILE INCLUDE
check() {
  local expected=$1 result=pass
  rm -rf "${tree:?}"/* && mkdir "$tree"/{core,ops,nn,optim,tests,examples,benchmarks}
  echo "#include $3" >"$tree/$2"
  bash "$script" "$tree" >/dev/null || result=fail
  if [ $result != "$expected" ]; then
    echo "'#include $3' in $2: expected $expected, got $result"
    failures=1
  fi
}

for folder in ops nn optim; do check fail core/a.hpp "<xgrad/$folder/a.hpp>"; done
for folder in nn optim; do check fail ops/a.cpp "<xgrad/$folder/a.hpp>"; done
for folder in ops nn; do check fail optim/a.hpp "<xgrad/$folder/a.hpp>"; done
for folder in core ops nn; do check pass nn/a.hpp "<xgrad/$folder/a.hpp>"; done
check fail nn/a.hpp "<xgrad/optim/a.hpp>"
check pass nn/fit.hpp "<xgrad/optim/a.hpp>"
check pass nn/fit.cpp "<xgrad/optim/a.hpp>"
check fail nn/unfit.hpp "<xgrad/optim/a.hpp>"
check fail ops/a.cpp "<xgrad/xgrad.hpp>"
check pass tests/a.cpp "<xgrad/xgrad.hpp>"
check fail ops/a.cpp '"a.hpp"'
check fail core/tensor.hpp "<xtensor/xarray.hpp>"
check fail tests/a.cpp "<xtensor/xarray.hpp>"
check pass core/xtensor.hpp "<xtensor/xarray.hpp>"
check fail core/xtensor_headers.hpp "<xtensor/xarray.hpp>"
check fail ops/matmul.cpp "<cblas.h>"
check fail core/blas.hpp "<xtensor-blas/xlinalg.hpp>"
check pass core/gemm.cpp "<cblas.h>"
check fail ops/a.hpp "<xsimd/xsimd.hpp>"
check fail benchmarks/a.cpp "<immintrin.h>"
check pass core/a.hpp "<xsimd/xsimd.hpp>"
check pass core/a.hpp "<vector>"
exit $failures
