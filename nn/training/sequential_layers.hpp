#pragma once

#include <functional>
#include <string>
#include <utility>

#include <xgrad/nn/dropout.hpp>
#include <xgrad/nn/gru.hpp>
#include <xgrad/nn/init.hpp>
#include <xgrad/nn/layer_norm.hpp>
#include <xgrad/nn/lstm.hpp>
#include <xgrad/nn/module.hpp>
#include <xgrad/nn/rnn.hpp>
#include <xgrad/ops/index.hpp>
#include <xgrad/ops/shape.hpp>

/// What `Sequential` is made of. All layers take and give arrays whose first axis is the batch;
/// sequences are (batch, steps, features).
namespace xgrad::nn {

/// A module of any type, or a function without parameters, behind one call.
class AnyModule : public Module {
 public:
  template <class F>
  requires std::convertible_to<std::invoke_result_t<F&, const Var&>, Var>
  explicit AnyModule(F f) : Module(parameters_of(f)), call_(std::move(f)) {}
  /// The parameters of `module`, the call of `call`.
  AnyModule(const Module& module, std::function<Var(const Var&)> call)
      : Module(module), call_(std::move(call)) {}

  Var operator()(const Var& x) const;

 private:
  static Module parameters_of(const auto& f) {
    if constexpr (std::is_base_of_v<Module, std::decay_t<decltype(f)>>) {
      return f;
    } else {
      return {};
    }
  }

  std::function<Var(const Var&)> call_;
};

/// A layer of `Sequential`: one of `nn::layers`, whose parameters are made when the shape of its
/// input is known; or any module or function that maps a Var to a Var.
class Layer {
 public:
  /// Makes the module for samples of this shape, without the batch axis.
  using Make = std::function<AnyModule(const Shape& sample)>;

  /// A module, whose parameters become the model's (a copy shares them), or a function, which has
  /// none: what it captures is not trained. In the summary it is called `kind`.
  template <class F>
  requires(!std::is_base_of_v<Layer, F> &&
           std::convertible_to<std::invoke_result_t<F&, const Var&>, Var>)
      Layer(F f, std::string kind = std::is_base_of_v<Module, F> ? "module" : "function")
      : Layer(std::move(kind), [f = std::move(f)](const Shape& sample) {
          if constexpr (requires(F & model) { model.build(sample); }) {  // a Sequential in another
            F built = f;
            built.build(sample);
            return AnyModule(std::move(built));
          } else {
            return AnyModule(f);
          }
        }) {}

  /// Of which `Sequential` names the parameters "kind_position", for example "lstm_0".
  Layer(std::string kind, Make make) : kind_(std::move(kind)), make_(std::move(make)) {}

  const std::string& kind() const { return kind_; }
  AnyModule make(const Shape& sample) const;

 private:
  std::string kind_;
  Make make_;
};

namespace detail {

/// The elements as indices. Throws, naming `caller`, if one is not a whole number.
Indices to_indices(const char* caller, const Tensor& numbers);

}  // namespace detail

enum class Activation : std::uint8_t { linear, relu, sigmoid, tanh, gelu, softmax };

namespace layers {

struct SequenceOptions {
  bool return_sequences = false;  ///< the outputs of all steps, not of the last alone
  bool bidirectional = false;     ///< both directions side by side: twice the units
  Index layers = 1;
  double dropout = 0;    ///< between layers
  bool reverse = false;  ///< the reverse direction alone; the last output is the first step's
};

/// `nn::Recurrent` of any cell, made as Cell(features, units, args...): (B,T,I) -> (B,units), or
/// (B,T,units) with `return_sequences`.
template <class Cell>
struct Recurrent : Layer {
  template <class... Args>
  explicit Recurrent(Index units, const SequenceOptions& options = {}, const Args&... args)
      : Recurrent("recurrent", units, options, args...) {}

 protected:
  template <class... Args>
  Recurrent(const char* kind, Index units, const SequenceOptions& options, const Args&... args)
      : Layer(kind, [=, units = checked_size(kind, "units", units)](const Shape& sample) {
          if (sample.size() != 2) throw Error("the input must be (batch, steps, features)");
          const nn::Recurrent<Cell> recurrent(sample[1], units,
                                              {.layers = options.layers,
                                               .bidirectional = options.bidirectional,
                                               .dropout = options.dropout,
                                               .reverse = options.reverse},
                                              args...);
          // Two recurrent layers in a row undo each other's transposition: nothing is copied.
          return AnyModule(recurrent, [=](const Var& x) {
            const auto [outputs, last] = recurrent(transpose(x, {1, 0, 2}));
            return options.return_sequences ? transpose(outputs, {1, 0, 2})
                                            : recurrent.final_output(last);
          });
        }) {}
};

struct LSTM : Recurrent<LSTMCell> {
  explicit LSTM(Index units, const SequenceOptions& options = {}, const LSTMCellOptions& cell = {});
};
struct GRU : Recurrent<GRUCell> {
  explicit GRU(Index units, const SequenceOptions& options = {}, const GRUCellOptions& cell = {});
};
struct RNN : Recurrent<RNNCell> {
  explicit RNN(Index units, const SequenceOptions& options = {}, const RNNCellOptions& cell = {});
};

/// activation(x.W + b) over the last axis: (B,...,I) -> (B,...,units).
struct Dense : Layer {
  explicit Dense(Index units, Activation activation = Activation::linear);
};

/// `nn::Dropout`.
struct Dropout : Layer {
  explicit Dropout(double p);
};

/// `nn::LayerNorm` over the last axis.
struct LayerNorm : Layer {
  LayerNorm();
};

/// `nn::Embedding` of whole numbers in [0, vocabulary): (B,...) -> (B,...,width).
struct Embedding : Layer {
  Embedding(Index vocabulary, Index width);
};

/// (B,...) -> (B,features): all axes but the first as one.
struct Flatten : Layer {
  Flatten();
};

}  // namespace layers

}  // namespace xgrad::nn
