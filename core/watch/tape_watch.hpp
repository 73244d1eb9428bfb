#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <xgrad/core/engine/observer.hpp>
#include <xgrad/core/engine/record.hpp>
#include <xgrad/core/flight_recorder.hpp>

namespace xgrad::detail {

class TapeWatch;

/// The state behind a FlightRecorder.
struct RecorderData {
  struct Name {
    Var parameter;  ///< kept alive: its address is the key
    std::string name;
  };
  FlightRecorderOptions options;
  std::unordered_map<const Parameter*, Name> names;
  Index tapes = 0;
  std::shared_ptr<const TapeWatch> sampled;  ///< of the latest sampled tape
  std::size_t most_nodes = 0;                ///< of a tape so far: memory to reserve for the next
  std::size_t most_scopes = 0;
};

/// The tapes that begin on this thread are the recorder's from now on, or no longer.
void begin_recorder(const std::shared_ptr<RecorderData>& recorder);
void end_recorder(const std::shared_ptr<RecorderData>& recorder);

/// A recorder's part for one tape: what scope a node is in, the checks, which throw NonFiniteError,
/// the statistics. It holds no values, and outlives its tape if the recorder reports it.
class TapeWatch final : public TapeObserver {
 public:
  TapeWatch(std::shared_ptr<RecorderData> recorder, std::uint64_t tape, bool sampled);
  ~TapeWatch() override;

  /// For a new tape, of this thread's innermost recorder.
  static std::shared_ptr<TapeObserver> begin(std::uint64_t tape);
  /// Of a tape, if a FlightRecorder watches it, else null.
  static const TapeWatch* of(const TapeData& tape) {
    return static_cast<const TapeWatch*>(tape.observer());
  }

  std::uint32_t open_scope(std::string_view name, Index index) override;
  void close_scope(std::uint32_t outer) noexcept override { scope_ = outer; }
  void set_module(const Var& parameter, const std::string& name) override;
  void add_state(const Var& x, Index number) override;
  void recorded(const TapeData& tape, std::uint32_t node, const Tensor& value) override;
  bool stops_at(const Tensor& x) const override;
  void check_seed(const TapeData& tape, const Input& y, const Tensor& seed) const override;
  void reached(const TapeData& tape, std::uint32_t node, const Tensor& gradient) override;
  void check_pulled(const TapeData& tape, std::uint32_t node, const Input& input,
                    const Tensor& gradient, const Tensor& pulled) const override;
  void check_product(const TapeData& tape, std::uint32_t node, const Tensor& a, const Tensor& b,
                     const Tensor& product) const override;
  [[noreturn]] void stop_at_sum(const TapeData& tape, std::uint32_t node,
                                const Tensor& sum) const override;

  // -- reports ----------------------------------------------------------------------------------

  struct ScopeRecord {
    std::uint32_t outer;
    std::string name;
    Index index;
    Ref<Parameter> parameter;  ///< of the module, or null
    std::size_t levels;        ///< the parts of the parameter's name that are not the module's
  };
  /// All scopes; the first one is the tape itself.
  const std::vector<ScopeRecord>& scopes() const { return scopes_; }
  std::uint32_t scope_of(std::uint32_t node) const { return nodes_[node].scope; }
  const char* op_of(std::uint32_t node) const { return nodes_[node].op; }
  std::string name_of(const Parameter& parameter) const;
  std::vector<GradientNorm> gradient_norms() const;
  std::vector<Saturation> saturations() const;

 private:
  struct NodeRecord {
    std::uint32_t scope;
    const char* op;
  };
  struct State {
    std::uint32_t scope;
    Index number;
    const std::byte* first;
    Shape shape;
    Shape strides;
    double norm;
  };
  /// The activations of an expression, and which nodes of its tree they need.
  struct Activations {
    std::vector<int> nodes;
    std::vector<char> needed;
  };
  struct SaturationRecord {
    std::uint32_t scope;
    const ExpressionType* type;
    std::vector<double> constants;
    int tree_node;
    Index samples;
    Index low;
    Index high;
  };

  void begin_pass() override;
  void end_pass() noexcept override;
  void sample(std::span<const Input> inputs, FusedExpression expression, const Shape& shape);
  [[noreturn]] void stop_forward(const TapeData& tape, std::uint32_t node,
                                 const Tensor& value) const;
  [[noreturn]] void stop_backward(const TapeData& tape, std::uint32_t node, const Input& input,
                                  const Tensor& gradient, const Tensor& pulled) const;
  std::string describe(const TapeData& tape, const Input& input) const;
  TapePlace place(std::uint32_t scope) const;
  TapePlace place(const TapeData& tape, std::uint32_t node) const;
  bool stops_at(Finiteness worst) const;

  std::shared_ptr<RecorderData> recorder_;
  std::uint64_t tape_;
  bool sampled_;
  bool in_pass_ = false;
  std::uint32_t scope_before_pass_ = 0;
  std::uint32_t scope_ = 0;
  std::vector<ScopeRecord> scopes_;
  std::vector<NodeRecord> nodes_;
  std::vector<State> states_;
  std::unordered_multimap<std::uint32_t, std::size_t> states_of_slot_;
  std::unordered_map<const ExpressionType*, Activations> activations_;
  std::vector<SaturationRecord> saturations_;
};

}  // namespace xgrad::detail
