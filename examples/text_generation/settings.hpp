#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <xgrad/core/shape.hpp>

namespace text_generation {

/// What decides, together with the corpus and the number of steps, every bit of a trained model.
struct Settings {
  std::string cell = "lstm";
  xgrad::Index hidden = 256;
  xgrad::Index layers = 1;
  xgrad::Index embedding = 64;
  xgrad::Index seq_len = 64;
  xgrad::Index batch = 32;
  xgrad::Index parts = 2;
  double lr = 1e-2;
  double dropout = 0.1;
  double clip = 1;
  double validation_fraction = 0.1;
  std::uint64_t seed = 1;

  /// Calls f(name, member, smallest, largest, help) for each number.
  template <class Self, class F>
  static void for_each_number(Self& self, F&& f) {
    using xgrad::Index;
    const Index million = 1'000'000;
    f("hidden", self.hidden, Index{1}, Index{16384}, "Units of each layer");
    f("layers", self.layers, Index{1}, Index{16}, "Recurrent layers");
    f("embedding", self.embedding, Index{0}, Index{16384},
      "Numbers that stand for a character; 0: one for each character (one-hot)");
    f("seq-len", self.seq_len, Index{1}, million, "Characters that a step looks back");
    f("batch", self.batch, Index{1}, million, "Streams of text that are read side by side");
    f("parts", self.parts, Index{1}, Index{256},
      "Parts of the batch that threads compute side by side; changes the last bits");
    f("lr", self.lr, 0.0, 1e38, "Largest learning rate of Adam");
    f("dropout", self.dropout, 0.0, 0.95, "Share of a layer's outputs that is dropped");
    f("clip", self.clip, 0.0, 1e38, "Largest norm of the gradient; 0: any");
    f("validation-fraction", self.validation_fraction, 1e-6, 1 - 1e-6,
      "Share of the text, at its end, that is kept for validation");
    f("seed", self.seed, std::uint64_t{0}, ~std::uint64_t{0}, "Of all random numbers");
  }

  /// True for a setting that decides the names and shapes of the parameters.
  static bool shapes_model(const std::string& name) {
    return name == "cell" || name == "hidden" || name == "layers" || name == "embedding";
  }

  static bool is_cell(const std::string& cell) {
    return cell == "lstm" || cell == "gru" || cell == "rnn";
  }

  std::map<std::string, std::string> to_text() const;
  /// Throws xgrad::Error, naming `source`, if an entry is missing or out of range.
  static Settings from_text(const std::map<std::string, std::string>& text,
                            const std::string& source);
};

}  // namespace text_generation
