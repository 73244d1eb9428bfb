#include <cstring>
#include <ostream>
#include <unordered_map>
#include <utility>

#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/core/var.hpp>

namespace xgrad {
namespace detail {

Ref<VarData> VarData::make(Tensor value) {
  return Ref<VarData>(new (pool_allocate(sizeof(VarData))) VarData(std::move(value)));
}

Ref<VarData> VarData::view_of(const VarData& base, Tensor value) {
  Ref<VarData> view = make(std::move(value));
  view->slot = base.slot;
  view->tape = base.tape;
  view->parameter = base.parameter;
  view->detached = base.detached;
  view->layout = base.layout.load(std::memory_order_relaxed);
  return view;
}

namespace {

struct CloneMap {
  std::unordered_map<const void*, Ref<Parameter>> parameters;
  std::unordered_map<const void*, std::shared_ptr<void>> shared;
};
thread_local CloneMap* clone_map = nullptr;

Ref<Parameter> clone_of(const Parameter& original) {
  Ref<Parameter>& copy = clone_map->parameters[&original];
  if (!copy) {
    copy = Ref<Parameter>(new Parameter);
    copy->name = original.name;
    copy->value = Tensor::uninitialized(original.value.shape(), original.value.dtype());
    copy_elements(original.value, copy->value);
    copy->trainable = original.trainable;
  }
  return copy;
}

/// Moves what shows a parameter's memory to where that is since its conversion. Several threads may
/// come here with one view, for a parameter is read by several.
void follow(VarData& data) {
  Parameter& parameter = *data.parameter;
  const std::lock_guard lock(parameter.following);
  if (data.layout.load(std::memory_order_relaxed) == parameter.layout) return;
  const Tensor& from = data.value;
  const Index offset =
      (from.address() - from.memory()) / static_cast<Index>(item_size(from.dtype()));
  data.value = parameter.value.view(from.shape(), from.strides(), offset);
  data.layout.store(parameter.layout, std::memory_order_release);
}

}  // namespace

// A Var and its copies are one VarData: so it is cloned once, too.
Ref<VarData> cloned(const Ref<VarData>& data) {
  if (!data || !data->parameter) return data;
  const Parameter& original = *data->parameter;
  Var(data).tensor();  // follows a conversion
  const Ref<Parameter> parameter = clone_of(original);
  const auto make_var = [&] {
    const auto offset = data->value.address() - original.value.address();
    Ref<VarData> copy = VarData::make(parameter->value.view(
        parameter->value.address() + offset, data->value.shape(), data->value.strides()));
    copy->parameter = parameter;
    copy->is_parameter = data->is_parameter;
    copy->detached = data->detached;
    return copy;
  };
  std::shared_ptr<void>& known = clone_map->shared[data.get()];
  if (!known) known = std::make_shared<Ref<VarData>>(make_var());
  return *static_cast<Ref<VarData>*>(known.get());
}

CloneScope::CloneScope() {
  if (cloning) throw Error("clone: it is already running on this thread");
  clone_map = new CloneMap;
  cloning = true;
}

CloneScope::~CloneScope() {
  cloning = false;
  delete clone_map;
  clone_map = nullptr;
}

std::shared_ptr<void> CloneScope::counterpart(const std::shared_ptr<void>& original,
                                              std::shared_ptr<void> (*make)(const void*)) {
  std::shared_ptr<void>& copy = clone_map->shared[original.get()];
  if (!copy) copy = make(original.get());
  return copy;
}

void VarData::destroy(VarData* data) noexcept {
  data->~VarData();
  pool_release(data);
}

}  // namespace detail

namespace detail {

Var view_of(const Var& x, const Tensor& view) { return Var(VarData::view_of(*x.data(), view)); }

void check_same_layout(const char* op, const Parameter& parameter, const Tensor& given) {
  if (given.dtype() != parameter.value.dtype()) {
    throw Error(std::string(op) + ": parameter '" + parameter.name + "' is " +
                xgrad::name(parameter.value.dtype()) + ", the argument is " +
                xgrad::name(given.dtype()));
  }
  if (!(given.shape() == parameter.value.shape())) {
    throw Error(std::string(op) + ": parameter '" + parameter.name + "' is " +
                to_string(parameter.value.shape()) + ", the argument is " +
                to_string(given.shape()));
  }
}

Tensor sum_of(const Tensor& a, const Tensor& b) {
  const Tensor sum = b.copy();
  const Tensor addend = contiguous(a);
  dispatch(sum.dtype(), [&]<class T>() {
    const T* from = addend.data<T>();
    T* to = sum.mutable_data<T>();
    for (Index i = 0; i < sum.size(); ++i) to[i] += from[i];
  });
  return sum;
}

void set_gradient(Parameter& parameter, Tensor gradient) noexcept {
  parameter.gradient = std::move(gradient);
  parameter.has_gradient = true;
}

void set_value(Parameter& parameter, const Tensor& value) {
  copy_elements(value, parameter.value);
  ++parameter.version;
}

void convert(std::span<const Var> parameters, DType dtype) {
  struct Converted {
    Parameter* parameter;
    Tensor value;
    Tensor gradient;
  };
  std::vector<Converted> converted;
  for (const Var& var : parameters) {
    Parameter& p = var.parameter("convert");
    if (p.value.dtype() == dtype) continue;
    converted.push_back({&p, p.value.to(dtype), p.has_gradient ? p.gradient.to(dtype) : Tensor()});
  }
  for (Converted& each : converted) {
    Parameter& p = *each.parameter;
    p.value = std::move(each.value);
    p.gradient = std::move(each.gradient);
    ++p.layout;
    ++p.version;
  }
}

KeptParameters::KeptParameters(std::span<const Var> parameters) {
  for (const Var& var : parameters) {
    const Parameter& p = var.parameter("kept parameters");
    kept_.push_back({var, p.value, p.value.copy(), p.gradient, p.has_gradient});
  }
}

KeptParameters::~KeptParameters() {
  wait();  // for threads that may still use the values
  for (Kept& kept : kept_) {
    Parameter& p = *kept.var.parameter_or_null();
    const auto bytes = static_cast<std::size_t>(kept.value.size()) * item_size(kept.value.dtype());
    std::memcpy(kept.value.address(), kept.elements.address(), bytes);
    p.value = kept.value;
    p.gradient = kept.gradient;
    p.has_gradient = kept.has_gradient;
    ++p.layout;
    ++p.version;
  }
}

}  // namespace detail

detail::VarData& Var::checked() const {
  if (!data_) throw Error("var: it has no value: assign to it first");
  if (data_->parameter && data_->layout.load(std::memory_order_acquire) != data_->parameter->layout)
      [[unlikely]] {
    detail::follow(*data_);
  }
  return *data_;
}

detail::Parameter& Var::parameter(const char* caller) const {
  checked();
  if (!is_parameter()) throw Error(std::string(caller) + ": this Var is not a parameter");
  return *data_->parameter;
}

Var Var::operator[](Index i) const {
  const Tensor& x = tensor();
  if (x.dim() == 0) throw Error("operator[]: x is a scalar: it has no axis");
  const Index extent = x.shape()[0];
  if (i < -extent || i >= extent) {
    throw Error("operator[]: x is " + to_string(x.shape()) + ": there is no slice " +
                std::to_string(i));
  }
  if (i < 0) i += extent;
  return detail::view_of(
      *this, x.view(Shape(x.shape().begin() + 1, x.shape().end()),
                    Shape(x.strides().begin() + 1, x.strides().end()), i * x.strides()[0]));
}

bool Var::requires_grad() const {
  if (!data_) return false;
  if (data_->tape != 0) return true;
  return data_->parameter && !data_->detached && data_->parameter->trainable;
}

const Tensor& Var::grad() const {
  const detail::Parameter& p = parameter("grad");
  if (!p.has_gradient) throw Error("grad: parameter '" + p.name + "' has no gradient");
  return p.gradient;
}

void Var::add_grad(const Tensor& gradient) const {
  detail::Parameter& p = parameter("add_grad");
  detail::check_same_layout("add_grad", p, gradient);
  detail::set_gradient(p, p.has_gradient ? detail::sum_of(p.gradient, gradient) : gradient.copy());
}

void Var::assign(const Tensor& value) const {
  detail::Parameter& p = parameter("assign");
  detail::check_same_layout("assign", p, value);
  // In place, so that views of the parameter stay views; by way of a copy, as `value` may be one.
  detail::set_value(p, value.copy());
}

Var parameter(const Tensor& value, std::string name) {
  detail::Ref<detail::Parameter> record(new detail::Parameter);
  record->name = std::move(name);
  record->value = Tensor::uninitialized(value.shape(), value.dtype());
  detail::copy_elements(value, record->value);
  detail::Ref<detail::VarData> data = detail::VarData::make(record->value);
  data->parameter = std::move(record);
  data->is_parameter = true;
  return Var(std::move(data));
}

Var detach(const Var& x) {
  detail::Ref<detail::VarData> data = detail::VarData::make(x.tensor());
  data->parameter = x.data()->parameter;
  data->detached = true;
  data->layout = x.data()->layout.load(std::memory_order_relaxed);
  return Var(std::move(data));
}

std::ostream& operator<<(std::ostream& stream, const Var& x) {
  if (!x.defined()) return stream << "undefined";
  if (x.is_parameter()) stream << "parameter '" << x.name() << "' ";
  return stream << x.tensor();
}

}  // namespace xgrad
