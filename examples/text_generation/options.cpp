#include "options.hpp"

#include <algorithm>
#include <limits>
#include <thread>

#include <CLI/CLI.hpp>

namespace text_generation {
namespace {

/// CLI::Range lets NaN pass.
template <class T>
CLI::Validator in_range(T smallest, T largest) {
  bool open = largest == std::numeric_limits<T>::max();
  if constexpr (std::is_floating_point_v<T>) open = largest >= T(1e38);
  const auto text = [](T number) { return CLI::detail::to_string(number); };
  const std::string rule =
      open ? "at least " + text(smallest) : "from " + text(smallest) + " to " + text(largest);
  return CLI::Validator(
      [=](std::string& input) {
        T value{};
        // lexical_cast takes -1 for the largest unsigned number.
        const bool good = (std::is_signed_v<T> || !input.starts_with('-')) &&
                          CLI::detail::lexical_cast(input, value) && value >= smallest &&
                          value <= largest;
        return good ? std::string() : "'" + input + "' must be a number " + rule;
      },
      "");
}

CLI::Validator at_least_one() {
  return in_range<std::int64_t>(1, std::numeric_limits<std::int64_t>::max());
}

void add_threads(CLI::App& command, int& threads) {
  threads = default_threads();
  command.add_option("--threads", threads, "Threads; the results do not depend on their number")
      ->check(in_range(1, 64))
      ->capture_default_str();
}

void add_train(CLI::App& app, TrainOptions& options) {
  CLI::App& command = *app.add_subcommand("train", "Train a model, or go on with its training");
  command
      .add_option("--corpus", options.corpus,
                  "UTF-8 text files, one or several; with --resume those of before if left out")
      ->type_name("FILE");
  command
      .add_option("--out", options.out,
                  "The model file [model.safetensors; with --resume that file]")
      ->type_name("MODEL");
  command.add_option("--resume", options.resume, "Go on with the training of this model")
      ->type_name("MODEL");
  auto* minutes =
      command
          .add_option("--minutes", options.length.minutes, "Train for so long, all included [3]")
          ->check(in_range(0.01, 1e6));
  auto* epochs =
      command.add_option("--epochs", options.length.epochs, "Read the text so many times")
          ->check(in_range<std::int64_t>(1, 1'000'000'000));
  auto* steps = command.add_option("--steps", options.length.steps, "Train for so many steps")
                    ->check(at_least_one());
  minutes->excludes(epochs)->excludes(steps);
  epochs->excludes(steps);
  command.add_option("--cell", options.settings.cell, "Kind of the layers")
      ->check(CLI::IsMember({"lstm", "gru", "rnn"}))
      ->capture_default_str();
  Settings::for_each_number(options.settings, [&](const std::string& name, auto& value,
                                                  auto smallest, auto largest, const char* help) {
    command.add_option("--" + name, value, help)
        ->check(in_range(smallest, largest))
        ->capture_default_str();
  });
  command.footer(
      "The other defaults suit a million characters and one minute on two cores. With more time\n"
      "a larger model with more dropout is better:\n"
      "  text_generation train --corpus FILE --minutes 1\n"
      "  text_generation train --corpus FILE --minutes 3 --hidden 320 --dropout 0.4");
  add_threads(command, options.threads);
  command.add_option("--save-seconds", options.save_seconds, "Save the model every so often")
      ->check(in_range(0.0, 1e9))
      ->capture_default_str();
  command.callback([&command, &options] {
    if (options.corpus.empty() && options.resume.empty()) {
      throw CLI::RequiredError("--corpus (or --resume)");
    }
    if (command.count("--cell") > 0) options.given.insert("cell");
    Settings::for_each_number(options.settings, [&](const std::string& name, const auto&...) {
      if (command.count("--" + name) > 0) options.given.insert(name);
    });
    if (options.out.empty()) {
      options.out = options.resume.empty() ? "model.safetensors" : options.resume;
    }
  });
}

void add_generate(CLI::App& app, GenerateOptions& options) {
  CLI::App& command = *app.add_subcommand("generate", "Write text as the model would go on");
  command.add_option("MODEL", options.model, "The model file")->required();
  command.add_option("--prompt", options.prompt, "The text to go on from");
  command.add_option("--length", options.length, "Characters to write after the prompt")
      ->check(in_range<std::int64_t>(0, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  command
      .add_option("--temperature", options.sampling.temperature,
                  "Below 1 likelier, above 1 more varied; 0: always the likeliest character")
      ->check(in_range(0.0, 1e38))
      ->capture_default_str();
  command.add_option("--top-k", options.sampling.top_k, "Only the K likeliest characters; 0: all")
      ->check(in_range(0, std::numeric_limits<int>::max()))
      ->capture_default_str();
  command
      .add_option("--top-p", options.sampling.top_p,
                  "Only the likeliest characters that together have probability P")
      ->check(in_range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--seed", options.seed, "The same seed gives the same text")
      ->check(in_range(std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max()))
      ->capture_default_str();
}

void add_evaluate(CLI::App& app, EvaluateOptions& options) {
  CLI::App& command = *app.add_subcommand("evaluate", "Measure how well the model predicts a text");
  command.add_option("MODEL", options.model, "The model file")->required();
  command.add_option("FILE", options.file, "A UTF-8 text file")->required();
  add_threads(command, options.threads);
}

}  // namespace

int default_threads() {
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 4U));
}

Command parse_options(int argc, char** argv) {
  CLI::App app(
      "A character-level language model. Without a command it shows what it does: in a minute and "
      "a half it learns from the project's own sources and writes something like them.",
      "text_generation");
  app.require_subcommand(0, 1);
  TrainOptions train;
  GenerateOptions generate;
  EvaluateOptions evaluate;
  train.program = argv[0];
  add_train(app, train);
  add_generate(app, generate);
  add_evaluate(app, evaluate);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return Exit{app.exit(error)};
  }
  if (app.got_subcommand("train")) return train;
  if (app.got_subcommand("generate")) return generate;
  if (app.got_subcommand("evaluate")) return evaluate;
  return DemoOptions{argv[0]};
}

}  // namespace text_generation
