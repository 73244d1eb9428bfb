#pragma once

#include <nlohmann/json.hpp>

namespace peers {

/// Processor, load, libraries and their versions. Throws if libtorch uses another BLAS than
/// OpenBLAS.
nlohmann::ordered_json describe_machine();

}  // namespace peers
