# The work of tests/run --processors; to be sourced after setup.sh. Runs the tests with every
# instruction set of XGRAD_ISA that this processor has, with the kernels that OpenBLAS chooses by
# itself, and with all other kernels of OpenBLAS that run here, with the native instruction set.
# Only the child processes see OPENBLAS_CORETYPE. Ends with a table, and fails if a test did.

# The names by which OpenBLAS knows its kernels (OPENBLAS_CORETYPE), oldest first.
case $(uname -m) in
  x86_64) kernels=(Prescott Atom Core2 Penryn Dunnington Nehalem Opteron Opteron_SSE3 Barcelona Nano
    Sandybridge Bobcat Bulldozer Piledriver Haswell Steamroller Excavator Zen SkylakeX Cooperlake
    SapphireRapids) ;;
  aarch64) kernels=(ARMV8 CORTEXA53 CORTEXA57 CORTEXA72 CORTEXA73 THUNDERX THUNDERX2T99 TSV110
    EMAG8180 NEOVERSEN1 NEOVERSEV1 NEOVERSEN2) ;;
  *) kernels=() ;;
esac

# What does not depend on the processor.
unrelated='^(install|consumer_.*|xtensor_new_layout|layering.*|format)$'

rows=()
failures=0
row() { rows+=("$(printf '%-11s %-14s %s' "$1" "$2" "$3")") && say "${rows[-1]}"; }

# features MARCH: the instruction sets that the compiler may use under -march=MARCH.
features() {
  "${CXX:-c++}" -march="$1" -dM -E -x c++ /dev/null 2>/dev/null |
    sed -n 's/^#define \(__[A-Z0-9_]*__\) 1$/\1/p' | sort
}

# has MARCH: whether this processor has all of them.
has() { [ -n "$(features "$1")" ] && [ -z "$(comm -23 <(features "$1") <(features native))" ]; }

# try ISA KERNELS [CTEST ARGS]: the tests in $build with one thread of OpenBLAS, and those of the
# ops and modules with two. KERNELS may be empty: OpenBLAS chooses. Sets $chosen.
try() {
  local isa=$1 asked=$2 log code counts two program
  shift 2
  export OPENBLAS_NUM_THREADS=1
  log="$build/processors-${asked:-own}.log"
  code=0
  {
    env ${asked:+OPENBLAS_CORETYPE=$asked} "$build/tests/blas_probe" >"$log" 2>&1
  } 2>/dev/null || code=$?  # without what the shell says of a signal
  chosen=$(head -1 "$log")
  if [ -n "$asked" ] && [ "${chosen,,}" != "${asked,,}" ]; then
    row "$isa" "$asked" "skipped: this OpenBLAS takes $chosen in its place"
  elif [ $code -eq 132 ]; then
    row "$isa" "$chosen" "skipped: OpenBLAS uses instructions that this processor lacks"
  elif [ $code -ne 0 ]; then
    row "$isa" "$chosen" "skipped: OpenBLAS fails against a loop: $(sed -n 2p "$log") (status $code)"
  else
    code=0
    env ${asked:+OPENBLAS_CORETYPE=$asked} ctest --test-dir "$build" --output-on-failure \
      --timeout $timeout -j "$jobs" -E "$unrelated" "$@" >"$log" 2>&1 || code=$?
    counts=$(sed -n 's/^[0-9]*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 of \2 failed/p' "$log")
    two=0
    for program in ops nn; do  # but for the test of allocations: some kernels' threads allocate
      env ${asked:+OPENBLAS_CORETYPE=$asked} OPENBLAS_NUM_THREADS=2 \
        "$build/tests/xgrad_${program}_tests" --gtest_brief=1 \
        --gtest_filter=-Allocations.NoneInASteadyState >>"$log" 2>&1 || two=1
    done
    if [ $code -eq 0 ] && [ $two -eq 0 ]; then
      row "$isa" "$chosen" "passed: ${counts:-no tests}; with two threads of OpenBLAS, too"
    else
      failures=$((failures + 1))
      [ $two -eq 0 ] || counts+="; fails with two threads of OpenBLAS"
      row "$isa" "$chosen" "FAILED: ${counts:-ctest ended with $code}; see $log"
    fi
  fi
}

# processors [CTEST ARGS]
processors() {
  local isa asked own options=(-DXGRAD_BUILD_TESTS=ON -DXGRAD_BUILD_EXAMPLES=ON)
  need libboost-dev libcli11-dev libgtest-dev
  for isa in x86-64-v2 x86-64-v3 x86-64-v4 native; do
    if has "$isa"; then
      case $isa in
        native) configure release "${options[@]}" ;;
        *) configure "${isa#x86-64-}" "${options[@]}" ;;
      esac
      compile all blas_probe >&2
      try "$isa" "" "$@"
    else
      row "$isa" "" "skipped: this processor lacks $(comm -23 <(features "$isa") <(features native) | xargs)"
    fi
  done
  own=$chosen
  for asked in "${kernels[@]}"; do
    [ "$asked" = "$own" ] || try native "$asked" "$@"
  done
  grep -m1 'model name' /proc/cpuinfo || true
  printf '%-11s %-14s %s\n' XGRAD_ISA "OpenBLAS's" result
  printf '%s\n' "${rows[@]}"
  [ $failures -eq 0 ]
}
