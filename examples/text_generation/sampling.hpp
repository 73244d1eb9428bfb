#pragma once

#include <span>

#include <xgrad/core/random.hpp>

namespace text_generation {

struct Sampling {
  double temperature = 0.8;  ///< divides the logits; 0 always takes the likeliest
  int top_k = 0;             ///< only the k likeliest, 0: all
  double top_p = 1;          ///< only the likeliest that together reach this probability (nucleus;
                             ///< Holtzman et al. 2020), 1: all
};

/// Draws a class from its logits. Of equally likely classes the first comes first.
std::size_t sample(std::span<const float> logits, const Sampling& sampling,
                   xgrad::Generator& generator);

}  // namespace text_generation
