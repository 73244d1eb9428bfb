#include <cmath>

#include <xgrad/core/error.hpp>
#include <xgrad/core/expression.hpp>
#include <xgrad/nn/embedding.hpp>
#include <xgrad/nn/linear.hpp>
#include <xgrad/nn/training/sequential_layers.hpp>
#include <xgrad/ops/normalize.hpp>
#include <xgrad/ops/pointwise.hpp>

namespace xgrad::nn {
namespace {

Index features(const Shape& sample) {
  if (sample.empty()) throw Error("the input must be (batch, ..., features)");
  return sample.back();
}

Var activate(const Var& x, Activation activation) {
  switch (activation) {
    case Activation::linear:
      break;
    case Activation::relu:
      return relu(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::tanh:
      return tanh(x);
    case Activation::gelu:
      return gelu(x);
    case Activation::softmax:
      return softmax(x);
  }
  return x;
}

}  // namespace

Var AnyModule::operator()(const Var& x) const {
  if (!call_) throw Error("module: it was moved from");
  return call_(x);
}

AnyModule Layer::make(const Shape& sample) const {
  if (!make_) throw Error("layer: it was moved from");
  return make_(sample);
}

namespace layers {

LSTM::LSTM(Index units, const SequenceOptions& options, const LSTMCellOptions& cell)
    : Recurrent("lstm", units, options, cell) {}

GRU::GRU(Index units, const SequenceOptions& options, const GRUCellOptions& cell)
    : Recurrent("gru", units, options, cell) {}

RNN::RNN(Index units, const SequenceOptions& options, const RNNCellOptions& cell)
    : Recurrent("rnn", units, options, cell) {}

Dense::Dense(Index units, Activation activation)
    : Layer("dense", [=, units = checked_size("dense", "units", units)](const Shape& sample) {
        const Linear linear(features(sample), units);
        return AnyModule(linear, [=](const Var& x) { return activate(linear(x), activation); });
      }) {}

Dropout::Dropout(double p)
    : Layer("dropout", [dropout = nn::Dropout(p)](const Shape&) {
        return AnyModule(nn::Dropout(dropout.p));  // with a mode of its own
      }) {}

LayerNorm::LayerNorm()
    : Layer("layer_norm",
            [](const Shape& sample) { return AnyModule(nn::LayerNorm(features(sample))); }) {}

Embedding::Embedding(Index vocabulary, Index width)
    : Layer("embedding", [vocabulary = checked_size("embedding", "vocabulary", vocabulary),
                          width = checked_size("embedding", "width", width)](const Shape&) {
        const nn::Embedding embedding(vocabulary, width);
        return AnyModule(embedding, [=](const Var& x) {
          return embedding(detail::to_indices("embedding", x.tensor()));
        });
      }) {}

Flatten::Flatten()
    : Layer("flatten", [](const Shape& sample) {
        return AnyModule([size = element_count(sample)](const Var& x) {
          return reshape(x, {x.shape()[0], size});
        });
      }) {}

}  // namespace layers

namespace detail {

Indices to_indices(const char* caller, const Tensor& numbers) {
  std::vector<std::int64_t> indices;
  for (const double number : numbers.to_vector()) {
    if (!(std::abs(number) <= 0x1p53 && number == std::floor(number))) {
      throw Error(std::string(caller) + ": " + std::to_string(number) + " is not a whole number");
    }
    indices.push_back(static_cast<std::int64_t>(number));
  }
  return Indices(numbers.shape(), indices);
}

}  // namespace detail
}  // namespace xgrad::nn
