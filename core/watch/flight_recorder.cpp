#include <algorithm>
#include <iomanip>
#include <ostream>

#include <xgrad/core/flight_recorder.hpp>
#include <xgrad/core/runtime/text_stream.hpp>
#include <xgrad/core/watch/tape_watch.hpp>

namespace xgrad {

FlightRecorder::FlightRecorder(const FlightRecorderOptions& options)
    : data_(std::make_shared<detail::RecorderData>()) {
  const auto check = [](bool good, const char* option, const auto& value, const char* rule) {
    if (good) return;
    detail::TextStream text;
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
  detail::TextStream text;
  text << (forward ? "forward: " : "backward: ");
  switch (found.cause) {
    case NonFinite::Cause::given:
      text << found.op << " was given " << kind(found.inputs[0].range);
      break;
    case NonFinite::Cause::sum:
      text << "gradients that are finite have a sum that holds " << kind(found.result) << ", at "
           << found.op;
      break;
    case NonFinite::Cause::op: {
      const bool finite = std::all_of(found.inputs.begin(), found.inputs.end(),
                                      [](const NamedRange& x) { return x.range.first < 0; });
      const char* from = forward ? "finite inputs" : "a finite gradient";
      text << found.op << " turned " << (finite ? from : "what it was given") << " into "
           << kind(found.result);
    }
  }
  if (!found.place.path.empty()) text << " in '" << found.place.path << "'";
  if (!found.place.scopes.empty()) text << " at " << found.place.scopes;
  if (!found.expression.empty()) text << ", fused in " << found.expression;
  const char* separator = ": ";
  for (const NamedRange& input : found.inputs) {
    text << separator << input.name << ", " << to_string(input.range);
    separator = "; ";
  }
  if (found.cause == NonFinite::Cause::given) {
    text << (forward ? ": it was not recorded" : "");
  } else {
    text << separator << (forward ? "the result is " : "the gradient of its input is ")
         << to_string(found.result);
  }
  return text.str();
}

namespace {

/// ", lstm.layer2 (layer 2, reverse)": the place but for its step.
std::string title(const TapePlace& place) {
  const std::string separator = ", ";
  const std::string step = separator + "step " + std::to_string(place.step) + separator;
  std::string scopes = separator + place.scopes + separator;
  if (const auto at = scopes.rfind(step); at != std::string::npos) {
    scopes.erase(at, step.size() - separator.size());
  }
  scopes = scopes == separator ? "" : scopes.substr(2, scopes.size() - 4);
  std::string text;
  if (!place.path.empty()) text.append(", ").append(place.path);
  if (scopes.empty()) return text;
  if (text.empty()) return text.append(", ").append(scopes);
  return text.append(" (").append(scopes).append(")");
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const FlightRecorder& recorder) {
  struct Norms {
    std::string what;
    std::string values;
  };
  std::vector<Norms> norms;
  for (const GradientNorm& row : recorder.gradient_norms()) {
    detail::TextStream what;
    what << "gradient norms of state " << row.state << title(row.place);
    auto line = std::find_if(norms.begin(), norms.end(),
                             [&](const Norms& each) { return each.what == what.str(); });
    if (line == norms.end()) line = norms.insert(line, {what.str(), {}});
    detail::TextStream value;
    value << ' ' << std::setprecision(3) << row.norm;
    line->values += value.str();
  }
  struct Share {
    std::string what;
    double samples = 0;
    double low = 0;
    double high = 0;
  };
  std::vector<Share> shares;
  for (const Saturation& row : recorder.saturations()) {
    detail::TextStream what;
    what << "saturation of " << row.activation;
    if (row.expression != row.activation) what << " in " << row.expression;
    what << title(row.place);
    auto line = std::find_if(shares.begin(), shares.end(),
                             [&](const Share& each) { return each.what == what.str(); });
    if (line == shares.end()) line = shares.insert(line, {what.str()});
    const auto samples = static_cast<double>(row.samples);
    line->samples += samples;
    line->low += row.low * samples;
    line->high += row.high * samples;
  }
  detail::TextStream text;
  text << std::setprecision(3);
  for (const Norms& line : norms) text << line.what << " by step:" << line.values << '\n';
  for (const Share& line : shares) {
    const double percent = line.samples == 0 ? 0 : 100 / line.samples;
    text << line.what << ": " << percent * line.low << " % low, " << percent * line.high
         << " % high\n";
  }
  return out << text.str();
}

}  // namespace xgrad
