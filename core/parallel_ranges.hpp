#pragma once

#include <algorithm>

#include <xgrad/core/threads.hpp>

namespace xgrad::detail {

/// [0, size) in `parts` ranges at most, nearly equal ones that begin at multiples of `grain`: a
/// function of the part that calls f(first, last), by a copy of f.
template <class F>
auto ranges(Index size, Index parts, Index grain, const F& f) {
  const Index step = ((size + parts - 1) / parts + grain - 1) / grain * grain;
  return [=](Index part) {
    const Index first = part * step;
    if (first < size) f(first, std::min(size, first + step));
  };
}

/// Calls f for each of these ranges, on several threads if there are any.
template <class F>
void parallel_ranges(Index size, Index parts, Index grain, const F& f) {
  parallel_for(parts, ranges(size, parts, grain, f));
}

/// The same, but it may return early, as `launch` does.
template <class F>
void launch_ranges(Index size, Index parts, Index grain, const F& f) {
  launch(parts, ranges(size, parts, grain, f));
}

inline constexpr Index parallel_bytes = Index{1} << 19;  // which are worth a second thread

/// Calls f(i) for each i below `count`, on several threads if these copies are of many bytes.
template <class F>
void parallel_copies(std::size_t count, Index bytes, const F& f) {
  const Index parts = bytes < parallel_bytes ? 1 : threads();
  parallel_ranges(static_cast<Index>(count), parts, 1, [&f](Index first, Index last) {
    for (Index i = first; i < last; ++i) f(static_cast<std::size_t>(i));
  });
}

}  // namespace xgrad::detail
