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

/// The signal that was noted; 0 if none was.
int interrupting_signal();

}  // namespace text_generation
