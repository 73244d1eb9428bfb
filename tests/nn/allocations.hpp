#pragma once

#include <cstddef>

namespace xgrad::testing {

/// How often this program has asked for memory: malloc, operator new, aligned_alloc.
std::size_t allocations();

/// False where a sanitizer has an allocator of its own; then no allocation fails.
extern const bool allocations_can_fail;

/// While it lives, allocation k (0, 1, ...) from its construction on fails: of this thread, or of
/// all.
class FailingAllocation {
 public:
  enum class Of { this_thread, all_threads };
  explicit FailingAllocation(std::size_t k, Of threads = Of::this_thread);
  ~FailingAllocation() { end(); }
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;
  void end();
  bool happened() const;
};

}  // namespace xgrad::testing
