// Cells, unrolled by nn::Recurrent. Their weights are inputs of the function, so that every case
// looks the same to a checker.
#include <xgrad/core/arithmetic.hpp>
#include <xgrad/nn/recurrent.hpp>
#include <xgrad/ops/matmul.hpp>
#include <xgrad/ops/reduce.hpp>
#include <xgrad/ops/shape.hpp>

#include "planted_op.hpp"

namespace xgrad::mutants::detail {
namespace {

constexpr Index features = 2;
constexpr Index hidden = 2;
constexpr Index batch = 2;
constexpr Index steps = 4;

std::vector<NamedVar> weights_and_sequence(Generator& random, Index gates, Index states) {
  std::vector<NamedVar> inputs{{"x", draw_signs(random, {steps, batch, features})},
                               {"Wx", draw(random, {features, gates * hidden})},
                               {"Wh", draw(random, {hidden, gates * hidden})},
                               {"b", draw_signs(random, {gates * hidden})}};
  for (Index i = 0; i < states; ++i) {
    inputs.push_back({"state" + std::to_string(i), draw_signs(random, {batch, hidden})});
  }
  return inputs;
}

/// x with its value, and no gradient through it where `cut`.
Var cut_if(bool cut, const Var& x) { return cut ? detach(x) : x; }

// ------------------------------------------------------------------------------------------ LSTM

const std::vector<Fault> lstm_faults = {
    {FaultClass::state, "both states are cut off at every step"},                     // 1
    {FaultClass::state, "the cell state is cut off at every step"},                   // 2
    {FaultClass::state, "the states are cut off at one step"},                        // 3
    {FaultClass::state, "the hidden state's gradient goes to the other sequence"},    // 4
    {FaultClass::state, "the initial hidden state gets no gradient"},                 // 5
    {FaultClass::saved_value, "the forget gate's gradient sees the new cell state"},  // 6
    {FaultClass::factor, "the output gate's derivative is s instead of s(1 - s)"},    // 7
    {FaultClass::missing_term, "the tanh of the cell state has derivative 1"},        // 8
    {FaultClass::operand, "gradients of input gate and candidate are exchanged"},     // 9
    {FaultClass::accumulation, "the recurrent weights see the last step only"},       // 10
    {FaultClass::time, "one step's gates get no gradient"},                           // 11
    {FaultClass::time, "the gradient of the sequence is reversed in time"},           // 12
    {FaultClass::time, "the gradient arrives one step late"},                         // 13
    {FaultClass::vanished, "the last cell state sends no gradient back"},             // 14
    {FaultClass::partial, "the carried gradient is clipped"},                         // 15
    {FaultClass::partial, "the forget gate's bias gets no gradient"},                 // 16
    {FaultClass::precision, "the carried gradient is rounded to float32"},            // 17
    {FaultClass::precision, "the carried gradient loses 1e-7 at each step"},          // 18
};

/// f c' + i g
Var new_cell_state(const Vars& gates_and_old, int fault) {
  return op(
      gates_and_old, [](const Vars& in) { return Eager(in[0]) * in[3] + Eager(in[1]) * in[2]; },
      [fault](Pullback& p) {
        const Eager dc = p.gradient();
        p.add(0, dc * (fault == 6 ? p.output() : p.input(3)));
        p.add(1, dc * p.input(fault == 9 ? 1 : 2));
        p.add(2, dc * p.input(fault == 9 ? 2 : 1));
        p.add(3, dc * p.input(0));
      });
}

/// sigmoid(z) tanh(c)
Var new_hidden_state(const Var& z, const Var& c, int fault) {
  return op(
      {z, c}, [](const Vars& in) { return sigmoid(Eager(in[0])) * tanh(Eager(in[1])); },
      [fault](Pullback& p) {
        const Eager dh = p.gradient();
        const Eager o = sigmoid(Eager(p.input(0)));
        const Eager t = tanh(Eager(p.input(1)));
        p.add(0, fault == 7 ? (dh * t * o).var() : (dh * t * o * (1.0 - o)).var());
        p.add(1, fault == 8 ? (dh * o).var() : (dh * o * (1.0 - t * t)).var());
      });
}

struct PlantedLSTM : nn::Module {
  struct State {
    Var h, c;
  };
  State zero_state(Index n) const {
    const Var zeros = Tensor::zeros({n, hidden}, Wh.dtype());
    return {zeros, zeros};
  }
  Var project(const Var& x) const { return affine(x, Wx, fault == 16 ? blind_bias() : b); }
  State step(const Var& z, const State& old) const {
    const Index t = time++;
    const bool cut = fault == 1 || (fault == 3 && t == 2);
    const Var h = carried(cut_if(cut || (fault == 5 && t == 0), old.h));
    const Var c = cut_if(cut || fault == 2, old.c);
    Var gates = Eager(z) + matmul(h, cut_if(fault == 10 && t < steps - 1, Wh));
    if (fault == 11 && t == 1) {
      gates = corrupt(gates, [](const Eager& g) { return 0.0 * g; });
    }
    const auto [i, f, g, o] = split<4>(gates);
    const Var next =
        new_cell_state({sigmoid(Eager(f)), sigmoid(Eager(i)), tanh(Eager(g)), c}, fault);
    return {new_hidden_state(o, next, fault), next};
  }

  Var carried(const Var& h) const {
    switch (fault) {
      case 4:
        return corrupt(h, [](const Eager& g) { return flip(g, 0); });
      case 15:
        return corrupt(h, [](const Eager& g) { return Var(clip(g.var(), -0.05, 0.05)); });
      case 17:
        return corrupt(h, [](const Eager& g) -> Var {
          return g.var().tensor().to(DType::float32).to(g.var().dtype());
        });
      case 18:
        return corrupt(h, [](const Eager& g) { return (1 - 1e-7) * g; });
      default:
        return h;
    }
  }
  Var blind_bias() const {
    return corrupt(b, [](const Eager& g) {
      return g * numbers_like(g, [](Index i) { return i / hidden == 1 ? 0.0 : 1.0; });
    });
  }

  Var Wx, Wh, b;
  int fault = 0;
  mutable Index time = 0;
};

Case lstm() {
  return {"LSTM", [](Generator& random) { return weights_and_sequence(random, 4, 2); },
          [](const Vars& in, int fault) -> Vars {
            PlantedLSTM cell;
            cell.Wx = in[1];
            cell.Wh = in[2];
            cell.b = in[3];
            cell.fault = fault;
            Var x = in[0];
            if (fault == 12) x = corrupt(x, [](const Eager& g) { return flip(g, 0); });
            if (fault == 13) x = corrupt(x, [](const Eager& g) { return roll(g, 0, 1); });
            const nn::Recurrent<PlantedLSTM> net(std::vector<PlantedLSTM>{cell});
            const auto result = net(x, PlantedLSTM::State{in[4], in[5]});
            Var c = result.last[0].c;
            if (fault == 14) c = corrupt(c, [](const Eager& g) { return 0.0 * g; });
            return {result.outputs, c};
          },
          lstm_faults};
}

// ------------------------------------------------------------------------------------------- GRU

const std::vector<Fault> gru_faults = {
    {FaultClass::missing_term, "the reset gate is taken as constant"},           // 1
    {FaultClass::operand, "z and 1 - z are exchanged in the gradients"},         // 2
    {FaultClass::accumulation, "the path past the gates is cut off"},            // 3
    {FaultClass::sign, "the update gate's gradient has the wrong sign"},         // 4
    {FaultClass::saved_value, "the update gate's gradient sees the new state"},  // 5
    {FaultClass::index, "sequences that ended leak gradient"},                   // 6
};

/// (1 - z) n + z h
Var blend(const Var& z, const Var& n, const Var& h, int fault) {
  return op(
      {z, n, h}, [](const Vars& in) { return (1.0 - Eager(in[0])) * in[1] + Eager(in[0]) * in[2]; },
      [fault](Pullback& p) {
        const Eager dh = p.gradient();
        const Eager kept = p.input(0);
        const Eager taken = 1.0 - kept;
        const Eager old = fault == 5 ? p.output() : p.input(2);
        const Eager dz = dh * (old - p.input(1));
        p.add(0, fault == 4 ? -dz : dz);
        p.add(1, dh * (fault == 2 ? kept : taken));
        p.add(2, dh * (fault == 2 ? taken : kept));
      });
}

struct PlantedGRU : nn::Module {
  struct State {
    Var h;
  };
  State zero_state(Index n) const { return {Tensor::zeros({n, hidden}, Wh.dtype())}; }
  Var project(const Var& x) const { return affine(x, Wx, b); }
  State step(const Var& zx, const State& old) const {
    const auto [xr, xz, xn] = split<3>(zx);
    const auto [hr, hz, hn] = split<3>(matmul(old.h, Wh));
    const Var r = cut_if(fault == 1, sigmoid(Eager(xr) + hr));
    const Var z = sigmoid(Eager(xz) + hz);
    const Var n = tanh(Eager(xn) + Eager(r) * hn);
    return {blend(z, n, cut_if(fault == 3, old.h), fault)};
  }

  Var Wx, Wh, b;
  int fault = 0;
};

Case gru() {
  return {"GRU, sequences of two lengths",
          [](Generator& random) { return weights_and_sequence(random, 3, 1); },
          [](const Vars& in, int fault) -> Vars {
            PlantedGRU cell;
            cell.Wx = in[1];
            cell.Wh = in[2];
            cell.b = in[3];
            cell.fault = fault;
            Var x = in[0];
            if (fault == 6) {
              x = corrupt(x, [](const Eager& g) {
                return g + 1e-3 * Eager(unit_like(g, g.var().size() - 1));
              });
            }
            const nn::Recurrent<PlantedGRU> net(std::vector<PlantedGRU>{cell});
            const std::vector<Index> lengths{steps, steps - 2};
            const auto result = net(x, PlantedGRU::State{in[4]}, lengths);
            return {result.outputs, result.last[0].h};
          },
          gru_faults};
}

// --------------------------------------------------------------- a cell of one's own, both
// directions

const std::vector<Fault> elman_faults = {
    {FaultClass::time, "the reverse direction's gradient is not turned back"},        // 1
    {FaultClass::index, "gradients of the two directions are exchanged"},             // 2
    {FaultClass::operand, "the recurrent weights are not transposed"},                // 3
    {FaultClass::missing_term, "the diagonal connection is left out"},                // 4
    {FaultClass::broadcast, "the diagonal's gradient is not summed over the batch"},  // 5
};

/// h.W + p h with a diagonal p.
Var recur(const Vars& h_W_p, int fault) {
  return op(
      h_W_p, [](const Vars& in) { return Eager(matmul(in[0], in[1])) + Eager(in[0]) * in[2]; },
      [fault](Pullback& p) {
        const Eager g = p.gradient();
        const Var h = p.input(0);
        const Var W = p.input(1);
        p.add(0, matmul(g, fault == 3 ? W : transpose(W)));
        if (fault != 4) p.add(0, g * p.input(2));
        p.add(1, matmul(transpose(h), g));
        const Var to_diagonal = g * h;
        p.add(2, fault == 5 ? to_diagonal[0] : sum(to_diagonal, {0}));
      });
}

struct PlantedElman : nn::Module {
  struct State {
    Var h;
  };
  State zero_state(Index n) const { return {Tensor::zeros({n, hidden}, W.dtype())}; }
  State step(const Var& x, const State& old) const {
    return {tanh(Eager(matmul(x, U)) + recur({old.h, W, p}, fault))};
  }

  Var U, W, p;
  int fault = 0;
};

Case elman() {
  return {"diagonal cell, both directions",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {steps, batch, features})},
                                         {"U", draw(random, {features, hidden})},
                                         {"W", draw(random, {hidden, hidden})},
                                         {"p", draw_signs(random, {hidden})}};
          },
          [](const Vars& in, int fault) -> Vars {
            std::vector<PlantedElman> cells(2);
            for (PlantedElman& cell : cells) {
              cell.U = in[1];
              cell.W = in[2];
              cell.p = in[3];
              cell.fault = fault;
            }
            const nn::Recurrent<PlantedElman> net(cells, {.bidirectional = true});
            Var outputs = net(in[0]).outputs;
            if (fault == 1) {
              outputs = corrupt(outputs, [](const Eager& g) {
                const auto [forward, reverse] = split<2>(g);
                return concat({forward, flip(reverse, 0)}, 2);
              });
            }
            if (fault == 2) {
              outputs = corrupt(outputs, [](const Eager& g) { return roll(g, 2, hidden); });
            }
            return {outputs};
          },
          elman_faults};
}

}  // namespace

std::vector<Case> recurrent_cases() { return {lstm(), gru(), elman()}; }

}  // namespace xgrad::mutants::detail
