#include <algorithm>
#include <cmath>
#include <iomanip>
#include <ostream>

#include <xgrad/core/gradcheck.hpp>
#include <xgrad/core/runtime/text_stream.hpp>

namespace xgrad {
namespace {

std::string number(double x, int digits) {
  detail::TextStream text;
  text << std::setprecision(digits) << x;
  return text.str();
}

/// The slope of the Taylor remainder, which is 2 if the gradient is right.
std::string slope(const TaylorRemainder& taylor) {
  if (taylor.steps.empty()) return "-";
  return std::isnan(taylor.slope) ? "linear" : number(taylor.slope, 3);
}

using Row = std::vector<std::string>;

/// The cells of a table below each other.
std::string aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows[0].size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += "  " + row[i];
      if (i + 1 < row.size()) text.append(widths[i] - row[i].size(), ' ');
    }
    text += '\n';
  }
  return text;
}

/// A line for each input, with its worst entry.
std::string table(const GradcheckReport& report) {
  std::vector<Row> rows{{"input", "shape", "verdict", "worst", "analytic", "numeric", "difference",
                         "rounding", "detects", "slope"}};
  for (const GradcheckInput& input : report.inputs) {
    rows.push_back({input.name, to_string(input.shape), name(input.verdict)});
    if (input.entries == 0) continue;
    const GradcheckEntry& worst = input.worst;
    for (const std::string& cell :
         {to_string(worst.index), number(worst.analytic, 5), number(worst.numeric, 5),
          number(worst.error(), 2), number(worst.tolerance, 2), number(input.detectable, 2),
          slope(input.taylor)}) {
      rows.back().push_back(cell);
    }
  }
  if (report.fast) {  // the worst is no entry
    for (Row& row : rows) {
      if (row.size() > 3) row.erase(row.begin() + 3);
    }
  }
  return aligned(rows);
}

/// "; wrong in 2 of 60 entries", "; wrong in 1 projection", or nothing.
std::string count(const char* what, Index some, const GradcheckInput& input, bool fast) {
  if (some == 0) return {};
  const std::string text = "; " + std::string(what) + " in " + std::to_string(some);
  if (fast) return text + (some == 1 ? " projection" : " projections");
  return text + " of " + std::to_string(input.entries) + " entries";
}

/// The worst entry of an input with digits enough to look for it, and how many there are like it.
std::string describe(const GradcheckInput& input, bool fast) {
  const GradcheckEntry& worst = input.worst;
  std::string text = "  gradient of '" + input.name + "' ";
  text += fast ? std::string("along a random direction") : "at " + to_string(worst.index);
  text += ": analytic " + number(worst.analytic, 12) + ", numeric " + number(worst.numeric, 12) +
          "\n    difference " + number(worst.error(), 3) + ", explained by rounding " +
          number(worst.tolerance, 3);
  text += count("wrong", input.wrong, input, fast);
  text += count("at a kink", input.kinks, input, fast);
  text += count("ill-conditioned", input.ill_conditioned, input, fast);
  return text + '\n';
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
  detail::TextStream text;
  text << "gradcheck: " << name(report.verdict);
  if (!report.note.empty()) text << " (" << report.note << ')';
  text << ", " << report.entries << " entries "
       << (report.fast ? "covered by projections" : "checked one by one") << ", "
       << report.evaluations << " evaluations\n";
  text << "oracles: differences, Taylor remainder, "
       << (report.complex_step ? "complex step" : "no complex step");
  if (!report.complex_step_note.empty()) text << " (" << report.complex_step_note << ')';
  text << '\n';
  text << table(report);
  for (const GradcheckInput& input : report.inputs) {
    if (!input.note.empty()) text << "  " << input.name << ": " << input.note << '\n';
    if (input.wrong + input.kinks + input.ill_conditioned > 0) text << describe(input, report.fast);
  }
  return stream << text.str();
}

}  // namespace xgrad
