#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/engine/broadcast.hpp>
#include <xgrad/core/verify/judge.hpp>
#include <xgrad/core/verify/measured_rounding.hpp>

namespace xgrad {

double GradcheckEntry::error() const { return std::abs(analytic - numeric); }

const GradcheckInput& GradcheckReport::operator[](std::string_view input) const {
  for (const GradcheckInput& each : inputs) {
    if (each.name == input) return each;
  }
  throw Error("gradcheck: the report has no input '" + std::string(input) + "'");
}

namespace detail {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
/// Further samples of the rounding model before a gradient is called wrong.
constexpr int more_samples = 12;
/// How many times more rounding the tape's gradient may show than the complex step's.
constexpr double gradient_noise_reserve = 1000;

double largest(std::span<const double> values) {
  double most = 0;
  for (const double x : values) most = std::isnan(x) ? x : std::max(most, std::abs(x));
  return most;
}

/// How far an entry is off, in tolerances; NaN is further off than any number.
double excess(const GradcheckEntry& entry) {
  const double ratio = entry.error() / std::max(entry.tolerance, 1e-300);
  return std::isnan(ratio) ? std::numeric_limits<double>::infinity() : ratio;
}

/// The order of the entries' verdicts: among those that are good, zero is no worse than correct.
bool worse(const GradcheckEntry& a, const GradcheckEntry& b) {
  const auto rank = [](const GradcheckEntry& entry) {
    return entry.verdict == Verdict::zero ? Verdict::correct : entry.verdict;
  };
  return rank(a) != rank(b) ? rank(a) > rank(b) : excess(a) > excess(b);
}

bool same_numbers(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

/// One run of gradcheck.
class Check {
 public:
  Check(const std::function<Results()>& f, const CheckedInputs& inputs,
        const GradcheckOptions& options)
      : inputs_(inputs),
        options_(options),
        subject_(f, inputs, options.generators),
        random_(options.seed) {
    if (options.projections < 1) {
      throw Error("gradcheck: projections is " + std::to_string(options.projections) +
                  ": it must be at least 1");
    }
  }

  GradcheckReport run() {
    report_.fast = options_.fast;
    for (const NamedVar& input : inputs_.checked) {
      report_.inputs.emplace_back();
      report_.inputs.back().name = input.name;
      report_.inputs.back().shape = input.var.shape();
    }
    check();
    report_.evaluations = subject_.evaluations();
    return report_;
  }

 private:
  void check() {
    const std::vector<double> y = subject_.values();
    if (y.empty()) return conclude(Verdict::vacuous, "the function has no results");
    covector_ = random_covector(random_, y.size());
    at_x_ = subject_.gradients(covector_);
    if (!same_numbers(y, at_x_.y)) {
      return conclude(Verdict::not_deterministic,
                      "two evaluations at the same inputs gave different results");
    }
    if (!std::all_of(y.begin(), y.end(), [](double value) { return std::isfinite(value); })) {
      return conclude(Verdict::ill_conditioned, "the results are not finite");
    }
    rounding_.emplace(subject_, covector_, at_x_, random_);
    for (std::size_t k = 0; options_.fast && k < subject_.inputs(); ++k) {
      directions_.emplace_back();
      for (int p = 0; p < options_.projections; ++p) {
        directions_[k].push_back(random_direction(random_, subject_.origin(k).size()));
      }
    }
    if (options_.complex_step) take_complex_steps();
    for (std::size_t k = 0; k < subject_.inputs(); ++k) {
      check_input(report_.inputs[k], k);
      report_.entries += report_.inputs[k].entries;
    }
    if (report_.entries == 0) return conclude(Verdict::vacuous, "the inputs have no entries");
    bool all_zero = true;
    report_.verdict = Verdict::correct;
    for (const GradcheckInput& input : report_.inputs) {
      all_zero = all_zero && input.verdict == Verdict::zero;
      if (input.verdict != Verdict::zero) {
        report_.verdict = std::max(report_.verdict, input.verdict);
      }
    }
    if (all_zero) report_.verdict = Verdict::zero;
  }

  /// Ends the check with one verdict for all.
  void conclude(Verdict verdict, const char* note) {
    report_.verdict = verdict;
    report_.note = note;
    for (GradcheckInput& input : report_.inputs) input.verdict = verdict;
  }

  /// The number of derivatives to check: one for each entry, or for each projection.
  std::size_t derivatives(std::size_t input) const {
    const std::size_t entries = subject_.origin(input).size();
    return options_.fast && entries > 0 ? directions_[input].size() : entries;
  }

  /// Where the i-th derivative of an input is taken along.
  std::vector<double> direction_of(std::size_t k, std::size_t i) const {
    if (options_.fast) return directions_[k][i];
    std::vector<double> direction(subject_.origin(k).size());
    direction[i] = 1;
    return direction;
  }

  /// Samples rounding at a few of the derivatives; the others get what is common to them.
  void measure_complex_rounding(ComplexStep& step, std::size_t k,
                                std::vector<ComplexStep::Derivative>& all) {
    constexpr std::size_t samples = 16;
    const std::size_t stride = std::max<std::size_t>(1, all.size() / samples);
    double squares = 0;
    double most = 0;
    double count = 0;
    for (std::size_t i = 0; i < all.size(); i += stride, ++count) {
      step.measure_rounding(k, direction_of(k, i), all[i], random_);
      squares += all[i].noise * all[i].noise;
      most = std::max(most, all[i].rounding);
    }
    const double common = std::sqrt(squares / count);
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].noise = std::max(all[i].noise, common);
      all[i].rounding = i % stride == 0 ? all[i].rounding : most;
      all[i].rounding = std::max(all[i].rounding, noise_reserve * all[i].noise);
    }
  }

  void take_complex_steps() {
    try {
      ComplexStep step(subject_, covector_);
      std::vector<std::vector<ComplexStep::Derivative>> all(subject_.inputs());
      for (std::size_t k = 0; k < subject_.inputs(); ++k) {
        for (std::size_t i = 0; i < derivatives(k); ++i) {
          all[k].push_back(step.along(k, direction_of(k, i)));
        }
        measure_complex_rounding(step, k, all[k]);
      }
      complex_ = std::move(all);
      report_.complex_step = true;
      for (std::size_t k = 0; k < subject_.inputs(); ++k) limit_noise(k);
    } catch (const Error& error) {
      report_.complex_step_note = error.what();
    }
    for (std::size_t k = 0; k < subject_.inputs(); ++k) subject_.restore(k);
  }

  /// The complex step computes the same derivative forward and rounds about as much. If the tape's
  /// gradient shows far more noise, the noise is a fault (numbers cut to float32), no excuse.
  void limit_noise(std::size_t k) {
    double explained = 0;
    for (const ComplexStep::Derivative& d : complex_[k]) {
      const double rounding = d.noise + epsilon * d.magnitude;
      explained += rounding * rounding;
    }
    rounding_->limit_probed(
        k, gradient_noise_reserve * std::sqrt(explained / static_cast<double>(derivatives(k))));
  }

  Judge judge_at(std::size_t k) const {
    const double scale = report_.inputs[k].scale;
    const Contraction contraction{covector_, at_x_.y, rounding_->of_contraction()};
    return {contraction, std::isfinite(scale) ? scale : 0, options_.resolution};
  }

  /// The verdict on the i-th derivative of an input.
  GradcheckEntry judge(std::size_t k, std::size_t i, const Line& line) const {
    const Judge judge = judge_at(k);
    std::optional<ComplexStep::Derivative> complex;
    if (!complex_.empty()) complex = complex_[k][i];
    if (options_.fast) return judge(along(k, directions_[k][i]), line, complex);
    GradcheckEntry entry = judge({at_x_.g[k][i], rounding_->of_entry(k, i)}, line, complex);
    entry.index = position_of(i, report_.inputs[k].shape);
    return entry;
  }

  /// The same. A projection on which kinks at 0 leave no verdict is judged once more without the
  /// entries that are 0: what is wrong in others must not hide behind them.
  GradcheckEntry judge_both(std::size_t k, std::size_t i, const Line& line) {
    const GradcheckEntry entry = judge(k, i, line);
    if (!options_.fast || entry.verdict == Verdict::wrong || entry.verdict <= Verdict::zero) {
      return entry;
    }
    std::vector<double> others = directions_[k][i];
    for (std::size_t e = 0; e < others.size(); ++e) {
      if (subject_.origin(k)[e] == 0) others[e] = 0;
    }
    const bool none = std::all_of(others.begin(), others.end(), [](double u) { return u == 0; });
    if (none || others == directions_[k][i]) return entry;
    const GradcheckEntry without =
        judge_at(k)(along(k, others), subject_.along(k, others), std::nullopt);
    return without.verdict == Verdict::wrong ? without : entry;
  }

  /// The verdict. The first accusation of an input has to stand when rounding is measured again,
  /// with more samples and at this very derivative.
  GradcheckEntry reconsidered(std::size_t k, std::size_t i, const Line& line) {
    GradcheckEntry entry = judge_both(k, i, line);
    if (entry.verdict != Verdict::wrong || report_.inputs[k].wrong > 0) return entry;
    subject_.restore(k);
    if (!sampled_again_) rounding_->sample(more_samples);
    sampled_again_ = true;
    if (!complex_.empty()) {
      ComplexStep step(subject_, covector_);
      ComplexStep::Derivative& derivative = complex_[k][i];
      step.measure_rounding(k, direction_of(k, i), derivative, random_, more_samples);
      derivative.rounding *= 2;
    }
    return judge_both(k, i, line);
  }

  void check_input(GradcheckInput& input, std::size_t k) {
    const std::vector<double>& g = at_x_.g[k];
    if (g.empty()) {
      input.note = "it has no entries";
      return;
    }
    input.entries = static_cast<Index>(g.size());
    input.scale = largest(g);
    bool all_zero = true;
    Line worst_line;
    for (std::size_t i = 0; i < derivatives(k); ++i) {
      Line line = options_.fast ? subject_.along(k, directions_[k][i]) : subject_.along_entry(k, i);
      const GradcheckEntry entry = reconsidered(k, i, line);
      input.wrong += entry.verdict == Verdict::wrong;
      input.kinks += entry.verdict == Verdict::kink;
      input.ill_conditioned += entry.verdict == Verdict::ill_conditioned;
      all_zero = all_zero && entry.verdict == Verdict::zero;
      if (entry.verdict != Verdict::kink || options_.fast) {
        input.detectable = std::max(input.detectable, entry.tolerance);
      }
      if (i == 0 || worse(entry, input.worst)) {
        input.worst = entry;
        worst_line = std::move(line);
      }
    }
    // An entry takes part in a projection with half of its error at least.
    if (options_.fast) input.detectable *= 2;
    if (!all_zero) input.detectable /= input.scale;
    const Contraction contraction{covector_, at_x_.y, rounding_->of_contraction()};
    if (options_.sweep) input.sweep = step_sweep(worst_line, contraction);
    const std::vector<double> direction = random_direction(random_, g.size());
    const Analytic slope = along(k, direction);
    input.taylor =
        taylor_remainder(subject_.along(k, direction), contraction, slope.value, slope.rounding);
    subject_.restore(k);

    if (input.wrong > 0) {
      input.verdict = Verdict::wrong;
    } else if (!at_x_.reached[k]) {
      input.verdict = Verdict::vacuous;
      input.note = "no recorded path leads from it to a result";
    } else if (input.ill_conditioned > 0) {
      input.verdict = Verdict::ill_conditioned;
      input.note = input.worst.note;
    } else if (input.kinks > 0) {
      input.verdict = Verdict::kink;
    } else if (input.taylor.verdict == Verdict::wrong) {
      input.verdict = Verdict::ill_conditioned;
      input.note = "the Taylor remainder contradicts the other oracles";
    } else {
      input.verdict = all_zero ? Verdict::zero : Verdict::correct;
    }
  }

  /// The tape's derivative along a direction.
  Analytic along(std::size_t k, const std::vector<double>& direction) const {
    long double slope = 0;
    for (std::size_t i = 0; i < direction.size(); ++i) {
      slope += static_cast<long double>(at_x_.g[k][i]) * direction[i];
    }
    return {static_cast<double>(slope), rounding_->along(k, direction)};
  }

  const CheckedInputs& inputs_;
  const GradcheckOptions& options_;
  Subject subject_;
  Generator random_;
  GradcheckReport report_;
  std::vector<double> covector_;
  Subject::Gradients at_x_;
  std::optional<MeasuredRounding> rounding_;
  bool sampled_again_ = false;
  std::vector<std::vector<std::vector<double>>> directions_;   ///< of each input, if fast
  std::vector<std::vector<ComplexStep::Derivative>> complex_;  ///< empty: not to be had
};

}  // namespace

GradcheckReport gradcheck(const std::function<Results()>& f, const CheckedInputs& inputs,
                          const GradcheckOptions& options) {
  return Check(f, inputs, options).run();
}

GradcheckReport gradgradcheck(const std::function<Results()>& f, const CheckedInputs& inputs,
                              const GradcheckOptions& options) {
  const GradientFunction gradient(f, inputs, options);
  return Check([&] { return gradient(); }, gradient.inputs(), options).run();
}

InputCopies::InputCopies(const std::vector<NamedVar>& inputs) {
  for (const NamedVar& input : inputs) {
    const Tensor value = input.var.tensor().to(DType::float64);
    vars.push_back(parameter(value, input.name));
    vars.back().set_trainable(!input.constant);
    if (!input.constant) checked.push_back({input.name, vars.back()});
  }
}

GradcheckReport gradcheck(const CheckedFunction& f, const std::vector<NamedVar>& inputs,
                          const GradcheckOptions& options) {
  const InputCopies copies(inputs);
  const CheckedInputs checked{copies.checked, copies.vars};
  return gradcheck([&] { return f(copies.vars); }, checked, options);
}

GradcheckReport gradgradcheck(const CheckedFunction& f, const std::vector<NamedVar>& inputs,
                              const GradcheckOptions& options) {
  const InputCopies copies(inputs);
  const CheckedInputs checked{copies.checked, copies.vars};
  return gradgradcheck([&] { return f(copies.vars); }, checked, options);
}

}  // namespace detail
}  // namespace xgrad
