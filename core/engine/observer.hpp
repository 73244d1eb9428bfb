#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <xgrad/core/var.hpp>

namespace xgrad::detail {

class TapeData;
struct Input;

/// Who sees what a tape records, and what its backward passes compute: the tape's side of a
/// FlightRecorder. What finds a number it must stop at throws, and the op or pass ends.
class TapeObserver {
 public:
  TapeObserver() = default;
  virtual ~TapeObserver() = default;
  TapeObserver(const TapeObserver&) = delete;
  TapeObserver& operator=(const TapeObserver&) = delete;

  // -- scopes -----------------------------------------------------------------------------------

  virtual std::uint32_t open_scope(std::string_view name, Index index) = 0;  ///< returns the outer
  virtual void close_scope(std::uint32_t outer) noexcept = 0;
  /// The current scope is that of the module that calls `parameter` by `name`.
  virtual void set_module(const Var& parameter, const std::string& name) = 0;
  virtual void add_state(const Var& x, Index number) = 0;

  // -- forward ----------------------------------------------------------------------------------

  virtual void recorded(const TapeData& tape, std::uint32_t node, const Tensor& value) = 0;

  // -- backward ---------------------------------------------------------------------------------

  /// A backward pass, from its construction to its end; nothing without an observer.
  class Pass {
   public:
    explicit Pass(TapeObserver* observer) : observer_(observer) {
      if (observer_) observer_->begin_pass();
    }
    ~Pass() {
      if (observer_) observer_->end_pass();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    TapeObserver* observer_;
  };

  virtual bool stops_at(const Tensor& x) const = 0;
  virtual void check_seed(const TapeData& tape, const Input& y, const Tensor& seed) const = 0;
  /// The gradient of the node's output is final.
  virtual void reached(const TapeData& tape, std::uint32_t node, const Tensor& gradient) = 0;
  /// The node, whose output has that gradient, has given `pulled` to the input.
  virtual void check_pulled(const TapeData& tape, std::uint32_t node, const Input& input,
                            const Tensor& gradient, const Tensor& pulled) const = 0;
  /// The node has given a.b.
  virtual void check_product(const TapeData& tape, std::uint32_t node, const Tensor& a,
                             const Tensor& b, const Tensor& product) const = 0;
  [[noreturn]] virtual void stop_at_sum(const TapeData& tape, std::uint32_t node,
                                        const Tensor& sum) const = 0;

 private:
  virtual void begin_pass() = 0;
  virtual void end_pass() noexcept = 0;
};

/// Gives a tape its observer.
using BeginObserver = std::shared_ptr<TapeObserver> (*)(std::uint64_t tape);

/// For the tapes that begin on this thread; null if nobody observes them.
inline constinit thread_local BeginObserver begin_observer = nullptr;

}  // namespace xgrad::detail
