#pragma once

namespace xgrad {

/// Lets xgrad use n threads and sets OpenBLAS to one thread for the whole process, since its own
/// threads fight ours. Before the first call xgrad computes on the caller's thread and leaves
/// OpenBLAS alone. Results have the same bits for every n. Throws Error if n < 1 or an op in work
/// calls it, std::system_error if the system has no such number of threads: then all stays as it
/// was. The new threads have the caller's floating-point environment of this moment, and whoever
/// waits for a result may compute parts of it: keep one environment. A forked process begins with
/// one thread. Of several threads of yours that run ops at a time one gets the helpers for an op,
/// and the others compute theirs alone.
void set_threads(int n);

/// The number of threads that xgrad uses.
int threads();

}  // namespace xgrad
