#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/core/graph_ops.hpp>
#include <xgrad/core/subject.hpp>

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
/// How many standard deviations of rounding a difference may show. Rounding errors are no normal
/// distribution, and the deviation is itself an estimate from a few samples.
constexpr double noise_reserve = 100;
/// How far the extrapolation may be off beyond its own estimate.
constexpr double extrapolation_reserve = 10;
/// How many times more rounding the tape's gradient may show than the complex step's.
constexpr double gradient_noise_reserve = 1000;

double largest(std::span<const double> values) {
  double most = 0;
  for (const double x : values) most = std::isnan(x) ? x : std::max(most, std::abs(x));
  return most;
}

/// The standard deviation of rounding in the contraction, and in each entry of the gradient.
struct Noise {
  double contraction;
  std::vector<std::vector<double>> gradient;
};

Noise measure_noise(Subject& subject, const std::vector<double>& covector,
                    const Subject::Gradients& at_x, Generator& random) {
  constexpr std::size_t points = 7;
  constexpr double spacing = 0x1p-40;
  const std::vector<double> covector_direction = random_direction(random, covector.size());
  std::vector<std::vector<double>> directions;
  for (std::size_t k = 0; k < subject.inputs(); ++k) {
    directions.push_back(random_direction(random, subject.origin(k).size()));
  }
  std::vector<double> contractions;
  std::vector<std::vector<std::vector<double>>> gradients(subject.inputs());
  for (std::size_t point = 1; point <= points; ++point) {  // not x itself: it may be at a kink
    const double t = spacing * static_cast<double>(point);
    for (std::size_t k = 0; k < subject.inputs(); ++k) {
      std::vector<double> x = subject.origin(k);
      for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] += t * directions[k][i] * std::max(1.0, std::abs(x[i]));
      }
      subject.assign(k, x);
    }
    std::vector<double> r = covector;
    for (std::size_t i = 0; i < r.size(); ++i) r[i] += t * covector_direction[i];
    const Subject::Gradients sample = subject.gradients(r);
    contractions.push_back(Contraction{covector, at_x.y, 0}.change(sample.y));
    for (std::size_t k = 0; k < subject.inputs(); ++k) gradients[k].push_back(sample.g[k]);
  }
  for (std::size_t k = 0; k < subject.inputs(); ++k) subject.restore(k);

  Noise noise;
  double rounding = 0;  // of the results alone
  for (std::size_t i = 0; i < covector.size(); ++i) {
    rounding += covector[i] * covector[i] * at_x.y[i] * at_x.y[i];
  }
  noise.contraction = std::max(rounding_noise(contractions), epsilon / 4 * std::sqrt(rounding));
  for (std::size_t k = 0; k < subject.inputs(); ++k) {
    std::vector<double> each(subject.origin(k).size());
    double squares = 0;
    for (std::size_t i = 0; i < each.size(); ++i) {
      std::vector<double> values;
      for (const std::vector<double>& g : gradients[k]) values.push_back(g[i]);
      each[i] = rounding_noise(values);
      if (!std::isfinite(each[i])) each[i] = 0;  // the gradient itself will tell
      squares += each[i] * each[i];
    }
    // A few samples may miss the noise of one entry; the others tell what to expect.
    const double common =
        std::sqrt(squares / static_cast<double>(std::max<std::size_t>(1, each.size())));
    for (std::size_t i = 0; i < each.size(); ++i) {
      const double size = std::abs(at_x.g[k][i]);
      each[i] = std::max({each[i], common / 4, std::isfinite(size) ? epsilon * size : 0});
    }
    noise.gradient.push_back(std::move(each));
  }
  return noise;
}

/// The verdict on one derivative.
class Judge {
 public:
  Judge(const Contraction& f, double scale, double resolution)
      : f_(f), scale_(scale), resolution_(resolution) {}

  GradcheckEntry operator()(double analytic, double analytic_noise, const Line& line,
                            std::optional<ComplexStep::Derivative> complex) const {
    GradcheckEntry entry;
    entry.analytic = analytic;
    const bool analytic_step = complex && std::isfinite(complex->value);
    entry.complex_step = analytic_step ? complex->value : std::nan("");
    const double rounding = noise_reserve * analytic_noise;
    // Besides rounding: the step itself, where f is even in it, as (ih)^2 is.
    const double complex_tolerance = analytic_step
                                         ? rounding + 64 * epsilon * complex->magnitude +
                                               noise_reserve * complex->noise + imaginary_step
                                         : 0;
    const double size = std::max(scale_, std::isfinite(analytic) ? std::abs(analytic) : 0);
    const double goal = std::max(1e-3 * resolution_ * size, rounding / 10);
    // A sweep ends where its error is at most the goal: how far below is luck, and the sweep that
    // has to confirm an accusation may not have it. Where differences are the only oracle it takes
    // no part, so that the report promises no more than will be found.
    const auto tolerance = [&](const Estimate& e) {
      const double error = analytic_step ? e.error : std::max(e.error, goal);
      return extrapolation_reserve * error + rounding;
    };
    const auto fits = [&](const Estimate& e, double value, double reserve) {
      return std::abs(e.value - value) <= tolerance(e) + reserve;
    };
    Estimate differences = extrapolated_difference(line, f_, goal);
    const bool inside_domain = std::isfinite(differences.value);
    const bool doubtful = !fits(differences, analytic, 0) ||
                          (analytic_step && !fits(differences, complex->value, complex_tolerance));
    if (doubtful) differences = confirmed(line, goal, differences);
    const bool converged = std::isfinite(differences.value);
    entry.differences = differences.value;
    entry.differences_error = differences.error;
    entry.numeric = differences.value;
    entry.tolerance = tolerance(differences);

    if (doubtful || differences.jump_stays || entry.tolerance > resolution_ * size) {
      double step = line.unit * 0x1p-16;
      if (converged && !differences.jump_stays) step = std::min(step, differences.step / 4);
      const Kink kink = find_kink(line, f_, step);
      if (kink.found) {
        const bool between = analytic >= kink.lower && analytic <= kink.upper;
        entry.verdict = between ? Verdict::kink : Verdict::wrong;
        return entry;
      }
    }
    if (analytic_step) {
      // The differences were not asked for more than the goal.
      if (converged && !fits(differences, complex->value, complex_tolerance + goal)) {
        return undecided(entry);
      }
      entry.numeric = complex->value;
      entry.tolerance = complex_tolerance;
      // At the end of f's domain (sqrt at 0) there are no differences, and one opinion accuses
      // nobody.
      if (!inside_domain && !(entry.error() <= entry.tolerance)) return undecided(entry);
    } else if (!converged) {
      return undecided(entry);
    }
    if (!(entry.error() <= entry.tolerance)) {
      entry.verdict = Verdict::wrong;
    } else if (std::abs(analytic) <= entry.tolerance &&
               std::abs(entry.numeric) <= entry.tolerance) {
      entry.verdict = Verdict::zero;
    } else if (entry.tolerance > resolution_ * size) {
      return undecided(entry);
    } else {
      entry.verdict = Verdict::correct;
    }
    return entry;
  }

 private:
  /// What two sweeps agree on: columns of one tableau may be close to each other by chance.
  Estimate confirmed(const Line& line, double goal, const Estimate& first) const {
    std::vector<Estimate> sweeps{first};
    for (const double shrink : {3 * 0x1p8, 3 * 0x1p13}) {
      const Estimate next = extrapolated_difference(line, f_, goal, shrink);
      for (const Estimate& other : sweeps) {
        const double apart = std::abs(next.value - other.value);
        if (apart <= extrapolation_reserve * (next.error + other.error)) {
          Estimate both = next.error < other.error ? next : other;
          both.error = std::max({next.error, other.error, apart});
          return both;
        }
      }
      sweeps.push_back(next);
    }
    return {std::nan(""), std::numeric_limits<double>::infinity(), first.step, first.jump_stays};
  }

  static GradcheckEntry undecided(GradcheckEntry entry) {
    entry.verdict = Verdict::ill_conditioned;
    return entry;
  }

  const Contraction& f_;
  double scale_;
  double resolution_;
};

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
    noise_ = measure_noise(subject_, covector_, at_x_, random_);
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
  void measure_complex_noise(ComplexStep& step, std::size_t k,
                             std::vector<ComplexStep::Derivative>& all) const {
    constexpr std::size_t samples = 16;
    const std::size_t stride = std::max<std::size_t>(1, all.size() / samples);
    double squares = 0;
    double count = 0;
    for (std::size_t i = 0; i < all.size(); i += stride, ++count) {
      const double noise = step.noise(k, direction_of(k, i));
      all[i].noise = std::isfinite(noise) ? noise : 0;
      squares += all[i].noise * all[i].noise;
    }
    const double common = std::sqrt(squares / count);
    for (ComplexStep::Derivative& each : all) each.noise = std::max(each.noise, common);
  }

  void take_complex_steps() {
    try {
      ComplexStep step(subject_, covector_);
      std::vector<std::vector<ComplexStep::Derivative>> all(subject_.inputs());
      for (std::size_t k = 0; k < subject_.inputs(); ++k) {
        for (std::size_t i = 0; i < derivatives(k); ++i) {
          all[k].push_back(step.along(k, direction_of(k, i)));
        }
        measure_complex_noise(step, k, all[k]);
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
    explained = gradient_noise_reserve * std::sqrt(explained / static_cast<double>(derivatives(k)));
    for (double& noise : noise_.gradient[k]) noise = std::min(noise, explained);
  }

  void check_input(GradcheckInput& input, std::size_t k) {
    const std::vector<double>& g = at_x_.g[k];
    if (g.empty()) {
      input.note = "it has no entries";
      return;
    }
    input.entries = static_cast<Index>(g.size());
    input.scale = largest(g);
    const Contraction contraction{covector_, at_x_.y, noise_.contraction};
    const Judge judge(contraction, std::isfinite(input.scale) ? input.scale : 0,
                      options_.resolution);
    bool all_zero = true;
    Line worst_line;
    for (std::size_t i = 0; i < derivatives(k); ++i) {
      std::optional<ComplexStep::Derivative> complex;
      if (!complex_.empty()) complex = complex_[k][i];
      Line line;
      GradcheckEntry entry;
      if (options_.fast) {
        line = subject_.along(k, directions_[k][i]);
        const auto [slope, noise] = slope_along(k, directions_[k][i]);
        entry = judge(slope, noise, line, complex);
      } else {
        line = subject_.along_entry(k, i);
        entry = judge(g[i], noise_.gradient[k][i], line, complex);
        entry.index = position_of(i, input.shape);
      }
      input.wrong += entry.verdict == Verdict::wrong;
      input.kinks += entry.verdict == Verdict::kink;
      input.ill_conditioned += entry.verdict == Verdict::ill_conditioned;
      all_zero = all_zero && entry.verdict == Verdict::zero;
      input.detectable = std::max(input.detectable, entry.tolerance);
      if (i == 0 || worse(entry, input.worst)) {
        input.worst = entry;
        worst_line = std::move(line);
      }
    }
    // An entry takes part in a projection with half of its error at least.
    if (options_.fast) input.detectable *= 2;
    if (!all_zero) input.detectable /= input.scale;
    if (options_.sweep) input.sweep = step_sweep(worst_line, contraction);
    const std::vector<double> direction = random_direction(random_, g.size());
    const auto [slope, noise] = slope_along(k, direction);
    input.taylor =
        taylor_remainder(subject_.along(k, direction), contraction, slope, noise_reserve * noise);
    subject_.restore(k);

    if (input.wrong > 0) {
      input.verdict = Verdict::wrong;
    } else if (!at_x_.reached[k]) {
      input.verdict = Verdict::vacuous;
      input.note = "no recorded path leads from it to a result";
    } else if (input.ill_conditioned > 0) {
      input.verdict = Verdict::ill_conditioned;
    } else if (input.kinks > 0) {
      input.verdict = Verdict::kink;
    } else if (input.taylor.verdict == Verdict::wrong) {
      input.verdict = Verdict::ill_conditioned;
      input.note = "the Taylor remainder contradicts the other oracles";
    } else {
      input.verdict = all_zero ? Verdict::zero : Verdict::correct;
    }
  }

  /// The tape's derivative along a direction, and the standard deviation of its rounding error.
  std::pair<double, double> slope_along(std::size_t k, const std::vector<double>& direction) const {
    long double slope = 0;
    double variance = 0;
    for (std::size_t i = 0; i < direction.size(); ++i) {
      slope += static_cast<long double>(at_x_.g[k][i]) * direction[i];
      const double noise = noise_.gradient[k][i] * direction[i];
      variance += noise * noise;
    }
    return {static_cast<double>(slope), std::sqrt(variance)};
  }

  const CheckedInputs& inputs_;
  const GradcheckOptions& options_;
  Subject subject_;
  Generator random_;
  GradcheckReport report_;
  std::vector<double> covector_;
  Subject::Gradients at_x_;
  Noise noise_;
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
  // The gradient of f as a function of its inputs and of the covectors of its results.
  const ReplayedGenerators generators(options.generators);
  Results results;
  {
    const Tape tape;
    results = f();
    generators.rewind();
  }
  Generator random(options.seed + 1);
  CheckedInputs all = inputs;
  std::vector<Var> covectors;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::vector<double> weights =
        random_covector(random, static_cast<std::size_t>(results[i].size()));
    const std::string name = "covector" + (results.size() > 1 ? std::to_string(i) : "");
    covectors.push_back(parameter(Tensor(results[i].shape(), weights), name));
    all.checked.push_back({name, covectors.back()});
  }
  all.converted.insert(all.converted.end(), covectors.begin(), covectors.end());
  std::vector<Var> xs;
  for (const NamedVar& input : inputs.checked) xs.push_back(input.var);
  const auto gradient = [&]() -> Results {
    const Results ys = f();
    Var total;
    for (std::size_t i = 0; i < ys.size(); ++i) {
      if (!ys[i].requires_grad()) continue;
      const Var contracted = sum_to(ys[i] * covectors[i], {});
      total = total.defined() ? Var(total + contracted) : contracted;
    }
    if (!total.defined()) return {};
    return grad(total, xs, {.create_graph = true});
  };
  return Check(gradient, all, options).run();
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
