#pragma once

namespace xgrad::detail {

/// Throws `Adam: lr is -1: it must be finite and at least 0` unless `good`.
void check_option(bool good, const char* owner, const char* option, double value, const char* rule);

/// The option must be finite and at least 0.
void check_not_negative(const char* owner, const char* option, double value);

/// The option must be in [0, 1), as the decay of a running average.
void check_decay(const char* owner, const char* option, double value);

}  // namespace xgrad::detail
