#pragma once

#include <memory>
#include <string>
#include <vector>

/// One training step of an LSTM, by each library. Plain types only: the libraries' headers, and
/// their macros, stay in separate translation units.
namespace peers {

struct Shape {
  int steps, batch, input, hidden;
};

/// In xgrad's layout: Wx (I,4H), Wh (H,4H), b (4H), gates in the order i, f, g, o.
struct Weights {
  std::vector<float> Wx, Wh, b;
};

/// x (T,B,I), target (T,B,H); the weights at the start.
struct Problem {
  Shape shape;
  std::vector<float> x, target;
  Weights weights;
};

struct LossAndGradient {
  double loss;
  Weights gradient;
};

/// Forward from a zero state over all steps, mean squared error of all outputs, backward, and an
/// update by plain stochastic gradient descent; float32, one thread. x takes no gradient.
class Training {
 public:
  virtual ~Training() = default;
  virtual LossAndGradient evaluate() = 0;  ///< without an update
  virtual void step() = 0;
};

inline constexpr double learning_rate = 1e-2;

std::unique_ptr<Training> xgrad_lstm(const Problem& problem);
std::unique_ptr<Training> torch_lstm(const Problem& problem);

/// The weights that xgrad's LSTM starts with.
Weights initial_weights(const Shape& shape);

/// Both libraries compute on the caller's thread from here on.
void use_one_thread_in_xgrad();
void use_one_thread_in_torch();
std::string torch_version();

}  // namespace peers
