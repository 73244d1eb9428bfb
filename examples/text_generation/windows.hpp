#pragma once

#include <cstdint>
#include <span>

#include <xgrad/core/random.hpp>
#include <xgrad/ops/index.hpp>

namespace text_generation {

/// What one training step sees: characters (steps, batch), and for each of them the next one.
struct Window {
  xgrad::Indices inputs;
  xgrad::Indices targets;
  bool first;  ///< of its epoch: there is no state to carry over
};

/// The order in which training reads a text, for truncated backpropagation through time.
///
/// An epoch cuts the text into `batch` streams of equal length, which are read side by side,
/// `steps` characters at a time; each window continues the streams where the last one stopped. What
/// does not fill a window is left out, but for each epoch at another end: the first stream starts
/// at a random place within the slack.
class Windows {
 public:
  /// The text must outlive this. Throws xgrad::Error if it has no window of this size.
  Windows(std::span<const std::int64_t> text, xgrad::Index batch, xgrad::Index steps,
          std::uint64_t seed);

  std::int64_t per_epoch() const { return per_epoch_; }
  std::int64_t characters() const { return batch_ * steps_; }  ///< of one window

  /// Window number `position`, counted through all epochs from 0, of the streams [first, last).
  Window at(std::int64_t position, xgrad::Index first, xgrad::Index last) const;

 private:
  std::span<const std::int64_t> text_;
  xgrad::Index batch_;
  xgrad::Index steps_;
  std::uint64_t seed_;
  std::int64_t per_epoch_;
};

}  // namespace text_generation
