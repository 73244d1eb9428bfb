#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <xgrad/core/tensor.hpp>

namespace xgrad {

/// Seeded random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
/// 1, 2, 3"), the k-th number being a hash of the seed, the stream and k.
///
/// The same seed and stream give the same numbers on every platform; `normal` follows the last bit
/// of the platform's log, sin and cos. Streams of a seed have nothing in common: stream and k are
/// the two halves of Philox's counter, and to each counter belongs another block of random bits. A
/// copy continues on its own. A Generator belongs to one thread.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0, std::uint64_t stream = 0)
      : seed_(seed), stream_(stream) {}

  /// 64 random bits.
  std::uint64_t next() {
    const std::size_t at = drawn_++ % ahead;
    if (at == 0) draw_ahead();
    return numbers_[at];
  }

  /// A double in [0, 1), a multiple of 2^-53.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  /// An integer in [0, n), each equally likely. Throws if n is 0.
  std::uint64_t below(std::uint64_t n);

  /// Independent numbers, uniform in [low, high), or low where both are the same. The float32
  /// numbers are the float64 ones, rounded (but below high). Throws unless low <= high, both
  /// finite.
  Tensor uniform(const Shape& shape, double low, double high, DType dtype = DType::float32);

  /// Independent normally distributed numbers (Box and Muller 1958). The float32 numbers are the
  /// float64 ones, rounded. Throws unless deviation >= 0.
  Tensor normal(const Shape& shape, double mean, double deviation, DType dtype = DType::float32);

  /// Puts the elements in random order (Fisher and Yates), each order equally likely.
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[static_cast<std::size_t>(below(i))]);
    }
  }

  /// Seed, position and stream (unless that is 0, as before there were any) as text, from which
  /// `set_state` continues exactly.
  std::string state() const;
  /// Throws if the text is not from `state`.
  void set_state(const std::string& state);

 private:
  static constexpr std::size_t ahead = 32;  ///< drawn at once, which is faster
  void draw_ahead();

  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t drawn_ = 0;            ///< numbers so far
  std::uint64_t numbers_[ahead] = {};  ///< the ones around drawn_, unless they begin with it
};

/// This thread's generator, for whoever is not given one. It starts with seed 0: on the main thread
/// in stream 0, on another one in the next stream, from 2^63 on, that no thread has had. So threads
/// draw different numbers, but which of them has which depends on the order in which they first
/// draw. For the same numbers from run to run each calls `seed` with a stream of its own.
Generator& default_generator();

/// Starts this thread's generator anew. Threads of the same seed and stream draw the same numbers.
void seed(std::uint64_t seed, std::uint64_t stream = 0);

namespace detail {

/// Streams of the threads that belong to the library, and of those that were not given one.
inline constexpr std::uint64_t own_streams = std::uint64_t{1} << 62;
inline constexpr std::uint64_t next_free_streams = std::uint64_t{1} << 63;

/// `lanes` blocks of Philox, side by side: word[i][k] is word i of the k-th counter, and then of
/// the k-th result.
template <int lanes>
void philox(std::uint32_t (&word)[4][lanes], std::uint32_t key0, std::uint32_t key1);

}  // namespace detail
}  // namespace xgrad
