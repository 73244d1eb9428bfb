#include <cmath>

#include <xgrad/core/error.hpp>
#include <xgrad/core/runtime/text_stream.hpp>
#include <xgrad/optim/options.hpp>

namespace xgrad::detail {

void check_option(bool good, const char* owner, const char* option, double value,
                  const char* rule) {
  if (good) return;
  TextStream text;
  text << owner << ": " << option << " is " << value << ": it must be " << rule;
  throw Error(text.str());
}

void check_not_negative(const char* owner, const char* option, double value) {
  check_option(std::isfinite(value) && value >= 0, owner, option, value, "finite and at least 0");
}

void check_decay(const char* owner, const char* option, double value) {
  check_option(value >= 0 && value < 1, owner, option, value, "at least 0 and below 1");
}

}  // namespace xgrad::detail
