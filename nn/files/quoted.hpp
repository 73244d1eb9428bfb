#pragma once

#include <string>
#include <string_view>

namespace xgrad::nn::detail {

/// A name from outside as an error can show it: 'name'. Control characters are shown as \x0a, and
/// of a long one only the beginning and how long it is.
std::string in_quotes(std::string_view name);

/// The same for a path, which errors show without quotes.
std::string shown(std::string_view path);

}  // namespace xgrad::nn::detail
