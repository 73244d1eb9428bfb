#include "measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <thread>

#include "allocations.hpp"
#include "peak_memory.hpp"

namespace peers {
namespace {

constexpr double tolerance = 1e-4;

struct Runner {
  Candidate candidate;
  ContenderPtr contender;
  int runs = 1;  ///< in a slice
  std::vector<double> ms = {};
};

// -- the same computation? ------------------------------------------------------------------------

/// The largest difference, relative to the largest element.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double largest = 0;
  double apart = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
    apart = std::max(apart, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return largest > 0 ? apart / largest : INFINITY;
}

void check_same(const Row& row, std::vector<Runner>& runners) {
  runners[0].candidate.use_threads(row.threads);
  const std::vector<Array> ours = runners[0].contender->result();
  for (std::size_t i = 1; i < runners.size(); ++i) {
    if (runners[i].candidate.computes_else) continue;
    runners[i].candidate.use_threads(row.threads);
    const std::vector<Array> theirs = runners[i].contender->result();
    const std::string who =
        row.label() + ": " + runners[0].candidate.library + " and " + runners[i].candidate.library;
    if (ours.empty() || ours.size() != theirs.size()) {
      throw std::runtime_error(who + " have different results: nothing to compare");
    }
    for (std::size_t k = 0; k < ours.size(); ++k) {
      const double apart = difference(ours[k].numbers, theirs[k].numbers);
      if (apart <= tolerance) continue;
      throw std::runtime_error(who + " differ in " + ours[k].name + " by " + std::to_string(apart) +
                               " of its size: nothing to compare");
    }
  }
}

// -- time -----------------------------------------------------------------------------------------

double seconds_of(Contender& contender, int runs) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < runs; ++i) contender.run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Gives this contender its threads, and others' threads the time to fall asleep: OpenBLAS's were
/// seen to wait for more work for 130 ms.
void prepare(const Runner& runner, int threads) {
  runner.candidate.use_threads(threads);
  if (threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(200));
}

/// Enough runs for a slice; those tried here warm up.
int runs_per_slice(Contender& contender, double slice) {
  contender.run();
  const double one = std::min(seconds_of(contender, 1), seconds_of(contender, 1));
  return std::max(1, static_cast<int>(std::ceil(slice / one)));
}

void alternate(const Row& row, const Effort& effort, std::vector<Runner>& runners) {
  for (Runner& runner : runners) runner.ms.clear();
  const int alternations = row.is_slow ? effort.slow_alternations : effort.alternations;
  for (int i = 0; i < alternations; ++i) {
    for (Runner& runner : runners) {
      prepare(runner, row.threads);
      // Untimed: training goes on, while here caches and pages have been another library's.
      if (!row.is_slow) runner.contender->run();
      runner.ms.push_back(1e3 * seconds_of(*runner.contender, runner.runs) / runner.runs);
    }
  }
}

/// Of a run. The least of some counts: which thread takes which part of the work is up to the
/// system, and one that takes a kind of part for the first time allocates once.
double steady_allocations(Contender& contender) {
  constexpr int counts = 5;
  constexpr int runs = 3;
  std::size_t least = SIZE_MAX;
  contender.run();
  for (int i = 0; i < counts; ++i) {
    least = std::min(least, allocations_during([&] {
                       for (int run = 0; run < runs; ++run) contender.run();
                     }));
  }
  return static_cast<double>(least) / runs;
}

std::vector<Runner> make_runners(const Row& row) {
  std::vector<Runner> runners;
  for (const Candidate& candidate : row.candidates) {
    candidate.use_threads(row.threads);
    if (ContenderPtr contender = candidate.make()) {
      runners.push_back({candidate, std::move(contender)});
    }
  }
  return runners;
}

Measured summarize(const Row& row, const std::vector<Runner>& runners) {
  Measured measured{row, {}, {}};
  for (const Runner& runner : runners)
    measured.of[runner.candidate.library].ms = quartiles_of(runner.ms);
  return measured;
}

}  // namespace

double Measured::ms(const std::string& library) const {
  const auto found = of.find(library);
  return found == of.end() ? NAN : found->second.ms.median;
}

double Measured::spread() const {
  double largest = 0;
  for (const auto& [library, figures] : of) largest = std::max(largest, figures.ms.spread());
  return largest;
}

Measured measure(const Row& row, const Effort& effort) {
  std::vector<Runner> runners = make_runners(row);
  check_same(row, runners);
  for (Runner& runner : runners) {
    if (row.is_slow) continue;
    prepare(runner, row.threads);
    runner.runs = runs_per_slice(*runner.contender, effort.slice);
  }
  alternate(row, effort, runners);
  Measured best = summarize(row, runners);
  int attempts = 1;
  for (; attempts < effort.attempts && best.spread() > wanted_spread; ++attempts) {
    alternate(row, effort, runners);
    const Measured again = summarize(row, runners);
    if (again.spread() < best.spread()) best = again;
  }
  best.attempts = attempts;
  for (Runner& runner : runners) {
    Figures& figures = best.of[runner.candidate.library];
    if (!row.is_slow) {
      prepare(runner, row.threads);
      figures.allocations = steady_allocations(*runner.contender);
    }
    if (row.measures_memory) {
      const double mib = peak_memory_in_a_process(row.label(), runner.candidate.library);
      if (std::isfinite(mib)) figures.peak_mib = mib;
    }
  }
  return best;
}

}  // namespace peers
