// What gradient checkers find of the planted faults of tests/mutants, and how often they accuse a
// gradient that is right.
#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "mutants/mutants.hpp"
#include "mutants/peer_criteria.hpp"

namespace {

using namespace xgrad;
using mutants::Case;
using mutants::FaultClass;

struct Outcome {
  bool accuses;  ///< xgrad: wrong or vacuous; it may also be undecided
  bool passes;
  Index evaluations;
};

Outcome xgrad_check(const Case& each, int fault, std::uint64_t seed, bool fast) {
  const GradcheckReport report = mutants::check(each, fault, seed, {.fast = fast});
  const bool accuses = report.verdict == Verdict::wrong || report.verdict == Verdict::vacuous;
  return {accuses, static_cast<bool>(report), report.evaluations};
}

using Peer = mutants::PeerVerdict (*)(const mutants::Function&, const std::vector<NamedVar>&);

Outcome peer_check(Peer peer, const Case& each, int fault, std::uint64_t seed) {
  const mutants::Function f = mutants::planted(each, fault);
  const std::vector<NamedVar> inputs = mutants::inputs_of(each, seed);
  mutants::PeerVerdict verdict{};
  if (each.order == 1) {
    verdict = peer(f, inputs);
  } else {
    Generator random(seed + 1);
    const mutants::GradientFunction gradient(f, inputs, random);
    verdict = peer(gradient.f, gradient.inputs);
  }
  return {!verdict.passes, verdict.passes, verdict.evaluations};
}

struct Checker {
  const char* key;
  const char* title;
  std::function<Outcome(const Case&, int fault, std::uint64_t seed)> run;
};

std::function<Outcome(const Case&, int, std::uint64_t)> with(Peer peer) {
  return [peer](const Case& each, int fault, std::uint64_t seed) {
    return peer_check(peer, each, fault, seed);
  };
}

const std::array<Checker, 5> checkers = {{
    {"xgrad", "xgrad",
     [](const Case& each, int fault, std::uint64_t seed) {
       return xgrad_check(each, fault, seed, false);
     }},
    {"xgrad_fast", "fast",
     [](const Case& each, int fault, std::uint64_t seed) {
       return xgrad_check(each, fault, seed, true);
     }},
    {"dynet", "DyNet", with(mutants::dynet_check_grad)},
    {"tiny_dnn", "tiny-dnn", with(mutants::tiny_dnn_gradient_check)},
    {"pytorch", "PyTorch", with(mutants::pytorch_gradcheck)},
}};

struct Tally {
  int always = 0;     ///< found with every seed
  int sometimes = 0;  ///< with one of them at least
};

struct Result {
  std::map<FaultClass, int> mutants;
  std::array<std::map<FaultClass, Tally>, checkers.size()> caught;
  std::array<Tally, checkers.size()> total;
  std::array<int, checkers.size()> false_alarms{};  ///< twins accused with one seed at least
  std::array<Index, checkers.size()> evaluations{};
  std::vector<std::string> missed;  ///< by xgrad
  int mutant_count = 0;
  int correct_cases = 0;
};

/// With how many of the seeds the checker finds a fault, or does not pass what has none.
int complaints(const Checker& checker, const Case& each, int fault, int seeds, Index& evaluations) {
  int count = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    const Outcome outcome = checker.run(each, fault, static_cast<std::uint64_t>(seed));
    count += fault == 0 ? !outcome.passes : outcome.accuses;
    evaluations += outcome.evaluations;
  }
  return count;
}

Result compare(int seeds) {
  Result result;
  for (const Case& each : mutants::cases()) {
    ++result.correct_cases;
    for (std::size_t c = 0; c < checkers.size(); ++c) {
      if (complaints(checkers[c], each, 0, seeds, result.evaluations[c]) > 0) {
        ++result.false_alarms[c];
      }
    }
    int number = 0;
    for (const mutants::Fault& fault : each.faults) {
      ++number;
      ++result.mutant_count;
      ++result.mutants[fault.fault_class];
      for (std::size_t c = 0; c < checkers.size(); ++c) {
        const int count = complaints(checkers[c], each, number, seeds, result.evaluations[c]);
        for (Tally* tally : {&result.caught[c][fault.fault_class], &result.total[c]}) {
          tally->always += count == seeds;
          tally->sometimes += count > 0;
        }
        if (c == 0 && count < seeds) {
          result.missed.push_back(std::string(each.name) + ": " + fault.what);
        }
      }
    }
  }
  return result;
}

void print_line(const std::string& title, const std::string& first,
                const std::array<std::string, checkers.size()>& cells) {
  std::printf("| %-34s | %7s |", title.c_str(), first.c_str());
  for (const std::string& cell : cells) std::printf(" %9s |", cell.c_str());
  std::printf("\n");
}

template <class Cell>
std::array<std::string, checkers.size()> cells(const Cell& cell) {
  std::array<std::string, checkers.size()> texts;
  for (std::size_t c = 0; c < checkers.size(); ++c) texts[c] = cell(c);
  return texts;
}

/// "always", or "always (sometimes)" where they differ.
std::string text(const Tally& tally) {
  const std::string always = std::to_string(tally.always);
  return tally.always == tally.sometimes ? always
                                         : always + " (" + std::to_string(tally.sometimes) + ")";
}

void print(const Result& result, int seeds) {
  std::printf(
      "Planted faults found with each of %d seeds (in brackets: with one of them at least)\n\n",
      seeds);
  print_line("fault", "mutants", cells([](std::size_t c) { return checkers[c].title; }));
  std::printf("|---|---|---|---|---|---|---|\n");
  for (const FaultClass fault_class : mutants::fault_classes()) {
    print_line(mutants::name(fault_class), std::to_string(result.mutants.at(fault_class)),
               cells([&](std::size_t c) { return text(result.caught[c].at(fault_class)); }));
  }
  print_line("all", std::to_string(result.mutant_count),
             cells([&](std::size_t c) { return text(result.total[c]); }));
  print_line("false alarms, of " + std::to_string(result.correct_cases) + " right gradients", "",
             cells([&](std::size_t c) { return std::to_string(result.false_alarms[c]); }));
  const int runs = seeds * (result.mutant_count + result.correct_cases);
  print_line("evaluations of the function", "",
             cells([&](std::size_t c) { return std::to_string(result.evaluations[c] / runs); }));
  for (const std::string& mutant : result.missed) std::printf("xgrad missed %s\n", mutant.c_str());
}

nlohmann::ordered_json describe(const Result& result, int seeds) {
  nlohmann::ordered_json json{{"seeds", seeds}, {"mutants", result.mutant_count}};
  for (std::size_t c = 0; c < checkers.size(); ++c) {
    json["caught"][checkers[c].key] = result.total[c].always;
    json["caught_sometimes"][checkers[c].key] = result.total[c].sometimes;
  }
  json["correct_cases"] = result.correct_cases;
  const int runs = seeds * (result.mutant_count + result.correct_cases);
  for (std::size_t c = 0; c < checkers.size(); ++c) {
    json["false_alarms"][checkers[c].key] = result.false_alarms[c];
    json["evaluations"][checkers[c].key] = result.evaluations[c] / runs;
  }
  return json;
}

void run(int seeds, const std::string& json_file) {
  std::ofstream json;
  if (!json_file.empty()) {
    json.open(json_file);
    if (!json) throw std::runtime_error("cannot write " + json_file);
  }
  const Result result = compare(seeds);
  print(result, seeds);
  if (json.is_open() && !(json << describe(result, seeds).dump(2) << '\n').flush()) {
    throw std::runtime_error("cannot write " + json_file);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What gradient checkers find of planted faults, by their published criteria");
  int seeds = 5;
  std::string json_file;
  app.add_option("--seeds", seeds, "random inputs for each mutant")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", json_file, "write the results to this file")->type_name("FILE");
  CLI11_PARSE(app, argc, argv);
  try {
    run(seeds, json_file);
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
