#include <sstream>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

namespace xgrad {
namespace {

template <class T>
std::string printed(const T& x) {
  std::ostringstream text;
  text << x;
  return text.str();
}

TEST(Print, Shapes) {
  EXPECT_EQ(printed(Shape{2, 3}), "(2,3)");
  EXPECT_EQ(printed(Shape{}), "()");
}

TEST(Print, TensorsInColumns) {
  EXPECT_EQ(printed(Tensor({}, {2.5})), "float32 () 2.5");
  EXPECT_EQ(printed(Tensor({3}, {1, -2, 1e-7}, DType::float64)),
            "float64 (3) {    1,    -2, 1e-07}");
  EXPECT_EQ(printed(Tensor({2, 3}, {1, 2.5, -3, 4, 5, 6})),
            "float32 (2,3)\n"
            "{{  1, 2.5,  -3},\n"
            " {  4,   5,   6}}");
  EXPECT_EQ(printed(Tensor({2, 1, 2}, {1, 2, 3, 4})),
            "float32 (2,1,2)\n"
            "{{{1, 2}},\n"
            "\n"
            " {{3, 4}}}");
  const std::complex<double> z(1, -2);
  EXPECT_EQ(printed(Tensor(xt::xarray<std::complex<double>>{z, 2.0})),
            "complex128 (2) {1-2i, 2+0i}");
}

TEST(Print, WhatIsNotFinite) {
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(printed(Tensor({3}, {std::nan(""), inf, -inf})), "float32 (3) { nan,  inf, -inf}");
  EXPECT_EQ(printed(Tensor({1}, {-std::nan("")})), "float32 (1) {nan}");
}

TEST(Print, NoElements) {
  EXPECT_EQ(printed(Tensor()), "float32 (0) {}");
  EXPECT_EQ(printed(Tensor::zeros({2, 0, 3})), "float32 (2,0,3) {}");
}

TEST(Print, ElementsOfAView) {
  const Var x = Tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(printed(transpose(x)),
            "float32 (3,2)\n"
            "{{1, 4},\n"
            " {2, 5},\n"
            " {3, 6}}");
  EXPECT_EQ(printed(slice(x, 1, 0, 3, 2)[1]), "float32 (2) {4, 6}");
}

TEST(Print, TheEndsOfALargeTensor) {
  const Tensor x = xt::reshape_view(xt::arange<float>(1001 * 8), {1001, 8});
  EXPECT_EQ(printed(x),
            "float32 (1001,8)\n"
            "{{   0,    1,    2, ...,    5,    6,    7},\n"
            " {   8,    9,   10, ...,   13,   14,   15},\n"
            " {  16,   17,   18, ...,   21,   22,   23},\n"
            " ...,\n"
            " {7984, 7985, 7986, ..., 7989, 7990, 7991},\n"
            " {7992, 7993, 7994, ..., 7997, 7998, 7999},\n"
            " {8000, 8001, 8002, ..., 8005, 8006, 8007}}");
}

TEST(Print, LongRowsAreBroken) {
  std::istringstream lines(printed(Tensor(xt::arange<float>(1000))));
  std::string line;
  for (int n = 0; std::getline(lines, line); ++n) {
    EXPECT_LE(line.size(), 100u);
    EXPECT_EQ(line.substr(0, 16), n == 0 ? "float32 (1000) {" : std::string(16, ' '));
  }
}

TEST(Print, AThousandElementsAreNotCut) {
  EXPECT_EQ(printed(Tensor(xt::arange<float>(1000))).find("..."), std::string::npos);
  EXPECT_NE(printed(Tensor(xt::arange<float>(1001))).find("..."), std::string::npos);
}

// Elements of every width, and so every rest of a line.
TEST(Print, NoLineIsLongerThanAHundredCharacters) {
  for (int digits = 1; digits <= 9; ++digits) {
    const Tensor row = Tensor::full({60}, std::pow(10.0, digits) - 1, DType::float64);
    for (const Tensor& x : {row, Tensor::full({2, 60}, row.data<double>()[0], DType::float64)}) {
      std::ostringstream text;
      text.precision(12);
      text << x;
      std::istringstream lines(text.str());
      std::string line;
      while (std::getline(lines, line)) EXPECT_LE(line.size(), 100u) << line;
    }
  }
}

TEST(Print, WithTheStreamsPrecision) {
  std::ostringstream text;
  text.precision(3);
  text << Tensor({2}, {1.23456, 2});
  EXPECT_EQ(text.str(), "float32 (2) {1.23,    2}");
}

TEST(Print, Vars) {
  EXPECT_EQ(printed(Var()), "undefined");
  EXPECT_EQ(printed(Var(Tensor({2}, {1, 2}))), "float32 (2) {1, 2}");
  EXPECT_EQ(printed(parameter(Tensor({2}, {1, 2}), "b")), "parameter 'b' float32 (2) {1, 2}");
}

TEST(Print, Expressions) {
  const Var x = Tensor({2}, {1, 2});
  EXPECT_EQ(printed(x * 2), "float32 (2) {2, 4}");
}

}  // namespace
}  // namespace xgrad
