#include <ostream>
#include <unordered_map>
#include <vector>

#include <xgrad/core/dot.hpp>
#include <xgrad/core/engine/record.hpp>
#include <xgrad/core/value_range.hpp>
#include <xgrad/core/watch/formula.hpp>
#include <xgrad/core/watch/tape_watch.hpp>

namespace xgrad {
namespace {

using detail::Input;
using detail::no_slot;
using detail::Parameter;
using detail::Slot;
using detail::TapeData;

/// A quoted string: quotes and backslashes escaped, a new line as \n.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (c == '\n') {
      result += "\\n";
    } else {
      result += c;
    }
  }
  return result + '"';
}

/// "n12"
std::string id(char kind, std::size_t number) {
  std::string text(1, kind);
  return text.append(std::to_string(number));
}

class DotWriter {
 public:
  DotWriter(std::ostream& out, const TapeData& tape)
      : out_(out), tape_(tape), watch_(detail::TapeWatch::of(tape)), ranges_(tape.slots.size()) {}

  void write() {
    find_ranges();
    out_ << "digraph tape {\n  node [shape=box];\n";
    for (const std::uint32_t slot : tape_.parameter_slots) {
      write_node(id('p', slot), name_of(*tape_.slots[slot].parameter), ranges_[slot],
                 " shape=ellipse");
    }
    write_nodes();
    for (std::uint32_t node = 0; node < tape_.nodes.size(); ++node) write_edges(node);
    out_ << "}\n";
  }

 private:
  /// The value of a node is held by those that read it, if any.
  void find_ranges() {
    for (std::size_t slot = 0; slot < ranges_.size(); ++slot) {
      const Slot& at = tape_.slots[slot];
      ranges_[slot] = at.parameter ? to_string(range_of(at.parameter->value)) : to_string(at.shape);
    }
    std::vector<bool> known(ranges_.size());
    for (std::uint32_t node = 0; node < tape_.nodes.size(); ++node) {
      for (const Input& input : tape_.inputs(node)) {
        if (input.slot == no_slot || !input.var.defined() || known[input.slot]) continue;
        const Slot& slot = tape_.slots[input.slot];
        if (slot.parameter) continue;
        const Tensor& x = input.var.tensor();
        const Tensor whole =
            x.view(x.bytes() + (slot.base - x.bytes()), slot.shape, contiguous_strides(slot.shape));
        ranges_[input.slot] = to_string(range_of(whole));
        known[input.slot] = true;
      }
    }
  }

  std::string name_of(const Parameter& parameter) const {
    return watch_ ? watch_->name_of(parameter) : parameter.name;
  }

  void write_node(const std::string& name, const std::string& what, const std::string& range,
                  const char* style = "") {
    out_ << "  " << name << " [label=" << quoted(what + "\n" + range) << style << "];\n";
  }

  void write_node(std::uint32_t node) {
    std::string what = watch_ ? watch_->op_of(node) : "";
    if (const detail::Operation* operation = tape_.nodes[node].operation) {
      const detail::FusedExpression expression = operation->expression();
      what = expression.type ? formula(*expression.type, expression.constants) : operation->name();
    }
    write_node(id('n', node), what, ranges_[tape_.nodes[node].slot]);
  }

  void write_nodes() {
    if (!watch_) {
      for (std::uint32_t node = 0; node < tape_.nodes.size(); ++node) write_node(node);
      return;
    }
    const auto& scopes = watch_->scopes();
    parts_.resize(scopes.size());
    for (std::uint32_t node = 0; node < tape_.nodes.size(); ++node) {
      parts_[watch_->scope_of(node)].nodes.push_back(node);
    }
    for (auto scope = static_cast<std::uint32_t>(scopes.size());
         scope-- > 1;) {  // inner ones first
      Part& part = parts_[scope];
      if (part.nodes.empty() && part.scopes.empty()) continue;
      Part& outer = parts_[scopes[scope].outer];
      outer.scopes.insert(outer.scopes.begin(), scope);
    }
    write_scope(0);
  }

  void write_scope(std::uint32_t scope) {
    if (scope != 0) {
      const auto& record = watch_->scopes()[scope];
      std::string label = record.name;
      if (record.index >= 0) label.append(" ").append(std::to_string(record.index));
      out_ << "  subgraph cluster_" << scope << " {\n  label=" << quoted(label) << ";\n";
    }
    for (const std::uint32_t node : parts_[scope].nodes) write_node(node);
    for (const std::uint32_t inner : parts_[scope].scopes) write_scope(inner);
    if (scope != 0) out_ << "  }\n";
  }

  void write_edges(std::uint32_t node) {
    const detail::Operation* operation = tape_.nodes[node].operation;
    const bool fused = operation && operation->expression().type;
    const auto inputs = tape_.inputs(node);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Input& input = inputs[i];
      std::string from;
      std::string label = fused ? detail::leaf_name(static_cast<int>(i)) : std::to_string(i);
      if (input.slot != no_slot) {
        const Slot& slot = tape_.slots[input.slot];
        from = slot.parameter ? id('p', input.slot) : id('n', slot.producer);
        if (input.var.defined() && !(input.var.shape() == slot.shape)) {
          label.append(" ").append(to_string(input.var.shape()));
        }
      } else {
        if (!input.var.defined()) continue;
        from = constant(input.var);
      }
      out_ << "  " << from << " -> n" << node << " [label=" << quoted(label) << "];\n";
    }
  }

  /// The id of a constant, which is written when first read.
  std::string constant(const Var& x) {
    const auto [place, is_new] = constants_.try_emplace(x.data(), constants_.size());
    const std::string name = id('c', place->second);
    if (is_new) {
      const Parameter* parameter = x.parameter_or_null();
      const std::string what = parameter ? name_of(*parameter) + " (constant)" : "constant";
      write_node(name, what, to_string(range_of(x.tensor())), " shape=ellipse style=dashed");
    }
    return name;
  }

  struct Part {
    std::vector<std::uint32_t> nodes;
    std::vector<std::uint32_t> scopes;
  };

  std::ostream& out_;
  const TapeData& tape_;
  const detail::TapeWatch* watch_;
  std::vector<std::string> ranges_;  ///< by slot: shape and range
  std::vector<Part> parts_;          ///< by scope
  std::unordered_map<const detail::VarData*, std::size_t> constants_;
};

}  // namespace

void write_dot(std::ostream& out, const Tape& tape) { DotWriter(out, tape.data()).write(); }

}  // namespace xgrad
