#include <xgrad/core/arithmetic.hpp>
#include <xgrad/nn/embedding.hpp>
#include <xgrad/nn/layer_norm.hpp>
#include <xgrad/nn/linear.hpp>
#include <xgrad/nn/sequential.hpp>

#include "verify/module_row.hpp"

namespace xgrad::testing {
namespace {

/// A module called with one input of that shape.
template <class M>
ModuleRow row(const std::string& name, const std::string& what, std::function<M()> make,
              const Shape& shape, std::map<std::string, Verdict> expected = {}) {
  const auto make_case = [=](std::uint64_t seed) {
    xgrad::seed(seed);
    const auto module = std::make_shared<M>(make());
    const auto f = [module](const std::vector<Var>& in) {
      return detail::Results{(*module)(in[0])};
    };
    return ModuleCase{module, f, {{"x", drawn(shape)}}};
  };
  return {name, what, make_case, std::move(expected)};
}

ModuleRow sequential(const std::string& layer, const std::string& what,
                     std::vector<nn::Layer> layers, const Shape& shape,
                     std::map<std::string, Verdict> expected = {}) {
  return row<nn::Sequential>(
      layer, what,
      [=] {
        nn::Sequential model(layers);
        model.build(Shape(shape.begin() + 1, shape.end()));
        return model;
      },
      shape, std::move(expected));
}

}  // namespace

ModuleRows layer_rows() {
  ModuleRows rows;
  const auto vacuous = Verdict::vacuous;
  using nn::Linear;
  const auto linear = [] { return Linear(3, 2); };
  rows.push_back(row<Linear>("Linear", "(4,3)", linear, {4, 3}));
  rows.push_back(row<Linear>("Linear", "one row", linear, {1, 3}));
  rows.push_back(row<Linear>("Linear", "a vector", linear, {3}));
  rows.push_back(row<Linear>("Linear", "a sequence", linear, {2, 4, 3}));
  rows.push_back(row<Linear>("Linear", "one by one", [] { return Linear(1, 1); }, {1, 1}));
  rows.push_back(row<Linear>("Linear", "no rows", linear, {0, 3},
                             {{"x", vacuous}, {"W", vacuous}, {"b", vacuous}}));
  rows.push_back(
      row<Linear>("Linear", "without bias", [] { return Linear(3, 2, {.bias = false}); }, {4, 3}));
  rows.push_back(row<nn::LayerNorm>("LayerNorm", "(3,5)", [] { return nn::LayerNorm(5); }, {3, 5}));
  rows.push_back(row<nn::LayerNorm>("LayerNorm", "a vector", [] { return nn::LayerNorm(5); }, {5}));
  rows.push_back(row<nn::LayerNorm>("LayerNorm", "rows of one", [] { return nn::LayerNorm(1); },
                                    {3, 1}, {{"x", Verdict::zero}, {"weight", Verdict::zero}}));
  rows.push_back(row<nn::Dropout>("Dropout", "training", [] { return nn::Dropout(0.3); }, {4, 5}));
  rows.push_back(row<nn::Dropout>("Dropout", "evaluation",
                                  [] {
                                    nn::Dropout dropout(0.3);
                                    dropout.eval();
                                    return dropout;
                                  },
                                  {4, 5}));
  rows.push_back(row<nn::AnyModule>("AnyModule", "a module",
                                    [] { return nn::AnyModule(Linear(3, 2)); }, {4, 3}));
  rows.push_back({"Embedding", "a batch of sentences", [](std::uint64_t seed) {
                    xgrad::seed(seed);
                    const auto module = std::make_shared<nn::Embedding>(5, 3);
                    return ModuleCase{module,
                                      [module](const std::vector<Var>&) {
                                        const Indices words({2, 4}, {0, 1, 4, 1, 2, 1, 3, 0});
                                        return detail::Results{(*module)(words)};
                                      },
                                      {}};
                  }});
  return rows;
}

ModuleRows sequential_rows() {
  ModuleRows rows;
  namespace layers = nn::layers;
  using nn::Activation;
  for (const auto& [activation, name] : {std::pair{Activation::linear, "linear"},
                                         {Activation::sigmoid, "sigmoid"},
                                         {Activation::tanh, "tanh"},
                                         {Activation::gelu, "gelu"},
                                         {Activation::softmax, "softmax"}}) {
    rows.push_back(sequential("layers::Dense", name, {layers::Dense(3, activation)}, {4, 2}));
  }
  rows.push_back(sequential("layers::Dense", "relu, and linear",
                            {layers::Dense(6, Activation::relu), layers::Dense(2)}, {5, 3}));
  rows.push_back(
      sequential("layers::LSTM", "the last of a sequence", {layers::LSTM(3)}, {2, 4, 2}));
  rows.push_back(
      sequential("layers::LSTM", "sequence to sequence, two layers, both ways",
                 {layers::LSTM(2, {.return_sequences = true, .bidirectional = true, .layers = 2})},
                 {2, 3, 2}));
  rows.push_back(sequential("layers::GRU", "two in a row",
                            {layers::GRU(3, {.return_sequences = true}), layers::GRU(2)},
                            {2, 3, 2}));
  rows.push_back(sequential("layers::RNN", "one of a batch of one, one step", {layers::RNN(3)},
                            {1, 1, 2}, {{"rnn_0.layer0.Wh", Verdict::zero}}));
  rows.push_back(sequential("layers::Recurrent", "of any cell",
                            {layers::Recurrent<nn::GRUCell>(3, {.bidirectional = true})},
                            {2, 3, 2}));
  rows.push_back(sequential("layers::Dropout", "beside others",
                            {layers::Dense(4), layers::Dropout(0.4), layers::Dense(2)}, {5, 3}));
  rows.push_back(sequential("layers::LayerNorm", "beside others",
                            {layers::Dense(4), layers::LayerNorm(), layers::Dense(2)}, {3, 3}));
  rows.push_back(sequential("layers::Flatten", "beside others",
                            {layers::Flatten(), layers::Dense(2, Activation::tanh)}, {3, 2, 2}));
  rows.push_back(
      sequential("Sequential", "a Sequential in another, and a function",
                 {nn::Sequential({layers::Dense(3, Activation::tanh)}),
                  nn::Layer([](const Var& x) -> Var { return x * x; }), layers::Dense(1)},
                 {4, 2}));
  // The words are whole numbers, hence no input to check.
  rows.push_back({"layers::Embedding", "sentences", [](std::uint64_t seed) {
                    xgrad::seed(seed);
                    auto model = std::make_shared<nn::Sequential>(std::vector<nn::Layer>{
                        layers::Embedding(5, 3), layers::GRU(3), layers::Dense(2)});
                    model->build({4});
                    return ModuleCase{model,
                                      [model](const std::vector<Var>& in) {
                                        return detail::Results{(*model)(in[0])};
                                      },
                                      {{"x", Tensor({2, 4}, {0, 1, 4, 2, 3, 1, 1, 0}), true}}};
                  }});
  return rows;
}

}  // namespace xgrad::testing
