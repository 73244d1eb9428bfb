#include "summary.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

namespace peers {
namespace {

using Rows = std::vector<const Measured*>;

/// A figure and the row that it comes from.
struct Of {
  double value;
  const Measured* row;
};
using Values = std::vector<Of>;

Values values_of(const Rows& rows, const std::function<double(const Measured&)>& value) {
  Values values;
  for (const Measured* row : rows) {
    const double v = value(*row);
    if (std::isfinite(v)) values.push_back({v, row});
  }
  return values;
}

double geometric_mean(const Values& values) {
  double sum = 0;
  for (const Of& v : values) sum += std::log(v.value);
  return values.empty() ? NAN : std::exp(sum / static_cast<double>(values.size()));
}

Of smallest(const Values& values) {
  const auto found = std::min_element(values.begin(), values.end(),
                                      [](const Of& a, const Of& b) { return a.value < b.value; });
  return found == values.end() ? Of{NAN, nullptr} : *found;
}

Of largest(const Values& values) {
  const auto found = std::max_element(values.begin(), values.end(),
                                      [](const Of& a, const Of& b) { return a.value < b.value; });
  return found == values.end() ? Of{NAN, nullptr} : *found;
}

std::string label(const Of& of) { return of.row ? of.row->row.label() : ""; }

/// Says so if some rows of a mean are not there.
std::string of_all(const Values& values, std::size_t all) {
  if (values.empty() || values.size() == all) return {};
  return std::to_string(values.size()) + " of " + std::to_string(all) + " rows";
}

/// Says so if a library is missing.
std::string of_both(const Values& values) {
  for (const char* library : {"libtorch", "onednn"}) {
    for (const Of& of : values) {
      if (!of.row->of.contains(library)) return std::string("without ") + library;
    }
  }
  return {};
}

std::string join(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + "; " + b;
}

class Table {
 public:
  explicit Table(const std::vector<Measured>& rows) : rows_(rows) {}

  Rows where(const std::function<bool(const Row&)>& wanted) const {
    Rows found;
    for (const Measured& measured : rows_) {
      if (wanted(measured.row)) found.push_back(&measured);
    }
    return found;
  }

  /// The training steps of one layer.
  Rows training(const std::string& cell, int threads, int least_hidden = 0) const {
    return where([&](const Row& row) {
      return row.is_training && row.name == cell && row.extent("layers") == 1 &&
             row.threads == threads && row.extent("H") >= least_hidden;
    });
  }

 private:
  const std::vector<Measured>& rows_;
};

double over_torch(const Measured& m) { return m.ms("libtorch") / m.ms("xgrad"); }

double over_faster(const Measured& m) {
  return std::fmin(m.ms("libtorch"), m.ms("onednn")) / m.ms("xgrad");  // fmin ignores a NaN
}

constexpr std::size_t shapes = std::size(training_shapes);

void add_training(const Table& table, std::vector<Goal>& goals) {
  const Values faster = values_of(table.training("lstm", 1), over_faster);
  goals.push_back({"LSTM over the faster of libtorch and oneDNN, geometric mean",
                   geometric_mean(faster), 1.15, 1.35, true,
                   join(of_all(faster, shapes), of_both(faster))});
  const Of worst = smallest(faster);
  goals.push_back(
      {"  worst shape", worst.value, 1.0, 1.1, true, join(label(worst), of_both(faster))});

  const Values torch = values_of(table.training("lstm", 1), over_torch);
  goals.push_back({"LSTM over libtorch, geometric mean", geometric_mean(torch), 2.4, 3, true,
                   of_all(torch, shapes)});
  const auto small = std::find_if(torch.begin(), torch.end(),
                                  [](const Of& v) { return v.row->row.extent("H") == 50; });
  goals.push_back({"  the row 50,32,10,50", small == torch.end() ? NAN : small->value, 5, 7, true});

  Rows custom = table.training("peephole", 1);
  for (const Measured* row : table.training("layernorm", 1)) custom.push_back(row);
  const Values cells = values_of(custom, over_torch);
  goals.push_back({"Peephole and LayerNorm cells over libtorch's, geometric mean",
                   geometric_mean(cells), 3, 4.5, true, of_all(cells, 2 * shapes)});
  const Values gru = values_of(table.training("gru", 1), over_torch);
  goals.push_back({"GRU over libtorch, geometric mean", geometric_mean(gru), 2, 2.5, true,
                   of_all(gru, shapes)});
}

void add_cells_beside_lstm(const Table& table, std::vector<Goal>& goals) {
  const auto add = [&](const char* what, const std::string& a, const std::string& b) {
    const Rows rows = table.where([&](const Row& row) { return row.name == a || row.name == b; });
    const Of worst = largest(values_of(rows, [](const Measured& m) {
      return m.ms("xgrad") / m.row.flops / (m.ms("xgrad_lstm") / m.row.lstm_flops);
    }));
    goals.push_back({what, worst.value, 1.25, 1.05, false, label(worst)});
  };
  add("GRU and RNN over our LSTM, time per FLOP, H >= 128, worst", "gru", "rnn");
  add("  peephole and LayerNorm cells, as users write them", "peephole", "layernorm");
}

void add_share_of_limit(const Table& table, std::vector<Goal>& goals) {
  const Of worst = smallest(values_of(table.training("lstm", 1, 256), [](const Measured& m) {
    return m.limit_ms.value_or(NAN) / m.ms("xgrad");
  }));
  const Of beside = smallest(values_of(table.training("lstm", 1, 256), [](const Measured& m) {
    return m.row.flops / m.ms("xgrad") / (m.row.product_flops / m.ms("xgrad_product"));
  }));
  char remark[160] = "";
  if (worst.row) {
    std::snprintf(remark, sizeof remark, "%s; %.3g of a product's rate in the same alternations",
                  label(worst).c_str(), beside.value);
  }
  goals.push_back({"LSTM, H >= 256, share of the products' limit, worst", worst.value, 0.80, 0.92,
                   true, remark});
}

void add_two_threads(const Table& table, const GemmLimits& limits, std::vector<Goal>& goals) {
  const bool has_both = limits.contains(1) && limits.contains(2);
  const double gain = has_both ? limits.at(2) / limits.at(1) : NAN;
  const Values shares = values_of(table.training("lstm", 2, 128), [&](const Measured& m) {
    return m.ms("xgrad_one_thread") / m.ms("xgrad") / gain;
  });
  const Of worst = smallest(shares);
  char remark[160] = "";
  if (worst.row) {
    std::snprintf(remark, sizeof remark, "mean %.3g; the products gain %.3g; %s",
                  geometric_mean(shares), gain, label(worst).c_str());
  }
  goals.push_back({"LSTM, H >= 128, gain of two threads, share of the products' gain, worst",
                   worst.value, 0.85, 0.95, true, remark});
}

void add_small_work(const Table& table, std::vector<Goal>& goals) {
  const Rows generation =
      table.where([](const Row& row) { return row.name == "lstm generation" && row.threads == 1; });
  goals.push_back({"One step at batch 1, 2 layers of 256, over libtorch",
                   smallest(values_of(generation, over_torch)).value, 4, 8, true});
  const Rows sums = table.where([](const Row& row) { return row.name == "sums"; });
  const double unrecorded = smallest(values_of(sums, [](const Measured& m) {
                              return m.ms("libtorch_unrecorded") / m.ms("xgrad");
                            })).value;
  char remark[80] = "";
  if (std::isfinite(unrecorded)) {
    std::snprintf(remark, sizeof remark, "%.3g over libtorch's without recording", unrecorded);
  }
  goals.push_back({"Recorded sum of two small arrays over libtorch's",
                   smallest(values_of(sums, over_torch)).value, 5, 10, true, remark});
}

void add_costs(const Table& table, std::vector<Goal>& goals) {
  const Of worst = largest(
      values_of(table.where([](const Row& row) { return row.is_training; }), [](const Measured& m) {
        const auto found = m.of.find("xgrad");
        return found == m.of.end() ? NAN : found->second.allocations.value_or(NAN);
      }));
  goals.push_back(
      {"Allocations in a training step, worst", worst.value, 0, 0, false, label(worst)});
  const Rows compile = table.where([](const Row& row) { return row.name == "compile"; });
  goals.push_back(
      {"Compile time of a user's file, of libtorch's",
       smallest(
           values_of(compile, [](const Measured& m) { return m.ms("xgrad") / m.ms("libtorch"); }))
           .value,
       1.0 / 4, 1.0 / 8, false});
}

}  // namespace

const char* Goal::verdict() const {
  if (!is_measured()) return "not measured";
  if (meets(aim)) return "aim reached";
  return meets(must) ? "must reached" : "MISSED";
}

GemmLimits gemm_limits(const std::vector<Measured>& rows) {
  GemmLimits limits;
  for (const Measured& measured : rows) {
    if (measured.row.name != "product") continue;
    for (const auto& [library, figures] : measured.of) {
      double& limit = limits[measured.row.threads];
      limit = std::max(limit, measured.row.flops / figures.ms.median / 1e6);
    }
  }
  return limits;
}

std::vector<Goal> summarize(const std::vector<Measured>& rows) {
  const Table table(rows);
  std::vector<Goal> goals;
  add_training(table, goals);
  add_cells_beside_lstm(table, goals);
  add_share_of_limit(table, goals);
  add_two_threads(table, gemm_limits(rows), goals);
  add_small_work(table, goals);
  add_costs(table, goals);
  return goals;
}

void print(std::ostream& out, const std::vector<Goal>& goals) {
  char line[256];
  std::snprintf(line, sizeof line, "\n%-74s%8s%7s%7s\n", "", "value", "must", "aim");
  out << line;
  for (const Goal& goal : goals) {
    const std::string value =
        goal.is_measured() ? (std::snprintf(line, sizeof line, "%.3g", goal.value), line) : "-";
    std::snprintf(line, sizeof line, "%-74s%8s%7.3g%7.3g  %-12s", goal.what.c_str(), value.c_str(),
                  goal.must, goal.aim, goal.verdict());
    out << line << (goal.remark.empty() ? "" : "  " + goal.remark) << '\n';
  }
}

}  // namespace peers
