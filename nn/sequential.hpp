#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include <xgrad/nn/training/sequential_layers.hpp>

namespace xgrad::nn {

/// Layers one after the other. Widths are named once: each layer takes its input's from the layer
/// below, the first one from the data.
///
///     nn::Sequential model({nn::layers::LSTM(50, {.return_sequences = true}),
///                           nn::layers::LSTM(20), nn::layers::Dense(1)});
///     nn::fit(model, x, y);                    // <xgrad/nn/fit.hpp>; x is (N, steps, features)
///
/// The parameters are made, and drawn from the default generator, when the shape of the data is
/// first known: by `build`, by `fit`, or by the first call. Until then the model has none, which
/// matters to `freeze`, `load`, copies, and to a module that has it as a child. Parameter names are
/// the layer's kind and position and the layer's own name, "lstm_0.layer0.Wx" and "dense_2.W". To
/// a FlightRecorder "lstm_0" and "dense_2" are scopes.
///
/// To take one time step after the other, load the model's file into a Module of the same layers:
/// `child("lstm_0", nn::LSTM(8, 50))`, `child("dense_1", nn::Linear(50, 1))`, with `LSTM::step`.
class Sequential : public Module {
 public:
  /// Throws if there are no layers.
  Sequential(std::initializer_list<Layer> layers) : Sequential(std::vector<Layer>(layers)) {}
  explicit Sequential(std::vector<Layer> layers);

  /// Makes the parameters, of that dtype, for samples of this shape, without the batch axis. Does
  /// nothing if it has been done. Throws, naming the layer, if one cannot take what the layer below
  /// gives.
  ///
  ///     nn::load("model.safetensors", model.build({12, 1}));
  Sequential& build(const Shape& sample, DType dtype = DType::float32);
  bool built() const { return !modules_.empty(); }
  /// Forgets the parameters, so that the model can be built for other data.
  void unbuild();

  /// The layers in turn; the first axis is the batch. Errors name the layer.
  Var operator()(const Var& x);
  /// The same; throws if the model is not built.
  Var operator()(const Var& x) const;

  /// A table of the layers, the shapes of their outputs and the numbers of their parameters.
  std::string summary() const;

 private:
  std::string layer_name(std::size_t i) const;

  std::vector<Layer> layers_;
  std::vector<AnyModule> modules_;
  std::vector<Shape> outputs_;  ///< without the batch axis
};

}  // namespace xgrad::nn
