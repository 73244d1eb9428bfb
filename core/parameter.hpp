#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include <xgrad/core/kernels/weights.hpp>

namespace xgrad::detail {

/// What a parameter is; shared by every handle to it and by its views.
struct Parameter : Weights {
  std::atomic<std::uint32_t> references{1};
  std::string name;
  Tensor gradient;            ///< memory for the gradient; a value only if has_gradient
  bool has_gradient = false;  ///< the next backward adds if true, assigns if false
  bool trainable = true;
  std::uint32_t layout = 0;  ///< raised by every conversion, which moves the value elsewhere
  std::mutex following;      ///< of views that follow it there

  static void destroy(Parameter* parameter) noexcept { delete parameter; }
};

}  // namespace xgrad::detail
