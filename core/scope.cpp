#include <xgrad/core/scope.hpp>
#include <xgrad/core/tape_data.hpp>
#include <xgrad/core/tape_watch.hpp>

namespace xgrad {

Scope::Scope(std::string_view name, Index index) {
  const detail::TapeData* tape = detail::TapeData::current();
  if (!tape || !tape->watch()) return;
  watch_ = tape->shared_watch();
  open(name, index);
}

Scope::Scope(std::shared_ptr<detail::TapeWatch> watch, std::string_view name, Index index)
    : watch_(std::move(watch)) {
  if (watch_) open(name, index);
}

void Scope::open(std::string_view name, Index index) { outer_ = watch_->open_scope(name, index); }
void Scope::close() noexcept { watch_->close_scope(outer_); }

void Scope::set_module(const Var& parameter, const std::string& name) const {
  watch_->set_module(parameter, name);
}

void Scope::add_state(const Var& x) const { watch_->add_state(x, states_++); }

}  // namespace xgrad
