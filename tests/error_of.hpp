#pragma once

#include <string>

#include <xgrad/core/error.hpp>

namespace xgrad {

/// The text of the Error that f throws.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace xgrad
