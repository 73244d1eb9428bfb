#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include <xgrad/core/error.hpp>
#include <xgrad/core/scope.hpp>
#include <xgrad/core/value_range.hpp>

namespace xgrad {

namespace detail {
struct RecorderData;
}

/// What a FlightRecorder stops at.
enum class StopAt : std::uint8_t { never, nan, nan_or_inf };

struct FlightRecorderOptions {
  StopAt stop_at = StopAt::nan_or_inf;
  Index sample_every = 64;  ///< statistics are taken on tapes 0, 64, 128, ...; 0: never
  Index samples = 64;       ///< elements of each sigmoid and tanh that are looked at
  /// An activation is saturated within this fraction of its range from a limit. The default is that
  /// of Karpathy, Johnson and Fei-Fei 2015, section 4.2: a gate below 0.1 or above 0.9; a tanh,
  /// accordingly, below -0.8 or above 0.8.
  double saturation_margin = 0.1;
};

/// Where on the tape.
struct TapePlace {
  std::string path;      ///< of the module, "lstm.layer2"; empty if the recorder does not know it
  std::string scopes;    ///< all of them, "layer 2, step 37"
  Index layer = -1;      ///< of the innermost scope "layer", -1 for none
  Index step = -1;       ///< of the innermost scope "step", -1 for none
  bool reverse = false;  ///< within a scope "reverse"
};

/// A value by its name: "W, parameter 'lstm.layer2.Wh'".
struct NamedRange {
  std::string name;
  ValueRange range;
};

/// The first NaN or Inf, and what made it.
struct NonFinite {
  enum class Pass : std::uint8_t { forward, backward };
  enum class Cause : std::uint8_t {
    op,     ///< `op` turned finite inputs, or a finite gradient, into NaN or Inf
    given,  ///< what `op` read, the first of `inputs`, held it already and was not recorded
    sum     ///< gradients that are finite have a sum that is not
  };

  Pass pass = Pass::forward;
  Cause cause = Cause::op;
  std::string op;          ///< in a fused expression the very op
  std::string expression;  ///< that it is fused in, with a, b, c, ... for its inputs; or empty
  TapePlace place;
  std::size_t node = 0;            ///< the number of the node on the tape
  std::vector<NamedRange> inputs;  ///< of the op; in the backward pass first the gradient
  ValueRange result;               ///< forward the op's result, backward the gradient of its input
};

/// The text of the error below.
std::string to_string(const NonFinite& found);

/// What a FlightRecorder throws, for example
///
///     forward: exp turned finite inputs into inf in 'lstm.layer2' at layer 2, step 37, fused in
///     sigmoid(a) * exp(b): b, the output of matmul, (32,64) in [-3.1, 712.4]; the result is
///     (32,64) in [0.04, 3e+38] but for 1 inf, the first at (3,7)
class NonFiniteError : public Error, public NonFinite {
 public:
  explicit NonFiniteError(const NonFinite& found) : Error(to_string(found)), NonFinite(found) {}
};

/// The Euclidean norm of the gradient that reached a state of a time step: dL/dh for the h that the
/// step has computed, summed over all paths to the loss, that through later steps included.
struct GradientNorm {
  TapePlace place;
  Index state;  ///< which of the step's states: 0 is an LSTM's h, 1 its c
  double norm;  ///< 0 if no gradient reached it
};

/// How often an activation was close to a limit.
struct Saturation {
  TapePlace place;
  std::string activation;  ///< "sigmoid(a)", in terms of the inputs of
  std::string expression;  ///< the fused expression: "sigmoid(a) * b + sigmoid(c) * tanh(d)"
  Index samples;
  double low;   ///< the fraction of samples close to the lower limit
  double high;  ///< the fraction close to the upper limit
};

/// Watches the tapes that begin on its thread while it lives:
///
///     FlightRecorder recorder;
///     recorder.name(model);
///     train(model);                       // throws NonFiniteError at the first NaN or Inf
///     for (const GradientNorm& row : recorder.gradient_norms()) ...
///
/// The output of every recorded node and the gradients that every node gives are checked. The first
/// NaN or Inf stops the pass: in a fused expression only the expression's result counts, so that
/// where(x > 0, log(x), 0) is fine forward; its gradient, 0 / 0, is not. Operations on constants
/// are not recorded: what they break is found where a recorded operation reads it. A stopped
/// backward pass leaves the parameters' gradients as they were.
///
/// The statistics are those of the latest sampled tape. Recorders may be nested: the innermost
/// watches. Values and gradients are the same bits with a recorder and without.
class FlightRecorder {
 public:
  /// Throws if an option is out of range.
  explicit FlightRecorder(const FlightRecorderOptions& options = {});
  ~FlightRecorder();
  FlightRecorder(const FlightRecorder&) = delete;
  FlightRecorder& operator=(const FlightRecorder&) = delete;

  /// Tells it the names of a model's parameters, from which it has the paths of modules. A name
  /// that is given first stays.
  template <detail::HasNamedParameters M>
  void name(const M& model, const std::string& prefix = {}) {
    for (const auto& parameter : model.named_parameters()) {
      name(parameter.var, prefix.empty() ? parameter.name : prefix + "." + parameter.name);
    }
  }
  void name(const Var& parameter, const std::string& name);

  /// For each state that a scope named (nn::Recurrent names all), in the order of recording; of the
  /// tape's latest backward pass.
  std::vector<GradientNorm> gradient_norms() const;

  /// For each sigmoid and tanh in recorded expressions, in the order of recording.
  std::vector<Saturation> saturations() const;

 private:
  std::shared_ptr<detail::RecorderData> data_;
};

/// The statistics as text: a line of gradient norms for each state of a layer, in the order of its
/// steps, and a line for each activation of a layer, over all its steps.
std::ostream& operator<<(std::ostream& out, const FlightRecorder& recorder);

}  // namespace xgrad
