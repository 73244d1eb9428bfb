#include "settings.hpp"

#include <charconv>

#include <xgrad/core/error.hpp>

namespace text_generation {

std::map<std::string, std::string> Settings::to_text() const {
  std::map<std::string, std::string> text{{"cell", cell}};
  for_each_number(*this, [&](const char* name, auto value, const auto&...) {
    char digits[32];
    text[name] = std::string(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  });
  return text;
}

Settings Settings::from_text(const std::map<std::string, std::string>& text,
                             const std::string& source) {
  Settings settings;
  const auto entry = [&](const std::string& name) -> const std::string& {
    const auto found = text.find(name);
    if (found == text.end()) throw xgrad::Error(source + ": damaged: there is no '" + name + "'");
    return found->second;
  };
  const auto check = [&](bool good, const std::string& name) {
    if (!good) throw xgrad::Error(source + ": damaged: '" + name + "' is '" + entry(name) + "'");
  };
  settings.cell = entry("cell");
  check(is_cell(settings.cell), "cell");
  for_each_number(
      settings, [&](const char* name, auto& value, auto smallest, auto largest, const auto&...) {
        const std::string& digits = entry(name);
        const char* end = digits.data() + digits.size();
        const auto [rest, error] = std::from_chars(digits.data(), end, value);
        check(error == std::errc() && rest == end && value >= smallest && value <= largest, name);
      });
  return settings;
}

}  // namespace text_generation
