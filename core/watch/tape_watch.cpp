#include <algorithm>
#include <cmath>

#include <xgrad/core/expression.hpp>
#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/core/watch/formula.hpp>
#include <xgrad/core/watch/tape_watch.hpp>

namespace xgrad::detail {
namespace {

struct Activation {
  std::string_view name;
  double low;
  double high;
};
constexpr Activation known_activations[] = {{"sigmoid", 0, 1}, {"tanh", -1, 1}};

const Activation* activation_of(const TreeNode& node) {
  if (!node.op) return nullptr;
  const auto* found =
      std::find_if(std::begin(known_activations), std::end(known_activations),
                   [&](const Activation& each) { return each.name == node.op->name; });
  return found == std::end(known_activations) ? nullptr : found;
}

std::size_t arg_of(const TreeNode& node, int k) {
  return static_cast<std::size_t>(node.args[static_cast<std::size_t>(k)]);
}

/// The node of the tree that has `child` as an argument.
std::size_t parent_of(const ExpressionType& type, std::size_t child) {
  for (std::size_t i = child + 1;; ++i) {
    const TreeNode& node = type.nodes[i];
    for (int k = 0; node.op && k < node.op->arity; ++k) {
      if (arg_of(node, k) == child) return i;
    }
  }
}

double element(const Tensor& x, const Shape& indices) {
  return dispatch(x.dtype(), [&]<class T>() {
    const T value = x.data<T>()[broadcast_offset(x, indices)];
    if constexpr (std::is_same_v<T, std::complex<double>>) {
      return finiteness(value.imag()) > finiteness(value.real()) ? value.imag() : value.real();
    } else {
      return static_cast<double>(value);
    }
  });
}

/// "lstm.layer2.Wh" without its last part is "lstm.layer2".
std::string without_last(std::string name, std::size_t levels) {
  for (; levels > 0; --levels) {
    const auto dot = name.rfind('.');
    if (dot == std::string::npos) return {};
    name.resize(dot);
  }
  return name;
}

std::string common_path(std::string a, std::string b) {
  while (a != b) {
    std::string& longer = a.size() >= b.size() ? a : b;
    longer = without_last(longer, 1);
  }
  return a;
}

PoolVector<Var> leaves_of(std::span<const Input> inputs) {
  PoolVector<Var> leaves;
  for (const Input& input : inputs) leaves.push_back(input.var);
  return leaves;
}

/// The name of a fused expression's part in an error: "b, the output of matmul", or its formula.
std::string part_name(const FusedExpression& expression, int node, const std::string& leaf) {
  const TreeNode& at = expression.type->nodes[node];
  const std::string text = formula(*expression.type, expression.constants, node);
  return at.op || at.constant ? text : text + ", " + leaf;
}

/// `count` positions among `size`, spread evenly by the golden ratio whatever the rows are: a fixed
/// step would visit but a few columns.
std::vector<Index> spread(Index size, Index count) {
  std::vector<Index> positions;
  for (Index i = 0; i < std::min(size, count); ++i) {
    if (size <= count) {
      positions.push_back(i);
    } else {
      const double turns = 0.6180339887498949 * static_cast<double>(i);
      const double fraction = turns - std::floor(turns);
      positions.push_back(static_cast<Index>(fraction * static_cast<double>(size)));
    }
  }
  return positions;
}

/// Those elements of x, broadcast to `shape`.
Tensor gather(const Tensor& x, const Shape& shape, const std::vector<Index>& positions) {
  const Tensor result = Tensor::uninitialized({static_cast<Index>(positions.size())}, x.dtype());
  const bool plain = x.shape() == shape && x.is_contiguous();
  dispatch(x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = result.mutable_data<T>();
    for (const Index position : positions) {
      *to++ = from[plain ? position : broadcast_offset(x, indices_at(shape, position))];
    }
  });
  return result;
}

/// True if the node's output consists of numbers that were checked when they were recorded.
bool moves_checked_numbers(const TapeData& tape, std::uint32_t node) {
  if (!tape.nodes[node].operation->is_exact()) return false;
  const std::span<const Input> inputs = tape.inputs(node);
  return std::all_of(inputs.begin(), inputs.end(), [&](const Input& input) {
    return input.slot != no_slot && tape.slots[input.slot].producer != no_node;
  });
}

// The recorders of this thread; the last one watches.
thread_local std::vector<std::shared_ptr<RecorderData>> recorders;

}  // namespace

void begin_recorder(const std::shared_ptr<RecorderData>& recorder) {
  recorders.push_back(recorder);
  begin_observer = TapeWatch::begin;
}

void end_recorder(const std::shared_ptr<RecorderData>& recorder) {
  recorder->sampled.reset();  // which holds the recorder in turn
  std::erase(recorders, recorder);
  if (recorders.empty()) begin_observer = nullptr;
}

std::shared_ptr<TapeObserver> TapeWatch::begin(std::uint64_t tape) {
  const std::shared_ptr<RecorderData>& recorder = recorders.back();
  const Index every = recorder->options.sample_every;
  const bool sampled = every > 0 && recorder->tapes % every == 0;
  auto watch = std::make_shared<TapeWatch>(recorder, tape, sampled);
  watch->nodes_.reserve(recorder->most_nodes);
  watch->scopes_.reserve(recorder->most_scopes);
  ++recorder->tapes;
  if (sampled) recorder->sampled = watch;
  return watch;
}

TapeWatch::TapeWatch(std::shared_ptr<RecorderData> recorder, std::uint64_t tape, bool sampled)
    : recorder_(std::move(recorder)), tape_(tape), sampled_(sampled), scopes_{{0, {}, -1, {}, 0}} {}

TapeWatch::~TapeWatch() {
  recorder_->most_nodes = std::max(recorder_->most_nodes, nodes_.size());
  recorder_->most_scopes = std::max(recorder_->most_scopes, scopes_.size());
}

// -- scopes ---------------------------------------------------------------------------------------

std::uint32_t TapeWatch::open_scope(std::string_view name, Index index) {
  scopes_.push_back({scope_, std::string(name), index, {}, 0});
  return std::exchange(scope_, static_cast<std::uint32_t>(scopes_.size() - 1));
}

void TapeWatch::set_module(const Var& parameter, const std::string& name) {
  scopes_[scope_].parameter = parameter.data()->parameter;
  scopes_[scope_].levels = 1 + static_cast<std::size_t>(std::count(name.begin(), name.end(), '.'));
}

void TapeWatch::add_state(const Var& x, Index number) {
  if (!sampled_ || !x.defined() || x.data()->tape != tape_) return;
  const Tensor& value = x.tensor();
  states_.push_back({scope_, number, value.bytes(), value.shape(), value.strides(), 0});
  states_of_slot_.emplace(x.data()->slot, states_.size() - 1);
}

// -- forward --------------------------------------------------------------------------------------

bool TapeWatch::stops_at(Finiteness worst) const {
  const StopAt at = recorder_->options.stop_at;
  return at != StopAt::never &&
         worst >= (at == StopAt::nan ? Finiteness::nan : Finiteness::infinite);
}

bool TapeWatch::stops_at(const Tensor& x) const {
  return recorder_->options.stop_at != StopAt::never && stops_at(finiteness(x));
}

void TapeWatch::recorded(const TapeData& tape, std::uint32_t node, const Tensor& value) {
  const Operation& operation = *tape.nodes[node].operation;
  nodes_.resize(node + 1);  // if memory ran out here, the node before is missing
  nodes_[node] = {scope_, operation.name()};
  if (in_pass_) return;  // a recorded backward pass, where gradients are checked
  if (!moves_checked_numbers(tape, node) && stops_at(value)) stop_forward(tape, node, value);
  if (!sampled_) return;
  const FusedExpression expression = operation.expression();
  if (expression.type) sample(tape.inputs(node), expression, value.shape());
}

void TapeWatch::sample(std::span<const Input> inputs, FusedExpression expression,
                       const Shape& shape) {
  const ExpressionType& type = *expression.type;
  auto place = activations_.find(&type);
  if (place == activations_.end()) {
    Activations activations;
    activations.needed.resize(static_cast<std::size_t>(type.node_count));
    for (int i = type.node_count; i-- > 0;) {
      const TreeNode& node = type.nodes[i];
      char& needed = activations.needed[static_cast<std::size_t>(i)];
      if (activation_of(node)) {
        activations.nodes.insert(activations.nodes.begin(), i);
        needed = 1;
      }
      for (int k = 0; needed && node.op && k < node.op->arity; ++k) {
        activations.needed[arg_of(node, k)] = 1;
      }
    }
    place = activations_.emplace(&type, std::move(activations)).first;
  }
  const Activations& activations = place->second;
  if (activations.nodes.empty()) return;
  const RecordingScope no_recording(false);
  const std::vector<Index> positions = spread(element_count(shape), recorder_->options.samples);
  const auto samples = static_cast<Index>(positions.size());
  PoolVector<Var> values(activations.needed.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!activations.needed[i]) continue;
    const TreeNode& node = type.nodes[i];
    if (node.op) {
      Var args[PointwiseOp::max_arity];
      for (int k = 0; k < node.op->arity; ++k) {
        args[k] = values[arg_of(node, k)];
      }
      values[i] = node.op->apply(args);
    } else if (node.constant) {
      values[i] = Tensor::full({}, expression.constants[node.index], inputs[0].var.dtype());
    } else {
      const auto leaf = static_cast<std::size_t>(node.index);
      values[i] = gather(inputs[leaf].var.tensor(), shape, positions);
    }
  }
  for (const int i : activations.nodes) {
    const Activation& activation = *activation_of(type.nodes[i]);
    const double margin = recorder_->options.saturation_margin * (activation.high - activation.low);
    SaturationRecord record{scope_, &type, {}, i, samples, 0, 0};
    record.constants.assign(expression.constants, expression.constants + type.constants);
    const Tensor& y = values[static_cast<std::size_t>(i)].tensor();
    dispatch(y.dtype(), [&]<class T>() {
      for (Index k = 0; k < samples; ++k) {
        const double each = std::real(y.data<T>()[k]);
        record.low += each < activation.low + margin;
        record.high += each > activation.high - margin;
      }
    });
    saturations_.push_back(std::move(record));
  }
}

void TapeWatch::stop_forward(const TapeData& tape, std::uint32_t node, const Tensor& value) const {
  const RecordingScope no_recording(false);
  const auto inputs = tape.inputs(node);
  const Operation& operation = *tape.nodes[node].operation;
  NonFinite found;
  found.pass = NonFinite::Pass::forward;
  found.op = operation.name();
  found.node = node;
  found.place = place(tape, node);
  found.result = range_of(value);
  const FusedExpression expression = operation.expression();
  if (!expression.type) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& x = inputs[i].var.tensor();
      const NamedRange input{"input " + std::to_string(i) + ", " + describe(tape, inputs[i]),
                             range_of(x)};
      if (stops_at(x)) {
        found.cause = NonFinite::Cause::given;
        found.inputs = {input};
        break;
      }
      found.inputs.push_back(input);
    }
    throw NonFiniteError(found);
  }
  // From the result's first such element down the tree, along what that element was made of.
  const ExpressionType& type = *expression.type;
  if (type.node_count > 1 + type.leaves + type.constants) {
    found.expression = formula(type, expression.constants);
  }
  const PoolVector<Var> values = walk(type, leaves_of(inputs).data(), expression.constants);
  Index first = 0;
  while (!stops_at(finiteness(element(value, indices_at(value.shape(), first))))) ++first;
  const Shape indices = indices_at(value.shape(), first);
  const auto bad = [&](std::size_t i) {
    return stops_at(finiteness(element(values[i].tensor(), indices)));
  };
  const auto named = [&](std::size_t i) {
    const TreeNode& at = type.nodes[i];
    const std::string leaf =
        at.op || at.constant ? "" : describe(tape, inputs[static_cast<std::size_t>(at.index)]);
    return NamedRange{part_name(expression, static_cast<int>(i), leaf),
                      range_of(values[i].tensor())};
  };
  std::size_t at = values.size() - 1;
  for (;;) {
    const TreeNode& op = type.nodes[at];
    found.op = op.op->name;
    std::size_t next = at;
    for (int k = 0; k < op.op->arity && next == at; ++k) {
      // What `where` does not choose does not matter.
      const bool chosen = found.op != "where" ||
                          k == (element(values[arg_of(op, 0)].tensor(), indices) != 0 ? 1 : 2);
      if (chosen && bad(arg_of(op, k))) next = arg_of(op, k);
    }
    if (next == at) break;
    if (!type.nodes[next].op) {
      found.cause = NonFinite::Cause::given;
      found.inputs = {named(next)};
      throw NonFiniteError(found);
    }
    at = next;
  }
  found.result = range_of(values[at].tensor());
  for (int k = 0; k < type.nodes[at].op->arity; ++k) {
    found.inputs.push_back(named(arg_of(type.nodes[at], k)));
  }
  throw NonFiniteError(found);
}

// -- backward -------------------------------------------------------------------------------------

void TapeWatch::begin_pass() {
  scope_before_pass_ = scope_;
  in_pass_ = true;
  for (State& state : states_) state.norm = 0;
}

void TapeWatch::end_pass() noexcept {
  in_pass_ = false;
  scope_ = scope_before_pass_;
}

void TapeWatch::check_seed(const TapeData& tape, const Input& y, const Tensor& seed) const {
  if (!stops_at(seed)) return;
  NonFinite found;
  found.pass = NonFinite::Pass::backward;
  found.cause = NonFinite::Cause::given;
  found.op = "backward";
  if (y.slot != no_slot && tape.slots[y.slot].producer != no_node) {
    found.node = tape.slots[y.slot].producer;
    found.place = place(tape, tape.slots[y.slot].producer);
  }
  found.inputs = {{"the seed", range_of(seed)}};
  found.result = range_of(seed);
  throw NonFiniteError(found);
}

void TapeWatch::reached(const TapeData& tape, std::uint32_t node, const Tensor& gradient) {
  scope_ = nodes_[node].scope;
  const std::uint32_t slot = tape.nodes[node].slot;
  const auto [first, last] = states_of_slot_.equal_range(slot);
  if (first == last) return;
  const Tensor whole = contiguous(gradient);
  for (auto each = first; each != last; ++each) {
    State& state = states_[each->second];
    std::byte* const place = whole.bytes() + (state.first - tape.slots[slot].base);
    state.norm = norm(whole.view(place, state.shape, state.strides));
  }
}

void TapeWatch::check_pulled(const TapeData& tape, std::uint32_t node, const Input& input,
                             const Tensor& gradient, const Tensor& pulled) const {
  if (stops_at(pulled)) stop_backward(tape, node, input, gradient, pulled);
}

void TapeWatch::check_product(const TapeData& tape, std::uint32_t node, const Tensor& a,
                              const Tensor& b, const Tensor& product) const {
  if (!stops_at(product)) return;
  NonFinite found;
  found.pass = NonFinite::Pass::backward;
  found.op = nodes_[node].op;
  found.node = node;
  found.place = place(tape, node);
  found.inputs = {{"a factor", range_of(a)}, {"a factor", range_of(b)}};
  found.result = range_of(product);
  throw NonFiniteError(found);
}

void TapeWatch::stop_at_sum(const TapeData& tape, std::uint32_t node, const Tensor& sum) const {
  NonFinite found;
  found.pass = NonFinite::Pass::backward;
  found.cause = NonFinite::Cause::sum;
  found.op = nodes_[node].op;
  found.node = node;
  found.place = place(tape, node);
  found.result = range_of(sum);
  throw NonFiniteError(found);
}

void TapeWatch::stop_backward(const TapeData& tape, std::uint32_t node, const Input& input,
                              const Tensor& gradient, const Tensor& pulled) const {
  const RecordingScope no_recording(false);
  const auto inputs = tape.inputs(node);
  const FusedExpression expression = tape.nodes[node].operation->expression();
  NonFinite found;
  found.pass = NonFinite::Pass::backward;
  found.op = nodes_[node].op;
  found.node = node;
  found.place = place(tape, node);
  found.inputs = {{"the gradient", range_of(gradient)}};
  if (!expression.type) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      found.inputs.push_back({"input " + std::to_string(i) + ", " + describe(tape, inputs[i]),
                              range_of(inputs[i].var.tensor())});
    }
    found.result = range_of(pulled);
    throw NonFiniteError(found);
  }
  // From the leaf up the tree, to the first op whose own gradient was finite.
  const ExpressionType& type = *expression.type;
  const auto leaves = leaves_of(inputs);
  const PoolVector<Var> values = walk(type, leaves.data(), expression.constants);
  const PoolVector<Var> gradients =
      walk_back(type, walk_chosen(type, leaves.data(), expression.constants), gradient);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const TreeNode& leaf = type.nodes[i];
    if (leaf.op || leaf.constant || !gradients[i].defined()) continue;
    if (inputs[static_cast<std::size_t>(leaf.index)].slot != input.slot) continue;
    if (!stops_at(gradients[i].tensor())) continue;
    std::size_t child = i;
    std::size_t at = parent_of(type, child);
    while (at + 1 < values.size() && stops_at(gradients[at].tensor())) {
      child = at;
      at = parent_of(type, child);
    }
    if (type.node_count > 1 + type.leaves + type.constants) {
      found.expression = formula(type, expression.constants);
    }
    found.op = type.nodes[at].op->name;
    found.inputs[0].range = range_of(gradients[at].tensor());
    for (int k = 0; k < type.nodes[at].op->arity; ++k) {
      const std::size_t arg = arg_of(type.nodes[at], k);
      const TreeNode& part = type.nodes[arg];
      const std::string name = part.op || part.constant
                                   ? ""
                                   : describe(tape, inputs[static_cast<std::size_t>(part.index)]);
      found.inputs.push_back(
          {part_name(expression, static_cast<int>(arg), name), range_of(values[arg].tensor())});
    }
    found.result = range_of(gradients[child].tensor());
    throw NonFiniteError(found);
  }
  stop_at_sum(tape, node, pulled);
}

// -- reports --------------------------------------------------------------------------------------

std::string TapeWatch::name_of(const Parameter& parameter) const {
  const auto known = recorder_->names.find(&parameter);
  return known == recorder_->names.end() ? parameter.name : known->second.name;
}

std::string TapeWatch::describe(const TapeData& tape, const Input& input) const {
  if (const Parameter* parameter = input.var.parameter_or_null()) {
    return (input.var.is_parameter() ? "parameter '" : "a part of parameter '") +
           name_of(*parameter) + "'";
  }
  if (input.slot == no_slot) return "a constant";
  const Slot& slot = tape.slots[input.slot];
  return std::string(input.var.shape() == slot.shape ? "the output of "
                                                     : "a part of the output of ") +
         nodes_[slot.producer].op;
}

TapePlace TapeWatch::place(std::uint32_t scope) const {
  TapePlace result;
  for (; scope != 0; scope = scopes_[scope].outer) {
    const ScopeRecord& at = scopes_[scope];
    std::string text = at.name;
    if (at.index >= 0) text.append(" ").append(std::to_string(at.index));
    result.scopes = result.scopes.empty() ? text : text + ", " + result.scopes;
    if (at.name == "layer" && result.layer < 0) result.layer = at.index;
    if (at.name == "step" && result.step < 0) result.step = at.index;
    if (at.name == "reverse") result.reverse = true;
    if (at.parameter && result.path.empty()) {
      result.path = without_last(name_of(*at.parameter), at.levels);
    }
  }
  return result;
}

TapePlace TapeWatch::place(const TapeData& tape, std::uint32_t node) const {
  TapePlace result = place(nodes_[node].scope);
  std::string path;
  bool reads_parameters = false;
  for (const Input& input : tape.inputs(node)) {
    const Parameter* parameter = input.slot != no_slot ? tape.slots[input.slot].parameter.get()
                                                       : input.var.parameter_or_null();
    if (!parameter) continue;
    const std::string module = without_last(name_of(*parameter), 1);
    path = reads_parameters ? common_path(path, module) : module;
    reads_parameters = true;
  }
  if (!path.empty()) result.path = path;
  return result;
}

std::vector<GradientNorm> TapeWatch::gradient_norms() const {
  std::vector<GradientNorm> rows;
  for (const State& state : states_) {
    rows.push_back({place(state.scope), state.number, state.norm});
  }
  return rows;
}

std::vector<Saturation> TapeWatch::saturations() const {
  std::vector<Saturation> rows;
  for (const SaturationRecord& each : saturations_) {
    const double share = each.samples == 0 ? 0 : 1 / static_cast<double>(each.samples);
    rows.push_back({place(each.scope), formula(*each.type, each.constants.data(), each.tree_node),
                    formula(*each.type, each.constants.data()), each.samples,
                    share * static_cast<double>(each.low), share * static_cast<double>(each.high)});
  }
  return rows;
}

}  // namespace xgrad::detail
