// Pointwise ops: one struct with value and pullback, fused by the library. And some whose pullback
// is a lambda, which need no kernel.
#include <cmath>
#include <memory>

#include <xgrad/core/arithmetic.hpp>
#include <xgrad/ops/pointwise.hpp>

#include "planted_op.hpp"

namespace planted {
namespace {

template <int fault>
struct Swish {  // x sigmoid(x)
  static constexpr const char* name = "planted_swish";
  static auto value(auto x) { return x / (1.0 + exp(-x)); }
  static auto pullback(auto g, auto, auto x) {
    const auto s = 1.0 / (1.0 + exp(-x));
    const auto rest = x * (s * (1.0 - s));
    if constexpr (fault == 1) {
      return g * s;
    } else if constexpr (fault == 2) {
      return g * (s - rest);
    } else {
      return g * (s + rest);
    }
  }
};

template <int fault>
struct Quotient {
  static constexpr const char* name = "planted_quotient";
  static auto value(auto a, auto b) { return a / b; }
  static auto pullback(auto g, auto y, auto a, auto b) {
    if constexpr (fault == 1) {
      return std::tuple(g / b, g * y / b);
    } else if constexpr (fault == 2) {
      return std::tuple(g / b, -g * a / b);
    } else {
      return std::tuple(g / b, -g * y / b);
    }
  }
};

}  // namespace
}  // namespace planted

namespace xgrad::mutants::detail {
namespace {

const auto nine_columns = [](Generator& random) {  // more than a SIMD batch, and no multiple of one
  return std::vector<NamedVar>{{"x", draw_signs(random, {2, 9})}};
};

Case swish() {
  return {"swish",
          nine_columns,
          [](const Vars& in, int fault) -> Vars {
            if (fault == 1) return {pointwise<planted::Swish<1>>(in[0])};
            if (fault == 2) return {pointwise<planted::Swish<2>>(in[0])};
            return {pointwise<planted::Swish<0>>(in[0])};
          },
          {{FaultClass::missing_term, "the product rule's second term is missing"},
           {FaultClass::sign, "the second term has the wrong sign"}}};
}

Case quotient() {
  return {"quotient",
          [](Generator& random) {
            return std::vector<NamedVar>{{"a", draw_signs(random, {3, 3})},
                                         {"b", draw(random, {3, 3}, 1.5, 3)}};
          },
          [](const Vars& in, int fault) -> Vars {
            if (fault == 1) return {pointwise<planted::Quotient<1>>(in[0], in[1])};
            if (fault == 2) return {pointwise<planted::Quotient<2>>(in[0], in[1])};
            return {pointwise<planted::Quotient<0>>(in[0], in[1])};
          },
          {{FaultClass::sign, "the divisor's gradient has the wrong sign"},
           {FaultClass::operand, "the dividend instead of the quotient"}}};
}

/// Not analytic, so that differences are the only oracle for each entry.
Case leaky() {
  return {"leaky square",
          nine_columns,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]},
                [](const Vars& x) {
                  const Var square = 0.25 * (Eager(x[0]) * x[0]);
                  return Var(where(Var(x[0] < 0.0), square, x[0]));
                },
                [fault](Pullback& p) {
                  const Var g = p.gradient();
                  const Var gx = (fault == 1 ? 0.25 : 0.5) * (Eager(g) * p.input(0));
                  p.add(0, where(Var(p.input(0) < 0.0), gx, g));
                })};
          },
          {{FaultClass::partial, "a factor 2 is missing for negative x only"}}};
}

Case gaussian() {
  return {"gaussian",
          nine_columns,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return exp(-(Eager(x[0]) * x[0])); },
                [fault](Pullback& p) {
                  const Eager gy = Eager(p.gradient()) * p.output();
                  if (fault == 1) return p.add(0, -(gy * p.input(0)));
                  if (fault == 2) return p.add(0, -2.0 * (gy * p.output()));
                  if (fault == 3) return p.add(0, -2.0 * (Eager(p.output()) * p.input(0)));
                  p.add(0, -2.0 * (gy * p.input(0)));
                })};
          },
          {{FaultClass::factor, "the factor 2 is missing"},
           {FaultClass::operand, "the result instead of the input"},
           {FaultClass::factor, "not multiplied with the incoming gradient"}}};
}

Case tanh_from_output() {
  return {"tanh",
          nine_columns,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return tanh(Eager(x[0])); },
                [fault](Pullback& p) {
                  const Eager y = fault == 1 ? p.input(0) : p.output();
                  p.add(0, p.gradient() * (1.0 - y * y));
                })};
          },
          {{FaultClass::saved_value, "the input was saved instead of the result"}}};
}

Case cubes_of_a_loop() {
  return {"cubes in a loop",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw_signs(random, {3, 4})}};
          },
          [](const Vars& in, int fault) -> Vars {
            Vars cubes;
            const auto buffer = std::make_shared<Var>();  // one for all steps
            for (Index t = 0; t < 3; ++t) {
              const Var x = in[0][t];
              *buffer = x;
              cubes.push_back(op(
                  {x}, [](const Vars& a) { return Eager(a[0]) * a[0] * a[0]; },
                  [fault, buffer](Pullback& p) {
                    const Eager saved = fault == 1 ? *buffer : p.input(0);
                    p.add(0, 3.0 * (p.gradient() * (saved * saved)));
                  }));
            }
            return cubes;
          },
          {{FaultClass::saved_value, "the buffer was overwritten by the next step"}}};
}

Case erf_by_constant() {
  return {"erf",
          nine_columns,
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return Var(erf(x[0])); },
                [fault](Pullback& p) {
                  const double factor = 2 * std::numbers::inv_sqrtpi;
                  const double used = fault == 1 ? 1.128379 : factor;
                  const Eager x = p.input(0);
                  p.add(0, p.gradient() * (used * exp(-(x * x))));
                })};
          },
          {{FaultClass::precision, "2/sqrt(pi) has 7 digits"}}};
}

Case sine_by_series() {
  return {"sine",
          [](Generator& random) {
            return std::vector<NamedVar>{{"x", draw(random, {7}, -0.4, 0.4)}};
          },
          [](const Vars& in, int fault) -> Vars {
            return {op(
                {in[0]}, [](const Vars& x) { return sin(Eager(x[0])); },
                [fault](Pullback& p) {
                  const Eager x = p.input(0);
                  if (fault == 2) {
                    constexpr double h = 1e-6;
                    const Eager rise = sin(h + x) - sin(x);
                    return p.add(0, p.gradient() * ((1 / h) * rise));
                  }
                  if (fault == 0) return p.add(0, p.gradient() * cos(x));
                  const Eager s = x * x;
                  const Eager series = 1.0 - s * (0.5 + s * (-1.0 / 24 + (1.0 / 720) * s));
                  p.add(0, p.gradient() * series);
                })};
          },
          {{FaultClass::precision, "the cosine is a series of four terms"},
           {FaultClass::precision, "the derivative is a difference quotient"}}};
}

}  // namespace

std::vector<Case> pointwise_cases() {
  return {swish(),           quotient(),        leaky(),         gaussian(), tanh_from_output(),
          cubes_of_a_loop(), erf_by_constant(), sine_by_series()};
}

}  // namespace xgrad::mutants::detail
