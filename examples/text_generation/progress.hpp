#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

namespace text_generation {

/// Shows how a training goes on: as a bar that is drawn anew on a terminal, as a line every few
/// seconds elsewhere.
class Progress {
 public:
  /// `done` of `total` steps lie behind us already.
  Progress(std::ostream& out, bool terminal, std::int64_t done, std::int64_t total,
           std::int64_t characters_per_step);

  /// After each step, with the recent loss in nats per character.
  void update(double loss);
  /// Ends the bar, so that the next output begins on a new line.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  void show(double loss);

  std::ostream& out_;
  bool terminal_;
  std::int64_t start_, done_, total_;
  std::int64_t characters_per_step_;
  Clock::time_point begin_, shown_;
  bool drawn_ = false;
};

/// "0:05", "12:34", "1:02:03".
std::string format_duration(double seconds);

}  // namespace text_generation
