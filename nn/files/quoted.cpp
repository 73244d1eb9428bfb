#include <xgrad/nn/files/quoted.hpp>

namespace xgrad::nn::detail {
namespace {

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80; }

std::string printable(std::string_view text) {
  constexpr const char* digits = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F) {
      result += c;
    } else {
      result.append("\\x").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
    }
  }
  return result;
}

/// At most so many bytes of the text, between `quote`s.
std::string cut(std::string_view text, std::size_t most, const char* quote) {
  std::size_t end = text.size();
  if (end > most) {
    for (end = most; end > 0 && continues(text[end]); --end) {  // no half of a UTF-8 character
    }
  }
  std::string result = quote + printable(text.substr(0, end)) + quote;
  if (end < text.size()) result += "... (" + std::to_string(text.size()) + " bytes)";
  return result;
}

}  // namespace

std::string in_quotes(std::string_view name) { return cut(name, 100, "'"); }
std::string shown(std::string_view path) { return cut(path, 4096, ""); }  // the longest of Linux

}  // namespace xgrad::nn::detail
