// text_generation: a character LSTM learns to write like a text (train, generate, evaluate)
#include <exception>
#include <iostream>
#include <type_traits>
#include <variant>

#include "demo.hpp"
#include "evaluate.hpp"
#include "generate.hpp"
#include "interrupt.hpp"
#include "options.hpp"
#include "train.hpp"

using namespace text_generation;

namespace {

/// As a shell reports a signal: 130 for Ctrl-C, 143 for SIGTERM.
int status(Outcome outcome) {
  return outcome == Outcome::finished ? 0 : 128 + interrupting_signal();
}

int run(const DemoOptions& options) { return status(demo(options, std::cout, std::cerr)); }
int run(const TrainOptions& options) { return status(train(options, std::cout, std::cerr)); }
int run(const GenerateOptions& options) { return generate(options, std::cout), 0; }
int run(const EvaluateOptions& options) { return evaluate(options, std::cout), 0; }
int run(const Exit& exit) { return exit.code; }

}  // namespace

int main(int argc, char** argv) {
  const Command command = parse_options(argc, argv);
  try {
    const int result = std::visit([](const auto& options) { return run(options); }, command);
    if (!std::cout.flush()) throw std::runtime_error("cannot write the output");
    return result;
  } catch (const std::exception& error) {
    std::cerr << "text_generation: " << error.what() << std::endl;
    return 1;
  }
}
