#include <fstream>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include <xgrad/core/pool.hpp>
#include <xgrad/core/tensor.hpp>

namespace xgrad {
namespace {

class Pool : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef XGRAD_POOL_MALLOC
    GTEST_SKIP() << "the pool is malloc in this build";
#endif
    trim_pool();
  }
  static std::size_t cached() { return pool_statistics().cached_bytes; }
};

Tensor of_bytes(Index bytes) { return Tensor::uninitialized({bytes / 4}, DType::float32); }

TEST_F(Pool, TensorsWhoseSizesVaryShareMemory) {
  constexpr Index largest = Index{1} << 20;
  for (Index bytes = largest; bytes > 0; bytes -= 1 << 10) of_bytes(bytes);
  for (Index bytes = 1 << 10; bytes <= largest; bytes += 1 << 10) of_bytes(bytes);
  // One block in each power of two is enough. A block is up to a quarter larger than its tensor.
  EXPECT_LE(cached(), static_cast<std::size_t>(2 * largest * 5 / 4));
}

TEST_F(Pool, WhatIsNotUsedForAWhileIsGivenBack) {
  { const std::vector<Tensor> large(1, of_bytes(Index{1} << 26)); }
  EXPECT_GT(cached(), std::size_t{1} << 26);
  for (int i = 0; i < 100'000; ++i) of_bytes(1 << 10);
  EXPECT_LT(cached(), std::size_t{1} << 20);
}

// A step takes many blocks once each, as a tape does, and then the largest.
TEST_F(Pool, WhatEveryStepUsesIsKept) {
  const auto step = [] {
    std::vector<Tensor> recorded;
    recorded.reserve(500);
    for (Index i = 0; i < 500; ++i) recorded.push_back(of_bytes(64 * (1 + i % 50)));
    of_bytes(Index{1} << 20);
  };
  for (int i = 0; i < 10; ++i) step();
  const std::size_t before = pool_statistics().system_allocations;
  for (int i = 0; i < 2000; ++i) step();
  EXPECT_EQ(pool_statistics().system_allocations, before);
}

#ifdef __GLIBC__
Index resident_bytes() {
  std::ifstream file("/proc/self/statm");
  Index size = 0;
  Index resident = 0;
  file >> size >> resident;
  return resident * static_cast<Index>(::sysconf(_SC_PAGESIZE));
}

TEST_F(Pool, TrimmingReturnsPagesBetweenBlocksInUse) {
  constexpr Index bytes = Index{1} << 16;
  constexpr Index count = 500;
  std::vector<Tensor> kept;
  std::vector<Tensor> dropped;
  for (Index i = 0; i < count; ++i) {
    dropped.push_back(Tensor::zeros({bytes / 4}));  // written to: the pages are there
    kept.push_back(Tensor::zeros({16}));
  }
  const Index before = resident_bytes();
  dropped.clear();
  trim_pool();
  EXPECT_EQ(cached(), 0U);
  // Of each block the pages at both ends may hold something else.
  const Index page = static_cast<Index>(::sysconf(_SC_PAGESIZE));
  EXPECT_LE(resident_bytes(), before - count * (bytes - 2 * page) * 9 / 10);
}
#endif

}  // namespace
}  // namespace xgrad
