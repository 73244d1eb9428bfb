#pragma once

#include <stdexcept>
#include <string>

namespace xgrad {

/// Every error that xgrad finds; beside it there are std::bad_alloc, where memory runs out, and
/// std::system_error, where threads do (`set_threads`). The text names the operation, the shapes
/// and the rule that was broken, for example `matmul: a is (2,3), b is (4,5): a.shape[1] must equal
/// b.shape[0]`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace xgrad
