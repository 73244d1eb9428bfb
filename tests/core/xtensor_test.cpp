// Whatever is done with an xt::xarray can be done with value<T>(), with the same result.

#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "core/xtensor_headers.hpp"

namespace xgrad {
namespace {

using Array = xt::xarray<float>;
using Result = xt::xarray<double>;
constexpr auto immediate = xt::evaluation_strategy::immediate;

struct Case {
  std::string name;
  Tensor tensor;
};

/// Eighths in no order, so that every sum is exact.
Tensor eighths(const Shape& shape) {
  std::vector<float> values(static_cast<std::size_t>(element_count(shape)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 8;
  }
  return Tensor(shape, values);
}

/// Each shape in row-major order, in another one, and as a slice with gaps.
std::vector<Case> cases_of(const std::vector<Shape>& shapes) {
  std::vector<Case> cases;
  for (const Shape& shape : shapes) {
    const std::string text = to_string(shape);
    cases.push_back({text, eighths(shape)});
    Shape reversed = shape;
    std::reverse(reversed.begin(), reversed.end());
    cases.push_back({text + " transposed", transpose(Var(eighths(reversed))).tensor()});
    if (shape.empty()) continue;
    Shape larger = shape;
    larger[0] += 1;
    larger.back() = 2 * larger.back() + 1;
    const Index last = static_cast<Index>(shape.size()) - 1;
    const Var every_second = slice(eighths(larger), last, 1, 2 * shape.back() + 1, 2);
    cases.push_back({text + " sliced", slice(every_second, 0, 0, shape[0]).tensor()});
  }
  return cases;
}

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases =
      cases_of({{5}, {3, 4}, {2, 3, 4}, {2, 3, 2, 4}, {2, 1, 3, 2, 2}, {2, 1, 3, 2, 1, 2}});
  return cases;
}

Array array_of(const Tensor& x) {
  Array array = Array::from_shape(std::vector<std::size_t>(x.shape().begin(), x.shape().end()));
  const std::vector<double> values = x.to_vector();
  std::copy(values.begin(), values.end(), array.begin());
  return array;
}

template <class E>
Result result_of(const xt::xexpression<E>& expression) {
  return Result(expression);
}
Result result_of(double number) { return {number}; }
Result result_of(const std::string& text) {
  Result letters = Result::from_shape({text.size()});
  std::copy(text.begin(), text.end(), letters.begin());
  return letters;
}

template <class F>
void agree(const Case& c, F&& f) {
  SCOPED_TRACE(c.name);
  const Array array = array_of(c.tensor);
  const auto value = c.tensor.value<float>();
  const Result expected = result_of(f(array));
  const Result found = result_of(f(value));
  ASSERT_EQ(found.shape(), expected.shape());
  EXPECT_TRUE(std::equal(found.begin(), found.end(), expected.begin()))
      << "value: " << found << "\nxarray: " << expected;
}

/// f of all arrays, or of those with that many axes.
template <class F>
void agree(const char* use, F&& f, std::size_t axes = 1) {
  SCOPED_TRACE(use);
  for (const Case& c : all_cases()) {
    if (c.tensor.dim() >= axes) agree(c, f);
  }
}

TEST(Xtensor, ExpressionsEvaluate) {
  agree("eval", [](const auto& x) { return xt::eval(x * 2.f); });
  agree("eval of a view", [](const auto& x) { return xt::eval(xt::view(x, 0) * 2.f); });
  agree("two operands", [](const auto& x) { return xt::eval(x - x * x); });
  agree("function", [](const auto& x) { return xt::exp(x); });
  agree("vectorize", [](const auto& x) { return xt::vectorize([](float a) { return a + 1; })(x); });
  agree("maximum", [](const auto& x) { return xt::maximum(x, -x); });
  agree("to an xtensor", [](const auto& x) { return xt::xtensor<float, 1>(xt::flatten(x)); });
}

TEST(Xtensor, Reducers) {
  agree("sum", [](const auto& x) { return static_cast<double>(xt::sum(x)()); });
  agree("sum, at once", [](const auto& x) { return xt::sum(x, immediate); });
  agree("sum over an axis", [](const auto& x) { return xt::sum(x, {0}); });
  agree("sum over an axis, at once", [](const auto& x) { return xt::sum(x, {0}, immediate); });
  agree("mean over the last axis", [](const auto& x) { return xt::mean(x, {-1}); });
  agree(
      "sum over two axes, at once",
      [](const auto& x) {
        return xt::sum(x, {0, 2}, immediate);
      },
      3);
  agree("axes kept", [](const auto& x) { return xt::sum(x, {0}, xt::keep_dims | immediate); });
  agree("stddev", [](const auto& x) { return xt::stddev(x); });
  agree("stddev over an axis", [](const auto& x) { return xt::stddev(x, {0}); });
  agree("variance over an axis", [](const auto& x) { return xt::variance(x, {0}); });
  agree("norm_l2", [](const auto& x) { return xt::norm_l2(x, {0}); });
  agree("median over an axis", [](const auto& x) { return xt::median(x, 0); });
  agree("cumsum", [](const auto& x) { return xt::cumsum(x, 0); });
}

TEST(Xtensor, Sorting) {
  agree("sort", [](const auto& x) { return xt::sort(x); });
  agree("sort along an axis", [](const auto& x) { return xt::sort(x, 0); });
  agree("argsort", [](const auto& x) { return xt::argsort(x); });
  agree("argsort along an axis", [](const auto& x) { return xt::argsort(x, 0); });
  agree("argmax", [](const auto& x) { return xt::argmax(x); });
  agree("argmin along an axis", [](const auto& x) { return xt::argmin(x, 0); });
  agree("unique", [](const auto& x) { return xt::unique(x); });
}

TEST(Xtensor, Shapes) {
  agree("transpose", [](const auto& x) { return xt::transpose(x); });
  agree("transpose, evaluated", [](const auto& x) { return xt::eval(xt::transpose(x)); });
  agree("reshape_view", [](const auto& x) {
    return xt::reshape_view(x, std::vector<std::size_t>{x.size(), 1});
  });
  agree("ravel", [](const auto& x) { return xt::ravel(x); });
  agree("flip", [](const auto& x) { return xt::flip(x, 0); });
  agree("expand_dims", [](const auto& x) { return xt::expand_dims(x, 0); });
  agree("squeeze", [](const auto& x) { return xt::squeeze(x); });
  agree("concatenate", [](const auto& x) { return xt::concatenate(xt::xtuple(x, x), 0); });
  agree("stack", [](const auto& x) { return xt::stack(xt::xtuple(x, x), 0); });
  agree("repeat", [](const auto& x) { return xt::repeat(x, 2, 0); });
  agree("pad", [](const auto& x) { return xt::pad(x, 1); });
}

TEST(Xtensor, Views) {
  agree("view", [](const auto& x) { return xt::view(x, 0); });
  agree("range", [](const auto& x) { return xt::view(x, xt::range(0, 2)); });
  agree(
      "column", [](const auto& x) { return xt::view(x, xt::all(), 0); }, 2);
  agree("keep", [](const auto& x) { return xt::view(x, xt::keep(1, 0)); });
  agree("strided_view", [](const auto& x) { return xt::strided_view(x, {0, xt::ellipsis()}); });
  agree("dynamic_view", [](const auto& x) { return xt::dynamic_view(x, {0, xt::ellipsis()}); });
  agree("filter", [](const auto& x) { return xt::filter(x, x > 0.f); });
  agree("index_view", [](const auto& x) { return xt::index_view(x, xt::argwhere(x > 0.f)); });
  agree("slices of an axis", [](const auto& x) {
    double all = 0;
    for (auto slice = xt::axis_begin(x); slice != xt::axis_end(x); ++slice) {
      all = 2 * all + xt::sum(*slice)();
    }
    return all;
  });
}

TEST(Xtensor, ComparisonsAndChoices) {
  agree("greater", [](const auto& x) { return x > 0.f; });
  agree("where", [](const auto& x) { return xt::where(x > 0.f, x, -x); });
  agree("nonzero", [](const auto& x) { return static_cast<double>(xt::nonzero(x)[0].size()); });
  agree("any, all", [](const auto& x) { return xt::any(x > 0.f) + 2.0 * xt::all(x > 0.f); });
  agree("isclose", [](const auto& x) { return xt::isclose(x, x + 1e-9f); });
  agree("allclose", [](const auto& x) { return xt::allclose(x, array_of(Tensor(x))) ? 1. : 0.; });
  agree("==", [](const auto& x) { return x == array_of(Tensor(x)) ? 1. : 0.; });
}

TEST(Xtensor, OperandsBroadcast) {
  agree("a row", [](const auto& x) { return x + xt::view(x, 0); });
  agree("linspace", [](const auto& x) { return x + xt::linspace<float>(0, 1, x.shape().back()); });
  agree("broadcast", [](const auto& x) {
    std::vector<std::size_t> shape(x.shape().begin(), x.shape().end());
    shape.insert(shape.begin(), 2);
    return xt::broadcast(x, shape);
  });
}

TEST(Xtensor, ElementsAndIterators) {
  agree("elements", [](const auto& x) {
    const std::vector<std::size_t> first(x.dimension(), 0);
    return 1.0 * x.element(first.begin(), first.end()) + 2 * x[first] + 4 * x(1) + 8 * x.flat(1) +
           16 * x.periodic(-1) + 32 * x.back();
  });
  agree("row-major",
        [](const auto& x) { return Array(xt::adapt(std::vector<float>(x.begin(), x.end()))); });
  agree("column-major", [](const auto& x) {
    return Array(xt::adapt(std::vector<float>(x.template begin<xt::layout_type::column_major>(),
                                              x.template end<xt::layout_type::column_major>())));
  });
}

TEST(Xtensor, Assignments) {
  agree("=", [](const auto& x) {
    Array a;
    a = x;
    return a;
  });
  agree("+=", [](const auto& x) {
    Array a = x;
    a += x;
    return a;
  });
  agree("noalias", [](const auto& x) {
    Array a = x;
    xt::noalias(a) = x * a;
    return a;
  });
  agree("to a view", [](const auto& x) {
    Array a = x;
    xt::view(a, 0) = xt::view(x, 1);
    return a;
  });
}

TEST(Xtensor, PrintsAndSaves) {
  const auto printed = [](const auto& x) {
    std::ostringstream text;
    text << x << x * 2.f;
    return text.str();
  };
  const auto saved = [](const auto& x) { return xt::dump_npy(x) + xt::dump_npy(x * 2.f); };
  agree("print", printed);
  agree("npy", saved);
}

TEST(Xtensor, ScalarsAndEmptyArrays) {
  for (const Case& c : cases_of({{}, {0}, {0, 3}, {3, 0}, {1, 0, 2}})) {
    agree(c, [](const auto& x) { return xt::eval(x * 2.f); });
    agree(c, [](const auto& x) { return xt::sum(x); });
    agree(c, [](const auto& x) { return xt::transpose(x); });
    agree(c, [](const auto& x) { return Array(x); });
    agree(c, [](const auto& x) { return xt::dump_npy(x); });
    if (c.tensor.dim() > 0) {
      agree(c, [](const auto& x) { return xt::concatenate(xt::xtuple(x, x), 0); });
      agree(c, [](const auto& x) { return xt::sum(x, {0}); });
    }
  }
}

TEST(Xtensor, EveryDType) {
  const Var x = transpose(Var(Tensor({2, 3}, {1, 2, 3, 4, 5, 6}, DType::float64)));
  const auto doubled = xt::eval(x.value<double>() * 2);
  EXPECT_EQ(doubled, (xt::xarray<double>{{2, 8}, {4, 10}, {6, 12}}));
  const auto z = Tensor({2}, {3, 4}, DType::complex128).value<std::complex<double>>();
  EXPECT_EQ(xt::sum(z * z)(), 25.0);
}

// xtensor's own fault up to 0.25, in C++20.
TEST(Xtensor, AnXarraysExpressionEvaluatesToItsOwnShape) {
  const Array a{{1, 2, 3}, {4, 5, 6}};
  const auto doubled = xt::eval(a * 2);
  static_assert(std::is_same_v<decltype(doubled), const Array>);
  EXPECT_EQ(doubled, (Array{{2, 4, 6}, {8, 10, 12}}));
}

TEST(Xtensor, AValueLiesOverTheMemoryOfRowMajorElements) {
  const Var w = parameter(Tensor({2, 3}, {1, 2, 3, 4, 5, 6}));
  const auto value = w.value<float>();
  EXPECT_EQ(value.data(), w.tensor().data<float>());
  w.assign(Tensor({2, 3}, {6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(value(0, 0), 6);
  const auto row = w[1].value<float>();
  EXPECT_EQ(row(2), 1);
  static_assert(std::is_same_v<std::decay_t<decltype(value)>::reference, const float&>);
  const Var columns = transpose(w);
  EXPECT_EQ(columns.value<float>(), xt::transpose(value));
}

TEST(Xtensor, AValueKeepsItsMemory) {
  Var x = Tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto value = x.value<float>();
  x = Tensor({2, 3}, {0, 0, 0, 0, 0, 0});
  EXPECT_EQ(value, (Array{{1, 2, 3}, {4, 5, 6}}));
}

}  // namespace
}  // namespace xgrad
