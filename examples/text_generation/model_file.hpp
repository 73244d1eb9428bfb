#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <xgrad/core/tensor.hpp>

#include "language_model.hpp"
#include "settings.hpp"
#include "vocabulary.hpp"

namespace text_generation {

using Tensors = std::map<std::string, xgrad::Tensor>;

/// How far a training has come, and all else that the bits of its next step depend on.
struct TrainingRecord {
  std::vector<std::string> corpus;  ///< the files
  std::uint64_t fingerprint = 0;    ///< of their text
  std::string plan;                 ///< how its length was chosen, say "--minutes 3"
  std::int64_t steps = 0;           ///< of the whole schedule
  std::int64_t done = 0;            ///< of these
  std::int64_t validated = 0;       ///< the last validation was after so many
  bool finished = false;
  double best_nats = std::numeric_limits<double>::infinity();  ///< of all validations on this text
  double loss_sum = 0, loss_weight = 0;                        ///< their ratio is the recent loss
  std::vector<std::string> generators;                         ///< of the parts of the batch
  Tensors optimizer;
  Tensors best;                      ///< the parameters that validated best, if not the last ones
  std::vector<xgrad::Tensor> state;  ///< carried to the next window; empty for zeros
};

/// One safetensors file: tensors `model.*` and `training.*`, the rest as metadata.
struct ModelFile {
  Settings settings;
  Vocabulary vocabulary;
  Tensors model;
  TrainingRecord training;
};

enum class Part { model, everything };

/// Reads a model to use it, or all of the file to go on with its training. Throws xgrad::Error,
/// naming the file, if it is damaged or something else.
ModelFile read_model(const std::filesystem::path& path, Part part);

/// Replaces the file at once: whatever happens, there is the old one or the new one.
void write_model(const std::filesystem::path& path, const ModelFile& file);

/// The model of a file. Throws xgrad::Error, naming `source`, if its tensors do not fit.
LanguageModel make_model(const ModelFile& file, const std::string& source);

/// The values of all parameters by name, not copied.
Tensors parameter_values(const LanguageModel& model);

/// Sets all parameters. Throws xgrad::Error, naming `source`, for a tensor that is missing, not
/// known, or of another shape.
void assign_parameters(const LanguageModel& model, const Tensors& values,
                       const std::string& source);

}  // namespace text_generation
