#include "language_model.hpp"

#include <xgrad/core/array.hpp>
#include <xgrad/core/random.hpp>

namespace text_generation {

using xgrad::Index;
using xgrad::Tensor;
using xgrad::Var;
namespace nn = xgrad::nn;

LanguageModel::LanguageModel(std::size_t vocabulary, const Settings& settings)
    : table_(settings.embedding == 0
                 ? Var(Tensor(xt::eye<float>(vocabulary)))
                 : param("embedding",
                         xgrad::default_generator().normal(
                             {static_cast<Index>(vocabulary), settings.embedding}, 0, 1))),
      recurrent_(make_recurrent(table_.shape()[1], settings)),
      dropout_(child("dropout", nn::Dropout(settings.dropout))),
      head_(child("head", nn::Linear(settings.hidden, static_cast<Index>(vocabulary)))) {
  std::visit([&](const nn::Module& layers) { adopt(settings.cell, layers); }, recurrent_);
}

LanguageModel::Recurrent LanguageModel::make_recurrent(Index input, const Settings& settings) {
  const nn::RecurrentOptions options{.layers = settings.layers, .dropout = settings.dropout};
  if (settings.cell == "gru") return nn::GRU(input, settings.hidden, options);
  if (settings.cell == "rnn") return nn::RNN(input, settings.hidden, options);
  return nn::LSTM(input, settings.hidden, options);
}

Var LanguageModel::operator()(const xgrad::Indices& characters, State& state) const {
  const Var inputs = xgrad::embedding(table_, characters);
  const Var outputs = std::visit(
      [&](const auto& recurrent) {
        auto cells = recurrent.zero_state(characters.shape()[1]);
        std::size_t i = 0;
        for (auto& cell : cells) {
          for (Var* member : nn::members(cell)) {
            if (!state.empty()) *member = state.at(i++);
          }
        }
        auto [ys, last] = recurrent(inputs, cells);
        state.clear();
        for (auto& cell : last) {
          for (const Var* member : nn::members(cell)) state.push_back(xgrad::detach(*member));
        }
        return ys;
      },
      recurrent_);
  return head_(dropout_(outputs));
}

std::vector<xgrad::Shape> LanguageModel::state_shapes(Index batch) const {
  return std::visit(
      [&](const auto& recurrent) {
        std::vector<xgrad::Shape> shapes;
        for (auto& cell : recurrent.zero_state(batch)) {
          auto copy = cell;
          for (const Var* member : nn::members(copy)) shapes.push_back(member->shape());
        }
        return shapes;
      },
      recurrent_);
}

}  // namespace text_generation
