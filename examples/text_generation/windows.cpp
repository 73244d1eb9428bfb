#include "windows.hpp"

#include <string>
#include <vector>

#include <xgrad/core/error.hpp>

namespace text_generation {

using xgrad::Index;

Windows::Windows(std::span<const std::int64_t> text, Index batch, Index steps, std::uint64_t seed)
    : text_(text), batch_(batch), steps_(steps), seed_(seed) {
  // The last character of the text is a target only.
  per_epoch_ = (std::ssize(text_) - 1) / characters();
  if (per_epoch_ < 1) {
    throw xgrad::Error(
        "the training part of the corpus has " + std::to_string(text_.size()) +
        " characters, one window takes batch * seq-len + 1 = " + std::to_string(characters() + 1) +
        ": choose a smaller --batch or --seq-len");
  }
}

Window Windows::at(std::int64_t position, Index first, Index last) const {
  const std::int64_t epoch = position / per_epoch_;
  const std::int64_t stream = per_epoch_ * steps_;
  const std::int64_t slack = std::ssize(text_) - 1 - batch_ * stream;
  // Each epoch has a generator of its own, so that any position can be reached directly.
  xgrad::Generator generator(seed_ + static_cast<std::uint64_t>(epoch));
  std::int64_t start = (position % per_epoch_) * steps_;
  start += static_cast<std::int64_t>(generator.below(static_cast<std::uint64_t>(slack) + 1));

  std::vector<std::int64_t> inputs, targets;
  for (Index t = 0; t < steps_; ++t) {
    for (Index b = first; b < last; ++b) {
      const auto at = static_cast<std::size_t>(start + b * stream + t);
      inputs.push_back(text_[at]);
      targets.push_back(text_[at + 1]);
    }
  }
  const xgrad::Shape shape{steps_, last - first};
  return {{shape, inputs}, {shape, targets}, position % per_epoch_ == 0};
}

}  // namespace text_generation
