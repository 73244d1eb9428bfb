#include "drawing.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

#include <xgrad/core/error.hpp>

namespace keras_sequential {
namespace {

constexpr double width = 900, height = 420;
constexpr double left = 60, right = 20, top = 50, bottom = 40;

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else if (static_cast<unsigned char>(c) >= ' ') {
      result += c;
    }
  }
  return result;
}

/// The distance of about five ticks: 1, 2 or 5 times a power of ten.
double tick_distance(double range) {
  const double power = std::max(std::pow(10, std::floor(std::log10(range / 5))),
                                std::numeric_limits<double>::min());  // even of denormal values
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (range / (factor * power) <= 6) return factor * power;
  }
  return 10 * power;
}

class Drawing {
 public:
  Drawing(std::size_t first, std::size_t last, double low, double high)
      : first_(static_cast<double>(first)),
        last_(static_cast<double>(last)),
        low_(low),
        high_(high) {
    svg_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << width << ' ' << height
         << "\" font-family=\"sans-serif\" font-size=\"12\">\n"
         << "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  }

  double x(double t) const {
    return left + (t - first_) / std::max(last_ - first_, 1.0) * (width - left - right);
  }
  double y(double value) const {
    return height - bottom - (value - low_) / (high_ - low_) * (height - top - bottom);
  }

  void line(double x0, double y0, double x1, double y1, const char* style) {
    svg_ << "<line x1=\"" << x0 << "\" y1=\"" << y0 << "\" x2=\"" << x1 << "\" y2=\"" << y1 << "\" "
         << style << "/>\n";
  }
  void text(double at_x, double at_y, const char* anchor, const std::string& words,
            const char* color = "black") {
    svg_ << "<text x=\"" << at_x << "\" y=\"" << at_y << "\" text-anchor=\"" << anchor
         << "\" fill=\"" << color << "\">" << escaped(words) << "</text>\n";
  }
  /// Values from time `begin` on.
  void curve(std::size_t begin, const double* values, std::size_t count, const char* color) {
    svg_ << "<polyline fill=\"none\" stroke-width=\"1.8\" stroke=\"" << color << "\" points=\"";
    for (std::size_t i = 0; i < count; ++i) {
      svg_ << x(static_cast<double>(begin + i)) << ',' << y(values[i]) << ' ';
    }
    svg_ << "\"/>\n";
  }

  std::string finish() {
    svg_ << "</svg>\n";
    return svg_.str();
  }

 private:
  double first_, last_, low_, high_;
  std::ostringstream svg_;
};

std::string tick_text(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

}  // namespace

void draw(const std::filesystem::path& path, const Series& series, const Forecast& forecast) {
  constexpr const char* grey = "#777777";
  constexpr const char* blue = "#1f77b4";
  constexpr const char* red = "#d62728";
  const std::size_t count = series.values.size();
  const std::size_t test = count - forecast.values.size();
  const std::size_t first = count - std::min(count, std::max<std::size_t>(120, 3 * (count - test)));

  auto [low, high] = std::minmax_element(series.values.begin() + static_cast<std::ptrdiff_t>(first),
                                         series.values.end());
  double lowest = *low, highest = *high;
  for (const double value : forecast.values) {
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
  const double tick = tick_distance(highest > lowest ? highest - lowest : 1);
  lowest = std::floor(lowest / tick) * tick;
  highest = std::max(std::ceil(highest / tick) * tick, lowest + tick);

  Drawing drawing(first, count - 1, lowest, highest);
  for (long i = 0; i <= std::lround((highest - lowest) / tick); ++i) {
    const double value = lowest + static_cast<double>(i) * tick;
    drawing.line(left, drawing.y(value), width - right, drawing.y(value), "stroke=\"#dddddd\"");
    drawing.text(left - 6, drawing.y(value) + 4, "end",
                 tick_text(std::abs(value) < tick / 2 ? 0 : value));
  }
  const double split = drawing.x(static_cast<double>(test) - 0.5);
  drawing.line(split, top, split, height - bottom, "stroke=\"#777777\" stroke-dasharray=\"4\"");
  drawing.text(left, height - bottom + 18, "start", series.times[first]);
  drawing.text(split - 6, top - 4, "end", "test from " + series.times[test], grey);
  drawing.text(width - right, height - bottom + 18, "end", series.times[count - 1]);
  drawing.curve(first, &series.values[first], count - first, blue);
  drawing.curve(test, forecast.values.data(), forecast.values.size(), red);
  drawing.text(left, 20, "start", series.name, blue);
  drawing.text(left, 38, "start", forecast.name, red);

  std::ofstream out(path, std::ios::binary);
  out << drawing.finish() << std::flush;
  if (!out) throw xgrad::Error("cannot write " + path.string() + ": " + std::strerror(errno));
}

}  // namespace keras_sequential
