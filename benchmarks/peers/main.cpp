// xgrad beside libtorch, oneDNN and OpenBLAS, in strict alternation in one process: all see the
// same clock speed, the same other load and the same BLAS.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <thread>

#include <CLI/CLI.hpp>

#include "machine.hpp"
#include "peak_memory.hpp"
#include "report.hpp"

namespace {

struct Options {
  bool quick = false;
  bool list = false;
  std::vector<std::string> cells;
  std::vector<int> hidden;
  std::vector<int> threads;
  std::string json_file;
  std::string peak_memory_of;
  std::string library;
};

bool contains(const auto& list, const auto& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// "lstm" selects "lstm" and "lstm inference".
bool is_selected(const peers::Row& row, const Options& options) {
  const std::string first_word = row.name.substr(0, row.name.find(' '));
  const int hidden = row.extent("H");
  return (options.cells.empty() || contains(options.cells, first_word) ||
          contains(options.cells, row.name)) &&
         (options.hidden.empty() || hidden < 0 || contains(options.hidden, hidden)) &&
         (options.threads.empty() || contains(options.threads, row.threads));
}

std::vector<peers::Row> every_row() {
  return peers::all_rows(static_cast<int>(std::thread::hardware_concurrency()));
}

/// What the child process of peers::peak_memory_in_a_process does.
void print_peak_memory(const Options& options) {
  for (const peers::Row& row : every_row()) {
    if (row.label() != options.peak_memory_of) continue;
    for (const peers::Candidate& candidate : row.candidates) {
      if (candidate.library != options.library) continue;
      std::cout << peers::peak_memory(candidate, row.threads) << '\n';
      return;
    }
  }
  throw std::runtime_error("there is no such row or library");
}

void set_limit(peers::Measured& measured, const peers::GemmLimits& limits) {
  const peers::Row& row = measured.row;
  if (row.name == "product" || row.flops == 0 || !limits.contains(row.threads)) return;
  measured.limit_ms = row.flops / limits.at(row.threads) / 1e6;
}

nlohmann::ordered_json limit_or_null(const peers::GemmLimits& limits, int threads) {
  return limits.contains(threads) ? nlohmann::ordered_json(limits.at(threads))
                                  : nlohmann::ordered_json();
}

/// Of this program's own rows.
void print_derived(const std::vector<peers::Measured>& rows) {
  for (const peers::Measured& gradient : rows) {
    for (const peers::Measured& forward : rows) {
      const bool is_pair = gradient.row.name == "lstm gradient" &&
                           forward.row.name == "lstm forward" &&
                           gradient.row.extents == forward.row.extents &&
                           gradient.row.threads == forward.row.threads;
      if (!is_pair) continue;
      std::cout << "Gradient over forward, " << gradient.row.label().substr(14) << ":";
      for (const char* library : {"xgrad", "libtorch", "onednn"}) {
        const double ratio = gradient.ms(library) / forward.ms(library);
        if (ratio == ratio) std::cout << "  " << library << ' ' << ratio;
      }
      std::cout << '\n';
    }
  }
}

void measure_all(const Options& options) {
  std::ofstream json;
  if (!options.json_file.empty()) {
    json.open(options.json_file);
    if (!json) throw std::runtime_error("cannot write " + options.json_file);
  }
  peers::Effort effort;
  if (options.quick)
    effort = {
        .alternations = 3, .slow_alternations = 1, .attempts = 1, .slice = 0, .is_quick = true};
  const auto machine = peers::describe_machine();
  peers::print_machine(std::cout, machine, effort);

  std::vector<peers::Measured> rows;
  peers::GemmLimits limits;
  std::vector<std::string> failures;
  for (const peers::Row& row : every_row()) {
    if (!is_selected(row, options)) continue;
    try {
      peers::Measured measured = peers::measure(row, effort);
      set_limit(measured, limits);
      peers::print_row(std::cout, measured);
      rows.push_back(std::move(measured));
      limits = peers::gemm_limits(rows);
    } catch (const std::exception& e) {  // the other rows are worth having
      std::cout << e.what() << std::endl;
      failures.push_back(e.what());
    }
  }
  if (rows.empty() && failures.empty()) throw std::runtime_error("no row is selected");

  std::cout << '\n';
  for (const auto& [threads, limit] : limits) {
    std::cout << "Highest rate of a product, " << threads << " thread(s): " << limit << " GF/s\n";
  }
  print_derived(rows);
  const std::vector<peers::Goal> goals = peers::summarize(rows);
  peers::print(std::cout, goals);

  nlohmann::ordered_json report{{"machine", machine},
                                {"alternations", effort.alternations},
                                {"gemm_limit_gflops", limit_or_null(limits, 1)},
                                {"gemm_limit_gflops_two_threads", limit_or_null(limits, 2)},
                                {"rows", nlohmann::ordered_json::array()},
                                {"summary", peers::describe(goals)},
                                {"failures", failures}};
  for (const peers::Measured& measured : rows) report["rows"].push_back(describe(measured));
  if (json.is_open() && !(json << report.dump(2) << '\n').flush()) {
    throw std::runtime_error("cannot write " + options.json_file);
  }
  if (!failures.empty()) {
    throw std::runtime_error(std::to_string(failures.size()) + " rows failed, see above");
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("xgrad beside libtorch, oneDNN and OpenBLAS");
  Options options;
  app.add_flag("--quick", options.quick, "few short runs, to see that everything works");
  app.add_flag("--list", options.list, "say which rows there are");
  app.add_option("--cell", options.cells,
                 "only rows of these names: product lstm gru peephole layernorm rnn chain sums "
                 "compile, or \"lstm inference\"");
  app.add_option("--hidden", options.hidden, "of networks, only these sizes");
  app.add_option("--threads", options.threads, "only these numbers of threads");
  app.add_option("--json", options.json_file, "write the results to this file")->type_name("FILE");
  app.add_option("--peak-memory-of", options.peak_memory_of)->group("");
  app.add_option("--library", options.library)->group("");
  CLI11_PARSE(app, argc, argv);
  try {
    if (!options.peak_memory_of.empty()) {
      print_peak_memory(options);
    } else if (options.list) {
      for (const peers::Row& row : every_row()) std::cout << row.label() << '\n';
    } else {
      measure_all(options);
    }
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
