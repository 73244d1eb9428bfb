#include "svg.hpp"

#include <cmath>

namespace gradient_check {
namespace {

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else {
      result += c;
    }
  }
  return result;
}

/// Tenths of a pixel are enough.
double rounded(double x) { return std::round(10 * x) / 10; }

}  // namespace

Svg::Svg(double width, double height) {
  out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width << "\" height=\"" << height
       << "\" viewBox=\"0 0 " << width << ' ' << height
       << "\" font-family=\"sans-serif\" font-size=\"12\">\n";
  rectangle(0, 0, width, height, "fill=\"white\"");
}

void Svg::line(double x0, double y0, double x1, double y1, const std::string& attributes) {
  out_ << "<line x1=\"" << rounded(x0) << "\" y1=\"" << rounded(y0) << "\" x2=\"" << rounded(x1)
       << "\" y2=\"" << rounded(y1) << "\" " << attributes << "/>\n";
}

void Svg::rectangle(double x, double y, double width, double height,
                    const std::string& attributes) {
  out_ << "<rect x=\"" << rounded(x) << "\" y=\"" << rounded(y) << "\" width=\"" << rounded(width)
       << "\" height=\"" << rounded(height) << "\" " << attributes << "/>\n";
}

void Svg::curve(const Points& points, const std::string& title, const std::string& attributes) {
  out_ << "<polyline fill=\"none\" " << attributes << " points=\"";
  for (const auto& [x, y] : points) out_ << rounded(x) << ',' << rounded(y) << ' ';
  out_ << "\"><title>" << escaped(title) << "</title></polyline>\n";
}

void Svg::text(double x, double y, const std::string& words, const std::string& attributes) {
  out_ << "<text x=\"" << rounded(x) << "\" y=\"" << rounded(y) << "\" " << attributes << '>'
       << escaped(words) << "</text>\n";
}

void Svg::vertical_text(double x, double y, const std::string& words,
                        const std::string& attributes) {
  std::ostringstream turned;
  turned << "transform=\"rotate(-90 " << rounded(x) << ' ' << rounded(y) << ")\" " << attributes;
  text(x, y, words, turned.str());
}

void Svg::power_of_ten(double x, double y, int exponent, const std::string& attributes) {
  out_ << "<text x=\"" << rounded(x) << "\" y=\"" << rounded(y) << "\" " << attributes
       << ">10<tspan dy=\"-5\" font-size=\"75%\">" << (exponent < 0 ? "−" : "")
       << std::abs(exponent) << "</tspan></text>\n";
}

std::string Svg::finish() {
  out_ << "</svg>\n";
  return out_.str();
}

}  // namespace gradient_check
