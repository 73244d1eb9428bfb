#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <new>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <xgrad/core/pool.hpp>
#include <xgrad/core/runtime/buffer.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad {
namespace detail {
namespace {

constexpr std::size_t alignment = 64;

/// Precedes every block and says which list it returns to.
struct alignas(alignment) Header {
  std::size_t size_class;
  const void* owner;  ///< the pool it came from
  Header* next;       ///< of its list, while it is unused: to release a block needs no memory
};

void* system_allocate(std::size_t bytes) {
  void* memory = std::aligned_alloc(alignment, bytes);
  if (!memory) throw std::bad_alloc();
  return memory;
}

// Four classes per power of two from 64 bytes on, so that at most a fifth of a block is unused.
std::size_t size_class_of(std::size_t bytes) {
  if (bytes <= 64) return 0;
  const auto power = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 1;  // 2^power < bytes
  const std::size_t quarter = ((bytes - 1) >> (power - 2)) & 3;
  return (power - 6) * 4 + quarter + 1;
}

std::size_t class_bytes(std::size_t size_class) {
  if (size_class == 0) return 64;
  const std::size_t power = (size_class - 1) / 4 + 6;
  const std::size_t quarter = (size_class - 1) % 4 + 1;
  const std::size_t bytes = (std::size_t{1} << power) + quarter * (std::size_t{1} << (power - 2));
  return (bytes + alignment - 1) / alignment * alignment;
}

// A block may be released after its thread's pool is gone (by another thread_local's destructor).
thread_local bool pool_alive = false;

constexpr std::size_t worth_a_trim = std::size_t{1} << 20;  // bytes

/// The C library keeps what lies between blocks in use, unless it is told.
void trim_system() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

class Pool {
 public:
  ~Pool() { trim(); }

  void* allocate(std::size_t bytes) {
    if (--until_review_ == 0) review();
    const std::size_t size_class = size_class_of(bytes);
    const std::size_t largest = std::min(size_class + larger_classes, lists_.size() - 1);
    for (std::size_t i = size_class; i <= largest; ++i) {
      if (lists_[i].first) {
        --cached_;
        return lists_[i].take() + 1;
      }
    }
    auto* header = new (system_allocate(class_bytes(size_class) + sizeof(Header))) Header;
    ++system_allocations_;
    header->size_class = size_class;
    header->owner = this;
    return header + 1;
  }

  void release(Header* header) {
    // What comes from another thread goes back to the system: nobody here would ask for it again.
    if (header->owner != this) return free(header);
    lists_[header->size_class].put(header);
    most_cached_ = std::max(most_cached_, ++cached_);
  }

  void trim() {
    for (List& list : lists_) give_back(list, list.count);
  }

  static void free(Header* header) {
    wait();  // for threads that may still use it
    std::free(header);
  }

  PoolStatistics statistics() const {
    PoolStatistics result{system_allocations_, 0};
    for (std::size_t i = 0; i < lists_.size(); ++i) {
      result.cached_bytes += lists_[i].count * class_bytes(i);
    }
    return result;
  }

 private:
  /// Where a class has no block, one of up to twice the size serves: so tensors whose shape differs
  /// from step to step share their memory.
  static constexpr std::size_t larger_classes = 4;

  // From one review to the next a training step takes place many times over, for it takes each of
  // its blocks but a few times. Should one be longer, no more than one allocation in 32 is the
  // system's for that.
  static constexpr std::size_t least_period = std::size_t{1} << 14;
  static constexpr std::size_t period_per_block = 32;

  struct List {
    Header* first = nullptr;
    std::size_t count = 0;
    std::size_t unused = 0;  ///< the least `count` since the last review

    Header* take() {
      Header* header = first;
      first = header->next;
      unused = std::min(unused, --count);
      return header;
    }
    void put(Header* header) {
      header->next = first;
      first = header;
      ++count;
    }
  };

  /// Gives back as many blocks of each class as have been unused since the last review.
  void review() {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < lists_.size(); ++i) {
      bytes += lists_[i].unused * class_bytes(i);
      give_back(lists_[i], lists_[i].unused);
      lists_[i].unused = lists_[i].count;
    }
    if (bytes >= worth_a_trim) trim_system();
    until_review_ = least_period + period_per_block * most_cached_;
    most_cached_ = cached_;
  }

  void give_back(List& list, std::size_t blocks) {
    for (; blocks > 0; --blocks) {
      free(list.take());
      --cached_;
    }
  }

  std::array<List, 4 * 58> lists_;
  std::size_t system_allocations_ = 0;
  std::size_t cached_ = 0;                   ///< blocks in the lists
  std::size_t most_cached_ = 0;              ///< since the last review
  std::size_t until_review_ = least_period;  ///< allocations
};

/// Of one thread. The memory of tensors is reused for tensors only, since other threads may be
/// computing with it when it is released.
struct Pools {
  Pool objects;
  Pool buffers;
  Pools() { pool_alive = true; }
  ~Pools() { pool_alive = false; }
};

Pools& pools() {
  thread_local Pools instance;
  return instance;
}

#ifdef XGRAD_POOL_MALLOC

void* allocate(Pool Pools::*, std::size_t bytes) {
  return system_allocate((bytes + alignment - 1) / alignment * alignment);
}
void release(Pool Pools::*, void* memory) noexcept {
  wait();
  std::free(memory);
}

#else

void* allocate(Pool Pools::*pool, std::size_t bytes) { return (pools().*pool).allocate(bytes); }

void release(Pool Pools::*pool, void* memory) noexcept {
  Header* header = static_cast<Header*>(memory) - 1;
  if (pool_alive) {
    (pools().*pool).release(header);
  } else {
    Pool::free(header);
  }
}

#endif

}  // namespace

void* pool_allocate(std::size_t bytes) { return allocate(&Pools::objects, bytes); }
void pool_release(void* memory) noexcept { release(&Pools::objects, memory); }

Ref<Buffer> Buffer::allocate(std::size_t bytes) {
  return Ref<Buffer>(new (detail::allocate(&Pools::buffers, sizeof(Buffer) + bytes)) Buffer);
}

void Buffer::destroy(Buffer* buffer) noexcept { release(&Pools::buffers, buffer); }

}  // namespace detail

PoolStatistics pool_statistics() {
  const PoolStatistics objects = detail::pools().objects.statistics();
  const PoolStatistics buffers = detail::pools().buffers.statistics();
  return {objects.system_allocations + buffers.system_allocations,
          objects.cached_bytes + buffers.cached_bytes};
}

void trim_pool() {
  detail::pools().objects.trim();
  detail::pools().buffers.trim();
  detail::trim_system();
}

}  // namespace xgrad
