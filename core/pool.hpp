#pragma once

#include <cstddef>

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

}  // namespace xgrad
