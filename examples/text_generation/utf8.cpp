#include "utf8.hpp"

#include <cstdint>
#include <cstdio>

#include <xgrad/core/error.hpp>

namespace text_generation {
namespace {

/// The length of a sequence by its first byte, 0 if no sequence starts so.
std::size_t sequence_length(unsigned char first) {
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;  // a continuation byte, or an overlong form
  if (first < 0xE0) return 2;
  if (first < 0xF0) return 3;
  return first < 0xF5 ? 4 : 0;
}

/// Decodes the sequence at the start of `bytes`; false if it is not valid.
bool decode_one(std::string_view bytes, char32_t& character, std::size_t& length) {
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const auto first = static_cast<unsigned char>(bytes[0]);
  length = sequence_length(first);
  if (length == 0 || length > bytes.size()) return false;
  character = length == 1 ? first : first & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(bytes[i]);
    if ((next & 0xC0U) != 0x80) return false;
    character = (character << 6) | (next & 0x3FU);
  }
  const bool surrogate = character >= 0xD800 && character < 0xE000;
  return character >= smallest[length] && !surrogate && character <= 0x10FFFF;
}

}  // namespace

std::u32string decode_utf8(std::string_view bytes, const std::string& source) {
  std::u32string text;
  text.reserve(bytes.size());
  for (std::size_t offset = 0; offset < bytes.size();) {
    char32_t character = 0;
    std::size_t length = 0;
    if (!decode_one(bytes.substr(offset), character, length)) {
      throw xgrad::Error(source + ": invalid UTF-8 at byte offset " + std::to_string(offset));
    }
    text += character;
    offset += length;
  }
  return text;
}

std::string encode_utf8(char32_t character) {
  const auto byte = [](char32_t bits) { return static_cast<char>(bits); };
  const auto continuation = [&](int shift) { return byte(0x80 | ((character >> shift) & 0x3F)); };
  if (character < 0x80) return {byte(character)};
  if (character < 0x800) return {byte(0xC0 | (character >> 6)), continuation(0)};
  if (character < 0x10000) {
    return {byte(0xE0 | (character >> 12)), continuation(6), continuation(0)};
  }
  return {byte(0xF0 | (character >> 18)), continuation(12), continuation(6), continuation(0)};
}

std::string encode_utf8(std::u32string_view text) {
  std::string bytes;
  for (const char32_t character : text) bytes += encode_utf8(character);
  return bytes;
}

std::string describe(char32_t character) {
  const bool control = character < 0x20 || (character >= 0x7F && character < 0xA0);
  const auto number = static_cast<unsigned>(character);
  char text[32];
  if (control) {
    std::snprintf(text, sizeof text, "U+%04X", number);
  } else {
    std::snprintf(text, sizeof text, "'%s' (U+%04X)", encode_utf8(character).c_str(), number);
  }
  return text;
}

}  // namespace text_generation
