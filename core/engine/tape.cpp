#include <unordered_map>
#include <utility>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/engine/fast_backward.hpp>
#include <xgrad/core/engine/functional_backward.hpp>
#include <xgrad/core/tape.hpp>

namespace xgrad {
namespace {

void check_seed(const char* caller, const Var& y, const Tensor& seed) {
  if (!(seed.shape() == y.shape()) || seed.dtype() != y.dtype()) {
    throw Error(std::string(caller) + ": y is " + to_string(y.shape()) + " of " + name(y.dtype()) +
                ", its seed is " + to_string(seed.shape()) + " of " + name(seed.dtype()) +
                ": they must be the same");
  }
}

Tensor unit_seed(const char* caller, const Var& y) {
  if (y.size() != 1) {
    throw Error(std::string(caller) + ": y is " + to_string(y.shape()) +
                ": it must be a scalar, or its gradient must be given as seed");
  }
  return Tensor::full(y.shape(), 1.0, y.dtype());
}

void check_real(const char* caller, const Var& y) {
  if (y.dtype() == DType::complex128) {
    throw Error(std::string(caller) + ": y is complex128, of which only `grad` with create_graph " +
                "takes gradients");
  }
}

}  // namespace

Tape::Tape(TapeMode mode) : data_(std::make_unique<detail::TapeData>(mode)) {}
Tape::~Tape() = default;
Scope Tape::scope(std::string_view name, Index index) const {
  return Scope(data_->shared_observer(), name, index);
}
std::size_t Tape::size() const { return data_->nodes.size(); }
std::uint64_t Tape::id() const { return data_->id(); }

void Tape::backward(const Var& loss, BackwardOptions options) {
  backward(loss, unit_seed("backward", loss), options);
}

void Tape::backward(const Var& y, const Tensor& seed, BackwardOptions options) {
  check_real("backward", y);
  check_seed("backward", y, seed);
  detail::TapeData& tape = *data_;
  if (y.data()->tape != tape.id() && tape.slot_of(y) == detail::no_slot) {
    detail::TapeData::find(y.data()->tape, "backward");
  }
  tape.begin_pass(options.retain);
  if (tape.mode() == TapeMode::naive) {
    detail::FunctionalBackward pass(tape);
    pass.seed(y, seed);
    pass.run(false);
    const detail::RecordingScope no_recording(false);
    std::vector<std::pair<detail::Parameter*, Tensor>> sums;
    for (std::uint32_t slot : tape.parameter_slots) {
      const Var gradient = pass.gradient_of(slot);
      if (!gradient.defined()) continue;
      detail::Parameter& parameter = *tape.slots[slot].parameter;
      Var sum = gradient;
      if (parameter.has_gradient) sum = Var(parameter.gradient) + gradient;
      sums.emplace_back(&parameter, detail::contiguous(sum.tensor()));
    }
    for (auto& [parameter, sum] : sums) detail::set_gradient(*parameter, std::move(sum));
    return;
  }
  detail::FastBackward pass(tape);
  pass.bind_parameters();
  pass.seed(y, seed);
  pass.run(options.retain);
  pass.publish_parameters();
}

std::vector<Var> grad(const Var& y, std::span<const Var> xs, GradOptions options) {
  return grad(y, Var(unit_seed("grad", y)), xs, options);
}

std::vector<Var> grad(const Var& y, const Var& seed, std::span<const Var> xs, GradOptions options) {
  if (!options.create_graph) check_real("grad", y);
  check_seed("grad", y, seed.tensor());
  std::vector<Var> gradients;
  const bool leaf = y.data()->tape == 0 && y.requires_grad();  // a parameter is its own result
  if (leaf && !detail::TapeData::current()) detail::TapeData::find(0, "grad");
  detail::TapeData& tape =
      leaf ? *detail::TapeData::current() : detail::TapeData::find(y.data()->tape, "grad");
  std::vector<std::uint32_t> slots;
  for (const Var& x : xs) {
    if (!x.requires_grad()) {
      throw Error("grad: an x is a constant: it must be a parameter or recorded on the tape of y");
    }
    if (x.data()->tape != 0 && x.data()->tape != tape.id()) {
      detail::TapeData::find(x.data()->tape, "grad: an x");
    }
    slots.push_back(tape.slot_of(x));
  }
  tape.slot_of(y);  // a parameter gets its slot before a pass counts them
  tape.begin_pass(options.retain || options.create_graph);
  if (options.create_graph || tape.mode() == TapeMode::naive) {
    detail::FunctionalBackward pass(tape);
    pass.seed(y, seed);
    pass.run(options.create_graph);
    const detail::RecordingScope recording(options.create_graph);
    for (const Var& x : xs) gradients.push_back(pass.gradient_of(x));
    return gradients;
  }
  detail::FastBackward pass(tape);
  for (std::uint32_t slot : slots) {
    if (slot != detail::no_slot) pass.keep(slot);
  }
  pass.restrict_to(slots);
  pass.seed(y, seed.tensor());
  pass.run(options.retain);
  for (std::size_t i = 0; i < xs.size(); ++i) gradients.push_back(pass.kept(xs[i], slots[i]));
  return gradients;
}

void add_gradients(std::span<const Var> parameters,
                   std::span<const std::vector<Var>> gradients_per_tape) {
  for (const std::vector<Var>& gradients : gradients_per_tape) {
    if (gradients.size() != parameters.size()) {
      throw Error("add_gradients: " + std::to_string(parameters.size()) + " parameters, but " +
                  std::to_string(gradients.size()) + " gradients");
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      detail::check_same_layout("add_gradients", parameters[i].parameter("add_gradients"),
                                gradients[i].tensor());
    }
  }
  std::unordered_map<detail::Parameter*, Tensor> sums;
  for (const std::vector<Var>& gradients : gradients_per_tape) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      detail::Parameter& parameter = parameters[i].parameter("add_gradients");
      const Tensor& gradient = gradients[i].tensor();
      const auto [sum, is_first] = sums.try_emplace(&parameter, parameter.gradient);
      const bool assigns = is_first && !parameter.has_gradient;
      sum->second = assigns ? gradient.copy() : detail::sum_of(sum->second, gradient);
    }
  }
  for (auto& [parameter, sum] : sums) detail::set_gradient(*parameter, std::move(sum));
}

}  // namespace xgrad
