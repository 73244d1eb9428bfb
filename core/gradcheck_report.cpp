#include <algorithm>
#include <cmath>
#include <iomanip>
#include <ostream>
#include <sstream>

#include <xgrad/core/gradcheck.hpp>

namespace xgrad {
namespace {

std::string number(double x, int digits) {
  std::ostringstream text;
  text << std::setprecision(digits) << x;
  return text.str();
}

/// "Wh (0,3): analytic 1.5, numeric 1.25, ..."
std::string describe(const GradcheckInput& input, bool fast) {
  const GradcheckEntry& worst = input.worst;
  std::string text = "gradient of '" + input.name + "' ";
  text += fast ? std::string("along a random direction") : "at " + to_string(worst.index);
  return text + ": analytic " + number(worst.analytic, 12) + ", numeric " +
         number(worst.numeric, 12) + ", difference " + number(worst.error(), 3) +
         ", explained by rounding " + number(worst.tolerance, 3);
}

}  // namespace

const char* name(Verdict verdict) {
  switch (verdict) {
    case Verdict::correct:
      return "correct";
    case Verdict::zero:
      return "zero, confirmed";
    case Verdict::kink:
      return "kink";
    case Verdict::ill_conditioned:
      return "ill-conditioned";
    case Verdict::vacuous:
      return "vacuous";
    case Verdict::wrong:
      return "WRONG";
    case Verdict::not_deterministic:
      return "not deterministic";
  }
  return "?";
}

std::ostream& operator<<(std::ostream& stream, const GradcheckReport& report) {
  std::ostringstream text;
  text << "gradcheck: " << name(report.verdict);
  if (!report.note.empty()) text << " (" << report.note << ')';
  text << ", " << report.entries << " entries "
       << (report.fast ? "covered by projections" : "checked one by one") << ", "
       << report.evaluations << " evaluations\n";
  text << "oracles: differences, Taylor remainder, "
       << (report.complex_step ? "complex step" : "no complex step");
  if (!report.complex_step_note.empty()) text << " (" << report.complex_step_note << ')';
  text << '\n';
  std::size_t width = 5;
  for (const GradcheckInput& input : report.inputs) width = std::max(width, input.name.size());
  text << std::left << "  " << std::setw(static_cast<int>(width)) << "input"
       << "  " << std::setw(12) << "shape" << std::setw(17) << "verdict" << std::setw(9)
       << "entries" << std::setw(11) << "difference" << std::setw(11) << "detects"
       << "Taylor slope\n";
  for (const GradcheckInput& input : report.inputs) {
    const double slope = input.taylor.slope;
    text << "  " << std::setw(static_cast<int>(width)) << input.name << "  " << std::setw(12)
         << to_string(input.shape) << std::setw(17) << name(input.verdict) << std::setw(9)
         << input.entries << std::setw(11) << number(input.worst.error(), 2) << std::setw(11)
         << number(input.detectable, 2);
    if (input.taylor.steps.empty()) {
      text << '-';
    } else if (std::isnan(slope)) {
      text << "linear";
    } else {
      text << number(slope, 3) << " over " << number(std::round(input.taylor.decades), 3)
           << " decades";
    }
    text << '\n';
  }
  for (const GradcheckInput& input : report.inputs) {
    if (!input.note.empty()) text << "  " << input.name << ": " << input.note << '\n';
    if (input.wrong + input.kinks + input.ill_conditioned == 0) continue;
    text << "  " << describe(input, report.fast) << '\n';
  }
  return stream << text.str();
}

}  // namespace xgrad
