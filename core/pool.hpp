#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <xgrad/core/join.hpp>

namespace xgrad {

/// What this thread's memory pool holds.
struct PoolStatistics {
  std::size_t system_allocations = 0;  ///< calls to the system's allocator so far
  std::size_t cached_bytes = 0;        ///< kept for reuse
};
PoolStatistics pool_statistics();

/// Returns this thread's unused memory to the system: with glibc whole pages leave the process,
/// also those that other parts of the program have freed; another C library may keep them. Memory
/// that was not in use for a while (many training steps) is returned without being asked.
void trim_pool();

namespace detail {

/// Memory from size-class free lists of this thread: a training loop in its steady state never
/// reaches malloc, and what no step needs any longer is given back after a while. Aligned to 64
/// bytes, not cleared. With XGRAD_POOL_MALLOC it is plain malloc, so that sanitizers see every
/// block.
void* pool_allocate(std::size_t bytes);
void pool_release(void* memory) noexcept;

/// The pool as a standard allocator.
template <class T>
struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U>
  PoolAllocator(const PoolAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(pool_allocate(n * sizeof(T))); }
  void deallocate(T* memory, std::size_t) noexcept { pool_release(memory); }
  friend bool operator==(PoolAllocator, PoolAllocator) { return true; }
};

template <class T>
using PoolVector = std::vector<T, PoolAllocator<T>>;

/// A pointer to an object with an atomic `references` member and a static `destroy(T*)`.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* owned) : object_(owned) {}  ///< takes over one reference
  Ref(const Ref& other) : object_(other.object_) {
    if (object_) object_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ && object_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      T::destroy(object_);
    }
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) { return a.object_ == b.object_; }

 private:
  T* object_ = nullptr;
};

/// A block of tensor memory; the data follows the header.
struct alignas(64) Buffer {
  std::atomic<std::uint32_t> references{1};

  static Ref<Buffer> allocate(std::size_t bytes);
  static void destroy(Buffer* buffer) noexcept;
  std::byte* address() { return reinterpret_cast<std::byte*>(this + 1); }  ///< not to be read yet
  std::byte* data() {
    join();
    return address();
  }
};

}  // namespace detail
}  // namespace xgrad
