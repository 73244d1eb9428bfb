#include <xgrad/nn/verify/checked_module.hpp>
#include <xgrad/nn/verify/gradcheck.hpp>

namespace xgrad::nn::detail {
GradcheckReport gradcheck(Module& module, const CheckedFunction& f,
                          const std::vector<NamedVar>& inputs, const GradcheckOptions& options) {
  const CheckedModule subject(module, inputs);
  return xgrad::detail::gradcheck([&] { return f(subject.vars()); }, subject.checked(), options);
}

GradcheckReport gradgradcheck(Module& module, const CheckedFunction& f,
                              const std::vector<NamedVar>& inputs,
                              const GradcheckOptions& options) {
  const CheckedModule subject(module, inputs);
  return xgrad::detail::gradgradcheck([&] { return f(subject.vars()); }, subject.checked(),
                                      options);
}

}  // namespace xgrad::nn::detail
