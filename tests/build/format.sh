#!/usr/bin/env bash
# format.sh CLANG_FORMAT ROOT: fails, naming the places, where a source is not formatted.
set -euo pipefail
cd "$2"
find core ops nn optim tests examples benchmarks \( -name '*.hpp' -o -name '*.cpp' \) -print0 |
  xargs -0 "$1" --dry-run --Werror
