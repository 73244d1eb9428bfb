#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include <xgrad/core/strips.hpp>
#include <xgrad/core/threads.hpp>

namespace xgrad::detail {
namespace {

constexpr Index parallel_elements = 800;  // of the result, for each thread
constexpr Index parallel_rows = 8;        // or so many rows, as in products
constexpr Index parallel_cols = 64;
constexpr Index copied_elements = 65536;  // of a result whose operands are copied
constexpr int max_operands = max_leaves + 1;
constexpr Index block_elements =
    2048;  // of an operand that is copied to be adjacent; 8 KiB of float

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

/// Row-major copies of one block of every operand whose columns are not adjacent.
template <class T>
class Blocks {
 public:
  explicit Blocks(int operands)
      : memory_(Buffer::allocate(static_cast<std::size_t>(operands) * block_elements * sizeof(T))) {
  }
  T* operator[](int operand) {
    return reinterpret_cast<T*>(memory_->data()) + operand * block_elements;
  }
  /// One row of an operand's only element, for all blocks.
  void repeat(int operand, T value, Index cols) {
    std::fill_n((*this)[operand], std::min(cols, block_elements), value);
  }

 private:
  Ref<Buffer> memory_;
};

/// Rows and columns of a matrix.
struct Range {
  Index row, rows;
  Index col, cols;
};

/// Splits a range into blocks that fit Blocks and calls f(row, rows, col, cols) for each.
template <class F>
void for_each_block(const Range& range, F&& f) {
  const Index most_cols = std::min(range.cols, block_elements);
  const Index most_rows = std::max<Index>(1, block_elements / most_cols);
  for (Index i = 0; i < range.rows; i += most_rows) {
    for (Index j = 0; j < range.cols; j += most_cols) {
      f(range.row + i, std::min(most_rows, range.rows - i), range.col + j,
        std::min(most_cols, range.cols - j));
    }
  }
}

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
    kernel(own);
  }
};

/// Whether the gradient of a leaf is summed over rows.
bool sums_rows(const Strips& strips, int leaves) {
  return strips.gradient && std::any_of(strips.leaf, strips.leaf + leaves, [](const auto& leaf) {
           return leaf.target_mask != 0 && leaf.target_row == 0;
         });
}

/// Runs a kernel, on several threads if there are any and the strips are large.
template <class T>
void run(const ExpressionType& type, StripKernel kernel, const Strips& strips, bool may_cut) {
  may_cut = may_cut && type.constants <= SharedStrips<T>::most_constants;
  const Index worth = may_cut ? strips.rows * strips.cols / parallel_elements : 1;
  if (std::min<Index>(worth, threads()) <= 1) return kernel(strips);
  const Cut cut(strips.rows, strips.cols, worth, sums_rows(strips, type.leaves));
  if (cut.parts == 1) return kernel(strips);
  const SharedStrips<T> shared(kernel, cut, strips, type);
  launch(cut.parts, shared, shared.used());
}

template <class T>
void forward(const ExpressionType& type, const Layout& layout, Tensors leaves,
             const double* constants, T* out) {
  const StripKernel kernel = type.forward[static_cast<int>(dtype_of<T>())];
  const int count = type.leaves;
  Strips strips;
  strips.constants = constants;
  strips.out_row = layout.out_stride[layout.axes - 2];
  bool adjacent = true;
  for (int k = 0; k < count; ++k) {
    adjacent = adjacent && layout.adjacent(k);
    strips.leaf[k].value_row = layout.row_stride(k);
  }
  const T* base[max_operands];
  for (int k = 0; k < count; ++k) base[k] = leaves[static_cast<std::size_t>(k)]->data<T>();

  if (adjacent) {
    strips.rows = layout.rows();
    strips.cols = layout.cols();
    for_each_outer(layout, count, [&](Index at, const Index* offset) {
      for (int k = 0; k < count; ++k) strips.leaf[k].value = base[k] + offset[k];
      strips.out = out + at;
      run<T>(type, kernel, strips, true);
    });
    return;
  }
  // Each range is computed on its own, on copies of its own.
  for_each_outer(layout, count, [&](Index at, const Index* offset) {
    const Cut cut(layout.rows(), layout.cols(), layout.rows() * layout.cols() / copied_elements);
    parallel_for(cut.parts, [&](Index part) {
      const Range range = cut.range(part);
      Strips own;
      copy_used(strips, count, own);
      Blocks<T> blocks(count);
      for (int k = 0; k < count; ++k) {
        if (layout.repeated(k)) blocks.repeat(k, base[k][offset[k]], layout.cols());
      }
      for_each_block(range, [&](Index row, Index rows, Index col, Index cols) {
        own.rows = rows;
        own.cols = cols;
        for (int k = 0; k < count; ++k) {
          const Index row_stride = layout.row_stride(k);
          const Index col_stride = layout.col_stride(k);
          const T* from = base[k] + offset[k] + row * row_stride + col * col_stride;
          if (layout.adjacent(k)) {
            own.leaf[k].value = from;
          } else {
            const bool copied = !layout.repeated(k);
            if (copied) gather(from, row_stride, col_stride, rows, cols, blocks[k]);
            own.leaf[k].value = blocks[k];
            own.leaf[k].value_row = copied ? cols : 0;
          }
        }
        own.out = out + at + row * own.out_row + col;
        kernel(own);
      });
    });
  });
}

template <class T>
void backward(const ExpressionType& type, const Layout& layout, Tensors leaves,
              const double* constants, const Tensor& gradient,
              std::span<const LeafTarget> targets) {
  alignas(64) static constexpr T zeros[simd_width<T>] = {};
  alignas(64) T scratch[simd_width<T>];
  const StripKernel kernel = type.backward[static_cast<int>(dtype_of<T>())];
  const int count = type.leaves;
  const int gradient_operand = count;
  Strips strips;
  strips.constants = constants;
  strips.gradient_row = layout.row_stride(gradient_operand);
  bool adjacent = layout.adjacent(gradient_operand);
  bool exclusive = true;
  const T* base[max_operands];
  T* target_base[max_operands];
  base[gradient_operand] = gradient.data<T>();
  for (int k = 0; k < count; ++k) {
    const LeafTarget& target = targets[static_cast<std::size_t>(k)];
    Strips::Operand& leaf = strips.leaf[k];
    base[k] = leaves[static_cast<std::size_t>(k)]->data<T>();
    const bool wanted = target.memory != nullptr;
    target_base[k] = wanted ? reinterpret_cast<T*>(target.memory) : scratch;
    adjacent = adjacent && layout.adjacent(k);
    exclusive = exclusive && target.exclusive;
    leaf.value_row = layout.row_stride(k);
    leaf.target = scratch;
    leaf.target_row = wanted ? leaf.value_row : 0;
    leaf.target_mask = wanted ? -1 : 0;
    const bool reads = wanted && !target.assign;
    leaf.source = zeros;
    leaf.source_row = reads ? leaf.value_row : 0;
    leaf.source_mask = reads ? -1 : 0;
  }
  const auto aim = [&](int k, T* to) {
    Strips::Operand& leaf = strips.leaf[k];
    if (leaf.target_mask != 0) leaf.target = to;
    if (leaf.source_mask != 0) leaf.source = to;
  };

  if (adjacent) {
    strips.rows = layout.rows();
    strips.cols = layout.cols();
    for_each_outer(layout, count + 1, [&](Index, const Index* offset) {
      for (int k = 0; k < count; ++k) {
        strips.leaf[k].value = base[k] + offset[k];
        if (strips.leaf[k].target_mask != 0) aim(k, target_base[k] + offset[k]);
      }
      strips.gradient = base[gradient_operand] + offset[gradient_operand];
      run<T>(type, kernel, strips, exclusive);
    });
    return;
  }
  Blocks<T> values(count + 1);
  Blocks<T> pulls(count);
  for_each_outer(layout, count + 1, [&](Index, const Index* offset) {
    for (int k = 0; k <= count; ++k) {
      if (layout.repeated(k)) values.repeat(k, base[k][offset[k]], layout.cols());
    }
    const Range all{0, layout.rows(), 0, layout.cols()};
    for_each_block(all, [&](Index row, Index rows, Index col, Index cols) {
      strips.rows = rows;
      strips.cols = cols;
      for (int k = 0; k <= count; ++k) {
        const Index row_stride = layout.row_stride(k);
        const Index col_stride = layout.col_stride(k);
        const T* from = base[k] + offset[k] + row * row_stride + col * col_stride;
        const bool copied = !layout.adjacent(k);
        const bool once = layout.repeated(k);
        if (copied && !once) gather(from, row_stride, col_stride, rows, cols, values[k]);
        const Index copied_row = once ? 0 : cols;
        if (k == gradient_operand) {
          strips.gradient = copied ? values[k] : from;
          strips.gradient_row = copied ? copied_row : row_stride;
          continue;
        }
        Strips::Operand& leaf = strips.leaf[k];
        leaf.value = copied ? values[k] : from;
        leaf.value_row = copied ? copied_row : row_stride;
        if (!targets[static_cast<std::size_t>(k)].memory) continue;
        if (copied) {  // the kernel assigns to a block, which goes to the leaf below
          leaf.source_mask = 0;
          leaf.source_row = 0;
          leaf.source = zeros;
          leaf.target_row = cols;
          leaf.target = pulls[k];
        } else {
          aim(k, target_base[k] + offset[k] + row * row_stride + col * col_stride);
        }
      }
      kernel(strips);
      for (int k = 0; k < count; ++k) {
        if (layout.adjacent(k) || !targets[static_cast<std::size_t>(k)].memory) continue;
        const Index row_stride = layout.row_stride(k);
        const Index col_stride = layout.col_stride(k);
        scatter(pulls[k], rows, cols,
                target_base[k] + offset[k] + row * row_stride + col * col_stride, row_stride,
                col_stride, targets[static_cast<std::size_t>(k)].assign);
      }
    });
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
