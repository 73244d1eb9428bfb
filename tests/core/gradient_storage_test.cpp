#include <gtest/gtest.h>

#include <xgrad/core/engine/gradient_storage.hpp>

namespace xgrad::detail {
namespace {

using Access = GradientStorage::Access;

Region slices(Index first, Index last, bool exact = true) {
  return {first * 2, first, last, exact, exact};
}

/// Storage of three slices of two elements, on memory filled with 7.
struct Fixture : ::testing::Test {
  Fixture() : memory(Tensor::full({3, 2}, 7, DType::float64)) { storage.bind(memory, false); }
  std::vector<double> values() const { return memory.to_vector(); }
  Tensor memory;
  GradientStorage storage;
};
using GradientStorageTest = Fixture;

TEST(RegionTest, OverlapsUnlessSlicesOrColumnsAreApart) {
  const auto columns = [](Index first, Index last) {
    return Region{first, 0, 3, false, false, first, last};
  };
  EXPECT_FALSE(slices(0, 1).overlaps(slices(1, 3)));
  EXPECT_FALSE(slices(1, 3).overlaps(slices(0, 1)));
  EXPECT_TRUE(slices(0, 2).overlaps(slices(1, 3)));
  EXPECT_TRUE(slices(0, 1, false).overlaps(slices(0, 1, false)));
  EXPECT_FALSE(columns(0, 1).overlaps(columns(1, 2)));
  EXPECT_FALSE(columns(1, 2).overlaps(columns(0, 1)));
  EXPECT_TRUE(columns(0, 2).overlaps(columns(1, 2)));
  EXPECT_TRUE(columns(0, 1).overlaps(slices(0, 3)));
  EXPECT_TRUE(slices(2, 3).overlaps(columns(0, 1)));
}

TEST_F(GradientStorageTest, FirstTouchAssignsLaterOnesAdd) {
  EXPECT_FALSE(storage.touched());
  EXPECT_EQ(storage.touch(slices(0, 3)), Access::assign);
  EXPECT_TRUE(storage.touched());
  EXPECT_EQ(storage.touch(slices(0, 3)), Access::add);
  EXPECT_EQ(storage.touch(slices(1, 2)), Access::add);
  EXPECT_EQ(values(), std::vector<double>(6, 7));
}

TEST_F(GradientStorageTest, EachSliceIsAssignedOnce) {
  for (Index t = 0; t < 3; ++t) {
    EXPECT_EQ(storage.touch(slices(t, t + 1)), Access::assign);
  }
  for (Index t = 0; t < 3; ++t) EXPECT_EQ(storage.touch(slices(t, t + 1)), Access::add);
  EXPECT_EQ(values(), std::vector<double>(6, 7));
}

TEST_F(GradientStorageTest, UntouchedSlicesReadAsZero) {
  EXPECT_EQ(storage.touch(slices(1, 2)), Access::assign);
  storage.complete();
  EXPECT_EQ(values(), (std::vector<double>{0, 0, 7, 7, 0, 0}));
}

TEST_F(GradientStorageTest, NothingTouchedReadsAsZero) {
  storage.complete();
  EXPECT_EQ(values(), std::vector<double>(6, 0));
}

TEST_F(GradientStorageTest, PartOfASliceIsZeroedBeforeItIsAddedTo) {
  EXPECT_EQ(storage.touch(slices(1, 2, false)), Access::add);
  EXPECT_EQ(values(), (std::vector<double>{7, 7, 0, 0, 7, 7}));
  EXPECT_EQ(storage.touch(slices(0, 3, false)), Access::add);
  EXPECT_EQ(values(), std::vector<double>(6, 0));
}

TEST_F(GradientStorageTest, WideTouchKeepsWhatSlicesHold) {
  EXPECT_EQ(storage.touch(slices(1, 2)), Access::assign);
  EXPECT_EQ(storage.touch(slices(0, 2)), Access::add);
  EXPECT_EQ(values(), (std::vector<double>{0, 0, 7, 7, 7, 7}));
  EXPECT_EQ(storage.touch(slices(2, 3)), Access::assign);
  EXPECT_EQ(storage.touch(slices(0, 3)), Access::add);
}

/// Columns [first, last) of all slices.
Region columns(Index first, Index last) { return {first, 0, 3, false, false, first, last}; }

TEST_F(GradientStorageTest, EachColumnIsAssignedOnce) {
  EXPECT_EQ(storage.touch(columns(1, 2)), Access::assign);
  EXPECT_TRUE(storage.touched());
  EXPECT_EQ(storage.touch(columns(1, 2)), Access::add);
  EXPECT_EQ(storage.touch(columns(0, 1)), Access::assign);
  EXPECT_EQ(storage.touch(slices(0, 3)), Access::add);
  EXPECT_EQ(values(), std::vector<double>(6, 7));
}

TEST_F(GradientStorageTest, UntouchedColumnsReadAsZero) {
  EXPECT_EQ(storage.touch(columns(0, 1)), Access::assign);
  storage.complete();
  EXPECT_EQ(values(), (std::vector<double>{7, 0, 7, 0, 7, 0}));
}

TEST_F(GradientStorageTest, UntouchedColumnsAreZeroedBeforeSlicesAreAddedTo) {
  EXPECT_EQ(storage.touch(columns(1, 2)), Access::assign);
  EXPECT_EQ(storage.touch(slices(1, 2)), Access::add);
  EXPECT_EQ(values(), (std::vector<double>{0, 7, 0, 7, 0, 7}));
}

TEST_F(GradientStorageTest, OverlappingColumnsAreAddedTo) {
  EXPECT_EQ(storage.touch(columns(1, 2)), Access::assign);
  EXPECT_EQ(storage.touch(columns(0, 2)), Access::add);
  EXPECT_EQ(values(), (std::vector<double>{0, 7, 0, 7, 0, 7}));
}

TEST_F(GradientStorageTest, ColumnsAreNotAssignedBesideSlices) {
  EXPECT_EQ(storage.touch(slices(1, 2)), Access::assign);
  EXPECT_EQ(storage.touch(columns(0, 1)), Access::add);
  EXPECT_EQ(values(), (std::vector<double>{0, 0, 7, 7, 0, 0}));
}

TEST_F(GradientStorageTest, BoundValueIsAddedTo) {
  storage.bind(memory, true);
  EXPECT_TRUE(storage.touched());
  EXPECT_EQ(storage.touch(slices(0, 3)), Access::add);
  EXPECT_EQ(values(), std::vector<double>(6, 7));
}

}  // namespace
}  // namespace xgrad::detail
