#include "vocabulary.hpp"

#include <algorithm>

#include <xgrad/core/error.hpp>

#include "utf8.hpp"

namespace text_generation {

Vocabulary::Vocabulary(std::u32string_view text) : characters_(text) {
  std::sort(characters_.begin(), characters_.end());
  characters_.erase(std::unique(characters_.begin(), characters_.end()), characters_.end());
}

bool Vocabulary::contains(char32_t character) const {
  return std::binary_search(characters_.begin(), characters_.end(), character);
}

std::vector<std::int64_t> Vocabulary::encode(std::u32string_view text,
                                             const std::string& source) const {
  std::vector<std::int64_t> indices;
  indices.reserve(text.size());
  for (const char32_t character : text) {
    if (!contains(character)) {
      throw xgrad::Error(source + ": character " + describe(character) + " at position " +
                         std::to_string(indices.size() + 1) +
                         " does not occur in the text that the model was trained on");
    }
    indices.push_back(std::lower_bound(characters_.begin(), characters_.end(), character) -
                      characters_.begin());
  }
  return indices;
}

}  // namespace text_generation
