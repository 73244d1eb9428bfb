#!/usr/bin/env bash
# layering.sh ROOT: fails, naming file, line and rule, where an #include breaks the rules of the
# tree. Each folder is a floor, whose files include each other and what is below.
set -euo pipefail
cd "$1"

words='core/(dtype|error|pool|shape|threads)'
runtime="$words|core/runtime/.*"
arrays="$runtime|core/(array|print|random|tensor|xtensor)"
kernels="$arrays|core/kernels/.*"
faces="$kernels|core/[a-z0-9_]*"
engine="$faces|core/engine/.*"
ops="$faces|core/engine/(broadcast|product)|ops/.*"
nn="$runtime|core/[a-z0-9_]*|ops/.*|nn/[a-z0-9_]*"
training="$nn|optim/.*|nn/(training|data|files)/.*"

# FILES ;; WHAT OF XGRAD THEY INCLUDE ;; IN WORDS. The first rule for a file counts.
floors="
$words                            ;; $words                  ;; core's words include each other
core/runtime/.*                   ;; $runtime                ;; core/runtime includes words
core/(array|print|random|tensor|xtensor) ;; $arrays          ;; core's arrays include words and runtime
core/kernels/.*                   ;; $kernels                ;; core/kernels includes words, runtime and arrays
core/[a-z0-9_]*                   ;; $faces                  ;; core's faces include words, runtime, arrays and kernels
core/engine/.*                    ;; $engine                 ;; core/engine includes faces and what is below
core/watch/.*                     ;; $engine|core/watch/.*   ;; core/watch includes engine and what is below
core/verify/.*                    ;; $engine|core/verify/.*  ;; core/verify includes engine and what is below
ops/.*                            ;; $ops                    ;; ops includes core, and of its engine broadcast and product
optim/.*                          ;; $faces|optim/.*         ;; optim includes core
nn/(fit|sequential)               ;; $training               ;; these faces of nn/training include what it does
nn/[a-z0-9_]*                     ;; $nn                     ;; nn includes core, core/runtime and ops
nn/training/.*                    ;; $training               ;; nn/training includes nn, optim, nn/data and nn/files
nn/files/.*                       ;; $nn|nn/files/.*         ;; nn/files includes nn
nn/verify/.*                      ;; $nn|nn/verify/.*        ;; nn/verify includes nn
"

# WHAT IS INCLUDED ;; BY WHICH FILES ;; IN WORDS
doors='
<xtensor/                         ;; core/xtensor|tests/core/xtensor_headers ;; xtensor is behind core/xtensor.hpp
<(cblas[.]h|openblas|xtensor-blas/|xflens/) ;; core/kernels/gemm|core/runtime/threads|benchmarks/peers/openblas|tests/build/blas_probe ;; BLAS is behind core/kernels/gemm.cpp (and core/runtime/threads.cpp, for the number of its threads)
<(xsimd/|[a-z0-9]*intrin[.]h)     ;; core/kernels/.* ;; raw SIMD is in core/kernels
'

find core ops nn optim tests examples benchmarks -name '*.hpp' -o -name '*.cpp' | sort |
  xargs grep -nE '^[[:space:]]*#[[:space:]]*include' /dev/null |
  awk -v floors="$floors" -v doors="$doors" '
    function table(text, left, right, words,    lines, n, i, rule, cells) {
      n = split(text, lines, "\n")
      for (i = 1; i <= n; ++i) {
        if (lines[i] == "") continue
        split(lines[i], cells, / *;; */)
        ++rule; left[rule] = cells[1]; right[rule] = cells[2]; words[rule] = cells[3]
      }
    }
    function complain(rule) { print rule ":\n  " $0; broken = 1 }
    BEGIN { table(floors, files, below, floor); table(doors, header, keeper, door) }
    {
      path = $0; sub(/:.*/, "", path); sub(/\.[hc]pp$/, "", path)
      target = $0; sub(/^[^:]*:[0-9]*:[^<"]*/, "", target)
      for (i in door) {
        if (target ~ "^(" header[i] ")" && path !~ "^(" keeper[i] ")$") complain(door[i])
      }
      if (path !~ /^(core|ops|nn|optim)\//) next
      if (target ~ /^"/ || target ~ /^<xgrad\/[^\/]*>/) complain("the library includes <xgrad/FOLDER/...>")
      if (target !~ /^<xgrad\/[^>]*\//) next
      gsub(/^<xgrad\/|\.hpp>.*/, "", target)
      for (i = 1; i in floor; ++i) {
        if (path !~ "^(" files[i] ")$") continue
        if (target !~ "^(" below[i] ")$") complain(floor[i])
        next
      }
      complain("this folder has no floor: give it one in layering.sh")
    }
    END { exit broken }'
