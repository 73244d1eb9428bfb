#include "drawing.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

#include <xgrad/core/error.hpp>

#include "error_curve.hpp"
#include "svg.hpp"

namespace gradient_check {
namespace {

using xgrad::GradcheckInput;
using xgrad::Verdict;

constexpr double top = 96;                           // title and legend
constexpr double panel_top = 34, panel_bottom = 42;  // title; axis
constexpr double panel_left = 46, panel_right = 10;  // axis; margin
constexpr double outer = 14;

constexpr const char* grey = "#555555";

/// Colors that differ for every kind of color vision (Okabe and Ito 2008).
const char* color(Verdict verdict) {
  switch (verdict) {
    case Verdict::correct:
    case Verdict::zero:
      return "#0072B2";
    case Verdict::kink:
      return "#009E73";
    case Verdict::ill_conditioned:
    case Verdict::vacuous:
      return "#E69F00";
    case Verdict::wrong:
    case Verdict::not_deterministic:
      break;
  }
  return "#D55E00";
}

std::string stroke(const char* color, double width, const char* dashes = "") {
  std::ostringstream text;
  text << "stroke=\"" << color << "\" stroke-width=\"" << width << '"';
  if (*dashes != '\0') text << " stroke-dasharray=\"" << dashes << '"';
  return text.str();
}
std::string curve_style(Verdict verdict) {
  return stroke(color(verdict), verdict == Verdict::wrong ? 2.2 : 1.2) +
         " stroke-linejoin=\"round\"";
}
std::string guide_style() { return stroke("#999999", 1.2, "2 3"); }
std::string explained_style() { return stroke(grey, 1.4, "7 4"); }

/// Common logarithms of the ends of both axes, in whole decades.
struct Range {
  int step_low = 0, step_high = -100;
  int error_low = 0, error_high = 0;

  explicit Range(const std::vector<Checked>& all) {
    double least_step = 1, most_step = 0, least = 1, most = 1;
    for (const Checked& each : all) {
      for (const GradcheckInput& input : each.report.inputs) {
        for (const CurvePoint& point : error_curve(input)) {
          least_step = std::min(least_step, point.step);
          most_step = std::max(most_step, point.step);
          if (std::isfinite(point.error)) most = std::max(most, point.error);
          if (point.error > 0) least = std::min(least, point.error);
        }
        const double tolerance = explained(input);
        if (tolerance > 0) least = std::min(least, tolerance);
      }
    }
    if (most_step == 0) most_step = 1;  // nothing to draw
    step_low = decade_below(least_step);
    step_high = decade_above(std::max(most_step, 2 * least_step));
    error_low = std::clamp(decade_below(least), -18, -1);
    error_high = std::min(decade_above(most), 10);
  }

 private:
  static int decade_below(double x) { return static_cast<int>(std::floor(std::log10(x))); }
  static int decade_above(double x) { return static_cast<int>(std::ceil(std::log10(x))); }
};

/// The axes of one panel.
class Panel {
 public:
  Panel(Svg& svg, const Range& range, double x, double y, double width, double height)
      : svg_(svg),
        range_(range),
        left_(x + panel_left),
        right_(x + width - panel_right),
        top_(y + panel_top),
        bottom_(y + height - panel_bottom) {}

  double x(double step) const {
    return left_ + (std::log10(step) - range_.step_low) / (range_.step_high - range_.step_low) *
                       (right_ - left_);
  }
  /// Errors off the axis, 0 among them, lie on its edge.
  double y(double error) const {
    const double height =
        (std::log10(error) - range_.error_low) / (range_.error_high - range_.error_low);
    return bottom_ - std::clamp(height, 0.0, 1.0) * (bottom_ - top_);
  }

  void draw(const Checked& checked) {
    axes();
    guides();
    double rounding = 0;
    for (const bool wrong : {false, true}) {  // the wrong ones on top
      for (const GradcheckInput& input : checked.report.inputs) {
        if ((input.verdict == Verdict::wrong) == wrong) curve(input);
        rounding = std::max(rounding, explained(input));
      }
    }
    if (rounding > 0) svg_.line(left_, y(rounding), right_, y(rounding), explained_style());
    titles(checked);
  }

 private:
  void axes() {
    const std::string grid = stroke("#e4e4e4", 1);
    const std::string tick = stroke(grey, 1);
    for (int decade = range_.step_low; decade <= range_.step_high; ++decade) {
      const double at = x(std::pow(10, decade));
      const bool labelled = decade % 3 == 0;
      if (labelled) {
        svg_.line(at, top_, at, bottom_, grid);
        svg_.power_of_ten(at - 2, bottom_ + 18, decade,
                          "text-anchor=\"middle\" font-size=\"11\" fill=\"#333333\"");
      }
      svg_.line(at, bottom_, at, bottom_ + (labelled ? 5 : 3), tick);
    }
    for (int decade = range_.error_low; decade <= range_.error_high; ++decade) {
      const double at = y(std::pow(10, decade));
      const bool labelled = decade % 4 == 0;
      if (labelled) {
        svg_.line(left_, at, right_, at, grid);
        svg_.power_of_ten(left_ - 8, at + 4, decade,
                          "text-anchor=\"end\" font-size=\"11\" fill=\"#333333\"");
      }
      svg_.line(left_ - (labelled ? 5 : 3), at, left_, at, tick);
    }
    svg_.rectangle(left_, top_, right_ - left_, bottom_ - top_, "fill=\"none\" " + tick);
    svg_.text((left_ + right_) / 2, bottom_ + 34, "step h",
              "text-anchor=\"middle\" font-size=\"11\" fill=\"#333333\"");
  }

  /// What a correct gradient's errors run along: h^2, and the unit of rounding divided by h.
  void guides() {
    constexpr double rounding = std::numeric_limits<double>::epsilon() / 2;
    guide(1, 2);
    guide(rounding, -1);
  }

  /// factor h^slope, as far as it is between the ends of both axes.
  void guide(double factor, double slope) {
    Svg::Points points;
    const double low = std::pow(10, range_.error_low), high = std::pow(10, range_.error_high);
    double from = std::pow(10, range_.step_low), to = std::pow(10, range_.step_high);
    const double at_low = std::pow(low / factor, 1 / slope);
    const double at_high = std::pow(high / factor, 1 / slope);
    from = std::max(from, std::min(at_low, at_high));
    to = std::min(to, std::max(at_low, at_high));
    if (!(from < to)) return;
    svg_.line(x(from), y(factor * std::pow(from, slope)), x(to), y(factor * std::pow(to, slope)),
              guide_style());
  }

  void curve(const GradcheckInput& input) {
    Svg::Points points;
    for (const CurvePoint& point : error_curve(input)) {
      if (!std::isnan(point.error)) points.emplace_back(x(point.step), y(point.error));
    }
    if (points.empty()) return;
    svg_.curve(points, input.name + ": " + name(input.verdict), curve_style(input.verdict));
  }

  void titles(const Checked& checked) {
    svg_.text(left_, top_ - 20, checked.check->name, "font-weight=\"bold\" font-size=\"13\"");
    const Verdict verdict = checked.report.verdict;
    svg_.text(
        right_, top_ - 20, name(verdict),
        "text-anchor=\"end\" font-weight=\"bold\" fill=\"" + std::string(color(verdict)) + '"');
    std::string inputs = verdict == Verdict::wrong ? "wrong: " : "";
    const std::size_t start = inputs.size();
    for (const GradcheckInput& input : checked.report.inputs) {
      if (verdict == Verdict::wrong && input.verdict != verdict) continue;
      inputs += (inputs.size() == start ? "" : ", ") + input.name;
    }
    const auto room = static_cast<std::size_t>((right_ - left_) / 6);
    if (inputs.size() > room) inputs = inputs.substr(0, room - 3) + "...";
    svg_.text(left_, top_ - 6, inputs, "font-size=\"11\" fill=\"#555555\"");
  }

  Svg& svg_;
  const Range& range_;
  double left_, right_, top_, bottom_;
};

/// The verdicts there are, and the lines.
void legend(Svg& svg, const std::vector<Checked>& all) {
  double x = outer + panel_left;
  const double y = 80;
  const auto sample = [&](const std::string& style, const std::string& words) {
    svg.line(x, y - 4, x + 30, y - 4, style);
    svg.text(x + 36, y, words);
    x += 36 + 7.5 * static_cast<double>(words.size()) + 26;
  };
  for (const Verdict verdict : {Verdict::correct, Verdict::zero, Verdict::kink,
                                Verdict::ill_conditioned, Verdict::vacuous, Verdict::wrong}) {
    const bool used = std::any_of(all.begin(), all.end(), [&](const Checked& each) {
      return std::any_of(each.report.inputs.begin(), each.report.inputs.end(),
                         [&](const GradcheckInput& input) { return input.verdict == verdict; });
    });
    if (used) sample(curve_style(verdict), name(verdict));
  }
  sample(guide_style(), "slopes 2 and -1");
  sample(explained_style(), "error that rounding explains in the check");
}

}  // namespace

void draw(const std::filesystem::path& path, const std::vector<Checked>& all) {
  const std::size_t columns = std::clamp<std::size_t>(all.size(), 1, 4);
  const std::size_t rows = (all.size() + columns - 1) / columns;
  const double panel_width = columns == 1 ? 720 : columns == 2 ? 440 : 290;
  const double panel_height = columns == 1 ? 400 : columns == 2 ? 320 : 250;
  const double width = 2 * outer + panel_width * static_cast<double>(columns);
  const double height = top + panel_height * static_cast<double>(rows) + outer;
  Svg svg(width, height);
  svg.text(outer + panel_left, 30, "Error of central differences over their step",
           "font-size=\"18\" font-weight=\"bold\"");
  svg.text(outer + panel_left, 52,
           "at the worst entry of each input: a valley if the gradient is right, a plateau if it "
           "is wrong",
           "fill=\"#555555\"");
  legend(svg, all);
  const Range range(all);
  for (std::size_t row = 0; row < rows; ++row) {
    const double middle = top + panel_height * static_cast<double>(row) +
                          (panel_top + panel_height - panel_bottom) / 2;
    svg.vertical_text(outer + 2, middle, "relative error",
                      "text-anchor=\"middle\" font-size=\"11\" fill=\"#333333\"");
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double x = outer + panel_width * static_cast<double>(i % columns);
    const double y = top + panel_height * static_cast<double>(i / columns);
    Panel(svg, range, x, y, panel_width, panel_height).draw(all[i]);
  }

  errno = 0;
  std::ofstream out(path, std::ios::binary);
  out << svg.finish() << std::flush;
  out.close();
  if (!out) throw xgrad::Error("cannot write " + path.string() + ": " + std::strerror(errno));
}

}  // namespace gradient_check
