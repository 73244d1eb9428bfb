// Reads the PyTorch reference data of this folder; the schema is described in README.md.
#pragma once

#include <cstddef>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace xgrad::testing {

/// The named file of this folder ("ops.json"), parsed once and kept. CMake defines the folder.
/// Throws std::runtime_error if the file cannot be read or is not JSON.
inline const nlohmann::json& reference(std::string_view file) {
  static std::map<std::string, nlohmann::json, std::less<>> files;
  if (const auto known = files.find(file); known != files.end()) return known->second;

  const std::string path = std::string(XGRAD_REFERENCE_DIR) + "/" + std::string(file);
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error("reference: cannot read " + path);
  try {
    return files.emplace(file, nlohmann::json::parse(stream)).first->second;
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error("reference: " + path + ": " + error.what());
  }
}

/// A tensor of the data: its values in row-major order; integers (indices) are read as doubles.
struct Array {
  std::vector<std::ptrdiff_t> shape;
  std::vector<double> data;
};

/// A number, or one of the strings "nan", "inf" and "-inf" that JSON has no number for.
inline double number(const nlohmann::json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  throw std::runtime_error("reference: not a number: " + value.dump());
}

/// Reads {"shape": [...], "data": [...]}. Throws if the data does not fill the shape.
inline Array array(const nlohmann::json& tensor) {
  Array result;
  result.shape = tensor.at("shape").get<std::vector<std::ptrdiff_t>>();
  std::ptrdiff_t size = 1;
  for (const std::ptrdiff_t extent : result.shape) size *= extent;
  const nlohmann::json& data = tensor.at("data");
  result.data.reserve(data.size());
  for (const nlohmann::json& value : data) result.data.push_back(number(value));
  if (static_cast<std::ptrdiff_t>(result.data.size()) != size) {
    throw std::runtime_error("reference: " + std::to_string(result.data.size()) +
                             " values for the shape " + tensor.at("shape").dump());
  }
  return result;
}

}  // namespace xgrad::testing
