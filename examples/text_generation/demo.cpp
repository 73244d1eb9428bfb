#include "demo.hpp"

#include <filesystem>

#include <xgrad/core/error.hpp>

#include "corpus.hpp"
#include "generate.hpp"

namespace text_generation {

Outcome demo(const DemoOptions& options, std::ostream& out, std::ostream& log) {
  const std::filesystem::path folder = XGRAD_SOURCE_DIR;
  TrainOptions training;
  training.program = options.program;
  training.corpus = find_sources(folder);
  if (training.corpus.empty()) throw xgrad::Error("there are no sources below " + folder.string());
  training.out = (std::filesystem::path(XGRAD_MODEL_DIR) / "text_generation.safetensors").string();
  training.length.minutes = 1.4;  // leaves room for a machine that slows down under way
  training.threads = default_threads();

  log << "A character-level LSTM learns from xgrad's own sources, " << training.corpus.size()
      << " files below " << folder.string() << ". This takes a minute and a half; --help shows\n"
      << "what else there is.\n";
  const Outcome outcome = train(training, out, log);
  if (outcome == Outcome::interrupted) return outcome;

  out << "\n--- 500 characters that it writes ---\n";
  GenerateOptions generation;
  generation.model = training.out;
  generation.sampling.temperature = 0.7;
  generate(generation, out);
  const std::string program = shell_word(options.program), model = shell_word(training.out);
  out << "---\n\nThe model is " << training.out << ". More text, and more training:\n  " << program
      << " generate " << model << " --prompt '#include <' --length 1000\n  " << program
      << " train --resume " << model << " --minutes 3\n"
      << "A text of yours:\n  " << program << " train --corpus FILE --out mine.safetensors"
      << std::endl;
  return outcome;
}

}  // namespace text_generation
