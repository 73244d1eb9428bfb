// gradient_check: verifies the gradients of every cell, finds a wrong one, and draws the errors
#include <algorithm>
#include <exception>
#include <iostream>
#include <vector>

#include <xgrad/core/error.hpp>

#include "drawing.hpp"
#include "options.hpp"
#include "report.hpp"
#include "terminal.hpp"

using namespace gradient_check;

namespace {

/// The exit status.
int run(const Options& options) {
  const Terminal terminal = standard_output();
  print_guide(std::cout, terminal);
  std::vector<Checked> all;
  for (const Check* check : options.checks) {
    all.push_back({check, check->run(options.setup)});
    print(std::cout, all.back(), terminal);
    std::cout.flush();
  }
  print_summary(std::cout, all, terminal);
  if (!options.svg.empty()) {
    draw(options.svg, all);
    std::cout << "errors drawn: " << options.svg << '\n';
  }
  if (!std::cout.flush()) throw xgrad::Error("cannot write the output");
  return std::all_of(all.begin(), all.end(), [](const Checked& c) { return c.as_expected(); }) ? 0
                                                                                               : 1;
}

}  // namespace

int main(int argc, char** argv) {
  int status = 0;
  const auto options = parse_options(argc, argv, status);
  if (!options) return status;
  try {
    return run(*options);
  } catch (const std::exception& error) {
    std::cout.flush();
    std::cerr << "gradient_check: " << error.what() << '\n';
    return 1;
  }
}
