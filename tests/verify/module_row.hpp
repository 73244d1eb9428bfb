// The table of checked modules: each in every form that it has, in float64 and in float32.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <xgrad/nn/module.hpp>
#include <xgrad/nn/verify/gradcheck.hpp>

namespace xgrad::testing {

/// A module with its inputs, as drawn from a seed.
struct ModuleCase {
  std::shared_ptr<nn::Module> module;
  detail::CheckedFunction f;
  std::vector<NamedVar> inputs;
};

struct ModuleRow {
  std::string module;  ///< the class, `layers::Name` for a layer of Sequential
  std::string what;
  std::function<ModuleCase(std::uint64_t seed)> make;
  std::map<std::string, Verdict> expected = {};  ///< of inputs and parameters; else correct
  bool fast = false;                             ///< too large to check entry by entry
};

using ModuleRows = std::vector<ModuleRow>;

ModuleRows layer_rows();
ModuleRows sequential_rows();
ModuleRows cell_rows();
ModuleRows recurrent_rows();
ModuleRows all_module_rows();

/// The generator from which the seed's module and inputs are drawn.
inline Tensor drawn(const Shape& shape, double low = -1, double high = 1) {
  return default_generator().uniform(shape, low, high, DType::float64);
}

}  // namespace xgrad::testing
