#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace text_generation {

/// The characters that a model knows; a model sees a character as its place in this list.
class Vocabulary {
 public:
  /// Every different character of the text, in ascending order.
  explicit Vocabulary(std::u32string_view text);

  std::size_t size() const { return characters_.size(); }
  const std::u32string& characters() const { return characters_; }
  char32_t character(std::size_t index) const { return characters_[index]; }
  bool contains(char32_t character) const;

  /// The places of the characters. Throws xgrad::Error, naming `source`, the character and its
  /// position, for one that is not in the list.
  std::vector<std::int64_t> encode(std::u32string_view text, const std::string& source) const;

 private:
  std::u32string characters_;
};

}  // namespace text_generation
