#include "progress.hpp"

#include <cmath>
#include <cstdio>
#include <numbers>

namespace text_generation {

std::string format_duration(double seconds) {
  const auto total = static_cast<long long>(std::ceil(seconds));
  const long long hours = total / 3600, minutes = total / 60 % 60;
  char text[32];
  if (hours > 0) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", hours, minutes, total % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", minutes, total % 60);
  }
  return text;
}

Progress::Progress(std::ostream& out, bool terminal, std::int64_t done, std::int64_t total,
                   std::int64_t characters_per_step)
    : out_(out),
      terminal_(terminal),
      start_(done),
      done_(done),
      total_(total),
      characters_per_step_(characters_per_step),
      begin_(Clock::now()),
      shown_(begin_) {}

void Progress::update(double loss) {
  ++done_;
  const std::chrono::duration<double> quiet = Clock::now() - shown_;
  if (quiet.count() > (terminal_ ? 0.1 : 5.0) || done_ == total_) show(loss);
}

void Progress::show(double loss) {
  shown_ = Clock::now();
  const double elapsed = std::chrono::duration<double>(shown_ - begin_).count();
  const double seconds_per_step = elapsed / static_cast<double>(done_ - start_);
  const double left = seconds_per_step * static_cast<double>(total_ - done_);
  const double share = static_cast<double>(done_) / static_cast<double>(total_);
  char text[128];
  std::snprintf(text, sizeof text, "%3.0f%%  %.4f nats  %.4f bits/char  %.0f char/s  %s left",
                std::floor(100 * share), loss, loss / std::numbers::ln2,
                static_cast<double>(characters_per_step_) / seconds_per_step,
                format_duration(left).c_str());
  if (terminal_) {
    constexpr std::size_t width = 16;
    const auto filled = static_cast<std::size_t>(share * width);
    out_ << "\r[" << std::string(filled, '#') << std::string(width - filled, '.') << ']' << text
         << "\033[K";
    drawn_ = true;
  } else {
    out_ << "step " << done_ << '/' << total_ << ' ' << text << '\n';
  }
  out_.flush();
}

void Progress::finish() {
  if (drawn_) out_ << '\n' << std::flush;
  drawn_ = false;
}

}  // namespace text_generation
