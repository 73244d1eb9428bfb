#pragma once

#include <map>
#include <optional>
#include <string>

#include "quartiles.hpp"
#include "rows.hpp"

namespace peers {

struct Effort {
  int alternations = 11;
  int slow_alternations = 3;  ///< of rows that take seconds
  int attempts = 3;           ///< while the times spread by more than wanted_spread
  double slice = 0.1;         ///< seconds that each library computes in one alternation, at least
  bool is_quick = false;
};
inline constexpr double wanted_spread = 0.15;

struct Figures {
  Quartiles ms;
  std::optional<double> allocations;  ///< of a run
  std::optional<double> peak_mib;
};

struct Measured {
  Row row;
  std::map<std::string, Figures> of;  ///< by library
  std::optional<double> limit_ms;     ///< for row.flops at the highest rate of any product
  int attempts = 1;

  double ms(const std::string& library) const;  ///< NaN if it did not take part
  double spread() const;                        ///< the largest
};

/// Throws unless all libraries compute the same; then runs them in strict alternation.
Measured measure(const Row& row, const Effort& effort);

}  // namespace peers
