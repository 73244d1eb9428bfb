// Every module against PyTorch: outputs and every gradient, for all its options, in float64, from
// modules.json. A module, an option or an enumerator without a case fails the tests.

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "reference/declarations.hpp"
#include "reference/reference.hpp"
#include "rounding.hpp"

namespace xgrad {
namespace {

using nlohmann::json;
namespace layers = nn::layers;

// ------------------------------------------------------------------ cells, as users write them

/// Gers and Schmidhuber 2000: i and f also see the old cell state, o the new one.
struct PeepholeCell : nn::Module {
  PeepholeCell(Index input, Index hidden)
      : Wx(param("Wx", nn::per_gate(nn::glorot(), 4, input, hidden))),
        Wh(param("Wh", nn::per_gate(nn::orthogonal(), 4, hidden, hidden))),
        b(param("b", Tensor::zeros({4 * hidden}))),
        p(param("p", Tensor::zeros({3, hidden}))) {}
  struct State {
    Var h, c;
  };
  State zero_state(Index batch) const {
    const Var zeros = Tensor::zeros({batch, Wh.shape()[0]}, dtype());
    return {zeros, zeros};
  }
  Var project(const Var& x) const { return affine(x, Wx, b); }
  State step(const Var& z, const State& s) const {
    const auto [i, f, g, o] = split<4>(z + matmul(s.h, Wh));
    Var c = sigmoid(f + p[1] * s.c) * s.c + sigmoid(i + p[0] * s.c) * tanh(g);
    Var h = sigmoid(o + p[2] * c) * tanh(c);
    return {h, c};
  }
  Var Wx, Wh, b, p;
};

/// Ba et al. 2016, eq. 20 to 22; without `project`.
struct LayerNormLSTMCell : nn::Module {
  LayerNormLSTMCell(Index input, Index hidden)
      : Wx(param("Wx", nn::per_gate(nn::glorot(), 4, input, hidden))),
        Wh(param("Wh", nn::per_gate(nn::orthogonal(), 4, hidden, hidden))),
        b(param("b", Tensor::zeros({4 * hidden}))),
        norm_x(child("norm_x", nn::LayerNorm(4 * hidden))),
        norm_h(child("norm_h", nn::LayerNorm(4 * hidden))),
        norm_c(child("norm_c", nn::LayerNorm(hidden))) {}
  struct State {
    Var h, c;
  };
  State zero_state(Index batch) const {
    const Var zeros = Tensor::zeros({batch, Wh.shape()[0]}, dtype());
    return {zeros, zeros};
  }
  State step(const Var& x, const State& s) const {
    const auto [i, f, g, o] = split<4>(norm_x(matmul(x, Wx)) + norm_h(matmul(s.h, Wh)) + b);
    Var c = sigmoid(f) * s.c + sigmoid(i) * tanh(g);
    Var h = sigmoid(o) * tanh(norm_c(c));
    return {h, c};
  }
  Var Wx, Wh, b;
  nn::LayerNorm norm_x, norm_h, norm_c;
};

// ------------------------------------------------------------------ what a case runs

using Vars = std::map<std::string, Var>;

/// The module of a case, and the outputs of its inputs by name.
struct Subject {
  nn::Module module;
  std::function<Vars(const Vars& inputs)> run;
};

template <class M>
Subject single_output(const M& module) {
  return {module, [=](const Vars& inputs) { return Vars{{"y", module(inputs.at("x"))}}; }};
}

/// The options of a case, or of a layer, as the structs have them.
nn::RecurrentOptions recurrent_options(const json& options) {
  return {.layers = options.at("layers"),
          .bidirectional = options.at("bidirectional"),
          .dropout = options.at("dropout"),
          .reverse = options.at("reverse")};
}
layers::SequenceOptions sequence_options(const json& options) {
  layers::SequenceOptions result;
  result.return_sequences = options.value("return_sequences", result.return_sequences);
  result.bidirectional = options.value("bidirectional", result.bidirectional);
  result.layers = options.value("layers", result.layers);
  result.dropout = options.value("dropout", result.dropout);
  result.reverse = options.value("reverse", result.reverse);
  return result;
}
nn::GRUCellOptions gru_options(const json& options) {
  return {.reset_after = options.at("reset_after")};
}
nn::RNNCellOptions rnn_options(const json& options) {
  const std::string name = options.value("nonlinearity", "tanh");
  if (name == "tanh") return {};
  if (name == "relu") return {.nonlinearity = nn::Nonlinearity::relu};
  throw std::runtime_error("unknown nonlinearity " + name);
}
nn::Activation activation(const json& options) {
  static const std::map<std::string, nn::Activation> names{
      {"linear", nn::Activation::linear},   {"relu", nn::Activation::relu},
      {"sigmoid", nn::Activation::sigmoid}, {"tanh", nn::Activation::tanh},
      {"gelu", nn::Activation::gelu},       {"softmax", nn::Activation::softmax}};
  return names.at(options.at("activation"));
}

const char* const state_names[] = {"h", "c"};

template <class Cell>
Subject single_step(const Cell& cell) {
  return {cell, [=](const Vars& inputs) {
            const Var& x = inputs.at("x");
            typename Cell::State before = cell.zero_state(x.shape()[0]);
            const auto parts = nn::members(before);
            for (std::size_t k = 0; k < parts.size(); ++k) {
              const auto given = inputs.find(std::string(state_names[k]) + "_0");
              if (given != inputs.end()) *parts[k] = given->second;
            }
            typename Cell::State after = nn::single_step(cell, x, before);
            Vars outputs;
            for (std::size_t k = 0; k < parts.size(); ++k) {
              outputs[std::string(state_names[k]) + "_1"] = *nn::members(after)[k];
            }
            return outputs;
          }};
}

template <class Cell>
Subject sequence(const nn::Recurrent<Cell>& net, const json& options) {
  const auto lengths = options.value("lengths", std::vector<Index>());
  return {net, [=](const Vars& inputs) {
            const Var& x = inputs.at("x");
            auto initial = net.zero_state(x.shape()[1]);
            const std::size_t parts = nn::members(initial[0]).size();
            bool given = false;
            for (std::size_t k = 0; k < parts; ++k) {
              const auto state = inputs.find(std::string(state_names[k]) + "_0");
              if (state == inputs.end()) continue;
              given = true;
              for (std::size_t i = 0; i < initial.size(); ++i) {
                *nn::members(initial[i])[k] = state->second[static_cast<Index>(i)];
              }
            }
            if (!given) initial.clear();  // the default
            auto [outputs, last] = net(x, initial, lengths);
            Vars result{{"output", outputs}};
            for (std::size_t k = 0; k < parts; ++k) {
              std::vector<Var> rows;
              for (auto& state : last) rows.push_back(*nn::members(state)[k]);
              result[std::string(state_names[k]) + "_n"] = stack(rows);
            }
            return result;
          }};
}

/// Of many draws, each element's first that keeps it: with p < 1 all are kept, x / (1 - p) each.
/// That the others are 0, and about as many as there should be, is checked here.
Subject kept_by_dropout(double p) {
  const nn::Dropout dropout(p);
  return {dropout, [=](const Vars& inputs) {
            seed(1);
            const int draws = 512;
            const Var& x = inputs.at("x");
            Var y = Tensor::zeros(x.shape(), x.dtype());
            double kept = 0;
            for (int draw = 0; draw < draws; ++draw) {
              const Var drawn = dropout(x);
              const std::vector<double> values = drawn.tensor().to_vector();
              std::vector<double> fresh = y.tensor().to_vector();
              for (std::size_t i = 0; i < values.size(); ++i) {
                EXPECT_TRUE(values[i] == 0 || fresh[i] == 0 || values[i] == fresh[i]);
                if (values[i] != 0) ++kept;
                fresh[i] = values[i] != 0 && fresh[i] == 0 ? 1 : 0;
              }
              y = where(Var(Tensor(x.shape(), fresh).to(x.dtype())), drawn, y);
            }
            const double n = draws * static_cast<double>(x.size());
            // Five standard deviations.
            EXPECT_NEAR(kept / n, 1 - p, 5 * std::sqrt(p * (1 - p) / n));
            return Vars{{"y", y}};
          }};
}

std::vector<nn::Layer> layers_of(const json& stack);

nn::Layer layer_of(const json& options) {
  const std::string name = options.at("layer");
  if (name == "Dense") return layers::Dense(options.at("units"), activation(options));
  if (name == "Dropout") return layers::Dropout(options.at("p"));
  if (name == "LayerNorm") return layers::LayerNorm();
  if (name == "Embedding") return layers::Embedding(options.at("vocabulary"), options.at("width"));
  if (name == "Flatten") return layers::Flatten();
  if (name == "Sequential") return nn::Sequential(layers_of(options.at("stack")));
  if (name == "Linear") return nn::Linear(4, options.at("units"));
  if (name == "function" && options.at("activation") == "gelu") {
    return nn::Layer([](const Var& x) { return gelu(x); });
  }
  const layers::SequenceOptions sequence = sequence_options(options);
  const Index units = options.at("units");
  if (name == "LSTM") return layers::LSTM(units, sequence);
  if (name == "GRU") return layers::GRU(units, sequence, gru_options(options));
  if (name == "RNN") return layers::RNN(units, sequence, rnn_options(options));
  if (name == "Recurrent" && options.at("cell") == "PeepholeCell") {
    return layers::Recurrent<PeepholeCell>(units, sequence);
  }
  throw std::runtime_error("unknown layer " + options.dump());
}

std::vector<nn::Layer> layers_of(const json& stack) {
  std::vector<nn::Layer> result;
  for (const json& options : stack) result.push_back(layer_of(options));
  return result;
}

Subject recurrent_subject(const json& options, Index features) {
  const nn::RecurrentOptions shape = recurrent_options(options);
  const Index hidden = options.at("hidden");
  const std::string module = options.at("module");
  const std::string cell = options.at("cell");
  if (module == "LSTM") return sequence(nn::LSTM(features, hidden, shape), options);
  if (module == "GRU") {
    return sequence(nn::GRU(features, hidden, shape, gru_options(options)), options);
  }
  if (module == "RNN") {
    return sequence(nn::RNN(features, hidden, shape, rnn_options(options)), options);
  }
  if (cell == "PeepholeCell") {
    return sequence(nn::Recurrent<PeepholeCell>(features, hidden, shape), options);
  }
  if (cell == "LayerNormLSTMCell") {
    return sequence(nn::Recurrent<LayerNormLSTMCell>(features, hidden, shape), options);
  }
  throw std::runtime_error("unknown cell " + cell);
}

Subject subject(const json& options, const json& inputs) {
  const std::string module = options.at("module");
  if (module == "Embedding") {
    const nn::Embedding embedding(options.at("vocabulary"), options.at("width"));
    return {embedding, [=](const Vars& vars) {
              const Tensor& index = vars.at("index").tensor();
              return Vars{{"y", embedding(nn::detail::to_indices("index", index))}};
            }};
  }
  const auto extents = inputs.at("x").at("shape").get<std::vector<Index>>();
  const Shape shape(extents.begin(), extents.end());
  const Index features = shape.back();
  if (module == "Linear") {
    return single_output(nn::Linear(features, options.at("units"), {.bias = options.at("bias")}));
  }
  if (module == "LayerNorm") return single_output(nn::LayerNorm(features, options.at("eps")));
  if (module == "Dropout") {
    const double p = options.at("p");
    if (options.at("training") && p > 0) return kept_by_dropout(p);
    return single_output(nn::Dropout(p));
  }
  if (module == "AnyModule" && options.at("of") == "Linear") {
    return single_output(nn::AnyModule(nn::Linear(features, options.at("units"))));
  }
  if (module == "AnyModule" && options.at("of") == "tanh") {
    return single_output(nn::AnyModule([](const Var& x) { return tanh(x); }));
  }
  if (module == "Sequential") {
    nn::Sequential model(layers_of(options.at("stack")));
    model.build(Shape(shape.begin() + 1, shape.end()), DType::float64);
    return {model, [model = std::as_const(model)](const Vars& vars) {
              return Vars{{"y", model(vars.at("x"))}};
            }};
  }
  if (options.contains("cell")) return recurrent_subject(options, features);
  const Index hidden = options.at("hidden");
  if (module == "LSTMCell") return single_step(nn::LSTMCell(features, hidden));
  if (module == "GRUCell") return single_step(nn::GRUCell(features, hidden, gru_options(options)));
  if (module == "RNNCell") return single_step(nn::RNNCell(features, hidden, rnn_options(options)));
  if (module == "PeepholeCell") return single_step(PeepholeCell(features, hidden));
  if (module == "LayerNormLSTMCell") return single_step(LayerNormLSTMCell(features, hidden));
  throw std::runtime_error("unknown module " + module);
}

// ------------------------------------------------------------------ comparison

Tensor tensor(const json& data, DType dtype) {
  const testing::Array array = testing::array(data);
  return Tensor(Shape(array.shape.begin(), array.shape.end()), array.data).to(dtype);
}

/// Elements are compared relative to their own size or, where cancellation makes them small, to
/// that of the largest element, if that is less than 1, or 1; or to the case's magnitude.
void expect_near(const Tensor& actual, const json& data, double tolerance, double least) {
  const Tensor expected = tensor(data, DType::float64);
  ASSERT_EQ(to_string(actual.shape()), to_string(expected.shape()));
  const std::vector<double> a = actual.to_vector();
  const std::vector<double> e = expected.to_vector();
  double magnitude = 0;
  for (const double x : e) magnitude = std::max(magnitude, std::abs(x));
  magnitude = std::max(std::min(magnitude, 1.0), least);
  for (std::size_t i = 0; i < a.size(); ++i) {
    // Not EXPECT_GT: a NaN must fail.
    ASSERT_TRUE(std::abs(a[i] - e[i]) <= tolerance * std::max(magnitude, std::abs(e[i])))
        << "element " << i << " is " << a[i] << ", not " << e[i];
  }
}

/// Each step of each layer is a product of no more terms than the longest axis has elements.
double tolerance_of(const json& data, DType dtype) {
  const json& options = data.at("options");
  const json& inputs = data.at("inputs");
  Index longest = 0;
  for (const auto& [name, value] : inputs.items()) {
    const Tensor input = tensor(value, dtype);
    for (const Index extent : input.shape()) longest = std::max(longest, extent);
  }
  double layers = options.value("layers", 1.0);
  Index steps = 1;
  if (options.contains("cell")) steps = tensor(inputs.at("x"), dtype).shape()[0];
  if (options.contains("stack")) {  // of Sequential, whose first axis is the batch
    layers = static_cast<double>(options.at("stack").size());
    const Tensor x = tensor(inputs.at("x"), dtype);
    if (x.dim() > 1) steps = x.shape()[1];
  }
  const double roundings = layers * testing::recurrent_roundings(static_cast<double>(steps),
                                                                 static_cast<double>(longest));
  const double sides = dtype == DType::float64 ? 2 : 1;  // PyTorch's roundings count, too
  return testing::rounding_bound(dtype, sides * roundings);
}

void check(const json& data, TapeMode mode, DType dtype) {
  const json& inputs = data.at("inputs");
  const json& gradients = data.at("gradients");
  const double tolerance = tolerance_of(data, dtype);
  const double magnitude = data.at("options").value("magnitude", 0.0);
  Subject subject = xgrad::subject(data.at("options"), inputs);
  subject.module.train(data.at("options").value("training", true));
  subject.module.to(dtype);
  Vars vars;
  Vars leaves;  // all that has a gradient
  for (const nn::NamedParameter& parameter : subject.module.named_parameters()) {
    ASSERT_TRUE(inputs.contains(parameter.name)) << "torch has no " << parameter.name;
    parameter.var.assign(tensor(inputs.at(parameter.name), dtype));
    leaves[parameter.name] = parameter.var;
  }
  for (const auto& [name, value] : inputs.items()) {
    if (leaves.contains(name)) continue;
    const Tensor given = tensor(value, dtype);
    vars[name] = gradients.contains(name) ? parameter(given, name) : Var(given);
    if (gradients.contains(name)) leaves[name] = vars[name];
  }

  Tape tape(mode);
  const Vars outputs = subject.run(vars);
  EXPECT_EQ(outputs.size(), data.at("outputs").size());
  Var loss;
  for (const auto& [name, output] : outputs) {
    SCOPED_TRACE("output " + name);
    expect_near(output.tensor(), data.at("outputs").at(name), tolerance, magnitude);
    const Var term = sum(output * vars.at("R_" + name));
    loss = loss.defined() ? Var(loss + term) : term;
  }
  tape.backward(loss);
  EXPECT_EQ(leaves.size(), gradients.size());
  for (const auto& [name, gradient] : gradients.items()) {
    SCOPED_TRACE("gradient of " + name);
    const Var& leaf = leaves.at(name);
    expect_near(leaf.has_grad() ? leaf.grad() : Tensor::zeros(leaf.shape(), dtype), gradient,
                tolerance, magnitude);
  }
}

void check_all(TapeMode mode, DType dtype) {
  const json& cases = testing::reference("modules.json");
  ASSERT_GT(cases.size(), 100u);
  for (const auto& [name, data] : cases.items()) {
    SCOPED_TRACE(name);
    check(data, mode, dtype);
  }
}

TEST(ModuleReference, AgreesWithPyTorch) { check_all(TapeMode::fast, DType::float64); }
TEST(ModuleReference, AgreesInNaiveMode) { check_all(TapeMode::naive, DType::float64); }
TEST(ModuleReference, AgreesInFloat32) { check_all(TapeMode::fast, DType::float32); }

// ------------------------------------------------------------------ nothing without a case

/// What the cases use: modules by name, layers as "layers::NAME", and the values of each option.
struct Used {
  std::set<std::string> modules;
  std::map<std::string, std::set<json>> options;        ///< of modules and cells
  std::map<std::string, std::set<json>> layer_options;  ///< of layers

  void add_stack(const json& stack) {
    for (const json& layer : stack) {
      const std::string name = layer.at("layer");
      modules.insert("layers::" + name);
      for (const auto& [option, value] : layer.items()) layer_options[option].insert(value);
      if (layer.contains("stack")) add_stack(layer.at("stack"));
    }
  }
};

Used used_by_cases() {
  Used used;
  for (const auto& [name, data] : testing::reference("modules.json").items()) {
    const json& options = data.at("options");
    used.modules.insert(options.at("module").get<std::string>());
    for (const auto& [option, value] : options.items()) used.options[option].insert(value);
    if (options.contains("stack")) used.add_stack(options.at("stack"));
  }
  return used;
}

testing::Declarations declared() {
  const std::filesystem::path tests(XGRAD_TESTS_DIR);
  return testing::declarations_in(tests.parent_path() / "nn");
}

TEST(ModuleReference, TheParserFindsModulesOptionsAndEnumerators) {
  testing::Declarations found;
  testing::add_declarations(R"(
      #include <x>
      namespace xgrad::nn {
      enum class Mode : std::uint8_t { fast, slow };
      /// struct NoCode : Module {
      struct WideOptions {
        bool bias = true;  ///< text
        Initializer init = glorot();
        std::vector<Index> sizes = {1, 2};
      };
      struct Wide : Module {
        explicit Wide(Index n, const WideOptions& options = {}) : n_(n) { f({1}); }
        struct State { Var h; };
      };
      struct Plain { int no; };
      class Deep final : public nn::Wide { public: int f() const { return 1; } };
      template <class Cell>
      class Loop : public Module {};
      using WideLoop = Loop<Wide>;
      using Other = std::vector<Wide>;
      namespace layers {
      template <class Cell>
      struct Loop : Layer { Loop() : Layer("loop", [](const Shape& s) { return s; }) {} };
      struct Both : Loop<nn::Wide> {};
      }  // namespace layers
      namespace detail { struct Hidden : Module {}; }
      }  // namespace xgrad::nn
      )",
                            found);
  EXPECT_EQ(
      found.derived_from({"Module", "Layer"}),
      (std::set<std::string>{"Wide", "Deep", "Loop", "WideLoop", "layers::Loop", "layers::Both"}));
  EXPECT_EQ(found.enumerators.at("Mode"), (std::vector<std::string>{"fast", "slow"}));
  const std::vector<std::pair<std::string, std::string>> members{
      {"bool", "bias"}, {"Initializer", "init"}, {"std::vector<Index>", "sizes"}};
  EXPECT_EQ(found.options.at("WideOptions"), members);
}

TEST(ModuleReference, EveryModuleHasACase) {
  const Used used = used_by_cases();
  const std::set<std::string> modules = declared().derived_from({"Module", "Layer"});
  for (const char* known : {"Linear", "LSTM", "Recurrent", "Sequential", "layers::Dense"}) {
    EXPECT_TRUE(modules.contains(known)) << "the parser does not find " << known;
  }
  for (const std::string& module : modules) {
    EXPECT_TRUE(used.modules.contains(module)) << module << " has no case in modules.json";
  }
}

TEST(ModuleReference, EveryOptionHasCasesWithTwoValues) {
  const std::set<std::string> of_training{"FitOptions", "EvaluateOptions", "PredictOptions"};
  const Used used = used_by_cases();
  const testing::Declarations all = declared();
  EXPECT_TRUE(all.options.contains("RecurrentOptions"));
  for (const auto& [name, members] : all.options) {
    if (of_training.contains(name)) continue;
    const auto& values = name == "SequenceOptions" ? used.layer_options : used.options;
    for (const auto& [type, member] : members) {
      // These are where parameters start; the cases set them.
      if (type == "Initializer" || member == "forget_bias") continue;
      const auto found = values.find(member);
      EXPECT_TRUE(found != values.end() && found->second.size() >= 2)
          << name << "::" << member << " has no two values in modules.json";
    }
  }
}

TEST(ModuleReference, EveryEnumeratorHasACase) {
  Used used = used_by_cases();
  const testing::Declarations all = declared();
  EXPECT_TRUE(all.enumerators.contains("Activation"));
  std::set<json> values;
  for (const auto& [option, seen] : used.options) values.insert(seen.begin(), seen.end());
  for (const auto& [option, seen] : used.layer_options) values.insert(seen.begin(), seen.end());
  for (const auto& [name, enumerators] : all.enumerators) {
    for (const std::string& enumerator : enumerators) {
      EXPECT_TRUE(values.contains(enumerator)) << name << "::" << enumerator << " has no case";
    }
  }
}

}  // namespace
}  // namespace xgrad
