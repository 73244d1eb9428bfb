#pragma once

#include <cstdint>

namespace xgrad::detail {

/// How often this thread has taken each of the engine's ways, so that a test of gradients can say
/// which ones its programs went.
struct EngineCounts {
  std::int64_t direct = 0;           ///< an expression on its operands where they lie
  std::int64_t split = 0;            ///< the same, on several threads
  std::int64_t copied_forward = 0;   ///< on copies of blocks: some operand's columns lie apart
  std::int64_t copied_backward = 0;  ///< the same for its gradients
  std::int64_t summed_in_parts = 0;  ///< gradients summed over more rows than one sum takes
  std::int64_t home = 0;             ///< a gradient born in an addend's
  std::int64_t inherited = 0;        ///< an addend's gradient that is the result's
  std::int64_t adopted = 0;          ///< an op's pull that became the gradient
  std::int64_t deferred = 0;         ///< a product that waits for others
};

inline constinit thread_local EngineCounts engine_counts;

}  // namespace xgrad::detail
