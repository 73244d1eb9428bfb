#include <algorithm>
#include <array>
#include <typeinfo>

#include <xgrad/core/error.hpp>
#include <xgrad/core/scope.hpp>
#include <xgrad/core/tape.hpp>
#include <xgrad/nn/sequential.hpp>
#include <xgrad/nn/training/mode_scope.hpp>

namespace xgrad::nn {
namespace {

Shape with_batch(const Shape& sample) {
  Shape shape = sample;
  shape.insert(0, 1);
  return shape;
}

Shape without_batch(const Shape& shape) {
  if (shape.empty()) throw Error("the result must have a batch axis");
  Shape sample = shape;
  sample.erase(0);
  return sample;
}

/// "(N,12,50)"
std::string batch_text(const Shape& sample) {
  std::string text = "(N";
  for (const Index extent : sample) text.append(",").append(std::to_string(extent));
  return text + ")";
}

/// Throws the error that is being handled again, and says in which layer it arose; as it is if it
/// is of a derived class, which says more than its text, such as NonFiniteError.
[[noreturn]] void fail(const Error& error, const std::string& layer, const std::string& input) {
  if (typeid(error) != typeid(Error)) throw;
  throw Error("sequential: " + layer + " on an input of " + input + ": " + error.what());
}

}  // namespace

Sequential::Sequential(std::vector<Layer> layers) : layers_(std::move(layers)) {
  if (layers_.empty()) throw Error("sequential: there are no layers: give it at least one");
}

std::string Sequential::layer_name(std::size_t i) const {
  return layers_[i].kind() + "_" + std::to_string(i);
}

Sequential& Sequential::build(const Shape& sample, DType dtype) {
  if (built()) return *this;
  const NoTape no_tape;
  std::vector<AnyModule> modules;
  std::vector<Shape> outputs;
  Var x = Tensor::zeros(with_batch(sample), dtype);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Shape input = without_batch(x.shape());
    try {
      AnyModule module = layers_[i].make(input);
      module.to(dtype);
      {
        const ModeScope evaluation(module, false);  // the trial run draws no random numbers
        x = module(x);
      }
      outputs.push_back(without_batch(x.shape()));
      modules.push_back(std::move(module));
    } catch (const Error& error) {
      fail(error, layer_name(i), batch_text(input));
    }
  }
  Module before = *this;
  try {
    for (std::size_t i = 0; i < modules.size(); ++i) adopt(layer_name(i), modules[i]);
  } catch (...) {  // no memory: not built, rather than half built
    Module::operator=(std::move(before));
    throw;
  }
  modules_ = std::move(modules);
  outputs_ = std::move(outputs);
  if (!training()) eval();
  return *this;
}

void Sequential::unbuild() {
  if (!built()) return;
  disown();
  modules_.clear();
  outputs_.clear();
}

Var Sequential::operator()(const Var& x) {
  if (!built()) build(without_batch(x.shape()), x.dtype());
  return std::as_const(*this)(x);
}

Var Sequential::operator()(const Var& x) const {
  if (!built()) throw Error("sequential: the model is not built: call build(shape of a sample)");
  Var y = x;
  for (std::size_t i = 0; i < modules_.size(); ++i) {
    const Scope layer(layer_name(i));
    try {
      y = modules_[i](y);
    } catch (const Error& error) {
      fail(error, layer_name(i), to_string(y.shape()));
    }
  }
  return y;
}

std::string Sequential::summary() const {
  std::vector<std::array<std::string, 3>> rows{{"layer", "output", "parameters"}};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    rows.push_back({layer_name(i), built() ? batch_text(outputs_[i]) : "?",
                    built() ? std::to_string(modules_[i].parameter_count()) : "?"});
  }
  rows.push_back({"total", "", built() ? std::to_string(parameter_count()) : "not built yet"});
  std::array<std::size_t, 3> widths{};
  for (const auto& row : rows) {
    for (std::size_t k = 0; k < 3; ++k) widths[k] = std::max(widths[k], row[k].size());
  }
  std::string text;
  for (const auto& [layer, output, parameters] : rows) {
    text += layer + std::string(widths[0] - layer.size() + 2, ' ');
    text += output + std::string(widths[1] - output.size() + 2, ' ');
    text += std::string(widths[2] - parameters.size(), ' ') + parameters + '\n';
  }
  return text;
}

}  // namespace xgrad::nn
