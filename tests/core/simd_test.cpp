#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xgrad/core/kernels/simd.hpp>

namespace xgrad::detail {
namespace {

/// A page with one behind it that must not be touched.
class GuardedPage {
 public:
  GuardedPage() {
    void* const pages =
        mmap(nullptr, 2 * size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::runtime_error("mmap failed");
    begin_ = static_cast<std::byte*>(pages);
    if (mprotect(begin_ + size_, size_, PROT_NONE) != 0)
      throw std::runtime_error("mprotect failed");
  }
  GuardedPage(const GuardedPage&) = delete;
  GuardedPage& operator=(const GuardedPage&) = delete;
  ~GuardedPage() { munmap(begin_, 2 * size_); }

  template <class T>
  T* end() const {
    return reinterpret_cast<T*>(begin_ + size_);
  }

 private:
  std::size_t size_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::byte* begin_ = nullptr;
};

template <class T>
std::vector<T> lanes_of(const SimdVector<T>& v) {
  std::vector<T> lanes(static_cast<std::size_t>(simd_width<T>));
  v.store_unaligned(lanes.data());
  return lanes;
}

template <class T>
class SimdTest : public ::testing::Test {};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SimdTest, Floats);

TYPED_TEST(SimdTest, APartOfAVectorIsLoadedAndPaddedWithoutReadingBehindIt) {
  using T = TypeParam;
  const GuardedPage page;
  for (Index n = 1; n <= simd_width<T>; ++n) {
    T* const from = page.end<T>() - n;
    std::vector<T> expected(static_cast<std::size_t>(simd_width<T>), T(-3));
    for (Index i = 0; i < n; ++i) from[i] = expected[static_cast<std::size_t>(i)] = T(1 + i);
    EXPECT_EQ(lanes_of<T>(simd_load(from, n, SimdVector<T>(T(-3)))), expected) << n;
    for (auto i = static_cast<std::size_t>(n); i < expected.size(); ++i) expected[i] = T(0);
    EXPECT_EQ(lanes_of<T>(simd_load(from, n)), expected) << n;
  }
}

TYPED_TEST(SimdTest, APartOfAVectorIsStoredWithoutWritingBehindIt) {
  using T = TypeParam;
  std::vector<T> numbers(static_cast<std::size_t>(simd_width<T>));
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = T(1 + i);
  const auto value = SimdVector<T>::load_unaligned(numbers.data());
  const GuardedPage page;
  for (Index n = 1; n <= simd_width<T>; ++n) {
    T* const at_the_end = page.end<T>() - n;
    simd_store(at_the_end, n, value);
    EXPECT_EQ(std::vector<T>(at_the_end, at_the_end + n),
              std::vector<T>(numbers.begin(), numbers.begin() + n))
        << n;
    std::vector<T> array(numbers.size() + 1, T(-3));
    std::vector<T> expected = array;
    simd_store(array.data(), n, value);
    std::copy_n(numbers.begin(), n, expected.begin());
    EXPECT_EQ(array, expected) << n;
  }
}

/// The same bits; the sign of NaN is left open.
template <class T>
bool same(T a, T b) {
  return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

TYPED_TEST(SimdTest, QuotientsAndRootsAreRoundedOnce) {
  using T = TypeParam;
  using Limits = std::numeric_limits<T>;
  std::vector<T> values{T(0), T(-0.0), T(1), T(-7), Limits::denorm_min(), Limits::min()};
  for (const T value : {Limits::max(), Limits::infinity(), Limits::quiet_NaN()}) {
    values.push_back(value);
    values.push_back(-value);
  }
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    constexpr int lowest = Limits::min_exponent - Limits::digits;
    constexpr unsigned range = Limits::max_exponent - lowest;
    const auto mantissa = static_cast<T>(random()) / T(4294967296);
    values.push_back(std::ldexp(mantissa, lowest + static_cast<int>(random() % range)));
  }
  for (const T a : values) {
    const T root = lanes_of<T>(sqrt(SimdVector<T>(a)))[0];
    EXPECT_TRUE(same(root, std::sqrt(a))) << root << " = sqrt " << a;
    for (const T b : values) {
      const T quotient = lanes_of<T>(SimdVector<T>(a) / SimdVector<T>(b))[0];
      EXPECT_TRUE(same(quotient, a / b)) << quotient << " = " << a << " / " << b;
    }
  }
}

}  // namespace
}  // namespace xgrad::detail
