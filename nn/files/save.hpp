#pragma once

#include <string>

#include <xgrad/nn/module.hpp>

namespace xgrad::nn {

/// Writes the parameters under their names as a safetensors file, in one step (see
/// `write_safetensors`). Shared parameters (tied weights) are written once. Throws if there are
/// none, as in a `Sequential` that is not built, and if the file cannot be written.
void save(const std::string& path, const Module& module);

/// Gives the parameters the values in the file, converted to their dtype. Throws, naming all
/// missing, extra and misshapen tensors at once, unless the file has exactly the module's
/// parameters; then, and if the file cannot be read, the module keeps its values.
void load(const std::string& path, Module& module);

}  // namespace xgrad::nn
