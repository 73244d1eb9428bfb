#include <algorithm>
#include <iomanip>
#include <ostream>
#include <sstream>

#include <xgrad/core/recorder.hpp>
#include <xgrad/core/tape_watch.hpp>

namespace xgrad {

FlightRecorder::FlightRecorder(const FlightRecorderOptions& options)
    : data_(std::make_shared<detail::RecorderData>()) {
  const auto check = [](bool good, const char* option, const auto& value, const char* rule) {
    if (good) return;
    std::ostringstream text;
    text << "flight recorder: " << option << " is " << value << ": it must be " << rule;
    throw Error(text.str());
  };
  check(options.sample_every >= 0, "sample_every", options.sample_every, "at least 0");
  check(options.samples >= 1, "samples", options.samples, "at least 1");
  check(options.saturation_margin > 0 && options.saturation_margin < 0.5, "saturation_margin",
        options.saturation_margin, "between 0 and 0.5");
  data_->options = options;
  detail::begin_recorder(data_);
}

FlightRecorder::~FlightRecorder() { detail::end_recorder(data_); }

void FlightRecorder::name(const Var& parameter, const std::string& name) {
  data_->names.try_emplace(&parameter.parameter("flight recorder"),
                           detail::RecorderData::Name{parameter, name});
}

std::vector<GradientNorm> FlightRecorder::gradient_norms() const {
  return data_->sampled ? data_->sampled->gradient_norms() : std::vector<GradientNorm>();
}

std::vector<Saturation> FlightRecorder::saturations() const {
  return data_->sampled ? data_->sampled->saturations() : std::vector<Saturation>();
}

std::string to_string(const NonFinite& found) {
  const bool forward = found.pass == NonFinite::Pass::forward;
  const auto kind = [](const ValueRange& range) { return range.nans > 0 ? "NaN" : "inf"; };
  const auto with = [](const NamedRange& each) { return each.name + ", " + to_string(each.range); };
  std::string text = forward ? "forward: " : "backward: ";
  switch (found.cause) {
    case NonFinite::Cause::given:
      text += found.op + " was given " + kind(found.inputs[0].range);
      break;
    case NonFinite::Cause::sum:
      text += "gradients that are finite have a sum that holds " + std::string(kind(found.result)) +
              ", at " + found.op;
      break;
    case NonFinite::Cause::op: {
      const bool finite = std::all_of(found.inputs.begin(), found.inputs.end(),
                                      [](const NamedRange& x) { return x.range.first < 0; });
      text += found.op + " turned ";
      text += finite ? (forward ? "finite inputs" : "a finite gradient") : "what it was given";
      text += std::string(" into ") + kind(found.result);
    }
  }
  if (!found.place.path.empty()) text += " in '" + found.place.path + "'";
  if (!found.place.scopes.empty()) text += " at " + found.place.scopes;
  if (!found.expression.empty()) text += ", fused in " + found.expression;
  text += ": ";
  for (const NamedRange& input : found.inputs) text += with(input) + "; ";
  if (found.cause == NonFinite::Cause::given) {
    text.resize(text.size() - 2);
    return text + (forward ? ": it was not recorded" : "");
  }
  return text + (forward ? "the result is " : "the gradient of its input is ") +
         to_string(found.result);
}

namespace {

/// "lstm.layer2 (layer 2, reverse)": the place but for its step.
std::string title(const TapePlace& place) {
  std::string scopes = place.scopes;
  const auto step = scopes.rfind("step ");
  if (place.step >= 0 && step != std::string::npos) {
    scopes.resize(step);
    while (!scopes.empty() && (scopes.back() == ' ' || scopes.back() == ',')) scopes.pop_back();
  }
  if (place.path.empty()) return scopes;
  return scopes.empty() ? place.path : place.path + " (" + scopes + ")";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const FlightRecorder& recorder) {
  std::ostringstream text;
  text << std::setprecision(3);
  std::string previous;
  for (const GradientNorm& row : recorder.gradient_norms()) {
    const std::string next =
        "gradient norm of state " + std::to_string(row.state) + " in " + title(row.place);
    text << next << ", step " << row.place.step << ": " << row.norm << '\n';
  }
  struct Line {
    std::string what;
    Index samples = 0;
    double low = 0;
    double high = 0;
  };
  std::vector<Line> lines;
  for (const Saturation& row : recorder.saturations()) {
    const std::string what = row.activation + " of " + row.expression + " in " + title(row.place);
    auto line = std::find_if(lines.begin(), lines.end(),
                             [&](const Line& each) { return each.what == what; });
    if (line == lines.end()) line = lines.insert(line, {what});
    line->samples += row.samples;
    line->low += row.low * static_cast<double>(row.samples);
    line->high += row.high * static_cast<double>(row.samples);
  }
  for (const Line& line : lines) {
    const double share = line.samples == 0 ? 0 : 100 / static_cast<double>(line.samples);
    text << "saturation of " << line.what << ": " << share * line.low << " % low, "
         << share * line.high << " % high\n";
  }
  return out << text.str();
}

}  // namespace xgrad
