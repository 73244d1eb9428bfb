#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <xgrad/core/gradcheck.hpp>

namespace gradient_check {

/// How large the cells are, and whatever else a check may be told.
struct Setup {
  xgrad::Index inputs = 3;
  xgrad::Index hidden = 5;
  xgrad::Index batch = 2;
  xgrad::Index steps = 4;  ///< of a sequence
  std::uint64_t seed = 0;  ///< of weights, inputs, and what the check draws
  bool fast = false;       ///< random projections instead of every entry
};

/// A cell, or a network of cells, whose gradients can be verified.
struct Check {
  std::string name;   ///< for the command line
  std::string title;  ///< for people
  std::function<xgrad::GradcheckReport(const Setup&)> run;
  bool faulty = false;  ///< deliberately: its gradients must turn out wrong
};

/// All that the program knows.
const std::vector<Check>& all_checks();

}  // namespace gradient_check
