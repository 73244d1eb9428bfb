// An op without a row fails the tests: each function on Vars that a header of ops/, or
// core/arithmetic.hpp, declares in namespace xgrad must be registered as an OpRow, and each OpRow
// must be such a function.
#include "ops/op_rows.hpp"

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

/// The name of the function on Vars that a declaration declares, or "".
std::string declared_op(const std::string& declaration) {
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
std::set<std::string> declared_ops(const std::string& source) {
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

TEST(OpRows, TheParserFindsFunctionsOnVarsInNamespaceXgrad) {
  const std::set<std::string> expected{"tanh", "operator+", "sum", "split", "defined"};
  EXPECT_EQ(declared_ops(R"(
      #include <x>
      namespace xt { class Var; int no(Var x); }
      namespace xgrad {
      namespace detail { auto hidden(Operand auto& x) { return x; } }
      struct Options { Axes axes = {}; Var method(const Var& x); };
      /// Not a function(Var).
      auto tanh(const detail::PointwiseOperand auto& x) { return pointwise<Tanh>(x); }
      template <class A, class B>
      requires detail::Operands<A, B>
      auto operator+(const A& a, const B& b) { return f(g(a), b); }
      Var sum(const Var& x, Options options = {});
      int no_operand(int i);
      std::vector<Var> split(const Var& x, Index n, Index axis);
      inline Var defined(std::initializer_list<Var> xs) { return no(Var()); }
      }  // namespace xgrad
      Var outside(Var x);
      )"),
            expected);
}

TEST(OpRows, EveryOpHasARowAndEveryRowIsAnOp) {
  const std::filesystem::path root = std::filesystem::path(XGRAD_TESTS_DIR).parent_path();
  std::vector<std::filesystem::path> headers{root / "core" / "arithmetic.hpp"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "ops")) {
    if (entry.path().extension() == ".hpp") headers.push_back(entry.path());
  }
  std::set<std::string> declared;
  for (const std::filesystem::path& header : headers) {
    std::ifstream stream(header);
    ASSERT_TRUE(stream) << header;
    std::ostringstream text;
    text << stream.rdbuf();
    for (const std::string& op : declared_ops(text.str())) {
      declared.insert(op);
      EXPECT_TRUE(xgrad::testing::OpRow::names().contains(op))
          << header << " declares " << op << ", which no OpRow names";
    }
  }
  for (const std::string& row : xgrad::testing::OpRow::names()) {
    EXPECT_TRUE(declared.contains(row)) << "OpRow " << row << " names no op";
  }
}

}  // namespace
