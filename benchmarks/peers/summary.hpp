#pragma once

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "measure.hpp"

namespace peers {

/// The highest rate that any library reached in any product, in GF/s, by number of threads.
using GemmLimits = std::map<int, double>;
GemmLimits gemm_limits(const std::vector<Measured>& rows);

/// A figure that xgrad has set itself.
struct Goal {
  std::string what;
  double value;  ///< NaN if the run lacks what it takes
  double must;
  double aim;
  bool higher_is_better;
  std::string remark = {};

  bool is_measured() const { return value == value; }
  bool meets(double bound) const { return higher_is_better ? value >= bound : value <= bound; }
  const char* verdict() const;
};

std::vector<Goal> summarize(const std::vector<Measured>& rows);
void print(std::ostream& out, const std::vector<Goal>& goals);

}  // namespace peers
