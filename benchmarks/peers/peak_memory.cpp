#include "peak_memory.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace peers {
namespace {

/// A line of /proc/self/status that is in kB.
double status_mib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) return std::stod(line.substr(key.size() + 1)) / 1024;
  }
  return NAN;
}

bool reset_peak() {
  return static_cast<bool>(std::ofstream("/proc/self/clear_refs") << 5 << std::flush);
}

}  // namespace

double peak_memory(const Candidate& candidate, int threads) {
  if (!reset_peak()) return NAN;
  const double before = status_mib("VmRSS");
  candidate.use_threads(threads);
  const ContenderPtr contender = candidate.make();
  if (!contender) return NAN;
  for (int i = 0; i < 3; ++i) contender->run();
  return status_mib("VmHWM") - before;
}

double peak_memory_in_a_process(const std::string& row, const std::string& library) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command =
      "'" + program + "' --peak-memory-of '" + row + "' --library " + library;
  FILE* const output = popen(command.c_str(), "r");
  if (!output) return NAN;
  double mib = NAN;
  const bool read = std::fscanf(output, "%lf", &mib) == 1;
  return pclose(output) == 0 && read ? mib : NAN;
}

}  // namespace peers
