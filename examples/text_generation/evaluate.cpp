#include "evaluate.hpp"

#include <xgrad/core/error.hpp>
#include <xgrad/core/threads.hpp>

#include "corpus.hpp"
#include "model_file.hpp"
#include "score.hpp"

namespace text_generation {

void evaluate(const EvaluateOptions& options, std::ostream& out) {
  xgrad::set_threads(options.threads);
  const ModelFile file = read_model(options.model, Part::model);
  LanguageModel model = make_model(file, options.model);
  const std::u32string text = read_corpus({options.file});
  if (text.size() < 2) throw xgrad::Error(options.file + ": it needs at least 2 characters");
  const auto indices = file.vocabulary.encode(text, options.file);
  out << "evaluation: " << score(model, indices).value().to_string() << std::endl;
}

}  // namespace text_generation
