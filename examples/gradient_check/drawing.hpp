#pragma once

#include <filesystem>
#include <vector>

#include "report.hpp"

namespace gradient_check {

/// Draws the error curves as an SVG file: a panel for each check, a curve for each input, over
/// logarithmic axes. Throws if it cannot be written.
void draw(const std::filesystem::path& path, const std::vector<Checked>& all);

}  // namespace gradient_check
