#pragma once

#include <variant>
#include <vector>

#include <xgrad/nn/dropout.hpp>
#include <xgrad/nn/gru.hpp>
#include <xgrad/nn/linear.hpp>
#include <xgrad/nn/lstm.hpp>
#include <xgrad/nn/rnn.hpp>
#include <xgrad/ops/index.hpp>

#include "settings.hpp"

namespace text_generation {

/// Predicts the next character: embedding, recurrent layers, and a linear layer that gives the
/// logits of all characters.
class LanguageModel : public xgrad::nn::Module {
 public:
  /// The state of all layers, each array (batch, hidden); empty stands for zeros.
  using State = std::vector<xgrad::Var>;

  LanguageModel(std::size_t vocabulary, const Settings& settings);

  /// Characters (steps, batch) -> logits (steps, batch, vocabulary). Goes on from `state` and
  /// leaves there the last one, cut off from the tape.
  xgrad::Var operator()(const xgrad::Indices& characters, State& state) const;

  /// The shape of each member of State.
  std::vector<xgrad::Shape> state_shapes(xgrad::Index batch) const;

 private:
  using Recurrent = std::variant<xgrad::nn::LSTM, xgrad::nn::GRU, xgrad::nn::RNN>;
  static Recurrent make_recurrent(xgrad::Index input, const Settings& settings);

  xgrad::Var table_;  // (vocabulary, embedding)
  Recurrent recurrent_;
  xgrad::nn::Dropout dropout_;
  xgrad::nn::Linear head_;
};

}  // namespace text_generation
