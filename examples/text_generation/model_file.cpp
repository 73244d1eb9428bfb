#include "model_file.hpp"

#include <charconv>
#include <string_view>
#include <utility>

#include <xgrad/core/error.hpp>
#include <xgrad/nn/files/safetensors.hpp>

#include "utf8.hpp"

namespace text_generation {

using xgrad::Error;
using xgrad::Tensor;

namespace {

constexpr const char* format_name = "xgrad text generation 1";
constexpr std::string_view model_prefix = "model.";
constexpr std::string_view optimizer_prefix = "training.optimizer.";
constexpr std::string_view best_prefix = "training.best.";
constexpr std::string_view state_prefix = "training.state.";

template <class T>
std::string to_text(T value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

/// Metadata, with errors that name the file.
class Metadata {
 public:
  Metadata(const std::map<std::string, std::string>& entries, std::string source)
      : entries_(entries), source_(std::move(source)) {}

  const std::string& text(const std::string& key) const {
    const auto found = entries_.find(key);
    if (found == entries_.end()) fail("there is no '" + key + "'");
    return found->second;
  }

  template <class T>
  T number(const std::string& key, T smallest) const {
    const std::string& digits = text(key);
    T value{};
    const char* end = digits.data() + digits.size();
    const auto [rest, error] = std::from_chars(digits.data(), end, value);
    if (error != std::errc() || rest != end || !(value >= smallest)) {
      fail("'" + key + "' is '" + digits + "'");
    }
    return value;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(source_ + ": damaged: " + what);
  }

 private:
  const std::map<std::string, std::string>& entries_;
  std::string source_;
};

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string join_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

void add(Tensors& to, std::string_view prefix, const Tensors& from) {
  for (const auto& [name, tensor] : from) to[std::string(prefix) + name] = tensor;
}

/// The tensors under a prefix, which is cut off.
Tensors under(std::string_view prefix, const Tensors& from) {
  Tensors result;
  for (const auto& [name, tensor] : from) {
    if (name.starts_with(prefix)) result[name.substr(prefix.size())] = tensor;
  }
  return result;
}

/// Compares what decides the size of the model with the tensors, before memory is taken for it.
void check_configuration(const ModelFile& file, const std::string& source) {
  const Settings& settings = file.settings;
  const auto head = file.model.find("head.W");
  const std::string last_layer =
      settings.cell + ".layer" + std::to_string(settings.layers - 1) + ".Wx";
  const xgrad::Shape shape{settings.hidden, std::ssize(file.vocabulary.characters())};
  if (head == file.model.end() || !(head->second.shape() == shape) ||
      !file.model.contains(last_layer)) {
    throw Error(source + ": damaged: the tensors do not fit the configuration");
  }
}

TrainingRecord read_training(const Metadata& metadata, const Tensors& tensors) {
  TrainingRecord training;
  training.corpus = split_lines(metadata.text("training.corpus"));
  training.fingerprint = metadata.number<std::uint64_t>("training.fingerprint", 0);
  training.plan = metadata.text("training.plan");
  training.steps = metadata.number<std::int64_t>("training.steps", 1);
  training.done = metadata.number<std::int64_t>("training.done", 0);
  training.validated = metadata.number<std::int64_t>("training.validated", 0);
  training.finished = metadata.number<int>("training.finished", 0) != 0;
  training.best_nats = metadata.number<double>("training.best_nats", 0);
  training.loss_sum = metadata.number<double>("training.loss_sum", 0);
  training.loss_weight = metadata.number<double>("training.loss_weight", 0);
  if (training.done > training.steps || training.validated > training.done) {
    metadata.fail("step " + std::to_string(training.done) + " of " +
                  std::to_string(training.steps) + ", validated after " +
                  std::to_string(training.validated));
  }
  training.generators = split_lines(metadata.text("training.generators"));
  training.optimizer = under(optimizer_prefix, tensors);
  training.best = under(best_prefix, tensors);
  const Tensors state = under(state_prefix, tensors);
  for (std::size_t i = 0; i < state.size(); ++i) {
    const auto member = state.find(std::to_string(i));
    if (member == state.end()) metadata.fail("there is no carried state " + std::to_string(i));
    training.state.push_back(member->second);
  }
  return training;
}

}  // namespace

ModelFile read_model(const std::filesystem::path& path, Part part) {
  const auto file =
      xgrad::nn::read_safetensors(path, part == Part::model ? model_prefix : std::string_view());
  const std::string source = path.string();
  const auto format = file.metadata.find("format");
  if (format == file.metadata.end() || format->second != format_name) {
    throw Error(source + ": a safetensors file, but not one of this program");
  }
  const Metadata metadata(file.metadata, source);
  ModelFile result{.settings = Settings::from_text(file.metadata, source),
                   .vocabulary = Vocabulary(decode_utf8(metadata.text("vocabulary"), source)),
                   .model = under(model_prefix, file.tensors),
                   .training = {}};
  check_configuration(result, source);
  if (part == Part::everything) result.training = read_training(metadata, file.tensors);
  return result;
}

void write_model(const std::filesystem::path& path, const ModelFile& file) {
  const TrainingRecord& training = file.training;
  xgrad::nn::SafetensorsFile out;
  out.metadata = file.settings.to_text();
  out.metadata["format"] = format_name;
  out.metadata["vocabulary"] = encode_utf8(file.vocabulary.characters());
  out.metadata["training.corpus"] = join_lines(training.corpus);
  out.metadata["training.fingerprint"] = to_text(training.fingerprint);
  out.metadata["training.plan"] = training.plan;
  out.metadata["training.steps"] = to_text(training.steps);
  out.metadata["training.done"] = to_text(training.done);
  out.metadata["training.validated"] = to_text(training.validated);
  out.metadata["training.finished"] = to_text(training.finished ? 1 : 0);
  out.metadata["training.best_nats"] = to_text(training.best_nats);
  out.metadata["training.loss_sum"] = to_text(training.loss_sum);
  out.metadata["training.loss_weight"] = to_text(training.loss_weight);
  out.metadata["training.generators"] = join_lines(training.generators);
  add(out.tensors, model_prefix, file.model);
  add(out.tensors, optimizer_prefix, training.optimizer);
  add(out.tensors, best_prefix, training.best);
  for (std::size_t i = 0; i < training.state.size(); ++i) {
    out.tensors[std::string(state_prefix) + std::to_string(i)] = training.state[i];
  }
  xgrad::nn::write_safetensors(path, out);
}

LanguageModel make_model(const ModelFile& file, const std::string& source) {
  LanguageModel model(file.vocabulary.size(), file.settings);
  assign_parameters(model, file.model, source);
  return model;
}

Tensors parameter_values(const LanguageModel& model) {
  Tensors values;
  for (const auto& [name, var] : model.named_parameters()) values[name] = var.tensor();
  return values;
}

void assign_parameters(const LanguageModel& model, const Tensors& values,
                       const std::string& source) {
  for (const auto& [name, var] : model.named_parameters()) {
    const auto found = values.find(name);
    if (found == values.end()) throw Error(source + ": damaged: there is no tensor " + name);
    const Tensor& value = found->second;
    if (!(value.shape() == var.shape()) || value.dtype() != var.dtype()) {
      throw Error(source + ": damaged: tensor " + name + " is " + to_string(value.shape()) +
                  ", the model's is " + to_string(var.shape()));
    }
    var.assign(value);
  }
  if (values.size() != model.named_parameters().size()) {
    throw Error(source + ": damaged: it has " + std::to_string(values.size()) +
                " tensors for the model's " + std::to_string(model.named_parameters().size()));
  }
}

}  // namespace text_generation
