#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "contender.hpp"

namespace peers {

struct Candidate {
  std::string library;
  void (*use_threads)(int);
  std::function<ContenderPtr()> make;
  bool computes_else = false;  ///< beside the others for its time alone
};

/// A row of the table: what is computed, and by whom.
struct Row {
  std::string name;  ///< the cell for a training step, else what it is: "product", "lstm inference"
  std::vector<std::pair<std::string, int>> extents;
  int threads;
  std::vector<Candidate> candidates;
  double flops = 0;          ///< of products, if they set a limit to this row
  double lstm_flops = 0;     ///< the same for our LSTM, if it is timed beside another cell
  double product_flops = 0;  ///< of a product that is timed beside the network
  bool is_training = false;
  bool measures_memory = false;  ///< the peak of each library, in a process of its own
  bool is_slow = false;          ///< takes seconds: one run at a time, and few of them

  int extent(const std::string& name) const;  ///< -1 if there is none
  std::string label() const;                  ///< unique
};

/// All rows, for one and, if there are as many, two threads. The products come first: they give the
/// limit for the others.
std::vector<Row> all_rows(int most_threads);

/// The shapes (T,B,I,H) of the training steps.
struct TrainingShape {
  int steps, batch, input, hidden;
};
inline constexpr TrainingShape training_shapes[] = {
    {50, 32, 10, 50}, {50, 32, 64, 64}, {64, 32, 128, 128}, {64, 32, 256, 256}, {64, 64, 512, 512}};

}  // namespace peers
