#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <xgrad/core/parameter.hpp>

namespace xgrad {

class Var;

namespace detail {

/// Converts parameters, all or none.
void convert(std::span<const Var> parameters, DType dtype);

inline constexpr std::uint32_t no_slot = ~std::uint32_t{0};

struct VarData;

/// Set while `clone` copies an object on this thread: a Var that is copied then becomes a Var of
/// the copy's own parameter.
inline constinit thread_local bool cloning = false;
Ref<VarData> cloned(const Ref<VarData>& data);

/// What a Var points to.
struct VarData {
  std::atomic<std::uint32_t> references{1};
  std::uint32_t slot = no_slot;  ///< where the tape keeps the gradient; a view has its base's slot
  std::uint64_t tape = 0;        ///< the tape that recorded it, 0 for none
  Tensor value;                  ///< a parameter's may be from before a conversion: see Var::tensor
  Ref<Parameter> parameter;      ///< set for a parameter, its views and its detached form
  bool is_parameter = false;     ///< the parameter itself, not a view of it
  bool detached = false;         ///< a constant, which changes if the parameter does
  std::atomic<std::uint32_t> layout{0};  ///< of the parameter that the value shows

  explicit VarData(Tensor x) : value(std::move(x)) {}
  static Ref<VarData> make(Tensor value);
  /// A view of `base`, over the same variable.
  static Ref<VarData> view_of(const VarData& base, Tensor value);
  static void destroy(VarData* data) noexcept;
};

}  // namespace detail

/// The base of every pointwise expression type (see <xgrad/core/expression.hpp>).
struct Expression {};

template <class E>
concept PointwiseExpression = std::is_base_of_v<Expression, E>;

/// A handle to a value: a constant, a parameter, or a result that a Tape recorded.
///
/// Copies of a Var are the same variable. The value cannot be changed through it, but for a
/// parameter's `assign`.
///
/// Dtypes never mix and are never promoted: an op on Vars of two dtypes throws.
/// `Var(x.tensor().to(dtype))` is a constant of another dtype, `convert` changes a parameter's.
///
/// A recorded Var goes with its tape, which belongs to its thread. Constants and gradients that are
/// finished may be handed to another thread. Parameters may be read by several threads at a time,
/// but while one of them calls backward, assign, convert, set_trainable, clear_grad or add_grad of
/// a parameter, or `Optimizer::step`, no other may use it.
class Var {
 public:
  /// No value; only good for being assigned to.
  Var() = default;
  Var(const Var& other) : data_(other.data_) {
    if (detail::cloning) [[unlikely]]
      data_ = detail::cloned(data_);
  }
  Var(Var&&) noexcept = default;
  Var& operator=(const Var&) & = default;
  Var& operator=(Var&&) & noexcept = default;
  template <class T>
  void operator=(const T&) && {
    static_assert(detail::always_false<T>,
                  "an assignment to x[i], or to another temporary Var, would change nothing");
  }
  ~Var() = default;

  /// A constant.
  Var(const Tensor& value) : data_(detail::VarData::make(value)) {}
  template <class E>
  Var(const xt::xexpression<E>& value) : Var(Tensor(value)) {}

  /// Evaluates a pointwise expression and records it as one node.
  template <PointwiseExpression E>
  Var(const E& expression);
  template <PointwiseExpression E>
  Var(E&& expression);

  bool defined() const { return static_cast<bool>(data_); }
  const Tensor& tensor() const { return checked().value; }
  const Shape& shape() const { return tensor().shape(); }
  std::size_t dim() const { return tensor().dim(); }
  Index size() const { return tensor().size(); }
  DType dtype() const { return tensor().dtype(); }
  double item() const { return tensor().item(); }  ///< the only element

  /// The elements as a read-only xtensor array, as `Tensor::value`. Of a parameter it shows every
  /// change until a conversion: by `convert`, by `Module::to`, and by gradcheck and float32check of
  /// a module, which convert it there and back.
  template <class T>
  auto value() const& {
    return tensor().template value<T>();
  }
  template <class T>
  auto value() const&& {
    return Tensor(tensor()).template value<T>();
  }

  /// The i-th slice along the first axis: a view, which shares value and gradient memory.
  /// Negative i counts from the end. Throws if there is no such slice.
  Var operator[](Index i) const;

  /// True for a trainable parameter and for whatever a tape recorded from one.
  bool requires_grad() const;

  // -- parameters; for any other Var these throw, but for is_parameter --------------------------

  bool is_parameter() const { return data_ && data_->is_parameter; }
  const std::string& name() const { return parameter("name").name; }

  /// The gradient that backward passes have summed since the last optimiser step. The reference and
  /// views of its elements are good until the next backward pass or conversion; a copy of the
  /// Tensor keeps what it holds. Throws if there is none.
  const Tensor& grad() const;
  bool has_grad() const { return parameter("has_grad").has_gradient; }
  void clear_grad() const { parameter("clear_grad").has_gradient = false; }

  /// Adds to the gradient (assigns if there is none). Throws if shape or dtype differ.
  void add_grad(const Tensor& gradient) const;

  /// Replaces the value. Throws if shape or dtype differ. Raises the version, so that a tape which
  /// still needs the old value refuses its backward pass.
  void assign(const Tensor& value) const;

  /// The number of changes so far.
  std::uint64_t version() const { return parameter("version").version; }

  /// A parameter that is not trainable takes part as a constant.
  bool trainable() const { return parameter("trainable").trainable; }
  void set_trainable(bool trainable) const { parameter("set_trainable").trainable = trainable; }

  /// Converts value and gradient to another dtype, in new memory, and raises the version. Views of
  /// the parameter and detached forms become what they would be if they were made now. Does nothing
  /// if it is the dtype already.
  void convert(DType dtype) const { detail::convert({this, 1}, dtype); }

  /// As its tensor; before it "parameter 'Wx'" if it is one. "undefined" if it has no value.
  friend std::ostream& operator<<(std::ostream& stream, const Var& x);

  // -- for the engine ---------------------------------------------------------------------------

  explicit Var(detail::Ref<detail::VarData> data) : data_(std::move(data)) {}
  const detail::VarData* data() const { return data_.get(); }
  /// Two handles to the same variable.
  bool is(const Var& other) const { return data_ == other.data_; }
  /// The parameter's own record, for optimisers, which change the value in place.
  detail::Parameter& parameter(const char* caller) const;
  /// The parameter behind a parameter or a view of one, else null.
  detail::Parameter* parameter_or_null() const { return data_ ? data_->parameter.get() : nullptr; }

 private:
  detail::VarData& checked() const;

  detail::Ref<detail::VarData> data_;
};

namespace detail {

/// A Var over other elements of x's memory; it shares x's gradient. No two of its elements may be
/// the same element of x.
Var view_of(const Var& x, const Tensor& view);

/// Throws, naming `op`, unless the tensor has the parameter's shape and dtype.
void check_same_layout(const char* op, const Parameter& parameter, const Tensor& given);

/// a + b, of one shape and dtype, in memory of its own.
Tensor sum_of(const Tensor& a, const Tensor& b);

void set_gradient(Parameter& parameter, Tensor gradient) noexcept;

/// Replaces the value by one of the same layout, without a need for memory.
void set_value(Parameter& parameter, const Tensor& value);

/// Parameters whose values, dtypes and gradients are put back at the end of a scope, into the very
/// memory they have now: whatever happens, for that needs none, and views of them stay views.
class KeptParameters {
 public:
  explicit KeptParameters(std::span<const Var> parameters);
  ~KeptParameters();
  KeptParameters(const KeptParameters&) = delete;
  KeptParameters& operator=(const KeptParameters&) = delete;

 private:
  struct Kept {
    Var var;
    Tensor value;
    Tensor elements;  ///< a copy: the value may be changed in place
    Tensor gradient;
    bool has_gradient;
  };
  std::vector<Kept> kept_;
};

}  // namespace detail

/// A trainable leaf: its gradient outlives the tape, and optimisers change its value.
Var parameter(const Tensor& value, std::string name = {});

/// A copy of an object whose parameters are the copy's own: new parameters of the same name, value
/// and trainability, without a gradient. A plain copy shares the parameters. Parameters that the
/// object shares inside (tied weights) are shared inside the copy. Throws if it is called by a copy
/// that is being made.
template <class T>
T clone(const T& object);

namespace detail {

/// While it lives, copies of Vars are clones.
class CloneScope {
 public:
  CloneScope();
  ~CloneScope();
  CloneScope(const CloneScope&) = delete;
  CloneScope& operator=(const CloneScope&) = delete;

  /// The copy's counterpart of something shared inside the object, made on first request.
  static std::shared_ptr<void> counterpart(const std::shared_ptr<void>& original,
                                           std::shared_ptr<void> (*make)(const void*));
};

}  // namespace detail

template <class T>
T clone(const T& object) {
  const detail::CloneScope scope;
  return T(object);
}

/// The same value, cut off from the tape: a constant. No copy is made: of a parameter it shows
/// later changes, and a tape that needs the old value refuses its backward pass, as for the
/// parameter.
Var detach(const Var& x);

}  // namespace xgrad
