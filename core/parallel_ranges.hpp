#pragma once

#include <algorithm>

#include <xgrad/core/threads.hpp>

namespace xgrad::detail {

/// Cuts [0, size) into `parts` ranges at multiples of `grain`, the last one taking the rest, and
/// calls f(first, last), by a copy of f, for each that is not empty, on several threads if there
/// are any.
template <class F>
void parallel_ranges(Index size, Index parts, Index grain, const F& f) {
  const Index step = (size / parts + grain - 1) / grain * grain;
  parallel_for(parts, [=](Index part) {
    const Index first = std::min(size, part * step);
    const Index last = part + 1 == parts ? size : std::min(size, first + step);
    if (first < last) f(first, last);
  });
}

inline constexpr Index parallel_bytes = Index{1} << 19;  // which are worth a second thread

/// Calls f(i) for each i below `count`, on several threads if these copies are of many bytes.
template <class F>
void parallel_copies(std::size_t count, Index bytes, const F& f) {
  const Index parts = bytes < parallel_bytes ? 1 : threads();
  const auto size = static_cast<Index>(count);
  parallel_for(std::min(parts, size), [&f, parts = std::min(parts, size), size](Index part) {
    for (Index i = size * part / parts; i < size * (part + 1) / parts; ++i) {
      f(static_cast<std::size_t>(i));
    }
  });
}

}  // namespace xgrad::detail
