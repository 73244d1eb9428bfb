#pragma once

#include <atomic>
#include <cstdint>

namespace xgrad::detail {

/// Parts of tasks, since the program began.
struct PartCounts {
  alignas(64) std::atomic<std::int64_t> finished{0};  ///< all but the first of each task
  alignas(64) std::atomic<std::int64_t> expected{0};  ///< what `finished` will be
  std::atomic<bool> failed{false};                    ///< one has thrown an exception

  bool all_finished() const {
    const std::int64_t wanted = expected.load(std::memory_order_relaxed);
    return finished.load(std::memory_order_acquire) >= wanted;
  }
};
extern PartCounts part_counts;

void wait_for_parts() noexcept;
void throw_part_error();

/// Waits until other threads have computed what `launch` left to them.
inline void wait() noexcept {
  if (!part_counts.all_finished()) wait_for_parts();
}

/// The same, and throws the first exception of these parts, once. Whatever reads or writes the
/// memory of tensors calls it first: Tensor and Buffer do where they hand out their memory.
inline void join() {
  wait();
  if (part_counts.failed.load(std::memory_order_relaxed)) throw_part_error();
}

}  // namespace xgrad::detail
