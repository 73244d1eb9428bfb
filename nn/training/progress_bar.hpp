#pragma once

#include <iosfwd>
#include <memory>

#include <xgrad/nn/fit.hpp>

namespace xgrad::nn {

/// A callback of `fit` that shows how far it is on a stream: on a terminal one line with a bar, the
/// losses and the time left, which is drawn anew up to ten times a second; elsewhere a line for
/// each epoch. Copies draw one bar.
class ProgressBar {
 public:
  /// std::cout, std::cerr and std::clog are asked if they are a terminal; other streams are none.
  explicit ProgressBar(std::ostream& out);
  ProgressBar(std::ostream& out, bool terminal);

  void operator()(const FitReport& report) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace xgrad::nn
