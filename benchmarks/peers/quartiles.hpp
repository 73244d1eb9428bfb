#pragma once

#include <vector>

namespace peers {

struct Quartiles {
  double lower, median, upper;

  double spread() const { return (upper - lower) / median; }
};

/// Of at least one number; linear between neighbours.
Quartiles quartiles_of(std::vector<double> numbers);

}  // namespace peers
