#pragma once

#include <cstddef>
#include <vector>

namespace xgrad::detail {

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

}  // namespace xgrad::detail
