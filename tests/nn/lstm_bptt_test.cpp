// The tape's LSTM against backpropagation through time derived by hand, which exists only here.
//
// With the pre-activations z = x.Wx + h'.Wh + b, the gates i, f, o = sigmoid(z), g = tanh(z),
// c = f c' + i g, h = o tanh(c), and dh, dc the gradients that reach step t:
//
//   do = dh tanh(c) o (1 - o)          dc += dh o (1 - tanh(c)^2)
//   di = dc g i (1 - i)    df = dc c' f (1 - f)    dg = dc i (1 - g^2)    dc' = dc f
//   dx = dz.Wx^T    dh' = dz.Wh^T    dWx += x^T.dz    dWh += h'^T.dz    db += dz summed over rows

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "rounding.hpp"

namespace xgrad {
namespace {

using Matrix = std::vector<std::vector<double>>;

Matrix zeros(std::size_t rows, std::size_t cols) { return Matrix(rows, std::vector<double>(cols)); }

Matrix matrix(const Tensor& x) {
  const auto rows = static_cast<std::size_t>(x.shape()[0]);
  const auto cols = static_cast<std::size_t>(x.shape()[1]);
  const std::vector<double> values = x.to_vector();
  Matrix result = zeros(rows, cols);
  for (std::size_t i = 0; i < rows * cols; ++i) result[i / cols][i % cols] = values[i];
  return result;
}

struct Bptt {
  std::vector<Matrix> outputs, dx;
  Matrix h, c, dh0, dc0, dWx, dWh;
  std::vector<double> db;

  Bptt(const std::vector<Matrix>& x, const Matrix& Wx, const Matrix& Wh,
       const std::vector<double>& b, Matrix h0, Matrix c0, const std::vector<Matrix>& dys,
       Matrix dh, Matrix dc) {
    const std::size_t T = x.size(), B = h0.size(), I = Wx.size(), H = Wh.size();
    const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
    std::vector<Matrix> hs{h0}, cs{c0}, gates;
    for (std::size_t t = 0; t < T; ++t) {
      Matrix z = zeros(B, 4 * H), hn = zeros(B, H), cn = zeros(B, H);
      for (std::size_t r = 0; r < B; ++r) {
        for (std::size_t j = 0; j < 4 * H; ++j) {
          double sum = b[j];
          for (std::size_t k = 0; k < I; ++k) sum += x[t][r][k] * Wx[k][j];
          for (std::size_t k = 0; k < H; ++k) sum += hs[t][r][k] * Wh[k][j];
          z[r][j] = j / H == 2 ? std::tanh(sum) : sigmoid(sum);
        }
        for (std::size_t j = 0; j < H; ++j) {
          cn[r][j] = z[r][H + j] * cs[t][r][j] + z[r][j] * z[r][2 * H + j];
          hn[r][j] = z[r][3 * H + j] * std::tanh(cn[r][j]);
        }
      }
      gates.push_back(z);
      outputs.push_back(hn);
      hs.push_back(hn);
      cs.push_back(cn);
    }
    h = hs.back();
    c = cs.back();
    dWx = zeros(I, 4 * H);
    dWh = zeros(H, 4 * H);
    db.assign(4 * H, 0);
    dx.assign(T, zeros(B, I));
    for (std::size_t t = T; t-- > 0;) {
      Matrix before = zeros(B, H);
      for (std::size_t r = 0; r < B; ++r) {
        std::vector<double> dz(4 * H);
        for (std::size_t j = 0; j < H; ++j) {
          const double i = gates[t][r][j], f = gates[t][r][H + j], g = gates[t][r][2 * H + j],
                       o = gates[t][r][3 * H + j], tc = std::tanh(cs[t + 1][r][j]);
          const double dhj = dh[r][j] + dys[t][r][j];
          const double dcj = dc[r][j] + dhj * o * (1 - tc * tc);
          dz[j] = dcj * g * i * (1 - i);
          dz[H + j] = dcj * cs[t][r][j] * f * (1 - f);
          dz[2 * H + j] = dcj * i * (1 - g * g);
          dz[3 * H + j] = dhj * tc * o * (1 - o);
          dc[r][j] = dcj * f;
        }
        for (std::size_t j = 0; j < 4 * H; ++j) {
          db[j] += dz[j];
          for (std::size_t k = 0; k < I; ++k) {
            dWx[k][j] += x[t][r][k] * dz[j];
            dx[t][r][k] += dz[j] * Wx[k][j];
          }
          for (std::size_t k = 0; k < H; ++k) {
            dWh[k][j] += hs[t][r][k] * dz[j];
            before[r][k] += dz[j] * Wh[k][j];
          }
        }
      }
      dh = before;
    }
    dh0 = dh;
    dc0 = dc;
  }
};

void expect_near(const Tensor& actual, const Matrix& expected, double tolerance, const char* what) {
  const std::vector<double> values = actual.to_vector();
  double largest = 1;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  std::size_t at = 0;
  for (const std::vector<double>& row : expected) {
    for (double e : row) {
      ASSERT_TRUE(std::abs(values[at] - e) <= tolerance * largest)
          << what << "[" << at << "]: " << values[at] << ", expected " << e;
      ++at;
    }
  }
  ASSERT_EQ(at, values.size()) << what;
}

struct Sizes {
  Index T, B, I, H;
};

void check(const Sizes& sizes, TapeMode mode) {
  const Index T = sizes.T, B = sizes.B, I = sizes.I, H = sizes.H;
  Generator random(7);
  const auto draw = [&](const Shape& shape) {
    return random.normal(shape, 0, 0.7, DType::float64);
  };
  nn::LSTM lstm(I, H);
  lstm.to(DType::float64);
  const nn::LSTMCell& cell = lstm.cells()[0];
  cell.Wx.assign(draw({I, 4 * H}));
  cell.Wh.assign(draw({H, 4 * H}));
  cell.b.assign(draw({4 * H}));
  const Var x = parameter(draw({T, B, I}), "x");
  const Var h0 = parameter(draw({B, H}), "h0");
  const Var c0 = parameter(draw({B, H}), "c0");
  const Tensor dys = draw({T, B, H});
  const Tensor dh = draw({B, H});
  const Tensor dc = draw({B, H});

  const auto steps = [&](const Tensor& sequence) {
    std::vector<Matrix> result;
    for (Index t = 0; t < T; ++t) result.push_back(matrix(Var(sequence)[t].tensor()));
    return result;
  };
  const Bptt expected(steps(x.tensor()), matrix(cell.Wx.tensor()), matrix(cell.Wh.tensor()),
                      cell.b.tensor().to_vector(), matrix(h0.tensor()), matrix(c0.tensor()),
                      steps(dys), matrix(dh), matrix(dc));

  // On both sides; the gradients of weights are sums over steps and rows.
  const double roundings =
      testing::recurrent_roundings(static_cast<double>(T), static_cast<double>(I + H + 1)) +
      static_cast<double>(T * B);
  const double tolerance = testing::rounding_bound(DType::float64, 2 * roundings);
  const auto expect_near = [&](const Tensor& actual, const Matrix& values, const char* what) {
    xgrad::expect_near(actual, values, tolerance, what);
  };

  Tape tape(mode);
  const auto [ys, last] = lstm(x, nn::LSTMCell::State{h0, c0});
  const Var loss = sum(ys * Var(dys)) + sum(last[0].h * Var(dh)) + sum(last[0].c * Var(dc));
  for (Index t = 0; t < T; ++t) {
    expect_near(ys[t].tensor(), expected.outputs[static_cast<std::size_t>(t)], "output");
  }
  expect_near(last[0].h.tensor(), expected.h, "h");
  expect_near(last[0].c.tensor(), expected.c, "c");
  tape.backward(loss);
  for (Index t = 0; t < T; ++t) {
    expect_near(Var(x.grad())[t].tensor(), expected.dx[static_cast<std::size_t>(t)], "dx");
  }
  expect_near(h0.grad(), expected.dh0, "dh0");
  expect_near(c0.grad(), expected.dc0, "dc0");
  expect_near(cell.Wx.grad(), expected.dWx, "dWx");
  expect_near(cell.Wh.grad(), expected.dWh, "dWh");
  expect_near(cell.b.grad(), {expected.db}, "db");
}

TEST(LstmBptt, EqualsTheHandDerivedGradient) {
  for (const Sizes& sizes : {Sizes{1, 1, 1, 1}, Sizes{1, 3, 2, 4}, Sizes{7, 1, 3, 5},
                             Sizes{6, 4, 5, 17}, Sizes{50, 2, 1, 3}}) {
    SCOPED_TRACE(sizes.T);
    check(sizes, TapeMode::fast);
    check(sizes, TapeMode::naive);
  }
}

}  // namespace
}  // namespace xgrad
