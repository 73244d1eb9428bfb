#include "verify/right_gradients.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>

#include <xgrad/core/verify/plain_function.hpp>
#include <xgrad/nn/verify/checked_module.hpp>

namespace xgrad::testing {
namespace {

using detail::CheckedInputs;
using detail::Results;
using Numbers = std::vector<double>;

bool is_domain_positive(const GradcheckRow& row, const RowInput& input) {
  return input.low >= 0 || row.op == "log1p";
}

/// offset + deviation * N(0, 1), or |N(0, 1)| where a function is defined for positive numbers.
Tensor draw(Generator& random, const Shape& shape, const Range& range, bool positive) {
  const Tensor x = random.normal(shape, 0, range.deviation, DType::float64);
  for (double& value : std::span(x.mutable_data<double>(), static_cast<std::size_t>(x.size()))) {
    value = range.offset + (positive ? std::abs(value) : value);
  }
  return x;
}

/// A program with its inputs.
ModuleCase drawn(const Program& program, const Range& range, std::uint64_t seed) {
  Generator random(seed);
  if (program.module) {
    ModuleCase made = program.module->make(seed);
    for (NamedVar& input : made.inputs) {
      if (!input.constant) input.var = draw(random, input.var.shape(), range, false);
    }
    return made;
  }
  ModuleCase made{nullptr, program.row->f, testing::draw(*program.row, seed)};
  for (std::size_t i = 0; i < made.inputs.size(); ++i) {
    NamedVar& input = made.inputs[i];
    if (input.constant) continue;
    input.var = draw(random, input.var.shape(), range,
                     is_domain_positive(*program.row, program.row->inputs[i]));
  }
  return made;
}

}  // namespace

std::vector<Range> all_ranges() {
  std::vector<Range> all;
  for (const double offset : {0.0, 20.0, 1e3, 1e6}) {
    for (const double deviation : {1e-8, 1e-3, 1.0, 30.0, 100.0, 1e3}) {
      all.push_back({offset, deviation});
    }
  }
  return all;
}

const char* name(Checker checker) {
  switch (checker) {
    case Checker::full:
      return "gradcheck";
    case Checker::fast:
      return "gradcheck, fast";
    case Checker::second:
      return "gradgradcheck";
    case Checker::second_fast:
      return "gradgradcheck, fast";
    case Checker::float32:
      return "float32check";
  }
  return "?";
}

std::vector<Program> all_programs() {
  static const GradcheckRows rows = all_gradcheck_rows();
  static const ModuleRows modules = all_module_rows();
  std::vector<Program> all;
  for (const GradcheckRow& row : rows) {
    bool drawn = true;
    for (const RowInput& input : row.inputs) {
      drawn = drawn && (input.constant || input.values.empty()) && element_count(input.shape) > 0;
    }
    if (drawn) all.push_back({row.op + ", " + row.what, &row, nullptr});
  }
  for (const ModuleRow& row : modules) {
    all.push_back({row.module + ", " + row.what, nullptr, &row});
  }
  return all;
}

namespace {

/// How much larger than a relative change of the inputs that of a gradient may be: beyond, rounding
/// the inputs to float64 (2^-53) alone could leave less than ten digits.
constexpr double largest_condition = 1e6;

/// Derivatives of a contraction, by complex steps at the given entries of each input; or what the
/// tape has, if an op is not analytic.
std::vector<Numbers> reference_gradients(const std::function<Results()>& f,
                                         const CheckedInputs& inputs, const Numbers& covector,
                                         const std::vector<std::vector<std::size_t>>& entries) {
  detail::Subject subject(f, inputs, {});
  try {
    detail::ComplexStep step(subject, covector);
    std::vector<Numbers> all;
    for (std::size_t k = 0; k < subject.inputs(); ++k) {
      Numbers& some = all.emplace_back();
      for (const std::size_t i : entries[k]) {
        Numbers direction(subject.origin(k).size());
        direction[i] = 1;
        some.push_back(step.along(k, direction).value);
      }
    }
    return all;
  } catch (const Error&) {
  }
  return subject.gradients(covector).g;
}

/// Of each input the entry with the largest gradient, and one at random.
std::vector<std::vector<std::size_t>> two_entries(const std::function<Results()>& f,
                                                  const CheckedInputs& inputs,
                                                  const Numbers& covector, Generator& random) {
  detail::Subject subject(f, inputs, {});
  std::vector<std::vector<std::size_t>> entries;
  for (const Numbers& g : subject.gradients(covector).g) {
    entries.emplace_back();
    if (g.empty()) continue;
    const auto largest = std::max_element(
        g.begin(), g.end(), [](double x, double y) { return std::abs(x) < std::abs(y); });
    entries.back() = {static_cast<std::size_t>(largest - g.begin()), random.below(g.size())};
  }
  return entries;
}

/// Of each input, whether its gradient is finite and changes little with the inputs. Outside of its
/// domain a function has none, whatever its continuation to complex numbers has.
std::vector<bool> well_conditioned(const std::function<Results()>& f, const CheckedInputs& inputs,
                                   std::uint64_t seed) {
  constexpr double change = 0x1p-26;
  Generator random(seed);
  Numbers covector;
  bool in_domain = true;
  {
    const Tape tape;
    for (const Var& y : f()) {
      const Numbers some = detail::random_covector(random, static_cast<std::size_t>(y.size()));
      covector.insert(covector.end(), some.begin(), some.end());
      for (const double value : y.tensor().to_vector()) in_domain &= std::isfinite(value);
    }
  }
  if (!in_domain) return std::vector<bool>(inputs.checked.size());
  const auto entries = two_entries(f, inputs, covector, random);
  const std::vector<Numbers> here = reference_gradients(f, inputs, covector, entries);
  for (const NamedVar& input : inputs.checked) {
    const Tensor moved = input.var.tensor().copy();
    for (Index i = 0; i < moved.size(); ++i) {
      moved.mutable_data<double>()[i] *= 1 + change * (2 * random.uniform() - 1);
    }
    input.var.assign(moved);
  }
  const std::vector<Numbers> there = reference_gradients(f, inputs, covector, entries);
  std::vector<bool> well;
  for (std::size_t k = 0; k < here.size(); ++k) {
    double size = 0;
    double difference = 0;
    bool finite = true;
    for (std::size_t i = 0; i < here[k].size(); ++i) {
      size = std::max(size, std::abs(here[k][i]));
      difference = std::max(difference, std::abs(here[k][i] - there[k][i]));
      finite = finite && std::isfinite(here[k][i]) && std::isfinite(there[k][i]);
    }
    well.push_back(finite && difference <= largest_condition * change * size);
  }
  return well;
}

/// What one of the two checkers says, with the reference for each input.
template <class Report>
Outcome outcome_of(const Report& report, const std::vector<bool>& well) {
  Outcome outcome;
  outcome.wrong = report.verdict == Verdict::wrong;
  for (std::size_t k = 0; k < report.inputs.size(); ++k) {
    const auto& input = report.inputs[k];
    if (input.verdict == Verdict::vacuous) continue;
    const bool decided = input.verdict <= Verdict::kink;
    ++outcome.gradients;
    outcome.decided += decided;
    outcome.well_conditioned += well[k];
    outcome.decided_well += decided && well[k];
    outcome.mute += !decided && input.note.empty() && report.note.empty();
  }
  std::ostringstream text;
  text << report;
  outcome.report = text.str();
  return outcome;
}

/// A program's function with its inputs in float64, as the checkers have it.
class Bound {
 public:
  explicit Bound(const ModuleCase& of) : f_(of.f) {
    if (of.module) {
      module_.emplace(*of.module, of.inputs);
    } else {
      copies_.emplace(of.inputs);
      inputs_ = {copies_->checked, copies_->vars};
    }
  }
  Results operator()() const { return f_(module_ ? module_->vars() : copies_->vars); }
  const CheckedInputs& inputs() const { return module_ ? module_->checked() : inputs_; }

 private:
  const detail::CheckedFunction& f_;
  std::optional<nn::detail::CheckedModule> module_;
  std::optional<detail::InputCopies> copies_;
  CheckedInputs inputs_;
};

}  // namespace

Outcome check(const Program& program, const Range& range, Checker checker, std::uint64_t seed) {
  const ModuleCase made = drawn(program, range, seed);
  const Bound bound(made);
  const std::function<Results()> f = [&] { return bound(); };
  const bool second = checker == Checker::second || checker == Checker::second_fast;
  Index entries = 0;
  for (const NamedVar& input : bound.inputs().checked) entries += input.var.size();
  // Too large to check one by one: each evaluation of a second derivative is slow.
  const bool large = (program.module && program.module->fast) || (second && entries > 64);
  const bool fast = checker == Checker::fast || checker == Checker::second_fast || large;
  const GradcheckOptions options{.fast = fast, .projections = large ? 2 : 4, .seed = seed};
  if (checker == Checker::float32) {
    const Float32Report report = detail::float32check(f, bound.inputs(), {.seed = seed});
    return outcome_of(report, well_conditioned(f, bound.inputs(), seed));
  }
  if (!second) {
    const GradcheckReport report = detail::gradcheck(f, bound.inputs(), options);
    return outcome_of(report, well_conditioned(f, bound.inputs(), seed));
  }
  const GradcheckReport report = detail::gradgradcheck(f, bound.inputs(), options);
  const detail::GradientFunction gradient(f, bound.inputs(), options);
  const std::function<Results()> g = [&] { return gradient(); };
  return outcome_of(report, well_conditioned(g, gradient.inputs(), seed));
}

}  // namespace xgrad::testing
