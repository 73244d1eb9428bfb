#include <algorithm>
#include <cmath>
#include <limits>

#include <xgrad/core/verify/measured_rounding.hpp>
#include <xgrad/core/verify/rounding_model.hpp>

namespace xgrad::detail {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr int first_samples = 4;

/// The change by a rounding, where `larger` is that by one 4096 times as large.
double by_rounding(double change, double larger) {
  return std::abs(change - larger) <= 1e-3 * std::abs(change) ? 0 : change;
}

/// The largest magnitude of some changes, each sample's by its number: infinite if some are NaN,
/// but 0 if all are.
template <class Change>
double largest_of(std::size_t samples, const Change& change) {
  double most = 0;
  std::size_t undefined = 0;
  for (std::size_t s = 0; s < samples; ++s) {
    const double size = std::abs(change(s));
    undefined += std::isnan(size);
    most = std::max(most, size);  // NaN does not compare
  }
  return undefined == 0 || undefined == samples ? most : std::numeric_limits<double>::infinity();
}

}  // namespace

MeasuredRounding::MeasuredRounding(Subject& subject, const std::vector<double>& covector,
                                   const Subject::Gradients& at_x, Generator& random)
    : subject_(subject), covector_(covector), random_(random) {
  probe(at_x);
  const auto exact = [&] {
    const RoundingModel notes(lengths_);
    return subject.gradients(covector, TapeMode::naive);
  };
  exact_ = exact();
  sample(first_samples);
}

void MeasuredRounding::probe(const Subject::Gradients& at_x) {
  constexpr std::size_t points = 7;
  constexpr double spacing = 0x1p-40;
  const std::vector<double> covector_direction = random_direction(random_, covector_.size());
  std::vector<std::vector<double>> directions;
  for (std::size_t k = 0; k < subject_.inputs(); ++k) {
    directions.push_back(random_direction(random_, subject_.origin(k).size()));
  }
  std::vector<double> contractions;
  std::vector<std::vector<std::vector<double>>> gradients(subject_.inputs());
  for (std::size_t point = 1; point <= points; ++point) {  // not x itself: it may be at a kink
    const double t = spacing * static_cast<double>(point);
    for (std::size_t k = 0; k < subject_.inputs(); ++k) {
      std::vector<double> x = subject_.origin(k);
      for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] += t * directions[k][i] * std::max(1.0, std::abs(x[i]));
      }
      subject_.assign(k, x);
    }
    std::vector<double> r = covector_;
    for (std::size_t i = 0; i < r.size(); ++i) r[i] += t * covector_direction[i];
    const Subject::Gradients sample = subject_.gradients(r);
    contractions.push_back(Contraction{covector_, at_x.y, 0}.change(sample.y));
    for (std::size_t k = 0; k < subject_.inputs(); ++k) gradients[k].push_back(sample.g[k]);
  }
  for (std::size_t k = 0; k < subject_.inputs(); ++k) subject_.restore(k);

  double rounding = 0;  // of the results alone
  for (std::size_t i = 0; i < covector_.size(); ++i) {
    rounding += covector_[i] * covector_[i] * at_x.y[i] * at_x.y[i];
  }
  probed_contraction_ = std::max(rounding_noise(contractions), epsilon / 4 * std::sqrt(rounding));
  for (std::size_t k = 0; k < subject_.inputs(); ++k) {
    std::vector<double> each(subject_.origin(k).size());
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
    probed_.push_back(std::move(each));
  }
}

Subject::Gradients MeasuredRounding::rounded(double reserve, std::uint64_t seed) {
  const RoundingModel model(DType::float64, reserve, seed, lengths_);
  return subject_.gradients(covector_, TapeMode::naive);
}

void MeasuredRounding::sample(int samples) {
  const Contraction contraction{covector_, exact_.y, 0};
  for (int s = 0; s < samples; ++s) {
    const std::uint64_t seed = random_.next();
    Subject::Gradients some = rounded(rounding_reserve, seed);
    const Subject::Gradients more = rounded(0x1p12 * rounding_reserve, seed);
    contractions_.push_back(by_rounding(contraction.change(some.y), contraction.change(more.y)));
    for (std::size_t k = 0; k < some.g.size(); ++k) {
      for (std::size_t i = 0; i < some.g[k].size(); ++i) {
        const double exact = exact_.g[k][i];
        double& change = some.g[k][i];
        // Of a gradient that is not finite itself, it will tell.
        change = std::isfinite(exact) ? by_rounding(change - exact, more.g[k][i] - exact) : 0;
      }
    }
    changes_.push_back(std::move(some.g));
  }
}

double MeasuredRounding::of_contraction() const {
  const double modelled =
      largest_of(contractions_.size(), [&](std::size_t s) { return contractions_[s]; });
  return std::max(probed_contraction_, modelled / rounding_reserve);
}

double MeasuredRounding::of_entry(std::size_t input, std::size_t entry) const {
  const double modelled =
      largest_of(changes_.size(), [&](std::size_t s) { return changes_[s][input][entry]; });
  return std::max(noise_reserve * probed_[input][entry], modelled);
}

double MeasuredRounding::along(std::size_t input, const std::vector<double>& direction) const {
  double variance = 0;
  std::vector<std::size_t> entries;
  for (std::size_t i = 0; i < direction.size(); ++i) {
    const double noise = probed_[input][i] * direction[i];
    variance += noise * noise;
    const bool undefined = std::all_of(changes_.begin(), changes_.end(), [&](const auto& change) {
      return std::isnan(change[input][i]);
    });
    if (!undefined) entries.push_back(i);
  }
  const double modelled = largest_of(changes_.size(), [&](std::size_t s) {
    long double sum = 0;
    for (const std::size_t i : entries) {
      sum += static_cast<long double>(changes_[s][input][i]) * direction[i];
    }
    return static_cast<double>(sum);
  });
  return std::max(noise_reserve * std::sqrt(variance), modelled);
}

void MeasuredRounding::limit_probed(std::size_t input, double most) {
  for (double& noise : probed_[input]) noise = std::min(noise, most);
}

}  // namespace xgrad::detail
