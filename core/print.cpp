#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>

#include <xgrad/core/tensor.hpp>

namespace xgrad {
namespace {

/// Writes the elements of a tensor in braces, in columns, as xtensor does.
template <class T>
class ElementText {
 public:
  ElementText(const Tensor& x, int precision)
      : x_(x), data_(x.data<T>()), precision_(precision), cut_(x.size() > 1000) {}

  /// The first line continues one that is `indent` long.
  std::string in_columns(std::size_t indent) {
    measure(0, 0);
    column_ = indent;
    write(0, 0);
    return std::move(text_);
  }

 private:
  static constexpr Index shown = 3;  ///< at each end of an axis, if not all are
  static constexpr std::size_t line = 100;

  /// Calls f(i) for the entries of an axis that are shown, and f(-1) for a gap.
  template <class F>
  void each(std::size_t axis, F&& f) const {
    const Index n = x_.shape()[axis];
    const bool gap = cut_ && n > 2 * shown;
    for (Index i = 0; i < n; ++i) {
      if (gap && i == shown) {
        f(-1);
        i = n - shown;
      }
      f(i);
    }
  }

  std::string number(double x) const {
    if (std::isnan(x)) return "nan";  // its sign says nothing
    char text[64];
    return {text,
            static_cast<std::size_t>(std::snprintf(text, sizeof(text), "%.*g", precision_, x))};
  }
  std::string number(std::complex<double> x) const {
    const std::string imaginary = number(x.imag());
    return number(x.real()) + (imaginary[0] == '-' ? "" : "+") + imaginary + "i";
  }

  void measure(std::size_t axis, Index at) {
    if (axis == x_.dim()) {
      width_ = std::max(width_, number(data_[at]).size());
      return;
    }
    each(axis, [&](Index i) {
      if (i >= 0) measure(axis + 1, at + i * x_.strides()[axis]);
    });
  }

  void write(std::size_t axis, Index at) {
    if (axis == x_.dim()) {
      const std::string element = number(data_[at]);
      append(std::string(width_ - element.size(), ' ') + element);
      return;
    }
    append("{");
    const std::size_t indent = column_;
    const std::size_t inner = x_.dim() - axis - 1;  // axes within an entry
    bool first = true;
    each(axis, [&](Index i) {
      if (!first) {
        append(",");
        if (inner > 0) {
          new_line(inner, indent);
        } else if (column_ + 1 + width_ >= line) {
          new_line(1, indent);
        } else {
          append(" ");
        }
      }
      first = false;
      if (i < 0) {
        append("...");
      } else {
        write(axis + 1, at + i * x_.strides()[axis]);
      }
    });
    append("}");
  }

  void append(const std::string& text) {
    text_ += text;
    column_ += text.size();
  }
  void new_line(std::size_t lines, std::size_t indent) {
    text_ += std::string(lines, '\n') + std::string(indent, ' ');
    column_ = indent;
  }

  const Tensor& x_;
  const T* data_;
  int precision_;
  bool cut_;
  std::size_t width_ = 0;
  std::size_t column_ = 0;
  std::string text_;
};

}  // namespace

std::ostream& operator<<(std::ostream& stream, const Shape& shape) {
  return stream << to_string(shape);
}

std::ostream& operator<<(std::ostream& stream, const Tensor& x) {
  std::string text = std::string(name(x.dtype())) + ' ' + to_string(x.shape());
  text += x.dim() > 1 && x.size() > 0 ? '\n' : ' ';
  const std::size_t column = text.back() == '\n' ? 0 : text.size();
  const int precision = static_cast<int>(std::clamp<std::streamsize>(stream.precision(), 1, 17));
  text += x.size() == 0 ? "{}" : dispatch(x.dtype(), [&]<class T>() {
    return ElementText<T>(x, precision).in_columns(column);
  });
  return stream << text;
}

}  // namespace xgrad
