// An op without a row fails the tests: each function on Vars that a header of ops/, or
// core/arithmetic.hpp, declares in namespace xgrad must be registered as an OpRow, and each OpRow
// must be such a function.
#include "ops/op_rows.hpp"

#include <gtest/gtest.h>

#include "declarations.hpp"

namespace xgrad::testing {
namespace {

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
  std::set<std::string> declared;
  for (const std::filesystem::path& header : op_headers()) {
    for (const std::string& op : declared_ops(text_of(header))) {
      declared.insert(op);
      EXPECT_TRUE(OpRow::names().contains(op))
          << header << " declares " << op << ", which no OpRow names";
    }
  }
  for (const std::string& row : OpRow::names()) {
    EXPECT_TRUE(declared.contains(row)) << "OpRow " << row << " names no op";
  }
}

}  // namespace
}  // namespace xgrad::testing
