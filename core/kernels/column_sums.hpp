#pragma once

#include <xgrad/core/tensor.hpp>

namespace xgrad::detail {

/// Sums of more rows are taken in parts of so many, whose sums are added: rounded less often.
inline constexpr Index rows_of_a_sum = 256;

/// The sum of the rows of a contiguous matrix, assigned or added to a vector. Eight rows at a time
/// go through the vector's memory, and the same ones for any number of threads.
void sum_rows(const Tensor& matrix, Index rows, std::byte* to, bool assign);

/// True if an array of shape `from` holds an array of shape `to` for each of its rows.
bool has_rows_of(const Shape& from, const Shape& to);

}  // namespace xgrad::detail
