#pragma once

#include <functional>

#include <xgrad/core/shape.hpp>

namespace xgrad {

/// Lets xgrad use n threads and sets OpenBLAS to one thread for the whole process, since its own
/// threads fight ours. Before the first call xgrad computes on the caller's thread and leaves
/// OpenBLAS alone. Results have the same bits for every n. Throws if n < 1.
void set_threads(int n);

/// The number of threads that xgrad uses.
int threads();

namespace detail {

/// parallel_for for a function that holds no memory of its own.
void run_parts(Index parts, const std::function<void(Index)>& f);

/// Runs f(0) ... f(parts - 1), on several threads if there are any. The parts must not depend on
/// each other. An exception of a part is thrown again here.
template <class F>
void parallel_for(Index parts, const F& f) {
  run_parts(parts, std::cref(f));
}

}  // namespace detail
}  // namespace xgrad
