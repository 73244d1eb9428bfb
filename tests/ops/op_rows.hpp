// The rule that every op has a test: see op_rows_test.cpp.
#pragma once

#include <set>
#include <string>

namespace xgrad::testing {

/// Says that the tests beside it cover the function of that name; `operator+` for an operator.
///
///     const OpRow row("tanh");
class OpRow {
 public:
  explicit OpRow(const char* name) { names().insert(name); }

  static std::set<std::string>& names() {
    static std::set<std::string> all;
    return all;
  }
};

}  // namespace xgrad::testing
