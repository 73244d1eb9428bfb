#include "terminal.hpp"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

#include <xgrad/core/gradcheck.hpp>

namespace gradient_check {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool is_utf8(std::string locale) {
  std::transform(locale.begin(), locale.end(), locale.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return locale.find("utf-8") != locale.npos || locale.find("utf8") != locale.npos;
}

void color(std::string& text, const std::string& word, const std::string& code) {
  const std::string colored = "\033[" + code + "m" + word + "\033[0m";
  for (std::size_t at = 0; (at = text.find(word, at)) != text.npos; at += colored.size()) {
    text.replace(at, word.size(), colored);
  }
}

}  // namespace

Terminal standard_output() {
  Terminal terminal;
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {  // the first that is set decides
    const std::string locale = environment(name);
    if (locale.empty()) continue;
    terminal.utf8 = is_utf8(locale);
    break;
  }
  const std::string term = environment("TERM");
  terminal.color = ::isatty(STDOUT_FILENO) == 1 && environment("NO_COLOR").empty() &&
                   !term.empty() && term != "dumb";
  return terminal;
}

std::string with_colors(std::string text, const Terminal& terminal) {
  using xgrad::Verdict;
  if (!terminal.color) return text;
  constexpr const char* bold_red = "1;31";
  constexpr const char* green = "32";
  constexpr const char* yellow = "33";
  color(text, name(Verdict::wrong), bold_red);
  color(text, name(Verdict::correct), green);
  for (const Verdict verdict :
       {Verdict::kink, Verdict::ill_conditioned, Verdict::vacuous, Verdict::not_deterministic}) {
    color(text, name(verdict), yellow);
  }
  return text;
}

}  // namespace gradient_check
