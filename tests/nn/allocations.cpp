#include "nn/allocations.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define XGRAD_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define XGRAD_TEST_SANITIZED
#endif
#endif

namespace {

enum class Failing { none, this_thread, all_threads };
std::atomic<Failing> failing{Failing::none};
constinit thread_local bool is_failing_thread = false;
std::atomic<std::ptrdiff_t> left{0};  // allocations before the one that fails
std::atomic<bool> failed{false};
std::atomic<std::size_t> count{0};

#if defined(__GLIBC__) && !defined(XGRAD_TEST_SANITIZED)
bool fails() {
  count.fetch_add(1, std::memory_order_relaxed);
  const Failing which = failing.load(std::memory_order_relaxed);
  if (which == Failing::none) return false;
  if (which == Failing::this_thread && !is_failing_thread) return false;
  if (left.fetch_sub(1) != 0) return false;
  failed = true;
  errno = ENOMEM;
  return true;
}
#endif

}  // namespace

// In the program itself they replace those of the C library, whose own remain under these names.
#if defined(__GLIBC__) && !defined(XGRAD_TEST_SANITIZED)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) noexcept { return fails() ? nullptr : __libc_malloc(bytes); }
void* calloc(std::size_t n, std::size_t bytes) noexcept {
  return fails() ? nullptr : __libc_calloc(n, bytes);
}
void* realloc(void* memory, std::size_t bytes) noexcept {
  return fails() ? nullptr : __libc_realloc(memory, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return fails() ? nullptr : __libc_memalign(alignment, bytes);
}
}
const bool xgrad::testing::allocations_can_fail = true;
#else
const bool xgrad::testing::allocations_can_fail = false;
#endif

namespace xgrad::testing {

std::size_t allocations() { return count; }

FailingAllocation::FailingAllocation(std::size_t k, Of threads) {
  left = static_cast<std::ptrdiff_t>(k);
  failed = false;
  is_failing_thread = true;
  failing = threads == Of::this_thread ? Failing::this_thread : Failing::all_threads;
}

void FailingAllocation::end() {
  failing = Failing::none;
  is_failing_thread = false;
}

bool FailingAllocation::happened() const { return failed; }

}  // namespace xgrad::testing
