#include <string_view>

#include <xgrad/core/runtime/text_stream.hpp>
#include <xgrad/core/watch/formula.hpp>

namespace xgrad::detail {
namespace {

struct Infix {
  std::string_view name;
  const char* symbol;
  int precedence;
};
constexpr Infix infixes[] = {{"greater", " > ", 1},  {"equal", " == ", 1},   {"add", " + ", 2},
                             {"subtract", " - ", 2}, {"multiply", " * ", 3}, {"divide", " / ", 3}};
constexpr int prefix_precedence = 4;

struct Text {
  std::string text;
  int precedence;
};

std::string bracketed(const Text& part, int precedence) {
  if (part.precedence >= precedence) return part.text;
  return std::string("(").append(part.text).append(")");
}

Text write(const ExpressionType& type, const double* constants, int index) {
  constexpr int atom = 9;
  const TreeNode& node = type.nodes[index];
  if (node.constant) {
    TextStream number;
    number << constants[node.index];
    return {number.str(), constants[node.index] < 0 ? prefix_precedence : atom};
  }
  if (!node.op) return {leaf_name(node.index), atom};
  const auto argument = [&](int k) {
    return write(type, constants, node.args[static_cast<std::size_t>(k)]);
  };
  const std::string_view name = node.op->name;
  if (name == "negate") {
    return {std::string("-").append(bracketed(argument(0), prefix_precedence)), prefix_precedence};
  }
  for (const Infix& infix : infixes) {
    if (infix.name != name) continue;
    return {bracketed(argument(0), infix.precedence) + infix.symbol +
                bracketed(argument(1), infix.precedence + 1),
            infix.precedence};
  }
  std::string call = node.op->name;
  for (int k = 0; k < node.op->arity; ++k) call += (k == 0 ? "(" : ", ") + argument(k).text;
  return {call + ")", atom};
}

}  // namespace

std::string formula(const ExpressionType& type, const double* constants, int node) {
  return write(type, constants, node).text;
}

std::string formula(const ExpressionType& type, const double* constants) {
  return formula(type, constants, type.node_count - 1);
}

std::string leaf_name(int leaf) { return std::string(1, static_cast<char>('a' + leaf)); }

}  // namespace xgrad::detail
