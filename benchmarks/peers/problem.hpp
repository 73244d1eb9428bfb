#pragma once

#include <vector>

#include "contender.hpp"

namespace peers {

enum class Cell { rnn, lstm, gru, peephole, layernorm };
const char* name_of(Cell cell);

/// What is done with a recurrent network.
enum class Work {
  training,    ///< forward, mean squared error of all outputs, backward, update by plain SGD
  gradient,    ///< the same without the update
  forward,     ///< loss alone, nothing recorded
  inference,   ///< outputs alone, nothing recorded
  generation,  ///< outputs alone, the state carried on from run to run
};
const char* name_of(Work work);

inline constexpr double learning_rate = 1e-2;

/// From (steps, batch, input) to (steps, batch, hidden), forward from a zero state. The input takes
/// no gradient.
struct Network {
  Cell cell;
  int steps, batch, input, hidden;
  int layers = 1;

  /// Floating-point operations that the work really needs in products: none with the zero state,
  /// none for gradients that nobody asked for. What is pointwise does not count.
  double flops(Work work) const;
};

/// Parameters in the order and layout of xgrad's `nn::Recurrent`, gates side by side:
///
///     rnn        Wx (I,H), Wh (H,H), b (H)
///     lstm       Wx (I,4H), Wh (H,4H), b (4H)                   gates i, f, g, o
///     gru        Wx (I,3H), Wh (H,3H), bx (3H), bh (3H)         gates r, z, n
///     peephole   lstm's, and p (3,H) for i, f, o
///     layernorm  Wx (I,4H), Wh (H,4H), gx, gh, b (4H), gc, bc (H)
struct NetworkProblem {
  Network network;
  Array x, target;
  std::vector<Array> parameters;
};
NetworkProblem make_problem(const Network& network);

/// c (rows, cols) = a (rows, depth) . b (depth, cols). b are weights: they may be packed
/// beforehand. A transposed operand is stored the other way round.
struct Product {
  int rows, depth, cols;
  bool a_transposed = false;
  bool b_transposed = false;

  double flops() const { return 2.0 * rows * depth * cols; }
};

/// A row-major matrix of numbers in [-1, 1).
Array random_array(const char* name, std::vector<int> shape, unsigned seed, float from = -1,
                   float to = 1);

/// The operands as they are stored.
Array left_of(const Product& product);
Array right_of(const Product& product);

}  // namespace peers
