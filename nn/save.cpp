#include <xgrad/core/error.hpp>
#include <xgrad/nn/save.hpp>
#include <xgrad/nn/serialize.hpp>

namespace xgrad::nn {

void save(const std::string& path, const Module& module) {
  if (module.named_parameters().empty()) {
    throw Error("save: " + path +
                ": the module has no parameters (a Sequential has them once it is built)");
  }
  SafetensorsFile file;
  for (const auto& [name, var] : module.named_parameters()) file.tensors[name] = var.tensor();
  write_safetensors(path, file);
}

void load(const std::string& path, Module& module) {
  SafetensorsFile file = read_safetensors(path);
  std::string missing, extra, misshapen;
  std::vector<std::pair<Var, Tensor>> values;
  for (const auto& [name, var] : module.named_parameters()) {
    const auto found = file.tensors.extract(name);
    if (found.empty()) {
      missing += " '" + name + "' " + to_string(var.shape());
    } else if (!(found.mapped().shape() == var.shape())) {
      misshapen += " '" + name + "' " + to_string(found.mapped().shape()) + " instead of " +
                   to_string(var.shape());
    } else {
      values.emplace_back(var, found.mapped().to(var.dtype()));
    }
  }
  for (const auto& [name, tensor] : file.tensors) {
    extra += " '" + name + "' " + to_string(tensor.shape());
  }
  std::string problems;
  const auto list = [&](const char* what, const std::string& names) {
    if (!names.empty()) problems += std::string("\n  ") + what + ":" + names;
  };
  list("missing", missing);
  list("extra", extra);
  list("misshapen", misshapen);
  if (module.named_parameters().empty()) {
    problems += "\n  the module has no parameters (a Sequential has them once it is built)";
  }
  if (!problems.empty()) {
    throw Error("load: " + path + " is not of this module:" + problems);
  }
  for (const auto& [var, value] : values) var.assign(value);
}

}  // namespace xgrad::nn
