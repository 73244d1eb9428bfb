#include <array>
#include <bit>
#include <cstdlib>
#include <new>
#include <vector>

#include <xgrad/core/pool.hpp>

namespace xgrad {
namespace detail {
namespace {

constexpr std::size_t alignment = 64;

/// Precedes every block and says which list it returns to.
struct alignas(alignment) Header {
  std::size_t size_class;
  const void* owner;  ///< the pool it came from
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

class Pool {
 public:
  ~Pool() { trim(); }

  void* allocate(std::size_t bytes) {
    const std::size_t size_class = size_class_of(bytes);
    auto& list = lists_[size_class];
    if (list.empty()) {
      ++statistics_.system_allocations;
      auto* header = new (system_allocate(class_bytes(size_class) + sizeof(Header))) Header;
      header->size_class = size_class;
      header->owner = this;
      return header + 1;
    }
    statistics_.cached_bytes -= class_bytes(size_class);
    Header* header = list.back();
    list.pop_back();
    return header + 1;
  }

  void release(Header* header) {
    // What comes from another thread goes back to the system: nobody here would ask for it again.
    if (header->owner != this) return free(header);
    auto& list = lists_[header->size_class];
    if (list.size() == list.capacity()) ++statistics_.system_allocations;
    list.push_back(header);
    statistics_.cached_bytes += class_bytes(header->size_class);
  }

  void trim() {
    for (auto& list : lists_) {
      for (Header* header : list) free(header);
      list.clear();
    }
    statistics_.cached_bytes = 0;
  }

  static void free(Header* header) {
    wait();  // for threads that may still use it
    std::free(header);
  }

  const PoolStatistics& statistics() const { return statistics_; }

 private:
  std::array<std::vector<Header*>, 4 * 58> lists_;
  PoolStatistics statistics_;
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
  const PoolStatistics& objects = detail::pools().objects.statistics();
  const PoolStatistics& buffers = detail::pools().buffers.statistics();
  return {objects.system_allocations + buffers.system_allocations,
          objects.cached_bytes + buffers.cached_bytes};
}

void trim_pool() {
  detail::pools().objects.trim();
  detail::pools().buffers.trim();
}

}  // namespace xgrad
