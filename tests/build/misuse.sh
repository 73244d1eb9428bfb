#!/usr/bin/env bash
# misuse.sh COMPILER...: compiles misuse.cpp, which must fail with the sentences that it announces,
# each once, and with no other error.
set -euo pipefail
source="$(dirname "${BASH_SOURCE[0]}")/misuse.cpp"
if errors=$("$@" -fsyntax-only "$source" 2>&1); then
  echo "$source compiles"
  exit 1
fi
expected=$(sed -n 's|.*// refused: ||p' "$source" | sort)
found=$(grep -E '\berror:' <<<"$errors" || true)
while read -r count sentence; do
  n=$(grep -cF "$sentence" <<<"$found" || true)
  if [ "$n" != "$count" ]; then
    echo "'$sentence': expected $count times, found $n times"
    failed=1
  fi
done < <(uniq -c <<<"$expected")
if [ "$(wc -l <<<"$found")" != "$(wc -l <<<"$expected")" ]; then
  echo "expected $(wc -l <<<"$expected") errors, found $(wc -l <<<"$found")"
  failed=1
fi
if [ -n "${failed-}" ]; then
  echo "$found"
  exit 1
fi
