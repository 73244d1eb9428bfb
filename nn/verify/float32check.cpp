#include <xgrad/nn/verify/checked_module.hpp>
#include <xgrad/nn/verify/float32check.hpp>

namespace xgrad::nn::detail {

Float32Report float32check(Module& module, const CheckedFunction& f,
                           const std::vector<NamedVar>& inputs, const Float32Options& options) {
  const CheckedModule subject(module, inputs);
  return xgrad::detail::float32check([&] { return f(subject.vars()); }, subject.checked(), options);
}

}  // namespace xgrad::nn::detail
