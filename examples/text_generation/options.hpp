#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "plan.hpp"
#include "sampling.hpp"
#include "settings.hpp"

namespace text_generation {

struct TrainOptions {
  std::string program;              ///< to name commands that the user may type next
  std::vector<std::string> corpus;  ///< files
  std::string out;
  std::string resume;  ///< empty: a new model
  Length length;
  Settings settings;
  std::set<std::string> given;  ///< settings that are not defaults
  int threads = 1;
  double save_seconds = 30;
};

struct GenerateOptions {
  std::string model;
  std::string prompt;
  std::int64_t length = 500;
  Sampling sampling;
  std::uint64_t seed = 1;
};

struct EvaluateOptions {
  std::string model;
  std::string file;
  int threads = 1;
};

struct DemoOptions {
  std::string program;
};

/// Of a command line that asked for help or was wrong; what there is to say has been said.
struct Exit {
  int code;
};

using Command = std::variant<DemoOptions, TrainOptions, GenerateOptions, EvaluateOptions, Exit>;

Command parse_options(int argc, char** argv);

/// The number of processors, at most 4.
int default_threads();

}  // namespace text_generation
