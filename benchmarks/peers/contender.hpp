#pragma once

#include <memory>
#include <string>
#include <vector>

/// Plain types between the table of rows and the libraries: the libraries' headers, and their
/// macros, stay in separate translation units.
namespace peers {

/// Numbers in row-major order.
struct Array {
  std::string name;
  std::vector<int> shape;
  std::vector<float> numbers;
};

/// One library's way to compute what a row is about, in float32.
class Contender {
 public:
  virtual ~Contender() = default;
  virtual void run() = 0;  ///< what is timed
  /// What all contenders must agree on, from the same start as theirs.
  virtual std::vector<Array> result() = 0;
};

/// Null where the library is not built in, or cannot do it.
using ContenderPtr = std::unique_ptr<Contender>;

}  // namespace peers
