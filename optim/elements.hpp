#pragma once

#include <algorithm>

#include <xgrad/core/kernels/simd.hpp>
#include <xgrad/core/runtime/parallel.hpp>

namespace xgrad::detail {

/// Elements that one thread takes at a time.
inline constexpr Index elements_per_part = Index{1} << 14;

/// Calls f(i, left) for i = 0, w, 2w, ... below `size`, w being the SIMD width of T: f computes the
/// elements from i on with `simd_load(p + i, left)` and `simd_store`, which respect the end.
/// Several threads take fixed parts, so the results do not depend on their number.
template <class T, class F>
void for_each_vector(Index size, const F& f) {
  parallel_for((size + elements_per_part - 1) / elements_per_part, [&f, size](Index part) {
    const Index end = std::min(size, (part + 1) * elements_per_part);
    for (Index i = part * elements_per_part; i < end; i += simd_width<T>) f(i, end - i);
  });
}

}  // namespace xgrad::detail
