#pragma once

#include <iosfwd>

#include "checks.hpp"
#include "terminal.hpp"

namespace gradient_check {

/// A check that has run.
struct Checked {
  const Check* check;
  xgrad::GradcheckReport report;

  /// Wrong if it is deliberately wrong, else verified.
  bool as_expected() const;
};

/// How to read what follows.
void print_guide(std::ostream& out, const Terminal& terminal);

/// The report for people: a table, what is wrong, and how the errors of central differences depend
/// on the step.
void print(std::ostream& out, const Checked& checked, const Terminal& terminal);

/// What all of them came to.
void print_summary(std::ostream& out, const std::vector<Checked>& all, const Terminal& terminal);

}  // namespace gradient_check
