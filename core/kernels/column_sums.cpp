#include <algorithm>

#include <xgrad/core/kernels/column_sums.hpp>
#include <xgrad/core/kernels/simd.hpp>
#include <xgrad/core/runtime/parallel.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad::detail {
namespace {

constexpr Index at_once = 8;
constexpr Index grain = 64;                // columns of a part
constexpr Index elements_per_part = 8192;  // which are worth a second thread

/// Of columns that are adjacent in memory; those of the next row are `stride` elements away.
template <class T>
void sum_columns(const T* from, Index rows, Index cols, Index stride, T* to, bool assign) {
  using V = SimdVector<T>;
  if (rows > rows_of_a_sum) {
    PoolVector<T> sums(static_cast<std::size_t>(cols));
    for (Index row = 0; row < rows; row += rows_of_a_sum, from += rows_of_a_sum * stride) {
      sum_columns(from, std::min(rows - row, rows_of_a_sum), cols, stride, sums.data(), true);
      sum_columns(sums.data(), 1, cols, cols, to, assign && row == 0);
    }
    return;
  }
  for (Index row = 0; row < rows; row += at_once, from += at_once * stride) {
    const bool all = rows - row >= at_once;
    for (Index j = 0; j < cols; j += simd_width<T>) {
      const Index left = cols - j;
      const auto at = [&](Index i) { return simd_load(from + i * stride + j, left); };
      V sum = at(0);
      if (all) {
        sum = ((sum + at(1)) + (at(2) + at(3))) + ((at(4) + at(5)) + (at(6) + at(7)));
      } else {
        for (Index i = 1; i < rows - row; ++i) sum += at(i);
      }
      if (!assign || row > 0) sum += simd_load(to + j, left);
      simd_store(to + j, left, sum);
    }
  }
}

}  // namespace

void sum_rows(const Tensor& matrix, Index rows, std::byte* to, bool assign) {
  const Index cols = matrix.size() / rows;
  const Index parts =
      std::clamp<Index>(std::min(matrix.size() / elements_per_part, cols / grain), 1, threads());
  dispatch(matrix.dtype(), [&]<class T>() {
    parallel_ranges(
        cols, parts, grain,
        [=, from = matrix.data<T>(), sum = reinterpret_cast<T*>(to)](Index first, Index last) {
          sum_columns(from + first, rows, last - first, cols, sum + first, assign);
        });
  });
}

bool has_rows_of(const Shape& from, const Shape& to) {
  std::size_t lead = 0;
  while (lead < to.size() && to[lead] == 1) ++lead;
  const std::size_t axes = to.size() - lead;
  return axes > 0 && axes < from.size() &&
         std::equal(to.begin() + lead, to.end(), from.end() - axes);
}

}  // namespace xgrad::detail
