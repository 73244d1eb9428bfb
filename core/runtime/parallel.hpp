#pragma once

#include <algorithm>
#include <type_traits>

#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/core/shape.hpp>
#include <xgrad/core/threads.hpp>

namespace xgrad::detail {

/// Which of xgrad's own threads this is, from 1 on; 0 for any other thread.
int helper_number();

/// f(part), f being a function object behind a pointer.
using CallPart = void (*)(const void* f, Index part);

inline constexpr std::size_t largest_copied_function = 512;  // bytes

enum class Wait { now, later };

/// parallel_for, or launch, for a function object; `copied` is its size, if threads may use a copy.
void run_parts(Index parts, CallPart call, const void* f, std::size_t copied, Wait wait);

template <class F>
void call_part(const void* f, Index part) {
  (*static_cast<const F*>(f))(part);
}

/// Runs f(0) ... f(parts - 1), on several threads if there are any; part 0 on the caller's. The
/// parts must not depend on each other. An exception of a part is thrown again here. Of f only the
/// first `size` bytes may be used.
///
/// Another thread begins sooner if f holds its arguments by value: what lies on the caller's stack
/// has to be fetched from the caller's cache, a reference at a time.
template <class F>
void parallel_for(Index parts, const F& f, std::size_t size = sizeof(F)) {
  const bool copies =
      std::is_trivially_copyable_v<F> && alignof(F) <= 8 && size <= largest_copied_function;
  run_parts(parts, call_part<F>, &f, copies ? size : 0, Wait::now);
}

/// The same, but it may return while other threads still compute their parts, so that what the
/// caller does up to the next join() keeps nobody waiting; that one throws what a part has thrown.
/// f may refer to memory of tensors only: it is not handed out, nor given back, before they are
/// done.
template <class F>
void launch(Index parts, const F& f, std::size_t size = sizeof(F)) {
  static_assert(std::is_trivially_copyable_v<F> && alignof(F) <= 8);
  const bool copies = size <= largest_copied_function;
  run_parts(parts, call_part<F>, &f, copies ? size : 0, copies ? Wait::later : Wait::now);
}

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
