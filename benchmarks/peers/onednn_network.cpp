// oneDNN's recurrent primitives: all layers and time steps in one call. Mean squared error and
// update are plain loops. What a training step needs beyond the two primitives is part of it: the
// changed weights are reordered to the formats of the forward and the backward primitive, and the
// gradients that the latter adds to are cleared. The primitive also computes the gradient of x, and
// cannot be told not to.
#include "onednn.hpp"

namespace peers {
namespace {

using dnnl::prop_kind;
using tag = memory::format_tag;

constexpr auto left_to_right = dnnl::rnn_direction::unidirectional_left2right;

// -- xgrad's parameters and oneDNN's --------------------------------------------------------------

struct Parameters {
  std::vector<float> Wx, Wh;  ///< ldigo
  std::vector<float> b;       ///< ldgo
};

/// oneDNN's gate g is xgrad's gate order[g].
std::vector<int> gate_order(Cell cell) {
  switch (cell) {
    case Cell::rnn:
      return {0};
    case Cell::gru:
      return {1, 0, 2};
    default:
      return {0, 1, 2, 3};
  }
}

/// Blocks of H columns in another order.
std::vector<float> reorder_gates(const std::vector<float>& from, int hidden,
                                 const std::vector<int>& order) {
  const auto H = static_cast<std::size_t>(hidden);
  const std::size_t G = order.size();
  std::vector<float> to(from.size());
  for (std::size_t row = 0; row < from.size() / (G * H); ++row) {
    for (std::size_t g = 0; g < G; ++g) {
      const float* block = &from[(row * G + static_cast<std::size_t>(order[g])) * H];
      std::copy_n(block, H, &to[(row * G + g) * H]);
    }
  }
  return to;
}

void append(std::vector<float>& to, const std::vector<float>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

std::vector<float> part(const std::vector<float>& all, std::size_t index, std::size_t parts) {
  const auto size = static_cast<std::ptrdiff_t>(all.size() / parts);
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(index) * size;
  return {first, first + size};
}

/// A GRU's update and reset gates have one bias, the sum of xgrad's two; the new gate has two.
std::vector<float> gru_bias(const std::vector<float>& bx, const std::vector<float>& bh) {
  const std::size_t H = bx.size() / 3;
  std::vector<float> b(4 * H);
  for (std::size_t j = 0; j < H; ++j) {
    b[j] = bx[H + j] + bh[H + j];
    b[H + j] = bx[j] + bh[j];
    b[2 * H + j] = bx[2 * H + j];
    b[3 * H + j] = bh[2 * H + j];
  }
  return b;
}

Parameters from_xgrad(const NetworkProblem& problem) {
  const Network& network = problem.network;
  const auto order = gate_order(network.cell);
  Parameters p;
  std::size_t i = 0;
  for (int layer = 0; layer < network.layers; ++layer) {
    const auto next = [&]() -> const std::vector<float>& {
      return problem.parameters[i++].numbers;
    };
    append(p.Wx, reorder_gates(next(), network.hidden, order));
    append(p.Wh, reorder_gates(next(), network.hidden, order));
    if (network.cell == Cell::gru) {
      const auto& bx = next();
      append(p.b, gru_bias(bx, next()));
    } else {
      append(p.b, next());
    }
  }
  return p;
}

std::vector<Array> gradients_to_xgrad(const NetworkProblem& problem, const Parameters& g) {
  const Network& network = problem.network;
  const auto order = gate_order(network.cell);
  std::vector<int> back(order.size());
  for (std::size_t k = 0; k < order.size(); ++k) {
    back[static_cast<std::size_t>(order[k])] = static_cast<int>(k);
  }
  std::vector<Array> all;
  const auto add = [&](std::vector<float> numbers) {
    const Array& p = problem.parameters[all.size()];
    all.push_back({"gradient of " + p.name, p.shape, std::move(numbers)});
  };
  const auto layers = static_cast<std::size_t>(network.layers);
  for (std::size_t layer = 0; layer < layers; ++layer) {
    add(reorder_gates(part(g.Wx, layer, layers), network.hidden, back));
    add(reorder_gates(part(g.Wh, layer, layers), network.hidden, back));
    const std::vector<float> b = part(g.b, layer, layers);
    if (network.cell == Cell::gru) {
      const auto biases = [&](std::size_t of_new) {
        std::vector<float> result = part(b, 1, 4);
        append(result, part(b, 0, 4));
        append(result, part(b, of_new, 4));
        return result;
      };
      add(biases(2));
      add(biases(3));
    } else {
      add(b);
    }
  }
  return all;
}

// -- the primitives -------------------------------------------------------------------------------

struct Extents {
  memory::dims x, y, state, Wx, Wh, b;

  explicit Extents(const Network& n) {
    const auto [cell, T, B, I, H, L] = n;
    const auto G = static_cast<memory::dim>(gate_order(cell).size());
    x = {T, B, I};
    y = {T, B, H};
    state = {L, 1, B, H};
    Wx = {L, 1, I, G, H};
    Wh = {L, 1, H, G, H};
    b = {L, 1, cell == Cell::gru ? 4 : G, H};
  }
};

/// What we need to know of a pair of primitives of any cell.
struct Primitives {
  dnnl::primitive forward, backward;
  memory::desc forward_Wx, forward_Wh;
  memory::desc backward_Wx, backward_Wh, gradient_Wx, gradient_Wh, workspace;
};

template <class Forward, class Backward>
Primitives describe(const typename Forward::primitive_desc& forward,
                    const typename Backward::primitive_desc* backward) {
  Primitives p;
  p.forward = Forward(forward);
  p.forward_Wx = forward.weights_layer_desc();
  p.forward_Wh = forward.weights_iter_desc();
  if (backward) {
    p.backward = Backward(*backward);
    p.backward_Wx = backward->weights_layer_desc();
    p.backward_Wh = backward->weights_iter_desc();
    p.gradient_Wx = backward->diff_weights_layer_desc();
    p.gradient_Wh = backward->diff_weights_iter_desc();
    p.workspace = forward.workspace_desc();
  }
  return p;
}

Primitives make_primitives(const Network& network, Work work) {
  const Extents e(network);
  const auto x = float_desc(e.x, tag::tnc);
  const auto y = float_desc(e.y, tag::tnc);
  const auto Wx = float_desc(e.Wx, tag::any);
  const auto Wh = float_desc(e.Wh, tag::any);
  const auto b = float_desc(e.b, tag::ldgo);
  const auto s = float_desc(e.state, tag::ldnc);
  const bool training = work == Work::training || work == Work::gradient;
  const auto kind = training ? prop_kind::forward_training : prop_kind::forward_inference;
  switch (network.cell) {
    case Cell::lstm: {
      using Forward = dnnl::lstm_forward;
      using Backward = dnnl::lstm_backward;
      const Forward::primitive_desc forward(
          Forward::desc(kind, left_to_right, x, s, s, Wx, Wh, b, y, s, s), cpu());
      if (!training) return describe<Forward, Backward>(forward, nullptr);
      const Backward::primitive_desc backward(
          Backward::desc(prop_kind::backward, left_to_right, x, s, s, Wx, Wh, b, y, s, s, x, s, s,
                         Wx, Wh, b, y, s, s),
          cpu(), forward);
      return describe<Forward, Backward>(forward, &backward);
    }
    case Cell::gru: {
      using Forward = dnnl::lbr_gru_forward;  // linear before reset: xgrad's reset_after
      using Backward = dnnl::lbr_gru_backward;
      const Forward::primitive_desc forward(
          Forward::desc(kind, left_to_right, x, s, Wx, Wh, b, y, s), cpu());
      if (!training) return describe<Forward, Backward>(forward, nullptr);
      const Backward::primitive_desc backward(
          Backward::desc(prop_kind::backward, left_to_right, x, s, Wx, Wh, b, y, s, x, s, Wx, Wh, b,
                         y, s),
          cpu(), forward);
      return describe<Forward, Backward>(forward, &backward);
    }
    default: {
      using Forward = dnnl::vanilla_rnn_forward;
      using Backward = dnnl::vanilla_rnn_backward;
      constexpr auto tanh = dnnl::algorithm::eltwise_tanh;
      const Forward::primitive_desc forward(
          Forward::desc(kind, tanh, left_to_right, x, s, Wx, Wh, b, y, s), cpu());
      if (!training) return describe<Forward, Backward>(forward, nullptr);
      const Backward::primitive_desc backward(
          Backward::desc(prop_kind::backward, tanh, left_to_right, x, s, Wx, Wh, b, y, s, x, s, Wx,
                         Wh, b, y, s),
          cpu(), forward);
      return describe<Forward, Backward>(forward, &backward);
    }
  }
}

/// A weight as the update sees it, and its gradient.
struct Weight {
  memory value, gradient;

  Weight(const memory::dims& extents, tag layout, const std::vector<float>& start)
      : value(float_desc(extents, layout), cpu()), gradient(float_desc(extents, layout), cpu()) {
    copy_into(value, start);
  }

  void update() {
    float* p = numbers_of(value);
    const float* g = numbers_of(gradient);
    const std::size_t n = count_of(value);
    for (std::size_t i = 0; i < n; ++i) p[i] -= static_cast<float>(learning_rate) * g[i];
  }

  std::vector<float> gradient_numbers() const {
    return {numbers_of(gradient), numbers_of(gradient) + count_of(gradient)};
  }
};

class OnednnNetwork final : public Contender {
 public:
  OnednnNetwork(const NetworkProblem& problem, Work work)
      : problem_(problem),
        work_(work),
        extents_(problem.network),
        start_(from_xgrad(problem)),
        Wx_(extents_.Wx, tag::ldigo, start_.Wx),
        Wh_(extents_.Wh, tag::ldigo, start_.Wh),
        b_(extents_.b, tag::ldgo, start_.b),
        x_(float_desc(extents_.x, tag::tnc), cpu()),
        y_(float_desc(extents_.y, tag::tnc), cpu()),
        dy_(float_desc(extents_.y, tag::tnc), cpu()) {
    copy_into(x_, problem.x.numbers);
    const Primitives primitives = make_primitives(problem.network, work);
    forward_ = {primitives.forward,
                {{DNNL_ARG_SRC_LAYER, x_},
                 {DNNL_ARG_WEIGHTS_LAYER, as(primitives.forward_Wx, Wx_.value)},
                 {DNNL_ARG_WEIGHTS_ITER, as(primitives.forward_Wh, Wh_.value)},
                 {DNNL_ARG_BIAS, b_.value},
                 {DNNL_ARG_DST_LAYER, y_}}};
    connect_states();
    if (primitives.backward) connect_backward(primitives);
    reorder_weights();
  }

  void run() override {
    switch (work_) {
      case Work::training:
        gradient();
        Wx_.update();
        Wh_.update();
        b_.update();
        reorder_weights();
        break;
      case Work::gradient:
        gradient();
        break;
      case Work::forward:
        outputs();
        mean_squared_error();
        break;
      default:
        outputs();
        break;
    }
  }

  std::vector<Array> result() override {
    switch (work_) {
      case Work::training:
      case Work::gradient: {
        std::vector<Array> all{{"loss", {}, {gradient()}}};
        for (Array& g : gradients_to_xgrad(
                 problem_,
                 {Wx_.gradient_numbers(), Wh_.gradient_numbers(), b_.gradient_numbers()})) {
          all.push_back(std::move(g));
        }
        return all;
      }
      case Work::forward:
        outputs();
        return {{"loss", {}, {mean_squared_error()}}};
      case Work::inference:
        outputs();
        return {{"outputs", problem_.target.shape, output_numbers()}};
      default:
        for (const memory& s : states_) std::fill_n(numbers_of(s), count_of(s), 0.f);
        for (int i = 0; i < 3; ++i) outputs();
        return {{"outputs", problem_.target.shape, output_numbers()}};
    }
  }

 private:
  /// The plain weights in the format that a primitive wants; a copy is kept up to date by
  /// reorder_weights().
  memory as(const memory::desc& wanted, const memory& plain) {
    if (wanted == plain.get_desc()) return plain;
    const memory copy(wanted, cpu());
    reorders_.push_back(reorder(plain, copy));
    return copy;
  }

  /// Where the backward primitive adds to a gradient; gradient() brings it to the plain format.
  memory sum_of(const memory::desc& wanted, const memory& plain) {
    memory target = plain;
    if (wanted != plain.get_desc()) {
      target = memory(wanted, cpu());
      gradient_reorders_.push_back(reorder(target, plain));
    }
    sums_.push_back(target);
    return target;
  }

  bool has_cell_state() const { return problem_.network.cell == Cell::lstm; }

  memory zero_state() const {
    const memory m(float_desc(extents_.state, tag::ldnc), cpu());
    std::fill_n(numbers_of(m), count_of(m), 0.f);
    return m;
  }

  // The zero state is given: without one this version's gradient of Wh is wrong.
  void connect_states() {
    states_ = {zero_state()};
    next_states_ = {zero_state()};
    if (has_cell_state()) {
      states_.push_back(zero_state());
      next_states_.push_back(zero_state());
      forward_.arguments[DNNL_ARG_SRC_ITER_C] = states_[1];
      forward_.arguments[DNNL_ARG_DST_ITER_C] = next_states_[1];
    }
    forward_.arguments[DNNL_ARG_SRC_ITER] = states_[0];
    forward_.arguments[DNNL_ARG_DST_ITER] = next_states_[0];
  }

  void connect_backward(const Primitives& primitives) {
    const memory workspace(primitives.workspace, cpu());
    forward_.arguments[DNNL_ARG_WORKSPACE] = workspace;
    const memory dx(float_desc(extents_.x, tag::tnc), cpu());
    backward_ = {primitives.backward,
                 {{DNNL_ARG_SRC_LAYER, x_},
                  {DNNL_ARG_WEIGHTS_LAYER, as(primitives.backward_Wx, Wx_.value)},
                  {DNNL_ARG_WEIGHTS_ITER, as(primitives.backward_Wh, Wh_.value)},
                  {DNNL_ARG_BIAS, b_.value},
                  {DNNL_ARG_DST_LAYER, y_},
                  {DNNL_ARG_WORKSPACE, workspace},
                  {DNNL_ARG_DIFF_SRC_LAYER, dx},
                  {DNNL_ARG_DIFF_WEIGHTS_LAYER, sum_of(primitives.gradient_Wx, Wx_.gradient)},
                  {DNNL_ARG_DIFF_WEIGHTS_ITER, sum_of(primitives.gradient_Wh, Wh_.gradient)},
                  {DNNL_ARG_DIFF_BIAS, sum_of(b_.gradient.get_desc(), b_.gradient)},
                  {DNNL_ARG_DIFF_DST_LAYER, dy_},
                  {DNNL_ARG_SRC_ITER, states_[0]},
                  {DNNL_ARG_DST_ITER, next_states_[0]},
                  {DNNL_ARG_DIFF_SRC_ITER, zero_state()},
                  {DNNL_ARG_DIFF_DST_ITER, zero_state()}}};
    if (has_cell_state()) {
      backward_.arguments[DNNL_ARG_SRC_ITER_C] = states_[1];
      backward_.arguments[DNNL_ARG_DST_ITER_C] = next_states_[1];
      backward_.arguments[DNNL_ARG_DIFF_SRC_ITER_C] = zero_state();
      backward_.arguments[DNNL_ARG_DIFF_DST_ITER_C] = zero_state();
    }
  }

  void reorder_weights() {
    for (const Call& call : reorders_) call.run();
    stream().wait();
  }

  void outputs() {
    forward_.run();
    stream().wait();
    if (work_ != Work::generation) return;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      std::copy_n(numbers_of(next_states_[i]), count_of(states_[i]), numbers_of(states_[i]));
    }
  }

  /// Leaves its gradient in dy_.
  float mean_squared_error() {
    const std::size_t n = count_of(y_);
    const float* y = numbers_of(y_);
    const float* target = problem_.target.numbers.data();
    float* dy = numbers_of(dy_);
    const float scale = 2 / static_cast<float>(n);
    constexpr std::size_t lanes = 16;
    float sums[lanes] = {};  // so that the compiler may use SIMD
    for (std::size_t i = 0; i < n; i += lanes) {
      const std::size_t here = std::min(lanes, n - i);
      for (std::size_t k = 0; k < here; ++k) {
        const float apart = y[i + k] - target[i + k];
        dy[i + k] = scale * apart;
        sums[k] += apart * apart;
      }
    }
    double sum = 0;
    for (const float s : sums) sum += static_cast<double>(s);
    return static_cast<float>(sum / static_cast<double>(n));
  }

  float gradient() {
    outputs();
    const float loss = mean_squared_error();
    for (const memory& sum : sums_) std::fill_n(numbers_of(sum), count_of(sum), 0.f);
    backward_.run();
    for (const Call& call : gradient_reorders_) call.run();
    stream().wait();
    return loss;
  }

  std::vector<float> output_numbers() const {
    return {numbers_of(y_), numbers_of(y_) + count_of(y_)};
  }

  NetworkProblem problem_;
  Work work_;
  Extents extents_;
  Parameters start_;
  Weight Wx_, Wh_, b_;
  memory x_, y_, dy_;
  std::vector<memory> states_, next_states_, sums_;
  std::vector<Call> reorders_, gradient_reorders_;
  Call forward_, backward_;
};

}  // namespace

ContenderPtr onednn_network(const Network& network, Work work) {
  const bool has_cell =
      network.cell == Cell::lstm || network.cell == Cell::gru || network.cell == Cell::rnn;
  if (!has_cell) return nullptr;
  if (network.layers > 1 && network.input != network.hidden)
    return nullptr;  // one array of weights
  return std::make_unique<OnednnNetwork>(make_problem(network), work);
}

std::string onednn_version() {
  const dnnl_version_t* v = dnnl_version();
  const char* isa = [] {
    switch (dnnl::get_effective_cpu_isa()) {
      case dnnl::cpu_isa::sse41:
        return "SSE4.1";
      case dnnl::cpu_isa::avx:
        return "AVX";
      case dnnl::cpu_isa::avx2:
        return "AVX2";
      case dnnl::cpu_isa::avx2_vnni:
        return "AVX2 with VNNI";
      default:
        return "AVX-512 or later";
    }
  }();
  return std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
         std::to_string(v->patch) + ", " + isa;
}

}  // namespace peers
