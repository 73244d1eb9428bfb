#pragma once

namespace text_generation {

/// While it lives, Ctrl-C (or SIGTERM) is only noted, for the program to end in good order. The
/// second time has its usual effect.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

bool interrupted();

}  // namespace text_generation
