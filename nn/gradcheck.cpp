#include <xgrad/nn/gradcheck.hpp>

namespace xgrad::nn {
namespace {

/// Converts a module to float64 while it lives.
class Float64Scope {
 public:
  explicit Float64Scope(Module& module) : module_(module), dtype_(module.dtype()) {
    module_.to(DType::float64);
  }
  ~Float64Scope() { module_.to(dtype_); }
  Float64Scope(const Float64Scope&) = delete;
  Float64Scope& operator=(const Float64Scope&) = delete;

 private:
  Module& module_;
  DType dtype_;
};

}  // namespace

GradcheckReport gradcheck(Module& module,
                          const std::function<std::vector<Var>(const std::vector<Var>&)>& f,
                          const std::vector<NamedVar>& inputs, const GradcheckOptions& options) {
  const Float64Scope in_float64(module);
  std::vector<NamedVar> checked;
  std::vector<Var> xs;
  for (const NamedVar& input : inputs) {
    xs.push_back(xgrad::detail::float64_parameter(input.var, input.name));
    checked.push_back({input.name, xs.back()});
  }
  for (const NamedParameter& p : module.named_parameters()) {
    if (p.var.trainable()) checked.push_back({p.name, p.var});
  }
  return xgrad::detail::gradcheck_parameters([&] { return f(xs); }, checked, options);
}

}  // namespace xgrad::nn
