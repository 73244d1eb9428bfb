#include <algorithm>
#include <cstring>
#include <string>
#include <typeinfo>

#include <xgrad/core/error.hpp>
#include <xgrad/core/op.hpp>
#include <xgrad/nn/ragged.hpp>
#include <xgrad/ops/shape.hpp>

namespace xgrad::nn {
namespace {

/// Copies the rows of the first two axes that `places` name, or copies them back among zeros. Each
/// is the other's derivative, and what is not named is neither read nor written.
struct Pack {
  static constexpr const char* name = "pack";
  static constexpr bool exact = true;
  Indices places;
  Index steps, batch;

  Tensor value(const Tensor& x) const {
    Shape shape{places.size()};
    for (std::size_t axis = 2; axis < x.dim(); ++axis) shape.push_back(x.shape()[axis]);
    const Tensor source = xgrad::detail::contiguous(x);
    const Tensor packed = Tensor::uninitialized(shape, x.dtype());
    const std::size_t bytes = row_bytes(packed);
    const std::byte* const from = source.bytes();
    std::byte* to = packed.bytes();
    for (const std::int64_t place : places.values()) {
      std::memcpy(to, from + static_cast<std::size_t>(place) * bytes, bytes);
      to += bytes;
    }
    return packed;
  }
  void pullback(Pullback& p) const;

  static std::size_t row_bytes(const Tensor& packed) {
    Index elements = 1;
    for (std::size_t axis = 1; axis < packed.dim(); ++axis) elements *= packed.shape()[axis];
    return static_cast<std::size_t>(elements) * item_size(packed.dtype());
  }
};

struct Unpack {
  static constexpr const char* name = "unpack";
  static constexpr bool exact = true;
  Pack pack;

  Tensor value(const Tensor& rows) const {
    Shape shape{pack.steps, pack.batch};
    for (std::size_t axis = 1; axis < rows.dim(); ++axis) shape.push_back(rows.shape()[axis]);
    const Tensor source = xgrad::detail::contiguous(rows);
    const Tensor x = Tensor::zeros(shape, rows.dtype());
    const std::size_t bytes = Pack::row_bytes(rows);
    const std::byte* from = source.bytes();
    std::byte* const to = x.bytes();
    for (const std::int64_t place : pack.places.values()) {
      std::memcpy(to + static_cast<std::size_t>(place) * bytes, from, bytes);
      from += bytes;
    }
    return x;
  }
  void pullback(Pullback& p) const { p.add(0, apply(pack, p.gradient())); }
};

void Pack::pullback(Pullback& p) const { p.add(0, apply(Unpack{*this}, p.gradient())); }

std::string described(const Var& x) { return to_string(x.shape()) + " of " + name(x.dtype()); }

}  // namespace

Ragged::Ragged(const char* caller, const Var& x, std::span<const Index> lengths) {
  const auto error = [&](const std::string& rule) {
    return Error(std::string(caller) + ": x is " + to_string(x.shape()) + ": " + rule);
  };
  if (x.dim() != 3) throw error("it must be (steps, batch, features)");
  steps_ = x.shape()[0];
  batch_ = x.shape()[1];
  longest_ = steps_;
  if (steps_ == 0) throw error("it must have at least one step");
  if (lengths.empty()) return;
  if (static_cast<Index>(lengths.size()) != batch_) {
    throw error(std::to_string(lengths.size()) + " lengths for a batch of " +
                std::to_string(batch_));
  }
  for (Index length : lengths) {
    if (length < 0 || length > steps_) {
      throw error("the length " + std::to_string(length) + " must be from 0 to " +
                  std::to_string(steps_));
    }
  }
  const auto [shortest, longest] = std::minmax_element(lengths.begin(), lengths.end());
  if (*shortest == steps_) return;
  longest_ = *longest;
  lengths_.assign(lengths.begin(), lengths.end());
  std::vector<std::int64_t> places;
  for (Index t = 0; t < longest_; ++t) {
    starts_.push_back(static_cast<Index>(places.size()));
    for (Index row = 0; row < batch_; ++row) {
      if (reaches(row, t)) places.push_back(t * batch_ + row);
    }
  }
  starts_.push_back(static_cast<Index>(places.size()));
  places_.emplace(Shape{starts_.back()}, places);
}

bool Ragged::reaches(Index row, Index t) const {
  return t < lengths_[static_cast<std::size_t>(row)];
}

Index Ragged::count(Index t) const {
  const auto step = static_cast<std::size_t>(t);
  return is_full() ? batch_ : starts_[step + 1] - starts_[step];
}

Var Ragged::pack(const Var& x) const {
  return is_full() ? x : apply(Pack{*places_, steps_, batch_}, x);
}

Var Ragged::unpack(const Var& packed) const {
  return is_full() ? packed : apply(Unpack{{*places_, steps_, batch_}}, packed);
}

Var Ragged::at(Index t, const Var& packed) const {
  if (is_full()) return packed[t];
  const Index start = starts_[static_cast<std::size_t>(t)];
  return slice(packed, 0, start, start + count(t));
}

Var Ragged::join(std::span<const Var> outputs) const {
  if (is_full()) return stack(outputs, 0);
  Index t = 0;
  for (const Var& output : outputs) check_rows(t++, output);
  return concat(outputs, 0);
}

Var Ragged::no_rows(const Var& output) { return slice(output, 0, 0, 0); }

Var Ragged::for_each_row(const Var& member) const {
  if (is_full()) return member;
  if (member.dim() == 0) {
    throw Error(
        "recurrent: a member of the state is a single number: with lengths each sequence "
        "must have its own, in a first axis");
  }
  Shape shape = member.shape();
  shape[0] = batch_;
  return broadcast_to(member, shape);
}

bool Ragged::regroups(Index before, Index t) const {
  return !is_full() && (before < 0 || count(before) != count(t));
}

Var Ragged::take(Index t, const Var& all) const {
  if (count(t) == batch_) return all;
  std::vector<std::int64_t> rows;
  for (Index row = 0; row < batch_; ++row) {
    if (reaches(row, t)) rows.push_back(row);
  }
  return gather(all, Indices({count(t)}, rows));
}

Var Ragged::put(Index t, const Var& all, const Var& part) const {
  if (is_full()) return part;
  if (t < 0) return all;
  check_rows(t, part);
  if (count(t) == batch_) return part;
  std::vector<std::int64_t> rows;
  for (Index row = 0, next = batch_; row < batch_; ++row) {
    rows.push_back(reaches(row, t) ? next++ : row);
  }
  return gather(concat({all, part}, 0), Indices({batch_}, rows));
}

void Ragged::check_rows(Index t, const Var& x) const {
  if (x.dim() > 0 && x.shape()[0] == count(t)) return;
  throw Error("recurrent: " + std::to_string(count(t)) + " of " + std::to_string(batch_) +
              " sequences reach step " + std::to_string(t) + ", for which the cell gave " +
              to_string(x.shape()) + ": its first axis must be theirs");
}

Var side_by_side(const Var& a, const Var& b) { return concat({a, b}, -1); }

namespace detail {

std::size_t cell_count(const RecurrentOptions& options, std::size_t cell_bytes) {
  if (options.layers < 1) {
    throw Error("recurrent: layers is " + std::to_string(options.layers) +
                ": it must be at least 1");
  }
  if (too_large({options.layers, options.bidirectional ? 2 : 1}, cell_bytes)) {
    throw Error("recurrent: layers is " + std::to_string(options.layers) +
                ": so many are larger than any memory");
  }
  if (options.bidirectional && options.reverse) {
    throw Error("recurrent: bidirectional and reverse: both directions have the reverse one");
  }
  return static_cast<std::size_t>(options.layers) * (options.bidirectional ? 2 : 1);
}

void check_cell_count(std::size_t cells, const RecurrentOptions& options) {
  const std::size_t expected = cell_count(options, 1);
  if (cells != expected) {
    throw Error("recurrent: " + std::to_string(cells) + " cells for " +
                std::to_string(options.layers) + " layers" +
                (options.bidirectional ? " in two directions" : "") + ": there must be " +
                std::to_string(expected));
  }
}

void check_state_count(std::size_t states, std::size_t cells) {
  if (cells == 0) throw Error("recurrent: it has no cells: it was moved from");
  if (states == cells) return;
  throw Error("recurrent: " + std::to_string(states) + " states for " + std::to_string(cells) +
              " cells");
}

bool is_of_batch(const Var& member, const Var& x, Index batch) {
  if (!member.defined()) return false;
  const Tensor& value = member.tensor();
  return value.dim() > 0 && value.shape()[0] == batch && value.dtype() == x.dtype();
}

void check_like(std::size_t cell, const RecurrentOptions& options, std::size_t k, const Var& member,
                const Var& like, const Var& x, Index batch, const std::string& since) {
  Shape shape = like.shape();
  if (!shape.empty()) shape[0] = batch;
  if (member.defined() && (member.shape() == shape || member.shape() == like.shape()) &&
      (member.dtype() == x.dtype() || member.dtype() == like.dtype())) {
    return;
  }
  throw Error("recurrent: x is " + described(x) + ", member " + std::to_string(k) +
              " of the state of " + cell_name(cell, options) + " is " +
              (member.defined() ? described(member) : "undefined") + ": it must be " +
              to_string(shape) + " of " + name(x.dtype()) +
              (since.empty() ? "" : " (" + since + ")"));
}

void check_zero_state(std::size_t cell, const RecurrentOptions& options, std::size_t k,
                      const Var& member, Index batch) {
  if (member.defined() &&
      (member.dim() == 0 || member.shape()[0] == batch || member.shape()[0] == 1)) {
    return;
  }
  throw Error("recurrent: " + cell_name(cell, options) + ": member " + std::to_string(k) +
              " of zero_state(" + std::to_string(batch) + ") is " +
              (member.defined() ? to_string(member.shape()) : "undefined") +
              ": its first axis must be the batch");
}

std::string cell_name(std::size_t i, const RecurrentOptions& options) {
  const std::size_t directions = options.bidirectional ? 2 : 1;
  const bool reverse = options.reverse || i % directions == 1;
  return "layer" + std::to_string(i / directions) + (reverse ? "_reverse" : "");
}

bool is_plain(const Error& error) { return typeid(error) == typeid(Error); }

void fail(const Error& error, std::size_t cell, const RecurrentOptions& options) {
  if (!is_plain(error)) throw;
  throw Error("recurrent: " + cell_name(cell, options) + ": " + error.what());
}

}  // namespace detail
}  // namespace xgrad::nn
