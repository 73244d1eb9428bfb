#pragma once

#include <memory>
#include <span>
#include <unordered_map>

#include <xgrad/core/engine/gradient_storage.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/core/tape.hpp>

namespace xgrad::detail {

class TapeObserver;

inline constexpr std::uint32_t no_node = ~std::uint32_t{0};

/// An input of a recorded node.
struct Input {
  Var var;
  std::uint32_t slot;  ///< no_slot: takes no gradient
  Region region;       ///< of the slot
};

struct NodeRecord {
  Operation* operation;
  std::uint32_t first_input;
  std::uint32_t input_count;
  std::uint32_t slot;
};

/// A value that takes a gradient: a node's output or a parameter. Its views have the same slot.
struct Slot {
  Shape shape;
  DType dtype;
  const std::byte* base;                 ///< the value's first element
  std::uint32_t producer = no_node;      ///< the node whose output this is
  std::uint32_t uses = 0;                ///< as an input, of all slices
  Ref<Parameter> parameter;              ///< or the parameter it is
  std::uint64_t version = 0;             ///< of the parameter, when first used
  PoolVector<std::uint32_t> slice_uses;  ///< further uses of each slice; empty: none

  Index slices() const { return shape.empty() ? 1 : shape[0]; }
  Index slice_elements() const {
    Index n = 1;
    for (std::size_t axis = 1; axis < shape.size(); ++axis) n *= shape[axis];
    return n;
  }
  Region region(const Tensor& view) const;
  /// True if exactly one recorded input reads the region.
  bool used_once(const Region& region) const;
};

/// The record behind a Tape: nodes in the order of execution, their inputs, and the slots.
class TapeData {
 public:
  explicit TapeData(TapeMode mode);
  ~TapeData();
  TapeData(const TapeData&) = delete;
  TapeData& operator=(const TapeData&) = delete;
  static void* operator new(std::size_t bytes) { return pool_allocate(bytes); }
  static void operator delete(void* memory) noexcept { pool_release(memory); }

  /// The tape that records on this thread, or null (none, or suspended).
  static TapeData* current();
  /// Suspends all tapes of this thread that live now; they may end before it, in any order.
  static std::uint64_t suspend();
  static void resume(std::uint64_t suspension);
  /// The live tape of that id on this thread. Throws, naming `caller`, if it is gone or elsewhere.
  static TapeData& find(std::uint64_t id, const char* caller);

  std::uint64_t id() const { return id_; }
  TapeMode mode() const { return mode_; }
  /// Null unless a FlightRecorder watches this tape.
  TapeObserver* observer() const { return observer_.get(); }
  const std::shared_ptr<TapeObserver>& shared_observer() const { return observer_; }

  /// The slot of x on this tape, no_slot for a constant. Throws if x belongs to another live tape.
  std::uint32_t slot_of(const Var& x);

  /// Appends a node. The operation lies in memory of `allocate`; if this throws, it is gone and the
  /// record as it was.
  Var record(Operation* operation, std::span<const Var> inputs, const Tensor& value);

  /// For an operation, good until the tape ends.
  void* allocate(std::size_t bytes, std::size_t alignment);

  /// x as an operation's input.
  Input input(const Var& x);
  std::span<const Input> inputs(std::uint32_t node) const {
    const NodeRecord& record = nodes[node];
    return {inputs_.data() + record.first_input, record.input_count};
  }
  /// Forgets what the node held: values return to the pool.
  void release(std::uint32_t node);

  /// Throws if a parameter was changed since this tape first used it.
  void check_versions() const;
  /// Throws if an earlier pass has consumed the record; marks it consumed unless `retain`.
  void begin_pass(bool retain);

  PoolVector<NodeRecord> nodes;
  PoolVector<Slot> slots;
  PoolVector<std::uint32_t> parameter_slots;

 private:
  friend class RecordingScope;

  /// A parameter that takes part without a gradient: frozen or detached.
  struct Constant {
    Ref<Parameter> parameter;
    std::uint64_t version;
  };

  /// An entry in the list of all live tapes.
  class Life {
   public:
    explicit Life(std::uint64_t id);
    ~Life();
    Life(const Life&) = delete;
    Life& operator=(const Life&) = delete;

   private:
    std::uint64_t id_;
  };

  void add_node(Operation* operation, std::span<const Var> inputs, const Tensor& value);
  std::uint32_t parameter_slot(const Ref<Parameter>& parameter);
  void note_constant(const Ref<Parameter>& parameter);

  std::uint64_t id_;
  Life life_;
  TapeMode mode_;
  bool consumed_ = false;
  std::uint64_t begun_;  ///< when, in the order of this thread's tapes and suspensions
  int suspensions_ = 0;  ///< that live
  TapeData* outer_;
  std::shared_ptr<TapeObserver> observer_;
  PoolVector<Input> inputs_;
  PoolVector<Constant> constants_;
  std::unordered_map<const Parameter*, std::uint32_t, std::hash<const Parameter*>,
                     std::equal_to<const Parameter*>,
                     PoolAllocator<std::pair<const Parameter* const, std::uint32_t>>>
      slot_of_parameter_;
  PoolVector<std::byte*> chunks_;
  std::size_t chunk_left_ = 0;
};

/// Runs with recording suspended or not, whatever the caller's state; tapes begin and end within.
class RecordingScope {
 public:
  explicit RecordingScope(bool record);
  ~RecordingScope();
  RecordingScope(const RecordingScope&) = delete;
  RecordingScope& operator=(const RecordingScope&) = delete;

 private:
  TapeData* tape_;
  int before_ = 0;
};

}  // namespace xgrad::detail
