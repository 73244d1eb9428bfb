#pragma once

#include <algorithm>

#include <xgrad/core/pool.hpp>
#include <xgrad/core/threads.hpp>

namespace xgrad::detail {

/// The sum of f(first, last) over parts of [0, n), on several threads if there are any; the parts
/// are the same for every number of them.
template <class F>
auto sum_of_parts(Index n, const F& f) {
  constexpr Index part_size = Index{1} << 16;
  const Index parts = (n + part_size - 1) / part_size;
  if (parts <= 1) return f(Index{0}, n);
  using Sum = decltype(f(n, n));
  PoolVector<Sum> sums(static_cast<std::size_t>(parts));
  parallel_for(parts, [=, sum = sums.data()](Index part) {
    sum[part] = f(part * part_size, std::min(n, (part + 1) * part_size));
  });
  Sum total(0);
  for (const Sum& sum : sums) total += sum;
  return total;
}

}  // namespace xgrad::detail
