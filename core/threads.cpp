#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <xgrad/core/error.hpp>
#include <xgrad/core/gemm.hpp>
#include <xgrad/core/threads.hpp>

namespace xgrad {
namespace {

/// Workers that take the parts of one task at a time. They spin for a moment before they sleep: the
/// products of a recurrent step follow each other within microseconds.
class Workers {
 public:
  explicit Workers(int helpers) {
    for (int i = 0; i < helpers; ++i) helpers_.emplace_back([this] { work(); });
  }

  ~Workers() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
  }

  int count() const { return static_cast<int>(helpers_.size()) + 1; }

  void run(Index parts, const std::function<void(Index)>& f) {
    const std::lock_guard one_task(task_mutex_);
    error_ = nullptr;
    task_ = &f;
    parts_ = parts;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(helpers_.size()), std::memory_order_relaxed);
    {
      const std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    if (sleeping_.load() > 0) wake_.notify_all();
    take_parts();
    while (busy_.load(std::memory_order_acquire) > 0) pause();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static constexpr int spins = 20000;

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
  }

  void take_parts() {
    for (;;) {
      const Index part = next_.fetch_add(1, std::memory_order_relaxed);
      if (part >= parts_) return;
      try {
        (*task_)(part);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
      }
    }
  }

  void work() {
    std::uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < spins && generation_.load(std::memory_order_acquire) == seen; ++i)
        pause();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex_);
        ++sleeping_;
        wake_.wait(lock, [&] { return generation_.load() != seen; });
        --sleeping_;
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_) return;
      take_parts();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> helpers_;
  std::mutex task_mutex_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<int> busy_{0};
  std::atomic<Index> next_{0};
  const std::function<void(Index)>* task_ = nullptr;
  Index parts_ = 0;
  std::exception_ptr error_;
  bool stop_ = false;
};

std::mutex workers_mutex;
std::shared_ptr<Workers> workers;  // null: one thread
std::atomic<int> thread_count{1};
thread_local bool inside_part = false;

}  // namespace

void set_threads(int n) {
  if (n < 1) throw Error("set_threads: n is " + std::to_string(n) + ": it must be at least 1");
  const std::lock_guard lock(workers_mutex);
  detail::use_one_blas_thread();
  workers = n > 1 ? std::make_shared<Workers>(n - 1) : nullptr;
  thread_count = n;
}

int threads() { return thread_count.load(std::memory_order_relaxed); }

namespace detail {

void parallel_for(Index parts, const std::function<void(Index)>& f) {
  std::shared_ptr<Workers> team;
  if (parts > 1 && threads() > 1 && !inside_part) {
    const std::lock_guard lock(workers_mutex);
    team = workers;
  }
  if (!team) {
    for (Index part = 0; part < parts; ++part) f(part);
    return;
  }
  const std::function<void(Index)> marked = [&f](Index part) {
    inside_part = true;
    try {
      f(part);
    } catch (...) {
      inside_part = false;
      throw;
    }
    inside_part = false;
  };
  team->run(parts, marked);
}

}  // namespace detail
}  // namespace xgrad
