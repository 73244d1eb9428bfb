#pragma once

#include <algorithm>

#include <xgrad/core/threads.hpp>

namespace xgrad::detail {

/// Cuts [0, size) into `parts` ranges at most, nearly equal ones that begin at multiples of
/// `grain`, and calls f(first, last) for each, by a copy of f, on several threads if there are any.
template <class F>
void parallel_ranges(Index size, Index parts, Index grain, const F& f) {
  const Index step = ((size + parts - 1) / parts + grain - 1) / grain * grain;
  parallel_for(parts, [=](Index part) {
    const Index first = part * step;
    if (first < size) f(first, std::min(size, first + step));
  });
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
