#include <xgrad/core/error.hpp>
#include <xgrad/nn/files/quoted.hpp>
#include <xgrad/nn/files/safetensors.hpp>
#include <xgrad/nn/files/save.hpp>

namespace xgrad::nn {
namespace {

/// Tensors in an error's text, the first ones by name.
class Listing {
 public:
  void add(const std::string& name, const std::string& what) {
    if (count_++ >= most) return;
    text_.append(" ").append(detail::in_quotes(name)).append(" ").append(what);
  }
  std::string line(const char* title) const {
    if (count_ == 0) return {};
    std::string line = std::string("\n  ") + title + ":" + text_;
    if (count_ > most) line += " and " + std::to_string(count_ - most) + " more";
    return line;
  }

 private:
  static constexpr std::size_t most = 50;
  std::string text_;
  std::size_t count_ = 0;
};

}  // namespace

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
  Listing missing, extra, misshapen;
  std::vector<std::pair<Var, Tensor>> values;
  for (const auto& [name, var] : module.named_parameters()) {
    const auto found = file.tensors.extract(name);
    if (found.empty()) {
      missing.add(name, to_string(var.shape()));
    } else if (!(found.mapped().shape() == var.shape())) {
      misshapen.add(name,
                    to_string(found.mapped().shape()) + " instead of " + to_string(var.shape()));
    } else {
      values.emplace_back(var, found.mapped().to(var.dtype()));
    }
  }
  for (const auto& [name, tensor] : file.tensors) {
    extra.add(name, to_string(tensor.shape()));
  }
  std::string problems;
  problems += missing.line("missing");
  problems += extra.line("extra");
  problems += misshapen.line("misshapen");
  if (module.named_parameters().empty()) {
    problems += "\n  the module has no parameters (a Sequential has them once it is built)";
  }
  if (!problems.empty()) {
    throw Error("load: " + path + " is not of this module:" + problems);
  }
  for (const auto& [var, value] : values) {  // needs no memory: all or none
    xgrad::detail::set_value(var.parameter("load"), value);
  }
}

}  // namespace xgrad::nn
