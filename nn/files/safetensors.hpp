#pragma once

#include <map>
#include <string>
#include <string_view>

#include <xgrad/core/tensor.hpp>

namespace xgrad::nn {

/// What a safetensors file holds: tensors by name, and text by key.
///
/// The format (github.com/huggingface/safetensors): 8 bytes, the little-endian length of the
/// header; the header, a JSON object {"name": {"dtype", "shape", "data_offsets": [begin, end]},
/// ..., "__metadata__": {"key": "text"}}; the data, row-major and without gaps.
struct SafetensorsFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Writes the file so that, whatever happens, `path` holds either what it held before or all of the
/// new file: into a temporary file in the same folder, "NAME.tmp-PROCESS-NUMBER", which is synced
/// to disk and then renamed. Throws if anything fails (no rights, a full disk) and removes the
/// temporary file; that of a process that was killed is removed by the next call for the same path.
/// Throws if there is something else than a file at `path` (a folder, a device, a pipe), for a
/// complex128 tensor, for one named `__metadata__` and for text that is not UTF-8.
void write_safetensors(const std::string& path, const SafetensorsFile& file);

/// Reads the tensors whose names start with `prefix`, and the metadata; the data of other tensors
/// is not read. F32 and F64 keep their dtype, F16 and BF16 become float32. Throws, naming the file,
/// if it cannot be read, is not a safetensors file, or is damaged (every length, offset and shape
/// is checked against the size of the file before memory is reserved), and for another dtype. A
/// name may appear once only, as the format says. Takes time linear in the size of the file, but
/// for the sorting of names and offsets, and little stack.
SafetensorsFile read_safetensors(const std::string& path, std::string_view prefix = {});

}  // namespace xgrad::nn
