#include <atomic>
#include <charconv>
#include <cmath>
#include <complex>
#include <numbers>
#include <optional>
#include <string_view>
#include <thread>

#include <xgrad/core/random.hpp>
#include <xgrad/core/runtime/parallel.hpp>

namespace xgrad {
namespace {

constexpr std::string_view state_prefix = "philox4x32-10 ";

[[noreturn]] void bad_state(const std::string& state) {
  throw Error("random: '" + state + "' is not the state of a generator");
}

// The result is the same on every platform: a product and a sum would be contracted on some only.
double scaled(double factor, double x, double offset) { return std::fma(factor, x, offset); }

}  // namespace

namespace detail {

// Not inlined, since gcc vectorises it on its own only.
template <int lanes>
[[gnu::noinline]] void philox(std::uint32_t (&word)[4][lanes], std::uint32_t key0,
                              std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    for (int k = 0; k < lanes; ++k) {
      const std::uint64_t a = std::uint64_t{0xD2511F53} * word[0][k];
      const std::uint64_t b = std::uint64_t{0xCD9E8D57} * word[2][k];
      word[0][k] = static_cast<std::uint32_t>(b >> 32) ^ word[1][k] ^ key0;
      word[1][k] = static_cast<std::uint32_t>(b);
      word[2][k] = static_cast<std::uint32_t>(a >> 32) ^ word[3][k] ^ key1;
      word[3][k] = static_cast<std::uint32_t>(a);
    }
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

template void philox<1>(std::uint32_t (&)[4][1], std::uint32_t, std::uint32_t);

}  // namespace detail

// Each block is two numbers. The counter is the number of the block, and the stream.
void Generator::draw_ahead() {
  constexpr int blocks = ahead / 2;
  std::uint32_t word[4][blocks];
  const std::uint64_t first = (drawn_ - 1) / ahead * blocks;
  for (int k = 0; k < blocks; ++k) {
    const std::uint64_t block = first + static_cast<std::uint64_t>(k);
    word[0][k] = static_cast<std::uint32_t>(block);
    word[1][k] = static_cast<std::uint32_t>(block >> 32);
    word[2][k] = static_cast<std::uint32_t>(stream_);
    word[3][k] = static_cast<std::uint32_t>(stream_ >> 32);
  }
  detail::philox(word, static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32));
  for (int k = 0; k < blocks; ++k) {
    numbers_[2 * k] = word[0][k] | std::uint64_t{word[1][k]} << 32;
    numbers_[2 * k + 1] = word[2][k] | std::uint64_t{word[3][k]} << 32;
  }
}

std::uint64_t Generator::below(std::uint64_t n) {
  if (n == 0) throw Error("below: n is 0: there is no number below it");
  const std::uint64_t remainder = (0 - n) % n;  // of 2^64: so many numbers would be too many
  std::uint64_t bits = next();
  while (bits < remainder) bits = next();
  return bits % n;
}

Tensor Generator::uniform(const Shape& shape, double low, double high, DType dtype) {
  if (!(low <= high) || !std::isfinite(high - low)) {
    throw Error("uniform: low is " + std::to_string(low) + ", high is " + std::to_string(high) +
                ": low must not be above high, nor either of them infinite");
  }
  const Tensor result = Tensor::uninitialized(shape, dtype);
  const Index size = result.size();
  dispatch(dtype, [&]<class T>() {
    using Real = decltype(std::real(T()));
    const Real last = std::nextafter(static_cast<Real>(high), static_cast<Real>(low));
    T* to = result.mutable_data<T>();
    for (Index i = 0; i < size; ++i) {
      const auto x = static_cast<Real>(scaled(high - low, uniform(), low));
      to[i] = x < static_cast<Real>(high) ? x : last;
    }
  });
  return result;
}

Tensor Generator::normal(const Shape& shape, double mean, double deviation, DType dtype) {
  if (!(deviation >= 0)) {
    throw Error("normal: the deviation is " + std::to_string(deviation) + ": it must not be < 0");
  }
  const Tensor result = Tensor::uninitialized(shape, dtype);
  const Index size = result.size();
  dispatch(dtype, [&]<class T>() {
    using Real = decltype(std::real(T()));
    T* to = result.mutable_data<T>();
    for (Index i = 0; i < size; i += 2) {
      const double radius = std::sqrt(-2 * std::log(1 - uniform()));
      const double angle = 2 * std::numbers::pi * uniform();
      to[i] = static_cast<Real>(scaled(deviation, radius * std::cos(angle), mean));
      if (i + 1 == size) break;
      to[i + 1] = static_cast<Real>(scaled(deviation, radius * std::sin(angle), mean));
    }
  });
  return result;
}

std::string Generator::state() const {
  std::string text =
      std::string(state_prefix) + std::to_string(seed_) + ' ' + std::to_string(drawn_);
  if (stream_ != 0) text += ' ' + std::to_string(stream_);
  return text;
}

void Generator::set_state(const std::string& state) {
  if (!state.starts_with(state_prefix)) bad_state(state);
  const char* const end = state.data() + state.size();
  Generator restored;
  const auto seed_end = std::from_chars(state.data() + state_prefix.size(), end, restored.seed_);
  if (seed_end.ec != std::errc() || seed_end.ptr == end || *seed_end.ptr != ' ') bad_state(state);
  auto last = std::from_chars(seed_end.ptr + 1, end, restored.drawn_);
  if (last.ec == std::errc() && last.ptr != end && *last.ptr == ' ') {
    last = std::from_chars(last.ptr + 1, end, restored.stream_);
  }
  if (last.ec != std::errc() || last.ptr != end) bad_state(state);
  if (restored.drawn_ % ahead != 0) restored.draw_ahead();
  *this = restored;
}

namespace {

/// The thread that asks first, which is the main thread: it initializes the variable below.
std::thread::id main_thread() {
  static const std::thread::id id = std::this_thread::get_id();
  return id;
}
[[maybe_unused]] const std::thread::id asked_at_start = main_thread();

std::uint64_t next_free_stream() {
  static std::atomic<std::uint64_t> next{detail::next_free_streams};
  return next++;
}

/// Empty until this thread draws or is seeded, so that one that is seeded takes no free stream.
thread_local std::optional<Generator> thread_generator;

}  // namespace

Generator& default_generator() {
  if (!thread_generator) {
    const auto helper = static_cast<std::uint64_t>(detail::helper_number());
    const bool is_main = std::this_thread::get_id() == main_thread();
    thread_generator.emplace(0, helper > 0 ? detail::own_streams + helper - 1
                                : is_main  ? 0
                                           : next_free_stream());
  }
  return *thread_generator;
}

void seed(std::uint64_t seed, std::uint64_t stream) { thread_generator.emplace(seed, stream); }

}  // namespace xgrad
