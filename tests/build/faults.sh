# The work of tests/run --faults [LIST]; to be sourced after setup.sh. Plants each fault of a list
# (tests/faults.txt) in a copy of the sources, one at a time, and runs the tests, those of its own
# folder first, until one notices it. Prints what none does, and fails if there is any.
#
# A fault is
#
#     # what goes wrong, for people
#     core/kernels/pointwise_loop.cpp
#     - the text to be replaced, which the file has once
#     + the text in its place
#
# with an empty line behind it. Several lines of - or + are one text of several lines.

programs=(core ops optim nn verify examples)

# build FOLDER...: its tests, for the examples' with all programs that they run.
build() {
  local targets=("${@/#/xgrad_}")
  targets=("${targets[@]/%/_tests}")
  [ "${!#}" != examples ] || targets=(all)
  cmake --build "$copy/build" -j "$jobs" --target "${targets[@]}"
}

# replace FILE OLD NEW
replace() {
  local text rest
  text=$(cat "$1" && printf x)
  rest=${text#*"$2"}
  [ "$rest" != "$text" ] || die "$1 does not have: $2"
  [ "${rest#*"$2"}" = "$rest" ] || die "$1 has more than once: $2"
  text=${text/"$2"/"$3"}
  printf %s "${text%x}" >"$1"
}

# notices FOLDER: whether the tests of that folder fail, or do not end within ten minutes.
notices() {
  local code=0
  timeout 600 "$copy/build/tests/xgrad_$1_tests" --gtest_brief=1 --gtest_fail_fast >"$log" 2>&1 || code=$?
  [ $code -ne 0 ]
}

# try WHAT FILE OLD NEW
try() {
  local what=$1 file=$2 folder noticed= tried=(benchmarks tests)
  cp "$copy/$file" "$copy/build/kept"
  replace "$copy/$file" "$3" "$4"
  for folder in "${file%%/*}" "${programs[@]}"; do
    case " ${tried[*]} " in *" $folder "*) continue ;; esac
    tried+=("$folder")
    if ! build "$folder" >"$log" 2>&1; then
      what+=' (it does not compile)'
      break
    elif notices "$folder"; then
      noticed=$folder
      break
    fi
  done
  cp "$copy/build/kept" "$copy/$file"
  ((++planted))
  if [ -n "$noticed" ]; then
    say "noticed by $noticed ($(sed -n 's/^\[  FAILED  \] \([^ ,]*\).*/\1/p' "$log" | head -1)): $file: $what"
  else
    survivors+=("$file: $what")
    say "NOT NOTICED: ${survivors[-1]}"
  fi
}

faults() {
  local list=${1:-$root/tests/faults.txt} line what= file= old= new= code=0
  # Without warnings: a slip may leave a variable unused.
  local options=(-DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS=-w -DXGRAD_BUILD_TESTS=ON
    -DXGRAD_BUILD_EXAMPLES=ON)
  copy="$root/build/faults"
  log="$copy/build/log"
  planted=0
  survivors=()
  mkdir -p "$copy/build"
  # Only what differs, lest everything be compiled again; what a stopped run left is replaced.
  (
    cd "$root"
    git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' line; do
      cmp -s "$line" "$copy/$line" || cp --parents "$line" "$copy"
    done
  ) || die "The sources cannot be copied to $copy."
  need libboost-dev libcli11-dev libgtest-dev
  if [ ! -f "$copy/build/CMakeCache.txt" ] && command -v ninja >/dev/null; then
    options+=(-G Ninja)
  fi
  quietly cmake -S "$copy" -B "$copy/build" "${options[@]}" ||
    die "The copy cannot be configured; CMake's message is above."
  export OPENBLAS_NUM_THREADS=1
  build "${programs[@]}" >&2 || die "The copy does not compile; the message is above."
  for line in "${programs[@]}"; do
    ! notices "$line" || { cat "$log" && die "The tests fail without a fault."; }
  done
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      '# '*) what=${line#\# } ;;
      '- '*) old+="${old:+$'\n'}${line#- }" ;;
      '+'*) line=${line#+} && new+="${new:+$'\n'}${line# }" ;;
      '')
        [ -z "$old" ] || try "$what" "$file" "$old" "$new"
        what='' file='' old='' new=''
        ;;
      *) file=$line ;;
    esac
  done < <(cat "$list" && echo)
  say "$((planted - ${#survivors[@]})) of $planted faults were noticed."
  [ ${#survivors[@]} -eq 0 ] || code=1
  for line in "${survivors[@]}"; do say "not noticed: $line"; done
  return $code
}
