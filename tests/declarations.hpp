// What the headers declare, for the rules that each of it must be tested.
#pragma once

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace xgrad::testing {

/// The name of the function on Vars that a declaration declares, or "".
inline std::string declared_op(const std::string& declaration) {
  static const std::regex other("^\\s*(struct|class|enum|using|concept)\\b");
  static const std::regex function("(operator\\s*[^\\s\\w(]+|\\b\\w+)\\s*\\(([^]*)\\)");
  std::smatch match;
  if (std::regex_search(declaration, other)) return "";
  if (!std::regex_search(declaration, match, function)) return "";
  // The operands of a template may be named by its constraint alone.
  static const std::regex operand("\\bVar\\b|Operand");
  if (!std::regex_search(declaration, operand)) return "";
  return match[1];
}

/// The ops that a header declares directly in namespace xgrad.
inline std::set<std::string> declared_ops(const std::string& source) {
  const std::string text = std::regex_replace(source, std::regex("//[^\n]*|#[^\n]*"), "");
  std::set<std::string> ops;
  std::string declaration;
  int parentheses = 0;
  int skipped = 0;      // braces within which declarations do not count
  bool inside = false;  // namespace xgrad
  const auto finish = [&] {
    const std::string op = inside ? declared_op(declaration) : "";
    if (!op.empty()) ops.insert(op);
    declaration.clear();
  };
  for (const char c : text) {
    if (skipped > 0) {
      skipped += c == '{' ? 1 : c == '}' ? -1 : 0;
    } else if (parentheses == 0 && c == '{') {
      if (std::regex_search(declaration, std::regex("\\bnamespace\\s+xgrad\\s*$"))) {
        inside = true;
        declaration.clear();
      } else {
        finish();
        skipped = 1;
      }
    } else if (parentheses == 0 && (c == ';' || c == '}')) {
      if (c == '}') inside = false;
      finish();
    } else {
      parentheses += c == '(' ? 1 : c == ')' ? -1 : 0;
      declaration += c;
    }
  }
  return ops;
}

inline std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) throw std::runtime_error("cannot read " + file.string());
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

inline std::vector<std::filesystem::path> headers_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> headers;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".hpp") headers.push_back(entry.path());
  }
  return headers;
}

/// The source tree above the tests.
inline std::filesystem::path source_root() {
  return std::filesystem::path(XGRAD_TESTS_DIR).parent_path();
}

/// All headers that declare ops.
inline std::vector<std::filesystem::path> op_headers() {
  std::vector<std::filesystem::path> headers = headers_in(source_root() / "ops");
  headers.push_back(source_root() / "core" / "arithmetic.hpp");
  return headers;
}

/// The classes that a header derives from Module, and, as `layers::Name`, from Layer.
inline std::set<std::string> declared_modules(const std::string& source) {
  const std::string text = std::regex_replace(source, std::regex("//[^\n]*"), "");
  static const std::regex declaration(
      R"((?:struct|class)\s+(\w+)\s*(?:final\s*)?:\s*(?:public\s+)?)"
      R"((?:nn::)?(Module|Layer|Recurrent<\w+>)\s*\{)");
  std::set<std::string> modules;
  for (std::sregex_iterator at(text.begin(), text.end(), declaration), end; at != end; ++at) {
    const bool module = (*at)[2] == "Module";
    modules.insert((module ? "" : "layers::") + (*at)[1].str());
  }
  return modules;
}

}  // namespace xgrad::testing
