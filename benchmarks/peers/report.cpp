#include "report.hpp"

#include <cmath>
#include <cstdio>
#include <utility>

namespace peers {
namespace {

constexpr const char* columns[] = {"xgrad", "libtorch", "onednn", "openblas"};

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value >= 1000 ? "%.0f" : "%.3g", value);
  return std::isfinite(value) ? text : "-";
}

std::string with_quartiles(const Measured& measured, const std::string& library) {
  const auto found = measured.of.find(library);
  if (found == measured.of.end()) return "-";
  const Quartiles& ms = found->second.ms;
  const bool does_more = library == "onednn" && measured.row.is_training;
  return number(ms.median) + (does_more ? "* (" : " (") + number(ms.lower) + " to " +
         number(ms.upper) + ")";
}

/// What allocations and memory a row has, as a second line.
std::string costs(const Measured& measured) {
  std::string allocations;
  std::string memory;
  for (const char* library : columns) {
    const auto found = measured.of.find(library);
    if (found == measured.of.end()) continue;
    const Figures& figures = found->second;
    if (figures.allocations) {
      allocations += std::string(" ") + library + " " + number(*figures.allocations);
    }
    if (figures.peak_mib) memory += std::string(" ") + library + " " + number(*figures.peak_mib);
  }
  std::string text;
  if (!allocations.empty()) text += "    allocations:" + allocations;
  if (!memory.empty()) text += "    peak MiB:" + memory;
  return text.empty() ? text : text + '\n';
}

}  // namespace

void print_machine(std::ostream& out, const nlohmann::ordered_json& machine, const Effort& effort) {
  const auto text = [&](const char* key) {
    return machine[key].is_null() ? std::string("not here: measured without it")
                                  : machine[key].get<std::string>();
  };
  out << text("processor") << ", " << machine["cores"] << " cores, load average " << machine["load"]
      << "\nlibtorch " << text("libtorch");
  if (!machine["libblas_of_libtorch"].is_null()) {
    out << ", its libblas.so.3 is " << text("libblas_of_libtorch");
  }
  out << "\noneDNN " << text("onednn") << '\n'
      << text("openblas") << '\n'
      << text("compiler") << ", xgrad for " << text("xgrad_isa") << "\n\n"
      << "Milliseconds: median (quartiles) of " << effort.alternations
      << " alternations, each after an untimed run; then others' time over xgrad's.\n"
      << "Training: forward, mean squared error, backward, SGD; no gradient for the input.\n"
      << "* oneDNN's primitive computes the input's gradient, too, and has the changed weights\n"
      << "  reordered to its formats in each step; compilations: " << effort.slow_alternations
      << " alternations.\n";
  if (effort.is_quick) out << "--quick: to see that it runs; these are no measurements.\n";
  char line[200];
  std::snprintf(line, sizeof line, "\n%-56s%-27s%-27s%-27s%-27s%s\n", "", columns[0], columns[1],
                columns[2], columns[3], "ratios");
  out << line;
}

void print_row(std::ostream& out, const Measured& measured) {
  char text[256];
  std::snprintf(text, sizeof text, "%-56s", measured.row.label().c_str());
  out << text;
  for (const char* library : columns) {
    std::snprintf(text, sizeof text, "%-27s", with_quartiles(measured, library).c_str());
    out << text;
  }
  for (const char* library : {"libtorch", "onednn", "openblas"}) {
    const double ratio = measured.ms(library) / measured.ms("xgrad");
    if (std::isfinite(ratio)) out << number(ratio) << "  ";
  }
  if (measured.row.name == "product") {
    out << number(measured.row.flops / measured.ms("xgrad") / 1e6) << " GF/s";
  } else if (const int nodes = measured.row.extent("nodes"); nodes > 0) {
    out << number(1e6 * measured.ms("xgrad") / nodes) << " ns a node";
  } else if (measured.limit_ms) {
    out << number(100 * *measured.limit_ms / measured.ms("xgrad")) << " % of the limit";
  }
  const double unrecorded = measured.ms("libtorch_unrecorded");
  if (std::isfinite(unrecorded)) out << "(libtorch unrecorded: " << number(unrecorded) << ')';
  for (const auto& [library, what] :
       {std::pair("xgrad_lstm", "our LSTM"), std::pair("xgrad_one_thread", "one thread"),
        std::pair("xgrad_product", "a product")}) {
    const double ms = measured.ms(library);
    if (std::isfinite(ms)) out << "  (" << what << ": " << number(ms) << ')';
  }
  if (measured.spread() > wanted_spread) out << "  spreads: the machine is busy";
  out << '\n' << costs(measured) << std::flush;
}

nlohmann::ordered_json describe(const Measured& measured) {
  nlohmann::ordered_json row{{"cell", measured.row.name}};
  for (const auto& [key, value] : measured.row.extents) row[key] = value;
  row["threads"] = measured.row.threads;
  const auto median_or_null = [&](const std::string& library) {
    const double ms = measured.ms(library);
    return std::isfinite(ms) ? nlohmann::ordered_json(ms) : nlohmann::ordered_json();
  };
  for (const char* library : {"xgrad", "libtorch", "onednn"}) {
    row[std::string(library) + "_ms"] = median_or_null(library);
  }
  row["limit_ms"] =
      measured.limit_ms ? nlohmann::ordered_json(*measured.limit_ms) : nlohmann::ordered_json();
  for (const auto& [library, figures] : measured.of) {
    row[library + "_ms"] = figures.ms.median;
    row[library + "_quartiles_ms"] = {figures.ms.lower, figures.ms.upper};
    if (figures.allocations) row[library + "_allocations"] = *figures.allocations;
    if (figures.peak_mib) row[library + "_peak_mib"] = *figures.peak_mib;
  }
  row["flops"] = measured.row.flops;
  row["attempts"] = measured.attempts;
  return row;
}

nlohmann::ordered_json describe(const std::vector<Goal>& goals) {
  auto all = nlohmann::ordered_json::array();
  for (const Goal& goal : goals) {
    all.push_back({{"what", goal.what},
                   {"value", goal.is_measured() ? nlohmann::ordered_json(goal.value)
                                                : nlohmann::ordered_json()},
                   {"must", goal.must},
                   {"aim", goal.aim},
                   {"verdict", goal.verdict()},
                   {"remark", goal.remark}});
  }
  return all;
}

}  // namespace peers
