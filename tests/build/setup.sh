# The set-up shared by tests/run, examples/run and benchmarks/run; to be sourced.
# Everything it says goes to stderr: stdout belongs to the program that is run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}

# One line for each argument.
say() { printf '%s\n' "$@" >&2; }

die() {
  say "$@"
  exit 1
}

# quietly COMMAND...: shows what the command printed only if it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# need PACKAGE...: makes sure of a compiler, CMake, the library's own dependencies and the named
# Debian packages. Installs with apt where it may, else says what is missing and stops. Without
# dpkg nothing is known about packages, and CMake finds out.
need() {
  local missing=() as_root=() installed package
  wanted=(libopenblas-dev libxsimd-dev libxtensor-dev nlohmann-json3-dev "$@")
  if command -v dpkg-query >/dev/null; then
    installed=$(dpkg-query -W -f '${db:Status-Abbrev}:${Package}\n' "${wanted[@]}" 2>/dev/null || true)
    for package in "${wanted[@]}"; do
      grep -qx "ii *:$package" <<<"$installed" || missing+=("$package")
    done
  fi
  command -v "${CXX:-c++}" >/dev/null || missing+=(g++)
  command -v cmake >/dev/null || missing+=(cmake)
  command -v ninja >/dev/null || command -v make >/dev/null || missing+=(ninja-build)
  [ ${#missing[@]} -gt 0 ] || return 0

  if ! command -v apt-get >/dev/null; then
    die "These are missing: ${missing[*]}" \
      "Without apt-get please install them by hand, and what Debian calls ${wanted[*]}"
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; then
      die "Packages are missing, and to install them takes rights that you do not have now. Run:" \
        "  sudo apt-get install --no-install-recommends ${missing[*]}"
    fi
    as_root=(sudo -n)
  fi
  say "Installing with apt: ${missing[*]}"
  quietly "${as_root[@]}" apt-get update || die "apt-get update failed"
  quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}" || die "apt-get install failed"
}

# configure PRESET [CMAKE ARGS]: sets $build, the preset's folder.
configure() {
  local preset=$1 options=("-DCMAKE_CXX_COMPILER_LAUNCHER=$(command -v ccache || true)")
  shift
  build="$root/build/$preset"
  if [ ! -f "$build/CMakeCache.txt" ] && command -v ninja >/dev/null; then
    options+=(-G Ninja)
  fi
  (cd "$root" && quietly cmake --preset "$preset" "${options[@]}" "$@") ||
    die "CMake could not configure xgrad; its message is above." \
      "This build needs what Debian calls ${wanted[*]}"
}

# compile TARGET...: builds in $build. Precompiled headers need ccache to be a little lenient.
compile() {
  CCACHE_SLOPPINESS=pch_defines,time_macros cmake --build "$build" -j "$jobs" --target "$@"
}
