#pragma once

#include <type_traits>

#include <xgrad/core/shape.hpp>

namespace xgrad {

/// Lets xgrad use n threads and sets OpenBLAS to one thread for the whole process, since its own
/// threads fight ours. Before the first call xgrad computes on the caller's thread and leaves
/// OpenBLAS alone. Results have the same bits for every n. Throws Error if n < 1 or an op in work
/// calls it, std::system_error if the system has no such number of threads: then all stays as it
/// was. The new threads have the caller's floating-point environment of this moment, and whoever
/// waits for a result may compute parts of it: keep one environment. A forked process begins with
/// one thread. Of several threads of yours that run ops at a time one gets the helpers for an op,
/// and the others compute theirs alone.
void set_threads(int n);

/// The number of threads that xgrad uses.
int threads();

namespace detail {

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

}  // namespace detail
}  // namespace xgrad
