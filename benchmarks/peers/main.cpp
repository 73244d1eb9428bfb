// A training step of an LSTM by xgrad and by libtorch, in strict alternation in one process: both
// see the same clock speed, the same other load and the same BLAS.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <stdexcept>
#include <thread>

#include <CLI/CLI.hpp>
#include <dlfcn.h>
#include <nlohmann/json.hpp>
#include <stdlib.h>

#include "lstm.hpp"

namespace {

using peers::Problem;
using peers::Training;
using peers::Weights;

constexpr int alternations = 11;
constexpr int attempts = 3;
constexpr double wanted_spread = 0.15;
constexpr double slice_seconds = 0.15;  // what each library computes in one alternation, at least
constexpr double tolerance = 1e-4;

Problem make_problem(const peers::Shape& shape) {
  Problem problem{shape, {}, {}, peers::initial_weights(shape)};
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const auto [T, B, I, H] = shape;
  problem.x.resize(static_cast<std::size_t>(T * B * I));
  problem.target.resize(static_cast<std::size_t>(T * B * H));
  for (float& x : problem.x) x = uniform(generator);
  for (float& x : problem.target) x = uniform(generator);
  return problem;
}

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

void check_same(Training& ours, Training& theirs) {
  const auto a = ours.evaluate();
  const auto b = theirs.evaluate();
  const auto check = [](const char* what, double apart) {
    if (apart <= tolerance) return;
    throw std::runtime_error(std::string("xgrad and libtorch differ in ") + what + " by " +
                             std::to_string(apart) + " of its size: nothing to compare");
  };
  const Weights& g = a.gradient;
  const Weights& h = b.gradient;
  check("the loss", difference({static_cast<float>(a.loss)}, {static_cast<float>(b.loss)}));
  check("the gradient of Wx", difference(g.Wx, h.Wx));
  check("the gradient of Wh", difference(g.Wh, h.Wh));
  check("the gradient of b", difference(g.b, h.b));
}

// -- time -----------------------------------------------------------------------------------------

double seconds_of(Training& training, int steps) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < steps; ++i) training.step();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Enough steps for a slice; the steps tried here warm up.
int steps_per_slice(Training& training) {
  training.step();
  const double one = std::min(seconds_of(training, 1), seconds_of(training, 1));
  return std::max(1, static_cast<int>(std::ceil(slice_seconds / one)));
}

struct Times {
  double quartile[3];  ///< of the milliseconds of a step; [1] is the median

  explicit Times(std::vector<double> ms) {
    std::sort(ms.begin(), ms.end());
    for (int q = 1; q <= 3; ++q) {
      const double at = static_cast<double>(ms.size() - 1) * q / 4;
      const auto below = static_cast<std::size_t>(at);
      const std::size_t above = std::min(below + 1, ms.size() - 1);
      quartile[q - 1] = ms[below] + (at - std::floor(at)) * (ms[above] - ms[below]);
    }
  }
  double median() const { return quartile[1]; }
  double spread() const { return (quartile[2] - quartile[0]) / median(); }
};

struct Row {
  peers::Shape shape;
  Times ours, theirs;

  double spread() const { return std::max(ours.spread(), theirs.spread()); }
  double ratio() const { return theirs.median() / ours.median(); }
};

Row measure_once(const peers::Shape& shape, Training& ours, Training& theirs) {
  const int our_steps = steps_per_slice(ours);
  const int their_steps = steps_per_slice(theirs);
  std::vector<double> our_ms;
  std::vector<double> their_ms;
  for (int i = 0; i < alternations; ++i) {
    our_ms.push_back(1e3 * seconds_of(ours, our_steps) / our_steps);
    their_ms.push_back(1e3 * seconds_of(theirs, their_steps) / their_steps);
  }
  return {shape, Times(our_ms), Times(their_ms)};
}

/// Measures again while the times spread, and keeps the attempt where they did least.
Row measure(const peers::Shape& shape) {
  const Problem problem = make_problem(shape);
  const auto ours = peers::xgrad_lstm(problem);
  const auto theirs = peers::torch_lstm(problem);
  check_same(*ours, *theirs);
  Row best = measure_once(shape, *ours, *theirs);
  for (int i = 1; i < attempts && best.spread() > wanted_spread; ++i) {
    const Row again = measure_once(shape, *ours, *theirs);
    if (again.spread() < best.spread()) best = again;
  }
  return best;
}

// -- machine --------------------------------------------------------------------------------------

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

/// Of the last minute, to two digits behind the point.
double load_average() {
  double load = NAN;
  return getloadavg(&load, 1) == 1 ? std::round(load * 100) / 100 : NAN;
}

/// The file behind libblas.so.3, which libtorch is linked to. Throws unless it is OpenBLAS, as
/// xgrad's is: the reference BLAS has the same interface and is many times slower.
std::string blas_library() {
  void* const library = dlopen("libblas.so.3", RTLD_LAZY | RTLD_NOLOAD);
  void* const product = library ? dlsym(library, "sgemm_") : nullptr;
  Dl_info info{};
  if (!product || dladdr(product, &info) == 0) {
    throw std::runtime_error("libtorch has not loaded libblas.so.3: which BLAS is it using?");
  }
  const std::string file = std::filesystem::canonical(info.dli_fname);
  if (!dlsym(library, "openblas_get_config")) {
    throw std::runtime_error("libblas.so.3, which libtorch uses, is " + file +
                             ", not OpenBLAS: the comparison would not be fair.\n"
                             "Install libopenblas0-pthread, or choose it with\n"
                             "  update-alternatives --config libblas.so.3-$(uname -m)-linux-gnu");
  }
  dlclose(library);
  return file;
}

nlohmann::ordered_json describe_machine() {
  return {{"processor", processor()},
          {"cores", std::thread::hardware_concurrency()},
          {"load", load_average()},
          {"blas", blas_library()},
          {"libtorch", peers::torch_version()},
          {"compiler", __VERSION__}};
}

// -- output ---------------------------------------------------------------------------------------

void print_machine(const nlohmann::ordered_json& machine) {
  std::cout << machine["processor"].get<std::string>() << ", " << machine["cores"]
            << " cores, load average " << machine["load"] << "\nlibblas.so.3 is "
            << machine["blas"].get<std::string>() << "\nlibtorch "
            << machine["libtorch"].get<std::string>() << ", g++ "
            << machine["compiler"].get<std::string>() << "\n\n"
            << "A training step in ms: median (quartiles) of " << alternations
            << " alternations, one thread\n"
            << "   T   B   I   H    xgrad                       libtorch nn.LSTM           ratio\n";
}

void print_row(const Row& row) {
  const auto [T, B, I, H] = row.shape;
  const auto& a = row.ours.quartile;
  const auto& b = row.theirs.quartile;
  char text[160];
  std::snprintf(text, sizeof text,
                "%4d%4d%4d%4d %8.2f (%7.2f to %7.2f) %8.2f (%7.2f to %7.2f) %6.2f%s\n", T, B, I, H,
                a[1], a[0], a[2], b[1], b[0], b[2], row.ratio(),
                row.spread() > wanted_spread ? "  spreads: the machine is busy" : "");
  std::cout << text << std::flush;
}

nlohmann::ordered_json describe(const Row& row) {
  return {{"cell", "lstm"},
          {"T", row.shape.steps},
          {"B", row.shape.batch},
          {"I", row.shape.input},
          {"H", row.shape.hidden},
          {"layers", 1},
          {"threads", 1},
          {"xgrad_ms", row.ours.median()},
          {"xgrad_quartiles_ms", {row.ours.quartile[0], row.ours.quartile[2]}},
          {"libtorch_ms", row.theirs.median()},
          {"libtorch_quartiles_ms", {row.theirs.quartile[0], row.theirs.quartile[2]}},
          {"ratio", row.ratio()}};
}

void run(bool all, const std::string& json_file) {
  std::ofstream json;
  if (!json_file.empty()) {
    json.open(json_file);
    if (!json) throw std::runtime_error("cannot write " + json_file);
  }
  peers::use_one_thread_in_xgrad();
  peers::use_one_thread_in_torch();
  std::vector<peers::Shape> shapes = {{50, 32, 10, 50}};
  if (all) {
    shapes.insert(shapes.end(),
                  {{50, 32, 64, 64}, {64, 32, 128, 128}, {64, 32, 256, 256}, {64, 64, 512, 512}});
  }
  nlohmann::ordered_json report{{"machine", describe_machine()},
                                {"rows", nlohmann::ordered_json::array()}};
  print_machine(report["machine"]);
  for (const peers::Shape& shape : shapes) {
    const Row row = measure(shape);
    print_row(row);
    report["rows"].push_back(describe(row));
  }
  if (json.is_open() && !(json << report.dump(2) << '\n').flush()) {
    throw std::runtime_error("cannot write " + json_file);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("xgrad beside libtorch: a training step of an LSTM, one thread");
  bool all = false;
  std::string json_file;
  app.add_flag("--all", all, "larger shapes, too");
  app.add_option("--json", json_file, "write the results to this file")->type_name("FILE");
  CLI11_PARSE(app, argc, argv);
  try {
    run(all, json_file);
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
