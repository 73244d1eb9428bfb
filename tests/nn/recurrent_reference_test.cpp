// The tape's recurrent modules against PyTorch's nn.LSTM, nn.GRU and nn.RNN: outputs, last states
// and every gradient, in float64.

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/xgrad.hpp>

#include "reference/reference.hpp"
#include "rounding.hpp"

namespace xgrad {
namespace {

using nlohmann::json;

Tensor tensor(const json& data) {
  const testing::Array array = testing::array(data);
  return Tensor(Shape(array.shape.begin(), array.shape.end()), array.data);
}

void expect_near(const Tensor& actual, const Tensor& expected, const std::string& what,
                 double tolerance) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  const std::vector<double> a = actual.to_vector();
  const std::vector<double> e = expected.to_vector();
  for (std::size_t i = 0; i < a.size(); ++i) {
    // Not EXPECT_GT: a NaN must fail.
    ASSERT_TRUE(std::abs(a[i] - e[i]) <= tolerance * std::max(1.0, std::abs(e[i])))
        << what << "[" << i << "]: " << a[i] << ", expected " << e[i];
  }
}

/// PyTorch's parameters under xgrad's names: (gates.H, in) becomes (in, gates.H), and where xgrad
/// has one bias it is the sum of the two.
class Weights {
 public:
  Weights(const json& test_case, std::string suffix)
      : case_(test_case), suffix_(std::move(suffix)) {}

  Tensor weight(const char* section, const char* name) const {
    return detail::contiguous(detail::transposed_view(raw(section, name)));
  }
  Tensor raw(const char* section, const char* name) const {
    return tensor(case_.at(section).at(name + suffix_));
  }
  Tensor bias_sum() const {
    return Var(Var(raw("inputs", "bias_ih")) + Var(raw("inputs", "bias_hh"))).tensor();
  }

 private:
  const json& case_;
  std::string suffix_;
};

void load(const nn::LSTMCell& cell, const Weights& w) {
  cell.Wx.assign(w.weight("inputs", "weight_ih"));
  cell.Wh.assign(w.weight("inputs", "weight_hh"));
  cell.b.assign(w.bias_sum());
}
void load(const nn::RNNCell& cell, const Weights& w) {
  cell.Wx.assign(w.weight("inputs", "weight_ih"));
  cell.Wh.assign(w.weight("inputs", "weight_hh"));
  cell.b.assign(w.bias_sum());
}
void load(const nn::GRUCell& cell, const Weights& w) {
  cell.Wx.assign(w.weight("inputs", "weight_ih"));
  cell.Wh.assign(w.weight("inputs", "weight_hh"));
  cell.bx.assign(w.raw("inputs", "bias_ih"));
  if (cell.bh.defined()) cell.bh.assign(w.raw("inputs", "bias_hh"));
}

template <class Cell>
void expect_common_gradients(const Cell& cell, const Weights& w, const std::string& what,
                             double tolerance) {
  expect_near(cell.Wx.grad(), w.weight("gradients", "weight_ih"), what + " Wx", tolerance);
  expect_near(cell.Wh.grad(), w.weight("gradients", "weight_hh"), what + " Wh", tolerance);
}
void expect_gradients(const nn::LSTMCell& cell, const Weights& w, const std::string& what,
                      double tolerance) {
  expect_common_gradients(cell, w, what, tolerance);
  expect_near(cell.b.grad(), w.raw("gradients", "bias_ih"), what + " b", tolerance);
}
void expect_gradients(const nn::RNNCell& cell, const Weights& w, const std::string& what,
                      double tolerance) {
  expect_common_gradients(cell, w, what, tolerance);
  expect_near(cell.b.grad(), w.raw("gradients", "bias_ih"), what + " b", tolerance);
}
void expect_gradients(const nn::GRUCell& cell, const Weights& w, const std::string& what,
                      double tolerance) {
  expect_common_gradients(cell, w, what, tolerance);
  expect_near(cell.bx.grad(), w.raw("gradients", "bias_ih"), what + " bx", tolerance);
  if (cell.bh.defined()) {
    expect_near(cell.bh.grad(), w.raw("gradients", "bias_hh"), what + " bh", tolerance);
  }
}

template <class Cell, class... Args>
void check(const std::string& name, const json& test_case, TapeMode mode, DType dtype,
           const Args&... args) {
  const json& options = test_case.at("options");
  const Index layers = options.at("layers");
  const Index directions = options.at("directions");
  const Index batch = options.at("B");
  const Index hidden = options.at("H");
  std::vector<Index> lengths;
  if (!options.at("lengths").is_null()) lengths = options.at("lengths").get<std::vector<Index>>();
  // The second layer reads both directions of the first, two biases count as terms, and the
  // gradients of weights are sums over steps and rows. In float64 PyTorch's roundings count, too.
  const double steps = options.at("T"), features = options.at("I");
  const double units = static_cast<double>(hidden);
  const double terms = std::max(features, 2 * units) + units + 2;
  const double roundings =
      static_cast<double>(layers) * testing::recurrent_roundings(steps, terms) +
      steps * static_cast<double>(batch);
  const double sides = dtype == DType::float64 ? 2 : 1;
  const double tolerance = testing::rounding_bound(dtype, sides * roundings);
  using Net = nn::Recurrent<Cell>;
  Net net(options.at("I"), hidden, {.layers = layers, .bidirectional = directions == 2}, args...);
  net.to(DType::float64);
  const auto suffix = [&](std::size_t i) {
    return "_l" + std::to_string(static_cast<Index>(i) / directions) +
           (static_cast<Index>(i) % directions == 1 ? "_reverse" : "");
  };
  for (std::size_t i = 0; i < net.cells().size(); ++i) {
    load(net.cells()[i], Weights(test_case, suffix(i)));
  }
  net.to(dtype);

  const json& inputs = test_case.at("inputs");
  const Var x = parameter(tensor(inputs.at("x")).to(dtype), "x");
  const char* state_names[] = {"h", "c"};
  std::vector<Var> initial;  // (layers * directions, batch, hidden), as PyTorch has them
  typename Net::States states = net.zero_state(batch);
  const std::size_t state_members = nn::members(states[0]).size();
  if (options.at("state") == "given") {
    for (std::size_t k = 0; k < state_members; ++k) {
      const std::string key = std::string(state_names[k]) + "_0";
      initial.push_back(parameter(tensor(inputs.at(key)).to(dtype), key));
      for (std::size_t i = 0; i < states.size(); ++i) {
        *nn::members(states[i])[k] = initial[k][static_cast<Index>(i)];
      }
    }
  }

  Tape tape(mode);
  typename Net::Result result = net(x, states, lengths);
  expect_near(result.outputs.tensor(), tensor(test_case.at("outputs").at("output")),
              name + " output", tolerance);
  Var loss = sum(result.outputs * Var(tensor(inputs.at("R_output")).to(dtype)));
  for (std::size_t k = 0; k < state_members; ++k) {
    const std::string key = std::string(state_names[k]) + "_n";
    const Var last = [&] {
      std::vector<Var> rows;
      for (auto& state : result.last) rows.push_back(*nn::members(state)[k]);
      return stack(rows);
    }();
    expect_near(last.tensor(), tensor(test_case.at("outputs").at(key)), name + " " + key,
                tolerance);
    loss = loss + sum(last * Var(tensor(inputs.at("R_" + key)).to(dtype)));
  }
  tape.backward(loss);
  const json& gradients = test_case.at("gradients");
  expect_near(x.grad(), tensor(gradients.at("x")), name + " dx", tolerance);
  for (const Var& state : initial) {
    expect_near(state.grad(), tensor(gradients.at(state.name())), name + " d" + state.name(),
                tolerance);
  }
  for (std::size_t i = 0; i < net.cells().size(); ++i) {
    expect_gradients(net.cells()[i], Weights(test_case, suffix(i)), name + suffix(i), tolerance);
  }
}

/// The array with another row before the second of axis 1: of `from` in the same place, or zeros.
json with_row(json array, const json* from, const json& value = 0) {
  const auto shape = array.at("shape").get<std::vector<std::size_t>>();
  std::size_t inner = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) inner *= shape[axis];
  json data = json::array();
  for (std::size_t i = 0; i < shape[0]; ++i) {
    for (std::size_t row = 0; row < shape[1]; ++row) {
      for (std::size_t k = 0; k < inner && row == 1; ++k) {
        data.push_back(from ? from->at("data")[(i * (shape[1] + 1) + 1) * inner + k] : value);
      }
      for (std::size_t k = 0; k < inner; ++k) {
        data.push_back(array.at("data")[(i * shape[1] + row) * inner + k]);
      }
    }
  }
  array["shape"][1] = shape[1] + 1;
  array["data"] = data;
  return array;
}

/// The case with another sequence in the batch, of length 0: packed sequences of PyTorch have none,
/// but what becomes of it follows, and nothing becomes of the others.
json with_empty_sequence(json test_case) {
  json& options = test_case["options"];
  json& inputs = test_case["inputs"];
  json& outputs = test_case["outputs"];
  json& gradients = test_case["gradients"];
  options["B"] = options["B"].get<Index>() + 1;
  options["lengths"].insert(options["lengths"].begin() + 1, 0);
  inputs["x"] = with_row(inputs["x"], nullptr, "nan");
  inputs["R_output"] = with_row(inputs["R_output"], nullptr, 0.5);
  outputs["output"] = with_row(outputs["output"], nullptr);
  gradients["x"] = with_row(gradients["x"], nullptr);
  for (const std::string member : {"h", "c"}) {
    if (!outputs.contains(member + "_n")) continue;
    json& covector = inputs["R_" + member + "_n"];
    covector = with_row(covector, nullptr, 0.25);
    const json* initial = nullptr;
    if (options["state"] == "given") {
      inputs[member + "_0"] = with_row(inputs[member + "_0"], nullptr, 0.75);
      gradients[member + "_0"] = with_row(gradients[member + "_0"], &covector);
      initial = &inputs[member + "_0"];
    }
    outputs[member + "_n"] = with_row(outputs[member + "_n"], initial);
  }
  return test_case;
}

void check_all(TapeMode mode, DType dtype) {
  std::size_t checked = 0;
  std::map<std::string, json> cases;
  for (const auto& [name, test_case] : testing::reference("recurrent.json").items()) {
    cases.emplace(name, test_case);
    if (!test_case.at("options").at("lengths").is_null()) {
      cases.emplace(name + " and one of length 0", with_empty_sequence(test_case));
    }
  }
  for (const auto& [name, test_case] : cases) {
    const std::string cell = test_case.at("options").at("cell");
    ++checked;
    if (cell == "LSTM") {
      check<nn::LSTMCell>(name, test_case, mode, dtype);
    } else if (cell == "GRU") {
      check<nn::GRUCell>(name, test_case, mode, dtype);
    } else if (cell == "GRU_RESET_BEFORE") {
      check<nn::GRUCell>(name, test_case, mode, dtype, nn::GRUCellOptions{.reset_after = false});
    } else if (cell == "RNN_TANH") {
      check<nn::RNNCell>(name, test_case, mode, dtype);
    } else if (cell == "RNN_RELU") {
      check<nn::RNNCell>(name, test_case, mode, dtype,
                         nn::RNNCellOptions{.nonlinearity = nn::Nonlinearity::relu});
    } else {
      ADD_FAILURE() << "unknown cell " << cell;
    }
  }
  EXPECT_EQ(checked, 76u);
}

TEST(RecurrentReference, AgreesWithPyTorch) { check_all(TapeMode::fast, DType::float64); }
TEST(RecurrentReference, AgreesInNaiveMode) { check_all(TapeMode::naive, DType::float64); }
TEST(RecurrentReference, AgreesInFloat32) { check_all(TapeMode::fast, DType::float32); }

}  // namespace
}  // namespace xgrad
