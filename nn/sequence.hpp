#pragma once

#include <initializer_list>
#include <span>
#include <string>

#include <xgrad/core/var.hpp>

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

/// Sequences of different lengths in one array (steps, batch, ...).
class Ragged {
 public:
  /// Empty lengths: all sequences are as long as x. Throws, naming `caller`, unless x has three
  /// axes, at least one step, and a length from 1 to its steps for each row of the batch.
  Ragged(const char* caller, const Var& x, std::span<const Index> lengths);

  /// True if step t is behind the end of some sequence.
  bool some_ended(Index t) const { return t >= shortest_; }
  /// `now` for the sequences that reach step t, `old` for the others; (batch, ...).
  Var choose(Index t, const Var& now, const Var& old) const;
  /// x (batch, ...) with zeros for the sequences that have ended before step t.
  Var mask(Index t, const Var& x) const;
  /// x (steps, batch, features) with zeros behind the end of each sequence.
  Var mask(const Var& x) const;

 private:
  Var reaches(Index t, const Var& like) const;

  xgrad::detail::PoolVector<Index> lengths_;
  Index shortest_;
};

/// a and b next to each other along the last axis.
Var side_by_side(const Var& a, const Var& b);

/// The outputs of all steps as one array (steps, batch, ...).
Var stack_steps(std::span<const Var> outputs);

namespace detail {
/// Throws for layers below 1 or beyond any memory.
std::size_t cell_count(Index layers, bool bidirectional, std::size_t cell_bytes);
void check_cell_count(std::size_t cells, Index layers, bool bidirectional);
void check_state_count(std::size_t states, std::size_t cells);
void check_state_batch(const Var& member, const Var& x, Index batch);
/// Of the i-th in the order of states, for example "layer0_reverse".
std::string cell_name(std::size_t i, bool bidirectional);
}  // namespace detail

}  // namespace xgrad::nn
