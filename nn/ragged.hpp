#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include <xgrad/core/error.hpp>
#include <xgrad/core/runtime/pool.hpp>
#include <xgrad/ops/index.hpp>

/// What `Recurrent` needs of sequences, apart from the cell.
namespace xgrad::nn {

/// How many steps of each sequence of a batch count: a braced list, or a std::vector, array or span
/// of integers.
class Lengths {
 public:
  Lengths() = default;
  Lengths(std::initializer_list<Index> lengths) : lengths_(lengths) {}
  template <xgrad::detail::IntegerList List>
  Lengths(const List& lengths) : lengths_(lengths.begin(), lengths.end()) {}

  operator std::span<const Index>() const { return lengths_; }

 private:
  xgrad::detail::PoolVector<Index> lengths_;
};

struct RecurrentOptions {
  Index layers = 1;
  bool bidirectional = false;
  double dropout = 0;    ///< on the outputs of every layer but the last, in training mode
  bool reverse = false;  ///< the reverse direction alone, from each sequence's end to its begin
};

/// Sequences of different lengths in one array (steps, batch, ...). What counts of them is packed:
/// the rows of step 0 that are within their sequence, then those of step 1, and so on. So nothing
/// is computed of what lies behind an end, whatever it holds.
class Ragged {
 public:
  /// Empty lengths: all sequences are as long as x. Throws, naming `caller`, unless x has three
  /// axes, at least one step, and a length from 0 to its steps for each row of the batch.
  Ragged(const char* caller, const Var& x, std::span<const Index> lengths);

  /// The length of the longest sequence.
  Index steps() const { return longest_; }

  /// x (steps, batch, ...) -> (rows, ...); x itself if no sequence ends before x does.
  Var pack(const Var& x) const;
  /// The opposite, with zeros behind the end of each sequence.
  Var unpack(const Var& packed) const;
  /// The rows of step t: a view of what is packed.
  Var at(Index t, const Var& packed) const;
  /// The opposite: the outputs of steps 0, 1, ... packed, of all the steps that there are.
  Var join(std::span<const Var> outputs) const;
  /// None of the rows of `output`: what there is to join if all sequences have length 0.
  static Var no_rows(const Var& output);

  /// A state's member, (batch, ...), as it is before the first step: repeated where it is one row
  /// for all. Throws if it is a single number while sequences end early.
  Var for_each_row(const Var& member) const;
  /// True if other rows take part in step t than in step `before` (-1: than in none).
  bool regroups(Index before, Index t) const;
  /// Of (batch, ...) the rows that take part in step t.
  Var take(Index t, const Var& all) const;
  /// `all`, in which the rows that took part in step t (-1: none) are replaced by `part`.
  Var put(Index t, const Var& all, const Var& part) const;

 private:
  bool is_full() const { return !places_; }
  bool reaches(Index row, Index t) const;
  /// The number of rows that take part in step t.
  Index count(Index t) const;
  /// Throws unless x, which step t gave, has a row for each of them.
  void check_rows(Index t, const Var& x) const;

  Index steps_;  ///< of x
  Index batch_;
  Index longest_;
  // Only if some sequence ends before x does:
  xgrad::detail::PoolVector<Index> lengths_;
  xgrad::detail::PoolVector<Index> starts_;  ///< of each step's rows among the packed ones
  std::optional<Indices> places_;            ///< of the packed rows: step * batch + row
};

/// a and b next to each other along the last axis.
Var side_by_side(const Var& a, const Var& b);

namespace detail {
/// Throws for layers below 1 or beyond any memory, and for options that contradict each other.
std::size_t cell_count(const RecurrentOptions& options, std::size_t cell_bytes);
void check_cell_count(std::size_t cells, const RecurrentOptions& options);
void check_state_count(std::size_t states, std::size_t cells);
/// Of the i-th cell in the order of states, for example "layer0_reverse".
std::string cell_name(std::size_t i, const RecurrentOptions& options);
/// Whether a member of a state has the batch as its first axis, and x's dtype.
bool is_of_batch(const Var& member, const Var& x, Index batch);
/// Throws unless `member`, the k-th of a cell's state, has the shape of `like`, the same member of
/// its zero_state, for the batch, and that one's dtype or x's. `since` ends the error.
void check_like(std::size_t cell, const RecurrentOptions& options, std::size_t k, const Var& member,
                const Var& like, const Var& x, Index batch, const std::string& since);
/// Throws unless the first axis of `member`, the k-th of a cell's zero_state, is the batch, or 1
/// for all rows alike.
void check_zero_state(std::size_t cell, const RecurrentOptions& options, std::size_t k,
                      const Var& member, Index batch);
/// False for a derived class, which says more than its text.
bool is_plain(const Error& error);
/// Throws the error that is being handled again, and says in which cell it arose if it is plain.
[[noreturn]] void fail(const Error& error, std::size_t cell, const RecurrentOptions& options);
}  // namespace detail

}  // namespace xgrad::nn
