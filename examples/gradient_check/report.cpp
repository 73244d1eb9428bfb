#include "report.hpp"

#include <algorithm>
#include <iomanip>
#include <ostream>
#include <sstream>

#include "error_curve.hpp"
#include "sparkline.hpp"

namespace gradient_check {
namespace {

using xgrad::GradcheckInput;

/// "▇▅▃▂▁▂▄▆  least 2.1e-11, at step 9.5e-07"
std::string picture(const GradcheckInput& input, const Terminal& terminal) {
  const std::vector<CurvePoint> curve = error_curve(input);
  const auto least =
      std::min_element(curve.begin(), curve.end(), [](const CurvePoint& a, const CurvePoint& b) {
        return a.error < b.error || (a.error == a.error && b.error != b.error);
      });
  std::ostringstream text;
  text << sparkline(curve, terminal.utf8) << std::setprecision(2) << "  least " << least->error
       << " at step " << least->step;
  return text.str();
}

}  // namespace

bool Checked::as_expected() const {
  return check->faulty ? report.verdict == xgrad::Verdict::wrong : static_cast<bool>(report);
}

void print_guide(std::ostream& out, const Terminal& terminal) {
  out << "Columns: the worst entry of each input, the tape's derivative there, the numeric one,\n"
         "their difference, how much of it rounding explains, the smallest relative error that\n"
         "would be detected in any entry, and the slope of the Taylor remainder over the step,\n"
         "which is 2 if the gradient is right, 1 if it is wrong.\n"
         "Pictures: the relative error of central differences at that entry, a character for\n"
         "each step, 1e-12 "
      << sparkline_levels(terminal.utf8)
      << " 1. A valley, rounding on its left and truncation on its\n"
         "right, if the gradient is right; a plateau, as high as the mistake, if it is wrong.\n\n";
}

void print(std::ostream& out, const Checked& checked, const Terminal& terminal) {
  std::ostringstream text;
  text << checked.check->name << ": " << checked.check->title << '\n' << checked.report;
  std::size_t width = 0;
  for (const GradcheckInput& input : checked.report.inputs) {
    width = std::max(width, input.name.size());
  }
  bool first = true;
  for (const GradcheckInput& input : checked.report.inputs) {
    if (input.sweep.empty()) continue;
    if (first) {
      text << "errors of central differences with steps from " << std::setprecision(1)
           << input.sweep.back().step << " (left) to " << input.sweep.front().step << " (right)\n";
      first = false;
    }
    text << "  " << std::left << std::setw(static_cast<int>(width)) << input.name << "  "
         << picture(input, terminal) << '\n';
  }
  out << with_colors(text.str(), terminal) << '\n';
}

void print_summary(std::ostream& out, const std::vector<Checked>& all, const Terminal& terminal) {
  std::ostringstream text;
  text << "verdicts\n";
  std::size_t width = 0;
  for (const Checked& each : all) width = std::max(width, each.check->name.size());
  for (const Checked& each : all) {
    text << "  " << std::left << std::setw(static_cast<int>(width)) << each.check->name << "  "
         << name(each.report.verdict);
    if (!each.as_expected()) {
      text << (each.check->faulty ? ", but should be WRONG" : ", but should be correct");
    } else if (each.check->faulty) {
      text << ", as it should be";
    }
    text << '\n';
  }
  out << with_colors(text.str(), terminal);
}

}  // namespace gradient_check
