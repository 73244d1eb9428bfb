#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include <xgrad/core/engine/observer.hpp>
#include <xgrad/core/engine/record.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad::detail {
namespace {

thread_local TapeData* innermost = nullptr;
thread_local std::uint64_t scopes_begun = 0;  ///< tapes and suspensions

/// The ids of all live tapes, of every thread.
struct LiveTapes {
  std::mutex mutex;
  std::vector<std::uint64_t> ids;  ///< few; a vector keeps its memory
};

LiveTapes& live_tapes() {
  static LiveTapes& tapes = *new LiveTapes;  // for tapes that end with the program
  return tapes;
}

std::atomic<std::uint64_t> next_id{1};

bool is_live(std::uint64_t id) {
  LiveTapes& tapes = live_tapes();
  const std::lock_guard lock(tapes.mutex);
  return std::find(tapes.ids.begin(), tapes.ids.end(), id) != tapes.ids.end();
}

/// Of this thread's last tape: the next one is often as long.
struct TapeSize {
  std::size_t nodes, slots, inputs;
};
thread_local TapeSize last_size{};

constexpr std::size_t chunk_bytes = std::size_t{1} << 16;

}  // namespace

Region Slot::region(const Tensor& view) const {
  const Index size = view.size();
  if (size == 0) return {0, 0, 0, element_count(shape) == 0, true};
  const bool row_major = view.is_contiguous();
  if (row_major && view.address() == base && view.shape() == shape) {
    return {0, 0, slices(), true, true};
  }
  const Index slice = slice_elements();
  const Index offset = (view.address() - base) / static_cast<Index>(item_size(dtype));
  Index extent = 0;
  for (std::size_t i = 0; i < view.dim(); ++i) extent += (view.shape()[i] - 1) * view.strides()[i];
  const Index first = offset / slice;
  const Index last = (offset + extent) / slice + 1;
  // A view reads no element twice, so one with as many elements as the slices is all of them.
  const bool exact = size == (last - first) * slice;
  Region region{offset, first, last, exact, exact && row_major};
  if (exact || view.dim() != shape.size()) return region;
  const std::size_t axes = shape.size() - 1;
  if (view.strides() == contiguous_strides(shape) &&
      std::equal(shape.begin(), shape.begin() + axes, view.shape().begin())) {
    region.first_column = offset;
    region.last_column = offset + view.shape().back();
  }
  return region;
}

bool Slot::used_once(const Region& region) const {
  if (slice_uses.empty()) return uses == 1;
  return std::all_of(slice_uses.begin() + region.first, slice_uses.begin() + region.last,
                     [this](std::uint32_t n) { return n + uses == 1; });
}

TapeData::Life::Life(std::uint64_t id) : id_(id) {
  LiveTapes& tapes = live_tapes();
  const std::lock_guard lock(tapes.mutex);
  tapes.ids.push_back(id_);
}

TapeData::Life::~Life() {
  LiveTapes& tapes = live_tapes();
  const std::lock_guard lock(tapes.mutex);
  std::erase(tapes.ids, id_);
}

TapeData::TapeData(TapeMode mode)
    : id_(next_id++), life_(id_), mode_(mode), begun_(++scopes_begun), outer_(innermost) {
  nodes.reserve(last_size.nodes);
  slots.reserve(last_size.slots);
  inputs_.reserve(last_size.inputs);
  if (begin_observer) observer_ = begin_observer(id_);
  innermost = this;
}

TapeData::~TapeData() {
  // Not always the innermost: tapes may be held by pointers.
  for (TapeData** tape = &innermost; *tape; tape = &(*tape)->outer_) {
    if (*tape == this) {
      *tape = outer_;
      break;
    }
  }
  last_size = {nodes.size(), slots.size(), inputs_.size()};
  for (std::uint32_t i = 0; i < nodes.size(); ++i) release(i);
  for (std::byte* chunk : chunks_) pool_release(chunk);
}

TapeData* TapeData::current() {
  return innermost && innermost->suspensions_ == 0 ? innermost : nullptr;
}

std::uint64_t TapeData::suspend() {
  for (TapeData* tape = innermost; tape; tape = tape->outer_) ++tape->suspensions_;
  return ++scopes_begun;
}

void TapeData::resume(std::uint64_t suspension) {
  for (TapeData* tape = innermost; tape; tape = tape->outer_) {
    if (tape->begun_ < suspension) --tape->suspensions_;
  }
}

TapeData& TapeData::find(std::uint64_t id, const char* caller) {
  for (TapeData* tape = innermost; tape; tape = tape->outer_) {
    if (tape->id_ == id) return *tape;
  }
  if (id == 0) {
    throw Error(std::string(caller) +
                ": y was not recorded: it is a constant, or no tape was active when it was made");
  }
  throw Error(std::string(caller) + ": y was recorded on tape " + std::to_string(id) +
              (is_live(id) ? ", which belongs to another thread"
                           : ", which is gone: a gradient needs the tape's scope"));
}

std::uint32_t TapeData::slot_of(const Var& x) {
  const VarData& data = *x.data();
  if (data.tape == id_) return data.slot;
  if (data.parameter) {
    if (!data.detached && data.parameter->trainable) return parameter_slot(data.parameter);
    note_constant(data.parameter);
    return no_slot;
  }
  if (data.tape != 0 && is_live(data.tape)) {
    throw Error("tape: a Var of tape " + std::to_string(data.tape) + " was used under tape " +
                std::to_string(id_) + ": detach it, or end the inner tape's scope first");
  }
  return no_slot;
}

std::uint32_t TapeData::parameter_slot(const Ref<Parameter>& parameter) {
  const auto known = slot_of_parameter_.find(parameter.get());
  if (known == slot_of_parameter_.end()) {
    const auto index = static_cast<std::uint32_t>(slots.size());
    Slot& slot = slots.emplace_back();
    slot.shape = parameter->value.shape();
    slot.dtype = parameter->value.dtype();
    slot.base = parameter->value.address();
    slot.parameter = parameter;
    slot.version = parameter->version;
    parameter_slots.push_back(index);
    slot_of_parameter_.emplace(parameter.get(), index);  // last: nothing finds an unfinished slot
    return index;
  }
  if (const Slot& slot = slots[known->second];
      slot.dtype != parameter->value.dtype() || slot.base != parameter->value.address()) {
    // Perhaps there and back: its views have other memory now.
    throw Error("tape: parameter '" + parameter->name + "' was converted to " +
                name(parameter->value.dtype()) + " after tape " + std::to_string(id_) +
                " had recorded it");
  }
  return known->second;
}

void TapeData::note_constant(const Ref<Parameter>& parameter) {
  for (const Constant& known : constants_) {
    if (known.parameter == parameter) return;
  }
  constants_.push_back({parameter, parameter->version});
}

Input TapeData::input(const Var& x) {
  const std::uint32_t slot = slot_of(x);
  return {x, slot, slot == no_slot ? Region() : slots[slot].region(x.tensor())};
}

Var TapeData::record(Operation* operation, std::span<const Var> inputs, const Tensor& value) {
  const std::size_t node_count = nodes.size();
  const std::size_t input_count = inputs_.size();
  Ref<VarData> data;
  try {
    data = VarData::make(value);
    add_node(operation, inputs, value);
  } catch (...) {
    operation->~Operation();
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(node_count), nodes.end());
    inputs_.erase(inputs_.begin() + static_cast<std::ptrdiff_t>(input_count), inputs_.end());
    throw;
  }
  data->tape = id_;
  data->slot = nodes.back().slot;
  if (observer_) [[unlikely]]
    observer_->recorded(*this, static_cast<std::uint32_t>(node_count), value);
  return Var(std::move(data));
}

// Counts the uses last, when nothing throws any more.
void TapeData::add_node(Operation* operation, std::span<const Var> inputs, const Tensor& value) {
  const std::size_t first = inputs_.size();
  for (const Var& x : inputs) {
    const Input& input = inputs_.emplace_back(this->input(x));
    if (input.slot == no_slot) continue;
    Slot& slot = slots[input.slot];
    if (slot.slice_uses.empty() && input.region.last - input.region.first != slot.slices()) {
      slot.slice_uses.resize(static_cast<std::size_t>(slot.slices()));
    }
  }
  const auto node = static_cast<std::uint32_t>(nodes.size());
  nodes.push_back({operation, static_cast<std::uint32_t>(first),
                   static_cast<std::uint32_t>(inputs.size()),
                   static_cast<std::uint32_t>(slots.size())});
  Slot& output = slots.emplace_back();
  output.shape = value.shape();
  output.dtype = value.dtype();
  output.base = value.address();
  output.producer = node;
  for (const Input& input : this->inputs(node)) {
    if (input.slot == no_slot) continue;
    Slot& slot = slots[input.slot];
    const Region& region = input.region;
    if (region.last - region.first == slot.slices()) {
      ++slot.uses;
      continue;
    }
    for (Index i = region.first; i < region.last; ++i) {
      ++slot.slice_uses[static_cast<std::size_t>(i)];
    }
  }
}

void TapeData::release(std::uint32_t node) {
  NodeRecord& record = nodes[node];
  if (!record.operation) return;
  record.operation->~Operation();
  record.operation = nullptr;
  for (std::uint32_t i = 0; i < record.input_count; ++i) inputs_[record.first_input + i].var = {};
}

void TapeData::check_versions() const {
  const auto check = [](const Parameter& parameter, std::uint64_t version) {
    if (parameter.version == version) return;
    throw Error("backward: parameter '" + parameter.name + "' was changed (version " +
                std::to_string(version) + " to " + std::to_string(parameter.version) +
                ") while the tape still needs it");
  };
  for (std::uint32_t index : parameter_slots) check(*slots[index].parameter, slots[index].version);
  for (const Constant& constant : constants_) check(*constant.parameter, constant.version);
}

void TapeData::begin_pass(bool retain) {
  if (consumed_) {
    throw Error("backward: tape " + std::to_string(id_) +
                " was consumed by an earlier pass: give that pass {.retain = true}");
  }
  check_versions();
  consumed_ = !retain;
}

void* TapeData::allocate(std::size_t bytes, std::size_t alignment) {
  bytes = (bytes + alignment - 1) / alignment * alignment;
  if (bytes > chunk_bytes) throw Error("tape: an operation's own data is larger than 64 KiB");
  // A chunk is filled from its end, so that `chunk_left_` is also the offset.
  chunk_left_ = chunk_left_ / alignment * alignment;
  if (chunk_left_ < bytes) {
    chunks_.push_back(static_cast<std::byte*>(pool_allocate(chunk_bytes)));
    chunk_left_ = chunk_bytes;
  }
  chunk_left_ -= bytes;
  return chunks_.back() + chunk_left_;
}

RecordingScope::RecordingScope(bool record) : tape_(innermost) {
  if (tape_) before_ = std::exchange(tape_->suspensions_, record ? 0 : 1);
}
RecordingScope::~RecordingScope() {
  if (tape_) tape_->suspensions_ = before_;
}

}  // namespace xgrad::detail

namespace xgrad {

NoTape::NoTape() : suspension_(detail::TapeData::suspend()) {}
NoTape::~NoTape() { detail::TapeData::resume(suspension_); }

bool is_recording() { return detail::TapeData::current() != nullptr; }

}  // namespace xgrad
