#include "problem.hpp"

#include <cmath>
#include <random>

namespace peers {
namespace {

int gates_of(Cell cell) {
  switch (cell) {
    case Cell::rnn:
      return 1;
    case Cell::gru:
      return 3;
    default:
      return 4;
  }
}

void add_layer(const Network& network, int layer, std::vector<Array>& parameters) {
  const int H = network.hidden;
  const int I = layer == 0 ? network.input : H;
  const int G = gates_of(network.cell) * H;
  const std::string prefix = "layer" + std::to_string(layer) + ".";
  const float scale = 1 / std::sqrt(static_cast<float>(H));
  const auto add = [&](const char* name, std::vector<int> shape, float from, float to) {
    const auto seed = static_cast<unsigned>(10 + parameters.size());
    parameters.push_back(random_array((prefix + name).c_str(), std::move(shape), seed, from, to));
  };
  add("Wx", {I, G}, -scale, scale);
  add("Wh", {H, G}, -scale, scale);
  switch (network.cell) {
    case Cell::rnn:
    case Cell::lstm:
      add("b", {G}, -scale, scale);
      break;
    case Cell::gru:
      add("bx", {G}, -scale, scale);
      add("bh", {G}, -scale, scale);
      break;
    case Cell::peephole:
      add("b", {G}, -scale, scale);
      add("p", {3, H}, -0.3f, 0.3f);
      break;
    case Cell::layernorm:
      add("gx", {G}, 0.5f, 1.f);
      add("gh", {G}, 0.5f, 1.f);
      add("b", {G}, -scale, scale);
      add("gc", {H}, 0.5f, 1.f);
      add("bc", {H}, -scale, scale);
      break;
  }
}

}  // namespace

const char* name_of(Cell cell) {
  switch (cell) {
    case Cell::rnn:
      return "rnn";
    case Cell::lstm:
      return "lstm";
    case Cell::gru:
      return "gru";
    case Cell::peephole:
      return "peephole";
    default:
      return "layernorm";
  }
}

const char* name_of(Work work) {
  switch (work) {
    case Work::training:
      return "training";
    case Work::gradient:
      return "gradient";
    case Work::forward:
      return "forward";
    case Work::inference:
      return "inference";
    default:
      return "generation";
  }
}

double Network::flops(Work work) const {
  const bool backward = work == Work::training || work == Work::gradient;
  const double T = steps;
  const double from_state = work == Work::generation ? T : T - 1;
  double total = 0;
  for (int layer = 0; layer < layers; ++layer) {
    const double in = layer == 0 ? input : hidden;
    const double times_in = backward ? (layer == 0 ? 2 : 3) : 1;  // the first has no gradient of x
    const double times_hidden = backward ? 3 : 1;
    const double per_number = 2.0 * batch * gates_of(cell) * hidden;
    total += per_number * (times_in * T * in + times_hidden * from_state * hidden);
  }
  return total;
}

Array random_array(const char* name, std::vector<int> shape, unsigned seed, float from, float to) {
  std::size_t size = 1;
  for (const int extent : shape) size *= static_cast<std::size_t>(extent);
  Array array{name, std::move(shape), std::vector<float>(size)};
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(from, to);
  for (float& number : array.numbers) number = uniform(generator);
  return array;
}

NetworkProblem make_problem(const Network& network) {
  const auto& [cell, T, B, I, H, layers] = network;
  NetworkProblem problem{
      network, random_array("x", {T, B, I}, 1), random_array("target", {T, B, H}, 2), {}};
  for (int layer = 0; layer < layers; ++layer) add_layer(network, layer, problem.parameters);
  return problem;
}

Array left_of(const Product& p) {
  return random_array(
      "a", p.a_transposed ? std::vector{p.depth, p.rows} : std::vector{p.rows, p.depth}, 1);
}

Array right_of(const Product& p) {
  return random_array(
      "b", p.b_transposed ? std::vector{p.cols, p.depth} : std::vector{p.depth, p.cols}, 2);
}

}  // namespace peers
