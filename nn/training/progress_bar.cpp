#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>

#include <unistd.h>

#include <xgrad/nn/training/progress_bar.hpp>

namespace xgrad::nn {
namespace {

bool is_terminal(const std::ostream& out) {
  if (&out == &std::cout) return ::isatty(STDOUT_FILENO) == 1;
  return (&out == &std::cerr || &out == &std::clog) && ::isatty(STDERR_FILENO) == 1;
}

template <class... Args>
std::string format(const char* pattern, Args... args) {
  char text[160];
  std::snprintf(text, sizeof text, pattern, args...);
  return text;
}

}  // namespace

struct ProgressBar::State {
  using Clock = std::chrono::steady_clock;

  State(std::ostream& stream, bool is_tty) : out(stream), terminal(is_tty) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    try {
      end_line();
    } catch (...) {  // a stream that throws, as its owner may have asked it to
    }
  }

  void end_line() {
    if (drawn) out << '\n' << std::flush;
    drawn = false;
  }

  void show_line(const FitReport& report) const {
    out << format("epoch %td/%td: loss %.4g", report.epoch, report.epochs, report.loss);
    if (report.val_loss) out << format(", val_loss %.4g", *report.val_loss);
    out << format(", %.2f s", report.seconds) << std::endl;
  }

  void draw(const FitReport& report) {
    constexpr int width = 20;
    const double share = (static_cast<double>(report.epoch - 1) +
                          static_cast<double>(report.batch) / static_cast<double>(report.batches)) /
                         static_cast<double>(report.epochs);
    const auto filled = static_cast<std::size_t>(share * width);
    const double elapsed = before + report.seconds;
    const long left = std::lround(elapsed / share - elapsed);
    out << '\r' << format("epoch %td/%td [", report.epoch, report.epochs)
        << std::string(filled, '#') << std::string(width - filled, '.')
        << format("] loss %.4g", report.loss);
    if (val_loss) out << format("  val_loss %.4g", *val_loss);
    out << format("  %ld:%02ld left", left / 60, left % 60) << "\033[K" << std::flush;
    drawn = true;
    shown = Clock::now();
  }

  std::ostream& out;
  bool terminal;
  bool drawn = false;
  double before = 0;  ///< seconds of the epochs that have ended
  std::optional<double> val_loss;
  Clock::time_point shown;
};

ProgressBar::ProgressBar(std::ostream& out) : ProgressBar(out, is_terminal(out)) {}

ProgressBar::ProgressBar(std::ostream& out, bool terminal)
    : state_(std::make_shared<State>(out, terminal)) {}

void ProgressBar::operator()(const FitReport& report) const {
  State& state = *state_;
  if (!state.terminal) {
    if (report.epoch_ended) state.show_line(report);
    return;
  }
  if (report.epoch == 1 && !report.epoch_ended) {  // of a new training, if the last one failed
    state.before = 0;
    state.val_loss.reset();
  }
  if (report.epoch_ended) state.val_loss = report.val_loss;
  const bool ends = report.epoch_ended && report.last;
  if (ends || State::Clock::now() - state.shown > std::chrono::milliseconds(100)) {
    state.draw(report);
  }
  if (report.epoch_ended) state.before += report.seconds;
  if (ends) state.end_line();
}

}  // namespace xgrad::nn
