#include "generate.hpp"

#include <xgrad/core/tape.hpp>

#include "model_file.hpp"
#include "utf8.hpp"

namespace text_generation {

void generate(const GenerateOptions& options, std::ostream& out) {
  const ModelFile file = read_model(options.model, Part::model);
  LanguageModel model = make_model(file, options.model);
  model.eval();
  const Vocabulary& vocabulary = file.vocabulary;
  const std::u32string prompt = decode_utf8(options.prompt, "--prompt");
  std::vector<std::int64_t> next = vocabulary.encode(prompt, "--prompt");
  out << options.prompt << std::flush;
  if (next.empty()) {
    next = vocabulary.contains(U'\n') ? vocabulary.encode(U"\n", "the start") : std::vector{0L};
  }

  const xgrad::NoTape guard;
  xgrad::Generator generator(options.seed);
  LanguageModel::State state;
  const auto classes = static_cast<xgrad::Index>(vocabulary.size());
  for (std::int64_t i = 0; i < options.length; ++i) {
    const xgrad::Index steps = std::ssize(next);
    const xgrad::Var logits = model(xgrad::Indices({steps, 1}, next), state);
    const float* last = logits.tensor().data<float>() + (steps - 1) * classes;
    const std::size_t index = sample({last, vocabulary.size()}, options.sampling, generator);
    out << encode_utf8(vocabulary.character(index)) << std::flush;
    next = {static_cast<std::int64_t>(index)};
  }
  out << std::endl;
}

}  // namespace text_generation
