#include "options.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

namespace gradient_check {
namespace {

constexpr int usage_status = 2;

/// lexical_cast takes -1 for the largest unsigned number.
CLI::Validator not_negative() {
  return CLI::Validator(
      [](std::string& input) {
        std::uint64_t value = 0;
        const bool good = !input.starts_with('-') && CLI::detail::lexical_cast(input, value);
        return good ? std::string() : "'" + input + "' must be a number that is not negative";
      },
      "");
}

}  // namespace

std::optional<Options> parse_options(int argc, char** argv, int& status) {
  Options options;
  std::vector<std::string> names, chosen;
  for (const Check& check : all_checks()) names.push_back(check.name);

  CLI::App app(
      "Verifies the gradients of the cells that come with xgrad, of a cell written in the "
      "example,\n"
      "and of one that is deliberately wrong; reports what it finds and draws the errors of\n"
      "central differences over their step.",
      "gradient_check");
  app.add_option("--cell", chosen, "Check only these; can be repeated [all]")
      ->check(CLI::IsMember(names))
      ->type_name("NAME");
  app.add_option("--seed", options.setup.seed, "Of weights, inputs and all that is random")
      ->check(not_negative())
      ->capture_default_str();
  app.add_flag("--fast", options.setup.fast,
               "Random projections of every gradient in place of every entry");
  const auto size = CLI::Range(xgrad::Index{1}, xgrad::Index{4096});
  app.add_option("--hidden", options.setup.hidden, "Units of a cell")
      ->check(size)
      ->capture_default_str();
  app.add_option("--inputs", options.setup.inputs, "Features of the input")
      ->check(size)
      ->capture_default_str();
  app.add_option("--batch", options.setup.batch, "Sequences side by side")
      ->check(size)
      ->capture_default_str();
  app.add_option("--steps", options.setup.steps, "Time steps of lstm-sequence")
      ->check(size)
      ->capture_default_str();
  auto* svg = app.add_option("--svg", options.svg, "Where to draw the errors")
                  ->type_name("FILE")
                  ->capture_default_str();
  bool no_svg = false;
  app.add_flag("--no-svg", no_svg, "Do not draw")->excludes(svg);
  app.footer(
      "Exit status: 0 if the cell that is deliberately wrong, and no other, was found wrong and\n"
      "all others were verified; 1 if not, or if a file cannot be written; 2 for a wrong\n"
      "command line.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    status = app.exit(error) == 0 ? 0 : usage_status;
    return std::nullopt;
  }
  if (no_svg) options.svg.clear();
  for (const Check& check : all_checks()) {
    const bool wanted = chosen.empty() || std::count(chosen.begin(), chosen.end(), check.name) > 0;
    if (wanted) options.checks.push_back(&check);
  }
  return options;
}

}  // namespace gradient_check
