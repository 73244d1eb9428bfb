#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include <xgrad/core/kernels/column_sums.hpp>
#include <xgrad/core/kernels/pointwise_loop.hpp>
#include <xgrad/core/runtime/engine_counts.hpp>
#include <xgrad/core/runtime/parallel.hpp>
#include <xgrad/core/runtime/pool.hpp>

namespace xgrad::detail {
namespace {

constexpr Index parallel_elements = 800;  // of the result, for each thread
constexpr Index summed_elements = 8192;   // the same, where gradients are sums of rows or of leaves
constexpr Index parallel_rows = 8;        // or so many rows, as in products
constexpr Index parallel_cols = 64;
constexpr Index copied_elements = 65536;  // of a result whose operands are copied
constexpr int max_operands = max_leaves + 1;
constexpr Index block_elements =
    2048;  // of an operand that is copied to be adjacent; 8 KiB of float

/// Rows and columns of a matrix.
struct Range {
  Index row, rows;
  Index col, cols;
};

/// The axes of the result, as few as the operands' layouts allow, at least rows and columns.
struct Layout {
  int axes = 0;
  Index extent[Shape::max_axes + 2];
  Index stride[max_operands][Shape::max_axes + 2];  ///< in elements, 0 where an operand repeats
  Index out_stride[Shape::max_axes + 2];

  Index rows() const { return extent[axes - 2]; }
  Index cols() const { return extent[axes - 1]; }
  Index row_stride(int operand) const { return stride[operand][axes - 2]; }
  Index col_stride(int operand) const { return stride[operand][axes - 1]; }
  Index offset(int operand, const Range& range) const {
    return range.row * row_stride(operand) + range.col * col_stride(operand);
  }
  bool adjacent(int operand) const { return col_stride(operand) == 1 || cols() == 1; }
  /// One element for all rows and columns.
  bool repeated(int operand) const { return row_stride(operand) == 0 && col_stride(operand) == 0; }
};

Layout make_layout(const Shape& shape, Tensors operands) {
  Layout layout;
  const Shape out_strides = contiguous_strides(shape);
  const int count = static_cast<int>(operands.size());
  const auto push = [&](Index extent, Index out_stride) {
    layout.extent[layout.axes] = extent;
    layout.out_stride[layout.axes] = out_stride;
    for (int k = 0; k < count; ++k) layout.stride[k][layout.axes] = 0;
    ++layout.axes;
  };
  push(1, 0);  // rows of a vector
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] == 1) continue;
    Index strides[max_operands];
    for (int k = 0; k < count; ++k) {
      const Tensor& x = *operands[static_cast<std::size_t>(k)];
      const std::size_t lead = shape.size() - x.dim();
      const bool repeated = axis < lead || x.shape()[axis - lead] == 1;
      strides[k] = repeated ? 0 : x.strides()[axis - lead];
    }
    bool merge = layout.axes > 1;
    for (int k = 0; k < count && merge; ++k) {
      merge = layout.stride[k][layout.axes - 1] == strides[k] * shape[axis];
    }
    if (merge) {
      layout.extent[layout.axes - 1] *= shape[axis];
      layout.out_stride[layout.axes - 1] = out_strides[axis];
    } else {
      push(shape[axis], out_strides[axis]);
    }
    for (int k = 0; k < count; ++k) layout.stride[k][layout.axes - 1] = strides[k];
  }
  if (layout.axes == 1) push(1, 0);  // columns of a scalar
  return layout;
}

/// Calls f(out offset, operand offsets) for every combination of the axes before rows and columns.
template <class F>
void for_each_outer(const Layout& layout, int operands, F&& f) {
  Index at[Shape::max_axes + 2] = {};
  Index out = 0;
  Index offset[max_operands] = {};
  for (;;) {
    f(out, offset);
    int axis = layout.axes - 2;
    for (;;) {
      if (axis-- == 0) return;
      out += layout.out_stride[axis];
      for (int k = 0; k < operands; ++k) offset[k] += layout.stride[k][axis];
      if (++at[axis] < layout.extent[axis]) break;
      out -= at[axis] * layout.out_stride[axis];
      for (int k = 0; k < operands; ++k) offset[k] -= at[axis] * layout.stride[k][axis];
      at[axis] = 0;
    }
  }
}

template <class T>
void gather(const T* from, Index row_stride, Index col_stride, Index rows, Index cols, T* to) {
  for (Index i = 0; i < rows; ++i, from += row_stride, to += cols) {
    if (col_stride == 0) {
      std::fill_n(to, cols, *from);
    } else {
      for (Index j = 0; j < cols; ++j) to[j] = from[j * col_stride];
    }
  }
}

template <class T>
T sum_of(const T* values, Index n) {
  T part[8] = {};
  Index i = 0;
  for (; i + 8 <= n; i += 8) {
    for (Index k = 0; k < 8; ++k) part[k] += values[i + k];
  }
  for (; i < n; ++i) part[i % 8] += values[i];
  return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

template <class T>
void scatter(const T* from, Index rows, Index cols, T* to, Index row_stride, Index col_stride,
             bool assign) {
  for (Index i = 0; i < rows; ++i, to += row_stride, from += cols) {
    if (col_stride == 0) {
      *to += sum_of(from, cols);
    } else if (assign) {
      for (Index j = 0; j < cols; ++j) to[j * col_stride] = from[j];
    } else {
      for (Index j = 0; j < cols; ++j) to[j * col_stride] += from[j];
    }
  }
}

/// Splits a range into blocks of block_elements at most and calls f(block) for each.
template <class F>
void for_each_block(const Range& range, F&& f) {
  const Index most_cols = std::min(range.cols, block_elements);
  const Index most_rows = std::max<Index>(1, block_elements / most_cols);
  for (Index i = 0; i < range.rows; i += most_rows) {
    for (Index j = 0; j < range.cols; j += most_cols) {
      f(Range{range.row + i, std::min(most_rows, range.rows - i), range.col + j,
              std::min(most_cols, range.cols - j)});
    }
  }
}

/// Memory for a block of each of some operands.
template <class T>
class Blocks {
 public:
  explicit Blocks(int operands)
      : memory_(Buffer::allocate(static_cast<std::size_t>(operands) * block_elements * sizeof(T))) {
  }
  T* operator[](int operand) const {
    return reinterpret_cast<T*>(memory_->data()) + operand * block_elements;
  }

 private:
  Ref<Buffer> memory_;
};

/// Row-major copies of the operands whose columns are not adjacent, block by block.
template <class T>
class Copies {
 public:
  struct Place {
    const T* data;
    Index row;  ///< distance of the rows
  };

  Copies(const Layout& layout, int operands) : layout_(layout), blocks_(operands) {}

  /// Copies an operand of one element, for all blocks.
  void repeat(int operand, T value) {
    std::fill_n(blocks_[operand], std::min(layout_.cols(), block_elements), value);
  }

  /// A block of an operand that begins at `first`: where it is, or a copy.
  Place place(int operand, const void* first, const Range& block) const {
    const T* from = static_cast<const T*>(first) + layout_.offset(operand, block);
    if (layout_.adjacent(operand)) return {from, layout_.row_stride(operand)};
    if (layout_.repeated(operand)) return {blocks_[operand], 0};
    gather(from, layout_.row_stride(operand), layout_.col_stride(operand), block.rows, block.cols,
           blocks_[operand]);
    return {blocks_[operand], block.cols};
  }

 private:
  const Layout& layout_;
  Blocks<T> blocks_;
};

/// A matrix cut into ranges for threads: by rows, as products are, so that each thread finds what
/// it wrote itself; by columns where few rows are there, or a row is not to be cut off from others.
/// Columns are cut at whole vectors, so that every element is computed with the same neighbours,
/// and to the same bits, for any number of threads.
struct Cut {
  Index rows, cols;
  bool by_rows;
  Index step;
  Index parts;

  /// Into `most` parts at most, and not more than there are threads.
  Cut(Index m, Index n, Index most, bool rows_stay_together = false) : rows(m), cols(n) {
    most = std::min<Index>(most, threads());
    by_rows = !rows_stay_together && rows >= most * parallel_rows;
    const Index along = by_rows ? rows : cols;
    const Index grain = by_rows ? parallel_rows : parallel_cols;
    const Index pieces = std::max<Index>(1, std::min(most, along / grain));
    step = ((along + pieces - 1) / pieces + grain - 1) / grain * grain;
    parts = (along + step - 1) / step;
  }
  Range range(Index part) const {
    const Index first = part * step;
    if (by_rows) return {first, std::min(step, rows - first), 0, cols};
    return {0, rows, first, std::min(step, cols - first)};
  }
};

void copy_used(const Strips& from, int leaves, Strips& to) {
  std::memcpy(&to, &from,
              offsetof(Strips, leaf) + static_cast<std::size_t>(leaves) * sizeof(Strips::Operand));
}

/// Whether the gradient of a leaf is summed over rows.
bool is_summed(const Strips::Operand& leaf) {
  return leaf.target_mask != 0 && leaf.target_row == 0;
}
bool sums_rows(const Strips& strips, int leaves) {
  return strips.gradient && strips.rows > 1 &&
         std::any_of(strips.leaf, strips.leaf + leaves, is_summed);
}

/// Runs a kernel that sums gradients over rows, in parts.
template <class T>
void compute_sums(StripKernel kernel, const Strips& all, int leaves) {
  ++engine_counts.summed_in_parts;
  const auto cols = static_cast<std::size_t>(all.cols);
  // Not memory of tensors: what it had been may still be read by this very task.
  PoolVector<T> sums(static_cast<std::size_t>(leaves) * cols);
  Strips part;
  copy_used(all, leaves, part);
  for (Index row = 0; row < all.rows; row += rows_of_a_sum) {
    const auto at = [row](const void* first, Index row_stride) {
      return const_cast<T*>(static_cast<const T*>(first)) + row * row_stride;
    };
    part.rows = std::min(rows_of_a_sum, all.rows - row);
    part.gradient = at(all.gradient, all.gradient_row);
    std::fill(sums.begin(), sums.end(), T(0));
    for (int k = 0; k < leaves; ++k) {
      const Strips::Operand& whole = all.leaf[k];
      Strips::Operand& leaf = part.leaf[k];
      leaf.value = at(whole.value, whole.value_row);
      if (is_summed(whole)) {
        leaf.source = leaf.target = sums.data() + static_cast<std::size_t>(k) * cols;
      } else {
        if (whole.source_mask != 0) leaf.source = at(whole.source, whole.source_row);
        if (whole.target_mask != 0) leaf.target = at(whole.target, whole.target_row);
      }
    }
    kernel(part);
    for (int k = 0; k < leaves; ++k) {
      if (!is_summed(all.leaf[k])) continue;
      T* const target = static_cast<T*>(all.leaf[k].target);
      const T* const sum = sums.data() + static_cast<std::size_t>(k) * cols;
      for (std::size_t j = 0; j < cols; ++j) target[j] += sum[j];
    }
  }
}

/// Runs a kernel, which may sum gradients over so many rows that it is worth parts.
template <class T>
void compute(StripKernel kernel, const Strips& strips, int leaves) {
  if (strips.rows <= rows_of_a_sum || !sums_rows(strips, leaves)) return kernel(strips);
  compute_sums<T>(kernel, strips, leaves);
}

/// A kernel and what a thread needs to run it on a part of its strips.
template <class T>
struct SharedStrips {
  static constexpr int most_constants = 4;

  StripKernel kernel;
  Cut cut;
  int leaves;
  double constants[most_constants];
  Strips strips;

  SharedStrips(StripKernel f, const Cut& ranges, const Strips& all, const ExpressionType& type)
      : kernel(f), cut(ranges), leaves(type.leaves) {
    copy_used(all, leaves, strips);
    std::copy_n(all.constants, type.constants, constants);
  }

  /// The bytes up to the last leaf.
  std::size_t used() const {
    return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(strips.leaf + leaves) -
                                    reinterpret_cast<const std::byte*>(this));
  }

  void operator()(Index part) const {
    const Range range = cut.range(part);
    alignas(64) T scratch[simd_width<T>];
    const auto at = [&](const void* from, Index row_stride) {
      return const_cast<T*>(static_cast<const T*>(from)) + range.row * row_stride + range.col;
    };
    Strips own;
    copy_used(strips, leaves, own);
    own.constants = constants;
    own.rows = range.rows;
    own.cols = range.cols;
    if (own.out) own.out = at(own.out, own.out_row);
    if (own.gradient) own.gradient = at(own.gradient, own.gradient_row);
    for (Strips::Operand& leaf : std::span(own.leaf, static_cast<std::size_t>(leaves))) {
      leaf.value = at(leaf.value, leaf.value_row);
      if (!own.gradient) continue;
      if (leaf.source_mask != 0) leaf.source = at(leaf.source, leaf.source_row);
      leaf.target = leaf.target_mask != 0 ? at(leaf.target, leaf.target_row) : scratch;
    }
    compute<T>(kernel, own, leaves);
  }
};

/// Runs a kernel, on several threads if there are any and the strips are large.
template <class T>
void run(const ExpressionType& type, StripKernel kernel, const Strips& strips, Sharing sharing) {
  ++engine_counts.direct;
  if (threads() == 1 || sharing == Sharing::overlap ||
      type.constants > SharedStrips<T>::most_constants) {
    return compute<T>(kernel, strips, type.leaves);
  }
  const bool sums = sums_rows(strips, type.leaves);
  const Index each = sums || sharing == Sharing::same_view ? summed_elements : parallel_elements;
  const Index worth = strips.rows * strips.cols / each;
  if (worth <= 1) return compute<T>(kernel, strips, type.leaves);
  const Cut cut(strips.rows, strips.cols, worth, sums);
  if (cut.parts == 1) return compute<T>(kernel, strips, type.leaves);
  ++engine_counts.split;
  const SharedStrips<T> shared(kernel, cut, strips, type);
  launch(cut.parts, shared, shared.used());
}

/// What the gradient of a leaf starts from if it is assigned.
template <class T>
alignas(64) constexpr T zeros[simd_width<T>] = {};

/// Runs a forward kernel on a range, on copies of the operands that are not adjacent.
template <class T>
void forward_on_copies(StripKernel kernel, const Layout& layout, const Strips& all, int leaves,
                       const Range& range) {
  Strips strips;
  copy_used(all, leaves, strips);
  Copies<T> copies(layout, leaves);
  for (int k = 0; k < leaves; ++k) {
    if (layout.repeated(k)) copies.repeat(k, *static_cast<const T*>(all.leaf[k].value));
  }
  for_each_block(range, [&](const Range& block) {
    strips.rows = block.rows;
    strips.cols = block.cols;
    for (int k = 0; k < leaves; ++k) {
      const auto value = copies.place(k, all.leaf[k].value, block);
      strips.leaf[k].value = value.data;
      strips.leaf[k].value_row = value.row;
    }
    strips.out = static_cast<T*>(all.out) + block.row * all.out_row + block.col;
    kernel(strips);
  });
}

template <class T>
void forward(const ExpressionType& type, const Layout& layout, Tensors leaves,
             const double* constants, T* out) {
  const StripKernel kernel = type.forward[static_cast<int>(dtype_of<T>())];
  const int count = type.leaves;
  Strips strips;
  strips.rows = layout.rows();
  strips.cols = layout.cols();
  strips.constants = constants;
  strips.out_row = layout.out_stride[layout.axes - 2];
  bool adjacent = true;
  const T* base[max_operands];
  for (int k = 0; k < count; ++k) {
    base[k] = leaves[static_cast<std::size_t>(k)]->data<T>();
    strips.leaf[k].value_row = layout.row_stride(k);
    adjacent = adjacent && layout.adjacent(k);
  }
  for_each_outer(layout, count, [&](Index at, const Index* offset) {
    for (int k = 0; k < count; ++k) strips.leaf[k].value = base[k] + offset[k];
    strips.out = out + at;
    if (adjacent) return run<T>(type, kernel, strips, Sharing::none);
    ++engine_counts.copied_forward;
    const Cut cut(strips.rows, strips.cols, strips.rows * strips.cols / copied_elements);
    parallel_for(cut.parts, [&](Index part) {
      forward_on_copies<T>(kernel, layout, strips, count, cut.range(part));
    });
  });
}

/// Runs a backward kernel on copies of the operands that are not adjacent. The pull of such a leaf
/// goes to a block first.
template <class T>
void backward_on_copies(StripKernel kernel, const Layout& layout, const Strips& all, int leaves) {
  Strips strips;
  copy_used(all, leaves, strips);
  const int gradient_operand = leaves;
  Copies<T> copies(layout, leaves + 1);
  const Blocks<T> pulls(leaves);
  for (int k = 0; k <= leaves; ++k) {
    const void* first = k == gradient_operand ? all.gradient : all.leaf[k].value;
    if (layout.repeated(k)) copies.repeat(k, *static_cast<const T*>(first));
  }
  const auto is_scattered = [&](int k) {
    return all.leaf[k].target_mask != 0 && !layout.adjacent(k);
  };
  for_each_block({0, all.rows, 0, all.cols}, [&](const Range& block) {
    strips.rows = block.rows;
    strips.cols = block.cols;
    const auto gradient = copies.place(gradient_operand, all.gradient, block);
    strips.gradient = gradient.data;
    strips.gradient_row = gradient.row;
    for (int k = 0; k < leaves; ++k) {
      const Strips::Operand& from = all.leaf[k];
      Strips::Operand& leaf = strips.leaf[k];
      const auto value = copies.place(k, from.value, block);
      leaf.value = value.data;
      leaf.value_row = value.row;
      if (is_scattered(k)) {
        leaf.source = zeros<T>;
        leaf.source_row = leaf.source_mask = 0;
        leaf.target = pulls[k];
        leaf.target_row = block.cols;
      } else {
        const Index offset = layout.offset(k, block);
        if (from.source_mask != 0) leaf.source = static_cast<const T*>(from.source) + offset;
        if (from.target_mask != 0) leaf.target = static_cast<T*>(from.target) + offset;
      }
    }
    // Parts of a few wide rows would cost more than they gain.
    if (all.rows > rows_of_a_sum && block.rows >= 8 && sums_rows(strips, leaves)) {
      compute_sums<T>(kernel, strips, leaves);
    } else {
      kernel(strips);
    }
    for (int k = 0; k < leaves; ++k) {
      if (!is_scattered(k)) continue;
      const bool assign = all.leaf[k].source_mask == 0;
      scatter(pulls[k], block.rows, block.cols,
              static_cast<T*>(all.leaf[k].target) + layout.offset(k, block), layout.row_stride(k),
              layout.col_stride(k), assign);
    }
  });
}

template <class T>
void backward(const ExpressionType& type, const Layout& layout, Tensors leaves,
              const double* constants, const Tensor& gradient,
              std::span<const LeafTarget> targets) {
  alignas(64) T scratch[simd_width<T>];
  const StripKernel kernel = type.backward[static_cast<int>(dtype_of<T>())];
  const int count = type.leaves;
  const int gradient_operand = count;
  Strips strips;
  strips.rows = layout.rows();
  strips.cols = layout.cols();
  strips.constants = constants;
  strips.gradient_row = layout.row_stride(gradient_operand);
  bool adjacent = layout.adjacent(gradient_operand);
  Sharing sharing = Sharing::none;
  const T* base[max_operands];
  T* target_base[max_operands];
  base[gradient_operand] = gradient.data<T>();
  for (int k = 0; k < count; ++k) {
    const LeafTarget& target = targets[static_cast<std::size_t>(k)];
    Strips::Operand& leaf = strips.leaf[k];
    base[k] = leaves[static_cast<std::size_t>(k)]->data<T>();
    target_base[k] = reinterpret_cast<T*>(target.memory);
    adjacent = adjacent && layout.adjacent(k);
    sharing = std::max(sharing, target.sharing);
    const bool wanted = target.memory != nullptr;
    leaf.value_row = layout.row_stride(k);
    leaf.target = scratch;
    leaf.target_row = wanted ? leaf.value_row : 0;
    leaf.target_mask = wanted ? -1 : 0;
    const bool reads = wanted && !target.assign;
    leaf.source = zeros<T>;
    leaf.source_row = reads ? leaf.value_row : 0;
    leaf.source_mask = reads ? -1 : 0;
  }
  for_each_outer(layout, count + 1, [&](Index, const Index* offset) {
    for (int k = 0; k < count; ++k) {
      Strips::Operand& leaf = strips.leaf[k];
      leaf.value = base[k] + offset[k];
      if (leaf.target_mask != 0) leaf.target = target_base[k] + offset[k];
      if (leaf.source_mask != 0) leaf.source = leaf.target;
    }
    strips.gradient = base[gradient_operand] + offset[gradient_operand];
    if (adjacent) return run<T>(type, kernel, strips, sharing);
    ++engine_counts.copied_backward;
    backward_on_copies<T>(kernel, layout, strips, count);
  });
}

}  // namespace

bool repeats(const Shape& from, const Shape& shape) {
  return element_count(from) != element_count(shape);
}

void run_forward(const ExpressionType& type, Tensors leaves, const double* constants,
                 const Tensor& out) {
  if (out.size() == 0) return;
  const Tensor* operands[max_operands];
  for (std::size_t k = 0; k < leaves.size(); ++k) operands[k] = leaves[k];
  const Layout layout = make_layout(out.shape(), {operands, leaves.size()});
  dispatch(out.dtype(),
           [&]<class T>() { forward<T>(type, layout, leaves, constants, out.mutable_data<T>()); });
}

void run_backward(const ExpressionType& type, Tensors leaves, const double* constants,
                  const Shape& shape, const Tensor& gradient, std::span<const LeafTarget> targets) {
  if (element_count(shape) == 0) return;
  const Tensor* operands[max_operands];
  for (std::size_t k = 0; k < leaves.size(); ++k) operands[k] = leaves[k];
  operands[leaves.size()] = &gradient;
  const Layout layout = make_layout(shape, {operands, leaves.size() + 1});
  dispatch(gradient.dtype(),
           [&]<class T>() { backward<T>(type, layout, leaves, constants, gradient, targets); });
}

}  // namespace xgrad::detail
