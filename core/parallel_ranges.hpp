#pragma once

#include <algorithm>

#include <xgrad/core/threads.hpp>

namespace xgrad::detail {

/// Cuts [0, size) into `parts` ranges at multiples of `grain`, the last one taking the rest, and
/// calls f(first, last) for each that is not empty, on several threads if there are any.
template <class F>
void parallel_ranges(Index size, Index parts, Index grain, const F& f) {
  const Index step = (size / parts + grain - 1) / grain * grain;
  parallel_for(parts, [&](Index part) {
    const Index first = std::min(size, part * step);
    const Index last = part + 1 == parts ? size : std::min(size, first + step);
    if (first < last) f(first, last);
  });
}

}  // namespace xgrad::detail
