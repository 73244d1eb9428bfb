#pragma once

#include <span>
#include <string>

namespace xgrad::detail {

struct InstructionSet {
  const char* name;
  bool supported;  ///< by this processor
};

/// Throws if the processor lacks an instruction set that the library was compiled for, naming both,
/// instead of dying of an illegal instruction later. Called once, with the first tensor.
void check_processor();

/// The error text for these sets, empty if all are supported. `compiled_for` is the XGRAD_ISA.
std::string processor_error(const std::string& compiled_for, std::span<const InstructionSet> sets);

}  // namespace xgrad::detail
