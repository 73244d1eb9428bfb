#!/usr/bin/env bash
# Breaks each rule of layering.sh in a tree of its own, and what a rule allows must pass.
set -euo pipefail
script="$(dirname "${BASH_SOURCE[0]}")/layering.sh"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

# check pass|fail FILE INCLUDE
check() {
  local expected=$1 result=pass
  rm -rf "${tree:?}"/*
  mkdir -p "$tree"/{core/{runtime,kernels,engine,watch,verify,attic},ops,nn/{training,data,files,verify}} \
    "$tree"/{optim,tests/core,examples,benchmarks}
  echo "#include $3" >"$tree/$2"
  bash "$script" "$tree" >/dev/null || result=fail
  if [ $result != "$expected" ]; then
    echo "'#include $3' in $2: expected $expected, got $result"
    failures=1
  fi
}

# floor FILE ALLOWED...: of one header of each floor the file may include those that are named.
floors=(core/error core/runtime/a core/tensor core/kernels/a core/var core/engine/a
  core/engine/broadcast core/watch/a core/verify/a ops/a optim/a nn/a nn/training/a nn/data/a
  nn/files/a nn/verify/a)
floor() {
  local file=$1 below=" ${*:2} " header
  for header in "${floors[@]}"; do
    if [[ $below == *" $header "* ]]; then
      check pass "$file" "<xgrad/$header.hpp>"
    else
      check fail "$file" "<xgrad/$header.hpp>"
    fi
  done
}

words='core/error'
below_faces="$words core/runtime/a core/tensor core/kernels/a"
faces="$below_faces core/var"
engine="$faces core/engine/a core/engine/broadcast"
floor core/shape.cpp $words
floor core/runtime/b.cpp $words core/runtime/a
floor core/random.cpp $words core/runtime/a core/tensor
floor core/kernels/b.hpp $below_faces
floor core/b.hpp $faces
floor core/engine/b.cpp $engine
floor core/watch/b.cpp $engine core/watch/a
floor core/verify/b.cpp $engine core/verify/a
floor ops/b.cpp $faces core/engine/broadcast ops/a
floor optim/b.cpp $faces optim/a
nn="$words core/runtime/a core/tensor core/var ops/a nn/a"
floor nn/b.hpp $nn
floor nn/fit.hpp $nn optim/a nn/training/a nn/data/a nn/files/a
floor nn/training/b.cpp $nn optim/a nn/training/a nn/data/a nn/files/a
floor nn/files/b.cpp $nn nn/files/a
floor nn/verify/b.cpp $nn nn/verify/a

check fail core/attic/a.hpp "<xgrad/core/error.hpp>"  # a folder without a floor
check fail nn/unfit.hpp "<xgrad/optim/a.hpp>"
check fail ops/a.cpp "<xgrad/xgrad.hpp>"
check pass tests/a.cpp "<xgrad/xgrad.hpp>"
check fail ops/a.cpp '"a.hpp"'
check fail core/tensor.hpp "<xtensor/xarray.hpp>"
check fail tests/a.cpp "<xtensor/xarray.hpp>"
check pass core/xtensor.hpp "<xtensor/xarray.hpp>"
check pass tests/core/xtensor_headers.hpp "<xtensor/xarray.hpp>"
check fail core/xtensor_headers.hpp "<xtensor/xarray.hpp>"
check fail ops/matmul.cpp "<cblas.h>"
check fail core/kernels/blas.hpp "<xtensor-blas/xlinalg.hpp>"
check pass core/kernels/gemm.cpp "<cblas.h>"
check pass core/runtime/threads.cpp "<cblas.h>"
check fail ops/a.hpp "<xsimd/xsimd.hpp>"
check fail core/a.hpp "<xsimd/xsimd.hpp>"
check fail benchmarks/a.cpp "<immintrin.h>"
check pass core/kernels/a.hpp "<xsimd/xsimd.hpp>"
check pass core/a.hpp "<vector>"
exit $failures
