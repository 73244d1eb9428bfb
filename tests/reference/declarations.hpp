// What headers declare, for the tests that demand a reference case of everything.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace xgrad::testing {

struct Declarations {
  /// "Dense" or, in a namespace inside xgrad::nn, "layers::Dense": the last word of each base.
  std::map<std::string, std::string> bases;
  /// The members of each struct ...Options: type and name.
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> options;
  /// The values of each enum class.
  std::map<std::string, std::vector<std::string>> enumerators;

  /// The classes, and aliases of class templates, that derive from one of these or from each other.
  std::set<std::string> derived_from(std::set<std::string> roots) const {
    const auto last_word = [](const std::string& name) {
      return name.substr(name.find_last_of(':') + 1);  // npos + 1 is 0
    };
    std::set<std::string> found;
    std::size_t before = 0;
    do {
      before = found.size();
      for (const auto& [name, base] : bases) {
        if (!roots.contains(base)) continue;
        found.insert(name);
        roots.insert(last_word(name));
      }
    } while (found.size() != before);
    return found;
  }
};

/// Adds what the text of a header declares, in detail namespaces apart.
inline void add_declarations(const std::string& header, Declarations& to) {
  static const std::regex no_code("//[^\n]*|#[^\n]*|\"[^\"\n]*\"");
  static const std::regex space("\\bnamespace\\s*([\\w:]*)\\s*$");
  static const std::regex derived(
      "\\b(?:struct|class)\\s+(\\w+)\\s*(?:final\\s*)?:\\s*(?:public\\s+)?(?:\\w+::)*(\\w+)"
      "[^;]*$");
  static const std::regex alias("\\busing\\s+(\\w+)\\s*=\\s*(?:\\w+::)*(\\w+)\\s*<");
  static const std::regex option("\\bstruct\\s+(\\w+Options)\\s*$");
  static const std::regex enumeration("\\benum\\s+class\\s+(\\w+)[^]*$");
  static const std::regex member("^\\s*([^=]*?)\\s+(\\w+)\\s*(?:=[^]*)?$");
  const std::string text = std::regex_replace(header, no_code, "");
  std::vector<std::string> scopes;  // "" for what is no namespace
  std::string declaration;
  const auto qualified = [&](const std::string& name) {
    std::string result;
    for (const std::string& scope : scopes) {
      if (!scope.empty()) result += scope + "::";
    }
    for (const char* outer : {"xgrad::", "nn::"}) {
      if (result.starts_with(outer)) result.erase(0, std::string(outer).size());
    }
    return result + name;
  };
  const auto add_base = [&](const std::smatch& match) {
    const std::string name = qualified(match[1]);
    if (name.find("detail::") == std::string::npos) to.bases[name] = match[2];
  };
  int parentheses = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    parentheses += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (parentheses > 0 || (c != '{' && c != '}' && c != ';')) {
      declaration += c;
      continue;
    }
    std::smatch match;
    if (c == '}') {
      if (!scopes.empty()) scopes.pop_back();
    } else if (c == ';') {
      if (std::regex_search(declaration, match, alias)) add_base(match);
    } else if (std::regex_search(declaration, match, space)) {
      scopes.push_back(match[1]);
    } else if (std::regex_search(declaration, match, option)) {
      // Members may have default values in braces.
      std::string body;
      int depth = 1;
      while (++at < text.size()) {
        depth += text[at] == '{' ? 1 : text[at] == '}' ? -1 : 0;
        if (depth == 0) break;
        body += text[at];
      }
      std::istringstream members(body);
      for (std::string line; std::getline(members, line, ';');) {
        std::smatch parts;
        if (std::regex_match(line, parts, member)) {
          to.options[match[1]].emplace_back(parts[1], parts[2]);
        }
      }
    } else if (std::regex_search(declaration, match, enumeration)) {
      const std::size_t end = text.find('}', at);
      const std::string body = text.substr(at + 1, end - at - 1);
      static const std::regex word("\\w+");
      for (std::sregex_iterator i(body.begin(), body.end(), word), none; i != none; ++i) {
        to.enumerators[match[1]].push_back(i->str());
      }
      at = end;
    } else {
      if (std::regex_search(declaration, match, derived)) add_base(match);
      scopes.emplace_back();
    }
    declaration.clear();
  }
}

/// The text of a file. Throws std::runtime_error if it cannot be read.
inline std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) throw std::runtime_error("cannot read " + file.string());
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// What all headers of a folder declare.
inline Declarations declarations_in(const std::filesystem::path& folder) {
  Declarations result;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".hpp") add_declarations(text_of(entry.path()), result);
  }
  return result;
}

}  // namespace xgrad::testing
