// Every op of the table takes views, and gradients that are views, as it takes their copies.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include <xgrad/xgrad.hpp>

#include "verify/gradcheck_row.hpp"
#include "verify/seeds.hpp"

namespace xgrad::testing {
namespace {

enum class Way { fast, naive, create_graph };

/// x as a view that is not contiguous: a transpose, every other element, or one of several.
Var view_from(const Var& memory, std::size_t dim) {
  if (dim >= 2) return transpose(memory);
  return dim == 1 ? slice(memory, 0, 1, memory.size(), 2) : memory[1];
}

/// A parameter of which that view is x; what lies between is NaN.
Var memory_for(const Tensor& x) {
  if (x.dim() >= 2) return parameter(transpose(Var(x)).tensor());
  const Index n = x.dim() == 1 ? x.size() : 1;
  const Tensor memory =
      Tensor::full({2 * n + 1}, std::numeric_limits<double>::quiet_NaN(), DType::float64);
  for (Index i = 0; i < n; ++i) {
    memory.mutable_data<double>()[2 * i + 1] = x.to_vector()[static_cast<std::size_t>(i)];
  }
  return parameter(memory);
}

/// sum(y * c), so that y's gradient is c, or a view of it that is not contiguous.
Var weighed(const Var& y, bool as_view, Generator& random) {
  const Tensor c = random.uniform(y.shape(), 0.5, 1.5, DType::float64);
  if (!as_view) return sum(y * c);
  if (y.dim() >= 2) return sum(transpose(y) * transpose(Var(c)).tensor().copy());
  return sum(stack({y, detach(y)}, -1) * stack({c, c}, -1));
}

/// The gradients of the inputs that have one.
std::vector<Tensor> gradients(const GradcheckRow& row, const std::vector<NamedVar>& inputs, Way way,
                              bool inputs_are_views, bool gradients_are_views) {
  seed(3);
  Generator random(4);
  Tape tape(way == Way::naive ? TapeMode::naive : TapeMode::fast);
  std::vector<Var> in, xs;
  for (const NamedVar& input : inputs) {
    const Tensor& x = input.var.tensor();
    Var view = inputs_are_views ? view_from(memory_for(x), x.dim()) : parameter(x);
    if (input.constant) {
      in.push_back(detach(view));
    } else {
      in.push_back(view);
      xs.push_back(view);
    }
  }
  Var loss = Tensor::zeros({}, DType::float64);
  for (const Var& y : row.f(in)) loss = loss + weighed(y, gradients_are_views, random);
  std::vector<Tensor> result;
  if (!loss.requires_grad()) return result;
  for (const Var& g : grad(loss, xs, {.create_graph = way == Way::create_graph})) {
    result.push_back(g.tensor());
  }
  return result;
}

void expect_close(const Tensor& found, const Tensor& expected) {
  ASSERT_EQ(to_string(found.shape()), to_string(expected.shape()));
  const std::vector<double> a = found.to_vector(), b = expected.to_vector();
  double scale = 0;
  for (const double x : b) scale = std::max(scale, std::abs(x));
  for (std::size_t i = 0; i < a.size(); ++i) {
    // In another order, some hundred roundings of 1e-16 apart; a wrong element is off by its size.
    ASSERT_TRUE(std::abs(a[i] - b[i]) <= 1e-9 * std::max(1.0, scale) ||
                (std::isnan(a[i]) && std::isnan(b[i])))
        << "entry " << i << " is " << a[i] << ", not " << b[i];
  }
}

TEST(Layouts, OpsTakeViewsAsTheyTakeTheirCopies) {
  Index compared = 0;
  for (const GradcheckRow& row : all_gradcheck_rows()) {
    const std::vector<NamedVar> inputs = draw(row, 5);
    const std::vector<Tensor> expected = gradients(row, inputs, Way::naive, false, false);
    for (const Way way : {Way::fast, Way::naive, Way::create_graph}) {
      for (const bool inputs_are_views : {false, true}) {
        for (const bool gradients_are_views : {false, true}) {
          SCOPED_TRACE(row.op + ", " + row.what + ", way " + std::to_string(static_cast<int>(way)) +
                       (inputs_are_views ? ", inputs" : "") +
                       (gradients_are_views ? ", gradients" : "") + " are views");
          const auto found = gradients(row, inputs, way, inputs_are_views, gradients_are_views);
          ASSERT_EQ(found.size(), expected.size());
          for (std::size_t k = 0; k < found.size(); ++k) {
            expect_close(found[k], expected[k]);
            ++compared;
          }
        }
      }
    }
  }
  EXPECT_GT(compared, 5000);
}

}  // namespace
}  // namespace xgrad::testing
