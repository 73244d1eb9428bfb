#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace text_generation {

/// Threads that share a task. A part always runs on the same thread, so that the memory it keeps
/// from one task to the next returns to the pool that it came from.
class Crew {
 public:
  /// The caller is one of the threads.
  explicit Crew(int threads);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// Calls f(0) ... f(parts - 1) and returns when all are done. An exception of a part is thrown
  /// again here.
  void run(int parts, const std::function<void(int)>& f);

 private:
  void work(int thread);
  void run_parts_of(int thread);

  int threads_;
  std::vector<std::thread> helpers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void(int)>* task_ = nullptr;
  int parts_ = 0;
  unsigned round_ = 0;
  int busy_ = 0;
  bool stop_ = false;
  std::exception_ptr error_;
};

}  // namespace text_generation
