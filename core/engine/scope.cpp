#include <xgrad/core/engine/observer.hpp>
#include <xgrad/core/engine/record.hpp>
#include <xgrad/core/scope.hpp>

namespace xgrad {

Scope::Scope(std::string_view name, Index index) {
  const detail::TapeData* tape = detail::TapeData::current();
  if (!tape || !tape->observer()) return;
  observer_ = tape->shared_observer();
  open(name, index);
}

Scope::Scope(std::shared_ptr<detail::TapeObserver> observer, std::string_view name, Index index)
    : observer_(std::move(observer)) {
  if (observer_) open(name, index);
}

void Scope::open(std::string_view name, Index index) {
  outer_ = observer_->open_scope(name, index);
}
void Scope::close() noexcept { observer_->close_scope(outer_); }

void Scope::set_module(const Var& parameter, const std::string& name) const {
  observer_->set_module(parameter, name);
}

void Scope::add_state(const Var& x) const { observer_->add_state(x, states_++); }

}  // namespace xgrad
