#include <cmath>
#include <set>

#include <xgrad/core/error.hpp>
#include <xgrad/core/runtime/join.hpp>
#include <xgrad/optim/optimizer.hpp>
#include <xgrad/optim/options.hpp>
#include <xgrad/optim/parameters.hpp>

namespace xgrad::optim {
namespace {

Tensor copy_of(const Tensor& tensor) {
  Tensor copy = Tensor::uninitialized(tensor.shape(), tensor.dtype());
  detail::copy_elements(tensor, copy);
  return copy;
}

Tensor scalar(std::uint64_t number) {
  return Tensor::full({}, static_cast<double>(number), DType::float64);
}

}  // namespace

Optimizer::Optimizer(std::string name, const std::vector<Var>& parameters, double learning_rate,
                     std::vector<std::string> moment_names)
    : name_(std::move(name)), moment_names_(std::move(moment_names)) {
  const auto unique = detail::unique_parameters(name_.c_str(), parameters);
  parameters_.assign(unique.begin(), unique.end());
  states_.resize(parameters_.size());
  if (parameters_.empty()) throw Error(name_ + ": there are no parameters: give it at least one");
  set_learning_rate(learning_rate);
}

void Optimizer::set_learning_rate(double rate) {
  detail::check_not_negative(name_.c_str(), "lr", rate);
  learning_rate_ = rate;
}

void Optimizer::step() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (parameters_[i].dtype() == DType::complex128) {
      throw Error(name_ + ": parameter " + std::to_string(i) + " '" + parameters_[i].name() +
                  "' is complex128: it must be float32 or float64");
    }
  }
  for (std::size_t i = 0; i < parameters_.size(); ++i) prepare(i);
  detail::join();  // so that nothing throws below
  ++steps_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    detail::Parameter& parameter = parameters_[i].parameter(name_.c_str());
    if (parameter.has_gradient && parameter.trainable) {
      State& state = states_[i];
      update({parameter.value, parameter.gradient, state.moments, ++state.steps});
      ++parameter.version;
    }
    parameter.has_gradient = false;  // its memory stays for the next backward pass
  }
}

void Optimizer::prepare(std::size_t i) {
  const detail::Parameter& parameter = parameters_[i].parameter(name_.c_str());
  if (!parameter.has_gradient || !parameter.trainable) return;
  State& state = states_[i];
  const DType dtype = parameter.value.dtype();
  state.moments.resize(moment_names_.size(), Tensor());
  for (Tensor& moment : state.moments) {
    moment = state.steps == 0 ? Tensor::zeros(parameter.value.shape(), dtype) : moment.to(dtype);
  }
}

void Optimizer::clear_grad() const {
  for (const Var& parameter : parameters_) parameter.clear_grad();
}

std::map<std::string, Tensor> Optimizer::state() const {
  std::map<std::string, Tensor> state{{"steps", scalar(steps_)}};
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].steps == 0) continue;
    const std::string prefix = std::to_string(i) + ".";
    state[prefix + "steps"] = scalar(states_[i].steps);
    for (std::size_t k = 0; k < moment_names_.size(); ++k) {
      state[prefix + moment_names_[k]] = copy_of(states_[i].moments[k]);
    }
  }
  return state;
}

void Optimizer::load_state(const std::map<std::string, Tensor>& state) {
  const std::string where = name_ + ": load_state: ";
  std::set<std::string> known;
  const auto entry = [&](const std::string& key) -> const Tensor& {
    const auto found = state.find(key);
    if (found == state.end()) throw Error(where + "there is no \"" + key + "\"");
    known.insert(key);
    return found->second;
  };
  const auto step_count = [&](const std::string& key) {
    const Tensor& tensor = entry(key);
    const double number = tensor.size() == 1 ? tensor.item() : -1;
    if (!(number >= 0 && number <= 0x1p53 && number == std::floor(number))) {
      throw Error(where + "\"" + key + "\" must hold one whole number that is not negative");
    }
    return static_cast<std::uint64_t>(number);
  };

  const std::uint64_t steps = step_count("steps");
  std::vector<State> loaded(states_.size());
  for (std::size_t i = 0; i < loaded.size(); ++i) {
    const std::string index = std::to_string(i);
    if (!state.contains(index + ".steps")) continue;  // never updated
    loaded[i].steps = step_count(index + ".steps");
    const Tensor& value = parameters_[i].tensor();
    for (const std::string& name : moment_names_) {
      const std::string key = index + "." + name;
      const Tensor& moment = entry(key);
      const std::string both = "\"" + key + "\" is " + xgrad::name(moment.dtype()) +
                               to_string(moment.shape()) + ", parameter '" + parameters_[i].name() +
                               "' is " + xgrad::name(value.dtype()) + to_string(value.shape());
      if (!(moment.shape() == value.shape())) throw Error(where + both + ": the shapes must agree");
      if (moment.dtype() != value.dtype()) throw Error(where + both + ": the dtypes must agree");
      loaded[i].moments.push_back(copy_of(moment));
    }
  }
  for (const auto& [key, tensor] : state) {
    if (known.contains(key)) continue;
    std::string expected;
    for (const std::string& name : moment_names_) expected += ", \"" + name + "\"";
    throw Error(where + "\"" + key + "\" is unknown: the optimiser has " +
                std::to_string(parameters_.size()) + " parameters, each with \"steps\"" + expected);
  }
  states_ = std::move(loaded);
  steps_ = steps;
}

}  // namespace xgrad::optim
